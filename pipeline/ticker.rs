//! The one clock: it posts each UTC day once, and rounds of dispatch.
//!
//! Every tick is fenced by the tick before it, so that several tickers are as good as one.
//! A round comes each second while something is going on and the round before it is
//! answered, else each minute: rounds that pile up would keep their readers from all other work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use datafusion::arrow::array::TimestampMicrosecondArray;
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::record_batch::RecordBatch;
use recoup_operators::facts;
use tracing::{info, warn};

use crate::cursor::{self, Cursor};
use crate::log::{Log, LogError, Message, Outgoing};
use crate::rows::{self, Packing};

const SUBJECT: &str = "loans.all.ticks";
const BUSY: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(60);
const DAY_SECONDS: i64 = 86_400;
/// What dispatch has to do with: letters, what it placed, and who may take how much. What a round
/// itself says is no news, or one would call for the next for ever.
const NEWS: [(&str, &str); 6] = [
    ("loans", "loans.*.letters"),
    ("book", "book.*.placements"),
    ("loans", "loans.all.agencies"),
    ("loans", "loans.all.desks"),
    ("loans", "loans.all.contracts"),
    ("loans", "loans.all.exclusions"),
];

/// Ticks until told to stop.
pub async fn tick(log: Arc<dyn Log>, stop: Arc<AtomicBool>) {
    let mut known = 0;
    // Paced by a clock that nobody sets: if the other one is put back, ticks go on.
    let mut last_round = None;
    while !stop.load(Ordering::Relaxed) {
        match once(log.as_ref(), &mut known, &mut last_round).await {
            Ok(()) | Err(LogError::Fenced { .. }) => {}
            Err(error) => warn!(%error, "no tick"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn once(
    log: &dyn Log,
    known: &mut u64,
    last_round: &mut Option<Instant>,
) -> Result<(), LogError> {
    let (now, began) = (SystemTime::now(), Instant::now());
    let elapsed = last_round.map_or(Duration::MAX, |last| began.saturating_duration_since(last));
    if elapsed < BUSY {
        return Ok(());
    }
    let news = news(log).await?;
    let newest = log.last("loans", SUBJECT).await?;
    let (rounds, day) = newest.as_ref().map_or(Ok((0, None)), read)?;
    let micros = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    let today = micros / 1_000_000 / DAY_SECONDS;
    let fence = newest.map_or(0, |message| message.seq);
    if day.is_some_and(|day| day < today) {
        // Days that nobody was awake for are posted one after the other.
        let next = day.unwrap_or(today) + 1;
        info!(day = next, "a day has passed");
        let at = next * DAY_SECONDS * 1_000_000;
        return post(log, fence, "day", at, next, rounds, next).await;
    }
    if elapsed >= IDLE || (news != *known && answered(log, fence).await?) {
        *last_round = Some(began);
        let number = rounds + 1;
        post(log, fence, "round", micros, number, number, day.unwrap_or(today)).await?;
        *known = news;
    }
    Ok(())
}

/// A number that changes with the news.
async fn news(log: &dyn Log) -> Result<u64, LogError> {
    let mut sum = 0;
    for (stream, subject) in NEWS {
        sum += log.last(stream, subject).await?.map_or(0, |newest| newest.seq);
    }
    Ok(sum)
}

/// Whether every shard of the book has passed the tick at a sequence, and clear their answers.
async fn answered(log: &dyn Log, tick: u64) -> Result<bool, LogError> {
    for shard in 0.. {
        let subject = cursor::subject("book", "book", shard);
        let Some(newest) = log.last("book", &subject).await? else { break };
        if Cursor::decode(&newest.payload).is_none_or(|cursor| cursor.seq < tick) {
            return Ok(false);
        }
    }
    let Some(answer) = log.last("book", "book.*.ticked").await? else { return Ok(true) };
    let clear = log.last("loans", &cursor::subject("loans", "clear", 0)).await?;
    let cursor = clear.and_then(|newest| Cursor::decode(&newest.payload));
    Ok(cursor.is_none_or(|cursor| cursor.seq >= answer.seq))
}

const ROUNDS: &str = "Recoup-Rounds";
const DAY: &str = "Recoup-Day";

/// How many rounds and which day the newest tick knows of.
fn read(message: &Message) -> Result<(i64, Option<i64>), LogError> {
    let header = |name: &str| {
        let found = message.headers.iter().find(|(key, _)| key == name);
        found.and_then(|(_, value)| value.parse().ok())
    };
    if let Some(rounds) = header(ROUNDS) {
        return Ok((rounds, header(DAY)));
    }
    let batches = rows::of(message)?;
    let number = || {
        let number = batches.first()?.column_by_name("number")?.as_primitive_opt::<Int64Type>()?;
        (!number.is_empty()).then(|| number.value(0))
    };
    Ok((number().unwrap_or_default(), header(DAY)))
}

async fn post(
    log: &dyn Log,
    fence: u64,
    kind: &str,
    at: i64,
    number: i64,
    rounds: i64,
    day: i64,
) -> Result<(), LogError> {
    let rows = row(kind, at, number);
    let payload = rows::encode(&rows, Packing::Plain, log.payload_max()).into_iter().next();
    let message = Outgoing {
        subject: SUBJECT.into(),
        headers: vec![(ROUNDS.into(), rounds.to_string()), (DAY.into(), day.to_string())],
        payload: payload.unwrap_or_default(),
        rows: None,
        expects: Some(fence),
    };
    log.commit("loans", &[message]).await.map(drop)
}

/// A tick as a fact.
pub fn row(kind: &str, at: i64, number: i64) -> RecordBatch {
    let at = TimestampMicrosecondArray::from(vec![at]).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![kind])),
        Arc::new(at),
        Arc::new(Int64Array::from(vec![number])),
    ];
    RecordBatch::try_new(facts::ticks(), columns)
        .unwrap_or_else(|_| RecordBatch::new_empty(facts::ticks()))
}
