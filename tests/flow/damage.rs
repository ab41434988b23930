//! Bytes flipped, cut and added in every file that we keep: it is noticed each time, an older one
//! is taken where there is one, and somebody is told.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path as File;
use std::sync::Arc;

use futures::executor::block_on;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use recoup::backup::{BackupError, Manifest, backup, restore};
use recoup::log::memory::MemoryLog;
use recoup::serve::{Users, scram_verifier};
use recoup::settings::{load_keys, make_key_file};
use recoup::snapshot::{self, Fit, Snapshots};
use recoup_sql::stages;

use super::{idle, messages, worked};
use crate::sim::dice::Dice;

/// Other bytes than those.
fn damaged(dice: &mut Dice, whole: &[u8]) -> Vec<u8> {
    let at = dice.below(whole.len() as u64) as usize;
    let mut bytes = whole.to_vec();
    match dice.below(4) {
        0 | 1 => bytes[at] ^= 1 << dice.below(8),
        2 => bytes.truncate(at),
        _ => bytes.insert(at, dice.throw() as u8),
    }
    bytes
}

fn kept(store: &Arc<dyn ObjectStore>, path: &Path) -> Vec<u8> {
    block_on(async { store.get(path).await?.bytes().await }).unwrap().to_vec()
}

fn put(store: &Arc<dyn ObjectStore>, path: &Path, bytes: Vec<u8>) {
    block_on(store.put(path, bytes.into())).unwrap();
}

/// 100 cases: the newer of two snapshots is spoilt, the older is found, and why is told.
#[test]
fn a_spoilt_snapshot_is_told_of_and_the_older_one_taken() {
    let batch = worked();
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let snapshots = Snapshots::over(Arc::clone(&store));
    let mut group = idle(stages::shape("book").unwrap());
    let log = messages(&batch, &group);
    let mut places = vec![];
    for part in log.chunks(log.len().div_ceil(2)) {
        for message in part {
            group.step(std::slice::from_ref(message)).unwrap();
        }
        let (header, bytes) = snapshot::encode(&group, 0).unwrap();
        block_on(snapshots.put(&header, bytes)).unwrap();
        places.push(header.seq);
    }
    let newest = Path::from(format!("book/0/{:020}.snapshot", places[1]));
    let whole = kept(&store, &newest);
    let mut dice = Dice::new(11);
    for case in 0..100 {
        put(&store, &newest, damaged(&mut dice, &whole));
        let found = block_on(snapshots.newest("book", 0, &|_| Fit::Yes)).unwrap();
        let (taken, told) = (found.0.unwrap().header.seq, found.1);
        assert_eq!((taken, told.len()), (places[0], 1), "case {case}: {told:?}");
        assert!(told[0].contains(newest.as_ref()), "case {case}: {told:?}");
    }
}

/// 60 cases: a backup of which any file was touched is not restored, and the file is named.
#[test]
fn a_spoilt_backup_is_not_restored() {
    let batch = worked();
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let folder = Path::from("kept");
    let manifest = block_on(backup(batch.log(), None, super::SHARDS, &store, &folder)).unwrap();
    assert_eq!(restored(&store, &folder).unwrap(), manifest);
    let mut files = BTreeSet::from(["manifest.json".to_string()]);
    files.extend(manifest.streams.values().flat_map(|kept| kept.objects.clone()));
    let mut dice = Dice::new(12);
    for (case, file) in (0..60).zip(files.iter().cycle()) {
        let path = folder.clone().join(file.as_str());
        let whole = kept(&store, &path);
        put(&store, &path, damaged(&mut dice, &whole));
        match restored(&store, &folder) {
            Err(BackupError::Torn { path: told, .. }) => assert_eq!(told, path.to_string()),
            other => panic!("case {case}: {file} was touched, and {other:?}"),
        }
        put(&store, &path, whole);
    }
}

fn restored(store: &Arc<dyn ObjectStore>, folder: &Path) -> Result<Manifest, BackupError> {
    block_on(restore(&MemoryLog::new(), None, store, folder))
}

/// 40 cases: a key that was touched is no key. With another one nobody would be known again.
#[test]
fn a_spoilt_key_file_is_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    assert!(make_key_file(&file).unwrap());
    let whole = std::fs::read(&file).unwrap();
    let read = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        load_keys(file.to_str().unwrap())
    };
    let keys = read(&whole).unwrap();
    // One that was made elsewhere, by hand, has no check.
    assert_eq!(read(&whole[..128]).unwrap().id, keys.id);
    let mut dice = Dice::new(13);
    for case in 0..40 {
        let spoilt = damaged(&mut dice, &whole);
        match read(&spoilt) {
            Err(error) => assert!(error.to_string().contains("key"), "{error}"),
            // What is cut right behind the digits is a key made by hand; space around it is none.
            Ok(found) => assert_eq!(found.seal, keys.seal, "case {case} is another key"),
        }
    }
}

/// A users file that was touched names its line, or lets in nobody whom it did not let in before.
#[test]
fn a_spoilt_users_file_lets_nobody_in() {
    let line = format!("ann:{}\n", scram_verifier("secret", b"salt of ann", 4_096));
    let known = |text: &str| {
        Users::parse(text, [7; 32])
            .map(|users| users.names().map(str::to_owned).collect::<Vec<_>>())
    };
    assert_eq!(known(&line), Ok(vec!["ann".to_string()]));
    let mut dice = Dice::new(14);
    for _ in 0..100 {
        let spoilt = damaged(&mut dice, line.as_bytes());
        let Ok(text) = String::from_utf8(spoilt) else { continue };
        match known(&text) {
            Ok(names) => assert!(names.len() <= 1, "{names:?}"),
            Err(line) => assert!(line >= 1),
        }
    }
    let missing = Users::load(File::new("/nowhere/users"), [7; 32]);
    assert!(missing.is_err_and(|error| error.to_string().contains("/nowhere/users")));
}
