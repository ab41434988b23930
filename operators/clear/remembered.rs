//! The memory of the forecast as tables, and back.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType::Utf8;

use super::forecast::{Bins, Forecast, SLOTS};
use super::list;
use super::snapshot::{lists, table, texts};
use crate::dispatch::columns::Texts;
use crate::dispatch::facts::numbers;

const TODAY: &str = "today";
const BEFORE: &str = "before";

/// A row of numbers with what they are.
type Row = (&'static str, String, [i128; 7]);

impl Forecast {
    /// Cases by kind, of this stretch and of earlier ones.
    pub fn save_kinds(&self) -> RecordBatch {
        let mut rows: Vec<(&str, &str, [Vec<i64>; 3])> = Vec::new();
        for (what, kinds) in [(TODAY, &self.today), (BEFORE, &self.before)] {
            for (kind, bins) in kinds {
                let column = |pick: fn(&(&i64, &(i64, i64))) -> i64| -> Vec<i64> {
                    bins.iter().map(|bin| pick(&bin)).collect()
                };
                let columns = [column(|bin| *bin.0), column(|bin| bin.1.0), column(|bin| bin.1.1)];
                rows.push((what, kind, columns));
            }
        }
        let column = |at: usize| lists(rows.iter().map(|row| row.2[at].as_slice()));
        table(vec![
            ("what", Utf8, texts(rows.iter().map(|row| row.0))),
            ("kind", Utf8, texts(rows.iter().map(|row| row.1))),
            ("bins", numbers(), column(0)),
            ("counts", numbers(), column(1)),
            ("sums", numbers(), column(2)),
        ])
    }

    pub fn load_kinds(&mut self, table: &RecordBatch) -> Option<()> {
        let (what, kinds) = (Texts::of(table, "what"), Texts::of(table, "kind"));
        for row in 0..table.num_rows() {
            let [bins, counts, sums] =
                ["bins", "counts", "sums"].map(|name| list(table, name, row));
            let bins: Bins = bins.into_iter().zip(counts.into_iter().zip(sums)).collect();
            let kept: &mut BTreeMap<String, Bins> = match what.text(row) {
                TODAY => &mut self.today,
                BEFORE => &mut self.before,
                _ => return None,
            };
            kept.insert(kinds.text(row).to_string(), bins);
        }
        Some(())
    }

    /// Everything else, as rows of numbers.
    pub fn save_numbers(&self, rows: &mut Vec<Row>) {
        let mut say = |what: &'static str, list: [i64; 5]| {
            let [a, b, c, d, e] = list.map(i128::from);
            rows.push((what, String::new(), [a, b, c, d, e, 0, 0]));
        };
        if let Some(stretch) = self.stretch {
            let rounds = [self.rounds, self.rounds_before];
            say("stretch", [stretch, self.since as i64, rounds[0], rounds[1], self.known]);
        }
        for slot in 0..SLOTS {
            let (now, before) = (self.slots[slot], self.slots_before[slot]);
            if (now, before) != (0, 0) {
                say("slot", [slot as i64, now, before, 0, 0]);
            }
        }
        for (desk, freed) in &self.freed {
            say("freed", [i64::from(*desk), *freed, 0, 0, 0]);
        }
        for (desk, freed) in &self.freed_before {
            say("freed_before", [i64::from(*desk), *freed, 0, 0, 0]);
        }
    }

    pub fn load_number(&mut self, what: &str, row: [i128; 5]) -> Option<()> {
        let [a, b, c, d, e] = row.map(|number| number as i64);
        match what {
            "stretch" => {
                (self.stretch, self.since) = (Some(a), (b as usize).min(SLOTS - 1));
                (self.rounds, self.rounds_before, self.known) = (c, d, e);
            }
            "slot" => {
                *self.slots.get_mut(a as usize)? = b;
                *self.slots_before.get_mut(a as usize)? = c;
            }
            "freed" => drop(self.freed.insert(a as u16, b)),
            "freed_before" => drop(self.freed_before.insert(a as u16, b)),
            _ => return None,
        }
        Some(())
    }
}
