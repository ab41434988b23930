//! From publish to committed placement: at a rate that is offered, and beside another's flood.

use std::time::{Duration, Instant};

use datafusion::arrow::array::{Array, AsArray};
use recoup::log::{Log, ReadLimit};
use recoup::rows;

use crate::deployment::Deployment;
use crate::publisher::{Publisher, SUBJECTS};
use crate::{Answer, records, write};

const LIMIT: ReadLimit = ReadLimit { messages: 1_000, bytes: 32 << 20 };
/// Loans of the lender who offers are numbered from here, so that nobody else has them.
const FIRST: u64 = 5_000_000_000;
/// A record now and then: so many a second, each in a message of its own.
const NOW_AND_THEN: u64 = 50;

/// New loans of one lender from a first number on, so many a second, so many a message.
#[derive(Clone, Copy)]
struct Offer {
    first: u64,
    rate: u64,
    total: u64,
    lines: u64,
}

/// How long the placements of an offer took, in ascending order.
struct Waits(Vec<Duration>);

impl Offer {
    /// A loan's instant of publishing follows from its number: a message leaves when it is due.
    fn due(&self, message: u64) -> Duration {
        Duration::from_secs_f64((message * self.lines) as f64 / self.rate as f64)
    }

    /// Publishes all of it and says by how much it was late at most.
    fn publish(self, port: u16, began: Instant) -> std::io::Result<Duration> {
        let mut publisher = Publisher::connect(port, "L002")?;
        let (mut behind, mut record) = (Duration::ZERO, vec![]);
        for message in 0..self.total / self.lines {
            record.clear();
            for i in message * self.lines..(message + 1) * self.lines {
                records::report_of("L002", self.first + i, i, &mut record)?;
            }
            behind = behind.max(began.elapsed().saturating_sub(self.due(message)));
            std::thread::sleep(self.due(message).saturating_sub(began.elapsed()));
            publisher.publish(message % SUBJECTS, &record)?;
            publisher.flush()?;
        }
        Ok(behind)
    }

    /// Offers and follows the placements that are committed.
    fn placed(self, deployment: &Deployment) -> Answer<(Waits, Duration)> {
        let filters = ["book.*.placements".to_string()];
        let newest = deployment.runtime.block_on(deployment.log.last("book", &filters[0]))?;
        let after = newest.map_or(0, |message| message.seq);
        let follow = deployment.log.read("book", &filters, after);
        let mut reader = deployment.runtime.block_on(follow)?;
        let (port, began) = (deployment.port(), Instant::now());
        let publishing = std::thread::spawn(move || self.publish(port, began));
        let mut waits = vec![];
        while waits.len() < (self.total / self.lines * self.lines) as usize {
            let next = reader.next(LIMIT, Duration::from_secs(10));
            let messages = deployment.runtime.block_on(next)?;
            if messages.is_empty() {
                break;
            }
            let now = began.elapsed();
            for loan in messages.iter().flat_map(|message| placed(&message.payload)) {
                waits.push(now.saturating_sub(self.due((loan - self.first) / self.lines)));
            }
        }
        waits.sort();
        let behind = publishing.join().map_err(|_| "the publisher failed")??;
        Ok((Waits(waits), behind))
    }
}

impl std::fmt::Display for Waits {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share: f64| {
            let wait = self.0.get((self.0.len() as f64 * share) as usize);
            wait.map_or_else(|| "untold".to_owned(), |wait| format!("{} ms", wait.as_millis()))
        };
        write!(out, "{} placed: p50 {}, p99 {}", self.0.len(), at(0.5), at(0.99))?;
        write!(out, ", p99.9 {}", at(0.999))
    }
}

pub fn latency(rate: u64, seconds: u64, lines: u64) -> Answer<()> {
    let deployment = Deployment::start()?;
    let (waits, behind) =
        Offer { first: FIRST, rate, total: rate * seconds, lines }.placed(&deployment)?;
    println!("{rate} records/s offered for {seconds} s, {lines} a message");
    println!("{waits}");
    println!("the publisher was late by {} ms at most", behind.as_millis());
    Ok(())
}

/// One lender loads a large file while another, who sends a record now and then, waits for its
/// placements: first without the load, then beside it.
pub fn flood(count: u64, ahead: u64) -> Answer<()> {
    let deployment = Deployment::start()?;
    write(&deployment.folder().join("intake.jsonl"), count, records::mix)?;
    let few = |first, total| Offer { first, rate: NOW_AND_THEN, total, lines: 1 };
    let (alone, _) = few(FIRST, 500).placed(&deployment)?;
    println!("{NOW_AND_THEN} records/s alone: {alone}");
    let limit = format!("limits.ahead_messages={ahead}");
    let load = ["load", "--json", "intake.jsonl", "--lender", "L001", "--set", limit.as_str()];
    let mut load = deployment.begin(&load)?;
    let (beside, _) = few(FIRST + 500, 1_000).placed(&deployment)?;
    let over = load.try_wait()?.is_some();
    load.kill().and_then(|()| load.wait())?;
    println!("beside a load of {count} records, at most {ahead} messages ahead: {beside}");
    if over {
        println!("the load was over before: give it more --records");
    }
    Ok(())
}

/// The numbers of the offered loans that a message of placements names.
fn placed(payload: &bytes::Bytes) -> Vec<u64> {
    let mut loans = vec![];
    for rows in rows::decode(payload).unwrap_or_default() {
        let text = |name: &str| rows.column_by_name(name)?.as_string_opt::<i32>();
        let (Some(ids), Some(statuses)) = (text("loan_id"), text("status")) else { continue };
        for row in (0..ids.len()).filter(|row| statuses.value(*row) == "placed") {
            loans.extend(ids.value(row).trim_start_matches("LN").parse::<u64>().ok());
        }
    }
    loans.retain(|loan| *loan >= FIRST);
    loans
}
