//! Publishing a lender's files, each part once.
//!
//! Several parts are stored together with a fenced message that says how far the file is loaded.
//! Whoever loads the same file again, at any later time, goes on from there; two that load it at
//! once take turns. The same file means the same lender, kind, name and bytes.

pub mod pace;
pub mod parts;
mod spread;
mod stream;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use recoup_operators::memory::hash_bytes;

use crate::commit::{Backoff, Member, Outcome, store};
use crate::log::{Log, LogError, Outgoing, size};

use pace::Gate;
pub use pace::Pace;
pub use parts::{Format, PART_BYTES, Part, PartError, Parts, Place, parts, parts_from};

/// What one commit of parts takes at most; more would only make an interruption dearer.
const COMMIT_BYTES_MAX: usize = 8 << 20;
const COMMIT_PARTS_MAX: usize = 64;
/// What headers and subject take of a message.
const HEADERS_MAX: usize = 4 << 10;
const INTAKE: &str = "intake";

/// What to publish, and as whose.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    pub files: Vec<PathBuf>,
    pub lender: String,
    pub kind: String,
    /// Over how many subjects the parts are dealt, one after the other; a file begins anywhere
    /// among them, so that many small ones keep every worker busy too.
    pub subjects: u32,
    /// Where the names of the files do not tell.
    pub format: Option<Format>,
    pub pace: Pace,
}

/// How far it is, for a progress bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub file: PathBuf,
    pub parts: u64,
    pub rows: u64,
    /// Of the file's bytes, where it is text; of its rows as published otherwise.
    pub bytes: u64,
    pub size: u64,
}

/// What became of the files, in the order given.
#[derive(Debug, Default)]
pub struct LoadReport {
    pub files: Vec<FileReport>,
    /// What is wrong with each of those that were not read to their ends.
    pub unread: Vec<LoadError>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    pub file: PathBuf,
    pub parts: u64,
    pub rows: u64,
    /// Of the parts, how many were published before this load.
    pub parts_before: u64,
}

/// Why a load stopped. Started again, it goes on where it was.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    File(#[from] PartError),
    #[error("{}: its name does not tell the format; say --format json, csv, parquet or arrow",
        path.display())]
    Format { path: PathBuf },
    #[error("{what} {name:?} is not one word of letters, digits, `-` and `_`")]
    Name { what: &'static str, name: String },
    #[error("reading stopped: {0}")]
    Stopped(String),
}

/// How far a file is loaded, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Loaded {
    lender: String,
    kind: String,
    file: String,
    size: u64,
    parts: u64,
    rows: u64,
    offset: u64,
    done: bool,
    /// Of the loading process, and the count of its commits: no two messages are alike.
    nonce: u64,
    number: u64,
}

impl LoadError {
    /// Whether it is one file's; the others can be loaded.
    fn is_of_a_file(&self) -> bool {
        matches!(self, LoadError::File(_) | LoadError::Format { .. })
    }
}

/// Publishes the files, one after the other; one that cannot be read keeps no other back.
pub async fn load(
    log: &dyn Log,
    plan: LoadPlan,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<LoadReport, LoadError> {
    check("lender", &plan.lender)?;
    check("kind", &plan.kind)?;
    let mut report = LoadReport::default();
    let mut gate = Gate::new(plan.pace);
    for path in &plan.files {
        match load_file(log, &plan, path, &mut gate, progress).await {
            Ok(file) => report.files.push(file),
            Err(error) if error.is_of_a_file() => report.unread.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

async fn load_file(
    log: &dyn Log,
    plan: &LoadPlan,
    path: &Path,
    gate: &mut Gate,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<FileReport, LoadError> {
    let format = plan.format.or_else(|| Format::of(path));
    let format = format.ok_or_else(|| LoadError::Format { path: path.to_owned() })?;
    let mut loading = Loading::begin(log, plan, path, format).await?;
    let parts_before = loading.loaded.parts;
    progress(loading.progress());
    while !loading.loaded.done {
        loading.go_on(gate, progress).await?;
    }
    let Loaded { parts, rows, .. } = loading.loaded;
    Ok(FileReport { file: path.to_owned(), parts, rows, parts_before })
}

/// The subject on which the progress of a file is kept.
pub fn progress_subject(lender: &str, kind: &str, path: &Path) -> io::Result<String> {
    let content = content(path)?;
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let named = [lender.as_bytes(), kind.as_bytes(), name].map(hash_bytes);
    let all = named.into_iter().chain([content.0, content.1]).flat_map(u64::to_le_bytes);
    Ok(format!("{INTAKE}.progress.{:016x}", hash_bytes(&all.collect::<Vec<_>>())))
}

/// Size and digest of a file. All of it: two files that begin alike are two files.
fn content(path: &Path) -> io::Result<(u64, u64)> {
    let mut file = File::open(path)?;
    let (mut size, mut digest, mut block) = (0, 0u64, Vec::new());
    loop {
        block.clear();
        file.by_ref().take(1 << 20).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok((size, digest));
        }
        size += block.len() as u64;
        digest = hash_bytes(&[digest.to_le_bytes(), hash_bytes(&block).to_le_bytes()].concat());
    }
}

/// A name becomes a token of a subject; some are taken.
fn check(what: &'static str, name: &str) -> Result<(), LoadError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let taken = matches!(name, "progress" | "cursor" | "refused");
    if name.is_empty() || taken || !name.chars().all(plain) {
        return Err(LoadError::Name { what, name: name.to_owned() });
    }
    Ok(())
}

/// One file on its way.
struct Loading<'a> {
    log: &'a dyn Log,
    plan: &'a LoadPlan,
    path: &'a Path,
    format: Format,
    subject: String,
    size: u64,
    /// The newest progress, and its sequence.
    loaded: Loaded,
    expects: u64,
    nonce: u64,
}

/// Parts for one commit, and whether the file ends with them.
struct Cut {
    parts: Vec<Part>,
    ended: bool,
}

impl<'a> Loading<'a> {
    async fn begin(
        log: &'a dyn Log,
        plan: &'a LoadPlan,
        path: &'a Path,
        format: Format,
    ) -> Result<Self, LoadError> {
        let unread = |source| PartError::Unread { path: path.to_owned(), source };
        let size = std::fs::metadata(path).map_err(unread)?.len();
        let (lender, kind, named) = (plan.lender.clone(), plan.kind.clone(), path.to_owned());
        let hashing = move || progress_subject(&lender, &kind, &named);
        let subject = tokio::task::spawn_blocking(hashing).await;
        let subject = subject.map_err(|error| LoadError::Stopped(error.to_string()))?;
        let subject = subject.map_err(unread)?;
        let nonce = nonce();
        let (loaded, expects) = (Loaded::default(), 0);
        let mut loading =
            Loading { log, plan, path, format, subject, size, loaded, expects, nonce };
        loading.read_progress().await?;
        Ok(loading)
    }

    async fn read_progress(&mut self) -> Result<(), LoadError> {
        let Some(message) = self.log.last(INTAKE, &self.subject).await? else { return Ok(()) };
        let Ok(loaded) = serde_json::from_slice(&message.payload) else {
            let (seq, subject) = (message.seq, &self.subject);
            let what = format!("message {seq} on {subject} is not the progress of a load");
            return Err(LogError::Lost(what).into());
        };
        (self.loaded, self.expects) = (loaded, message.seq);
        Ok(())
    }

    /// Publishes from where the file is loaded to, until it ends or another process interferes.
    /// The next parts are cut while the ones before are stored.
    async fn go_on(
        &mut self,
        gate: &mut Gate,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), LoadError> {
        let place = Place { rows: self.loaded.rows, offset: self.loaded.offset };
        let limit = PART_BYTES.min(self.log.payload_max().saturating_sub(HEADERS_MAX));
        let parts = parts_from(self.path, self.format, place, limit)?;
        let mut cutting = tokio::task::spawn_blocking(move || cut(parts));
        loop {
            let ready = cutting.await.map_err(|error| LoadError::Stopped(error.to_string()))?;
            let (parts, ready) = ready?;
            let ended = ready.ended;
            cutting = tokio::task::spawn_blocking(move || cut(parts));
            gate.pass(self.log, ready.parts.iter().map(|part| part.rows).sum()).await?;
            let stored = self.publish(ready).await?;
            progress(self.progress());
            if ended || !stored {
                return Ok(());
            }
        }
    }

    /// Stores parts and progress; `false` if somebody else has loaded on in the meantime.
    async fn publish(&mut self, cut: Cut) -> Result<bool, LoadError> {
        let mut next = Loaded {
            lender: self.plan.lender.clone(),
            kind: self.plan.kind.clone(),
            file: self.name(),
            size: self.size,
            done: cut.ended,
            nonce: self.nonce,
            number: self.loaded.number + 1,
            ..self.loaded.clone()
        };
        let mut said = Vec::new();
        for part in cut.parts {
            (next.rows, next.offset) = (part.end.rows, part.end.offset);
            said.push(self.message(next.parts, part)?);
            next.parts += 1;
        }
        let fence = Outgoing {
            subject: self.subject.clone(),
            headers: Vec::new(),
            payload: serde_json::to_vec(&next).map(Bytes::from).unwrap_or_default(),
            rows: None,
            expects: Some(self.expects),
        };
        let member = Member { said, fence };
        match store(self.log, INTAKE, vec![member], &Backoff).await?.pop() {
            Some(Outcome::Stored { cursor_seq }) => {
                (self.loaded, self.expects) = (next, cursor_seq);
                Ok(true)
            }
            Some(Outcome::Fenced) => self.read_progress().await.map(|()| false),
            Some(Outcome::Lost(what)) => Err(LogError::Lost(what).into()),
            Some(Outcome::TooLarge) | None => {
                let what = format!("what lies behind row {} of {}", self.loaded.rows, self.name());
                Err(LogError::TooLarge { what, limit: self.log.payload_max() }.into())
            }
        }
    }

    fn message(&self, index: u64, part: Part) -> Result<Outgoing, LoadError> {
        let LoadPlan { lender, kind, subjects, .. } = self.plan;
        let header = |name: &str, value: String| (name.to_owned(), value);
        // A file name may hold what a header cannot.
        let source = self.name().replace(|c: char| c.is_control(), " ");
        let dealt = (hash_bytes(self.subject.as_bytes()) >> 32) + index;
        let message = Outgoing {
            subject: format!("{INTAKE}.{lender}.{kind}.{}", dealt % u64::from((*subjects).max(1))),
            headers: vec![
                header("Recoup-Format", part.format.name().to_owned()),
                header("Recoup-Row", part.first_row.to_string()),
                header("Recoup-Source", source),
            ],
            payload: part.bytes,
            rows: None,
            expects: None,
        };
        let limit = self.log.payload_max();
        if size(&message) > limit {
            let (path, row) = (self.path.to_owned(), part.first_row);
            return Err(PartError::LongRow { path, row, limit }.into());
        }
        Ok(message)
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn progress(&self) -> Progress {
        let Loaded { parts, rows, offset, done, .. } = self.loaded;
        let bytes = if done { self.size } else { offset };
        Progress { file: self.path.to_owned(), parts, rows, bytes, size: self.size }
    }
}

/// The next parts for one commit.
fn cut(mut parts: Parts) -> Result<(Parts, Cut), PartError> {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    while taken.len() < COMMIT_PARTS_MAX && bytes < COMMIT_BYTES_MAX {
        let Some(part) = parts.next().transpose()? else {
            return Ok((parts, Cut { parts: taken, ended: true }));
        };
        bytes += part.bytes.len();
        taken.push(part);
    }
    Ok((parts, Cut { parts: taken, ended: false }))
}

/// Different in every process: of its number and of the instant it began.
fn nonce() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = since.unwrap_or_default().as_nanos() as u64;
    hash_bytes(&[nanos.to_le_bytes(), u64::from(std::process::id()).to_le_bytes()].concat())
}
