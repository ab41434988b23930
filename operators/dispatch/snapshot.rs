//! The memory of dispatch as tables, and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray,
    UInt32Array, UInt64Array,
};
use arrow::datatypes::DataType::{Boolean, Int64, UInt32, UInt64, Utf8};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::Dispatch;
use super::amounts::Amounts;
use super::cases::{Cases, Loans};
use super::columns::saved;
use super::facts::VALUE;
use super::lane::Lane;
use super::says::{Lot, batch};
use super::shares::Share;
use super::terms::{Fixed, FixedTerms};
use super::tick::Window;
use crate::memory::Keys;
use crate::rules::Case;

fn table(columns: Vec<(&str, DataType, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, kind, _)| Field::new(*name, kind.clone(), true)).collect();
    batch(Arc::new(Schema::new(fields)), columns.into_iter().map(|column| column.2).collect())
}

fn texts<'a>(list: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(list.map(Some).collect::<StringArray>())
}

fn wide(list: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(list))
}

fn narrow(list: impl Iterator<Item = u32>) -> ArrayRef {
    Arc::new(UInt32Array::from_iter_values(list))
}

fn values(list: impl Iterator<Item = i128>) -> ArrayRef {
    Arc::new(Decimal128Array::from_iter_values(list).with_data_type(VALUE))
}

/// The numbers of a saved column.
fn wides(table: &RecordBatch, index: usize) -> Option<Vec<i64>> {
    saved::<Int64Array>(table, index).map(|column| column.values().to_vec())
}

fn narrows(table: &RecordBatch, index: usize) -> Option<Vec<u32>> {
    saved::<UInt32Array>(table, index).map(|column| column.values().to_vec())
}

fn shorts(table: &RecordBatch, index: usize) -> Option<Vec<u16>> {
    narrows(table, index)?.into_iter().map(|number| u16::try_from(number).ok()).collect()
}

fn names(table: &RecordBatch, index: usize) -> Option<Vec<String>> {
    let column = saved::<StringArray>(table, index)?;
    Some((0..column.len()).map(|row| column.value(row).to_string()).collect())
}

fn exacts(table: &RecordBatch, index: usize) -> Option<Vec<i128>> {
    saved::<Decimal128Array>(table, index).map(|column| column.values().to_vec())
}

/// A heard list, or an empty one of its schema.
fn heard(rows: &Option<RecordBatch>, schema: SchemaRef) -> RecordBatch {
    rows.clone().unwrap_or_else(|| RecordBatch::new_empty(schema))
}

impl Dispatch {
    pub fn saved(&self) -> Vec<RecordBatch> {
        let market = &self.market;
        vec![
            heard(&market.agencies_heard, crate::facts::agencies()),
            heard(&market.desks_heard, crate::facts::desks()),
            heard(&market.contracts_heard, crate::facts::contracts()),
            heard(&self.exclusions.heard, crate::facts::exclusions()),
            table(vec![
                ("desk_id", Utf8, texts(market.desks.iter().map(|desk| desk.id.as_str()))),
                ("agency_id", Utf8, texts(market.desks.iter().map(|desk| desk.agency.as_str()))),
            ]),
            table(vec![
                ("lender_id", Utf8, texts(market.quotas.iter().map(|pair| pair.0.as_str()))),
                ("agency_id", Utf8, texts(market.quotas.iter().map(|pair| pair.1.as_str()))),
            ]),
            save_shares(&self.desks),
            save_shares(&self.quotas),
            self.save_fixed(),
            self.save_loans(),
            self.save_cases(),
            self.save_sides(),
            self.save_numbers(),
        ]
    }

    fn save_fixed(&self) -> RecordBatch {
        let list = &self.fixed.list;
        table(vec![
            ("desk", UInt32, narrow(list.iter().map(|terms| u32::from(terms.desk)))),
            ("commission", Int64, wide(list.iter().map(|terms| terms.commission))),
            ("slope", Int64, wide(list.iter().map(|terms| terms.slope))),
            ("cost", Int64, wide(list.iter().map(|terms| terms.cost))),
        ])
    }

    fn save_loans(&self) -> RecordBatch {
        let loans = &self.loans;
        let copied = |list: &Vec<u32>| narrow(list.iter().copied());
        let money = |list: &Amounts| wide(list.save());
        let segment = |loan: u32| self.segments.keys.key(loan);
        table(vec![
            ("loan", Utf8, Arc::new(loans.keys.save())),
            ("case", UInt32, copied(&loans.case)),
            ("next", UInt32, copied(&loans.next)),
            ("segment", Utf8, texts(loans.segment.iter().map(|number| segment(*number)))),
            ("price", Int64, money(&loans.price)),
            ("balance", Int64, money(&loans.balance)),
            ("days", Int64, wide(loans.days.iter().map(|days| i64::from(*days)))),
            ("decided", Int64, money(&loans.decided)),
            ("placed_at", Int64, wide(loans.placed_at.iter().copied())),
            ("terms", UInt32, copied(&loans.terms)),
            ("turn", UInt32, narrow(loans.turn.iter().copied())),
        ])
    }

    fn save_cases(&self) -> RecordBatch {
        let cases = &self.cases;
        let names = cases.names().iter().copied();
        table(vec![
            ("name", UInt64, Arc::new(UInt64Array::from_iter_values(names))),
            ("head", UInt32, narrow(cases.head.iter().copied())),
            ("desk", UInt32, narrow(cases.desk.iter().map(|desk| u32::from(*desk)))),
            ("flags", UInt32, narrow(cases.flags.iter().map(|flags| u32::from(*flags)))),
        ])
    }

    /// What belongs to few cases: the line, marks, recalls, lots, what was said, as a list of
    /// (what, text, numbers).
    fn save_sides(&self) -> RecordBatch {
        let mut rows: Vec<(&str, &str, [i128; 5])> = Vec::new();
        let two = |a: i128, b: i128| [a, b, 0, 0, 0];
        rows.extend(self.line.iter().map(|case| ("line", "", two(i128::from(*case), 0))));
        for (case, marks) in &self.marks {
            let row = |mark: &u16| ("mark", "", two(i128::from(*case), i128::from(*mark)));
            rows.extend(marks.iter().map(row));
        }
        for (case, day) in &self.recalls {
            rows.push(("recall", "", two(i128::from(*case), i128::from(*day))));
        }
        for (name, digest) in &self.sent {
            rows.push(("sent", name, two(i128::from(*digest), 0)));
        }
        // By name: numbers of segments are others once memory is loaded.
        let named = self.arrived.iter();
        let named = named.map(|(segment, bins)| (self.segments.keys.key(*segment), bins));
        for (name, bins) in named.collect::<BTreeMap<_, _>>() {
            for (bin, (count, sum)) in bins {
                let [bin, count, sum] = [bin, count, sum].map(|number| i128::from(*number));
                rows.push(("arrived", name, [bin, count, sum, 0, 0]));
            }
        }
        for (desk, lot) in &self.lots {
            let sums = [lot.outstanding, lot.price, lot.weighted_days];
            let counts = [i128::from(*desk), i128::from(lot.cases), i128::from(lot.loans)];
            rows.push(("lot", "", [counts[0], counts[1], counts[2], sums[0], sums[1]]));
            rows.push(("lot_days", "", two(counts[0], sums[2])));
        }
        let number = |at: usize| {
            values(rows.iter().map(move |row| row.2[at]).collect::<Vec<_>>().into_iter())
        };
        table(vec![
            ("what", Utf8, texts(rows.iter().map(|row| row.0))),
            ("text", Utf8, texts(rows.iter().map(|row| row.1))),
            ("a", VALUE, number(0)),
            ("b", VALUE, number(1)),
            ("c", VALUE, number(2)),
            ("d", VALUE, number(3)),
            ("e", VALUE, number(4)),
        ])
    }

    fn save_numbers(&self) -> RecordBatch {
        let mut list = vec![i128::from(self.today.unwrap_or(i32::MIN))];
        let closed = self.closed.unwrap_or(Window { round: -1, ..Window::default() });
        for window in [self.window, closed] {
            list.extend([i128::from(window.round), window.value, window.bound]);
            list.extend([i128::from(window.decided), i128::from(window.spilled)]);
        }
        table(vec![("number", VALUE, values(list.into_iter()))])
    }

    /// Wakes from saved tables; `None` where they are not such.
    pub fn restore(&mut self, tables: &[RecordBatch]) -> Option<()> {
        let [
            agencies,
            desks,
            contracts,
            exclusions,
            known,
            pairs,
            shares,
            quotas,
            fixed,
            loans,
            cases,
            sides,
            numbers,
        ] = tables
        else {
            return None;
        };
        for (id, agency) in names(known, 0)?.iter().zip(names(known, 1)?.iter()) {
            self.market.intern(id, agency)?;
        }
        for (lender, agency) in names(pairs, 0)?.iter().zip(names(pairs, 1)?.iter()) {
            self.market.intern_quota(lender, agency);
        }
        for (name, rows) in [("agencies", agencies), ("desks", desks), ("contracts", contracts)] {
            if rows.num_rows() > 0 {
                self.market.hear(name, rows);
            }
        }
        if exclusions.num_rows() > 0 {
            self.exclusions.hear(exclusions, self.rules.loan_key);
        }
        self.desks = load_shares(shares)?;
        self.quotas = load_shares(quotas)?;
        self.lane = Lane::new(&self.market, &self.desks, self.rules.value_min);
        self.fixed = load_fixed(fixed)?;
        self.load_loans(loans)?;
        self.load_cases(cases)?;
        self.load_sides(sides)?;
        self.load_numbers(&exacts(numbers, 0)?)
    }

    fn load_loans(&mut self, table: &RecordBatch) -> Option<()> {
        let keys = Keys::load(&saved::<StringArray>(table, 0)?);
        let mut loans = Loans {
            keys,
            case: narrows(table, 1)?,
            next: narrows(table, 2)?,
            segment: Vec::with_capacity(table.num_rows()),
            price: Amounts::load(wides(table, 4)?),
            balance: Amounts::load(wides(table, 5)?),
            days: wides(table, 6)?.into_iter().map(|days| days as i16).collect(),
            decided: Amounts::load(wides(table, 7)?),
            placed_at: wides(table, 8)?,
            terms: narrows(table, 9)?,
            turn: narrows(table, 10)?,
        };
        for key in names(table, 3)? {
            loans.segment.push(self.segment(&key)?);
        }
        self.loans = loans;
        Some(())
    }

    /// The number of a segment from its saved key.
    fn segment(&mut self, key: &str) -> Option<u32> {
        let mut parts = key.splitn(4, super::cases::PART);
        let bucket = parts.next()?.parse().ok()?;
        let (province, product, lender) = (parts.next()?, parts.next()?, parts.next()?);
        Some(self.segments.row(province, product, bucket, lender))
    }

    fn load_cases(&mut self, table: &RecordBatch) -> Option<()> {
        let hashes = saved::<UInt64Array>(table, 0)?;
        let mut cases = Cases::default();
        for row in 0..table.num_rows() {
            cases.add(hashes.value(row), self.rules.case == Case::Borrower);
        }
        cases.head = narrows(table, 1)?;
        cases.desk = shorts(table, 2)?;
        cases.flags = narrows(table, 3)?.into_iter().map(|flags| flags as u8).collect();
        self.cases = cases;
        Some(())
    }

    fn load_sides(&mut self, table: &RecordBatch) -> Option<()> {
        let (what, text) = (names(table, 0)?, names(table, 1)?);
        let numbers: Vec<Vec<i128>> =
            (2..7).map(|index| exacts(table, index)).collect::<Option<_>>()?;
        for row in 0..table.num_rows() {
            let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|column: usize| numbers[column][row]);
            match what[row].as_str() {
                "line" => self.line.push(a as u32),
                "mark" => self.marks.entry(a as u32).or_default().push(b as u16),
                "recall" => drop(self.recalls.insert(a as u32, b as i32)),
                "sent" => drop(self.sent.insert(text[row].clone(), a as u64)),
                "arrived" => {
                    let segment = self.segment(&text[row])?;
                    let bins = self.arrived.entry(segment).or_default();
                    bins.insert(a as i64, (b as i64, c as i64));
                }
                "lot" => {
                    let lot = self.lots.entry(a as u16).or_default();
                    let (cases, loans) = (b as i64, c as i64);
                    *lot = Lot { cases, loans, outstanding: d, price: e, weighted_days: 0 };
                }
                "lot_days" => self.lots.entry(a as u16).or_default().weighted_days = b,
                _ => return None,
            }
        }
        Some(())
    }

    fn load_numbers(&mut self, list: &[i128]) -> Option<()> {
        let today = i32::try_from(*list.first()?).ok()?;
        self.today = (today != i32::MIN).then_some(today);
        let window = |at: usize| {
            Some(Window {
                round: *list.get(at)? as i64,
                value: *list.get(at + 1)?,
                bound: *list.get(at + 2)?,
                decided: *list.get(at + 3)? as i64,
                spilled: *list.get(at + 4)? as i64,
            })
        };
        self.window = window(1)?;
        self.closed = Some(window(6)?).filter(|window| window.round >= 0);
        Some(())
    }
}

fn load_fixed(table: &RecordBatch) -> Option<FixedTerms> {
    let (desks, commissions) = (shorts(table, 0)?, wides(table, 1)?);
    let (slopes, costs) = (wides(table, 2)?, wides(table, 3)?);
    let mut fixed = FixedTerms::default();
    for row in 0..table.num_rows() {
        let (desk, commission) = (desks[row], commissions[row]);
        fixed.number(Fixed { desk, commission, slope: slopes[row], cost: costs[row] });
    }
    Some(fixed)
}

fn save_shares(shares: &[Share]) -> RecordBatch {
    let column = |pick: fn(&Share) -> Option<i64>| -> ArrayRef {
        Arc::new(Int64Array::from_iter(shares.iter().map(pick)))
    };
    let flags = |pick: fn(&Share) -> bool| -> ArrayRef {
        Arc::new(BooleanArray::from(shares.iter().map(pick).collect::<Vec<_>>()))
    };
    table(vec![
        ("capacity", Int64, column(|share| share.capacity)),
        ("left", Int64, column(|share| Some(share.left))),
        ("back", Int64, column(|share| Some(share.back))),
        ("open", Int64, column(|share| Some(share.open))),
        ("used", Int64, column(|share| Some(share.used))),
        ("bid", Int64, column(|share| Some(share.bid))),
        ("amount_max", Int64, column(|share| share.amount_max)),
        ("amount_left", Int64, column(|share| Some(share.amount_left))),
        ("amount_back", Int64, column(|share| Some(share.amount_back))),
        ("amount_open", Int64, column(|share| Some(share.amount_open))),
        ("freed", Int64, column(|share| Some(share.freed))),
        ("pool", Boolean, flags(|share| share.pool)),
        ("frozen", Boolean, flags(|share| share.frozen)),
        ("by_round", Boolean, flags(|share| share.by_round)),
        ("amount_pool", Boolean, flags(|share| share.amount_pool)),
    ])
}

fn load_shares(table: &RecordBatch) -> Option<Vec<Share>> {
    let numbers: Vec<Int64Array> =
        (0..11).map(|index| saved(table, index)).collect::<Option<_>>()?;
    let flags: Vec<BooleanArray> =
        (11..15).map(|index| saved(table, index)).collect::<Option<_>>()?;
    let share = |row: usize| {
        let limit = |at: usize| (!numbers[at].is_null(row)).then(|| numbers[at].value(row));
        let number = |at: usize| numbers[at].value(row);
        Share {
            capacity: limit(0),
            left: number(1),
            back: number(2),
            open: number(3),
            used: number(4),
            bid: number(5),
            amount_max: limit(6),
            amount_left: number(7),
            amount_back: number(8),
            amount_open: number(9),
            freed: number(10),
            pool: flags[0].value(row),
            frozen: flags[1].value(row),
            by_round: flags[2].value(row),
            amount_pool: flags[3].value(row),
        }
    };
    Some((0..table.num_rows()).map(share).collect())
}
