//! The drill: a backup taken in the middle of things, restored into an empty log, goes on.

use std::sync::Arc;

use futures::executor::block_on;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use recoup::backup::{BackupError, backup, restore};
use recoup::log::Log;
use recoup::log::memory::MemoryLog;

use super::dice::Dice;
use super::plan::Plan;
use super::pool::{Pool, SHARDS};
use super::verdict;
use super::world::World;

#[test]
fn a_backup_in_mid_flight_goes_on_in_an_empty_log() {
    let mut pool = Pool::default();
    for seed in 0..4 {
        let plan = Plan::new(&mut Dice::new(seed));
        let mut world = World::new(seed, &plan, &mut pool);
        world.happens(160, 25).unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let folder = Path::from("drill");
        // Every other time without the snapshots: then memory is replayed.
        let snapshots = Some(&world.snapshots).filter(|_| seed % 2 == 0);
        let log = &world.log.inner;
        let kept = block_on(backup(log, snapshots, SHARDS, &store, &folder)).unwrap();
        assert_eq!(kept.snapshots.is_empty(), snapshots.is_none());
        let empty = MemoryLog::new();
        // A log that has had other streams: the new ones are not created when the old ones were.
        block_on(empty.create("other")).unwrap();
        world.move_to(empty.clone());
        let snapshots = Some(&world.snapshots);
        assert_eq!(block_on(restore(&empty, snapshots, &store, &folder)).unwrap(), kept);
        world.calm().unwrap();
        verdict::judge(&mut world).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        let again = block_on(restore(&empty, None, &store, &folder));
        assert!(matches!(again, Err(BackupError::NotEmpty(_))));
    }
}

#[test]
fn a_backup_with_a_flipped_byte_is_not_restored() {
    let mut pool = Pool::default();
    let plan = Plan::new(&mut Dice::new(1));
    let world = World::new(1, &plan, &mut pool);
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let folder = Path::from("drill");
    let kept = block_on(backup(&world.log.inner, None, SHARDS, &store, &folder)).unwrap();
    let path = folder.clone().join(kept.streams["loans"].objects[0].as_str());
    let mut bytes = block_on(async { store.get(&path).await?.bytes().await }).unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    block_on(store.put(&path, bytes.into())).unwrap();
    let restored = block_on(restore(&MemoryLog::new(), None, &store, &folder));
    assert!(matches!(restored, Err(BackupError::Torn { .. })));
}
