//! The stage that hostile records meet first.

use std::collections::BTreeMap;
use std::time::Duration;

use datafusion::arrow::array::AsArray;
use recoup::cursor::Cursor;
use recoup::decoder::{Decoder, FORMAT};
use recoup::group::{Group, Owner, Shard};
use recoup::log::Message;
use recoup::rows::{self, Packing};
use recoup_operators::Rules;
use recoup_operators::rules::Keys;
use recoup_sql::{compile, shipped, stages};

/// What came out.
#[derive(Default)]
pub struct Out {
    pub good: u64,
    pub others: u64,
    pub refused: BTreeMap<String, u64>,
    pub stepping: Duration,
}

pub struct Normalize {
    group: Group,
    seq: u64,
}

impl Normalize {
    pub fn new() -> Self {
        let shape = stages::shape("normalize").expect("there is one");
        let keys = Some(Keys { token: [1; 32], seal: [2; 64], id: 3 });
        let rules = Rules { keys, ..Rules::default() };
        let stage = compile(shape, &shipped(), &rules).expect("it compiles");
        let owner = Owner { name: "hostile".into(), nonce: 1 };
        let mut group = Group::new(stage, Decoder::default(), owner, Packing::Lz4);
        group.memories.open(&group.stage, 0);
        let (cursor, said) = (Cursor::default(), BTreeMap::new());
        group.take(0, Shard { cursor, cursor_seq: 0, read: 0, said });
        Normalize { group, seq: 0 }
    }

    pub fn send(&mut self, format: &str, payload: Vec<u8>, out: &mut Out) {
        self.seq += 1;
        let message = Message {
            seq: self.seq,
            subject: "intake.L1.file.0".into(),
            headers: vec![(FORMAT.into(), format.into())],
            payload: payload.into(),
            rows: None,
            at: 0,
        };
        let began = worked();
        let step = self.group.step(&[message]).expect("a step cannot fail");
        out.stepping += worked() - began;
        for said in step.commits.into_iter().flat_map(|commit| commit.said) {
            let size = recoup::log::size(&said);
            assert!(size <= 1 << 20, "a message of {size} bytes fits no log");
            let refused = said.subject.ends_with(".refused");
            for rows in rows::decode(&said.payload).expect("it is Arrow") {
                let name = if refused { "reason" } else { "loan_id" };
                for text in rows.column_by_name(name).expect(name).as_string::<i32>() {
                    let text = text.unwrap_or_default();
                    match (refused, text.starts_with("GOOD")) {
                        (true, _) => *out.refused.entry(text.into()).or_default() += 1,
                        (false, true) => out.good += 1,
                        (false, false) => out.others += 1,
                    }
                }
            }
        }
    }
}

/// Time that this thread has spent on a core, so that other work on the machine does not count.
fn worked() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = told.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}
