//! An agency's own report, as CSV, against the ledger: of a reading room, or of `batch`'s files.
//!
//! The report has a header that names `movement_id` (or `payment_id`), `amount` and `commission`;
//! other columns are ignored. A line that cannot be read is named with its number and its reason
//! and takes no part. On our side a movement is what came in by it and the commission on it,
//! corrections included, over the days it was booked on.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord, Trim};
use recoup_operators::close::reconcile::Entry;

use crate::post::line_of;

/// Which of our entries the report is about.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub agency: String,
    /// First and last day, as `2026-03-01`; none: without end.
    pub from: Option<String>,
    pub to: Option<String>,
}

impl Scope {
    fn covers(&self, agency: &str, day: &str) -> bool {
        let from = self.from.as_deref().is_none_or(|from| from <= day);
        let to = self.to.as_deref().is_none_or(|to| day <= to);
        agency == self.agency && from && to
    }
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct Unread {
    pub file: String,
    pub line: u64,
    pub what: String,
}

/// A file that could not be compared at all.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error("{}: {cause}", path.display())]
    File { path: PathBuf, cause: String },
    #[error("{0}")]
    Line(Unread),
}

type Rows = Vec<(u64, Result<StringRecord, String>)>;

/// The header's columns by name, and the rows with their lines.
fn sheet(bytes: &[u8]) -> Result<(BTreeMap<String, usize>, Rows), String> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(bytes);
    let header = reader.headers().map_err(|error| plain(&error))?;
    let places = header.iter().enumerate().map(|(place, name)| (name.to_owned(), place)).collect();
    let rows = reader.into_records().map(|row| match row {
        Ok(row) => (line_of(bytes, row.position()), Ok(row)),
        Err(error) => (line_of(bytes, error.position()), Err(plain(&error))),
    });
    Ok((places, rows.collect()))
}

fn plain(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} values, expected {expected_len} as in the header")
        }
        csv::ErrorKind::Utf8 { .. } => "the line is not UTF-8".into(),
        _ => error.to_string(),
    }
}

/// What an agency reports, and the lines that cannot be read.
pub fn read_report(file: &str, bytes: &[u8]) -> Result<(Vec<Entry>, Vec<Unread>), Unread> {
    let unread = |line, what| Unread { file: file.into(), line, what };
    let (places, rows) = sheet(bytes).map_err(|what| unread(1, what))?;
    let place = |names: &[&str]| {
        let found = names.iter().find_map(|name| places.get(*name).copied());
        found.ok_or_else(|| unread(1, format!("column {} is missing", names[0])))
    };
    let id = place(&["movement_id", "payment_id"])?;
    let amounts = [("amount", place(&["amount"])?), ("commission", place(&["commission"])?)];
    let (mut entries, mut bad) = (vec![], vec![]);
    for (line, row) in rows {
        match row.and_then(|row| entry(&row, id, amounts, line)) {
            Ok(entry) => entries.push(entry),
            Err(what) => bad.push(unread(line, what)),
        }
    }
    Ok((entries, bad))
}

fn entry(
    row: &StringRecord,
    id: usize,
    amounts: [(&str, usize); 2],
    line: u64,
) -> Result<Entry, String> {
    let cell = |place: usize| row.get(place).unwrap_or_default();
    let movement_id = cell(id).to_owned();
    if movement_id.is_empty() {
        return Err("movement_id \"\": expected a value".into());
    }
    let mut read = [0; 2];
    for (cents_read, (name, place)) in read.iter_mut().zip(amounts) {
        let text = cell(place);
        *cents_read = cents(text)
            .ok_or_else(|| format!("{name} {text:?}: expected an amount such as 12.30"))?;
    }
    let [amount, commission] = read;
    Ok(Entry { movement_id, amount, commission, line })
}

/// Cents of a decimal with at most two digits behind the point.
pub fn cents(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.len() > 2 || whole.len() > 15 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction = format!("{fraction:0<2}");
    Some(sign * (whole.parse::<i128>().ok()? * 100 + fraction.parse::<i128>().ok()?))
}

/// Cents as people write them.
pub fn money(cents: i128) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.unsigned_abs() / 100, cents.unsigned_abs() % 100)
}

/// A line of the ledger as part of a movement: what came in, or commission; else nothing.
pub fn booked(entry_id: &str, account: &str, amount: i128) -> Option<Entry> {
    // An entry's id is its movement's, its place in the log and its line.
    let movement_id = entry_id.rsplitn(4, ':').nth(3)?.to_owned();
    let entry = Entry { movement_id, ..Entry::default() };
    match account {
        "bank" | "agency_clearing" => Some(Entry { amount, ..entry }),
        "collection_cost" => Some(Entry { commission: amount, ..entry }),
        _ => None,
    }
}

/// Our side, from the ledger that `batch` wrote to a folder.
pub fn from_files(folder: &Path, scope: &Scope) -> Result<Vec<Entry>, ReconcileError> {
    let path = folder.join("ledger.csv");
    let failed = |cause: String| ReconcileError::File { path: path.clone(), cause };
    let bytes = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
    let (places, rows) = sheet(&bytes).map_err(failed)?;
    let names = ["entry_id", "loan_id", "agency_id", "account", "amount", "booked_on"];
    let mut columns = [0; 6];
    for (column, name) in columns.iter_mut().zip(names) {
        let place = places.get(name).copied();
        *column = place.ok_or_else(|| failed(format!("column {name} is missing")))?;
    }
    let mut entries = vec![];
    for (line, row) in rows {
        let unread = |what| {
            let file = path.display().to_string();
            ReconcileError::Line(Unread { file, line, what })
        };
        let row = row.map_err(unread)?;
        let [id, loan, agency, account, amount, day] =
            columns.map(|column| row.get(column).unwrap_or_default());
        // A remittance names no loan: it is no movement.
        if loan.is_empty() || !scope.covers(agency, day) {
            continue;
        }
        let amount =
            cents(amount).ok_or_else(|| unread(format!("amount {amount:?} is no amount")))?;
        entries.extend(booked(id, account, amount));
    }
    Ok(entries)
}

/// The query whose answer is our side, and which [`from_room`] reads.
pub fn query(scope: &Scope) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let mut query = "SELECT entry_id, account, amount FROM ledger WHERE loan_id IS NOT NULL \
                     AND account IN ('bank', 'agency_clearing', 'collection_cost')"
        .to_owned();
    query += &format!(" AND agency_id = {}", quoted(&scope.agency));
    for (day, compared) in [(&scope.from, ">="), (&scope.to, "<=")] {
        if let Some(day) = day {
            query += &format!(" AND booked_on {compared} DATE {}", quoted(day));
        }
    }
    query
}

/// Our side, from the rows that a reading room answered to [`query`].
pub fn from_room(rows: &[Vec<Option<String>>]) -> Vec<Entry> {
    let entries = rows.iter().filter_map(|row| match row.as_slice() {
        [Some(id), Some(account), Some(amount)] => booked(id, account, cents(amount)?),
        _ => None,
    });
    entries.collect()
}
