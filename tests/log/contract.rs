//! What any log keeps.

use std::sync::Arc;
use std::time::Duration;

use recoup::log::{BATCH_MESSAGES_MAX, Log, LogError, Outgoing, ReadLimit, matches};

use super::{Promise, SOON, WIDE, all, fenced, payloads, promises, text};

pub const PROMISES: &[Promise] = promises![
    what_is_stored_comes_back,
    creating_again_changes_nothing,
    filters_are_those_of_the_broker,
    a_read_stops_at_its_limits,
    a_reader_goes_on_where_it_was_told,
    a_waiting_reader_is_woken,
    waiting_ends,
    a_stale_fence_refuses_the_whole_batch,
    a_fence_of_zero_means_new,
    a_fence_holds_on_several_subjects,
    of_two_writers_one_wins,
    too_much_is_refused_before_it_is_sent,
    a_full_batch_is_stored,
    large_messages_all_come,
    newest_and_numbered_messages,
    foreign_subjects_are_refused,
    a_missing_stream_is_named,
];

async fn what_is_stored_comes_back(log: Arc<dyn Log>, stream: String) {
    log.create(&stream).await.unwrap();
    let empty = log.state(&stream).await.unwrap();
    assert_eq!((empty.first, empty.last, empty.messages), (1, 0, 0));
    let headers = [("Recoup-Row", "7"), ("Recoup-Format", "json")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let first = Outgoing { headers: headers.to_vec(), ..text(&format!("{stream}.a"), "one") };
    assert_eq!(log.commit(&stream, &[first]).await.unwrap(), 1);
    let batch = ["two", "three", ""].map(|payload| text(&format!("{stream}.b.c"), payload));
    assert_eq!(log.commit(&stream, &batch).await.unwrap(), 4);
    let found = all(log.as_ref(), &stream, &[]).await;
    assert_eq!(payloads(&found), ["one", "two", "three", ""]);
    assert_eq!(found.iter().map(|message| message.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let mut sorted = headers.to_vec();
    sorted.sort();
    assert_eq!(found[0].headers, sorted);
    assert_eq!(found[1].headers, []);
    assert_eq!(found[1].subject, format!("{stream}.b.c"));
    let state = log.state(&stream).await.unwrap();
    assert_eq!((state.first, state.last, state.messages), (1, 4, 4));
}

async fn creating_again_changes_nothing(log: Arc<dyn Log>, stream: String) {
    log.create(&stream).await.unwrap();
    let before = log.state(&stream).await.unwrap();
    log.create(&stream).await.unwrap();
    assert_eq!(log.state(&stream).await.unwrap(), before);
}

async fn filters_are_those_of_the_broker(log: Arc<dyn Log>, stream: String) {
    log.create(&stream).await.unwrap();
    let subjects = ["a", "a.b", "a.b.c", "a.x.c", "d", "d.b"];
    for subject in subjects {
        log.commit(&stream, &[text(&format!("{stream}.{subject}"), subject)]).await.unwrap();
    }
    let cases: [(&[&str], &[&str]); 6] = [
        (&[">"], &subjects),
        (&["a.>"], &["a.b", "a.b.c", "a.x.c"]),
        (&["a.*"], &["a.b"]),
        (&["a.*.c"], &["a.b.c", "a.x.c"]),
        (&["*.b", "d"], &["a.b", "d", "d.b"]),
        (&["a.b.c", "d.b"], &["a.b.c", "d.b"]),
    ];
    for (filters, wanted) in cases {
        let full = filters.iter().map(|filter| format!("{stream}.{filter}")).collect::<Vec<_>>();
        let mut reader = log.read(&stream, &full, 0).await.unwrap();
        let mut found = Vec::new();
        while found.len() < wanted.len() {
            found.extend(payloads(&reader.next(WIDE, SOON).await.unwrap()));
        }
        assert_eq!(found, wanted, "{filters:?}");
        let matched = subjects.iter().filter(|subject| {
            full.iter().any(|filter| matches(filter, &format!("{stream}.{subject}")))
        });
        assert_eq!(matched.copied().collect::<Vec<_>>(), wanted, "{filters:?}");
    }
}

async fn a_read_stops_at_its_limits(log: Arc<dyn Log>, stream: String) {
    log.create(&stream).await.unwrap();
    let batch = ["aaaa", "bbbb", "cccc", "dddddddddddd", "e"]
        .map(|payload| text(&format!("{stream}.x"), payload));
    log.commit(&stream, &batch).await.unwrap();
    let mut reader = log.read(&stream, &[], 0).await.unwrap();
    let cases: [(usize, usize, &[&str]); 4] = [
        (1, 100, &["aaaa"]),
        (10, 8, &["bbbb", "cccc"]),
        // The first comes even where it is larger than the limit.
        (10, 8, &["dddddddddddd"]),
        (10, 8, &["e"]),
    ];
    for (messages, bytes, wanted) in cases {
        let found = reader.next(ReadLimit { messages, bytes }, SOON).await.unwrap();
        assert_eq!(payloads(&found), wanted);
    }
}

async fn a_reader_goes_on_where_it_was_told(log: Arc<dyn Log>, stream: String) {
    log.create(&stream).await.unwrap();
    let batch = ["1", "2", "3", "4"].map(|payload| text(&format!("{stream}.x"), payload));
    log.commit(&stream, &batch).await.unwrap();
    let mut reader = log.read(&stream, &[], 2).await.unwrap();
    assert_eq!(payloads(&reader.next(WIDE, SOON).await.unwrap()), ["3", "4"]);
    let mut beyond = log.read(&stream, &[], 5).await.unwrap();
    log.commit(&stream, &[text(&format!("{stream}.x"), "5")]).await.unwrap();
    log.commit(&stream, &[text(&format!("{stream}.x"), "6")]).await.unwrap();
    assert_eq!(payloads(&beyond.next(WIDE, SOON).await.unwrap()), ["6"]);
}

async fn a_waiting_reader_is_woken(log: Arc<dyn Log>, stream: String) {
    log.create(&stream).await.unwrap();
    let filter = format!("{stream}.wanted");
    let mut reader = log.read(&stream, std::slice::from_ref(&filter), 0).await.unwrap();
    let store = async {
        log.commit(&stream, &[text(&format!("{stream}.other"), "not this")]).await.unwrap();
        log.commit(&stream, &[text(&filter, "this")]).await.unwrap();
    };
    let (found, ()) = tokio::join!(reader.next(WIDE, SOON), store);
    assert_eq!(payloads(&found.unwrap()), ["this"]);
}

async fn waiting_ends(log: Arc<dyn Log>, stream: String) {
    log.create(&stream).await.unwrap();
    let mut reader = log.read(&stream, &[], 0).await.unwrap();
    assert_eq!(reader.next(WIDE, Duration::from_millis(1)).await.unwrap(), []);
    assert_eq!(reader.next(WIDE, Duration::ZERO).await.unwrap(), []);
}

async fn a_stale_fence_refuses_the_whole_batch(log: Arc<dyn Log>, stream: String) {
    log.create(&stream).await.unwrap();
    let (rows, cursor) = (format!("{stream}.rows"), format!("{stream}.cursor"));
    let first = log.commit(&stream, &[fenced(&cursor, "c1", 0)]).await.unwrap();
    let stale = [text(&rows, "r1"), text(&rows, "r2"), fenced(&cursor, "c2", first + 7)];
    let refused = log.commit(&stream, &stale).await;
    assert!(matches!(refused, Err(LogError::Fenced { subject }) if subject == cursor));
    let middle = [text(&rows, "r1"), fenced(&cursor, "c2", 0), text(&rows, "r2")];
    assert!(matches!(log.commit(&stream, &middle).await, Err(LogError::Fenced { .. })));
    let single = [fenced(&cursor, "c2", 0)];
    assert!(matches!(log.commit(&stream, &single).await, Err(LogError::Fenced { .. })));
    assert_eq!(payloads(&all(log.as_ref(), &stream, &[]).await), ["c1"]);
    let right = [text(&rows, "r1"), text(&rows, "r2"), fenced(&cursor, "c2", first)];
    assert_eq!(log.commit(&stream, &right).await.unwrap(), first + 3);
}

async fn a_fence_of_zero_means_new(log: Arc<dyn Log>, stream: String) {
    log.create(&stream).await.unwrap();
    let cursor = format!("{stream}.cursor");
    let batch = [text(&format!("{stream}.x"), "x"), fenced(&cursor, "c", 0)];
    log.commit(&stream, &batch).await.unwrap();
    assert!(matches!(log.commit(&stream, &batch).await, Err(LogError::Fenced { .. })));
}

async fn a_fence_holds_on_several_subjects(log: Arc<dyn Log>, stream: String) {
    log.create(&stream).await.unwrap();
    let cursors = ["a", "b", "c"].map(|shard| format!("{stream}.cursor.{shard}"));
    let first = cursors.each_ref().map(|cursor| fenced(cursor, "1", 0));
    assert_eq!(log.commit(&stream, &first).await.unwrap(), 3);
    let second = [0, 1, 2].map(|shard| fenced(&cursors[shard], "2", shard as u64 + 1));
    assert_eq!(log.commit(&stream, &second).await.unwrap(), 6);
    let third = [(0, 4), (1, 2), (2, 6)].map(|(shard, seq)| fenced(&cursors[shard], "3", seq));
    assert!(matches!(log.commit(&stream, &third).await, Err(LogError::Fenced { .. })));
    assert_eq!(log.state(&stream).await.unwrap().last, 6);
}

async fn of_two_writers_one_wins(log: Arc<dyn Log>, stream: String) {
    log.create(&stream).await.unwrap();
    let (rows, cursor) = (format!("{stream}.rows"), format!("{stream}.cursor"));
    let mut seq = log.commit(&stream, &[fenced(&cursor, "0", 0)]).await.unwrap();
    for round in 1..=5 {
        let ours = [text(&rows, &format!("a{round}")), fenced(&cursor, "a", seq)];
        let theirs = [text(&rows, &format!("b{round}")), fenced(&cursor, "b", seq)];
        let (a, b) = tokio::join!(log.commit(&stream, &ours), log.commit(&stream, &theirs));
        seq = match (a, b) {
            (Ok(seq), Err(LogError::Fenced { .. })) => seq,
            (Err(LogError::Fenced { .. }), Ok(seq)) => seq,
            both => panic!("one of two wins, not {both:?}"),
        };
    }
    assert_eq!(all(log.as_ref(), &stream, &[&rows]).await.len(), 5);
}

async fn too_much_is_refused_before_it_is_sent(log: Arc<dyn Log>, stream: String) {
    log.create(&stream).await.unwrap();
    let subject = format!("{stream}.x");
    let many = vec![text(&subject, "x"); BATCH_MESSAGES_MAX + 1];
    assert!(matches!(log.commit(&stream, &many).await, Err(LogError::TooLarge { .. })));
    let large = text(&subject, &"x".repeat(log.payload_max() + 1));
    for batch in [vec![large.clone()], vec![text(&subject, "x"), large]] {
        assert!(matches!(log.commit(&stream, &batch).await, Err(LogError::TooLarge { .. })));
    }
    assert_eq!(log.state(&stream).await.unwrap().last, 0);
}

async fn a_full_batch_is_stored(log: Arc<dyn Log>, stream: String) {
    log.create(&stream).await.unwrap();
    let batch = (0..BATCH_MESSAGES_MAX)
        .map(|row| text(&format!("{stream}.x.{}", row % 7), &row.to_string()))
        .collect::<Vec<_>>();
    assert_eq!(log.commit(&stream, &batch).await.unwrap(), 1_000);
    let found = payloads(&all(log.as_ref(), &stream, &[]).await);
    assert_eq!(found, (0..1_000).map(|row| row.to_string()).collect::<Vec<_>>());
}

async fn large_messages_all_come(log: Arc<dyn Log>, stream: String) {
    log.create(&stream).await.unwrap();
    let body = "x".repeat(log.payload_max() - 1_000);
    let rounds = (40 << 20) / body.len();
    for _ in 0..rounds {
        let large = text(&format!("{stream}.x"), &body);
        log.commit(&stream, &[large, text(&format!("{stream}.x"), "end")]).await.unwrap();
    }
    let found = all(log.as_ref(), &stream, &[]).await;
    assert_eq!(found.len(), 2 * rounds);
    assert!(found.iter().all(|message| matches!(message.payload.len(), 3 | 1_000..)));
}

async fn newest_and_numbered_messages(log: Arc<dyn Log>, stream: String) {
    log.create(&stream).await.unwrap();
    let (a, b) = (format!("{stream}.a"), format!("{stream}.b"));
    assert_eq!(log.last(&stream, &a).await.unwrap(), None);
    log.commit(&stream, &[text(&a, "a1"), text(&b, "b1"), text(&a, "a2")]).await.unwrap();
    let newest = log.last(&stream, &a).await.unwrap().unwrap();
    assert_eq!((newest.seq, newest.payload.as_ref()), (3, b"a2".as_slice()));
    assert_eq!(log.get(&stream, 3).await.unwrap(), Some(newest.clone()));
    assert_eq!(log.get(&stream, 2).await.unwrap().unwrap().subject, b);
    assert_eq!(all(log.as_ref(), &stream, &[]).await[2], newest);
    for absent in [0, 4, u64::MAX] {
        assert_eq!(log.get(&stream, absent).await.unwrap(), None);
    }
}

async fn foreign_subjects_are_refused(log: Arc<dyn Log>, stream: String) {
    log.create(&stream).await.unwrap();
    let longer = format!("{stream}x.a");
    let spaced = format!("{stream}.a b");
    let wild = format!("{stream}.*");
    for subject in ["elsewhere.a", &stream, &longer, &spaced, &wild, ""] {
        let refused = log.commit(&stream, &[text(subject, "x")]).await;
        assert!(matches!(refused, Err(LogError::Unfit { .. })), "{subject:?}: {refused:?}");
    }
    assert_eq!(log.state(&stream).await.unwrap().last, 0);
}

async fn a_missing_stream_is_named(log: Arc<dyn Log>, stream: String) {
    let subject = format!("{stream}.a");
    let refusals = [
        log.state(&stream).await.err(),
        log.read(&stream, &[], 0).await.err(),
        log.last(&stream, &subject).await.err(),
        log.get(&stream, 1).await.err(),
        log.commit(&stream, &[text(&subject, "x")]).await.err(),
        log.commit(&stream, &[text(&subject, "x"), text(&subject, "y")]).await.err(),
    ];
    for refusal in refusals {
        let Some(LogError::Unfit { what, hint }) = refusal else { panic!("{refusal:?}") };
        assert!(what.contains(&stream), "{what}");
        assert!(hint.contains("recoup init"), "{hint}");
    }
}
