//! A world to break: workers that hold shards of stages over a wild log, and what befalls them.
//!
//! One thread, no waiting: whose turn it is, what is lost and who dies is thrown by the dice of the
//! seed. A worker here does what a thread of the product does: wake, turn, snapshot, leave.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use futures::executor::block_on;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use recoup::decoder::Decoder;
use recoup::drive::{Stopped, Waiting, turn};
use recoup::group::{Group, Owner};
use recoup::log::memory::MemoryLog;
use recoup::log::{Log, LogError, Outgoing, ReadLimit, Reader};
use recoup::rows::{self, Packing};
use recoup::snapshot::{self, Snapshots};
use recoup::wake;
use recoup::{post, ticker};
use recoup_sql::stages::{STAGES, Shape};

use super::dice::Dice;
use super::plan::{FIRST_DAY, Plan};
use super::pool::{AGENCIES, Pool, REWORDED, SHIPPED, count};
use super::watch::Watch;
use super::wild::{WildLog, is_killed};

const STREAMS: [&str; 5] = ["intake", "reports", "loans", "book", "statements"];
const LIMIT: ReadLimit = ReadLimit { messages: 12, bytes: 64 << 10 };
/// Small enough that what a tick says does not fit one batch.
const BATCH_MESSAGES_MAX: usize = 6;
/// The day on which every world ends.
const LAST_DAY: i64 = FIRST_DAY + 11;
const DAY_MICROS: i64 = 86_400_000_000;

/// One thread of a worker.
pub struct Actor {
    pub group: Group,
    pub reader: Box<dyn Reader>,
    pub program: usize,
    /// Its turn comes only once in so many.
    slow: u64,
}

pub struct World<'p> {
    pub log: WildLog,
    pub store: Arc<InMemory>,
    pub snapshots: Snapshots,
    pub plan: &'p Plan,
    pub pool: &'p mut Pool,
    pub actors: Vec<Actor>,
    pub dice: Dice,
    pub watch: Watch,
    pub told: BTreeMap<&'static str, u64>,
    pub program: usize,
    /// Microseconds since 1970, of nobody's clock but this world's.
    pub clock: i64,
    published: usize,
    day: i64,
    rounds: i64,
    nonce: u64,
    curves: u64,
}

impl<'p> World<'p> {
    pub fn new(seed: u64, plan: &'p Plan, pool: &'p mut Pool) -> Self {
        let store = Arc::new(InMemory::new());
        let mut world = World {
            log: WildLog::new(MemoryLog::new(), seed ^ 0xfa17, BATCH_MESSAGES_MAX),
            snapshots: Snapshots::over(store.clone()),
            store,
            plan,
            pool,
            actors: vec![],
            dice: Dice::new(seed),
            watch: Watch::new(plan),
            told: BTreeMap::new(),
            program: SHIPPED,
            clock: FIRST_DAY * DAY_MICROS,
            published: 0,
            day: FIRST_DAY - 1,
            rounds: 0,
            nonce: 0,
            curves: 0,
        };
        world.found();
        world
    }

    /// Streams, first cursors, reference data and the first day.
    fn found(&mut self) {
        for stream in STREAMS {
            block_on(self.log.create(stream)).expect("a stream");
        }
        for shape in STAGES {
            block_on(wake::init(&self.log, shape, count(shape))).expect("first cursors");
        }
        let (market, agencies) =
            ("province,product,idx\n44,cash,1.0000\n44,card,0.9000\n", AGENCIES);
        for (name, text) in [("market", market), ("agencies", agencies)] {
            self.refer(name, text);
        }
        self.price();
        self.tick_day();
    }

    fn refer(&self, name: &str, text: &str) {
        let table = post::parse_reference(name, name, text.as_bytes()).expect("it fits");
        block_on(post::post(&self.log.inner, &table)).expect("it is posted");
    }

    /// Another version of the curve.
    fn price(&mut self) {
        self.curves += 1;
        let mut text = String::from("product,bucket,recovery_rate,handling_cost\n");
        for product in ["cash", "card"] {
            for bucket in ["1-30", "31-60", "61-90"] {
                text += &format!("{product},{bucket},0.{}000,10.00\n", 2 + self.curves % 5);
            }
        }
        self.refer("curve", &text);
    }

    pub fn tell(&mut self, what: &'static str) {
        *self.told.entry(what).or_default() += 1;
    }

    fn tick(&mut self, kind: &'static str, at: i64, number: i64) {
        let payload = rows::encode(&ticker::row(kind, at, number), Packing::Plain, usize::MAX);
        let payload = payload.into_iter().next().expect("a tick is a row");
        let subject = "loans.all.ticks".into();
        let tick = Outgoing { subject, payload, ..Outgoing::default() };
        block_on(self.log.inner.commit("loans", &[tick])).expect("a tick is stored");
        self.tell(kind);
    }

    fn tick_day(&mut self) {
        if self.day < LAST_DAY {
            self.day += 1;
            self.clock = self.clock.max(self.day * DAY_MICROS);
            self.tick("day", self.day * DAY_MICROS, self.day);
        }
    }

    fn tick_round(&mut self) {
        self.rounds += 1;
        self.clock += 1_000_000;
        // Whoever posts it may have a clock that is wrong by up to an hour.
        let at = self.clock + self.dice.between(-3_600, 3_600) * 1_000_000;
        self.tick("round", at, self.rounds);
    }

    fn publish(&mut self) {
        if let Some(message) = self.plan.messages.get(self.published) {
            let message = std::slice::from_ref(message);
            block_on(self.log.inner.commit("intake", message)).expect("the intake takes it");
            self.published += 1;
        }
    }

    /// Starts a thread over these shards; it may die of it, or find nobody.
    pub fn start(&mut self, shape: &'static Shape, shards: &[u32]) -> Result<(), String> {
        self.nonce += 1;
        let owner = Owner { name: format!("w{}", self.nonce % 4), nonce: self.nonce };
        let stage = self.pool.lend(shape, self.program);
        let mut group = Group::new(stage, Decoder::default(), owner, Packing::Plain);
        group.payload_max = self.log.payload_max();
        let woken = block_on(wake::wake(&self.log, Some(&self.snapshots), &mut group, shards));
        let (filters, after) = group.reads();
        let opened = match woken {
            Ok(()) => block_on(self.log.read(shape.reads, &filters, after)),
            Err(error) => Err(error),
        };
        match opened {
            Ok(reader) => {
                let slow = if self.dice.one_in(5) { 8 } else { 1 };
                self.actors.push(Actor { group, reader, program: self.program, slow });
                self.tell("workers started");
                Ok(())
            }
            Err(error) => {
                self.pool.back(group.stage, self.program);
                self.tell("workers that died while starting");
                forgiven(&error).then_some(()).ok_or_else(|| format!("{}: {error}", shape.name))
            }
        }
    }

    /// Ends a thread without a word.
    pub fn kill(&mut self, at: usize) {
        let actor = self.actors.swap_remove(at);
        self.pool.back(actor.group.stage, actor.program);
    }

    /// One turn of a thread; how many messages it read.
    pub fn turn(&mut self, at: usize) -> Result<usize, String> {
        let actor = &mut self.actors[at];
        let reader = actor.reader.as_mut();
        let turned =
            turn(&self.log, &Waiting::Here, reader, &mut actor.group, LIMIT, Duration::ZERO);
        let name = actor.group.stage.shape.name;
        match turned {
            Ok(turned) => {
                if turned.fenced > 0 {
                    self.tell("shards fenced");
                }
                *self.told.entry("steps").or_default() += turned.steps as u64;
                if self.actors[at].group.shards.is_empty() {
                    self.kill(at);
                }
                self.watch.look(&self.log.inner)?;
                Ok(turned.messages)
            }
            Err(Stopped::Log(LogError::Unavailable(_))) => {
                let (filters, after) = actor.group.reads();
                let reads = actor.group.stage.shape.reads;
                match block_on(self.log.read(reads, &filters, after)) {
                    Ok(reader) => self.actors[at].reader = reader,
                    Err(_) => self.kill(at),
                }
                Ok(1)
            }
            Err(Stopped::Log(error)) if is_killed(&error) => {
                self.kill(at);
                self.tell("workers killed in a call");
                Ok(1)
            }
            Err(stopped) => Err(format!("{name} stopped: {stopped}")),
        }
    }

    /// Saves the shards of a thread that stand where their cursor does.
    pub fn save(&mut self, at: usize) {
        let group = &self.actors[at].group;
        if !group.stage.shape.remembers {
            return;
        }
        for (number, shard) in &group.shards {
            if shard.read == shard.cursor.seq && shard.cursor.sent == 0 {
                let (header, bytes) = snapshot::encode(group, *number).expect("it is held");
                block_on(self.snapshots.put(&header, bytes)).expect("the store takes it");
            }
        }
        self.tell("snapshots");
    }

    /// Flips, cuts or takes away one snapshot.
    fn damage(&mut self) {
        let listed: Vec<_> = block_on(self.store.list(None).try_collect()).expect("it lists");
        if listed.is_empty() {
            return;
        }
        let mut paths: Vec<_> = listed.into_iter().map(|meta| meta.location).collect();
        paths.sort();
        let path = self.dice.pick(&paths).clone();
        let bytes = block_on(async { self.store.get(&path).await?.bytes().await });
        let mut bytes = bytes.expect("it is there").to_vec();
        let place = self.dice.below(bytes.len() as u64) as usize;
        match self.dice.below(3) {
            0 => bytes[place] ^= 1 << self.dice.below(8),
            1 => bytes.truncate(place),
            _ => {
                block_on(self.store.delete(&path)).expect("it goes");
                return self.tell("snapshots taken away");
            }
        }
        block_on(self.store.put(&path, bytes.into())).expect("it is put");
        self.tell("snapshots damaged");
    }

    /// A thread for shards that nobody holds, now and then for some that somebody does.
    fn staff(&mut self) -> Result<(), String> {
        let shape = &STAGES[self.dice.below(STAGES.len() as u64) as usize];
        let holds = |number: u32| {
            let same = self.actors.iter().filter(|one| one.group.stage.shape.name == shape.name);
            same.into_iter().any(|one| one.group.shards.contains_key(&number))
        };
        let mut shards: Vec<u32> = (0..count(shape)).filter(|number| !holds(*number)).collect();
        if self.dice.one_in(5) {
            shards = (0..count(shape)).collect();
            self.tell("shards with two owners");
        }
        if self.dice.one_in(3) && shards.len() > 1 {
            shards.truncate(1 + self.dice.below(shards.len() as u64 - 1) as usize);
        }
        if shards.is_empty() { Ok(()) } else { self.start(shape, &shards) }
    }

    /// One thing that happens.
    fn happen(&mut self) -> Result<(), String> {
        self.clock += self.dice.between(1, 2_000) * 1_000;
        let actor = self.dice.below(self.actors.len() as u64) as usize;
        let some = !self.actors.is_empty();
        match self.dice.below(100) {
            0..60 if some => {
                let slow = self.actors[actor].slow;
                if slow == 1 || self.dice.one_in(slow) {
                    self.turn(actor)?;
                }
            }
            0..72 => self.staff()?,
            72..75 if some => {
                self.kill(actor);
                self.tell("workers killed");
            }
            75..78 if some => {
                self.save(actor);
                self.kill(actor);
                self.tell("planned handovers");
            }
            78..84 if some => self.save(actor),
            84..87 => self.damage(),
            87..95 => self.publish(),
            95..98 => self.tick_round(),
            98 => (0..=self.dice.below(3)).for_each(|_| self.tick_day()),
            99 if self.dice.one_in(2) => self.price(),
            99 => {
                self.program = REWORDED;
                self.tell("programs said in other words");
            }
            _ => {}
        }
        Ok(())
    }

    /// So many things happen, with a fault once in so many calls; then it is calm.
    pub fn live(&mut self, events: usize, rate: u64) -> Result<(), String> {
        self.happens(events, rate)?;
        self.calm()
    }

    pub fn happens(&mut self, events: usize, rate: u64) -> Result<(), String> {
        block_on(self.log.rage(rate));
        for _ in 0..events {
            self.happen()?;
        }
        Ok(())
    }

    /// Goes on over another log, with nobody alive and no snapshots.
    pub fn move_to(&mut self, log: MemoryLog) {
        while !self.actors.is_empty() {
            self.kill(0);
        }
        self.log = WildLog::new(log, 0, BATCH_MESSAGES_MAX);
        self.store = Arc::new(InMemory::new());
        self.snapshots = Snapshots::over(self.store.clone());
        self.watch = Watch::new(self.plan);
    }

    /// Everything is sent, every shard is held by one thread, and nothing is left to read.
    pub fn calm(&mut self) -> Result<(), String> {
        block_on(self.log.rage(0));
        while !self.actors.is_empty() {
            self.kill(0);
        }
        while self.published < self.plan.messages.len() {
            self.publish();
        }
        for shape in STAGES {
            let shards: Vec<u32> = (0..count(shape)).collect();
            self.start(shape, &shards)?;
        }
        self.drain()?;
        while self.day < LAST_DAY {
            self.tick_day();
        }
        for _ in 0..2 {
            self.tick_round();
            self.drain()?;
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), String> {
        loop {
            let mut moved = 0;
            for at in 0..self.actors.len() {
                moved += self.turn(at)?;
            }
            if moved == 0 {
                return Ok(());
            }
        }
    }

    pub fn hours(&self) -> i64 {
        (self.clock - FIRST_DAY * DAY_MICROS) / 3_600_000_000
    }
}

fn forgiven(error: &LogError) -> bool {
    matches!(error, LogError::Unavailable(_)) || is_killed(error)
}
