//! The program as files: what ships, the pricing that a setting chooses, what a user puts in its
//! place, and the lenders' dialects.

use std::path::Path;

use recoup_sql::stages::discounted;
use recoup_sql::{Mistake, Source, shipped};

use crate::settings::{Pricing, Program};

/// The SQL files: those that ship, each replaced by a file of its name in the user's folder.
pub fn sources(program: &Program) -> Result<Vec<Source>, Mistake> {
    let mut sources = shipped();
    if program.pricing == Pricing::Discounted {
        let full = discounted();
        if let Some(plain) = sources.iter_mut().find(|source| source.name == full.name) {
            *plain = full;
        }
    }
    if program.folder.is_empty() {
        return Ok(sources);
    }
    for own in folder(&program.folder)? {
        let Some(place) = sources.iter_mut().find(|source| source.name == own.name) else {
            let names: Vec<_> = shipped().into_iter().map(|source| source.name).collect();
            let what = "this file has no place in the program".to_string();
            let file = Path::new(&program.folder).join(&own.name).display().to_string();
            return Err(Mistake::at(&file, "", 0, 0, what)
                .with_hint(format!("a file of yours replaces one of {}", names.join(", "))));
        };
        *place = own;
    }
    Ok(sources)
}

/// The dialects of a folder: `<lender>.sql` or `<lender>.<kind>.sql`; none where it is not set.
pub fn dialects(program: &Program) -> Result<Vec<Source>, Mistake> {
    if program.dialects.is_empty() { Ok(vec![]) } else { folder(&program.dialects) }
}

/// One SQL file.
pub fn file(path: &Path) -> Result<Source, Mistake> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Mistake::at(&shown, "", 0, 0, format!("the file was not read: {error}"))
    })?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(Source { name: name.unwrap_or(shown), text })
}

fn folder(path: &str) -> Result<Vec<Source>, Mistake> {
    let unread = |error: std::io::Error| {
        Mistake::at(path, "", 0, 0, format!("the folder was not read: {error}"))
    };
    let mut paths = vec![];
    for entry in std::fs::read_dir(path).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        if path.extension().is_some_and(|ending| ending == "sql") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| file(path)).collect()
}
