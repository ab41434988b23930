//! The stages before a borrower's shard: normalize and register.
//!
//! They hear nothing that all hear and nothing that comes after them. So they may run ahead, on
//! a thread and a log of their own; what they say is put into the batch's log in its order.

use std::time::Duration;

use recoup_operators::Rules;
use recoup_sql::Source;

use super::{BatchError, LIMIT, ROUND_FACTS, Stages, open, pack, stepped};
use crate::decoder::Decoder;
use crate::drive::Waiting;
use crate::log::memory::MemoryLog;
use crate::log::{Log, Outgoing, Reader};
use crate::rows::Packing;

const STREAMS: [&str; 3] = ["intake", "reports", "loans"];

/// A part of a file, as a message of the intake.
pub struct Part {
    pub message: Outgoing,
    pub file: String,
    pub facts: usize,
}

/// What the front says of some parts.
#[derive(Default)]
pub struct Ahead {
    pub reports: Vec<Outgoing>,
    pub loans: Vec<Outgoing>,
    /// Which file each message of the intake was cut from.
    pub sources: Vec<(u64, String)>,
    /// Whether a round of dispatch is due behind them.
    pub round: bool,
}

/// Normalize and register, with their memory.
pub struct Front {
    log: MemoryLog,
    stages: Stages,
    said: [Box<dyn Reader>; 2],
    facts: usize,
}

impl Front {
    pub fn open(
        rules: &Rules,
        sources: &[Source],
        decoder: Decoder,
        packing: Packing,
    ) -> Result<Self, BatchError> {
        let log = MemoryLog::new();
        for stream in STREAMS {
            Waiting::Here.wait(log.create(stream))?;
        }
        let mut stages = open(&log, rules, sources, decoder, &["normalize", "register"])?;
        pack(&mut stages, packing);
        let said = ["reports", "loans"].map(|stream| Waiting::Here.wait(log.read(stream, &[], 0)));
        let [reports, loans] = said;
        Ok(Front { log, stages, said: [reports?, loans?], facts: 0 })
    }

    /// Whether a round of dispatch is due once so many more facts have come.
    pub fn due(&self, facts: usize) -> bool {
        self.facts + facts >= ROUND_FACTS
    }

    /// Steps over parts; nothing of them is kept but what register remembers.
    pub fn step(&mut self, parts: Vec<Part>) -> Result<Ahead, BatchError> {
        let mut ahead = Ahead::default();
        for part in parts {
            let seq = Waiting::Here.wait(self.log.commit("intake", &[part.message]))?;
            ahead.sources.push((seq, part.file));
            self.facts += part.facts;
        }
        ahead.round = self.facts >= ROUND_FACTS;
        self.facts %= ROUND_FACTS;
        stepped(&self.log, &mut self.stages)?;
        let [reports, loans] = &mut self.said;
        ahead.reports = said(reports.as_mut())?;
        ahead.loans = said(loans.as_mut())?;
        for stream in STREAMS {
            self.log.forget(stream)?;
        }
        Ok(ahead)
    }
}

/// What was said since the last time, cursors left out.
fn said(reader: &mut dyn Reader) -> Result<Vec<Outgoing>, BatchError> {
    let mut said = vec![];
    loop {
        let messages = Waiting::Here.wait(reader.next(LIMIT, Duration::ZERO))?;
        if messages.is_empty() {
            return Ok(said);
        }
        let facts =
            messages.into_iter().filter(|one| one.subject.split('.').nth(1) != Some("cursor"));
        said.extend(facts.map(|one| Outgoing {
            subject: one.subject,
            headers: one.headers,
            payload: one.payload,
            rows: one.rows,
            expects: None,
        }));
    }
}
