//! What a simulated day brings: lenders' messages, and what must come of them whatever happens.
//!
//! The model knows no ledger and no waterfall: money that came in less money that went back, by
//! loan, and which lines nobody can use. What is sent twice or in another order counts once.

use std::collections::BTreeMap;

use recoup::log::Outgoing;

use super::dice::Dice;

/// 2026-01-01, in days since 1970.
pub const FIRST_DAY: i64 = 20_454;
/// How many days the lenders' lines are spread over.
const SPAN: i64 = 8;
const DAY_SECONDS: i64 = 86_400;

/// Lines that nobody can use, and why.
const POISON: [(&str, &str); 9] = [
    (r#"{"loan_id":"BAD","principal""#, "bad_json"),
    ("[1,2]", "bad_json"),
    ("free text", "bad_json"),
    (r#"{"event_id":"x","principal":"1.00"}"#, "missing_loan_id"),
    (r#"{"event_id":"x","loan_id":"BAD","principal":"1.5"}"#, "bad_decimal"),
    (
        concat!(
            r#"{"event_id":"x","loan_id":"BAD","principal":"-1.00","#,
            r#""interest":"0.00","penalty":"0.00","fee":"0.00"}"#
        ),
        "negative_principal",
    ),
    (
        concat!(
            r#"{"event_id":"x","loan_id":"BAD","principal":"1.00","interest":"0.00","#,
            r#""penalty":"0.00","fee":"0.00","days_past_due":"late"}"#
        ),
        "wrong_type",
    ),
    (r#"{"payment_id":"x","loan_id":"BAD","kind":"payment","amount":"five"}"#, "bad_decimal"),
    (r#"{"payment_id":"x","kind":"payment","amount":"5.00"}"#, "missing_loan_id"),
];

/// Everything that is sent, and the truth about it.
#[derive(Default)]
pub struct Plan {
    pub messages: Vec<Outgoing>,
    /// By message: the reasons of its refused lines, sorted.
    pub poison: Vec<Vec<String>>,
    /// By loan: cents that came in, less those that went back.
    pub paid: BTreeMap<String, i64>,
    /// By loan: its case, one borrower with one lender.
    pub cases: BTreeMap<String, String>,
    pub facts: usize,
}

/// A line on its way: when it is sent, whose it is, and whether it is poison.
struct Line {
    at: i64,
    lender: String,
    text: String,
    poison: Option<&'static str>,
}

impl Plan {
    pub fn new(dice: &mut Dice) -> Plan {
        let mut plan = Plan::default();
        let mut lines = vec![];
        for number in 0..dice.between(5, 12) {
            plan.live(number, dice, &mut lines);
        }
        for _ in 0..dice.below(6) {
            let (text, reason) = *dice.pick(&POISON);
            let lender = format!("L{}", 1 + dice.below(2));
            let at = dice.between(0, SPAN * DAY_SECONDS);
            lines.push(Line { at, lender, text: text.into(), poison: Some(reason) });
        }
        // Late by up to two days, some of it twice.
        for line in &mut lines {
            line.at += if dice.one_in(4) { dice.between(0, 2 * DAY_SECONDS) } else { 0 };
        }
        for at in 0..lines.len() {
            let Line { at, lender, text, poison: None } = &lines[at] else { continue };
            if dice.one_in(8) {
                let at = at + dice.between(0, 2 * DAY_SECONDS);
                lines.push(Line { at, lender: lender.clone(), text: text.clone(), poison: None });
            }
        }
        lines.sort_by_key(|line| line.at);
        plan.facts = lines.len();
        plan.pack(lines, dice);
        plan
    }

    /// One loan's life.
    fn live(&mut self, number: i64, dice: &mut Dice, lines: &mut Vec<Line>) {
        let lender = format!("L{}", 1 + dice.below(2));
        let borrower = format!("B{}", dice.below(4));
        let loan = format!("N{number}");
        self.cases.insert(loan.clone(), format!("{lender}/{borrower}"));
        let product = *dice.pick(&["cash", "card"]);
        let mut say = |at: i64, text: String| {
            lines.push(Line { at, lender: lender.clone(), text, poison: None });
        };
        let reports = if dice.one_in(12) { 0 } else { dice.between(1, 3) };
        for report in 0..reports {
            let at = dice.between(0, SPAN * DAY_SECONDS);
            let days = dice.between(20, 70);
            let text = |principal: i64| {
                [
                    format!(r#"{{"event_id":"e{number}-{report}","event_time":"{}""#, instant(at)),
                    format!(r#""lender_id":"{lender}","loan_id":"{loan}","province":"44""#),
                    format!(r#""borrower_id":"{borrower}","product":"{product}""#),
                    format!(r#""principal":"{principal}.25","interest":"9.10""#),
                    r#""penalty":"3.05","fee":"1.00","currency":"CNY""#.to_string(),
                    format!(r#""days_past_due":{days},"phone":"13912345678"}}"#),
                ]
                .join(",")
            };
            let principal = dice.between(50, 3_000);
            say(at, text(principal));
            if dice.one_in(15) {
                // The same id with another content: one of the two is refused.
                say(at + 60, text(principal + 1));
            }
        }
        for payment in 0..dice.below(4) {
            let at = dice.between(0, SPAN * DAY_SECONDS);
            let cents = dice.between(1, 90_000);
            let channel = *dice.pick(&["bank", "agency"]);
            let paid = |id: String, kind: &str, amount: String, at: i64, reverses: String| {
                [
                    format!(r#"{{"payment_id":"{id}","loan_id":"{loan}","kind":"{kind}""#),
                    format!(r#""amount":"{amount}","paid_at":"{}""#, instant(at)),
                    format!(r#""channel":"{channel}","reverses":{reverses}}}"#),
                ]
                .join(",")
            };
            let id = format!("p{number}-{payment}");
            say(at, paid(id.clone(), "payment", money(cents), at, "null".into()));
            let sum = self.paid.entry(loan.clone()).or_default();
            *sum += cents;
            if dice.one_in(5) && reports > 0 {
                let back = at + dice.between(60, DAY_SECONDS);
                let amount = format!("-{}", money(cents));
                say(back, paid(format!("r{id}"), "reversal", amount, back, format!(r#""{id}""#)));
                *sum -= cents;
            }
        }
    }

    /// Lines as messages of a few lines of one lender, on any of its subjects.
    fn pack(&mut self, lines: Vec<Line>, dice: &mut Dice) {
        let mut open: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
        for line in lines {
            let (texts, poison) = open.entry(line.lender.clone()).or_default();
            texts.push(line.text);
            poison.extend(line.poison.map(String::from));
            if dice.one_in(3) {
                let full = open.remove(&line.lender).unwrap_or_default();
                self.send(&line.lender, full, dice);
            }
        }
        for (lender, rest) in open {
            self.send(&lender, rest, dice);
        }
    }

    fn send(&mut self, lender: &str, parts: (Vec<String>, Vec<String>), dice: &mut Dice) {
        let (texts, mut poison) = parts;
        poison.sort();
        let subject = format!("intake.{lender}.file.{}", dice.below(4));
        let payload = texts.join("\n").into_bytes().into();
        self.messages.push(Outgoing { subject, payload, ..Outgoing::default() });
        self.poison.push(poison);
    }
}

fn money(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Seconds since the first day, as lenders write it.
fn instant(seconds: i64) -> String {
    let (day, rest) = (1 + seconds / DAY_SECONDS, seconds % DAY_SECONDS);
    format!("2026-01-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}
