//! `replay`: one step again, from the newest snapshot before it, and nothing committed.

use std::time::Duration;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use recoup_sql::stages;

use super::program::failure;
use super::words::words;
use crate::cli::Failure;
use crate::cli::replay::ReplayArgs;
use crate::cli::show;
use crate::decoder::Decoder;
use crate::group::{Group, Owner};
use crate::log::{Log, ReadLimit};
use crate::program;
use crate::rows::Packing;
use crate::settings::Settings;
use crate::snapshot::Snapshots;
use crate::trim;
use crate::wake;

const LIMIT: ReadLimit = ReadLimit { messages: 256, bytes: 16 << 20 };
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn replay(args: &ReplayArgs, settings: &Settings) -> Result<(), Failure> {
    let log = super::broker::connect(settings).await?;
    let (args, settings) = (args.clone(), settings.clone());
    let handle = tokio::runtime::Handle::current();
    // Steps run on a thread of their own, outside of any async task.
    let thread = std::thread::spawn(move || again(&log, &handle, &args, &settings));
    let joined = tokio::task::spawn_blocking(move || thread.join()).await;
    match joined.map_err(Failure::failed)? {
        Ok(answer) => answer,
        Err(_) => Err(Failure::Failed("the step stopped".into())),
    }
}

fn again(
    log: &dyn Log,
    handle: &tokio::runtime::Handle,
    args: &ReplayArgs,
    settings: &Settings,
) -> Result<(), Failure> {
    let shape = stages::shape(&args.stage)
        .ok_or_else(|| Failure::Failed(format!("there is no stage {}", args.stage)))?;
    let shards = wake::shards_of(shape, settings.shards.count, wake::INTAKE_SUBJECTS);
    if args.shard >= shards {
        let (stage, last) = (shape.name, shards - 1);
        return Err(Failure::Failed(format!("{stage} has shards 0 to {last}, not {}", args.shard)));
    }
    let sources = program::sources(&settings.program).map_err(|one| failure(&[one]))?;
    let dialects = program::dialects(&settings.program).map_err(|one| failure(&[one]))?;
    let stage = recoup_sql::compile(shape, &sources, &settings.rules_with_keys()?);
    let stage = stage.map_err(|all| failure(&all))?;
    let decoder = Decoder::compile(&dialects).map_err(|all| failure(&all))?;
    let owner = Owner { name: "replay".into(), nonce: 0 };
    let mut group = Group::new(stage, decoder, owner, Packing::Plain);
    handle.block_on(wake::fresh(log, &mut group, args.shard))?;
    if handle.block_on(log.get(shape.reads, args.seq))?.is_none() {
        let (stream, seq) = (shape.reads, args.seq);
        return Err(Failure::Failed(format!("stream {stream} has no message {seq}")));
    }
    if !settings.snapshots.url.is_empty() && shape.remembers {
        let snapshots = Snapshots::open(&settings.snapshots.url).map_err(Failure::Settings)?;
        let before = args.seq.saturating_sub(1);
        let found = wake::restore(&snapshots, &mut group, args.shard, before);
        for (name, rows) in handle.block_on(found)? {
            group.stage.refer(&name, &rows);
        }
    }
    if let Some(shard) = group.shards.get_mut(&args.shard) {
        // Nothing is committed: the shard replays for as long as it is asked to.
        shard.cursor.seq = u64::MAX;
        shard.read = shard.read.max(if shape.remembers { 0 } else { args.seq - 1 });
    }
    let (filters, after) = group.reads();
    handle.block_on(trim::check(log, shape, args.shard, after))?;
    let mut reader = handle.block_on(log.read(shape.reads, &filters, after))?;
    loop {
        let messages = handle.block_on(reader.next(LIMIT, PATIENCE))?;
        if messages.is_empty() {
            let what = format!("{} shard {} has not read {}", shape.name, args.shard, args.seq);
            return Err(Failure::Failed(what));
        }
        for message in messages {
            if message.seq == args.seq {
                let (saw, said) = group.preview(&message)?;
                return told(args, &message.subject, group.memories.size(), &saw, said);
            }
            if message.seq > args.seq {
                let what = format!("message {} is not for shard {}", args.seq, args.shard);
                return Err(Failure::Failed(what));
            }
            group.step(std::slice::from_ref(&message)).map_err(Failure::failed)?;
        }
    }
}

fn told(
    args: &ReplayArgs,
    subject: &str,
    memory: usize,
    saw: &RecordBatch,
    said: Vec<recoup_sql::Said>,
) -> Result<(), Failure> {
    if let Some(loan) = &args.loan {
        let untouched = || Failure::Failed(format!("step {} does not touch {loan}", args.seq));
        return show::text(&words(loan, saw, &said).ok_or_else(untouched)?);
    }
    if args.json {
        let mut lines = String::new();
        for (name, rows) in std::iter::once(("saw".to_string(), saw.clone()))
            .chain(said.into_iter().map(|one| (one.relation, one.rows)))
        {
            for line in show::json_lines(&rows)?.lines() {
                lines += &format!("{{\"relation\":\"{name}\",\"row\":{line}}}\n");
            }
        }
        return show::text(&lines);
    }
    let table = |rows: &RecordBatch| {
        pretty_format_batches(std::slice::from_ref(rows)).map_err(Failure::failed)
    };
    let mut text = format!("saw {subject}, {} rows\n{}\n", saw.num_rows(), table(saw)?);
    text += &format!("knew {memory} bytes of memory\n");
    for one in said {
        let rows = one.rows.num_rows();
        text +=
            &format!("said {} to {}, {rows} rows\n{}\n", one.relation, one.to, table(&one.rows)?);
    }
    show::text(&text)
}
