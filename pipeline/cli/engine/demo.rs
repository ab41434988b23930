//! `demo`: thirty thousand real accounts, six months, one command.
//!
//! Interrupted at any moment and started again it goes on: `load` knows what it has published, the
//! shards where they stand.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::datatypes::{Decimal128Type, Int64Type};
use futures::future::try_join_all;
use indicatif::{ProgressBar, ProgressStyle};
use recoup_sql::reshape::reshape;
use recoup_sql::stages::STAGES;
use serde_json::json;
use tracing::info;

use super::family::{Family, Home, asking};
use super::roles::stopped;
use crate::cli::demo::DemoArgs;
use crate::cli::{Failure, show};
use crate::cursor;
use crate::load::{LoadPlan, Pace, load};
use crate::log::{Log, LogError, ReadLimit};
use crate::post::{parse_reference, post};
use crate::rows;
use crate::serve::relations::Relations;
use crate::settings::Settings;
use crate::wake;

const LENDER: &str = "TWBANK";
/// How often in a row a child may fall before the demo gives up.
const FALLS_MAX: u32 = 5;
const LOOK: Duration = Duration::from_millis(50);
const ACCOUNTS: &[u8] = include_bytes!("../../../deploy/demo/uci_credit_default.csv.gz");
const REPORTS: &str = include_str!("../../../deploy/demo/reshape.report.sql");
const PAYMENTS: &str = include_str!("../../../deploy/demo/reshape.payment.sql");
const DIALECTS: [(&str, &str); 2] = [
    ("report", include_str!("../../../deploy/demo/uci.report.sql")),
    ("payment", include_str!("../../../deploy/demo/uci.payment.sql")),
];
const REFERENCES: [(&str, &str); 4] = [
    ("curve", include_str!("../../../deploy/demo/curve.csv")),
    ("market", include_str!("../../../deploy/demo/market.csv")),
    ("agencies", include_str!("../../../deploy/demo/agencies.csv")),
    ("contracts", include_str!("../../../deploy/demo/contracts.csv")),
];
/// Where a monthly file of reports has the bill.
const BILL: usize = 3;
/// The 15th, on which payments are dated, and the last day, as of which statements are.
const MONTHS: [(&str, &str); 6] = [
    ("2005-04-15", "2005-04-30"),
    ("2005-05-15", "2005-05-31"),
    ("2005-06-15", "2005-06-30"),
    ("2005-07-15", "2005-07-31"),
    ("2005-08-15", "2005-08-31"),
    ("2005-09-15", "2005-09-30"),
];

pub async fn demo(args: DemoArgs, settings: &Settings) -> Result<(), Failure> {
    let began = Instant::now();
    let mut home = Home::open(&args.data, settings)?;
    // First what may be missing here.
    let server = home.server().await?;
    home.settings.program.dialects = dialects(&home.data)?;
    let files = files(&home.data).await?;
    let log = super::broker::connect(&home.settings).await?;
    super::broker::init(&log, &home.settings).await?;
    for (name, text) in REFERENCES {
        let reference = parse_reference(name, &format!("{name}.csv"), text.as_bytes());
        let reference = reference.map_err(|mistakes| {
            Failure::Failed(mistakes.iter().map(|one| format!("{one}\n")).collect())
        })?;
        post(&log, &reference).await?;
    }
    let verbs: &[&'static str] = if args.once { &["run"] } else { &["run", "serve"] };
    let mut family = Family::start(&home, verbs, Some(FALLS_MAX))?;
    let streamed = tokio::select! {
        streamed = stream(&log, &home, &files, args.json) => streamed,
        failure = family.mind(&home) => Err(failure),
        () = stopped() => Err(Failure::Failed("stopped; `recoup demo` goes on from here".into())),
    };
    if let Err(failure) = streamed {
        family.stop().await;
        server.stop().await;
        return Err(failure);
    }
    let mut totals = totals(&log).await?;
    totals.push(("bills below zero", credits(&files)?.to_string()));
    show::text(&told(&args, &totals, began.elapsed()))?;
    if args.once {
        family.stop().await;
        server.stop().await;
        return Ok(());
    }
    println!("\n{}\nstop      Ctrl-C; `recoup demo` goes on from here", asking(&home));
    let ended = family.live(&home).await;
    server.stop().await;
    ended
}

/// The lender's dialect, as files that every process reads.
fn dialects(data: &Path) -> Result<String, Failure> {
    let folder = data.join("dialects");
    fs::create_dir_all(&folder).map_err(Failure::failed)?;
    for (kind, text) in DIALECTS {
        fs::write(folder.join(format!("{LENDER}.{kind}.sql")), text).map_err(Failure::failed)?;
    }
    Ok(folder.display().to_string())
}

/// The twelve monthly files, in order of time.
async fn files(data: &Path) -> Result<Vec<(&'static str, PathBuf)>, Failure> {
    let folder = data.join("intake");
    fs::create_dir_all(&folder).map_err(Failure::failed)?;
    let wide = folder.join("uci.csv.gz");
    fs::write(&wide, ACCOUNTS).map_err(Failure::failed)?;
    let columns: Vec<String> = std::iter::once("ID".to_string())
        .chain((1..=23).map(|n| format!("X{n}")))
        .chain(["Y".to_string()])
        .collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut files = vec![];
    for (paid_on, as_of) in MONTHS {
        let payments = folder.join(format!("payments-{paid_on}.csv"));
        let reports = folder.join(format!("reports-{as_of}.csv"));
        for (path, query, parameter) in
            [(&payments, PAYMENTS, ("paid_on", paid_on)), (&reports, REPORTS, ("as_of", as_of))]
        {
            if path.exists() {
                continue;
            }
            let rows = reshape(query, &[parameter], "uci", &wide, &columns).await;
            write(path, &rows.map_err(Failure::failed)?)?;
        }
        files.push(("payment", payments));
        files.push(("report", reports));
    }
    Ok(files)
}

/// How many bills are the borrower's credit: their principal is 0.00.
fn credits(files: &[(&str, PathBuf)]) -> Result<usize, Failure> {
    let mut count = 0;
    for (_, path) in files.iter().filter(|(kind, _)| *kind == "report") {
        let text = fs::read_to_string(path).map_err(Failure::failed)?;
        let bills = text.lines().filter_map(|line| line.split(',').nth(BILL));
        count += bills.filter(|bill| bill.starts_with('-')).count();
    }
    Ok(count)
}

/// Writes beside and moves into place, so that a file that is there is whole.
fn write(
    path: &Path,
    rows: &[datafusion::arrow::record_batch::RecordBatch],
) -> Result<(), Failure> {
    let beside = path.with_extension("part");
    let file = fs::File::create(&beside).map_err(Failure::failed)?;
    let mut writer = WriterBuilder::new().with_header(true).build(file);
    for rows in rows {
        writer.write(rows).map_err(Failure::failed)?;
    }
    fs::rename(&beside, path).map_err(Failure::failed)
}

/// Loads the files one after the other; each is read, decided and booked before the next.
async fn stream(
    log: &dyn Log,
    home: &Home,
    files: &[(&'static str, PathBuf)],
    quiet: bool,
) -> Result<(), Failure> {
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(files.len() as u64) };
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos:>2} of {len} files  {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    for (kind, path) in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        bar.set_message(name);
        let plan = LoadPlan {
            files: vec![path.clone()],
            lender: LENDER.into(),
            kind: (*kind).into(),
            subjects: wake::INTAKE_SUBJECTS,
            format: None,
            pace: Pace::default(),
        };
        let report = load(log, plan, &mut |_| {}).await.map_err(Failure::failed)?;
        if let Some(unread) = report.unread.first() {
            return Err(Failure::failed(unread));
        }
        while waits(log, home.settings.shards.count).await? {
            tokio::time::sleep(LOOK).await;
        }
        // Where a bar tells it, a line would only tear the bar.
        if bar.is_hidden() {
            info!(file = %path.display(), "settled");
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Whether any stage has something left to read.
async fn waits(log: &dyn Log, shards: u32) -> Result<bool, LogError> {
    let mut asked = vec![];
    for shape in STAGES {
        for shard in 0..wake::shards_of(shape, shards, wake::INTAKE_SUBJECTS) {
            asked.push(async move {
                let subject = cursor::subject(shape.writes, shape.name, shard);
                let (_, cursor) = cursor::read(log, shape.writes, &subject).await?;
                wake::waits(log, shape, shard, cursor.seq).await
            });
        }
    }
    Ok(try_join_all(asked).await?.into_iter().any(|waits| waits))
}

/// What came out, as names and texts.
type Totals = Vec<(&'static str, String)>;

async fn totals(log: &dyn Log) -> Result<Totals, Failure> {
    let mut relations = Relations::new();
    for stream in ["reports", "loans", "book", "statements"] {
        let last = log.state(stream).await?.last;
        let mut reader = log.read(stream, &[], 0).await?;
        let limit = ReadLimit { messages: 256, bytes: 16 << 20 };
        let mut read = 0;
        while read < last {
            for message in reader.next(limit, Duration::from_secs(5)).await? {
                read = message.seq;
                let Some(relation) = crate::batch::relation(&message.subject) else { continue };
                for rows in rows::of(&message)? {
                    relations.apply(relation, &rows);
                }
            }
        }
    }
    let count = |name: &str| relations.snapshot(name).map_or(0, |all| all.rows());
    let placed = texts(&relations, "placements", "status", "placed");
    Ok(vec![
        ("accounts", count("loans").to_string()),
        ("owed", money(&relations, "loans", "balance")),
        ("worth", money(&relations, "prices", "price")),
        ("placed", placed.to_string()),
        ("movements", whole(&relations, "statements", "count").to_string()),
        ("collected", money(&relations, "statements", "collected")),
        ("overpaid", money(&relations, "statements", "over")),
        ("commission", money(&relations, "statements", "commission")),
        ("to remit", money(&relations, "statements", "remittance")),
        ("ledger lines", count("ledger").to_string()),
        ("refused", count("refused").to_string()),
    ])
}

fn money(relations: &Relations, name: &str, column: &str) -> String {
    let Some(all) = relations.snapshot(name) else { return "0.00".into() };
    let sum: i128 = all
        .batches()
        .filter_map(|rows| {
            let cents = rows.column_by_name(column)?.as_primitive_opt::<Decimal128Type>()?.clone();
            datafusion::arrow::compute::sum(&cents)
        })
        .sum();
    let sign = if sum < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", sum.abs() / 100, sum.abs() % 100)
}

fn whole(relations: &Relations, name: &str, column: &str) -> i64 {
    let Some(all) = relations.snapshot(name) else { return 0 };
    all.batches()
        .filter_map(|rows| {
            let counts = rows.column_by_name(column)?.as_primitive_opt::<Int64Type>()?.clone();
            datafusion::arrow::compute::sum(&counts)
        })
        .sum()
}

fn texts(relations: &Relations, name: &str, column: &str, text: &str) -> usize {
    let Some(all) = relations.snapshot(name) else { return 0 };
    all.batches()
        .filter_map(|rows| {
            let found = rows.column_by_name(column)?.as_string_opt::<i32>()?.clone();
            Some(
                (0..found.len())
                    .filter(|row| found.is_valid(*row) && found.value(*row) == text)
                    .count(),
            )
        })
        .sum()
}

fn told(args: &DemoArgs, totals: &Totals, took: Duration) -> String {
    if args.json {
        let all: serde_json::Map<_, _> =
            totals.iter().map(|(name, value)| (name.replace(' ', "_"), json!(value))).collect();
        return format!("{}\n", serde_json::Value::Object(all));
    }
    let mut text = format!("six months in {:.0} s\n", took.as_secs_f64());
    for (name, value) in totals {
        text += &format!("  {name:<18}{value:>16}\n");
    }
    text
}
