//! What leaves the program: its relations as tables, for live SQL and for `batch --out`.
//!
//! Each relation shows the columns that the program promises, under those names and first, then a
//! few that are useful beside them. Where a fact stood in the log (`shard`, `seq`, `row`) is not
//! shown. A relation that this file does not name gets a table when it is first seen.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use recoup_operators::dispatch::facts as dispatch;
use recoup_operators::facts;
use recoup_operators::memory::table::{Snapshot, Table};

use super::lines;

/// A relation that the program promises.
struct Promised {
    name: &'static str,
    /// The newest row of a key counts; without a key every row stays.
    key: &'static [&'static str],
    columns: &'static [&'static str],
    beside: &'static [&'static str],
    source: fn() -> SchemaRef,
}

const PROMISED: [Promised; 10] = [
    Promised {
        name: "loans",
        key: &["loan_id", "lender_id"],
        columns: &[
            "loan_id",
            "lender_id",
            "borrower_id",
            "product",
            "province",
            "principal",
            "interest",
            "penalty",
            "fee",
            "balance",
            "days_past_due",
            "bucket",
            "origination_date",
            "due_date",
            "phone_masked",
            "score",
            "contactable",
            "event_id",
            "event_time",
        ],
        beside: &["currency", "delinquent_days"],
        source: facts::stamped,
    },
    Promised {
        name: "instalments",
        key: &["loan_id", "lender_id"],
        columns: &[
            "loan_id",
            "lender_id",
            "currency",
            "day",
            "past_due",
            "past_due_on",
            "past_due_days",
            "delinquent_on",
            "delinquent_days",
            "class",
            "by_range",
            "open",
        ],
        beside: &[],
        source: facts::instalments,
    },
    Promised {
        name: "prices",
        key: &["loan_id", "lender_id"],
        columns: &["loan_id", "lender_id", "product", "province", "bucket", "balance", "price"],
        beside: &["currency"],
        source: facts::priced,
    },
    Promised {
        name: "placements",
        key: &["loan_id", "lender_id"],
        columns: &[
            "loan_id",
            "lender_id",
            "agency_id",
            "desk_id",
            "price",
            "value",
            "placed_at",
            "status",
        ],
        beside: &[
            "placement",
            "commission_rate",
            "bid_price",
            "second_desk_id",
            "second_value",
            "full_desks",
            "exited_at",
            "reason",
        ],
        source: placements,
    },
    Promised {
        name: "rounds",
        key: &["round"],
        columns: &[
            "round",
            "at",
            "value",
            "bound",
            "gap",
            "decided",
            "waiting",
            "spilled",
            "places",
            "taken",
            "share_use",
        ],
        beside: &[
            "nowhere",
            "held_back",
            "arrived",
            "expected",
            "forecast",
            "answered",
            "silent",
            "expected_gap",
            "evaluations",
            "note",
        ],
        source: dispatch::rounds,
    },
    Promised {
        name: "ledger",
        key: &[],
        columns: &[
            "entry_id",
            "loan_id",
            "lender_id",
            "agency_id",
            "account",
            "amount",
            "currency",
            "booked_on",
            "cause",
        ],
        beside: &["contract", "rule"],
        source: facts::ledger,
    },
    Promised {
        name: "statements",
        key: &["lender_id", "agency_id", "day", "currency"],
        columns: &[
            "lender_id",
            "agency_id",
            "day",
            "count",
            "collected",
            "penalty",
            "fee",
            "interest",
            "principal",
            "over",
            "commission",
            "remittance",
        ],
        beside: &["currency", "closed", "corrections", "vat", "held", "due", "invoiced"],
        source: facts::statements,
    },
    Promised {
        name: "remitted",
        key: &["remittance_id"],
        columns: &[
            "remittance_id",
            "lender_id",
            "agency_id",
            "currency",
            "received_on",
            "amount",
            "withheld",
            "paid",
            "booked_on",
        ],
        beside: &[],
        source: facts::remitted,
    },
    Promised {
        name: "days",
        key: &["day"],
        columns: &["day", "closed_through"],
        beside: &[],
        source: facts::days,
    },
    Promised {
        name: "refused",
        key: &[],
        columns: &["lender_id", "reason", "source", "raw"],
        beside: &[],
        source: facts::refused,
    },
];

/// Where a fact stands in the log: for the program, not for people.
const PLACE: [&str; 3] = ["shard", "seq", "row"];

/// Said from one stage to the next and of no use once heard.
const NOT_KEPT: [&str; 6] = ["demand", "facts", "letters", "lines", "remittances", "ticked"];

/// Whether a relation gets a table.
pub(super) fn is_kept(name: &str) -> bool {
    !NOT_KEPT.contains(&name)
}

/// How `batch` writes its relations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Csv,
    Parquet,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Parquet => "parquet",
        }
    }
}

/// A relation that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {cause}")]
pub struct WriteError {
    path: PathBuf,
    cause: String,
}

/// Every relation that leaves the program.
pub struct Relations {
    tables: BTreeMap<String, Table>,
}

impl Default for Relations {
    fn default() -> Self {
        Relations::new()
    }
}

impl Relations {
    /// The promised relations, empty.
    pub fn new() -> Self {
        let tables = PROMISED.iter().map(|promised| {
            let columns = promised.columns.iter().chain(promised.beside);
            let schema = pick(&(promised.source)(), columns);
            (promised.name.to_owned(), Table::keyed(schema, promised.key))
        });
        Relations { tables: tables.collect() }
    }

    /// Takes in rows of one relation, as a stage said them.
    pub fn apply(&mut self, name: &str, rows: &RecordBatch) {
        if !is_kept(name) {
            return;
        }
        if let Some(table) = self.tables.get_mut(name) {
            return table.apply(rows);
        }
        let mut table = Table::appended(without_place(&rows.schema()));
        table.apply(rows);
        self.tables.insert(name.to_owned(), table);
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    pub fn schema(&self, name: &str) -> Option<SchemaRef> {
        self.tables.get(name).map(|table| table.schema().clone())
    }

    /// A relation as it is now.
    pub fn snapshot(&self, name: &str) -> Option<Arc<Snapshot>> {
        self.tables.get(name).map(|table| Arc::new(table.snapshot()))
    }

    /// The columns of every relation there is.
    pub fn schemas(&self) -> Vec<(String, SchemaRef)> {
        let tables = self.tables.iter();
        tables.map(|(name, table)| (name.clone(), table.schema().clone())).collect()
    }

    /// The rows of every relation there is.
    pub fn rows(&self) -> Vec<(String, Vec<RecordBatch>)> {
        self.tables.iter().map(|(name, table)| (name.clone(), table.scan())).collect()
    }

    /// Puts a relation in place as a whole.
    pub fn put(&mut self, name: &str, rows: &RecordBatch) {
        let mut table = Table::appended(rows.schema());
        table.apply(rows);
        self.tables.insert(name.to_owned(), table);
    }

    /// Bytes in use.
    pub fn size(&self) -> usize {
        self.tables.values().map(Table::size).sum()
    }

    /// Writes every relation to a file of its name, rows in the order they were last written.
    /// Money is a plain decimal, an instant RFC 3339 in UTC, what is absent an empty field.
    pub fn write(&self, dir: &Path, format: Format) -> Result<(), WriteError> {
        let failed = |path: &Path, cause: String| WriteError { path: path.to_owned(), cause };
        fs::create_dir_all(dir).map_err(|error| failed(dir, error.to_string()))?;
        let one = |name: &str, table: &Table| {
            let path = dir.join(format!("{name}.{}", format.extension()));
            let part = path.with_extension("part");
            let written = match format {
                Format::Csv => write_csv(&part, table),
                Format::Parquet => write_parquet(&part, table),
            };
            written.map_err(|cause| failed(&path, cause))?;
            // Whoever finds the file under its name finds all of it.
            fs::rename(&part, &path).map_err(|error| failed(&path, error.to_string()))
        };
        // Side by side: writing is formatting, and that is work.
        std::thread::scope(|scope| {
            let tables = self.tables.iter();
            let writing: Vec<_> =
                tables.map(|(name, table)| scope.spawn(|| one(name, table))).collect();
            for thread in writing {
                let died = |_| failed(dir, "a writing thread died".into());
                thread.join().map_err(died)??;
            }
            Ok(())
        })
    }
}

fn write_csv(path: &Path, table: &Table) -> Result<(), String> {
    let file = File::create(path).map_err(|error| error.to_string())?;
    let schema = table.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let written = lines::write(file, &names, table.snapshot().batches());
    written.map_err(|error| error.to_string())
}

fn write_parquet(path: &Path, table: &Table) -> Result<(), String> {
    let file = File::create(path).map_err(|error| error.to_string())?;
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let properties = WriterProperties::builder().set_compression(zstd).build();
    let mut writer = ArrowWriter::try_new(file, table.schema().clone(), Some(properties))
        .map_err(|error| error.to_string())?;
    for rows in table.snapshot().batches() {
        writer.write(&rows).map_err(|error| error.to_string())?;
    }
    writer.close().map(drop).map_err(|error| error.to_string())
}

fn pick<'a>(source: &SchemaRef, columns: impl Iterator<Item = &'a &'static str>) -> SchemaRef {
    let field = |name: &&'static str| match source.field_with_name(name) {
        Ok(field) => field.clone(),
        Err(error) => panic!("a promised column is said by its stage: {error}"),
    };
    Arc::new(Schema::new(columns.map(field).collect::<Vec<Field>>()))
}

/// What dispatch says of a placement, and when its loan left collection.
fn placements() -> SchemaRef {
    let mut fields: Vec<_> = facts::placements().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("exited_at", facts::instant(), true)));
    Arc::new(Schema::new(fields))
}

fn without_place(schema: &Schema) -> SchemaRef {
    let shown = schema.fields().iter().filter(|field| !PLACE.contains(&field.name().as_str()));
    Arc::new(Schema::new(shown.cloned().collect::<Vec<_>>()))
}
