//! The batches of an Arrow stream, as it is or inside an Arrow file.
//!
//! The library's reader makes room for whatever a message says of itself, and where that is more
//! than the machine has the process ends. So each message is taken from the file by what the file
//! has, and measured, before it is opened. A file is read as the stream that it holds; its index
//! is not asked.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc;
use datafusion::arrow::ipc::reader::StreamDecoder;
use datafusion::arrow::record_batch::RecordBatch;
use recoup_operators::decode;

/// How an Arrow file begins.
const MARK: &[u8] = b"ARROW1";
/// Writers fill up behind the mark, to this place at most.
const FIRST_MESSAGE_MAX: usize = 64;
/// How a stream ends, where it does not just end.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// Of one message, as it lies in the file and unfolded.
const BYTES_MAX: usize = 4 << 30;
const ROWS_MAX: usize = 1 << 26;
const TOO_LARGE: &str = "a batch unfolds to more than 4 GiB; write it in smaller ones";
const TOO_MANY: &str = "a batch has more than 67,108,864 rows; write it in smaller ones";

pub struct Stream {
    reader: BufReader<File>,
    /// Bytes of the file that were not read yet.
    left: u64,
    decoder: StreamDecoder,
    /// What the decoder has not taken yet.
    at_hand: Buffer,
    ended: bool,
}

impl Stream {
    /// Fails where there is no schema.
    pub fn open(mut file: File) -> Result<Self, ArrowError> {
        let mut head = Vec::new();
        file.by_ref().take(FIRST_MESSAGE_MAX as u64).read_to_end(&mut head)?;
        let begin = if head.starts_with(MARK) { first_message(&head) } else { 0 };
        let left = file.seek(SeekFrom::End(0))?.saturating_sub(begin);
        file.seek(SeekFrom::Start(begin))?;
        let (reader, decoder) = (BufReader::new(file), StreamDecoder::new());
        let mut stream = Stream { reader, left, decoder, at_hand: Buffer::default(), ended: false };
        stream.at_hand = stream.message()?;
        if stream.ended {
            return broken("it has no schema");
        }
        Ok(stream)
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        loop {
            if let Some(batch) = self.decoder.decode(&mut self.at_hand)? {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            self.at_hand = self.message()?;
        }
    }

    /// The bytes of the next message, or of the mark that ends the stream.
    fn message(&mut self) -> Result<Buffer, ArrowError> {
        let mut bytes = Vec::new();
        let mut length = if self.left == 0 { 0 } else { self.word(&mut bytes)? };
        if length == u32::MAX {
            length = self.word(&mut bytes)?;
        }
        if length == 0 {
            self.ended = true;
            return Ok(Buffer::from(END));
        }
        let metadata = bytes.len();
        self.take(length.into(), &mut bytes)?;
        let message = ipc::root_as_message(&bytes[metadata..]);
        let message = message.map_err(|mistake| ArrowError::IpcError(mistake.to_string()))?;
        let body = u64::try_from(message.bodyLength()).unwrap_or(u64::MAX);
        self.take(body, &mut bytes)?;
        match decode::measure(&bytes) {
            None => broken("a message contradicts itself"),
            Some(found) if found.bytes > BYTES_MAX => broken(TOO_LARGE),
            Some(found) if found.rows > ROWS_MAX => broken(TOO_MANY),
            Some(_) => Ok(Buffer::from(bytes)),
        }
    }

    fn word(&mut self, bytes: &mut Vec<u8>) -> Result<u32, ArrowError> {
        self.take(4, bytes)?;
        Ok(bytes.last_chunk().map_or(0, |word| u32::from_le_bytes(*word)))
    }

    /// Adds so many bytes of the file.
    fn take(&mut self, count: u64, bytes: &mut Vec<u8>) -> Result<(), ArrowError> {
        if count > self.left {
            return broken("it ends inside a message");
        }
        if count > BYTES_MAX as u64 {
            return broken(TOO_LARGE);
        }
        self.left -= count;
        bytes.reserve(count as usize);
        let came = self.reader.by_ref().take(count).read_to_end(bytes)?;
        if (came as u64) < count { broken("it became shorter") } else { Ok(()) }
    }
}

impl Iterator for Stream {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}

/// Behind the mark and the zeros that fill it up.
fn first_message(head: &[u8]) -> u64 {
    let words = head.chunks_exact(8).skip(1);
    8 + 8 * words.take_while(|word| word.iter().all(|byte| *byte == 0)).count() as u64
}

fn broken<T>(why: &str) -> Result<T, ArrowError> {
    Err(ArrowError::IpcError(why.into()))
}
