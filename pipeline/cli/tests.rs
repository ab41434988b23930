//! The command line: every verb explains itself with an example that parses.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use super::{Cli, Failure};
use crate::log::LogError;

#[test]
fn every_help_ends_with_an_example_that_parses() {
    let mut root = Cli::command();
    root.build();
    let commands = std::iter::once(&root).chain(root.get_subcommands());
    let mut seen = 0;
    for command in commands.filter(|command| command.get_name() != "help") {
        let name = command.get_name();
        let help = command.clone().render_long_help().to_string();
        let (_, example) = help.rsplit_once("Example:\n  ").expect(name);
        let words = shell_words(example.trim());
        assert_eq!(words[0], "recoup", "{name}");
        assert!(name == "recoup" || words[1] == name, "{name}: {example}");
        let parsed = Cli::try_parse_from(&words);
        assert!(parsed.is_ok(), "{example}: {}", parsed.err().expect("a mistake"));
        seen += 1;
    }
    assert_eq!(seen, 22);
}

#[test]
fn exit_codes_are_those_documented() {
    let broker = LogError::Unfit { what: "stream".into(), hint: "mend it".into() };
    let lost = LogError::Lost("tail".into());
    assert_eq!(Failure::from(broker).code(), 5);
    assert_eq!(Failure::from(LogError::Unavailable(String::new())).code(), 5);
    assert_eq!(Failure::from(lost).code(), 1);
    assert_eq!(Failure::Program(String::new()).code(), 3);
    assert_eq!(Failure::Settings(String::new()).code(), 4);
    let run = |words: &[&str]| super::main(words.iter().map(Into::into));
    assert_eq!(run(&["recoup", "nonsense"]), ExitCode::from(2));
    assert_eq!(run(&["recoup", "check", "--set", "shards.count=0"]), ExitCode::from(4));
    assert_eq!(run(&["recoup", "init", "--print-settings"]), ExitCode::SUCCESS);
}

#[test]
fn reference_files_are_checked_without_a_broker() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let file = folder.path().join("market.csv");
    let run = |text: &str| {
        std::fs::write(&file, text).expect("a file for a test");
        let file = file.as_os_str().to_owned();
        let words = ["recoup", "post", "--check", "market"].map(Into::into);
        super::main(words.into_iter().chain([file]))
    };
    assert_eq!(run("province,product,idx\n44,cash,1.02\n"), ExitCode::SUCCESS);
    assert_eq!(run("province,product,idx\n44,cash,high\n"), ExitCode::from(1));
}

/// Words as a shell would cut them, for quotes that do not nest.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for letter in line.chars() {
        match (letter, quote) {
            (mark, Some(open)) if mark == open => quote = None,
            ('"' | '\'', None) => quote = Some(letter),
            (' ' | '\n', None) => words.push(String::new()),
            _ => words.last_mut().expect("a word").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
