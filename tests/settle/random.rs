//! Random histories: reports, payments, reversals near and far, repeats, corrected copies.

use crate::flow::{DAY, Letter};

/// A small generator, the same everywhere.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for i in (1..things.len()).rev() {
            things.swap(i, self.roll(i as u64 + 1) as usize);
        }
    }
}

/// The seeds of a run: `SEED` alone, or `HISTORIES` of them.
pub fn seeds(count: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..1 + number("HISTORIES").unwrap_or(count),
    }
}

/// An instant within 60 days, often a whole hour so that instants collide.
fn instant(dice: &mut Dice) -> i64 {
    let day = 20_000 + dice.roll(60) as i64;
    let within = if dice.roll(2) == 0 {
        dice.roll(4) as i64 * DAY / 4
    } else {
        dice.roll(86_400_000) as i64 * 1_000
    };
    day * DAY + within
}

/// What is owed, dealt out over some days; nothing where nothing is owed.
fn schedule(dice: &mut Dice, mut owed: [i64; 4]) -> Vec<(i32, [i64; 4])> {
    let (mut lines, mut day) = (Vec::new(), 19_990 + dice.roll(40) as i32);
    while owed != [0; 4] {
        let last = lines.len() == 4;
        let share = owed.map(|cents| if last { cents } else { dice.roll(cents as u64 + 1) as i64 });
        owed = std::array::from_fn(|part| owed[part] - share[part]);
        lines.push((day, share));
        day += 1 + dice.roll(30) as i32;
    }
    lines
}

/// The facts of one loan, each once. The first is a report. A third of loans have schedules, in
/// some of their reports.
pub fn history(dice: &mut Dice, loan: &str) -> Vec<Letter> {
    let mut facts = Vec::new();
    let scheduled = dice.roll(3) == 0;
    for i in 0..1 + dice.roll(4) {
        let owed = [0; 4].map(|_: i64| dice.roll(3) as i64 * dice.roll(20_000) as i64);
        let report = Letter::report(loan, &format!("e{loan}{i}"), instant(dice), owed);
        let by_day = scheduled && dice.roll(3) > 0;
        let schedule = if by_day { schedule(dice, owed) } else { Vec::new() };
        facts.push(Letter { schedule, ..report });
    }
    let payments = dice.roll(9);
    for i in 0..payments {
        let id = format!("p{loan}{i}");
        let amount = 1 + dice.roll(30_000) as i64;
        let at = instant(dice);
        let channel = (i % 2 == 0).then_some("agency");
        facts.push(Letter { channel, ..Letter::payment(loan, &id, at, amount) });
        for j in 0..dice.roll(3).saturating_sub(dice.roll(2)) {
            let back = format!("r{loan}{i}{j}");
            // Mostly later, sometimes at the same instant, now and then before its payment.
            let later = match dice.roll(6) {
                0 => 0,
                1 => -(dice.roll(5) as i64) * DAY,
                _ => dice.roll(30 * 86_400) as i64 * 1_000_000,
            };
            let wrong = i64::from(dice.roll(10) == 0);
            facts.push(Letter::reversal(loan, &back, at + later, -amount - wrong, &id));
        }
    }
    let most = facts.len() as u64;
    for i in 0..dice.roll(4).saturating_sub(dice.roll(2)) {
        let of = &facts[dice.roll(most) as usize].clone();
        facts.extend(change(dice, loan, i, of));
    }
    if dice.roll(8) == 0 {
        let lost = format!("p{loan}lost");
        facts.push(Letter::reversal(loan, &format!("r{loan}x"), instant(dice), -700, &lost));
    }
    facts
}

/// Something that is no plain payment, and now and then the reversal of it.
fn change(dice: &mut Dice, loan: &str, i: u64, of: &Letter) -> Vec<Letter> {
    let (id, at) = (format!("c{loan}{i}"), instant(dice));
    let amount = 1 + dice.roll(25_000) as i64;
    let one = match dice.roll(8) {
        0 => Letter::act("nsf_fee", loan, &id, at, 2_500),
        1 => Letter::act("waiver", loan, &id, at, amount),
        2 => {
            let waiver = Letter::act("waiver", loan, &id, at, amount);
            Letter { reason: Some("settlement"), ..waiver }
        }
        3 => Letter::act("charge_off", loan, &id, at, 4 * amount),
        4 => return vec![Letter::act("refund", loan, &id, at, -amount)],
        5 => Letter::act("payoff", loan, &id, at, 3 * amount),
        kind if of.kind == "payment" => {
            let reverses = Some(of.id.clone());
            let later = of.at + dice.roll(20) as i64 * DAY / 2;
            let (kind, amount) = match kind {
                6 => ("return", -of.amount),
                _ => ("chargeback", -1 - dice.roll(of.amount as u64 + 1) as i64),
            };
            return vec![Letter { reverses, ..Letter::act(kind, loan, &id, later, amount) }];
        }
        _ => return Vec::new(),
    };
    let mut both = vec![one];
    if dice.roll(3) == 0 {
        let later = both[0].at + dice.roll(20) as i64 * DAY / 2;
        let undo = Letter::reversal(loan, &format!("u{loan}{i}"), later, -both[0].amount, &id);
        both.push(undo);
    }
    both
}

/// One order of arrival: mixed, with repeats, and copies that are corrected later.
pub fn arrival(dice: &mut Dice, facts: &[Letter]) -> Vec<Letter> {
    let mut letters = facts.to_vec();
    dice.shuffle(&mut letters);
    // A loan is known to its shard by a report.
    let report = letters.iter().position(|letter| letter.kind == "report").unwrap();
    letters.swap(0, report);
    for _ in 0..dice.roll(4) {
        let again = letters[dice.roll(letters.len() as u64) as usize].clone();
        letters.push(again);
    }
    if dice.roll(3) == 0 {
        let place = dice.roll(letters.len() as u64) as usize;
        let right = letters[place].clone();
        let wrong = &mut letters[place];
        wrong.at = instant(dice);
        if wrong.kind == "report" {
            wrong.owed = [5_000, 0, 100, 40_000];
            wrong.schedule = Vec::new();
        } else if wrong.kind == "payment" {
            wrong.amount += 1_000;
        }
        // Copies of the right one are repeats before the replacement: they must not be there.
        let (at, id) = (wrong.at, wrong.id.clone());
        let mut seen = 0;
        letters.retain(|letter| {
            seen += usize::from(letter.id == id);
            letter.id != id || seen == 1
        });
        if letters.iter().any(|letter| letter.id == id && letter.at == right.at) {
            return facts.to_vec();
        }
        letters.push(Letter { replaces_at: Some(at), ..right });
    }
    letters
}
