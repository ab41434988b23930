//! What is wrong with a SQL file, where, and how to mend it.

use std::fmt;

/// A mistake in the program, named so that a person can go and mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub file: String,
    /// From 1; 0 where the whole file is meant.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub what: String,
    pub hint: String,
    /// The line of the file that is meant.
    pub text: String,
}

impl Mistake {
    /// A mistake at a place of a file's text.
    pub fn at(file: &str, text: &str, line: usize, column: usize, what: String) -> Self {
        let line_text = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        Mistake {
            file: file.into(),
            line,
            column,
            what,
            hint: String::new(),
            text: line_text.trim_end().into(),
        }
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => writeln!(f, "{}: {}", self.file, self.what)?,
            line => writeln!(f, "{}:{line}:{}: {}", self.file, self.column, self.what)?,
        }
        if !self.text.is_empty() {
            writeln!(f, "  {:>4} | {}", self.line, self.text)?;
            writeln!(f, "       | {}^", " ".repeat(self.column.saturating_sub(1)))?;
        }
        if !self.hint.is_empty() {
            writeln!(f, "  hint: {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistake {}

/// The line and column (both from 1) of a byte offset.
pub(crate) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (line, column)
}

/// The nearest of some names, if any is near enough to be what was meant.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 2)
        .min()
        .map(|(_, candidate)| candidate)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}
