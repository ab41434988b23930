//! `batch`: files in, relations out, on a log in memory.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use recoup_operators::Rules;
use recoup_sql::Dialect;

use super::program::failure;
use crate::batch::front::{Ahead, Front, Part};
use crate::batch::{Batch, BatchError, Rows};
use crate::cli::Failure;
use crate::cli::batch::{BatchArgs, Format};
use crate::cli::show;
use crate::decoder::{Decoder, FORMAT, NOBODY, ROW, SOURCE};
use crate::log::Outgoing;
use crate::post;
use crate::program;
use crate::rows::Packing;
use crate::serve::relations::{self, Relations};
use crate::settings::Settings;

impl From<BatchError> for Failure {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Program(mistakes) => failure(&mistakes),
            other => Failure::failed(other),
        }
    }
}

/// So many parts are stepped at once by the front; a step costs some statements.
const PARTS: usize = 8;
/// How far the front may run ahead, and how many rows may wait for their relation.
const AHEAD: usize = 2;
const WAITING: usize = 64;

/// What the front hands on.
enum Next {
    Parts(Ahead),
    EndOfFile,
}

/// Three threads: what comes before a borrower's shard, the borrowers' shard with all behind it,
/// and the relations.
pub fn batch(args: &BatchArgs, settings: &Settings) -> Result<(), Failure> {
    let start = Instant::now();
    let sources = program::sources(&settings.program).map_err(|one| failure(&[one]))?;
    let lender = args.lender.clone().unwrap_or_else(|| NOBODY.into());
    let decoder = decoder(args, settings, &lender)?;
    // One shard: the place of a fact in the log is then its place in the files.
    let rules = Rules { shards: 1, horizon_minutes: 0, ..settings.rules() };
    let mut batch = Batch::open(&rules, &sources, Decoder::default())?;
    std::thread::scope(|scope| {
        let (said, rows) = sync_channel::<Rows>(WAITING);
        let keeping = scope.spawn(move || {
            let mut relations = Relations::default();
            for (name, rows) in rows {
                relations.apply(&name, &rows);
            }
            relations
        });
        let (hand_on, nexts) = sync_channel(AHEAD);
        let ahead = scope.spawn(|| {
            let front = Front::open(&rules, &sources, decoder, Packing::Carried)?;
            run_ahead(args, &lender, front, hand_on)
        });
        let behind = run_behind(args, &mut batch, said, nexts);
        batch.keep_rows();
        let died = |_| Failure::Failed("a thread of the batch died".into());
        ahead.join().map_err(died)??;
        behind?;
        batch.relations = keeping.join().map_err(died)?;
        Ok::<(), Failure>(())
    })?;
    batch.answer()?;
    let format = match args.format {
        Format::Csv => relations::Format::Csv,
        Format::Parquet => relations::Format::Parquet,
    };
    batch.relations.write(&args.out, format).map_err(Failure::failed)?;
    report(args, &batch, start)
}

/// Reads the files and steps the front over their parts. Where nobody takes what it says any
/// more, it just ends: whoever stopped says why.
fn run_ahead(
    args: &BatchArgs,
    lender: &str,
    mut front: Front,
    hand_on: SyncSender<Next>,
) -> Result<(), Failure> {
    for path in &args.intake {
        let shown = path.display().to_string();
        let format = crate::load::Format::of(path).unwrap_or(crate::load::Format::Json);
        let (mut parts, mut facts) = (vec![], 0);
        for part in crate::load::parts(path, format).map_err(Failure::failed)? {
            let part = part.map_err(Failure::failed)?;
            let message = Outgoing {
                subject: format!("intake.{lender}.file.0"),
                headers: vec![
                    (FORMAT.into(), part.format.name().into()),
                    (SOURCE.into(), shown.clone()),
                    (ROW.into(), part.first_row.to_string()),
                ],
                payload: part.bytes,
                rows: None,
                expects: None,
            };
            facts += part.rows as usize;
            parts.push(Part { message, file: shown.clone(), facts: part.rows as usize });
            if parts.len() == PARTS || front.due(facts) {
                facts = 0;
                let said = front.step(std::mem::take(&mut parts))?;
                if hand_on.send(Next::Parts(said)).is_err() {
                    return Ok(());
                }
            }
        }
        let said = front.step(parts)?;
        if hand_on.send(Next::Parts(said)).and_then(|()| hand_on.send(Next::EndOfFile)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn run_behind(
    args: &BatchArgs,
    batch: &mut Batch,
    said: SyncSender<Rows>,
    nexts: Receiver<Next>,
) -> Result<(), Failure> {
    batch.hand_out(said);
    references(args, batch)?;
    batch.round()?;
    let mut files = 0;
    for next in nexts {
        match next {
            Next::Parts(ahead) => batch.follow_front(ahead)?,
            Next::EndOfFile => {
                batch.settle()?;
                files += 1;
                pass_days(args, batch, files)?;
            }
        }
    }
    Ok(())
}

/// Lets days pass behind a file: behind each up to its own date, or behind the last up to the one.
fn pass_days(args: &BatchArgs, batch: &mut Batch, files: usize) -> Result<(), Failure> {
    let day = match args.until.len() {
        1 if files < args.intake.len() => None,
        1 => args.until.first(),
        _ => args.until.get(files - 1),
    };
    day.map_or(Ok(()), |day| Ok(batch.until(i64::from(day.0))?))
}

/// What reads the files: the dialects of the folder, and before them the one that was named.
fn decoder(args: &BatchArgs, settings: &Settings, lender: &str) -> Result<Decoder, Failure> {
    let sources = program::dialects(&settings.program).map_err(|one| failure(&[one]))?;
    let mut decoder = Decoder::compile(&sources).map_err(|mistakes| failure(&mistakes))?;
    if let Some(named) = &args.dialect {
        let of_lender = format!("{lender}.{named}.sql");
        let own = match sources.into_iter().find(|one| one.name == of_lender) {
            Some(own) => own,
            None => program::file(Path::new(named)).map_err(|mistake| {
                let hint = format!("name a file, or the NAME of {lender}.NAME.sql in the folder");
                failure(&[mistake.with_hint(format!("{hint} that program.dialects names"))])
            })?,
        };
        let own = Dialect::compile(&own).map_err(|mistake| failure(&[mistake]))?;
        decoder.dialects.insert(format!("{lender}.file"), own);
    }
    Ok(decoder)
}

/// Every reference table of the folder, in the order in which they are best read.
fn references(args: &BatchArgs, batch: &mut Batch) -> Result<(), Failure> {
    let names: Vec<_> = post::names().map(|name| format!("{name}.csv")).collect();
    for file in listed(&args.reference)? {
        if !names.contains(&file) {
            let (folder, names) = (args.reference.display(), names.join(", "));
            eprintln!("recoup: {folder}/{file} is no reference table and is ignored: {names} are");
        }
    }
    for name in post::names() {
        let file = args.reference.join(format!("{name}.csv"));
        if !file.is_file() {
            continue;
        }
        let reference = post::read_reference(name, &file).map_err(|mistakes| {
            let texts: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
            Failure::Failed(texts.join("\n"))
        })?;
        for note in &reference.notes {
            eprintln!("recoup: {note}");
        }
        batch.post(name, &reference.batch)?;
    }
    Ok(())
}

/// The names of a folder's files.
fn listed(folder: &Path) -> Result<Vec<String>, Failure> {
    let unread = |error: std::io::Error| {
        Failure::Failed(format!("{}: the folder was not read: {error}", folder.display()))
    };
    let mut names = vec![];
    for entry in std::fs::read_dir(folder).map_err(unread)? {
        names.push(entry.map_err(unread)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn report(args: &BatchArgs, batch: &Batch, start: Instant) -> Result<(), Failure> {
    let seconds = start.elapsed().as_secs_f64();
    let mut counts = serde_json::Map::new();
    for name in batch.relations.names() {
        let rows = batch.relations.snapshot(name).map_or(0, |snapshot| snapshot.rows());
        counts.insert(name.into(), rows.into());
    }
    if args.json {
        let json = serde_json::json!({ "rows": counts, "seconds": seconds });
        return show::text(&format!("{json}\n"));
    }
    let mut text = String::new();
    for (name, rows) in counts {
        text += &format!("{:>12}  {name}\n", rows.as_u64().unwrap_or_default());
    }
    text += &format!("written to {} in {seconds:.1} s\n", args.out.display());
    show::text(&text)
}
