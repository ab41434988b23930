//! The map in `ARCHITECTURE.md` is the land.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{entries, name, none, root};

/// The tree in `ARCHITECTURE.md` names the root's entries, and those of its folders it opens.
#[test]
fn file_tree_of_the_architecture_is_the_one_on_disk() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let tree = page.split("```tree\n").nth(1).and_then(|rest| rest.split("```").next());
    let tree = tree.expect("ARCHITECTURE.md has a block of code called tree");
    let mut top = BTreeSet::new();
    let mut opened: Vec<(String, BTreeSet<String>)> = vec![];
    for line in tree.lines().filter(|line| !line.trim().is_empty()) {
        let word = line.split_whitespace().next().unwrap_or_default().to_string();
        if !line.starts_with(' ') {
            top.insert(word.clone());
            opened.push((word, BTreeSet::new()));
        } else if let Some((_, inside)) = opened.last_mut() {
            inside.insert(word);
        }
    }
    let listed = |folder: &Path| -> BTreeSet<String> {
        let mark = |path: &PathBuf| {
            if path.is_dir() { format!("{}/", name(path)) } else { name(path) }
        };
        entries(folder).iter().map(mark).collect()
    };
    let mut broken = differences("the root", &top, &listed(root()));
    for (folder, shown) in opened.iter().filter(|(_, shown)| !shown.is_empty()) {
        broken.extend(differences(folder, shown, &listed(&root().join(folder))));
    }
    none(&broken, "the tree in ARCHITECTURE.md is the one on disk");
}

fn differences(folder: &str, shown: &BTreeSet<String>, found: &BTreeSet<String>) -> Vec<String> {
    let gone = shown.difference(found).map(|one| format!("{folder}: {one} is shown, not there"));
    let new = found.difference(shown).map(|one| format!("{folder}: {one} is there, not shown"));
    gone.chain(new).collect()
}
