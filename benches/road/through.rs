//! Through a broker that syncs every write: by lines, one by one, at a rate, and what is kept.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{Array, AsArray};
use recoup::log::{Log, ReadLimit};
use recoup::rows;

use crate::deployment::{Deployment, usage};
use crate::{Answer, records, write};

/// The intake is dealt over so many subjects.
const SUBJECTS: u64 = 4;
const LIMIT: ReadLimit = ReadLimit { messages: 1_000, bytes: 32 << 20 };

pub fn lines(count: u64) -> Answer<()> {
    let deployment = Deployment::start()?;
    write(&deployment.folder().join("intake.jsonl"), count, records::mix)?;
    let began = Instant::now();
    deployment.call(&["load", "--json", "intake.jsonl", "--lender", "L001"])?;
    let loaded = began.elapsed().as_secs_f64();
    deployment.drained()?;
    told(&deployment, count, began);
    println!("published after {loaded:.2} s");
    Ok(())
}

pub fn singles(count: u64) -> Answer<()> {
    let deployment = Deployment::start()?;
    let began = Instant::now();
    let mut publisher = Publisher::connect(deployment.port())?;
    let mut record = vec![];
    for i in 0..count {
        record.clear();
        records::mix(i, &mut record)?;
        publisher.publish(i % SUBJECTS, &record)?;
    }
    publisher.flush()?;
    let published = began.elapsed().as_secs_f64();
    deployment.drained()?;
    told(&deployment, count, began);
    println!("published after {published:.2} s");
    Ok(())
}

fn told(deployment: &Deployment, count: u64, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    let used = usage(deployment.worker.id()).unwrap_or_default();
    println!("{count} records in {seconds:.2} s: {:.0} records/s", count as f64 / seconds);
    println!("worker: processor {:.2} s, peak memory {} MB", used.seconds, used.peak >> 20);
}

/// Offers new loans at a rate and follows the placements that are committed.
pub fn latency(rate: u64, seconds: u64, lines: u64) -> Answer<()> {
    let deployment = Deployment::start()?;
    let total = rate * seconds;
    let filters = ["book.*.placements".to_string()];
    let follow = deployment.log.read("book", &filters, 0);
    let mut reader = deployment.runtime.block_on(follow)?;
    let port = deployment.port();
    let began = Instant::now();
    // A loan's instant of publishing follows from its number: a message leaves when it is due.
    let due = move |message: u64| Duration::from_secs_f64((message * lines) as f64 / rate as f64);
    let publishing = std::thread::spawn(move || -> Result<Duration, std::io::Error> {
        let mut publisher = Publisher::connect(port)?;
        let mut behind = Duration::ZERO;
        let mut record = vec![];
        for message in 0..total / lines {
            record.clear();
            for i in message * lines..(message + 1) * lines {
                records::report(i, i, &mut record)?;
            }
            let late = began.elapsed().saturating_sub(due(message));
            behind = behind.max(late);
            std::thread::sleep(due(message).saturating_sub(began.elapsed()));
            publisher.publish(message % SUBJECTS, &record)?;
            publisher.flush()?;
        }
        Ok(behind)
    });
    let mut waits = vec![];
    while waits.len() < (total / lines * lines) as usize {
        let next = reader.next(LIMIT, Duration::from_secs(10));
        let messages = deployment.runtime.block_on(next)?;
        if messages.is_empty() {
            break;
        }
        let now = began.elapsed();
        for loan in messages.iter().flat_map(|message| placed(&message.payload)) {
            waits.push(now.saturating_sub(due(loan / lines)));
        }
    }
    let behind = publishing.join().map_err(|_| "the publisher failed")??;
    waits.sort();
    let at = |share: f64| {
        let wait = waits.get((waits.len() as f64 * share) as usize);
        wait.map_or_else(|| "untold".to_owned(), |wait| format!("{} ms", wait.as_millis()))
    };
    println!("{rate} records/s offered for {seconds} s, {lines} a message: {} placed", waits.len());
    println!("p50 {}, p99 {}, p99.9 {}", at(0.5), at(0.99), at(0.999));
    println!("the publisher was late by {} ms at most", behind.as_millis());
    Ok(())
}

/// The numbers of the loans that a message of placements names.
fn placed(payload: &bytes::Bytes) -> Vec<u64> {
    let mut loans = vec![];
    for rows in rows::decode(payload).unwrap_or_default() {
        let text = |name: &str| rows.column_by_name(name)?.as_string_opt::<i32>();
        let (Some(ids), Some(statuses)) = (text("loan_id"), text("status")) else { continue };
        for row in (0..ids.len()).filter(|row| statuses.value(*row) == "placed") {
            loans.extend(ids.value(row).trim_start_matches("LN").parse::<u64>().ok());
        }
    }
    loans
}

pub fn memory(loans: u64) -> Answer<()> {
    let deployment = Deployment::start()?;
    deployment.drained()?;
    let empty = resident(deployment.worker.id());
    let file = deployment.folder().join("intake.jsonl");
    write(&file, loans, |i, out| records::report(i, i, out))?;
    deployment.call(&["load", "--json", "intake.jsonl", "--lender", "L001"])?;
    deployment.drained()?;
    let full = resident(deployment.worker.id());
    println!("{loans} loans: {} bytes a loan resident", (full - empty) / loans);
    println!("{} MB before, {} MB after", empty >> 20, full >> 20);
    Ok(())
}

fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.map(|line| line.trim().trim_end_matches(" kB").to_string());
    kilobytes.and_then(|text| text.parse::<u64>().ok()).unwrap_or_default() << 10
}

/// A lender's own publisher, without acknowledgements: the broker's protocol is lines of text.
struct Publisher {
    reader: BufReader<TcpStream>,
    writer: BufWriter<TcpStream>,
}

impl Publisher {
    fn connect(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        reader.read_line(&mut String::new())?;
        let mut writer = BufWriter::with_capacity(1 << 16, stream);
        writer.write_all(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n")?;
        Ok(Publisher { reader, writer })
    }

    fn publish(&mut self, subject: u64, payload: &[u8]) -> std::io::Result<()> {
        let payload = payload.strip_suffix(b"\n").unwrap_or(payload);
        write!(self.writer, "PUB intake.L001.json.{subject} {}\r\n", payload.len())?;
        self.writer.write_all(payload)?;
        self.writer.write_all(b"\r\n")
    }

    /// Returns when the server has read all that was written.
    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.write_all(b"PING\r\n")?;
        self.writer.flush()?;
        let mut line = String::new();
        while line.trim_end() != "PONG" {
            line.clear();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if line.starts_with("PING") {
                self.writer.write_all(b"PONG\r\n")?;
                self.writer.flush()?;
            }
        }
        Ok(())
    }
}
