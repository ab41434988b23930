//! `trim`: plans on any log, removes on the broker.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cli::Failure;
use crate::log::jetstream::JetStreamLog;
use crate::log::{Log, LogError, ReadLimit};
use crate::settings::Settings;
use crate::snapshot::Snapshots;
use crate::trim::{Cut, announce, plan};

const LIMIT: ReadLimit = ReadLimit { messages: 4_096, bytes: 16 << 20 };
const PATIENCE: Duration = Duration::from_millis(500);

/// What went, or would go, with the count of its messages.
pub async fn trim(settings: &Settings, dry_run: bool) -> Result<Vec<(Cut, u64)>, Failure> {
    let log = super::broker::connect(settings).await?;
    let snapshots = Snapshots::open(&settings.snapshots.url).map_err(Failure::Settings)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
    let (shards, keep) = (settings.shards.count, &settings.retention);
    let mut gone = vec![];
    for cut in plan(&log, &snapshots, shards, keep, now).await? {
        let messages = match (cut.before, dry_run) {
            (0, _) => 0,
            (_, true) => count(&log, &cut).await?,
            (before, false) => {
                announce(&log, &cut).await?;
                log.remove(cut.stream, &cut.subjects, before).await?
            }
        };
        gone.push((cut, messages));
    }
    Ok(gone)
}

async fn count(log: &JetStreamLog, cut: &Cut) -> Result<u64, LogError> {
    let end = log.last(cut.stream, &cut.subjects).await?.map_or(0, |message| message.seq);
    let mut reader = log.read(cut.stream, std::slice::from_ref(&cut.subjects), 0).await?;
    let (mut count, mut read) = (0, 0);
    while read < end && read < cut.before {
        let messages = reader.next(LIMIT, PATIENCE).await?;
        count += messages.iter().filter(|message| message.seq < cut.before).count() as u64;
        read = messages.last().map_or(read, |message| message.seq);
    }
    Ok(count)
}
