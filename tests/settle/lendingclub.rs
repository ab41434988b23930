//! Real money: every Lending Club loan of 2007 to 2011, streamed as reports and payments out of
//! order, must come to the file's own totals.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use arrow::array::{BooleanArray, Int8Array, Int32Array, RecordBatch, UInt8Array};
use arrow::ipc::reader::FileReader;

use crate::flow::{DAY, Flow, Letter, cast, cents, newest, texts};
use crate::random::Dice;

/// Days from 1970 to the month's first, near enough: order is what matters.
fn instant(month: i64, day: i64) -> i64 {
    (10_957 + month * 30 + day) * DAY
}

fn file() -> RecordBatch {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/lendingclub/loans.arrow");
    let mut reader = FileReader::try_new(File::open(path).unwrap(), None).unwrap();
    reader.next().unwrap().unwrap()
}

/// A loan of the file, in cents.
struct Loan {
    issued: i64,
    last_paid: i64,
    charged_off: bool,
    funded: i64,
    unpaid: i64,
    interest: i64,
    late_fee: i64,
    recoveries: i64,
    fee: i64,
}

fn loans(file: &RecordBatch) -> Vec<Loan> {
    let money = |name: &str| cast::<Int32Array>(file, name);
    let month = |name: &str, row: usize| i64::from(cast::<UInt8Array>(file, name).value(row));
    let charged_off: &BooleanArray = cast(file, "charged_off");
    let of = |name: &str, row: usize| i64::from(money(name).value(row));
    (0..file.num_rows())
        .map(|row| Loan {
            issued: month("issued", row),
            last_paid: month("last_paid", row).max(month("issued", row) + 1),
            charged_off: charged_off.value(row),
            funded: of("funded", row) * 100,
            unpaid: of("unpaid_principal", row),
            interest: of("interest", row),
            late_fee: of("late_fee", row),
            recoveries: of("recoveries", row),
            fee: of("collection_fee", row),
        })
        .collect()
}

/// What a lender would have sent of one loan, with the rate of its recovery.
fn facts(row: usize, loan: &Loan) -> Vec<(Letter, i128)> {
    let id = format!("LC{row:06}");
    let owed = [loan.late_fee, 0, loan.interest, loan.funded];
    let mut facts =
        vec![(Letter::report(&id, &format!("e{row}"), instant(loan.issued, 0), owed), 0)];
    let regular = loan.funded - loan.unpaid + loan.interest + loan.late_fee;
    for part in 0..3 {
        let amount = regular * (part + 1) / 3 - regular * part / 3;
        if amount > 0 {
            let at = instant(loan.last_paid, 5 + part);
            let payment = Letter::payment(&id, &format!("p{row}-{part}"), at, amount);
            facts.push((payment, 0));
        }
    }
    if loan.charged_off {
        let at = instant(loan.last_paid, 20);
        // What came back beyond the principal was interest.
        let owed = [0, 0, (loan.recoveries - loan.unpaid).max(0), loan.unpaid];
        facts.push((Letter::report(&id, &format!("c{row}"), at, owed), 0));
        if loan.unpaid > 0 {
            let (id_off, at) = (format!("o{row}"), instant(loan.last_paid, 22));
            facts.push((Letter::act("charge_off", &id, &id_off, at, loan.unpaid), 0));
        }
        if loan.recoveries > 0 {
            let at = instant(loan.last_paid, 25);
            let mut recovery = Letter::payment(&id, &format!("r{row}"), at, loan.recoveries);
            recovery.channel = Some("agency");
            let rate = (2_000_000 * loan.fee + loan.recoveries) / (2 * loan.recoveries);
            facts.push((recovery, i128::from(rate)));
        }
    }
    facts
}

fn stream(loans: &[Loan]) -> Flow {
    let mut dice = Dice::new(2_007);
    let mut letters = Vec::new();
    // By place in the log, from 1.
    let mut rates: BTreeMap<u64, i128> = BTreeMap::new();
    for (row, loan) in loans.iter().enumerate() {
        let mut facts = facts(row, loan);
        dice.shuffle(&mut facts[1..]);
        for (letter, rate) in facts {
            let recovered = letter.channel.is_some();
            letters.push(letter);
            if recovered {
                rates.insert(letters.len() as u64, rate);
            }
        }
    }
    let held = move |_: &str, seq: u64| rates.get(&seq).map_or(("", 0), |rate| ("A1", *rate));
    let mut flow = Flow::new(held);
    flow.run(&letters, 4_096);
    flow
}

#[test]
fn real_loans_come_to_the_totals_of_their_file() {
    let file = file();
    let loans = loans(&file);
    assert_eq!(loans.len(), 42_535);
    assert_eq!(loans.iter().filter(|loan| loan.charged_off).count(), 6_431);
    let flow = stream(&loans);
    assert_eq!(flow.all("refused").num_rows(), 0);
    // collected, penalty, fee, interest, principal, over, commission by agency.
    let mut sums: BTreeMap<String, Vec<i128>> = BTreeMap::new();
    for ((_, agency, _, _), (_, line, _)) in newest(&flow.all("statements")) {
        let sum = sums.entry(agency).or_insert_with(|| vec![0; line.len()]);
        sum.iter_mut().zip(line).for_each(|(sum, cents)| *sum += cents);
    }
    // Received before charge-off, and identity 4: what is received lies in its own component.
    let regular = &sums[""];
    // A few borrowers paid some cents more than they owed.
    let over: i128 = loans.iter().map(|loan| i128::from((-loan.unpaid).max(0))).sum();
    let principal = 41_155_487_594 - over;
    let received = [6_452_111, 0, 9_527_761_071, principal, over, 0];
    assert_eq!(regular[1..7], received);
    assert_eq!(regular[0], 6_452_111 + 9_527_761_071 + principal);
    // Recoveries of 4,341,987.552963 and fees of 604,839.6811, each row rounded to cents. Rates
    // have six digits: the fee of twelve loans is a cent off.
    let recovered = &sums["A1"];
    assert_eq!((recovered[0], recovered[5]), (434_198_755, 0));
    assert_eq!(recovered[6], 60_483_971);
    let fees: i64 = loans.iter().map(|loan| loan.fee).sum();
    assert_eq!(fees, 60_483_973);
    // Identity 2: money in is what the file says was paid, to the cent.
    let ledger = flow.all("ledger");
    let amounts = cents(&ledger, "amount");
    let mut accounts: BTreeMap<String, i128> = BTreeMap::new();
    for (account, amount) in texts(&ledger, "account").into_iter().zip(amounts) {
        *accounts.entry(account.unwrap()).or_default() += amount;
    }
    let rounding: &Int8Array = cast(&file, "rounding");
    let rounded: i64 = rounding.iter().flatten().map(i64::from).sum();
    let total = accounts["bank"] + accounts["agency_clearing"];
    assert_eq!(total, 51_123_899_531);
    assert_eq!(total + i128::from(rounded), 51_123_899_156);
    assert_eq!(accounts.values().sum::<i128>(), 0);
    // What was charged off left the receivable; what came back after it is income.
    assert_eq!(accounts["bad_debt"], 4_874_126_227);
    assert_eq!(accounts["recovery_income"], -434_198_755);
    // Exposure at charge-off, 48,741,262.27: what is still owed, and the principal that came back.
    let mut owed: BTreeMap<String, i128> = BTreeMap::new();
    let stamped = flow.all("stamped");
    for (loan, principal) in
        texts(&stamped, "loan_id").into_iter().zip(cents(&stamped, "principal"))
    {
        owed.insert(loan.unwrap(), principal);
    }
    owed.retain(|loan, _| loans[loan[2..].parse::<usize>().unwrap()].charged_off);
    assert_eq!(owed.values().sum::<i128>() + recovered[4], 4_874_126_227);
    let kept = flow.size() as f64 / loans.len() as f64;
    assert!(kept < 1_000.0, "{kept} bytes per loan");
}
