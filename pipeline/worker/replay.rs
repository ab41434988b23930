//! Catching up with an owner that still works, before its shards are claimed.
//!
//! A claim fences whoever had the shard: from then on it stands still until memory has been
//! replayed up to its cursor. So what has been committed by now is replayed first, and what was
//! committed meanwhile after that, until little is left. Nothing beyond a cursor is stepped here,
//! so nothing is said.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Worker;
use super::board::Thread;
use crate::cursor;
use crate::drive::{Stopped, Waiting};
use crate::group::Group;
use crate::log::{Log, LogError, Reader};

/// How often the cursors are read again; each time less has been committed meanwhile.
const ROUNDS: usize = 8;
/// Messages that may be left: they are replayed in a moment, once the shards are ours.
const FEW: u64 = 64;

impl Worker {
    /// Replays what the shards of a group have committed. Where the log does not answer, the loop
    /// goes on with what is left.
    pub(super) fn catch_up(
        &self,
        waiting: &Waiting,
        reader: &mut dyn Reader,
        group: &mut Group,
        thread: &mut Thread<'_>,
    ) -> Result<(), Stopped> {
        for _ in 0..ROUNDS {
            if !group.stage.shape.remembers || group.behind() <= FEW {
                break;
            }
            let caught_up = self
                .replay(waiting, reader, group, thread)
                .and_then(|()| Ok(waiting.wait(follow(self.log.as_ref(), group))?));
            match caught_up {
                Ok(true) => {}
                Ok(false) | Err(Stopped::Log(LogError::Unavailable(_))) => break,
                Err(stopped) => return Err(stopped),
            }
        }
        Ok(())
    }

    /// Steps what every shard of a group has committed.
    fn replay(
        &self,
        waiting: &Waiting,
        reader: &mut dyn Reader,
        group: &mut Group,
        thread: &mut Thread<'_>,
    ) -> Result<(), Stopped> {
        let bound = group.shards.values().map(|shard| shard.cursor.seq).min().unwrap_or_default();
        let limit = self.tempo.limit;
        loop {
            let messages = waiting.wait(reader.next(limit, SOON))?;
            let last = messages.last().map_or(u64::MAX, |message| message.seq);
            let messages = group.gather_until(messages, bound);
            for part in group.cut(&messages) {
                let step = group.step(part)?;
                assert!(step.commits.is_empty(), "what was committed is not said again");
            }
            thread.stands(group);
            if last >= bound || self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }
}

/// How long a replay waits for what the log must have.
const SOON: Duration = Duration::from_secs(1);

/// Reads the cursors of a group again; false where one stands within a step, which is not ours to
/// finish yet.
async fn follow(log: &dyn Log, group: &mut Group) -> Result<bool, LogError> {
    let shape = group.stage.shape;
    for number in group.shards.keys().copied().collect::<Vec<_>>() {
        let subject = cursor::subject(shape.writes, shape.name, number);
        let (cursor_seq, cursor) = cursor::read(log, shape.writes, &subject).await?;
        if cursor.sent > 0 {
            return Ok(false);
        }
        group.committed(number, cursor, cursor_seq);
    }
    Ok(true)
}
