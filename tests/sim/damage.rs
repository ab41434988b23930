//! Snapshots with bytes flipped or cut, through the loop: always noticed, never woken from, said
//! aloud, and what wakes instead says the same as before.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::TryStreamExt;
use futures::executor::block_on;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use recoup::decoder::Decoder;
use recoup::drive::{Waiting, turn};
use recoup::group::{Group, Owner};
use recoup::log::{Log, ReadLimit};
use recoup::rows::Packing;
use recoup::wake;
use recoup_sql::stages::{STAGES, Shape};

use super::dice::Dice;
use super::plan::Plan;
use super::pool::{Pool, count};
use super::world::World;

const CASES: usize = 200;
const LIMIT: ReadLimit = ReadLimit { messages: 256, bytes: 16 << 20 };

/// Lines of the log of the program.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
    }
}

#[test]
fn damaged_snapshots_are_noticed_said_and_passed_over() {
    let lines = Lines::default();
    let writer = lines.clone();
    let told = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(told, || {
        let mut pool = Pool::default();
        let plan = Plan::new(&mut Dice::new(4));
        let mut world = World::new(4, &plan, &mut pool);
        world.live(120, 0).unwrap();
        save(&mut world);
        world.calm().unwrap();
        save(&mut world);
        while !world.actors.is_empty() {
            world.kill(0);
        }
        for case in 0..CASES {
            damaged(&mut world, case, &lines);
        }
    });
}

fn save(world: &mut World) {
    for at in 0..world.actors.len() {
        world.save(at);
    }
}

fn damaged(world: &mut World, case: usize, lines: &Lines) {
    let remembering: Vec<&'static Shape> = STAGES.iter().filter(|one| one.remembers).collect();
    let shape = remembering[case % remembering.len()];
    let number = (case / remembering.len()) as u32 % count(shape);
    let folder = Path::from(format!("{}/{number}", shape.name));
    let listed: Vec<_> = block_on(world.store.list(Some(&folder)).try_collect()).unwrap();
    let mut paths: Vec<_> = listed.into_iter().map(|meta| meta.location).collect();
    paths.sort();
    // Now and then all of them: then everything is replayed.
    let every = case.is_multiple_of(10);
    let hit: Vec<Path> =
        if every { paths.clone() } else { paths.last().cloned().into_iter().collect() };
    let mut kept = vec![];
    for path in hit {
        let bytes = block_on(async { world.store.get(&path).await?.bytes().await }).unwrap();
        let mut broken = bytes.to_vec();
        let at = world.dice.below(broken.len() as u64) as usize;
        if case.is_multiple_of(2) {
            broken[at] ^= 1 << world.dice.below(8)
        } else {
            broken.truncate(at)
        }
        block_on(world.store.put(&path, broken.into())).unwrap();
        kept.push((path, bytes));
    }
    let older = if every || paths.len() < 2 { 0 } else { seq_of(&paths[paths.len() - 2]) };
    lines.take();
    let woken = wakes(world, shape, number);
    assert_eq!(woken, older, "case {case}: {} shard {number}", shape.name);
    let said = lines.take();
    let reports = said.matches("snapshot").count();
    assert!(reports >= kept.len(), "case {case}: {said:?}");
    for (path, bytes) in kept {
        block_on(world.store.put(&path, bytes.into())).unwrap();
    }
}

fn seq_of(path: &Path) -> u64 {
    let name = path.filename().unwrap_or_default();
    name.trim_end_matches(".snapshot").parse().unwrap()
}

/// Wakes a shard, from where it says, and lets it read on: it must say what was said.
fn wakes(world: &mut World, shape: &'static Shape, number: u32) -> u64 {
    let log = world.log.inner.clone();
    let stage = world.pool.lend(shape, world.program);
    let owner = Owner { name: "later".into(), nonce: 5 };
    let mut group = Group::new(stage, Decoder::default(), owner, Packing::Plain);
    block_on(wake::wake(&log, Some(&world.snapshots), &mut group, &[number])).unwrap();
    let woken = group.shards[&number].read;
    let (filters, after) = group.reads();
    let mut reader = block_on(log.read(shape.reads, &filters, after)).unwrap();
    let here = Waiting::Here;
    loop {
        let turned = turn(&log, &here, reader.as_mut(), &mut group, LIMIT, Duration::ZERO).unwrap();
        assert_eq!(turned.commits, 0, "nothing is said twice");
        if turned.messages == 0 {
            break;
        }
    }
    let shard = &group.shards[&number];
    assert_eq!(shard.read, shard.cursor.seq);
    world.pool.back(group.stage, world.program);
    woken
}
