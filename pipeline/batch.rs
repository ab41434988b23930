//! The same program over files, on a log in memory: the backfill, the what-if, the proof.
//!
//! Every stage runs as it does beside a broker: the same steps, the same commits. Only the ticker
//! differs: rounds of dispatch come at the start, after each 100,000 facts and at the end of each
//! file until nothing moves, and days only where `until` asks for them.
//!
//! What lies before a borrower's shard can run ahead on a thread of its own ([`front`]), and the
//! relations can be kept on another ([`Batch::hand_out`]); what is computed is the same.

pub mod front;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use datafusion::arrow::array::{AsArray, StringArray};
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use datafusion::arrow::record_batch::RecordBatch;
use recoup_operators::Rules;
use recoup_operators::settle::invariants::Broken;
use recoup_sql::stages::STAGES;
use recoup_sql::{Answers, Mistake, Source, compile};

use crate::decoder::Decoder;
use crate::drive::{Stopped, Waiting, turn};
use crate::group::{Group, Owner};
use crate::log::memory::MemoryLog;
use crate::log::{Log, LogError, Outgoing, ReadLimit, Reader};
use crate::rows::{self, Packing};
use crate::serve::relations::Relations;
use crate::ticker;
use crate::wake;
use front::{Ahead, Front, Part};

/// Facts between two rounds of dispatch.
pub const ROUND_FACTS: usize = 100_000;
/// Rounds at the end of a file before it is taken that things never settle.
const ROUNDS_MAX: usize = 1_000;

/// Rounds without a placement after which nothing moves: a shard hands back what it kept for cases
/// that did not come only a round later, and it takes one more to deal it to another shard.
const QUIET_ROUNDS: usize = 3;

/// Why a batch ended early.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    #[error("the program has mistakes")]
    Program(Vec<Mistake>),
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("{path}: {cause}")]
    File { path: PathBuf, cause: String },
}

/// Stages with all of their shards, in the order in which facts travel.
type Stages = Vec<(Group, Box<dyn Reader>)>;

/// Rows of a relation on their way to whoever keeps them.
pub type Rows = (String, RecordBatch);

/// The whole program on a log in memory.
pub struct Batch {
    log: MemoryLog,
    stages: Stages,
    followers: Vec<Box<dyn Reader>>,
    pub relations: Relations,
    /// Where rows go instead, if somebody else keeps the relations.
    away: Option<SyncSender<Rows>>,
    /// The front of whoever publishes here; it is opened when the first part comes.
    front: Option<Front>,
    program: (Rules, Vec<Source>, Decoder),
    /// What was broken of what must hold of the books.
    pub broken: Broken,
    answers: Answers,
    /// Which file a message of the intake was cut from.
    sources: BTreeMap<u64, String>,
    rounds: i64,
    /// The latest instant that any fact has named.
    latest: i64,
    placed: usize,
}

const STREAMS: [&str; 5] = ["intake", "reports", "loans", "book", "statements"];
/// What a reader may bring at once: some 100,000 facts.
const LIMIT: ReadLimit = ReadLimit { messages: 512, bytes: 32 << 20 };

impl Batch {
    /// Compiles the program and opens every stage with all of its shards.
    pub fn open(rules: &Rules, sources: &[Source], decoder: Decoder) -> Result<Self, BatchError> {
        let log = MemoryLog::new();
        let here = Waiting::Here;
        for stream in STREAMS {
            here.wait(log.create(stream))?;
        }
        let behind = ["book", "clear", "close"];
        let stages = open(&log, rules, sources, Decoder::default(), &behind)?;
        let mut followers = vec![];
        for stream in ["book", "statements", "reports", "loans"] {
            followers.push(here.wait(log.read(stream, &[], 0))?);
        }
        let relations = Relations::default();
        let answers = Answers::compile(sources, &relations.schemas())
            .map_err(|mistake| BatchError::Program(vec![mistake]))?;
        Ok(Batch {
            log,
            stages,
            followers,
            relations,
            away: None,
            front: None,
            program: (rules.clone(), sources.to_vec(), decoder),
            broken: Broken::default(),
            answers,
            sources: BTreeMap::new(),
            rounds: 0,
            latest: 0,
            placed: 0,
        })
    }

    /// Posts a version of a reference table.
    pub fn post(&mut self, name: &str, rows: &RecordBatch) -> Result<(), BatchError> {
        self.say(format!("loans.all.{name}"), rows)?;
        self.drain()
    }

    /// From now on the relations are kept by whoever receives their rows, and the log forgets what
    /// everybody has read: memory is that of the loans, not of their history. Nothing is written
    /// that nobody will read again: rows go from stage to stage as they are.
    pub fn hand_out(&mut self, rows: SyncSender<Rows>) {
        pack(&mut self.stages, Packing::Carried);
        self.away = Some(rows);
    }

    /// Ends what [`Batch::hand_out`] began: whoever receives rows has all of them.
    pub fn keep_rows(&mut self) {
        self.away = None;
    }

    /// Publishes a part of a file; steps and rounds follow as facts come in.
    pub fn publish(
        &mut self,
        message: Outgoing,
        file: &str,
        facts: usize,
    ) -> Result<(), BatchError> {
        let mut front = match self.front.take() {
            Some(front) => front,
            None => {
                let (rules, sources, decoder) = &mut self.program;
                Front::open(rules, sources, std::mem::take(decoder), Packing::Plain)?
            }
        };
        // The log has all five streams, as a broker would.
        Waiting::Here.wait(self.log.commit("intake", std::slice::from_ref(&message)))?;
        let ahead = front.step(vec![Part { message, file: file.into(), facts }])?;
        self.front = Some(front);
        self.follow_front(ahead)
    }

    /// Takes what the front said of the next parts.
    pub fn follow_front(&mut self, ahead: Ahead) -> Result<(), BatchError> {
        self.sources.extend(ahead.sources);
        for (stream, messages) in [("reports", ahead.reports), ("loans", ahead.loans)] {
            for message in messages {
                Waiting::Here.wait(self.log.commit(stream, &[message]))?;
            }
        }
        self.drain()?;
        if ahead.round {
            self.round()?;
        }
        Ok(())
    }

    /// A round of dispatch, and all that follows from it. Says whether anything was placed.
    pub fn round(&mut self) -> Result<bool, BatchError> {
        self.rounds += 1;
        self.tick("round", self.latest, self.rounds)?;
        let before = self.placed;
        self.drain()?;
        Ok(self.placed != before)
    }

    /// The end of a file: rounds until nothing moves.
    pub fn settle(&mut self) -> Result<(), BatchError> {
        self.drain()?;
        let mut quiet = 0;
        for _ in 0..ROUNDS_MAX {
            quiet = if self.round()? { 0 } else { quiet + 1 };
            if quiet == QUIET_ROUNDS {
                break;
            }
        }
        Ok(())
    }

    /// Every day after the latest fact, up to and including one (days since 1970-01-01).
    pub fn until(&mut self, day: i64) -> Result<(), BatchError> {
        for day in self.latest.div_euclid(DAY_MICROS) + 1..=day {
            self.latest = day * DAY_MICROS;
            self.tick("day", self.latest, day)?;
            self.drain()?;
        }
        self.settle()
    }

    /// Computes the program's views over what was said so far; they become relations.
    pub fn answer(&mut self) -> Result<(), BatchError> {
        let said = self.answers.run(&self.relations.rows());
        for (name, rows) in said.map_err(|mistake| BatchError::Program(vec![mistake]))? {
            self.relations.put(&name, &rows);
        }
        Ok(())
    }

    fn tick(&mut self, kind: &str, at: i64, number: i64) -> Result<(), BatchError> {
        let rows = ticker::row(kind, at, number);
        self.say("loans.all.ticks".into(), &rows)
    }

    fn say(&mut self, subject: String, rows: &RecordBatch) -> Result<(), BatchError> {
        for payload in rows::encode(rows, Packing::Plain, usize::MAX) {
            let message = Outgoing { subject: subject.clone(), payload, ..Outgoing::default() };
            Waiting::Here.wait(self.log.commit("loans", &[message]))?;
        }
        Ok(())
    }

    /// Steps every stage until nothing is left to read, and follows what was said.
    fn drain(&mut self) -> Result<(), BatchError> {
        let broken = stepped(&self.log, &mut self.stages)?;
        self.broken.add(&broken);
        self.follow()?;
        if self.away.is_some() {
            for stream in STREAMS {
                self.log.forget(stream)?;
            }
        }
        Ok(())
    }

    fn follow(&mut self) -> Result<(), BatchError> {
        for follower in &mut self.followers {
            loop {
                let messages = Waiting::Here.wait(follower.next(LIMIT, Duration::ZERO))?;
                if messages.is_empty() {
                    break;
                }
                for message in messages {
                    let Some(relation) = relation(&message.subject) else { continue };
                    for rows in rows::of(&message)? {
                        match relation {
                            "loans" => self.latest = self.latest.max(newest(&rows)),
                            "placements" => self.placed += placed(&rows),
                            _ => {}
                        }
                        let rows =
                            if relation == "refused" { named(&self.sources, rows) } else { rows };
                        match &self.away {
                            // Who is gone has failed, and says so itself.
                            Some(away) => drop(away.send((relation.to_owned(), rows))),
                            None => self.relations.apply(relation, &rows),
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The log that everything went through.
    pub fn log(&self) -> &MemoryLog {
        &self.log
    }
}

/// Compiles these stages and opens them with all of their shards.
fn open(
    log: &MemoryLog,
    rules: &Rules,
    sources: &[Source],
    decoder: Decoder,
    names: &[&str],
) -> Result<Stages, BatchError> {
    let here = Waiting::Here;
    let owner = Owner { name: "batch".into(), nonce: 1 };
    let mut decoder = Some(decoder);
    let mut stages = vec![];
    for shape in STAGES.iter().filter(|shape| names.contains(&shape.name)) {
        let stage = compile(shape, sources, rules).map_err(BatchError::Program)?;
        let decoder = decoder.take().unwrap_or_default();
        let mut group = Group::new(stage, decoder, owner.clone(), Packing::Plain);
        group.payload_max = log.payload_max();
        let shards = wake::shards_of(shape, rules.shards, 1);
        here.wait(wake::init(log, shape, shards))?;
        for shard in 0..shards {
            here.wait(wake::fresh(log, &mut group, shard))?;
        }
        let (filters, after) = group.reads();
        stages.push((group, here.wait(log.read(shape.reads, &filters, after))?));
    }
    Ok(stages)
}

/// How these stages write what they say.
fn pack(stages: &mut Stages, packing: Packing) {
    stages.iter_mut().for_each(|(group, _)| group.packing = packing);
}

/// Steps stages until nothing is left to read; answers with what the books broke.
fn stepped(log: &MemoryLog, stages: &mut Stages) -> Result<Broken, BatchError> {
    let here = Waiting::Here;
    let (mut moved, mut broken) = (true, Broken::default());
    while std::mem::take(&mut moved) {
        for (group, reader) in &mut *stages {
            loop {
                let turn = turn(log, &here, reader.as_mut(), group, LIMIT, Duration::ZERO)?;
                if turn.messages == 0 {
                    break;
                }
                broken.add(&turn.broken);
                moved = true;
            }
        }
    }
    Ok(broken)
}

const DAY_MICROS: i64 = 86_400_000_000;

/// The relation of a message that people may read; `None` for those inside the program.
pub fn relation(subject: &str) -> Option<&str> {
    let mut tokens = subject.split('.');
    let (stream, shard, relation) = (tokens.next()?, tokens.next()?, tokens.next()?);
    if shard == "cursor" {
        return None;
    }
    let shown = match stream {
        "book" => !["demand", "lines", "ticked", "agencies", "desks", "contracts", "remittances"]
            .contains(&relation),
        "statements" => true,
        "loans" => ["refused", "rounds"].contains(&relation),
        _ => relation == "refused",
    };
    shown.then_some(relation)
}

fn newest(rows: &RecordBatch) -> i64 {
    let column = rows.column_by_name("event_time");
    let times = column.and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
    let newest = times.and_then(datafusion::arrow::compute::max);
    newest.unwrap_or_default()
}

fn placed(rows: &RecordBatch) -> usize {
    let statuses = rows.column_by_name("status").and_then(|c| c.as_string_opt::<i32>());
    statuses.map_or(0, |all| all.iter().flatten().filter(|one| *one == "placed").count())
}

/// Refused rows of a user's own files name file and line instead of a place in the intake.
fn named(sources: &BTreeMap<u64, String>, rows: RecordBatch) -> RecordBatch {
    let Some((at, _)) = rows.schema().column_with_name("source") else { return rows };
    let Some(places) = rows.column(at).as_string_opt::<i32>() else { return rows };
    let named: StringArray =
        places.iter().map(|place| place.map(|place| name(sources, place))).collect();
    let mut columns = rows.columns().to_vec();
    columns[at] = Arc::new(named);
    RecordBatch::try_new(rows.schema(), columns).unwrap_or(rows)
}

/// `intake:41:7` as `june.jsonl:1207`.
fn name(sources: &BTreeMap<u64, String>, place: &str) -> String {
    let mut parts = place.split(':');
    let (Some("intake"), Some(seq), Some(row)) = (parts.next(), parts.next(), parts.next()) else {
        return place.into();
    };
    match seq.parse().ok().and_then(|seq: u64| sources.get(&seq)) {
        Some(file) => format!("{file}:{row}"),
        None => place.into(),
    }
}
