//! What a process counts: one struct, made once, passed by reference (A13).
//!
//! Names are `recoup_<noun>_<unit>[_total]`; the label is `stage`, but for invariants, which have
//! names of their own. The reading room counts under the stage `serve`.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::core::Collector;
use prometheus::{
    Encoder, HistogramOpts, HistogramTimer, HistogramVec, IntCounterVec, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use recoup_operators::settle::invariants::Broken;

use crate::drive::Turn;
use crate::group::Round;

/// The invariant that a shard breaks whose replay says other than it said before.
pub const REPLAY: &str = "replay_says_the_same";

/// Every handle. Cloning shares them.
#[derive(Clone)]
pub struct Metrics {
    /// Steps taken.
    pub steps: IntCounterVec,
    /// Time from facts to what is said about them.
    pub step_seconds: HistogramVec,
    pub read_messages: IntCounterVec,
    pub read_rows: IntCounterVec,
    pub read_bytes: IntCounterVec,
    pub said_rows: IntCounterVec,
    pub said_bytes: IntCounterVec,
    /// Fields of the intake that nobody asked for.
    pub unknown_fields: IntCounterVec,
    /// Rows that could not be used and became facts in `refused`.
    pub refused_rows: IntCounterVec,
    pub commits: IntCounterVec,
    pub commit_seconds: HistogramVec,
    /// Commits that a newer cursor refused.
    pub fenced_commits: IntCounterVec,
    /// Commits whose answer was lost or doubtful, so that the log was asked.
    pub doubtful_commits: IntCounterVec,
    pub lag_messages: IntGaugeVec,
    /// Age of the oldest fact that waits, zero where none does.
    pub lag_seconds: IntGaugeVec,
    /// For how long the slowest thread has been in its turn.
    pub stalled_seconds: IntGaugeVec,
    pub owned_shards: IntGaugeVec,
    pub memory_bytes: IntGaugeVec,
    /// Turns that read nothing because memory is full.
    pub held_back: IntCounterVec,
    pub snapshots: IntCounterVec,
    pub failed_snapshots: IntCounterVec,
    pub snapshot_seconds: HistogramVec,
    /// From the start of a shard to its first new step.
    pub recovery_seconds: HistogramVec,
    /// Loans that were given to a desk, and those of them whose better desks were full.
    pub placed_loans: IntCounterVec,
    pub spilled_loans: IntCounterVec,
    /// Cases that wait for capacity.
    pub waiting_cases: IntGaugeVec,
    /// What the newest round that shards reported on was worth, and what any plan could be.
    pub round_value_cents: IntGaugeVec,
    pub round_bound_cents: IntGaugeVec,
    /// How far it can be from the best plan, in millionths.
    pub round_gap_millionths: IntGaugeVec,
    /// Of the shares that clear dealt, the part that is taken, in millionths.
    pub share_use_millionths: IntGaugeVec,
    /// From a round's tick to its bid prices and shares, stored.
    pub round_seconds: HistogramVec,
    pub query_seconds: HistogramVec,
    /// Rows that break what must hold of the books; of any stage, by `invariant`.
    pub broken_invariants: IntCounterVec,
    registry: Registry,
}

/// How a stage stands, over all threads of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub shards: usize,
    pub memory: usize,
    pub lag_messages: u64,
    pub lag_seconds: i64,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// From a tenth of a millisecond to ten seconds.
const SECONDS: [f64; 12] =
    [0.000_1, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let counter = |name, help| counter(&registry, name, help);
        let gauge = |name, help| gauge(&registry, name, help);
        let seconds = |name, help| seconds(&registry, name, help);
        Metrics {
            steps: counter("recoup_steps_total", "Steps taken"),
            step_seconds: seconds("recoup_step_seconds", "Time of a step"),
            read_messages: counter("recoup_read_messages_total", "Messages read"),
            read_rows: counter("recoup_read_rows_total", "Rows read"),
            read_bytes: counter("recoup_read_bytes_total", "Bytes read"),
            said_rows: counter("recoup_said_rows_total", "Rows committed"),
            said_bytes: counter("recoup_said_bytes_total", "Bytes committed"),
            unknown_fields: counter("recoup_unknown_fields_total", "Fields nobody asked for"),
            refused_rows: counter("recoup_refused_rows_total", "Rows that could not be used"),
            commits: counter("recoup_commits_total", "Commits stored"),
            commit_seconds: seconds("recoup_commit_seconds", "Time from sending to stored"),
            fenced_commits: counter("recoup_fenced_commits_total", "Commits refused by a fence"),
            doubtful_commits: counter("recoup_doubtful_commits_total", "Commits asked about"),
            lag_messages: gauge("recoup_lag_messages", "Messages that wait to be read"),
            lag_seconds: gauge("recoup_lag_seconds", "Age of the oldest message that waits"),
            stalled_seconds: gauge("recoup_stalled_seconds", "How long the slowest turn takes"),
            owned_shards: gauge("recoup_owned_shards", "Shards that this process runs"),
            memory_bytes: gauge("recoup_memory_bytes", "Memory of the shards"),
            held_back: counter("recoup_held_back_turns_total", "Turns that memory was full"),
            snapshots: counter("recoup_snapshots_total", "Snapshots saved"),
            failed_snapshots: counter("recoup_failed_snapshots_total", "Snapshots not saved"),
            snapshot_seconds: seconds("recoup_snapshot_seconds", "Time to save a snapshot"),
            recovery_seconds: seconds("recoup_recovery_seconds", "Time to recover a shard"),
            placed_loans: counter("recoup_placed_loans_total", "Loans given to a desk"),
            spilled_loans: counter("recoup_spilled_loans_total", "Loans whose best desk was full"),
            waiting_cases: gauge("recoup_waiting_cases", "Cases that wait for capacity"),
            round_value_cents: gauge("recoup_round_value_cents", "Value of the last round"),
            round_bound_cents: gauge("recoup_round_bound_cents", "What no plan of it exceeds"),
            round_gap_millionths: gauge(
                "recoup_round_gap_millionths",
                "Certified distance of the last round from the best plan",
            ),
            share_use_millionths: gauge("recoup_share_use_millionths", "Part of shares taken"),
            round_seconds: seconds("recoup_round_seconds", "From a round's tick to its quotas"),
            query_seconds: seconds("recoup_query_seconds", "Time of a query"),
            broken_invariants: invariants(&registry),
            registry,
        }
    }
}

impl Metrics {
    /// Counts what a turn of a stage's loop did.
    pub fn turned(&self, stage: &str, turn: &Turn) {
        let labels = [stage];
        let count = |counter: &IntCounterVec, by: u64| {
            counter.with_label_values(&labels).inc_by(by);
        };
        count(&self.read_messages, turn.messages as u64);
        count(&self.read_bytes, turn.bytes as u64);
        count(&self.read_rows, turn.rows as u64);
        count(&self.steps, turn.steps as u64);
        count(&self.commits, turn.commits as u64);
        count(&self.said_bytes, turn.said_bytes as u64);
        count(&self.said_rows, turn.said_rows as u64);
        count(&self.refused_rows, turn.refused_rows as u64);
        count(&self.unknown_fields, turn.unknown_fields);
        count(&self.doubtful_commits, turn.doubtful as u64);
        count(&self.fenced_commits, turn.fenced as u64);
        for (name, rows) in turn.broken.counts() {
            self.broken_invariants.with_label_values(&[name]).inc_by(rows);
        }
        count(&self.placed_loans, turn.decided.placed);
        count(&self.spilled_loans, turn.decided.spilled);
        if let Some(round) = &turn.round {
            self.cleared(stage, round);
        }
        if turn.steps > 0 {
            let each = |total: Duration| total.as_secs_f64() / turn.steps as f64;
            self.step_seconds.with_label_values(&labels).observe(each(turn.stepping));
            self.commit_seconds.with_label_values(&labels).observe(each(turn.committing));
        }
    }

    /// Shows a round that was cleared, and what the one before it reached.
    fn cleared(&self, stage: &str, round: &Round) {
        let show = |gauge: &IntGaugeVec, value: Option<i64>| {
            if let Some(value) = value {
                gauge.with_label_values(&[stage]).set(value);
            }
        };
        show(&self.share_use_millionths, round.share_use_millionths);
        if let Some(reached) = round.reached {
            show(&self.waiting_cases, Some(reached.waiting));
            show(&self.round_value_cents, Some(reached.value));
            show(&self.round_bound_cents, Some(reached.bound));
            show(&self.round_gap_millionths, reached.gap_millionths);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if let Some(at) = round.at.and_then(|at| u64::try_from(at).ok()) {
            let took = now.saturating_sub(Duration::from_micros(at));
            self.round_seconds.with_label_values(&[stage]).observe(took.as_secs_f64());
        }
    }

    /// Shows how a stage stands in this process.
    pub fn stands(&self, stage: &str, standing: &Standing) {
        let show = |gauge: &IntGaugeVec, value: i64| gauge.with_label_values(&[stage]).set(value);
        show(&self.owned_shards, standing.shards as i64);
        show(&self.memory_bytes, standing.memory as i64);
        show(&self.lag_messages, standing.lag_messages as i64);
        show(&self.lag_seconds, standing.lag_seconds);
    }

    /// Counts a snapshot that was stored, or could not be.
    pub fn saved(&self, stage: &str, stored: bool, took: Duration) {
        let counter = if stored { &self.snapshots } else { &self.failed_snapshots };
        counter.with_label_values(&[stage]).inc();
        self.snapshot_seconds.with_label_values(&[stage]).observe(took.as_secs_f64());
    }

    /// Counts a shard that has replayed what it had committed.
    pub fn recovered(&self, stage: &str, took: Duration) {
        self.recovery_seconds.with_label_values(&[stage]).observe(took.as_secs_f64());
    }

    /// A query of the reading room begins; it ends when the answer is dropped.
    pub fn asked(&self) -> HistogramTimer {
        self.query_seconds.with_label_values(&["serve"]).start_timer()
    }

    /// All metrics in the text format of Prometheus.
    pub fn render(&self) -> String {
        let mut out = vec![];
        // Writing to memory fails only for a metric without samples, which is left out anyway.
        let families = self.registry.gather();
        if TextEncoder::new().encode(&families, &mut out).is_err() {
            out.clear();
        }
        String::from_utf8(out).unwrap_or_default()
    }
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounterVec {
    listed(registry, name, IntCounterVec::new(Opts::new(name, help), &["stage"]))
}

/// From zero, so that the first one shows as a rise.
fn invariants(registry: &Registry) -> IntCounterVec {
    let options =
        Opts::new("recoup_broken_invariants_total", "Rows that break what must hold of the books");
    let broken = listed(registry, "broken", IntCounterVec::new(options, &["invariant"]));
    for (name, _) in Broken::default().counts() {
        broken.with_label_values(&[name]).inc_by(0);
    }
    broken.with_label_values(&[REPLAY]).inc_by(0);
    broken
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGaugeVec {
    listed(registry, name, IntGaugeVec::new(Opts::new(name, help), &["stage"]))
}

fn seconds(registry: &Registry, name: &str, help: &str) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
    listed(registry, name, HistogramVec::new(options, &["stage"]))
}

fn listed<M>(registry: &Registry, name: &str, metric: prometheus::Result<M>) -> M
where
    M: Collector + Clone + 'static,
{
    let made = metric.and_then(|metric| {
        registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    });
    // Names are constants of this file: one that does not fit shows at the first start.
    made.unwrap_or_else(|error| unreachable!("metric {name} is listed once and well: {error}"))
}
