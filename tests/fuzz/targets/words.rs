//! What people and clients write: settings, tables, users, passwords on the wire, SQL, files.

use std::path::PathBuf;

use recoup::load::{Format, Place, parts_from};
use recoup::post::{names, parse_reference};
use recoup::serve::{Exchange, Users};
use recoup::settings::{Settings, Sources};
use recoup_operators::{ALL, Rules};
use recoup_sql::{Dialect, Source, compile, shipped, stages};

/// A file of this process alone.
fn file(bytes: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("recoup-fuzz-{}", std::process::id()));
    std::fs::write(&path, bytes).expect("the folder for what is temporary takes a file");
    path
}

/// A settings file, and the same lines as variables and as `--set`.
pub fn settings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let pair = |line: &str| line.split_once('=').map(|(key, value)| (key.into(), value.into()));
    let environment: Vec<(String, String)> = text.lines().filter_map(pair).collect();
    let set: Vec<String> = text.lines().map(Into::into).collect();
    let file = file(bytes);
    let from = |file, environment, set| Settings::read(&Sources { file, environment, set });
    for read in
        [from(Some(file.as_path()), &[], &[]), from(None, &environment, &[]), from(None, &[], &set)]
    {
        if let Err(mistakes) = read {
            assert!(!mistakes.is_empty(), "who refuses says why");
        }
    }
}

/// A reference table, named by the first byte; what is taken is heard by every operator.
pub fn reference(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let name = names().nth(usize::from(*first) % names().count()).expect("one of them");
    let table = match parse_reference(name, "x.csv", rest) {
        Ok(table) => table,
        Err(mistakes) => return assert!(!mistakes.is_empty(), "who refuses says why"),
    };
    for verb in ALL {
        let mut operator = (verb.open)(&Rules::default(), 0);
        operator.hear(name, &table.batch);
        let saved = operator.save();
        let mut other = (verb.open)(&Rules::default(), 0);
        other.load(saved).expect("what was just saved");
    }
}

/// A users file, and a client that wants in.
pub fn users(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(users) = Users::parse(&text, [7; 32]) else { return };
    for name in users.names() {
        let _ = users.verifier(name);
    }
}

/// Both messages of a client, one a line: nobody comes in without the password.
pub fn scram(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (first, last) = text.split_once('\n').unwrap_or((&text, ""));
    let users = Users::parse("", [7; 32]).expect("nobody is no mistake");
    if let Some(exchange) = Exchange::begin(first, users.verifier("x"), "ours") {
        assert!(exchange.server_first().contains("ours"));
        assert!(exchange.finish(last).is_none(), "nobody has this password");
    }
}

/// A lender's dialect over a few raw rows.
pub fn dialect(bytes: &[u8]) {
    let source = Source { name: "bank.sql".into(), text: String::from_utf8_lossy(bytes).into() };
    let Ok(dialect) = Dialect::compile(&source) else { return };
    let columns: Vec<&str> = dialect.columns.iter().map(String::as_str).collect();
    let payload = b"{\"acct\":\"A1\",\"bill\":\"1.005\",\"x\":-3}\n{\"acct\":null}\nnope\n";
    let payload = datafusion::arrow::buffer::Buffer::from(payload.as_slice());
    let part = recoup_operators::decode::Part {
        seq: 1,
        shard: 0,
        lender: "L1",
        format: recoup_operators::decode::Format::Json,
        first_row: 1,
        payload: &payload,
    };
    dialect.apply(&recoup_operators::decode::decode(&part, &columns).rows);
}

/// A file of the program in the place of the shipped one: it compiles, or says where it does not.
pub fn program(bytes: &[u8]) {
    let mut sources = shipped();
    for source in sources.iter_mut().filter(|source| source.name.starts_with("10_")) {
        source.text = String::from_utf8_lossy(bytes).into();
    }
    let shape = stages::shape("normalize").expect("there is one");
    if let Err(mistakes) = compile(shape, &sources, &Rules::default()) {
        assert!(!mistakes.is_empty(), "who refuses says why");
    }
}

/// A lender's file as `load` cuts it, its format and the size of a part named by two bytes. Text
/// loses nothing, and is refused only where it is an array over several lines; Parquet and Arrow
/// that assert inside their readers end the load, not the process.
pub fn files(bytes: &[u8]) {
    let Some(([format, size], rest)) = bytes.split_first_chunk() else { return };
    let formats = [Format::Json, Format::Csv, Format::Parquet, Format::Arrow];
    let format = formats[usize::from(*format) % formats.len()];
    let (path, limit) = (file(rest), 16 + 16 * usize::from(*size));
    let cut =
        || parts_from(&path, format, Place::default(), limit).map(|all| all.collect::<Vec<_>>());
    if matches!(format, Format::Parquet | Format::Arrow) {
        let _ = cut();
        return;
    }
    let text = rest.strip_prefix(b"\xef\xbb\xbf").unwrap_or(rest);
    let Ok(parts) = cut() else {
        assert!(format == Format::Json && text.trim_ascii_start().starts_with(b"["));
        return;
    };
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    let mut next = 1;
    for part in &parts {
        assert_eq!(part.first_row, next, "rows are counted on");
        next += part.rows;
    }
    let whole: usize = parts.iter().map(|part| part.bytes.len()).sum();
    if format == Format::Json {
        assert_eq!(whole, text.len(), "no byte is lost");
    }
}
