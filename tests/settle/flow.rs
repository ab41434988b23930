//! Letters through account, a given dispatch, settle and close, in steps of any size.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow::compute::concat_batches;
use recoup_operators::{Operator, Rules, Verb, account, close, facts, settle};

pub const DAY: i64 = 86_400_000_000;

/// A letter as a test writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    pub kind: &'static str,
    pub id: String,
    pub at: i64,
    pub loan: String,
    /// Penalty, fee, interest, principal.
    pub owed: [i64; 4],
    pub days_past_due: i32,
    pub amount: i64,
    pub channel: Option<&'static str>,
    pub reverses: Option<String>,
    pub reason: Option<&'static str>,
    pub replaces_at: Option<i64>,
    /// Of a report: days and what is due then, penalty, fee, interest, principal.
    pub schedule: Vec<(i32, [i64; 4])>,
    /// For a day tick: its number.
    pub day: i64,
}

impl Letter {
    pub fn report(loan: &str, id: &str, at: i64, owed: [i64; 4]) -> Self {
        let (loan, id) = (loan.to_owned(), id.to_owned());
        Letter { kind: "report", id, at, loan, owed, days_past_due: 40, ..Letter::default() }
    }

    pub fn payment(loan: &str, id: &str, at: i64, amount: i64) -> Self {
        let (loan, id) = (loan.to_owned(), id.to_owned());
        Letter { kind: "payment", id, at, loan, amount, ..Letter::default() }
    }

    pub fn reversal(loan: &str, id: &str, at: i64, amount: i64, of: &str) -> Self {
        let reverses = Some(of.to_owned());
        Letter { kind: "reversal", reverses, ..Letter::payment(loan, id, at, amount) }
    }

    /// A movement of any kind.
    pub fn act(kind: &'static str, loan: &str, id: &str, at: i64, amount: i64) -> Self {
        Letter { kind, ..Letter::payment(loan, id, at, amount) }
    }

    pub fn day(number: i64) -> Self {
        Letter { kind: "day", at: number * DAY, day: number, ..Letter::default() }
    }

    fn alone(&self) -> bool {
        self.kind == "day"
    }
}

/// Who holds a loan at a place in the log: agency and rate in millionths.
pub type Held = Arc<dyn Fn(&str, u64) -> (&'static str, i128)>;

/// One agency per loan at 23.7 %.
pub fn steady(loan: &str, _: u64) -> (&'static str, i128) {
    (["A1", "A2", "A3"][facts::shard(loan, 3) as usize], 237_000)
}

/// Another agency every seven letters.
pub fn restless(loan: &str, seq: u64) -> (&'static str, i128) {
    let turn = u64::from(facts::shard(loan, 3)) + seq / 7;
    [("A1", 120_000), ("A2", 305_000), ("A3", 184_500), ("", 0)][(turn % 4) as usize]
}

fn open(verb: &Verb, rules: &Rules) -> Box<dyn Operator> {
    (verb.open)(rules, 0)
}

/// The three verbs of one shard, and all that they have said.
pub struct Flow {
    rules: Rules,
    account: Box<dyn Operator>,
    settle: Box<dyn Operator>,
    close: Box<dyn Operator>,
    held: Held,
    seq: u64,
    said: BTreeMap<&'static str, Vec<RecordBatch>>,
}

impl Flow {
    pub fn new(held: impl Fn(&str, u64) -> (&'static str, i128) + 'static) -> Self {
        Flow::held_by(Arc::new(held))
    }

    fn held_by(held: Held) -> Self {
        let rules = Rules { shards: 1, ..Rules::default() };
        let mut account = open(&account::ACCOUNT, &rules);
        account.hear("authorities", &authorities());
        Flow {
            account,
            settle: open(&settle::SETTLE, &rules),
            close: open(&close::CLOSE, &rules),
            rules,
            held,
            seq: 0,
            said: BTreeMap::new(),
        }
    }

    /// Runs letters in steps of at most `step` letters; a day tick is always alone.
    pub fn run(&mut self, letters: &[Letter], step: usize) {
        let mut from = 0;
        while from < letters.len() {
            let mut to = from.saturating_add(step).min(letters.len());
            if let Some(alone) = letters[from..to].iter().position(Letter::alone) {
                to = if alone == 0 { from + 1 } else { from + alone };
            }
            self.step(&letters[from..to]);
            from = to;
        }
    }

    fn step(&mut self, letters: &[Letter]) {
        let first = self.seq + 1;
        self.seq += letters.len() as u64;
        let tick = letters[0].alone().then(|| ticks(&letters[0]));
        if let Some(tick) = &tick {
            self.account.hear("day", tick);
            self.settle.hear("day", tick);
        }
        let said = self.account.step(&batch(letters, first));
        let [stamped, bookings, refused, instalments, refolded] = said.try_into().unwrap();
        let attributed = self.attribute(&bookings);
        let [ledger, lines, _]: [RecordBatch; 3] =
            self.settle.step(&attributed).try_into().unwrap();
        let mut closed = vec![self.close.step(&lines)];
        if let Some(tick) = &tick {
            self.close.hear("ticked", &ticked(tick));
            closed.push(self.close.step(&broadcast("day", first)));
        }
        self.say("stamped", stamped);
        self.say("bookings", bookings);
        self.say("refused", refused);
        self.say("instalments", instalments);
        self.say("refolded", refolded);
        self.say("ledger", ledger);
        self.say("lines", lines);
        for said in closed {
            let [statements, ..]: [RecordBatch; 4] = said.try_into().unwrap();
            self.say("statements", statements);
        }
    }

    fn say(&mut self, name: &'static str, rows: RecordBatch) {
        self.said.entry(name).or_default().push(rows);
    }

    /// What dispatch and the join would add.
    fn attribute(&self, bookings: &RecordBatch) -> RecordBatch {
        let loans = texts(bookings, "loan_id");
        let seqs: &UInt64Array = cast(bookings, "seq");
        let held: Vec<(&str, i128)> = (0..bookings.num_rows())
            .map(|i| (self.held)(loans[i].as_deref().unwrap_or_default(), seqs.value(i)))
            .collect();
        let agencies = StringArray::from_iter_values(held.iter().map(|held| held.0));
        let rates = Decimal128Array::from_iter_values(held.iter().map(|held| held.1));
        let mut columns = bookings.columns().to_vec();
        columns.push(Arc::new(agencies.clone()));
        columns.push(Arc::new(agencies));
        columns.push(Arc::new(UInt32Array::from_iter_values(held.iter().map(|_| 1))));
        columns.push(Arc::new(rates.with_data_type(facts::RATE)));
        RecordBatch::try_new(facts::attributed(), columns).unwrap()
    }

    /// Everything said under a name, as one batch.
    pub fn all(&self, name: &str) -> RecordBatch {
        let rows = &self.said[name];
        concat_batches(&rows[0].schema(), rows).unwrap()
    }

    /// Saves every memory and goes on with fresh instances that load it.
    pub fn sleep(&mut self) {
        let fresh = Flow::held_by(self.held.clone());
        let old = [
            std::mem::replace(&mut self.account, fresh.account),
            std::mem::replace(&mut self.settle, fresh.settle),
            std::mem::replace(&mut self.close, fresh.close),
        ];
        let new = [&mut self.account, &mut self.settle, &mut self.close];
        for (old, new) in old.into_iter().zip(new) {
            let tables = old.save();
            new.load(tables.clone()).unwrap();
            assert_eq!(new.save(), tables, "what was loaded must save alike");
        }
    }

    pub fn size(&self) -> usize {
        self.account.size() + self.settle.size()
    }

    pub fn close_after_days(&self) -> i32 {
        self.rules.close_after_days
    }
}

/// A column of a batch in its type.
pub fn cast<'a, A: Array + 'static>(rows: &'a RecordBatch, name: &str) -> &'a A {
    rows.column_by_name(name).unwrap().as_any().downcast_ref().unwrap()
}

pub fn texts(rows: &RecordBatch, name: &str) -> Vec<Option<String>> {
    cast::<StringArray>(rows, name).iter().map(|text| text.map(str::to_owned)).collect()
}

pub fn cents(rows: &RecordBatch, name: &str) -> Vec<i128> {
    cast::<Decimal128Array>(rows, name).values().to_vec()
}

/// Letters as register says them.
pub fn batch(letters: &[Letter], first: u64) -> RecordBatch {
    let rows = letters.len();
    let instants = |of: fn(&Letter) -> Option<i64>| -> ArrayRef {
        let values = TimestampMicrosecondArray::from_iter(letters.iter().map(of));
        Arc::new(values.with_timezone("UTC"))
    };
    let texts = |of: fn(&Letter) -> Option<String>| -> ArrayRef {
        Arc::new(StringArray::from_iter(letters.iter().map(of)))
    };
    let money = |of: fn(&Letter) -> i64| -> ArrayRef {
        let values = letters.iter().map(|letter| i128::from(of(letter)));
        Arc::new(Decimal128Array::from_iter_values(values).with_data_type(facts::MONEY))
    };
    let own = |letter: &Letter, text: &str| (!letter.alone()).then(|| text.to_owned());
    let schema = facts::letters();
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "shard" => Arc::new(UInt32Array::from(vec![0; rows])) as ArrayRef,
            "seq" => Arc::new(UInt64Array::from_iter_values(first..first + rows as u64)),
            "row" => Arc::new(UInt32Array::from(vec![0; rows])),
            "kind" => texts(|letter| Some(letter.kind.to_owned())),
            "id" => texts(|letter| (letter.kind != "day").then(|| letter.id.clone())),
            "at" => instants(|letter| Some(letter.at)),
            "loan_id" => Arc::new(StringArray::from_iter(letters.iter().map(|l| own(l, &l.loan)))),
            "lender_id" => Arc::new(StringArray::from_iter(letters.iter().map(|l| own(l, "L1")))),
            "currency" => texts(|letter| (letter.kind == "report").then(|| "CNY".to_owned())),
            "penalty" => money(|letter| letter.owed[0]),
            "fee" => money(|letter| letter.owed[1]),
            "interest" => money(|letter| letter.owed[2]),
            "principal" => money(|letter| letter.owed[3]),
            "days_past_due" => {
                Arc::new(Int32Array::from_iter_values(letters.iter().map(|l| l.days_past_due)))
            }
            "amount" => money(|letter| letter.amount),
            "channel" => texts(|letter| letter.channel.map(str::to_owned)),
            "reverses" => texts(|letter| letter.reverses.clone()),
            "reason" => texts(|letter| letter.reason.map(str::to_owned)),
            "authority" => texts(|letter| (letter.kind == "waiver").then(|| "board".to_owned())),
            "payer" => texts(|letter| (letter.kind == "payoff").then(|| "L9".to_owned())),
            "instalments" => texts(written),
            "replaces_at" => instants(|letter| letter.replaces_at),
            _ => new_null_array(field.data_type(), rows),
        })
        .collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

/// A schedule as a report writes it.
fn written(letter: &Letter) -> Option<String> {
    let line = |(day, owed): &(i32, [i64; 4])| {
        let date = arrow::temporal_conversions::date32_to_datetime(*day).unwrap().date();
        let [penalty, fee, interest, principal] = owed;
        let amounts = [principal, interest, penalty, fee];
        let amounts = amounts.map(|cents| format!(":{}.{:02}", cents / 100, cents % 100));
        format!("{date}{}", amounts.concat())
    };
    let lines: Vec<String> = letter.schedule.iter().map(line).collect();
    (!lines.is_empty()).then(|| lines.join("|"))
}

/// The board may waive anything.
fn authorities() -> RecordBatch {
    let limits = Decimal128Array::from(vec![99_999_999_999_999]).with_data_type(facts::MONEY);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![1])),
        Arc::new(StringArray::from(vec!["board"])),
        Arc::new(limits),
    ];
    RecordBatch::try_new(facts::authorities(), columns).unwrap()
}

fn ticks(letter: &Letter) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["day"])),
        Arc::new(TimestampMicrosecondArray::from(vec![letter.at]).with_timezone("UTC")),
        Arc::new(Int64Array::from(vec![letter.day])),
    ];
    RecordBatch::try_new(facts::ticks(), columns).unwrap()
}

fn ticked(tick: &RecordBatch) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from(vec![0])),
        Arc::new(UInt64Array::from(vec![1])),
        Arc::new(UInt32Array::from(vec![0])),
        tick.column(0).clone(),
        tick.column(1).clone(),
    ];
    RecordBatch::try_new(facts::ticked(), columns).unwrap()
}

/// The single row of a fact that every shard hears, as close takes it.
fn broadcast(kind: &str, seq: u64) -> RecordBatch {
    let schema = facts::lines();
    let columns = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "shard" | "row" => Arc::new(UInt32Array::from(vec![0])) as ArrayRef,
            "seq" => Arc::new(UInt64Array::from(vec![seq])),
            "kind" => Arc::new(StringArray::from(vec![kind])),
            _ => new_null_array(field.data_type(), 1),
        })
        .collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

/// A statement line: lender, agency, day and currency.
pub type Key = (String, String, i32, String);

/// The newest row of every statement line: count and money, commission, remittance, closed.
pub fn newest(statements: &RecordBatch) -> BTreeMap<Key, (i64, Vec<i128>, bool)> {
    let names = ["lender_id", "agency_id", "currency"].map(|name| texts(statements, name));
    let days: &Date32Array = cast(statements, "day");
    let counts: &Int64Array = cast(statements, "count");
    let closed: &arrow::array::BooleanArray = cast(statements, "closed");
    let money: Vec<Vec<i128>> = [
        "collected",
        "penalty",
        "fee",
        "interest",
        "principal",
        "over",
        "commission",
        "remittance",
    ]
    .into_iter()
    .map(|name| cents(statements, name))
    .collect();
    let mut lines = BTreeMap::new();
    for i in 0..statements.num_rows() {
        let [lender, agency, currency] =
            [0, 1, 2].map(|name: usize| names[name][i].clone().unwrap_or_default());
        let sums = money.iter().map(|column| column[i]).collect();
        let line = (counts.value(i), sums, closed.value(i));
        let before = lines.insert((lender, agency, days.value(i), currency), line.clone());
        if let Some((count, sums, true)) = before {
            assert_eq!((count, sums), (line.0, line.1), "a closed line never changes");
        }
    }
    lines
}
