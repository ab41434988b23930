//! What we wrote ourselves and read again: somebody may have touched it in between.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::Array;
use datafusion::arrow::record_batch::RecordBatch;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use recoup::cursor::Cursor;
use recoup::log::Message;
use recoup::log::memory::MemoryLog;
use recoup::rows::{self, Packing};
use recoup::snapshot::{self, Snapshots};
use recoup::{backup, serve};
use recoup_operators::{ALL, Rules, facts};
use sha2::{Digest, Sha256};

/// Rows as one stage sends them to the next: they read and are what they say, or do not read.
pub fn rows(bytes: &[u8]) {
    let message = Message {
        seq: 7,
        subject: "loans.0.letters".into(),
        headers: vec![],
        payload: Bytes::copy_from_slice(bytes),
        rows: None,
        at: 0,
    };
    let Ok(batches) = rows::of(&message) else { return };
    for rows in batches {
        sound(&rows);
        if let Ok(fitted) = rows::fitted(&message, rows, &facts::letters()) {
            sound(&fitted);
            for payload in rows::encode(&fitted, Packing::Lz4, 1 << 20) {
                let again = rows::decode(&payload).expect("it was just written");
                again.iter().for_each(sound);
            }
        }
    }
}

fn sound(rows: &RecordBatch) {
    for column in rows.columns() {
        column.to_data().validate_full().expect("what was read is whole");
    }
}

/// A cursor: what reads is stored as it was.
pub fn cursor(bytes: &[u8]) {
    let Some(cursor) = Cursor::decode(bytes) else { return };
    assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
}

/// A snapshot under its seal: whoever can write there can also compute the seal.
pub fn snapshot(bytes: &[u8]) {
    let sealed = Bytes::from([bytes, &Sha256::digest(bytes)].concat());
    assert!(snapshot::decode("x", &Bytes::copy_from_slice(bytes)).is_err(), "it has no seal");
    let Ok(found) = snapshot::decode("x", &sealed) else { return };
    for tables in found.tables {
        woken(&tables);
    }
}

/// Tables of memory, one IPC stream after the other, each behind its length: operators wake from
/// what fits them and refuse all else.
pub fn memory(bytes: &[u8]) {
    let (mut rest, mut tables) = (bytes, vec![]);
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some((table, behind)) = behind.split_at_checked(length) else { break };
        let read = rows::decode(&Bytes::copy_from_slice(table));
        tables.extend(read.unwrap_or_default().into_iter().next());
        rest = behind;
    }
    woken(&tables);
}

fn woken(tables: &[RecordBatch]) {
    for verb in ALL {
        let mut operator = (verb.open)(&Rules::default(), 0);
        if operator.load(tables.to_vec()).is_ok() {
            let _ = (operator.save(), operator.size());
        }
    }
}

/// An object of a backup, under its seal.
pub fn archive(bytes: &[u8]) {
    let sealed = Bytes::from([bytes, &Sha256::digest(bytes)].concat());
    let Ok(messages) = backup::pack::unpack("x", &sealed) else { return };
    let again = Bytes::from(backup::pack::pack(&messages));
    assert_eq!(backup::pack::unpack("x", &again).expect("it was just written"), messages);
}

/// The room that was kept, under its digest, which stands behind the first eight bytes.
pub fn room(bytes: &[u8]) {
    let Some((magic, rest)) = bytes.split_first_chunk::<8>() else { return };
    let sealed = [magic.as_slice(), &Sha256::digest(rest), rest].concat();
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let snapshots = Snapshots::over(Arc::clone(&store));
    futures::executor::block_on(async {
        let path = Path::from("room/00000000000000000001.snapshot");
        store.put(&path, sealed.into()).await.expect("memory takes it");
        let room = serve::restore(&MemoryLog::new(), Some(&snapshots)).await;
        let _ = room.moment().shards();
    });
}
