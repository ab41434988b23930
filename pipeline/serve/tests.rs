//! SCRAM against the example of its own standard, and against what is not it.

use super::scram::{Exchange, Users, add_user, fresh_password, scram_verifier};

/// RFC 7677, section 3: user, pencil.
const SALT: &[u8] = &[
    0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81,
];
const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const LAST: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

fn users() -> Users {
    let verifier = scram_verifier("pencil", SALT, 4096);
    Users::parse(&format!("# who may read\n\nuser:{verifier}\n"), [7; 32]).ok().unwrap()
}

#[test]
fn the_standards_own_exchange_succeeds() {
    let exchange = Exchange::begin(FIRST, users().verifier("user"), NONCE).unwrap();
    assert_eq!(
        exchange.server_first(),
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let answer = exchange.finish(LAST).unwrap();
    assert_eq!(answer, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

#[test]
fn what_is_not_the_password_fails() {
    let with = |password: &str, name: &str| {
        let verifier = scram_verifier(password, SALT, 4096);
        let users = Users::parse(&format!("user:{verifier}"), [7; 32]).ok().unwrap();
        Exchange::begin(FIRST, users.verifier(name), NONCE).unwrap().finish(LAST)
    };
    assert!(with("pencil", "user").is_some());
    assert!(with("Pencil", "user").is_none());
    assert!(with("", "user").is_none());
    assert!(with("pencil", "nobody").is_none());
}

#[test]
fn a_changed_message_fails() {
    let exchange = Exchange::begin(FIRST, users().verifier("user"), NONCE).unwrap();
    for (from, to) in [("c=biws", "c=eSws"), ("rOpr", "rOps"), ("p=dHzb", "p=dHzc"), (",p=", "")] {
        let changed = LAST.replacen(from, to, 1);
        assert!(exchange.finish(&changed).is_none(), "{changed}");
    }
    for first in ["", "p=tls-unique,,n=user,r=x", "n,,n=user", "n,,n=user,r=", "x,,n=user,r=y"] {
        assert!(Exchange::begin(first, users().verifier("user"), NONCE).is_none(), "{first:?}");
    }
}

#[test]
fn a_users_file_is_read_or_its_line_is_named() {
    let good = format!("a:{}", scram_verifier("x", SALT, 4096));
    assert!(!good.contains("pencil"));
    let stored_plainly = "b:secret";
    let too_few = format!("c:{}", scram_verifier("x", SALT, 1));
    for (text, line) in [(stored_plainly, 2), (too_few.as_str(), 2), ("no colon", 2)] {
        let text = format!("{good}\n{text}\n");
        assert_eq!(Users::parse(&text, [0; 32]).err(), Some(line), "{text}");
    }
}

#[test]
fn a_user_is_added_once_and_the_password_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users");
    let password = fresh_password();
    assert!(password.len() >= 16 && password.chars().all(char::is_alphanumeric), "{password}");
    add_user(&file, "recoup", &password).unwrap();
    add_user(&file, "ana", "another").unwrap();
    assert!(add_user(&file, "ana", "third").is_err());
    assert!(add_user(&file, "a:b", "x").is_err());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&password), "{text}");
    let users = Users::load(&file, [0; 32]).ok().unwrap();
    assert_eq!(users.names().collect::<Vec<_>>(), ["ana", "recoup"]);
}
