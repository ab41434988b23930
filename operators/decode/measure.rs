//! What an Arrow IPC stream says of itself: rows, and bytes once it is unfolded.
//!
//! The reader believes what is written there: it makes room for what a compressed buffer says it
//! becomes, and asserts where a buffer lies outside its message. So a stream is measured first.

use arrow::ipc;

use super::Weight;

/// Whether a stream that one of ours wrote can be what it says. `lz4` unfolds to no more than 255
/// times, and each row of ours takes a byte at least.
pub fn plausible(bytes: &[u8]) -> bool {
    measure(bytes).is_some_and(|weight| {
        weight.bytes <= bytes.len().saturating_mul(255) && weight.rows <= weight.bytes
    })
}

/// Walks the messages of a stream without opening them; `None` where one is broken. A batch has as
/// many rows as the longest of its columns says.
pub fn measure(bytes: &[u8]) -> Option<Weight> {
    let (mut at, mut weight) = (0, Weight::default());
    while at < bytes.len() {
        let mut length = word(bytes, at)?;
        at += 4;
        if length == u32::MAX {
            length = word(bytes, at)?;
            at += 4;
        }
        if length == 0 {
            break;
        }
        let metadata = bytes.get(at..at.checked_add(length as usize)?)?;
        at += metadata.len();
        let message = ipc::root_as_message(metadata).ok()?;
        let body_length = usize::try_from(message.bodyLength()).ok()?;
        let body = bytes.get(at..at.checked_add(body_length)?)?;
        at += body_length;
        let batch = match message.header_type() {
            ipc::MessageHeader::RecordBatch => message.header_as_record_batch(),
            ipc::MessageHeader::DictionaryBatch => message.header_as_dictionary_batch()?.data(),
            _ => continue,
        }?;
        weight.rows = weight.rows.checked_add(rows(batch)?)?;
        weight.bytes = weight.bytes.checked_add(unfolded_body(batch, body)?)?;
    }
    Some(weight)
}

fn rows(batch: ipc::RecordBatch) -> Option<usize> {
    let mut most = usize::try_from(batch.length()).ok()?;
    for node in batch.nodes()? {
        most = most.max(usize::try_from(node.length()).ok()?);
    }
    Some(most)
}

/// The bytes that a message's buffers become.
fn unfolded_body(batch: ipc::RecordBatch, body: &[u8]) -> Option<usize> {
    let mut sum = 0_usize;
    for buffer in batch.buffers()? {
        let start = usize::try_from(buffer.offset()).ok()?;
        let length = usize::try_from(buffer.length()).ok()?;
        let bytes = body.get(start..start.checked_add(length)?)?;
        let said = match bytes.first_chunk::<8>() {
            Some(prefix) if batch.compression().is_some() => i64::from_le_bytes(*prefix),
            _ => -1,
        };
        // -1: stored as it is.
        let becomes = if said == -1 { length } else { usize::try_from(said).ok()? };
        sum = sum.checked_add(becomes)?;
    }
    Some(sum)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}
