//! The loop: the same log gives the same rows, however it is cut, stopped and woken.
//!
//! Here a group of shards alone; [`corrupt`] spoils what it reads, [`parts`] interrupts a step,
//! [`damage`] what is kept beside it, [`limits`] holds back what is too much,
//! [`retention`] keeps what must be kept,
//! [`crews`] has workers come and go, [`programs`] changes the program under them, [`counts`] looks
//! at what they tell of themselves. [`world`] is the deployment that these share.

mod corrupt;
mod counts;
mod crews;
mod damage;
mod fated;
mod limits;
mod parts;
mod programs;
mod retention;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use recoup::batch::Batch;
use recoup::cursor::Cursor;
use recoup::decoder::Decoder;
use recoup::group::{Group, Owner, Shard};
use recoup::log::{Log, Message, Outgoing, ReadLimit};
use recoup::post::read_reference;
use recoup::rows::Packing;
use recoup::snapshot;
use recoup_operators::Rules;
use recoup_sql::stages::{self, Shape};
use recoup_sql::{Source, compile, shipped};

const SHARDS: u32 = 3;

/// A day of work, as a log: every golden story, through all stages.
fn worked() -> Batch {
    let rules = Rules { shards: SHARDS, ..Rules::default() };
    let mut batch = Batch::open(&rules, &shipped(), Decoder::default()).expect("it compiles");
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let stories =
        ["late_report", "conflict", "reversal_across_a_report", "payment_before_its_loan"];
    for name in ["curve", "market", "agencies"] {
        let file = golden.join(stories[0]).join("reference").join(format!("{name}.csv"));
        let reference = read_reference(name, &file).expect("it fits");
        batch.post(name, &reference.batch).expect("it is heard");
    }
    batch.round().expect("a round");
    for (at, story) in stories.iter().enumerate() {
        let file = golden.join(story).join("intake.jsonl");
        let text = std::fs::read_to_string(file).expect("the story is there");
        for line in text.lines() {
            // Loans of different stories are different loans.
            let line = line.replace("LN1", &format!("LN{at}1"));
            let message = Outgoing {
                subject: "intake.-.file.0".into(),
                payload: line.into_bytes().into(),
                ..Outgoing::default()
            };
            batch.publish(message, story, 1).expect("it is read");
        }
        batch.settle().expect("it settles");
    }
    batch.until(20_600).expect("days pass");
    batch
}

/// A stage with empty memories that commits nothing.
fn idle(shape: &'static Shape) -> Group {
    with(shape, Decoder::default())
}

fn with(shape: &'static Shape, decoder: Decoder) -> Group {
    let rules = Rules { shards: SHARDS, ..Rules::default() };
    let stage = compile(shape, &shipped(), &rules).expect("it compiles");
    let owner = Owner { name: "test".into(), nonce: 1 };
    let mut group = Group::new(stage, decoder, owner, Packing::Plain);
    let shards = if shape.funnel { 1 } else { SHARDS };
    for number in 0..shards {
        group.memories.open(&group.stage, number);
        group.take(number, quiet());
    }
    group
}

fn quiet() -> Shard {
    let cursor = Cursor { seq: u64::MAX, ..Cursor::default() };
    Shard { cursor, cursor_seq: 0, read: 0, said: BTreeMap::new() }
}

fn messages(batch: &Batch, group: &Group) -> Vec<Message> {
    let (filters, _) = group.reads();
    let limit = ReadLimit { messages: usize::MAX, bytes: usize::MAX };
    let read = async {
        let log = batch.log();
        let mut reader = log.read(group.stage.shape.reads, &filters, 0).await.expect("it reads");
        reader.next(limit, Duration::ZERO).await.expect("it answers")
    };
    futures::executor::block_on(read)
}

fn said(group: &Group) -> Vec<(u32, BTreeMap<String, u64>)> {
    group.shards.iter().map(|(number, shard)| (*number, shard.said.clone())).collect()
}

fn remembering() -> Vec<&'static Shape> {
    ["register", "book", "clear", "close"].iter().filter_map(|name| stages::shape(name)).collect()
}

/// A relation that every verb is heard by in this log.
const SPOKEN: [(&str, &str); 7] = [
    ("normalize", "facts"),
    ("register", "letters"),
    ("account", "loans"),
    ("dispatch", "placements"),
    ("settle", "ledger"),
    ("clear", "rounds"),
    ("close", "statements"),
];

#[test]
fn a_stream_may_be_cut_into_steps_anywhere() {
    let batch = worked();
    let mut spoken: BTreeSet<String> = BTreeSet::new();
    for shape in stages::STAGES {
        let mut whole = idle(shape);
        let log = messages(&batch, &whole);
        assert!(log.len() > 3, "{} has something to read", shape.name);
        let parts: Vec<Vec<Message>> = whole.cut(&log).into_iter().map(<[_]>::to_vec).collect();
        for part in &parts {
            whole.step(part).expect("it steps");
        }
        spoken.extend(said(&whole).into_iter().flat_map(|(_, one)| one.into_keys()));
        let mut single = idle(shape);
        for message in &log {
            single.step(std::slice::from_ref(message)).expect("it steps");
        }
        assert_eq!(said(&whole), said(&single), "{} cut message by message", shape.name);
    }
    let verbs: Vec<&str> = recoup_operators::ALL.iter().map(|verb| verb.name).collect();
    assert_eq!(verbs, SPOKEN.map(|(verb, _)| verb), "every operator is in this test");
    for (verb, relation) in SPOKEN {
        // `relation.shard`, as digests are kept.
        let heard = spoken.iter().any(|one| one.split('.').next() == Some(relation));
        assert!(heard, "{verb} says {relation}: {spoken:?}");
    }
}

/// Single records of several lenders and dialects, decoded together or one by one.
#[test]
fn messages_of_one_record_are_the_same_rows_however_many_are_read_at_once() {
    let shape = stages::shape("normalize").expect("there is normalize");
    let dialect = Source {
        name: "L9.sql".into(),
        text: "SELECT acct AS loan_id, ev AS event_id, '9.00' AS principal FROM raw".into(),
    };
    let records = [
        ("intake.-.file.0", r#"{"payment_id":"p1","loan_id":"LN1","amount":"1.00","x":1}"#),
        ("intake.-.file.1", "no JSON"),
        ("intake.L9.file.0", r#"{"acct":"A7","ev":"e7","color":"red"}"#),
        ("intake.L9.file.0", r#"{"acct":"A8","ev":"e8"}"#),
        ("intake.L1.file.2", r#"{"payment_id":"p2","loan_id":"LN2","amount":"x"}"#),
        ("intake.-.file.0", r#"[{"payment_id":"p3","loan_id":"LN3"},{"y":2}]"#),
    ];
    let all: Vec<Message> = (1..)
        .zip(records.iter().cycle().take(40))
        .map(|(seq, (subject, text))| Message {
            seq,
            subject: subject.to_string(),
            headers: vec![],
            payload: bytes::Bytes::from_static(text.as_bytes()),
            rows: None,
            at: 0,
        })
        .collect();
    let step = |sizes: usize| {
        let mut group =
            with(shape, Decoder::compile(std::slice::from_ref(&dialect)).expect("it compiles"));
        let mut unknown = 0;
        for part in all.chunks(sizes) {
            unknown += group.step(part).expect("it steps").unknown_fields;
        }
        (said(&group), unknown)
    };
    let (alone, unknown) = step(1);
    assert!(unknown > 10, "fields that nobody asked for: {unknown}");
    for sizes in [2, 3, 7, 40] {
        assert_eq!(step(sizes), (alone.clone(), unknown), "{sizes} at once");
    }
}

#[test]
fn a_shard_wakes_from_a_snapshot_as_it_was() {
    let batch = worked();
    for shape in remembering() {
        let mut whole = idle(shape);
        let log = messages(&batch, &whole);
        let middle = log.len() / 2;
        let mut woken = idle(shape);
        for (at, message) in log.iter().enumerate() {
            whole.step(std::slice::from_ref(message)).expect("it steps");
            if at + 1 == middle {
                for number in whole.shards.keys().copied().collect::<Vec<_>>() {
                    let (_, bytes) = snapshot::encode(&whole, number).expect("it is held");
                    let back = snapshot::decode("test", &bytes).expect("it verifies");
                    for (name, rows) in &back.references {
                        woken.stage.refer(name, rows);
                    }
                    woken.memories.load(&woken.stage, number, back.tables).expect("it loads");
                    let shard = woken.shards.get_mut(&number).expect("it is taken");
                    (shard.read, shard.said) = (back.header.seq, back.header.said);
                }
            }
        }
        for message in &log {
            woken.step(std::slice::from_ref(message)).expect("it steps");
        }
        assert_eq!(said(&whole), said(&woken), "{} woken in the middle", shape.name);
    }
}

#[test]
fn snapshots_are_kept_where_the_setting_says() {
    use object_store::ObjectStoreExt;
    let folder = tempfile::tempdir().expect("a folder");
    let odd = folder.path().join("a b#c?d%20");
    let (store, prefix) = snapshot::store_at(odd.to_str().expect("text")).expect("a folder");
    let place = prefix.join("one");
    let put = async { store.put(&place, "1".into()).await };
    tokio::runtime::Runtime::new().expect("a runtime").block_on(put).expect("it is put");
    assert!(odd.join("one").is_file());
    let (_, prefix) = snapshot::store_at("s3://bucket/recoup/snapshots").expect("a bucket");
    assert_eq!(prefix.as_ref(), "recoup/snapshots");
    let refused = snapshot::store_at("nowhere://x").expect_err("no store");
    assert!(refused.contains("nowhere"), "{refused}");
}

#[test]
fn a_snapshot_with_a_flipped_byte_is_not_taken() {
    let batch = worked();
    let shape = stages::shape("book").expect("there is a book");
    let mut group = idle(shape);
    for message in messages(&batch, &group) {
        group.step(std::slice::from_ref(&message)).expect("it steps");
    }
    let (_, bytes) = snapshot::encode(&group, 0).expect("it is held");
    for at in (0..bytes.len()).step_by(bytes.len() / 50 + 1) {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 0x10;
        let read = snapshot::decode("test", &flipped.into());
        assert!(read.is_err(), "byte {at} of {}", bytes.len());
        let cut = snapshot::decode("test", &bytes.slice(..at));
        assert!(cut.is_err(), "cut at {at}");
    }
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let dump = |batch: &Batch| {
        let folder = tempfile::tempdir().expect("a folder");
        let format = recoup::serve::relations::Format::Csv;
        batch.relations.write(folder.path(), format).expect("it writes");
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(folder.path()).expect("it lists") {
            let path = entry.expect("an entry").path();
            let bytes = std::fs::read(&path).expect("it reads");
            files.insert(path.file_name().map(ToOwned::to_owned), bytes);
        }
        files
    };
    assert_eq!(dump(&worked()), dump(&worked()));
}
