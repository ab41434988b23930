//! The programs of a simulated world, compiled once, and what they are told.

use std::collections::BTreeMap;

use recoup::wake;
use recoup_operators::Rules;
use recoup_operators::rules::Keys;
use recoup_sql::stages::Shape;
use recoup_sql::{Source, Stage, compile, shipped};

pub const SHARDS: u32 = 2;

/// Stages are compiled once and lent out: planning costs more than a whole life.
#[derive(Default)]
pub struct Pool {
    free: BTreeMap<(&'static str, usize), Vec<Stage>>,
}

/// The program, the same said in other words, and another one.
pub const SHIPPED: usize = 0;
pub const REWORDED: usize = 1;
pub const CHANGED: usize = 2;

pub fn rules() -> Rules {
    let keys = Keys { token: [7; 32], seal: [9; 64], id: 1 };
    Rules { shards: SHARDS, keys: Some(keys), ..Rules::default() }
}

fn sources(program: usize) -> Vec<Source> {
    let mut all = shipped();
    for source in &mut all {
        match program {
            REWORDED => source.text.push_str("\n-- Said again.\n"),
            CHANGED => {
                let (from, to) = ("i.balance * c.recovery_rate", "i.balance * 0.25");
                source.text = source.text.replace(from, to);
            }
            _ => {}
        }
    }
    all
}

impl Pool {
    pub fn lend(&mut self, shape: &'static Shape, program: usize) -> Stage {
        let free = self.free.entry((shape.name, program)).or_default();
        free.pop().unwrap_or_else(|| {
            compile(shape, &sources(program), &rules()).expect("the program compiles")
        })
    }

    /// Takes a stage back, as if it had just been compiled.
    pub fn back(&mut self, mut stage: Stage, program: usize) {
        for (name, rows) in stage.references() {
            stage.refer(&name, &rows.slice(0, 0));
        }
        self.free.entry((stage.shape.name, program)).or_default().push(stage);
    }
}

pub fn count(shape: &Shape) -> u32 {
    wake::shards_of(shape, SHARDS, wake::INTAKE_SUBJECTS)
}

/// Two that are small, one that takes what is left.
pub const AGENCIES: &str = concat!(
    "agency_id,provinces,products,bucket_min,bucket_max,unit_cost,capacity,",
    "commission_by_bucket,perf_by_bucket\n",
    "A1,,cash,1-30,361+,5.00,2,0.20|0.20|0.20|0.20|0.20|0.20|0.20,",
    "1.20|1.20|1.20|1.20|1.20|1.20|1.20\n",
    "A2,,,1-30,361+,0.00,1,0.30|0.30|0.30|0.30|0.30|0.30|0.30,",
    "1.10|1.10|1.10|1.10|1.10|1.10|1.10\n",
    "A3,,,1-30,361+,0.00,,0.40|0.40|0.40|0.40|0.40|0.40|0.40,",
    "0.60|0.60|0.60|0.60|0.60|0.60|0.60\n",
);
