//! A deployment in this process: a log, workers on it, lenders that publish, and what came out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use recoup::batch::{self, Batch};
use recoup::crew::{self, Duty};
use recoup::cursor::{self, Cursor};
use recoup::decoder::Decoder;
use recoup::group::Owner;
use recoup::health::Readiness;
use recoup::log::memory::MemoryLog;
use recoup::log::{Log, Message, Outgoing, ReadLimit};
use recoup::metrics::Metrics;
use recoup::post::{parse_reference, post};
use recoup::rows::{self, Packing};
use recoup::serve::relations::{Format, Relations};
use recoup::snapshot::Snapshots;
use recoup::worker::{Board, Tempo, Worker, WorkerError};
use recoup::{ticker, wake};
use recoup_operators::Rules;
use recoup_sql::stages::{STAGES, Shape};
use recoup_sql::{Source, shipped};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

pub const SHARDS: u32 = 4;
pub const STREAMS: [&str; 5] = ["intake", "reports", "loans", "book", "statements"];
pub const WIDE: ReadLimit = ReadLimit { messages: 4_096, bytes: 64 << 20 };

const REFERENCES: [(&str, &str); 3] = [
    ("curve", "product,bucket,recovery_rate,handling_cost\ncash,31-60,0.5000,10.00\n"),
    ("market", "province,product,idx\n44,cash,1.0000\n"),
    (
        "agencies",
        "agency_id,provinces,products,bucket_min,bucket_max,unit_cost,capacity,\
         commission_by_bucket,perf_by_bucket\n\
         A1,,cash,1-30,361+,5.00,,0.20|0.20|0.20|0.20|0.20|0.20|0.20,1|1|1|1|1|1|1\n\
         A2,,cash,1-30,361+,0.00,,0.30|0.30|0.30|0.30|0.30|0.30|0.30,1.1|1.1|1.1|1.1|1.1|1.1|1.1\n",
    ),
];

pub fn rules() -> Rules {
    Rules { shards: SHARDS, ..Rules::default() }
}

/// Streams, first cursors and reference tables.
pub async fn begin(log: &dyn Log) {
    for stream in STREAMS {
        log.create(stream).await.unwrap();
    }
    for shape in STAGES {
        let shards = wake::shards_of(shape, SHARDS, wake::INTAKE_SUBJECTS);
        wake::init(log, shape, shards).await.unwrap();
    }
    for (name, text) in REFERENCES {
        let reference = parse_reference(name, name, text.as_bytes()).unwrap();
        post(log, &reference).await.unwrap();
    }
}

/// Records of loans `from..to`: a report each, payments, a payment before its loan, a repeat, and
/// one that cannot be used; each with its loan.
pub fn records(from: usize, to: usize) -> Vec<(usize, String)> {
    let mut lines = vec![];
    for n in from..to {
        let payment = |id: &str, cents: usize, day: usize| {
            let (whole, rest) = (cents / 100, cents % 100);
            format!(
                "{{\"payment_id\":\"{id}{n}\",\"loan_id\":\"LN{n}\",\"kind\":\"payment\",\
                 \"amount\":\"{whole}.{rest:02}\",\"paid_at\":\"2026-03-{day:02}T10:00:00Z\",\
                 \"channel\":\"bank\",\"reverses\":null}}"
            )
        };
        let report = |id: &str, principal: usize, day: usize| {
            let (lender, borrower) = (n % 3, n / 2);
            format!(
                "{{\"event_id\":\"{id}{n}\",\"event_type\":\"loan.delinquent\",\
                 \"event_time\":\"2026-03-{day:02}T00:00:00Z\",\"lender_id\":\"L{lender}\",\
                 \"loan_id\":\"LN{n}\",\"borrower_id\":\"B{borrower}\",\"product\":\"cash\",\
                 \"province\":\"44\",\"principal\":\"{principal}.00\",\"interest\":\"10.00\",\
                 \"penalty\":\"1.00\",\"fee\":\"0.00\",\"currency\":\"CNY\",\
                 \"days_past_due\":47,\"score\":612,\"contactable\":true,\"color\":\"blue\"}}"
            )
        };
        if n % 5 == 0 {
            lines.push((n, payment("early", 1_001, 9)));
        }
        lines.push((n, report("ev", 100 + n % 900, 1)));
        lines.push((n, payment("p", 500 + 7 * n % 4_000, 10)));
        if n % 4 == 0 {
            lines.push((n, report("late", 90 + n % 900, 8)));
        }
        if n % 7 == 0 {
            lines.push((n, payment("p", 500 + 7 * n % 4_000, 10)));
        }
        if n % 11 == 0 {
            let text = format!(r#"{{"event_id":"bad{n}","loan_id":"LN{n}","principal":1.5}}"#);
            lines.push((n, text));
        }
    }
    lines
}

/// Publishes records, one a message, dealt over the subjects of a lender; those of a loan on one.
pub async fn publish(log: &dyn Log, lines: &[(usize, String)]) {
    for (n, line) in lines {
        let subject = format!("intake.-.file.{}", *n as u32 % wake::INTAKE_SUBJECTS);
        let payload = Bytes::copy_from_slice(line.as_bytes());
        let message = Outgoing { subject, payload, ..Outgoing::default() };
        log.commit("intake", &[message]).await.unwrap();
    }
}

/// Posts a tick.
pub async fn tick(log: &dyn Log, kind: &str, at: i64, number: i64) {
    let payload = rows::encode(&ticker::row(kind, at, number), Packing::Plain, 1 << 20).remove(0);
    let subject = "loans.all.ticks".to_string();
    log.commit("loans", &[Outgoing { subject, payload, ..Outgoing::default() }]).await.unwrap();
}

const DAY: i64 = 86_400_000_000;
/// From the day after the newest report, 2026-03-08, to one on which every statement is closed.
pub const DAYS: std::ops::RangeInclusive<i64> = 20_521..=20_526;

/// Every day until all is closed, each when the one before it is done.
pub async fn days(log: &dyn Log) {
    for day in DAYS {
        tick(log, "day", day * DAY, day).await;
        drained(log).await;
    }
}

/// Ends when every stage has read all there is.
pub async fn drained(log: &dyn Log) {
    for _ in 0..6_000 {
        if !waits(log).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("something waits for ever: {:?}", cursors(log, "book").await);
}

async fn waits(log: &dyn Log) -> bool {
    for shape in STAGES {
        for shard in 0..wake::shards_of(shape, SHARDS, wake::INTAKE_SUBJECTS) {
            let (_, cursor) = place(log, shape, shard).await;
            if wake::waits(log, shape, shard, cursor.seq).await.unwrap() {
                return true;
            }
        }
    }
    false
}

pub async fn place(log: &dyn Log, shape: &Shape, shard: u32) -> (u64, Cursor) {
    let subject = cursor::subject(shape.writes, shape.name, shard);
    cursor::read(log, shape.writes, &subject).await.unwrap()
}

/// The cursors of a stage, by shard.
pub async fn cursors(log: &dyn Log, stage: &str) -> Vec<Cursor> {
    let shape = recoup_sql::stages::shape(stage).unwrap();
    let mut found = vec![];
    for shard in 0..wake::shards_of(shape, SHARDS, wake::INTAKE_SUBJECTS) {
        found.push(place(log, shape, shard).await.1);
    }
    found
}

/// Everything a stream holds.
pub async fn all(log: &dyn Log, stream: &str) -> Vec<Message> {
    let last = log.state(stream).await.unwrap().last;
    let mut reader = log.read(stream, &[], 0).await.unwrap();
    let mut found: Vec<Message> = vec![];
    while found.last().map_or(0, |message| message.seq) < last {
        found.extend(reader.next(WIDE, Duration::from_secs(10)).await.unwrap());
    }
    found
}

/// What came out: the lines of every relation, sorted.
pub type Out = BTreeMap<String, Vec<String>>;

/// What a log holds.
pub async fn out(log: &dyn Log) -> Out {
    let mut relations = Relations::new();
    for stream in ["reports", "loans", "book", "statements"] {
        for message in all(log, stream).await {
            let Some(relation) = batch::relation(&message.subject) else { continue };
            for rows in rows::of(&message).unwrap() {
                relations.apply(relation, &rows);
            }
        }
    }
    written(&relations)
}

/// What `batch` says of the same records.
pub fn batched(lines: &[(usize, String)]) -> Out {
    let mut batch = Batch::open(&rules(), &shipped(), Decoder::default()).unwrap();
    for (name, text) in REFERENCES {
        let reference = parse_reference(name, name, text.as_bytes()).unwrap();
        batch.post(name, &reference.batch).unwrap();
    }
    for (_, line) in lines {
        let subject = "intake.-.file.0".to_string();
        let payload = Bytes::copy_from_slice(line.as_bytes());
        let message = Outgoing { subject, payload, ..Outgoing::default() };
        batch.publish(message, "file", 1).unwrap();
    }
    batch.settle().unwrap();
    batch.until(*DAYS.end()).unwrap();
    written(&batch.relations)
}

fn written(relations: &Relations) -> Out {
    let folder = tempfile::tempdir().unwrap();
    relations.write(folder.path(), Format::Csv).unwrap();
    ["loans", "prices", "placements", "ledger", "statements", "refused"]
        .map(|name| (name.to_string(), lines(name, &folder.path().join(format!("{name}.csv")))))
        .into()
}

/// Where a refused row stood is not the same in a file and in a stream, nor is the place in the
/// log that an entry is named by.
fn lines(name: &str, path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let cut = |line: &str| match name {
        "refused" => line.split(',').take(2).collect::<Vec<_>>().join(","),
        "ledger" => line.split(',').skip(1).collect::<Vec<_>>().join(","),
        _ => line.to_string(),
    };
    let mut lines: Vec<String> = text.lines().map(cut).collect();
    lines.sort();
    lines
}

pub fn assert_same(found: &Out, wanted: &Out) {
    for (name, wanted) in wanted {
        let found = &found[name];
        let differs = found.iter().zip(wanted).find(|(one, other)| one != other);
        assert_eq!(found.len(), wanted.len(), "{name}: {differs:?}");
        assert_eq!(differs, None, "{name}");
    }
}

/// A turn of 16 messages at most, so that there are many; and short times.
pub fn tempo() -> Tempo {
    Tempo {
        // Long enough that a thread of a busy machine is not taken for a dead one.
        silent: Duration::from_secs(2),
        watch: Duration::from_millis(50),
        streams: Duration::from_millis(500),
        snapshots: Duration::from_millis(300),
        limit: ReadLimit { messages: 16, bytes: 16 << 20 },
        patience: Duration::from_millis(50),
        memory_max: 0,
    }
}

/// A process of workers, in this one.
pub struct Crew {
    pub worker: Worker,
    task: JoinHandle<Result<(), WorkerError>>,
}

pub fn worker(log: Arc<dyn Log>, name: &str, snapshots: Option<&Path>) -> Worker {
    Worker {
        log,
        runtime: Handle::current(),
        rules: rules(),
        sources: Arc::new(shipped()),
        dialects: Arc::new(vec![]),
        owner: Owner { name: name.into(), nonce: name.bytes().map(u64::from).sum() },
        snapshots: snapshots.map(|path| Snapshots::open(path.to_str().unwrap()).unwrap()),
        tempo: tempo(),
        migrate: false,
        metrics: Arc::new(Metrics::default()),
        readiness: Readiness::default(),
        board: Board::default(),
        stop: Arc::new(AtomicBool::new(false)),
    }
}

impl Crew {
    /// Worker `index` of `of`, with every role.
    pub fn start(worker: Worker, index: u32, of: u32) -> Crew {
        let duty = Duty { stages: STAGES.iter().collect(), shards: SHARDS, index, of };
        let working = worker.clone();
        worker.readiness.wait_for(crew::STARTING);
        let task = tokio::spawn(async move { crew::work(&working, &duty).await });
        Crew { worker, task }
    }

    pub async fn stop(self) -> Result<(), WorkerError> {
        self.worker.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }

    /// How it ended by itself.
    pub async fn ended(self) -> Result<(), WorkerError> {
        tokio::time::timeout(Duration::from_secs(60), self.task).await.unwrap().unwrap()
    }

    pub async fn ready(&self) {
        until("the crew to be ready", || self.worker.readiness.waits_for().is_empty()).await;
    }
}

/// Ends when something holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain for {what}");
}

/// The shipped program with one text for another in a file.
pub fn program(file: &str, old: &str, new: &str) -> Vec<Source> {
    let mut sources = shipped();
    let source = sources.iter_mut().find(|one| one.name == file).unwrap();
    assert!(source.text.contains(old), "{file} has {old:?}");
    source.text = source.text.replace(old, new);
    sources
}

/// The same messages in a log of their own, some of them changed on the way.
pub async fn copied(from: &dyn Log, change: impl Fn(&str, &mut Outgoing, u64)) -> MemoryLog {
    let log = MemoryLog::new();
    for stream in STREAMS {
        log.create(stream).await.unwrap();
        for message in all(from, stream).await {
            let Message { seq, subject, headers, payload, .. } = message;
            let mut copy = Outgoing { subject, headers, payload, rows: None, expects: None };
            change(stream, &mut copy, seq);
            log.commit(stream, &[copy]).await.unwrap();
        }
    }
    log
}
