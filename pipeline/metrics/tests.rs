//! Names and shape of the metrics page.

use std::collections::BTreeSet;

use super::Metrics;

const UNITS: [&str; 17] = [
    "steps",
    "messages",
    "rows",
    "bytes",
    "commits",
    "seconds",
    "shards",
    "snapshots",
    "cases",
    "millionths",
    "total",
    "queries",
    "fields",
    "invariants",
    "loans",
    "cents",
    "turns",
];

#[test]
fn metrics_are_few_and_named_by_rule() {
    let source = include_str!("../metrics.rs");
    let names: BTreeSet<_> = source
        .split('"')
        .filter(|text| text.starts_with("recoup_") && !text.contains(' '))
        .collect();
    assert!(names.len() > 10);
    assert!(names.len() < 34, "{} metrics", names.len());
    for name in names {
        let stem = name.strip_suffix("_total").unwrap_or(name);
        let unit = stem.rsplit('_').next().unwrap_or_default();
        assert!(UNITS.contains(&unit), "{name} does not end in its unit");
    }
}

#[test]
fn page_shows_what_was_counted() {
    let metrics = Metrics::default();
    metrics.refused_rows.with_label_values(&["normalize"]).inc_by(3);
    metrics.step_seconds.with_label_values(&["loans"]).observe(0.003);
    metrics.lag_messages.with_label_values(&["loans"]).set(7);
    let page = metrics.render();
    assert!(page.contains("recoup_refused_rows_total{stage=\"normalize\"} 3\n"), "{page}");
    assert!(page.contains("recoup_step_seconds_bucket{stage=\"loans\",le=\"0.005\"} 1\n"));
    assert!(page.contains("recoup_lag_messages{stage=\"loans\"} 7\n"));
}
