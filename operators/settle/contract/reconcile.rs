//! An agency's own report against ours, line by line.

use std::collections::BTreeMap;

/// A movement as one side knows it. Money is in cents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub movement_id: String,
    pub amount: i64,
    pub commission: i64,
}

/// What the comparison of one movement comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    Matched(Entry),
    /// We have it, the agency does not.
    MissingThere(Entry),
    /// The agency has it, we do not.
    MissingHere(Entry),
    Different {
        ours: Entry,
        theirs: Entry,
    },
}

/// Every movement of either side once, by id. Lines of one id are added up first.
pub fn reconcile(ours: &[Entry], theirs: &[Entry]) -> Vec<Finding> {
    let (ours, theirs) = (by_id(ours), by_id(theirs));
    let mut ids: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
    ids.sort();
    ids.dedup();
    ids.into_iter()
        .filter_map(|id| match (ours.get(id), theirs.get(id)) {
            (Some(own), Some(other)) if own == other => Some(Finding::Matched(own.clone())),
            (Some(own), Some(other)) => {
                Some(Finding::Different { ours: own.clone(), theirs: other.clone() })
            }
            (Some(own), None) => Some(Finding::MissingThere(own.clone())),
            (None, Some(other)) => Some(Finding::MissingHere(other.clone())),
            (None, None) => None,
        })
        .collect()
}

fn by_id(entries: &[Entry]) -> BTreeMap<String, Entry> {
    let mut sums: BTreeMap<String, Entry> = BTreeMap::new();
    for entry in entries {
        match sums.get_mut(&entry.movement_id) {
            Some(sum) => {
                sum.amount += entry.amount;
                sum.commission += entry.commission;
            }
            None => {
                sums.insert(entry.movement_id.clone(), entry.clone());
            }
        }
    }
    sums
}

/// Reads an agency's CSV: a header naming `movement_id`, `amount` and `commission` among its
/// columns, plain values, decimals with two digits. Lines that cannot be read come back as text.
pub fn read_report(csv: &str) -> (Vec<Entry>, Vec<String>) {
    let mut lines = csv.lines().map(str::trim).filter(|line| !line.is_empty());
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
    let place = |name: &str| header.iter().position(|column| *column == name);
    let places = [place("movement_id"), place("amount"), place("commission")];
    let mut bad = Vec::new();
    let mut entries = Vec::new();
    for line in lines {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let [id, amount, commission] =
            places.map(|place| place.and_then(|place| cells.get(place).copied()));
        let read = id.zip(amount.and_then(cents)).zip(commission.and_then(cents));
        match read {
            Some(((id, amount), commission)) => {
                entries.push(Entry { movement_id: id.to_owned(), amount, commission });
            }
            None => bad.push(line.to_owned()),
        }
    }
    (entries, bad)
}

/// Cents of a decimal with two digits.
fn cents(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.')?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.len() != 2 || whole.len() > 13 || !plain(whole) || !plain(fraction) {
        return None;
    }
    let cents = whole.parse::<i64>().ok()? * 100 + fraction.parse::<i64>().ok()?;
    Some(sign * cents)
}
