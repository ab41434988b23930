//! Through a broker that syncs every write: by lines, one by one, and what is kept.

use std::time::Instant;

use crate::deployment::{Deployment, usage};
use crate::publisher::{Publisher, SUBJECTS};
use crate::{Answer, records, write};

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
    let mut publisher = Publisher::connect(deployment.port(), "L001")?;
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
