//! A load that is killed in the middle and started again, and how its parts are dealt.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use recoup::log::{Log, Message};

use super::super::log::all;
use super::{Place, lines, until};

const SUBJECTS: usize = 4;

/// Lines of JSON, some forty megabytes.
fn long() -> Vec<u8> {
    let filling = "x".repeat(400);
    let line = |row: usize| format!("{{\"loan_id\":\"LN{row}\",\"filling\":\"{filling}\"}}\n");
    (0..100_000).map(line).collect::<String>().into_bytes()
}

/// What is in the intake of a lender.
async fn published(place: &Place) -> Vec<Message> {
    all(&place.world.log().await, "intake", &["intake.L1.>"]).await
}

#[test]
fn a_load_killed_in_the_middle_goes_on_and_publishes_no_part_twice() {
    let place = Place::open(&[]);
    let whole = long();
    let file = place.file("long.jsonl", &whole);
    let words = ["load", &file, "--lender", "L1"];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let log = runtime.block_on(place.world.log());
    let last = || runtime.block_on(log.last("intake", "intake.progress.*")).unwrap();
    let mut cut = 0;
    for kills in 1..=2 {
        let loading = place.start(&words);
        // The first commit of this process; killed before the last.
        until("a commit", || last().filter(|message| message.seq > cut));
        assert!(loading.kill(), "it was still loading at kill {kills}");
        cut = last().unwrap().seq;
    }
    let before = runtime.block_on(published(&place));
    assert!(before.iter().map(|part| part.payload.len()).sum::<usize>() < whole.len());
    let told = lines(&place.says(&[&words[..], &["--json"]].concat())).remove(0);
    assert_eq!(told["rows"], 100_000);
    assert_eq!(told["parts_before"].as_u64().unwrap() as usize, before.len());
    let parts = runtime.block_on(published(&place));
    let joined: Vec<u8> = parts.iter().flat_map(|part| part.payload.to_vec()).collect();
    assert!(joined == whole, "every byte once, in order");
    // Every worker of the intake has its share.
    let mut dealt: BTreeMap<&str, usize> = BTreeMap::new();
    for part in &parts {
        *dealt.entry(part.subject.as_str()).or_default() += 1;
    }
    assert_eq!(dealt.len(), SUBJECTS);
    let (least, most) = (dealt.values().min().unwrap(), dealt.values().max().unwrap());
    assert!(most - least <= 1, "{dealt:?}");
    // Once more: nothing new, at any later time.
    let end = runtime.block_on(log.state("intake")).unwrap().last;
    place.says(&words);
    assert_eq!(runtime.block_on(log.state("intake")).unwrap().last, end);
}

#[test]
fn what_cannot_be_loaded_is_told() {
    let place = Place::open(&[]);
    let file = place.file("june.txt", "{}\n");
    let (code, _, errors) = super::ended(&place.run(&["load", &file, "--lender", "L1"]));
    assert_eq!(code, 1);
    assert!(errors.contains("--format"), "{errors}");
    let said = place.says(&["load", &file, "--lender", "L1", "--format", "json"]);
    assert_eq!(said, "june.txt: 1 row in 1 part\n");
    let (code, _, errors) = super::ended(&place.run(&["load", "none.csv", "--lender", "L1"]));
    assert_eq!((code, errors.contains("none.csv")), (1, true), "{errors}");
    // What a fuzzer found, behind two bytes of its own; it keeps no other file back.
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpora/files");
    let broken = [
        ("a-body-of-exabytes", "a.arrow", "it ends inside a message"),
        ("a-buffer-outside", "b.arrow", "a message contradicts itself"),
        ("a-parquet-that-asserts", "c.parquet", "it contradicts itself"),
    ];
    let mut words = vec!["load".into(), "--lender".into(), "L1".into()];
    for (found, name, _) in broken {
        words.push(place.file(name, &fs::read(kept.join(found)).unwrap()[2..]));
    }
    words.push(place.file("good.jsonl", "{}\n{}\n"));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (code, said, errors) = super::ended(&place.run(&words));
    assert_eq!((code, said.as_str()), (1, "good.jsonl: 2 rows in 1 part\n"));
    for (_, name, wrong) in broken {
        let line = errors.lines().find(|line| line.contains(name)).unwrap_or_default();
        assert!(line.ends_with(wrong), "{errors}");
    }
}
