//! What this process has read, and as of when.
//!
//! One writer, the follower; any number of readers, who take a [`Moment`]: every relation, and the
//! standing of every shard, as they were at one and the same place in the log.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use datafusion::arrow::array::{
    ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use recoup_operators::facts;
use recoup_operators::memory::table::Snapshot;
use serde::{Deserialize, Serialize};

use super::keep::Kept;
use super::relations::Relations;
use crate::health::Readiness;

/// One shard of a stage, as its newest cursor that was read says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The stream that the stage writes.
    pub stream: String,
    /// The sequence of the cursor: what the shard had said by then is what queries see of it.
    pub as_of: u64,
    /// The sequence of its input that the shard had read.
    pub read: u64,
    pub owner: String,
    /// When the cursor was stored, microseconds UTC.
    pub committed_at: i64,
}

/// How far a stream was read, how long it is, and which one: when it was created.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    pub read: u64,
    pub last: u64,
    pub created: i64,
}

#[derive(Default)]
struct Inner {
    relations: Relations,
    shards: BTreeMap<(String, u32), Standing>,
    streams: BTreeMap<String, Progress>,
}

/// The relations of a deployment and how far they were followed.
#[derive(Default)]
pub struct Room {
    inner: RwLock<Inner>,
    readiness: Readiness,
}

/// What a read brought: rows by relation in log order, the cursors behind them, the last sequence.
#[derive(Default)]
pub struct News {
    pub rows: Vec<(String, RecordBatch)>,
    pub shards: Vec<(String, u32, Standing)>,
    pub read: u64,
}

impl Room {
    pub fn new() -> Self {
        Room::default()
    }

    /// Is ready when each of these streams has been read to its end once.
    pub fn awaits(&mut self, readiness: Readiness, streams: impl Iterator<Item = &'static str>) {
        for stream in streams {
            readiness.wait_for(&awaited(stream));
        }
        self.readiness = readiness;
    }

    /// Notes that a stream has been read to where it ended when reading began.
    pub fn caught_up(&self, stream: &str) {
        self.readiness.done(&awaited(stream));
    }

    /// A room that was kept.
    pub(super) fn of(
        streams: BTreeMap<String, Progress>,
        shards: Vec<(String, u32, Standing)>,
        relations: Relations,
    ) -> Self {
        let shards = shards.into_iter().map(|(stage, shard, standing)| ((stage, shard), standing));
        let inner = Inner { relations, shards: shards.collect(), streams };
        Room { inner: RwLock::new(inner), readiness: Readiness::default() }
    }

    /// Everything as it is now, to be kept.
    pub(super) fn kept(&self) -> Kept {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let shards = inner.shards.iter();
        let shards = shards.map(|((stage, shard), one)| (stage.clone(), *shard, one.clone()));
        let names = inner.relations.names();
        let relations =
            names.filter_map(|name| Some((name.to_owned(), inner.relations.snapshot(name)?)));
        Kept {
            streams: inner.streams.clone(),
            shards: shards.collect(),
            relations: relations.collect(),
        }
    }

    /// How far a stream was read, and when it was created; zero and none of a stream never read.
    pub fn place(&self, stream: &str) -> (u64, Option<i64>) {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.streams.get(stream).map_or((0, None), |one| (one.read, Some(one.created)))
    }

    /// Takes in what was read of a stream, all at once: no reader sees half of it.
    pub fn take(&self, stream: &str, news: News) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        for (name, rows) in &news.rows {
            inner.relations.apply(name, rows);
        }
        for (stage, shard, standing) in news.shards {
            inner.shards.insert((stage, shard), standing);
        }
        let progress = inner.streams.entry(stream.to_owned()).or_default();
        progress.read = progress.read.max(news.read);
        progress.last = progress.last.max(progress.read);
    }

    /// Notes how long a stream is by now.
    pub fn grown(&self, stream: &str, last: u64) {
        self.is(stream, last, None);
    }

    /// Notes how long a stream is, and which one.
    pub(super) fn is(&self, stream: &str, last: u64, created: Option<i64>) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let progress = inner.streams.entry(stream.to_owned()).or_default();
        progress.last = last;
        progress.created = created.unwrap_or(progress.created);
    }

    /// Everything as it is now.
    pub fn moment(&self) -> Moment {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<String> = inner.relations.names().map(str::to_owned).collect();
        let relations = names.into_iter().filter_map(|name| {
            let snapshot = inner.relations.snapshot(&name)?;
            Some((name, snapshot))
        });
        Moment { relations: relations.collect(), shards: shards(&inner) }
    }

    pub fn names(&self) -> Vec<String> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.relations.names().map(str::to_owned).collect()
    }

    pub fn schema(&self, name: &str) -> Option<SchemaRef> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).relations.schema(name)
    }

    /// Bytes in use.
    pub fn size(&self) -> usize {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).relations.size()
    }
}

fn awaited(stream: &str) -> String {
    format!("stream {stream}")
}

/// Every relation at one place in the log.
pub struct Moment {
    relations: BTreeMap<String, Arc<Snapshot>>,
    shards: RecordBatch,
}

impl Moment {
    pub fn relation(&self, name: &str) -> Option<&Arc<Snapshot>> {
        self.relations.get(name)
    }

    /// The rows of `recoup.shards`.
    pub fn shards(&self) -> &RecordBatch {
        &self.shards
    }
}

/// The columns of `recoup.shards`.
pub fn shards_schema() -> SchemaRef {
    let columns = [
        ("stage", DataType::Utf8),
        ("shard", DataType::UInt32),
        // the stream that holds what the stage said
        ("stream", DataType::Utf8),
        // answers hold what this shard had said by this sequence of the stream
        ("as_of", DataType::UInt64),
        // messages of the stream, of any shard, that this process has not read yet
        ("lag", DataType::UInt64),
        ("owner", DataType::Utf8),
        // the sequence of its input that the shard had read by then
        ("read", DataType::UInt64),
        ("committed_at", facts::instant()),
    ];
    let fields = columns.map(|(name, kind)| Field::new(name, kind, true));
    Arc::new(Schema::new(fields.to_vec()))
}

fn shards(inner: &Inner) -> RecordBatch {
    let rows = || inner.shards.iter();
    let texts = |texts: Vec<&str>| Arc::new(StringArray::from(texts)) as ArrayRef;
    let lag = |standing: &Standing| {
        let progress = inner.streams.get(&standing.stream).copied().unwrap_or_default();
        progress.last.saturating_sub(progress.read)
    };
    let instants = rows().map(|(_, standing)| standing.committed_at);
    let columns: Vec<ArrayRef> = vec![
        texts(rows().map(|((stage, _), _)| stage.as_str()).collect()),
        Arc::new(UInt32Array::from_iter_values(rows().map(|((_, shard), _)| *shard))),
        texts(rows().map(|(_, standing)| standing.stream.as_str()).collect()),
        Arc::new(UInt64Array::from_iter_values(rows().map(|(_, standing)| standing.as_of))),
        Arc::new(UInt64Array::from_iter_values(rows().map(|(_, standing)| lag(standing)))),
        texts(rows().map(|(_, standing)| standing.owner.as_str()).collect()),
        Arc::new(UInt64Array::from_iter_values(rows().map(|(_, standing)| standing.read))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(instants).with_timezone("UTC")),
    ];
    match RecordBatch::try_new(shards_schema(), columns) {
        Ok(rows) => rows,
        Err(error) => panic!("columns were made for this schema: {error}"),
    }
}
