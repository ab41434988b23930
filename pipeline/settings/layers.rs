//! Laying file, environment and `--set` over the defaults, one key at a time.
//!
//! Each key is tried alone on the default settings: so a mistake is named with its own place, and
//! all mistakes are reported together.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::{Settings, SettingsError, Sources, check};

/// Variables that start like a setting and are none: the secret, the file, a program.
const NOT_SETTINGS: [&str; 3] = ["RECOUP_KEY", "RECOUP_SETTINGS", "RECOUP_NATS_SERVER"];

/// One key as somebody wrote it.
struct Given {
    place: String,
    section: String,
    key: String,
    value: Value,
}

pub fn read(sources: &Sources<'_>) -> Result<Settings, Vec<SettingsError>> {
    let defaults = default_table();
    let mut mistakes = vec![];
    let mut given = vec![];
    if let Some(file) = sources.file {
        from_file(file, &mut given, &mut mistakes);
    }
    from_environment(sources.environment, &defaults, &mut given, &mut mistakes);
    from_set(sources.set, &defaults, &mut given, &mut mistakes);

    let mut table = defaults.clone();
    let mut places = BTreeMap::new();
    for one in given {
        if let Err(what) = try_alone(&defaults, &one) {
            mistakes.push(SettingsError { place: one.place, what });
            continue;
        }
        places.insert(format!("{}.{}", one.section, one.key), one.place);
        if let Some(Value::Table(section)) = table.get_mut(&one.section) {
            section.insert(one.key, one.value);
        }
    }
    let settings = match Settings::deserialize(Value::Table(table)) {
        Ok(settings) => settings,
        Err(error) => {
            mistakes.push(mistake("settings", error.message().into()));
            return Err(mistakes);
        }
    };
    for (key, what) in check::ranges(&settings) {
        let place = places.get(key).cloned().unwrap_or_else(|| "settings".into());
        mistakes.push(SettingsError { place, what: format!("{key} {what}") });
    }
    if mistakes.is_empty() { Ok(settings) } else { Err(mistakes) }
}

fn mistake(place: impl Into<String>, what: String) -> SettingsError {
    SettingsError { place: place.into(), what }
}

fn default_table() -> Table {
    match Value::try_from(Settings::default()) {
        Ok(Value::Table(table)) => table,
        other => unreachable!("default settings are a table, not {other:?}"),
    }
}

fn try_alone(defaults: &Table, one: &Given) -> Result<(), String> {
    known(defaults, &one.section, Some(&one.key))?;
    let mut table = defaults.clone();
    if let Some(Value::Table(section)) = table.get_mut(&one.section) {
        section.insert(one.key.clone(), one.value.clone());
    }
    match Settings::deserialize(Value::Table(table)) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{}.{}: {}", one.section, one.key, error.message().trim_end())),
    }
}

/// Whether a section, and a key in it, are on the list; else the nearest name that is.
fn known(defaults: &Table, section: &str, key: Option<&str>) -> Result<(), String> {
    let Some(Value::Table(keys)) = defaults.get(section) else {
        let nearest = nearest(section, defaults.keys());
        return Err(format!("there is no section [{section}]{nearest}"));
    };
    let Some(key) = key else { return Ok(()) };
    if keys.contains_key(key) {
        return Ok(());
    }
    // The key may stand in another section.
    if let Some((other, _)) =
        defaults.iter().find(|(_, keys)| keys.as_table().is_some_and(|keys| keys.contains_key(key)))
    {
        return Err(format!("there is no key {section}.{key}; did you mean {other}.{key}?"));
    }
    let full: Vec<String> = keys.keys().map(|key| format!("{section}.{key}")).collect();
    let nearest = nearest(&format!("{section}.{key}"), full.iter());
    Err(format!("there is no key {section}.{key}{nearest}"))
}

fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> String {
    names
        .map(|other| (strsim::jaro_winkler(name, other), other))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(String::new(), |(_, other)| format!("; did you mean {other}?"))
}

fn from_file(file: &Path, given: &mut Vec<Given>, mistakes: &mut Vec<SettingsError>) {
    let name = file.display().to_string();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            mistakes.push(mistake(name, format!("the file was not read: {error}")));
            return;
        }
    };
    let line_of = |at: usize| text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
    let document = match DeTable::parse(&text) {
        Ok(document) => document.into_inner(),
        Err(error) => {
            let line = error.span().map_or(1, |span| line_of(span.start.min(text.len())) + 1);
            mistakes.push(mistake(format!("{name}:{line}"), error.message().to_string()));
            return;
        }
    };
    let defaults = default_table();
    for (section, keys) in document {
        let place = format!("{name}:{}", line_of(section.span().start) + 1);
        let section = section.into_inner().into_owned();
        if let Err(what) = known(&defaults, &section, None) {
            mistakes.push(mistake(place, what));
            continue;
        }
        let DeValue::Table(keys) = keys.into_inner() else {
            mistakes.push(mistake(place, format!("{section} is a section: write [{section}]")));
            continue;
        };
        for (key, value) in keys {
            let place = format!("{name}:{}", line_of(key.span().start) + 1);
            let key = key.into_inner().into_owned();
            match Value::deserialize(toml::de::ValueDeserializer::from(value)) {
                Ok(value) => given.push(Given { place, section: section.clone(), key, value }),
                Err(error) => mistakes.push(mistake(place, error.message().to_string())),
            }
        }
    }
}

fn from_environment(
    environment: &[(String, String)],
    defaults: &Table,
    given: &mut Vec<Given>,
    mistakes: &mut Vec<SettingsError>,
) {
    for (name, text) in environment {
        let Some(rest) = name.strip_prefix("RECOUP_") else { continue };
        if NOT_SETTINGS.contains(&name.as_str()) {
            continue;
        }
        let place = format!("environment variable {name}");
        let rest = rest.to_ascii_lowercase();
        let (section, key) = rest.split_once('_').unwrap_or((&rest, ""));
        match typed(defaults, section, key, text) {
            Ok(value) => {
                let (section, key) = (section.to_string(), key.to_string());
                given.push(Given { place, section, key, value });
            }
            Err(what) => mistakes.push(mistake(place, what)),
        }
    }
}

fn from_set(
    set: &[String],
    defaults: &Table,
    given: &mut Vec<Given>,
    mistakes: &mut Vec<SettingsError>,
) {
    for one in set {
        let place = format!("--set {one}");
        let parts = one.split_once('=').and_then(|(path, text)| {
            path.split_once('.').map(|(section, key)| (section, key, text))
        });
        let Some((section, key, text)) = parts else {
            mistakes.push(mistake(place, "expected section.key=value".into()));
            continue;
        };
        match typed(defaults, section.trim(), key.trim(), text.trim()) {
            Ok(value) => {
                let (section, key) = (section.trim().to_string(), key.trim().to_string());
                given.push(Given { place, section, key, value });
            }
            Err(what) => mistakes.push(mistake(place, what)),
        }
    }
}

/// A text as the type that the key's default has.
fn typed(defaults: &Table, section: &str, key: &str, text: &str) -> Result<Value, String> {
    known(defaults, section, Some(key))?;
    let expected = |what: &str| format!("{section}.{key}: expected {what}, found \"{text}\"");
    match &defaults[section][key] {
        Value::Integer(_) => {
            text.parse().map(Value::Integer).map_err(|_| expected("a whole number"))
        }
        Value::Boolean(_) => {
            text.parse().map(Value::Boolean).map_err(|_| expected("true or false"))
        }
        _ => Ok(Value::String(text.into())),
    }
}
