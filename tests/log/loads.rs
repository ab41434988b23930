//! Files published in parts, each once, however often the load is interrupted.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use recoup::load::{FileReport, LoadError, LoadPlan, LoadReport, Pace, load};
use recoup::log::memory::MemoryLog;
use recoup::log::{Log, LogError, Message};
use tempfile::TempDir;

use super::faulty::{Fault, FaultyLog};
use super::{World, all, text};

fn plan(files: &[&Path]) -> LoadPlan {
    LoadPlan {
        files: files.iter().map(|file| file.to_path_buf()).collect(),
        lender: "L007".to_owned(),
        kind: "report".to_owned(),
        subjects: 4,
        format: None,
        pace: Pace::default(),
    }
}

async fn run(log: &dyn Log, plan: LoadPlan) -> Result<LoadReport, LoadError> {
    load(log, plan, &mut |_| {}).await
}

async fn intake() -> Arc<MemoryLog> {
    let log = MemoryLog::new();
    log.create("intake").await.unwrap();
    Arc::new(log)
}

/// Lines of JSON of quite different lengths, about this many bytes.
fn lines(folder: &TempDir, name: &str, bytes: usize) -> PathBuf {
    let mut whole = String::new();
    for row in 1.. {
        if whole.len() >= bytes {
            break;
        }
        let filling = "x".repeat(row * 7919 % 997);
        whole.push_str(&format!("{{\"loan_id\":\"LN{row:010}\",\"filling\":\"{filling}\"}}\n"));
    }
    let path = folder.path().join(name);
    fs::write(&path, whole).unwrap();
    path
}

/// What was published, put together again; checks subjects, rows and order on the way.
async fn published(log: &dyn Log, name: &str) -> Vec<u8> {
    let (mut whole, mut row) = (Vec::new(), 1);
    let found = all(log, "intake", &["intake.L007.report.*"]).await;
    let found: Vec<_> =
        found.iter().filter(|message| header(message, "Recoup-Source") == name).collect();
    let first = found.first().map_or(0, |message| dealt(message));
    for (index, message) in found.into_iter().enumerate() {
        assert_eq!(dealt(message), (first + index) % 4, "one after the other");
        assert_eq!(header(message, "Recoup-Row"), row.to_string());
        row += message.payload.iter().filter(|byte| **byte == b'\n').count();
        whole.extend_from_slice(&message.payload);
    }
    whole
}

/// The number of the subject that a part was dealt to.
fn dealt(message: &Message) -> usize {
    message.subject.strip_prefix("intake.L007.report.").unwrap().parse().unwrap()
}

/// A folder of small files keeps every worker of the intake busy, as one large file does.
#[tokio::test]
async fn small_files_are_dealt_over_all_subjects() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = (0..24)
        .map(|day| {
            let path = folder.path().join(format!("day{day}.jsonl"));
            fs::write(&path, format!("{{\"loan_id\":\"LN{day}\"}}\n")).unwrap();
            path
        })
        .collect();
    let log = intake().await;
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    run(log.as_ref(), plan(&paths)).await.unwrap();
    let mut parts = [0; 4];
    for message in all(log.as_ref(), "intake", &["intake.L007.report.*"]).await {
        parts[dealt(&message)] += 1;
    }
    assert_eq!(parts.iter().sum::<usize>(), files.len());
    assert!(parts.iter().all(|parts| (2..=12).contains(parts)), "{parts:?}");
}

fn header<'a>(message: &'a Message, name: &str) -> &'a str {
    let found = message.headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str()).unwrap_or_default()
}

#[tokio::test]
async fn a_file_is_published_once_however_often_it_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (lines(&folder, "a.jsonl", 20 << 20), lines(&folder, "b.json", 999));
    let log = intake().await;
    let mut seen = Vec::new();
    let files = [first.as_path(), second.as_path()];
    let report = load(log.as_ref(), plan(&files), &mut |at| seen.push(at)).await.unwrap();
    assert_eq!(published(log.as_ref(), "a.jsonl").await, fs::read(&first).unwrap());
    assert_eq!(published(log.as_ref(), "b.json").await, fs::read(&second).unwrap());
    let rows = fs::read_to_string(&first).unwrap().lines().count() as u64;
    assert_eq!(report.files[0].rows, rows);
    assert!(report.files[0].parts > 20);
    assert_eq!(report.files[1].parts, 1);
    let bytes = seen.iter().filter(|at| at.file == first).map(|at| at.bytes).collect::<Vec<_>>();
    assert!(bytes.is_sorted());
    assert_eq!((bytes[0], bytes[bytes.len() - 1]), (0, fs::metadata(&first).unwrap().len()));
    // Again: nothing moves.
    let last = log.state("intake").await.unwrap().last;
    let again = run(log.as_ref(), plan(&files)).await.unwrap();
    let FileReport { parts, parts_before, .. } = again.files[0].clone();
    assert_eq!((parts, parts_before), (report.files[0].parts, parts));
    assert_eq!(log.state("intake").await.unwrap().last, last);
    // Other bytes under the same name are another file, even where they begin alike.
    let mut changed = fs::read(&first).unwrap();
    let end = changed.len() - 5;
    changed[end] = b'y';
    fs::write(&first, changed).unwrap();
    let report = run(log.as_ref(), plan(&[first.as_path()])).await.unwrap();
    assert_eq!(report.files[0].parts_before, 0);
}

#[tokio::test]
async fn a_load_interrupted_at_any_point_goes_on_where_it_was() {
    use Fault::{LostAfter, LostBefore, None, Stale, Stop};
    let folder = tempfile::tempdir().unwrap();
    let path = lines(&folder, "a.jsonl", 20 << 20);
    let commits = 3;
    let faults = [LostBefore, LostAfter, Stale];
    for at in 0..commits {
        for fault in faults {
            let log = intake().await;
            // A fault, then the process ends before the next commit, then it is started again.
            let mut faulted = vec![None; at];
            faulted.extend([fault, None, Stop]);
            let faulty = FaultyLog::new(log.clone(), &faulted);
            let stopped = run(&faulty, plan(&[&path])).await;
            if let Err(error) = &stopped {
                assert!(matches!(error, LoadError::Log(LogError::Unfit { .. })), "{error}");
                assert!(published(log.as_ref(), "a.jsonl").await.len() < 20 << 20);
            }
            run(log.as_ref(), plan(&[&path])).await.unwrap();
            let whole = published(log.as_ref(), "a.jsonl").await;
            assert!(whole == fs::read(&path).unwrap(), "{fault:?} at commit {at}");
        }
    }
}

#[tokio::test]
async fn two_loads_of_a_file_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let path = lines(&folder, "a.jsonl", 20 << 20);
    let log = intake().await;
    let faulty = [(); 2].map(|()| FaultyLog::new(log.clone(), &[Fault::None; 9]));
    let (a, b) = tokio::join!(run(&faulty[0], plan(&[&path])), run(&faulty[1], plan(&[&path])));
    assert_eq!(a.unwrap().files[0].rows, b.unwrap().files[0].rows);
    assert!(published(log.as_ref(), "a.jsonl").await == fs::read(&path).unwrap());
}

#[tokio::test]
async fn a_file_goes_through_a_real_broker() {
    let world = World::start().await;
    let log = world.log().await;
    log.create("intake").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = lines(&folder, "a.jsonl", 20 << 20);
    run(&log, plan(&[&path])).await.unwrap();
    assert!(published(&log, "a.jsonl").await == fs::read(&path).unwrap());
}

#[tokio::test]
async fn what_cannot_be_published_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let log = intake().await;
    let path = folder.path().join("a.jsonl");
    fs::write(&path, format!("{{}}\n{{}}\n{{\"x\":\"{}\"}}\n{{}}\n", "x".repeat(2 << 20))).unwrap();
    let (spread, line) = (folder.path().join("c.json"), folder.path().join("line.json"));
    fs::write(&spread, "[\n  {\"loan_id\": \"L1\"},\n  {\"loan_id\": \"L2\"}\n]\n").unwrap();
    fs::write(&line, "[{\"loan_id\": \"L1\"}, {\"loan_id\": \"L2\"}]\n").unwrap();
    let (untold, absent) = (folder.path().join("a.xyz"), folder.path().join("b.csv"));
    let all: [&Path; 5] = [&path, &spread, &untold, &absent, &line];
    let report = run(log.as_ref(), plan(&all)).await.unwrap();
    let told = [
        "a.jsonl: row 3 is longer",
        "c.json: one JSON array over several lines",
        "a.xyz: its name does not tell the format; say --format",
        "b.csv: No such file",
    ];
    assert_eq!(report.unread.len(), told.len());
    for (wanted, unread) in told.into_iter().zip(&report.unread) {
        assert!(unread.to_string().contains(wanted), "{unread}");
    }
    assert_eq!((report.files.len(), report.files[0].rows), (1, 1), "the others are loaded");
    for lender in ["", "a.b", "progress", "*", "a b"] {
        let wrong = LoadPlan { lender: lender.to_owned(), ..plan(&[&path]) };
        assert!(matches!(run(log.as_ref(), wrong).await, Err(LoadError::Name { .. })));
    }
    let strange = text("intake.progress.0000000000000000", "{");
    log.commit("intake", &[strange]).await.unwrap();
}
