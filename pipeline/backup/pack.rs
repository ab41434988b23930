//! Messages as the bytes of one object: each as its lengths and its parts; a SHA-256 at the end.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::BackupError;
use crate::log::Message;

const MAGIC: &[u8; 8] = b"recoupb1";
const SEAL: usize = 32;

pub fn pack(messages: &[Message]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for message in messages {
        bytes.extend(message.seq.to_le_bytes());
        part(&mut bytes, message.subject.as_bytes());
        bytes.extend((message.headers.len() as u32).to_le_bytes());
        for (name, value) in &message.headers {
            part(&mut bytes, name.as_bytes());
            part(&mut bytes, value.as_bytes());
        }
        part(&mut bytes, &message.payload);
    }
    let seal = Sha256::digest(&bytes);
    bytes.extend(seal);
    bytes
}

fn part(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u32).to_le_bytes());
    bytes.extend(part);
}

pub fn unpack(path: &str, bytes: &Bytes) -> Result<Vec<Message>, BackupError> {
    let torn = |what: &str| BackupError::Torn { path: path.into(), what: what.into() };
    if bytes.len() < MAGIC.len() + SEAL || !bytes.starts_with(MAGIC) {
        return Err(torn("it does not begin as a backup does"));
    }
    let sealed = bytes.len() - SEAL;
    if Sha256::digest(&bytes[..sealed])[..] != bytes[sealed..] {
        return Err(torn("its bytes are not those that were written"));
    }
    let mut rest = Rest(bytes.slice(MAGIC.len()..sealed));
    let mut messages = vec![];
    while !rest.0.is_empty() {
        messages.push(rest.message().ok_or_else(|| torn("a message is cut"))?);
    }
    Ok(messages)
}

/// What is not read yet.
struct Rest(Bytes);

impl Rest {
    fn take(&mut self, count: usize) -> Option<Bytes> {
        (count <= self.0.len()).then(|| self.0.split_to(count))
    }

    fn number(&mut self) -> Option<usize> {
        let bytes = self.take(4)?;
        Some(u32::from_le_bytes(bytes[..].try_into().ok()?) as usize)
    }

    fn part(&mut self) -> Option<Bytes> {
        let count = self.number()?;
        self.take(count)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.part()?.to_vec()).ok()
    }

    fn message(&mut self) -> Option<Message> {
        let seq = u64::from_le_bytes(self.take(8)?[..].try_into().ok()?);
        let subject = self.text()?;
        let mut headers = vec![];
        for _ in 0..self.number()? {
            headers.push((self.text()?, self.text()?));
        }
        Some(Message { seq, subject, headers, payload: self.part()?, rows: None, at: 0 })
    }
}
