//! An agency's own report against our books, movement by movement.

use std::collections::BTreeMap;

/// A line as one side has it. Money is in cents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub movement_id: String,
    /// What came in.
    pub amount: i128,
    pub commission: i128,
    /// Where it stands in its file; 0 where it has none.
    pub line: u64,
}

/// All that one side says of a movement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    pub amount: i128,
    pub commission: i128,
    /// The lines of its file that were added up.
    pub lines: Vec<u64>,
}

/// What the comparison of a movement comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Matched,
    /// Both have it, and differ in the amount or the commission.
    Different,
    /// The agency has it, we do not.
    MissingHere,
    /// We have it, the agency does not.
    MissingThere,
}

impl Class {
    pub const EVERY: [Class; 4] =
        [Class::Matched, Class::Different, Class::MissingHere, Class::MissingThere];

    pub fn name(self) -> &'static str {
        match self {
            Class::Matched => "matched",
            Class::Different => "different",
            Class::MissingHere => "missing_here",
            Class::MissingThere => "missing_there",
        }
    }
}

/// A movement, and what either side says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub movement_id: String,
    pub ours: Option<Side>,
    pub theirs: Option<Side>,
}

impl Finding {
    pub fn class(&self) -> Class {
        match (&self.ours, &self.theirs) {
            (Some(ours), Some(theirs)) => {
                let same = ours.amount == theirs.amount && ours.commission == theirs.commission;
                if same { Class::Matched } else { Class::Different }
            }
            (None, _) => Class::MissingHere,
            (Some(_), None) => Class::MissingThere,
        }
    }
}

/// Every movement of either side once, by id. Lines of one id are added up first: a correction
/// belongs to its movement. What came to nothing on our side is as good as not there.
pub fn reconcile(
    ours: impl IntoIterator<Item = Entry>,
    theirs: impl IntoIterator<Item = Entry>,
) -> Vec<Finding> {
    let mut found: BTreeMap<String, [Option<Side>; 2]> = BTreeMap::new();
    let sides = ours.into_iter().map(|entry| (0, entry));
    for (side, entry) in sides.chain(theirs.into_iter().map(|entry| (1, entry))) {
        let sides = found.entry(entry.movement_id).or_default();
        let sum = sides[side].get_or_insert_default();
        sum.amount += entry.amount;
        sum.commission += entry.commission;
        sum.lines.extend((entry.line > 0).then_some(entry.line));
    }
    let findings = found.into_iter().map(|(movement_id, [ours, theirs])| {
        let ours = ours.filter(|side| side.amount != 0 || side.commission != 0);
        Finding { movement_id, ours, theirs }
    });
    findings.filter(|finding| finding.ours.is_some() || finding.theirs.is_some()).collect()
}

/// Count and sums of a class: amounts and commissions of ours and theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub count: usize,
    pub ours: [i128; 2],
    pub theirs: [i128; 2],
}

/// The sums of each class, in the order of [`Class::EVERY`].
pub fn sums(findings: &[Finding]) -> [Sum; 4] {
    let mut sums = [Sum::default(); 4];
    for finding in findings {
        let sum = &mut sums[finding.class() as usize];
        sum.count += 1;
        for (total, side) in [(&mut sum.ours, &finding.ours), (&mut sum.theirs, &finding.theirs)] {
            let Some(side) = side else { continue };
            total[0] += side.amount;
            total[1] += side.commission;
        }
    }
    sums
}
