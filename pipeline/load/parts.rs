//! A file cut into parts that fit into a message each.
//!
//! Text is cut between records, never inside one: a line of JSON, a row of CSV with the line breaks
//! in its quotes. Each part of a CSV file begins with the file's header line, so that it can be
//! read alone. Columns, from Parquet or Arrow IPC, go out as Arrow IPC streams.
//! Parts are cut the same way every time, and cutting can begin behind any part.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::CompressionType;
use datafusion::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use recoup_operators::decode;

use super::spread::refuse_spread;
use super::stream::Stream;

/// How large a part is, where the log does not ask for less: below the broker's default of 1 MiB.
pub const PART_BYTES: usize = 700_000;
/// The longest record that is looked for; the log may take less.
pub(super) const RECORD_BYTES_MAX: usize = 64 << 20;
const ROWS_READ: usize = 8_192;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// Rows under a header line.
    Csv,
    Parquet,
    /// An Arrow IPC file or stream.
    Arrow,
}

/// A stretch of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its first row in the file, from 1. A header line is not a row; an empty line is.
    pub first_row: u64,
    pub rows: u64,
    pub bytes: Bytes,
    /// Of these bytes: never Parquet.
    pub format: Format,
    /// Where the next part begins.
    pub end: Place,
}

/// A place between two records of a file: behind so many rows, and bytes where it is text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub rows: u64,
    pub offset: u64,
}

/// Why a file cannot be cut.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    #[error("{}: {source}", path.display())]
    Unread { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Columns { path: PathBuf, source: ArrowError },
    #[error("{}: row {row} is longer than {limit} bytes, the most that can be sent",
        path.display())]
    LongRow { path: PathBuf, row: u64, limit: usize },
}

impl Format {
    /// By the ending of a file's name.
    pub fn of(path: &Path) -> Option<Format> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "json" | "jsonl" | "ndjson" => Some(Format::Json),
            "csv" => Some(Format::Csv),
            "parquet" => Some(Format::Parquet),
            "arrow" | "arrows" | "ipc" | "feather" => Some(Format::Arrow),
            _ => None,
        }
    }

    /// As the header `Recoup-Format` says it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Csv => "csv",
            Format::Parquet => "parquet",
            Format::Arrow => "arrow",
        }
    }
}

/// The whole file in parts.
pub fn parts(path: &Path, format: Format) -> Result<Parts, PartError> {
    parts_from(path, format, Place::default(), PART_BYTES)
}

/// What lies behind a place, in parts of at most so many bytes.
pub fn parts_from(
    path: &Path,
    format: Format,
    place: Place,
    limit: usize,
) -> Result<Parts, PartError> {
    let unread = |source| PartError::Unread { path: path.to_owned(), source };
    let file = File::open(path).map_err(unread)?;
    let cut = match format {
        Format::Json | Format::Csv => Cut::Text(text(file, format, place).map_err(unread)?),
        Format::Parquet | Format::Arrow => {
            let columns = sound(|| columns(file, format, place));
            Cut::Columns(
                columns.map_err(|source| PartError::Columns { path: path.to_owned(), source })?,
            )
        }
    };
    Ok(Parts { path: path.to_owned(), limit, place, cut, done: false })
}

/// The parts of one file, in order.
pub struct Parts {
    path: PathBuf,
    limit: usize,
    place: Place,
    cut: Cut,
    done: bool,
}

enum Cut {
    Text(Text),
    Columns(Columns),
}

impl Iterator for Parts {
    type Item = Result<Part, PartError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let row = self.place.rows + 1;
        let part = match &mut self.cut {
            Cut::Text(text) => text.next(self.place, self.limit),
            Cut::Columns(columns) => columns.next(self.place, self.limit),
        };
        let part = part.map_err(|stop| stop.at(&self.path, row, self.limit)).transpose();
        match &part {
            Some(Ok(part)) => self.place = part.end,
            _ => self.done = true,
        }
        part
    }
}

/// Why there is no next part.
enum Stop {
    Unread(io::Error),
    Columns(ArrowError),
    LongRow,
}

impl Stop {
    fn at(self, path: &Path, row: u64, limit: usize) -> PartError {
        let path = path.to_owned();
        match self {
            Stop::Unread(source) => PartError::Unread { path, source },
            Stop::Columns(source) => PartError::Columns { path, source },
            Stop::LongRow => PartError::LongRow { path, row, limit },
        }
    }
}

struct Text {
    file: File,
    format: Format,
    /// The header line of a CSV file, with its line break.
    header: Vec<u8>,
    /// Read, but behind the last cut: it begins with a record, at this offset of the file.
    rest: Vec<u8>,
    offset: u64,
}

fn text(file: File, format: Format, place: Place) -> io::Result<Text> {
    let mut reader = BufReader::new(file);
    let mut begin = 0;
    // Some programs begin a text with a mark of its encoding.
    if reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
        begin = 3;
    }
    let mut header = Vec::new();
    if format == Format::Csv {
        begin += reader.read_until(b'\n', &mut header)? as u64;
        if !header.is_empty() && !header.ends_with(b"\n") {
            header.push(b'\n');
        }
    }
    if format == Format::Json {
        refuse_spread(&mut reader)?;
    }
    let mut file = reader.into_inner();
    let offset = begin.max(place.offset);
    file.seek(SeekFrom::Start(offset))?;
    Ok(Text { file, format, header, rest: Vec::new(), offset })
}

impl Text {
    fn next(&mut self, place: Place, limit: usize) -> Result<Option<Part>, Stop> {
        let room = limit.saturating_sub(self.header.len()).max(1);
        let ended = self.fill(room)?;
        if self.rest.is_empty() {
            return Ok(None);
        }
        let whole = ended && self.rest.len() <= room;
        let within = &self.rest[..room.min(self.rest.len())];
        let last = last_end(within, self.format);
        let cut = match last {
            _ if whole => self.rest.len(),
            Some(end) => end,
            None => self.long_record(room)?,
        };
        let rest = self.rest.split_off(cut);
        let mut body = std::mem::replace(&mut self.rest, rest);
        let rows = records(&body, self.format);
        self.offset += cut as u64;
        if !self.header.is_empty() {
            body.splice(0..0, self.header.iter().copied());
        }
        let end = Place { rows: place.rows + rows, offset: self.offset };
        let (first_row, format) = (place.rows + 1, self.format);
        Ok(Some(Part { first_row, rows, bytes: body.into(), format, end }))
    }

    /// Reads until so many bytes are at hand; the answer says whether the file ended before.
    fn fill(&mut self, wanted: usize) -> Result<bool, Stop> {
        let missing = wanted.saturating_sub(self.rest.len()) as u64;
        let came = self.file.by_ref().take(missing).read_to_end(&mut self.rest);
        Ok((came.map_err(Stop::Unread)? as u64) < missing)
    }

    /// The end of a first record that is longer than a part should be.
    fn long_record(&mut self, room: usize) -> Result<usize, Stop> {
        let mut wanted = room;
        loop {
            if let Some(end) = first_end(&self.rest, self.format) {
                return Ok(end);
            }
            if wanted > RECORD_BYTES_MAX {
                return Err(Stop::LongRow);
            }
            wanted *= 2;
            if self.fill(wanted)? && first_end(&self.rest, self.format).is_none() {
                return Ok(self.rest.len());
            }
        }
    }
}

/// Where the first record of a text ends that begins with one.
fn first_end(text: &[u8], format: Format) -> Option<usize> {
    if quoted(text, format) {
        return unquoted_breaks(text).first().copied();
    }
    text.iter().position(|byte| *byte == b'\n').map(|index| index + 1)
}

/// Where the last whole record ends.
fn last_end(text: &[u8], format: Format) -> Option<usize> {
    if quoted(text, format) {
        return unquoted_breaks(text).last().copied();
    }
    text.iter().rposition(|byte| *byte == b'\n').map(|index| index + 1)
}

/// How many records there are; the last one may lack its line break.
fn records(text: &[u8], format: Format) -> u64 {
    let ended = if quoted(text, format) {
        unquoted_breaks(text).len()
    } else {
        text.iter().filter(|byte| **byte == b'\n').count()
    };
    ended as u64 + u64::from(!text.ends_with(b"\n"))
}

/// A line break inside of quotes ends nothing; quotes come in pairs, doubled ones too.
fn quoted(text: &[u8], format: Format) -> bool {
    format == Format::Csv && text.contains(&b'"')
}

fn unquoted_breaks(text: &[u8]) -> Vec<usize> {
    let (mut inside, mut breaks) = (false, Vec::new());
    for (index, byte) in text.iter().enumerate() {
        match byte {
            b'"' => inside = !inside,
            b'\n' if !inside => breaks.push(index + 1),
            _ => {}
        }
    }
    breaks
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

struct Columns {
    batches: Batches,
    /// What is left of the batch at hand.
    rest: Option<RecordBatch>,
    /// How many rows filled the last part.
    fitting: usize,
}

fn sound<T>(read: impl FnOnce() -> Result<T, ArrowError>) -> Result<T, ArrowError> {
    let broken = || Err(ArrowError::ParseError("it contradicts itself".into()));
    decode::guarded(read).unwrap_or_else(broken)
}

fn columns(file: File, format: Format, place: Place) -> Result<Columns, ArrowError> {
    let skip = usize::try_from(place.rows).unwrap_or(usize::MAX);
    if format == Format::Parquet {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let batches = Box::new(builder.with_batch_size(ROWS_READ).with_offset(skip).build()?);
        return Ok(Columns { batches, rest: None, fitting: ROWS_READ });
    }
    let batches = skipped(Box::new(Stream::open(file)?), skip);
    Ok(Columns { batches, rest: None, fitting: ROWS_READ })
}

/// Batches without their first so many rows.
fn skipped(batches: Batches, mut skip: usize) -> Batches {
    Box::new(batches.filter_map(move |batch| {
        let Ok(batch) = batch else { return Some(batch) };
        let gone = skip.min(batch.num_rows());
        skip -= gone;
        (gone < batch.num_rows()).then(|| Ok(batch.slice(gone, batch.num_rows() - gone)))
    }))
}

impl Columns {
    fn next(&mut self, place: Place, limit: usize) -> Result<Option<Part>, Stop> {
        let batch = loop {
            let batch = match self.rest.take() {
                Some(batch) => batch,
                None => match sound(|| self.batches.next().transpose()).map_err(Stop::Columns)? {
                    None => return Ok(None),
                    Some(batch) => batch,
                },
            };
            if batch.num_rows() > 0 {
                break batch;
            }
        };
        let mut rows = self.fitting.clamp(1, batch.num_rows().min(decode::ROWS_MAX));
        let bytes = loop {
            let part = batch.slice(0, rows);
            let bytes = encode(&part).map_err(Stop::Columns)?;
            let fits = bytes.len() <= limit && decode::fits(&part, &bytes);
            if fits || rows == 1 {
                break bytes;
            }
            rows = rows.div_ceil(2);
        };
        // A little more next time: rows differ.
        self.fitting = if bytes.len() < limit / 2 { 2 * rows } else { rows };
        self.rest = Some(batch.slice(rows, batch.num_rows() - rows));
        let rows = rows as u64;
        let end = Place { rows: place.rows + rows, offset: 0 };
        let (first_row, format) = (place.rows + 1, Format::Arrow);
        Ok(Some(Part { first_row, rows, bytes: bytes.into(), format, end }))
    }
}

/// One batch as an Arrow IPC stream.
fn encode(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let options =
        IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options)?;
    writer.write(batch)?;
    writer.into_inner()
}
