//! Each verb shown from data: `operators/<verb>/<verb>.slt`, run through the program that ships.
//!
//! Records are divided by empty lines, and may begin with comments. `post TABLE` and `publish csv`
//! or `publish json` take the lines that follow; `day DATE` lets every day pass up to one; `query`
//! compares what its SQL answers with what stands behind `----`, cells divided by ` | `. Beside
//! the relations that leave the program the streams' own are there: `facts`, `letters`, `quotas`,
//! `lines`. `UPDATE=1` writes what was answered in the place of what was expected.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use recoup::batch::Batch;
use recoup::decoder::{Decoder, FORMAT};
use recoup::drive::Waiting;
use recoup::log::{Log, Outgoing, ReadLimit};
use recoup::post::parse_reference;
use recoup::rows;
use recoup_operators::{ALL, Rules};
use recoup_sql::shipped;

/// What streams say to the next stage.
const SAID: [(&str, &str); 4] =
    [("reports", "facts"), ("loans", "letters"), ("loans", "quotas"), ("book", "lines")];
const WIDE: ReadLimit = ReadLimit { messages: usize::MAX, bytes: usize::MAX };

/// The file of every verb, and that of the price, which is SQL alone.
fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("operators");
    let of_verbs = ALL.iter().map(|verb| folder.join(verb.name).join(format!("{}.slt", verb.name)));
    of_verbs.chain([folder.join("reprice.slt")]).collect()
}

#[test]
fn every_verb_does_what_its_file_shows() {
    for path in files() {
        let shown = path.display();
        let written = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let found = play(&written).unwrap_or_else(|why| panic!("{shown}: {why}"));
        assert!(found.contains("----\n"), "{shown} asks nothing");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, found).unwrap();
            continue;
        }
        for (line, (found, written)) in (1..).zip(found.lines().zip(written.lines())) {
            assert_eq!(found, written, "{shown}:{line}; UPDATE=1 writes what is found");
        }
        assert_eq!(found.len(), written.len(), "{shown}; UPDATE=1 writes what is found");
    }
}

/// The file as its queries answer now.
fn play(text: &str) -> Result<String, String> {
    let rules = Rules { shards: 1, ..Rules::default() };
    let batch = Batch::open(&rules, &shipped(), Decoder::default());
    let mut batch = batch.map_err(|error| error.to_string())?;
    let mut played = vec![];
    for record in text.trim_end().split("\n\n") {
        let begins = record.lines().take_while(|line| line.starts_with('#')).count();
        let mut lines = record.lines().skip(begins);
        let command = lines.next().unwrap_or_default();
        let body = lines.collect::<Vec<_>>().join("\n");
        let done = match command.split_once(' ').unwrap_or((command, "")) {
            ("post", table) => post(&mut batch, table, &body),
            ("publish", format @ ("csv" | "json")) => publish(&mut batch, format, body),
            ("day", date) => day(&mut batch, date),
            ("query", "") => {
                let query = body.split("----").next().unwrap_or_default();
                played.push(answered(record, &ask(&mut batch, query)?));
                continue;
            }
            // A record of comments only.
            ("", "") => Ok(()),
            _ => Err("there is no such record".into()),
        };
        done.map_err(|why: String| format!("{command}: {why}"))?;
        played.push(record.to_owned());
    }
    Ok(played.join("\n\n") + "\n")
}

/// The record with these rows behind its line.
fn answered(record: &str, rows: &[String]) -> String {
    let asked = record.split("----").next().unwrap_or_default().trim_end();
    let rows: String = rows.iter().map(|row| format!("\n{row}")).collect();
    format!("{asked}\n----{rows}")
}

fn post(batch: &mut Batch, table: &str, body: &str) -> Result<(), String> {
    let reference = parse_reference(table, table, body.as_bytes());
    let reference = reference.map_err(|mistakes| format!("{mistakes:?}"))?;
    batch.post(table, &reference.batch).map_err(|error| error.to_string())
}

fn publish(batch: &mut Batch, format: &str, body: String) -> Result<(), String> {
    let message = Outgoing {
        subject: "intake.L1.file.0".into(),
        headers: vec![(FORMAT.into(), format.into())],
        payload: body.into_bytes().into(),
        rows: None,
        expects: None,
    };
    batch.publish(message, "file", 1).map_err(|error| error.to_string())?;
    batch.settle().map_err(|error| error.to_string())
}

fn day(batch: &mut Batch, date: &str) -> Result<(), String> {
    use datafusion::arrow::array::types::Date32Type;
    use datafusion::arrow::compute::kernels::cast_utils::Parser;
    let day = Date32Type::parse(date).ok_or("it is no date")?;
    batch.until(day.into()).map_err(|error| error.to_string())
}

/// Everything that was said so far, by relation.
fn said(batch: &mut Batch) -> BTreeMap<String, Vec<RecordBatch>> {
    batch.answer().unwrap();
    let mut relations: BTreeMap<_, _> = batch.relations.rows().into_iter().collect();
    for (stream, relation) in SAID {
        let filters = [format!("{stream}.*.{relation}")];
        let mut reader = Waiting::Here.wait(batch.log().read(stream, &filters, 0)).unwrap();
        let messages = Waiting::Here.wait(reader.next(WIDE, Duration::ZERO)).unwrap();
        let rows = messages.iter().flat_map(|message| rows::of(message).unwrap());
        relations.insert(relation.into(), rows.collect());
    }
    relations
}

/// What a query answers, row by row.
fn ask(batch: &mut Batch, query: &str) -> Result<Vec<String>, String> {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    for (name, rows) in said(batch) {
        let Some(first) = rows.first() else { continue };
        let table = MemTable::try_new(first.schema(), vec![rows]).unwrap();
        context.register_table(name.as_str(), Arc::new(table)).unwrap();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asked = async { context.sql(query).await?.collect().await };
    let answer = runtime.block_on(asked).map_err(|error| format!("{query}: {error}"))?;
    Ok(answer.iter().flat_map(texts).collect())
}

fn texts(rows: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<ArrayFormatter<'_>> = rows
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
        .collect();
    let cells = |row: usize| columns.iter().map(move |column| column.value(row).to_string());
    (0..rows.num_rows()).map(|row| cells(row).collect::<Vec<_>>().join(" | ")).collect()
}
