//! One loan's part of a step, in words: what came, what is owed and what it is worth then, who has
//! the case and why, and what was booked.

use datafusion::arrow::array::Array;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use recoup_sql::Said;

/// A row of one relation.
struct Row<'a> {
    rows: &'a RecordBatch,
    row: usize,
}

impl Row<'_> {
    /// The text of a field; empty where it is absent.
    fn get(&self, name: &str) -> String {
        let column = self.rows.column_by_name(name).filter(|column| column.is_valid(self.row));
        let text = column.and_then(|column| array_value_to_string(column, self.row).ok());
        text.unwrap_or_default()
    }

    fn or(&self, name: &str, absent: &str) -> String {
        Some(self.get(name)).filter(|text| !text.is_empty()).unwrap_or_else(|| absent.into())
    }
}

fn rows_of(rows: &RecordBatch) -> impl Iterator<Item = Row<'_>> {
    (0..rows.num_rows()).map(move |row| Row { rows, row })
}

/// The sentences, one a line; `None` if the step does not touch the loan.
pub fn words(loan: &str, saw: &RecordBatch, said: &[Said]) -> Option<String> {
    let mut lines: Vec<String> = vec![];
    for row in rows_of(saw) {
        let (kind, named) = (row.get("kind"), row.get("loan_id"));
        if named == loan {
            lines.push(came(&kind, &row));
        } else if named.is_empty() && !kind.is_empty() {
            lines.push(format!("saw {kind}, which every loan hears"));
        }
    }
    let heard = lines.len();
    for one in said {
        for row in rows_of(&one.rows).filter(|row| row.get("loan_id") == loan) {
            lines.extend(sentence(&one.relation, &row));
        }
    }
    let touched = lines.len() > heard || rows_of(saw).any(|row| row.get("loan_id") == loan);
    touched.then(|| format!("loan {loan}\n  {}\n", lines.join("\n  ")))
}

fn came(kind: &str, row: &Row<'_>) -> String {
    let (id, at) = (row.or("id", &row.get("event_id")), row.or("at", &row.get("event_time")));
    match kind {
        "report" => format!(
            "saw report {id} as of {at}: principal {}, interest {}, penalty {}, fee {}, \
             {} days past due",
            row.get("principal"),
            row.get("interest"),
            row.get("penalty"),
            row.get("fee"),
            row.get("days_past_due")
        ),
        "" => format!("saw record {id} at {at}"),
        kind => format!("saw {kind} {id} of {} at {at}", row.get("amount")),
    }
}

fn sentence(relation: &str, row: &Row<'_>) -> Option<String> {
    Some(match relation {
        "loans" => format!(
            "owed {} {}: principal {}, interest {}, penalty {}, fee {}; bucket {}",
            row.get("balance"),
            row.get("currency"),
            row.get("principal"),
            row.get("interest"),
            row.get("penalty"),
            row.get("fee"),
            row.get("bucket")
        ),
        "prices" => format!("priced at {}", row.or("price", "nothing: no curve or index for it")),
        "placements" => placed(row),
        "ledger" => format!(
            "booked {} {} on {} for {}",
            row.get("amount"),
            row.get("currency"),
            row.get("account"),
            row.get("cause")
        ),
        "refused" => format!("refused: {}", row.get("reason")),
        _ => return None,
    })
}

/// A decision with its why.
fn placed(row: &Row<'_>) -> String {
    let (status, agency, desk) = (row.get("status"), row.get("agency_id"), row.get("desk_id"));
    let mut text = match agency.as_str() {
        "" => format!("case {status}, with nobody"),
        _ => format!("case {status} at desk {desk} of {agency}, worth {} there", row.get("value")),
    };
    let bid = row.get("bid_price");
    if !bid.is_empty() {
        text += &format!(", its capacity costing {bid}");
    }
    let second = row.get("second_desk_id");
    if !second.is_empty() {
        text += &format!("; next best {second} with {}", row.get("second_value"));
    }
    let full = row.get("full_desks");
    if !full.is_empty() {
        text += &format!("; full: {full}");
    }
    text
}
