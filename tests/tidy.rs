//! Style as a test: what neither the compiler nor the linter can say about this repository.
//!
//! Each check reads the files as they are on disk and names every place that breaks it, so that
//! one run shows all there is to mend. The rules and their reasons are in `STYLE.md`.

mod rooms;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const LINE_MAX: usize = 100;
const FILE_MAX: usize = 400;
const FUNCTION_MAX: usize = 70;

/// Folders of `operators/` that are no verb: what verbs share.
const SHARED_FOLDERS: [&str; 3] = ["decode", "facts", "memory"];

/// A source file: its path below the root, and its lines.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn within(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }

    /// Whether it is compiled into tests only.
    fn is_test(&self) -> bool {
        self.within(&["tests/", "benches/"])
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
    }

    /// Lines with their numbers, without those that are comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(i, line)| (i + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What is made here and not kept.
fn made(name: &str) -> bool {
    name == ".git" || name == ".recoup" || name == "__pycache__" || name.starts_with("target")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).expect("a folder of the repository");
    let mut paths: Vec<_> = listed.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| !made(&name(path)));
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn sources(endings: &[&str]) -> Vec<Source> {
    let mut found = vec![];
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let below = path.strip_prefix(root()).expect("below the root");
            let path = below.to_string_lossy().into_owned();
            if endings.iter().any(|ending| path.ends_with(ending)) {
                let text = fs::read_to_string(root().join(&path)).expect("a text");
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn none(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n  {}\n", broken.join("\n  "));
}

#[test]
fn lines_and_files_are_short() {
    let mut broken = vec![];
    for source in sources(&[".rs", ".sql", ".py", ".toml", "/x"]) {
        let count = source.text.lines().count();
        if count > FILE_MAX {
            broken.push(format!("{}: {count} lines", source.path));
        }
        for (i, line) in source.text.lines().enumerate() {
            if line.chars().count() > LINE_MAX {
                broken.push(format!("{}:{}: {} columns", source.path, i + 1, line.len()));
            }
        }
    }
    none(&broken, "a line has at most 100 columns, a file at most 400 lines");
}

#[test]
fn functions_are_short() {
    let mut broken = vec![];
    for source in sources(&[".rs"]) {
        let mut open: Option<(usize, &str, String)> = None;
        for (i, line) in source.text.lines().enumerate() {
            let body = line.trim_start();
            let indent = &line[..line.len() - body.len()];
            match &open {
                None if starts_function(body) && !body.ends_with(';') && !body.ends_with('}') => {
                    open = Some((i, indent, body.to_string()));
                }
                Some((start, depth, head)) if *depth == indent && body.starts_with('}') => {
                    let count = i - start + 1;
                    if count > FUNCTION_MAX {
                        let path = &source.path;
                        broken.push(format!("{path}:{}: {count} lines: {head}", start + 1));
                    }
                    open = None;
                }
                // A signature of a trait, without a body.
                Some((_, depth, _)) if *depth == indent && body.ends_with(';') => open = None,
                _ => {}
            }
        }
    }
    none(&broken, "a function has at most 70 lines");
}

fn starts_function(body: &str) -> bool {
    let words = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern"];
    body.split(' ').find(|word| !words.contains(word)) == Some("fn")
}

#[test]
fn every_file_says_what_it_is() {
    let mut broken = vec![];
    for source in sources(&[".rs", ".sql", ".py"]) {
        let first = source.text.lines().find(|line| !line.starts_with("#!")).unwrap_or_default();
        let says = match &source.path {
            path if path.ends_with(".rs") => first.starts_with("//! "),
            path if path.ends_with(".sql") => first.starts_with("-- "),
            _ => first.starts_with("\"\"\"") || first.starts_with("# "),
        };
        if !says {
            broken.push(source.path);
        }
    }
    none(&broken, "a file opens by saying what it is, in prose");
}

#[test]
fn names_say_what_they_name() {
    let banned = ["util", "helper", "manager", "misc", "common"];
    let mut broken = vec![];
    for source in sources(&[".rs", ".sql", ".py"]) {
        let mut parts = source.path.split(['/', '.', '_']);
        if let Some(part) = parts.find(|part| banned.iter().any(|word| part.starts_with(word))) {
            broken.push(format!("{}: a file called {part}", source.path));
        }
        if source.path == "tests/tidy.rs" {
            continue;
        }
        for (i, line) in source.text.lines().enumerate() {
            // What others called a thing of theirs.
            let line = ["arrow::util::", "cast_utils::", "disk_manager", "DiskManager"]
                .iter()
                .fold(line.to_string(), |line, name| line.replace(name, ""));
            let words = || line.split(|c: char| !c.is_alphanumeric());
            let bad = words().find(|word| {
                let word = word.to_lowercase();
                let word = word.trim_end_matches('s');
                banned[..4].contains(&word) || ["todo", "fixme"].contains(&word)
            });
            if let Some(word) = bad {
                broken.push(format!("{}:{}: {word}", source.path, i + 1));
            }
        }
    }
    none(&broken, "a word that could stand anywhere says nothing, and nothing is left undone");
}

#[test]
fn every_verb_has_its_folder_and_its_line() {
    let mut broken = vec![];
    let listed: BTreeSet<&str> = recoup_operators::ALL.iter().map(|verb| verb.name).collect();
    if listed.len() != recoup_operators::ALL.len() {
        broken.push("ALL names a verb twice".into());
    }
    let folder = root().join("operators");
    let on_disk: BTreeSet<String> =
        entries(&folder).iter().filter(|path| path.is_dir()).map(|path| name(path)).collect();
    for verb in &listed {
        let place = folder.join(verb);
        if !place.join("mod.rs").is_file() {
            broken.push(format!("operators/{verb}/mod.rs is missing"));
        }
        if !place.join("tests.rs").is_file() && !place.join("tests/mod.rs").is_file() {
            broken.push(format!("operators/{verb}/ has no tests"));
        }
        if !place.join(format!("{verb}.slt")).is_file() {
            broken.push(format!("operators/{verb}/{verb}.slt is missing"));
        }
    }
    for one in &on_disk {
        if !listed.contains(one.as_str()) && !SHARED_FOLDERS.contains(&one.as_str()) {
            broken.push(format!("operators/{one}/ has no line in ALL"));
        }
    }
    none(
        &broken,
        "an operator is a folder with mod.rs, tests, what it does from data, and a line in ALL",
    );
}

#[test]
fn dashboards_and_alerts_show_metrics_that_exist() {
    let mut broken = vec![];
    let known = metric_names(&sources(&["pipeline/metrics.rs"])[0].text);
    assert!(known.len() > 10, "metrics are read from pipeline/metrics.rs");
    for source in sources(&[".json", ".yaml", ".yml"]) {
        for shown in metric_names(&source.text) {
            let stem = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|ending| shown.strip_suffix(ending))
                .unwrap_or(&shown);
            if source.within(&["deploy/"]) && !known.contains(&shown) && !known.contains(stem) {
                broken.push(format!("{}: {shown}", source.path));
            }
        }
    }
    none(&broken, "a dashboard shows metrics that exist");
}

/// Every word that is named like a metric.
fn metric_names(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("recoup_"))
        .map(Into::into)
        .collect()
}

#[test]
fn no_file_names_a_machine() {
    let banned = [concat!("/wo", "rk/"), concat!("/home", "/"), concat!("../", "shared")];
    let mut broken = vec![];
    for source in sources(&[".rs", ".sql", ".py", ".md", ".toml", ".yaml", ".json", "/x", "run"]) {
        for (i, line) in source.text.lines().enumerate() {
            if banned.iter().any(|place| line.contains(place)) {
                broken.push(format!("{}:{}: {}", source.path, i + 1, line.trim()));
            }
        }
    }
    none(&broken, "the repository stands alone");
}
