//! `check` and `explain`: the program, without a broker.

use recoup_operators::ALL;
use recoup_sql::stages::STAGES;
use recoup_sql::{Answers, Mistake, compile};
use serde_json::json;

use crate::cli::check::CheckArgs;
use crate::cli::explain::ExplainArgs;
use crate::cli::{Failure, one_of, show};
use crate::decoder::Decoder;
use crate::program;
use crate::serve::relations::Relations;
use crate::settings::Settings;

/// Mistakes as a failure of exit code 3, each with file, line, column, text and hint.
pub fn failure(mistakes: &[Mistake]) -> Failure {
    let texts: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    Failure::Program(texts.join("\n"))
}

fn mistakes(settings: &Settings) -> Vec<Mistake> {
    let mut found = vec![];
    match program::sources(&settings.program) {
        Ok(sources) => {
            found.extend(recoup_sql::compile::check(&sources, &settings.rules()));
            found.extend(Answers::compile(&sources, &Relations::new().schemas()).err());
        }
        Err(mistake) => found.push(mistake),
    }
    match program::dialects(&settings.program) {
        Ok(dialects) => found.extend(Decoder::compile(&dialects).err().unwrap_or_default()),
        Err(mistake) => found.push(mistake),
    }
    found
}

pub fn check(args: &CheckArgs, settings: &Settings) -> Result<(), Failure> {
    let found = mistakes(settings);
    if args.json {
        let all: Vec<_> = found
            .iter()
            .map(|one| {
                json!({"file": one.file, "line": one.line, "column": one.column,
                       "what": one.what, "hint": one.hint, "text": one.text})
            })
            .collect();
        show::text(&format!("{}\n", json!({ "mistakes": all })))?;
    }
    if !found.is_empty() {
        return Err(failure(&found));
    }
    if !args.json {
        show::text(&format!("{} stages compile\n", STAGES.len()))?;
    }
    Ok(())
}

pub fn explain(args: &ExplainArgs, settings: &Settings) -> Result<(), Failure> {
    let sources = program::sources(&settings.program).map_err(|one| failure(&[one]))?;
    if let Some(name) = &args.stage {
        let names: Vec<_> = STAGES.iter().map(|shape| shape.name).collect();
        one_of("stage", name, &names)?;
    }
    let mut text = String::new();
    for shape in STAGES {
        if args.stage.as_deref().is_none_or(|name| name == shape.name) {
            let stage = compile(shape, &sources, &settings.rules()).map_err(|all| failure(&all))?;
            text += &stage.explain(!args.flow);
            text.push('\n');
        }
    }
    if args.stage.is_none() {
        text += "verbs:\n";
        for verb in ALL {
            text += &format!("  {:<10} {}\n", verb.name, verb.about);
        }
    }
    show::text(&text)
}
