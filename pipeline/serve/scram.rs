//! Who may read: SCRAM-SHA-256 (RFC 5802, RFC 7677) from the verifying side.
//!
//! A users file has one `name:verifier` a line; a verifier is what Postgres itself stores,
//! `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`. Neither the password nor anything that
//! could log in instead of it is kept: who steals the file has still to guess.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datafusion_postgres::pgwire::api::auth::sasl::scram::{gen_salted_password, random_nonce};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Iterations of a new verifier; Postgres has the same default.
pub const ITERATIONS: u32 = 4_096;

type Key = [u8; 32];

/// What is kept of a password.
#[derive(Clone)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

/// A users file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    #[error("users file {path}: {cause}")]
    Unreadable { path: String, cause: String },
    #[error("users file {path}, line {line}: expected `name:SCRAM-SHA-256$iterations:salt$…:…`")]
    Line { path: String, line: usize },
    #[error("users file {path} names nobody: nobody could read")]
    Empty { path: String },
    #[error("a user's name has letters, digits, `_`, `-` and `.`, and is not {0:?}")]
    Name(String),
    #[error("{0} is in the users file already")]
    Taken(String),
}

/// Everybody who may read.
pub struct Users {
    verifiers: BTreeMap<String, Verifier>,
    /// Makes up verifiers for names that are not there, so that guessing names is idle.
    secret: Key,
}

/// The verifier of a password, as the users file keeps it.
pub fn scram_verifier(password: &str, salt: &[u8], iterations: u32) -> String {
    let salted = gen_salted_password(password, salt, iterations as usize);
    let client_key = hmac(&salted, b"Client Key");
    let stored = STANDARD.encode(Sha256::digest(client_key));
    let server = STANDARD.encode(hmac(&salted, b"Server Key"));
    format!("SCRAM-SHA-256${iterations}:{}${stored}:{server}", STANDARD.encode(salt))
}

/// A password that nobody has to remember.
pub fn fresh_password() -> String {
    random_nonce().replace(['+', '/', '='], "")
}

/// Adds a user to a users file, which is made, with its folder, if it is missing and is its
/// owner's alone.
pub fn add_user(path: &Path, name: &str, password: &str) -> Result<(), UsersError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(UsersError::Name(name.to_owned()));
    }
    let failed = |error: std::io::Error| UsersError::Unreadable {
        path: path.display().to_string(),
        cause: error.to_string(),
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    let named = |line: &str| line.trim().split(':').next() == Some(name);
    if text.lines().any(named) {
        return Err(UsersError::Taken(name.to_owned()));
    }
    let verifier = scram_verifier(password, random_nonce().as_bytes(), ITERATIONS);
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    file.write_all(format!("{gap}{name}:{verifier}\n").as_bytes()).map_err(failed)
}

impl Users {
    /// Reads a users file; empty lines and lines that begin with `#` say nothing.
    pub fn load(path: &Path, secret: Key) -> Result<Users, UsersError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| UsersError::Unreadable {
            path: shown.clone(),
            cause: error.to_string(),
        })?;
        let users = Users::parse(&text, secret)
            .map_err(|line| UsersError::Line { path: shown.clone(), line })?;
        if users.verifiers.is_empty() {
            return Err(UsersError::Empty { path: shown });
        }
        Ok(users)
    }

    /// The users of a file's text, or the number of the line that is not one.
    pub fn parse(text: &str, secret: Key) -> Result<Users, usize> {
        let mut verifiers = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let user = line
                .split_once(':')
                .and_then(|(name, verifier)| Some((name.to_owned(), Verifier::parse(verifier)?)));
            let Some((name, verifier)) = user else { return Err(number + 1) };
            verifiers.insert(name, verifier);
        }
        Ok(Users { verifiers, secret })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.verifiers.keys().map(String::as_str)
    }

    /// The verifier of a user, or one that no password fits.
    pub fn verifier(&self, name: &str) -> Verifier {
        if let Some(verifier) = self.verifiers.get(name) {
            return verifier.clone();
        }
        let made = |what: &str| hmac(&self.secret, format!("{what} {name}").as_bytes());
        Verifier {
            iterations: ITERATIONS,
            salt: made("salt")[..16].to_vec(),
            stored_key: made("stored"),
            server_key: made("server"),
        }
    }
}

impl Verifier {
    fn parse(text: &str) -> Option<Verifier> {
        let mut parts = text.strip_prefix("SCRAM-SHA-256$")?.split('$');
        let (iterations, salt) = parts.next()?.split_once(':')?;
        let (stored, server) = parts.next()?.split_once(':')?;
        let key = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
        let iterations = iterations.parse().ok()?;
        let salt = STANDARD.decode(salt).ok()?;
        let whole = parts.next().is_none() && iterations >= ITERATIONS && !salt.is_empty();
        whole.then_some(Verifier {
            iterations,
            salt,
            stored_key: key(stored)?,
            server_key: key(server)?,
        })
    }
}

/// An exchange that has begun: we have answered the client's first message.
pub struct Exchange {
    verifier: Verifier,
    header: String,
    client_first: String,
    server_first: String,
    nonce: String,
}

impl Exchange {
    /// Takes the client's first message; `nonce` is ours and fresh. `None`: it is not SCRAM.
    pub fn begin(message: &str, verifier: Verifier, nonce: &str) -> Option<Exchange> {
        // `n` and `y`: no channel binding, which we do not offer.
        let (flag, rest) = message.split_once(',')?;
        let (identity, client_first) = rest.split_once(',')?;
        if !matches!(flag, "n" | "y") || client_first.starts_with("m=") {
            return None;
        }
        let theirs = field(client_first, "r=")?;
        if theirs.is_empty() {
            return None;
        }
        let nonce = format!("{theirs}{nonce}");
        let salt = STANDARD.encode(&verifier.salt);
        let server_first = format!("r={nonce},s={salt},i={}", verifier.iterations);
        Some(Exchange {
            verifier,
            header: format!("{flag},{identity},"),
            client_first: client_first.to_owned(),
            server_first,
            nonce,
        })
    }

    /// What we answered.
    pub fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Takes the client's last message; the answer proves to it that we know its verifier.
    /// `None`: the password is another one.
    pub fn finish(&self, message: &str) -> Option<String> {
        let (bare, proof) = message.rsplit_once(",p=")?;
        let bound = field(bare, "c=")? == STANDARD.encode(&self.header);
        if !bound || field(bare, "r=")? != self.nonce {
            return None;
        }
        let said = format!("{},{},{bare}", self.client_first, self.server_first);
        let signature = hmac(&self.verifier.stored_key, said.as_bytes());
        let proof: Key = STANDARD.decode(proof).ok()?.try_into().ok()?;
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        if !same(&Sha256::digest(client_key), &self.verifier.stored_key) {
            return None;
        }
        Some(format!("v={}", STANDARD.encode(hmac(&self.verifier.server_key, said.as_bytes()))))
    }
}

/// The value of a field of a message.
fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split(',').find_map(|part| part.strip_prefix(name))
}

fn hmac(key: &[u8], text: &[u8]) -> Key {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        panic!("HMAC takes keys of every length");
    };
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// Compares in a time that does not tell where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}
