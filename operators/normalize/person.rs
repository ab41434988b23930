//! What may be known of a person beyond this point: a mask to show, a token to join by (A15).

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::rules::Keys;

/// The token of a text: 16 hexadecimal digits.
pub(super) type Token = [u8; 16];

/// Makes tokens under one key: the first 64 bits of HMAC-SHA-256, in lower-case hexadecimal.
pub(super) struct Tokens {
    keyed: Hmac<Sha256>,
}

impl Tokens {
    /// Without keys (`batch` on a user's own files) the key is 32 zero bytes, so that joins work
    /// and come out alike everywhere; such tokens can be guessed by whoever tries all numbers.
    pub(super) fn new(keys: Option<&Keys>) -> Self {
        let key = keys.map_or([0; 32], |keys| keys.token);
        let keyed = Hmac::new_from_slice(&key);
        assert!(keyed.is_ok(), "HMAC takes a key of any length");
        Tokens { keyed: keyed.unwrap_or_else(|_| Hmac::new(&Default::default())) }
    }

    pub(super) fn token(&self, text: &str) -> Token {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut keyed = self.keyed.clone();
        keyed.update(text.as_bytes());
        let hash = keyed.finalize().into_bytes();
        let mut token = [0; 16];
        for (pair, byte) in token.chunks_exact_mut(2).zip(hash) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        token
    }
}

/// Writes the first three characters, four stars and the last four; of fewer than eight
/// characters only stars.
pub(super) fn mask(phone: &str, out: &mut Vec<u8>) {
    out.clear();
    let count = phone.chars().count();
    if count < 8 {
        out.resize(count, b'*');
        return;
    }
    let head = phone.char_indices().nth(3).map_or(0, |(at, _)| at);
    let tail = phone.char_indices().nth(count - 4).map_or(0, |(at, _)| at);
    out.extend_from_slice(&phone.as_bytes()[..head]);
    out.extend_from_slice(b"****");
    out.extend_from_slice(&phone.as_bytes()[tail..]);
}
