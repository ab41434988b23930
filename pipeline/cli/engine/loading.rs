//! `load`: files into the intake, with a bar for people.

use indicatif::{ProgressBar, ProgressStyle};

use super::program::failure;
use crate::cli::Failure;
use crate::cli::load::LoadArgs;
use crate::cli::show;
use crate::load::{LoadError, LoadPlan, LoadReport, Pace, load as publish};
use crate::program;
use crate::settings::Settings;
use crate::wake::INTAKE_SUBJECTS;

pub async fn load(args: LoadArgs, settings: &Settings) -> Result<(), Failure> {
    if let Some(name) = &args.dialect {
        let name = format!("{}.{name}.sql", args.lender);
        let known = program::dialects(&settings.program).map_err(|one| failure(&[one]))?;
        if known.iter().all(|source| source.name != name) {
            eprintln!("recoup: there is no {name} here; whoever normalizes must have it");
        }
    }
    let log = super::broker::connect(settings).await?;
    let plan = LoadPlan {
        files: args.files,
        lender: args.lender,
        kind: args.dialect.unwrap_or_else(|| "file".into()),
        subjects: INTAKE_SUBJECTS,
        format: args.format,
        pace: Pace {
            ahead_messages: settings.limits.ahead_messages,
            lines_per_second: settings.limits.lines_per_second,
            shards: settings.shards.count,
            ..Pace::default()
        },
    };
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg:24!} {bar:32} {percent:>3} %  {eta} left")
    {
        bar.set_style(style);
    }
    let report = publish(&log, plan, &mut |progress| {
        bar.set_length(progress.size.max(1));
        bar.set_position(progress.bytes);
        let name = progress.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        bar.set_message(name);
    })
    .await
    .map_err(|error| match error {
        LoadError::Log(error) => error.into(),
        error => Failure::failed(error),
    });
    bar.finish_and_clear();
    let report = report?;
    answer(args.json, &report)?;
    if report.unread.is_empty() {
        return Ok(());
    }
    let unread: Vec<_> = report.unread.iter().map(LoadError::to_string).collect();
    Err(Failure::Failed(unread.join("\n")))
}

fn answer(json: bool, report: &LoadReport) -> Result<(), Failure> {
    let mut text = String::new();
    for file in &report.files {
        let shown = file.file.display().to_string();
        let (parts, rows, before) = (file.parts, file.rows, file.parts_before);
        if json {
            let line = serde_json::json!({ "file": shown, "parts": parts, "rows": rows,
                "parts_before": before });
            text += &format!("{line}\n");
            continue;
        }
        let counted = |count: u64, unit| show::counted(count as usize, unit);
        text += &format!("{shown}: {} in {}", counted(rows, "row"), counted(parts, "part"));
        text += &match before {
            0 => "\n".to_string(),
            _ => format!(", {before} of them loaded before\n"),
        };
    }
    show::text(&text)
}
