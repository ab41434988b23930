//! What the fuzzer has kept, and what once broke something: every target reads all of its own.

use std::fs;
use std::path::{Path, PathBuf};

use super::targets::ALL;

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<_> = listed.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpora")
}

/// The inputs of a target.
pub fn of(name: &str) -> Vec<Vec<u8>> {
    let files = entries(&folder().join(name));
    files.iter().map(|file| fs::read(file).expect("it reads")).collect()
}

#[test]
fn what_the_fuzzer_kept_breaks_nothing() {
    let corpora = folder();
    let folders: Vec<String> = entries(&corpora)
        .iter()
        .map(|folder| folder.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    let mut names: Vec<String> = ALL.iter().map(|(name, _)| name.to_string()).collect();
    names.sort();
    assert_eq!(folders, names, "a folder for each target");
    for (name, target) in ALL {
        for file in entries(&corpora.join(name)) {
            println!("{}", file.display());
            target(&fs::read(&file).expect("it reads"));
        }
    }
}
