//! History that is lost or written anew behind our back, and programs that are not the one that
//! wrote it: whoever had read it must stop and say so (A14), nobody else.

use std::time::Duration;

use futures::executor::block_on;
use recoup::decoder::Decoder;
use recoup::drive::{Stopped, Waiting, turn};
use recoup::group::{Group, Owner};
use recoup::log::{Log, LogError, Outgoing, ReadLimit};
use recoup::rows::Packing;
use recoup::wake;
use recoup_sql::stages::{self, STAGES};

use super::pool::{CHANGED, count};
use super::verdict::place;
use super::world::World;

const LIMIT: ReadLimit = ReadLimit { messages: 64, bytes: 1 << 20 };

/// Another program stops, and so does everybody who has read what is gone.
pub fn lose(world: &mut World) -> Result<(), String> {
    another_program(world)?;
    let stream = *world.dice.pick(&["intake", "reports", "loans", "book"]);
    let log = world.log.inner.clone();
    let last = block_on(log.state(stream)).expect("it is there").last;
    let cut = last - 1 - world.dice.below((last - 1).min(8));
    log.cut(stream, cut).expect("it is there");
    let rewritten = world.dice.one_in(2);
    if rewritten {
        let subject = format!("{stream}.elsewhere.file.9");
        let other = |_| Outgoing { subject: subject.clone(), ..Outgoing::default() };
        let others: Vec<_> = (0..last + 2 - cut).map(other).collect();
        block_on(log.commit(stream, &others)).expect("it is stored");
    }
    while let Some(actor) = world.actors.pop() {
        running(world, actor, stream, rewritten)?;
    }
    for shape in STAGES.iter().filter(|shape| shape.reads == stream) {
        for number in 0..count(shape) {
            let seq = place(world, shape, number).seq;
            let stage = world.pool.lend(shape, world.program);
            let owner = Owner { name: "later".into(), nonce: u64::MAX };
            let mut group = Group::new(stage, Decoder::default(), owner, Packing::Plain);
            let snapshots = Some(&world.snapshots);
            let woken = block_on(wake::wake(&log, snapshots, &mut group, &[number]));
            world.pool.back(group.stage, world.program);
            let stopped = matches!(woken, Err(LogError::Lost(_)));
            if stopped != (seq > cut) {
                let name = shape.name;
                return Err(format!(
                    "{stream} was cut to {cut}, {name} {number} had read {seq}: {woken:?}"
                ));
            }
        }
    }
    world.tell(if rewritten { "tails written anew" } else { "tails lost" });
    Ok(())
}

/// A thread that was alive when it happened.
fn running(
    world: &mut World,
    mut actor: super::world::Actor,
    stream: &str,
    rewritten: bool,
) -> Result<(), String> {
    let shape = actor.group.stage.shape;
    if shape.reads == stream {
        let reader = actor.reader.as_mut();
        let here = Waiting::Here;
        let turned = turn(&world.log, &here, reader, &mut actor.group, LIMIT, Duration::ZERO);
        let lost = matches!(turned, Err(Stopped::Log(LogError::Lost(_))));
        // A tail written anew behind the last message that this thread took is none of its own.
        if !lost && !rewritten {
            return Err(format!("{} goes on though {stream} has lost its tail", shape.name));
        }
    }
    world.pool.back(actor.group.stage, actor.program);
    Ok(())
}

/// A program that computes other prices finds that it is not the one that said them.
fn another_program(world: &mut World) -> Result<(), String> {
    let shape = stages::shape("book").expect("there is a book");
    let priced = world.watch.prices.len();
    let stage = world.pool.lend(shape, CHANGED);
    let owner = Owner { name: "another".into(), nonce: u64::MAX };
    let mut group = Group::new(stage, Decoder::default(), owner, Packing::Plain);
    let log = world.log.inner.clone();
    let shards: Vec<u32> = (0..count(shape)).collect();
    let woken = wake::wake(&log, Some(&world.snapshots), &mut group, &shards);
    block_on(woken).map_err(|error| error.to_string())?;
    let (filters, after) = group.reads();
    let mut reader = block_on(log.read(shape.reads, &filters, after)).expect("it reads");
    let ended = loop {
        let here = Waiting::Here;
        match turn(&log, &here, reader.as_mut(), &mut group, LIMIT, Duration::ZERO) {
            Ok(turned) if turned.messages == 0 => break Ok(()),
            Ok(_) => {}
            Err(stopped) => break Err(stopped),
        }
    };
    world.pool.back(group.stage, CHANGED);
    match ended {
        Err(Stopped::Diverged(_)) => {
            world.tell("other programs refused");
            Ok(())
        }
        Ok(()) if priced == 0 => Ok(()),
        other => Err(format!("another program went on: {other:?}")),
    }
}
