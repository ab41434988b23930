//! Rows as messages: Arrow IPC streams of one relation, cut where a message would be too large.

use bytes::Bytes;
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::CompressionType;
use datafusion::arrow::ipc::reader::StreamDecoder;
use datafusion::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use datafusion::arrow::record_batch::RecordBatch;

/// How messages are written: plain in one process, lz4 over a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
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
    let payload = written(rows, packing).unwrap_or_default();
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
        Packing::Plain => None,
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

/// The rows of a message. Plain payloads are read in place.
pub fn decode(payload: &Bytes) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut buffer = Buffer::from(payload.clone());
    let mut decoder = StreamDecoder::new();
    let mut batches = vec![];
    while !buffer.is_empty() {
        match decoder.decode(&mut buffer)? {
            Some(rows) => batches.push(rows),
            None => break,
        }
    }
    Ok(batches)
}
