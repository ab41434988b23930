//! Rows as messages: Arrow IPC streams of one relation, cut where a message would be too large.

use bytes::Bytes;
use datafusion::arrow::array::{RecordBatchOptions, new_null_array};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::CompressionType;
use datafusion::arrow::ipc::reader::StreamDecoder;
use datafusion::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use datafusion::arrow::record_batch::RecordBatch;
use recoup_operators::decode;
use recoup_operators::memory::hash_bytes;

use crate::log::{LogError, Message};

/// How messages are written: not at all where both ends are in this process and nobody wakes from
/// the log, plain in a log that is kept in memory, lz4 over a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Carried,
    Plain,
    Lz4,
}

/// The rows as one or more payloads of at most `payload_max` bytes; a single row that is larger
/// is one payload all the same.
pub fn encode(rows: &RecordBatch, packing: Packing, payload_max: usize) -> Vec<Bytes> {
    let mut payloads = vec![];
    push(rows, packing, payload_max, &mut payloads);
    payloads
}

fn push(rows: &RecordBatch, packing: Packing, payload_max: usize, payloads: &mut Vec<Bytes>) {
    let count = rows.num_rows();
    let payload = match written(rows, packing) {
        Ok(payload) => payload,
        // An empty message in its place would be money lost in silence.
        Err(error) => unreachable!("columns of a schema of ours are written to memory: {error}"),
    };
    if payload.len() <= payload_max || count <= 1 {
        payloads.push(Bytes::from(payload));
        return;
    }
    let parts = payload.len().div_ceil(payload_max).max(2);
    let step = count.div_ceil(parts);
    for start in (0..count).step_by(step) {
        push(&rows.slice(start, step.min(count - start)), packing, payload_max, payloads);
    }
}

fn written(rows: &RecordBatch, packing: Packing) -> Result<Vec<u8>, ArrowError> {
    let codec = match packing {
        Packing::Carried | Packing::Plain => None,
        Packing::Lz4 => Some(CompressionType::LZ4_FRAME),
    };
    let options = IpcWriteOptions::default().try_with_compression(codec)?;
    let sizes = rows.columns().iter().map(|column| column.to_data().get_slice_memory_size());
    let room = sizes.map(Result::unwrap_or_default).sum::<usize>() + 64 * rows.num_columns() + 4096;
    let mut writer =
        StreamWriter::try_new_with_options(Vec::with_capacity(room), &rows.schema(), options)?;
    writer.write(rows)?;
    writer.into_inner()
}

/// What every stream of ours ends with; one that does not was cut.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// The rows of a payload, all of them or an error. Plain payloads are read in place.
pub fn decode(payload: &Bytes) -> Result<Vec<RecordBatch>, ArrowError> {
    let broken = |what: &str| Err(ArrowError::IpcError(what.into()));
    if !payload.ends_with(&END) {
        return broken("it has no end");
    }
    if !decode::plausible(payload) {
        return broken("it says more than its bytes can be");
    }
    let read = decode::guarded(|| opened(payload));
    read.unwrap_or_else(|| broken("it contradicts itself"))
}

fn opened(payload: &Bytes) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut buffer = Buffer::from(payload.clone());
    let mut decoder = StreamDecoder::new();
    let mut batches = vec![];
    while !buffer.is_empty() {
        match decoder.decode(&mut buffer)? {
            Some(rows) => batches.push(rows),
            None => break,
        }
    }
    decoder.finish()?;
    if !buffer.is_empty() {
        return Err(ArrowError::IpcError("something stands behind its end".into()));
    }
    Ok(batches)
}

/// The header with which a stage says what its payload was: Arrow has no checksum of its own.
pub const CHECK: &str = "Recoup-Check";

/// What a payload was, for [`CHECK`].
pub fn check(payload: &Bytes) -> String {
    format!("{:016x}", hash_bytes(payload))
}

/// The rows of a message that one of our stages wrote. One that does not read is lost history: to
/// skip it would be to lose money in silence (A14).
pub fn of(message: &Message) -> Result<Vec<RecordBatch>, LogError> {
    if let Some(rows) = &message.rows {
        return Ok(vec![rows.clone()]);
    }
    let said = message.headers.iter().find(|(name, _)| name == CHECK);
    if said.is_some_and(|(_, said)| *said != check(&message.payload)) {
        return Err(unreadable(message, "it is not what was written"));
    }
    decode(&message.payload).map_err(|error| unreadable(message, &error.to_string()))
}

/// The rows of a message with exactly these columns. A column that is not there is null, for
/// columns are added over the years; one whose values do not fit is lost history.
pub fn fitted(
    message: &Message,
    rows: RecordBatch,
    takes: &SchemaRef,
) -> Result<RecordBatch, LogError> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let mut columns = vec![];
    for field in takes.fields() {
        columns.push(match rows.column_by_name(field.name()) {
            None => new_null_array(field.data_type(), rows.num_rows()),
            Some(found) if found.data_type() == field.data_type() => found.clone(),
            Some(found) => cast_with_options(found, field.data_type(), &options)
                .map_err(|error| unreadable(message, &format!("{}: {error}", field.name())))?,
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(takes.clone(), columns, &options)
        .map_err(|error| unreadable(message, &error.to_string()))
}

/// What is said of a message that is not what was written there.
pub fn unreadable(message: &Message, cause: &str) -> LogError {
    let Message { seq, subject, .. } = message;
    let stream = subject.split('.').next().unwrap_or_default();
    LogError::Lost(format!(
        "message {seq} of stream {stream:?} on {subject} does not read: {cause}"
    ))
}
