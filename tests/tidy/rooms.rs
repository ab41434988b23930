//! What may be named where: the walls between rooms that Cargo cannot build.

use std::fs;

use super::{Source, none, root, sources};

/// Statics that hold nothing of a process: what is bound to a task, and a constant made once.
const NOT_STATE: [&str; 2] = ["static STATEMENT: Arc<Statement>", "OnceLock<SchemaRef>"];

/// A1: neither clock, dice, I/O, async, logging nor settings among the operators.
#[test]
fn operators_touch_nothing_but_facts() {
    let banned = [
        "datafusion",
        "tokio",
        "async ",
        ".await",
        "std::time",
        "SystemTime",
        "Instant::now",
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "std::thread",
        "std::io",
        "rand::",
        "getrandom",
        "tracing",
        "log::",
        "println!",
        "eprintln!",
        "dbg!",
        "thread_local!",
        "static mut",
        "Mutex",
        "RwLock",
        "OnceLock",
        "LazyLock",
    ];
    let mut broken = vec![];
    for source in sources(&[".rs"]) {
        if source.within(&["operators/"]) && !source.is_test() {
            name_all(&source, &banned, &mut broken);
        }
    }
    let manifest = fs::read_to_string(root().join("operators/Cargo.toml")).expect("a manifest");
    let normal = manifest.split("[dev-dependencies]").next().unwrap_or_default();
    for word in ["datafusion", "tokio", "async", "tracing", "rand =", "chrono", "recoup-sql"] {
        if normal.contains(word) {
            broken.push(format!("operators/Cargo.toml depends on {word}"));
        }
    }
    none(&broken, "A1: operators know nothing but facts and their memory");
}

/// A2: the engine is named in its own room and in the reading room; elsewhere only Arrow is.
#[test]
fn engine_stays_in_its_rooms() {
    let mut broken = vec![];
    for source in sources(&[".rs"]) {
        if !source.within(&["pipeline/"]) || source.within(&["pipeline/serve"]) {
            continue;
        }
        for (i, line) in source.code() {
            let bare = line.replace("datafusion::arrow", "").replace("datafusion::parquet", "");
            if bare.contains("datafusion") {
                broken.push(format!("{}:{i}: {}", source.path, line.trim()));
            }
        }
    }
    for source in sources(&[".rs"]) {
        if source.within(&["sql/"]) && !source.is_test() {
            let shell = ["tokio::", "async_nats", "tracing::", "recoup::", "SystemTime"];
            name_all(&source, &shell, &mut broken);
        }
    }
    none(&broken, "A2: DataFusion is named in sql/ and pipeline/serve only");
}

/// A3: the broker's client has one home.
#[test]
fn broker_has_one_door() {
    let mut broken = vec![];
    for source in sources(&[".rs"]) {
        if source.within(&["pipeline/log/jetstream"]) || source.is_test() {
            continue;
        }
        name_all(&source, &["async_nats"], &mut broken);
    }
    none(&broken, "A3: async_nats is named in pipeline/log/jetstream only");
}

/// A13: nothing is global but the allocator.
#[test]
fn nothing_is_global() {
    let mut broken = vec![];
    for source in sources(&[".rs"]) {
        if source.is_test() || source.path == "pipeline/main.rs" {
            continue;
        }
        for (i, line) in source.code() {
            let item =
                line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            let allowed = NOT_STATE.iter().any(|one| line.contains(one));
            if item.starts_with("static ") && !allowed || line.contains("thread_local!") {
                broken.push(format!("{}:{i}: {}", source.path, line.trim()));
            }
        }
    }
    none(&broken, "A13: no static registry, no ambient settings");
}

fn name_all(source: &Source, words: &[&str], broken: &mut Vec<String>) {
    for (i, line) in source.code() {
        for word in words.iter().filter(|word| line.contains(**word)) {
            broken.push(format!("{}:{i}: {}", source.path, word.trim()));
        }
    }
}
