//! Bytes that only who holds the intake key may read again (A15).
//!
//! AES-SIV (RFC 5297, AES-256 with CMAC), with the stream's name, the sequence and the row as
//! associated data. It is deterministic: the same row sealed twice gives the same bytes, so a
//! replayed step says what it said before. A sealed text is the id of its key (four bytes, big
//! endian), then the tag (16 bytes), then the ciphertext.

use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;

use crate::rules::Keys;

/// Where sealed bytes stood in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub stream: &'a str,
    pub seq: u64,
    pub row: u32,
}

/// Why sealed bytes stay closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Fetch the key that the fact names.
    #[error("sealed under key {sealed}, and this is key {ours}")]
    OtherKey { sealed: u32, ours: u32 },
    /// The bytes, or their place, were changed.
    #[error("the sealed bytes do not open at {seq}:{row}")]
    Broken { seq: u64, row: u32 },
}

/// Seals bytes at their place.
pub fn seal(keys: &Keys, place: Place, bytes: &[u8]) -> Vec<u8> {
    let mut cipher = Aes256Siv::new((&keys.seal).into());
    let mut sealed = keys.id.to_be_bytes().to_vec();
    let closed = cipher.encrypt(headers(&place), bytes);
    assert!(closed.is_ok(), "three headers are fewer than the 126 that AES-SIV takes");
    sealed.extend(closed.unwrap_or_default());
    sealed
}

/// Opens what [`seal`] closed at the same place.
pub fn unseal(keys: &Keys, place: Place, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let broken = SealError::Broken { seq: place.seq, row: place.row };
    let Some((id, closed)) = sealed.split_first_chunk() else { return Err(broken) };
    let id = u32::from_be_bytes(*id);
    if id != keys.id {
        return Err(SealError::OtherKey { sealed: id, ours: keys.id });
    }
    Aes256Siv::new((&keys.seal).into()).decrypt(headers(&place), closed).map_err(|_| broken)
}

fn headers(place: &Place) -> [Vec<u8>; 3] {
    [
        place.stream.as_bytes().to_vec(),
        place.seq.to_be_bytes().to_vec(),
        place.row.to_be_bytes().to_vec(),
    ]
}
