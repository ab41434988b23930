//! The secret of the intake: one text of 64 hexadecimal bytes, from which both keys are derived.
//!
//! A file that `recoup init` made has a check of eight digits behind it: with another secret nobody
//! would be known again, and it would not show, so a file that was touched is no key.
//!
//! It comes from the variable `RECOUP_KEY` or from a file, and is never printed: an error names
//! the place, not the content.

use std::io::Read;
use std::path::Path;

use hmac::{Hmac, Mac};
use recoup_operators::rules::Keys;
use sha2::{Digest, Sha256};

/// The variable that holds the secret itself; it wins over the file.
pub const VARIABLE: &str = "RECOUP_KEY";
const SECRET_BYTES: usize = 64;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("key file {file}: {cause}; `recoup init` makes one")]
    Unread { file: String, cause: std::io::Error },
    #[error("{place} must hold {SECRET_BYTES} bytes as {} hexadecimal digits, and behind them, if \
        anything, `-` and the check that was written with them", 2 * SECRET_BYTES)]
    Malformed { place: String },
    #[error("key file {file} may be read by others than its owner; run `chmod 600 {file}`")]
    Exposed { file: String },
}

/// The keys, from the variable or the file.
pub fn load_keys(file: &str) -> Result<Keys, KeyError> {
    if let Ok(text) = std::env::var(VARIABLE) {
        return derive(&text).ok_or_else(|| KeyError::Malformed { place: VARIABLE.into() });
    }
    let unread = |cause| KeyError::Unread { file: file.into(), cause };
    refuse_exposed(file).map_err(unread)?.map_or(Ok(()), Err)?;
    let text = std::fs::read_to_string(file).map_err(unread)?;
    derive(&text).ok_or_else(|| KeyError::Malformed { place: format!("key file {file}") })
}

/// Makes a key file that only its owner may read; one that is there stays as it is.
/// The answer says whether it was made.
pub fn make_key_file(file: &Path) -> std::io::Result<bool> {
    use std::io::Write;
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = match options.open(file) {
        Ok(out) => out,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(error),
    };
    let secret = random()?;
    writeln!(out, "{}-{}", hex(&secret), check(&secret))?;
    out.sync_all()?;
    Ok(true)
}

fn random() -> std::io::Result<[u8; SECRET_BYTES]> {
    let mut secret = [0; SECRET_BYTES];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut secret)?;
    Ok(secret)
}

#[cfg(unix)]
fn refuse_exposed(file: &str) -> std::io::Result<Option<KeyError>> {
    use std::os::unix::fs::PermissionsExt;
    let exposed = std::fs::metadata(file)?.permissions().mode() & 0o077 != 0;
    Ok(exposed.then(|| KeyError::Exposed { file: file.into() }))
}

#[cfg(not(unix))]
fn refuse_exposed(_file: &str) -> std::io::Result<Option<KeyError>> {
    Ok(None)
}

/// What is written behind a secret: it tells a secret that was touched, and nothing of it.
fn check(secret: &[u8]) -> String {
    let digest = Sha256::digest([b"recoup key check".as_slice(), secret].concat());
    hex(&digest[..4])
}

/// Both keys from one secret: each block is an HMAC of its own label.
fn derive(text: &str) -> Option<Keys> {
    let (digits, written) = match text.trim().split_once('-') {
        Some((digits, written)) => (digits, Some(written)),
        None => (text.trim(), None),
    };
    let secret = unhex(digits)?;
    if written.is_some_and(|written| written != check(&secret)) {
        return None;
    }
    let block = |label: &str| -> Option<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).ok()?;
        mac.update(label.as_bytes());
        Some(mac.finalize().into_bytes().into())
    };
    let mut seal = [0; 64];
    seal[..32].copy_from_slice(&block("recoup seal 1")?);
    seal[32..].copy_from_slice(&block("recoup seal 2")?);
    let name = block("recoup key id")?;
    let id = u32::from_be_bytes([name[0], name[1], name[2], name[3]]);
    Some(Keys { token: block("recoup token")?, seal, id })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 2 * SECRET_BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..SECRET_BYTES).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()).collect()
}
