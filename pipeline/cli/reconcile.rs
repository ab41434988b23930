//! `recoup reconcile`: an agency's own report against our books.

use std::path::PathBuf;

use clap::Args;
use recoup_operators::close::reconcile::{Class, Finding, Side, Sum, reconcile, sums};
use serde_json::{Value, json};

use super::batch::Day;
use super::{Failure, show, sql};
use crate::reconcile::{Scope, Unread, from_files, from_room, money, query, read_report};
use crate::settings::Settings;

/// Compare an agency's report, a CSV file, with our books; exits with 6 where they differ
#[derive(Args)]
#[command(after_help = "Example:\n  recoup reconcile --agency A1 --from 2026-03-01 \
                        --to 2026-03-31 a1-march.csv")]
pub struct ReconcileArgs {
    /// Columns movement_id, amount and commission, among others
    pub file: PathBuf,
    /// Whose report it is
    #[arg(long)]
    pub agency: String,
    /// The first day of ours to compare
    #[arg(long, value_name = "DATE")]
    pub from: Option<Day>,
    /// The last one
    #[arg(long, value_name = "DATE")]
    pub to: Option<Day>,
    /// Our books as `recoup batch --out` wrote them; else those of the reading room
    #[arg(long, value_name = "DIR")]
    pub batch: Option<PathBuf>,
    /// Leave out what matches; it is still counted
    #[arg(long)]
    pub brief: bool,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    /// Else PGUSER, else recoup
    #[arg(long)]
    pub user: Option<String>,
    /// A file with the password; else PGPASSWORD
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

pub fn execute(args: &ReconcileArgs, settings: &Settings) -> Result<(), Failure> {
    let shown = args.file.display().to_string();
    let bytes = std::fs::read(&args.file)
        .map_err(|error| Failure::Failed(format!("{shown}: the file was not read: {error}")))?;
    let (theirs, bad) = read_report(&shown, &bytes).map_err(Failure::failed)?;
    let day = |day: Option<Day>| day.map(|day| day.to_string());
    let scope = Scope { agency: args.agency.clone(), from: day(args.from), to: day(args.to) };
    let ours = match &args.batch {
        Some(folder) => from_files(folder, &scope).map_err(Failure::failed)?,
        None => {
            let login =
                sql::Login { user: args.user.clone(), password_file: args.password_file.clone() };
            from_room(&sql::rows(&login, settings, &query(&scope))?)
        }
    };
    let findings = reconcile(ours, theirs);
    let totals = sums(&findings);
    let listed: Vec<&Finding> = findings
        .iter()
        .filter(|finding| !args.brief || finding.class() != Class::Matched)
        .collect();
    let text = if args.json {
        format!("{}\n", answer(&listed, &totals, &bad))
    } else {
        page(&listed, &totals, &bad)
    };
    show::text(&text)?;
    let differ: usize = totals[1..].iter().map(|sum| sum.count).sum();
    if differ + bad.len() == 0 {
        return Ok(());
    }
    let (all, lines) = (show::counted(findings.len(), "movement"), bad.len());
    let lines = show::counted(lines, "line");
    Err(Failure::Differs(format!("{differ} of {all} differ, {lines} not read")))
}

fn page(findings: &[&Finding], totals: &[Sum; 4], bad: &[Unread]) -> String {
    let amounts = |side: &Option<Side>| match side {
        Some(side) => [money(side.amount), money(side.commission)],
        None => ["-".to_owned(), "-".to_owned()],
    };
    let rows = findings.iter().map(|finding| {
        let ([amount, commission], [their_amount, their_commission]) =
            (amounts(&finding.ours), amounts(&finding.theirs));
        let class = finding.class().name().to_owned();
        let lines = lines(finding).iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        let id = finding.movement_id.clone();
        vec![class, id, amount, their_amount, commission, their_commission, lines]
    });
    let header =
        ["", "movement", "ours", "theirs", "commission ours", "commission theirs", "lines"];
    let right = [false, false, true, true, true, true, true];
    let mut text = show::table(&header, rows.collect(), &right);
    let rows = Class::EVERY.iter().zip(totals).map(|(class, sum)| {
        let [ours, theirs] = [sum.ours, sum.theirs].map(|sum| sum.map(money));
        let [amount, commission] = ours;
        let [their_amount, their_commission] = theirs;
        let count = sum.count.to_string();
        vec![class.name().to_owned(), count, amount, their_amount, commission, their_commission]
    });
    let header = ["", "movements", "ours", "theirs", "commission ours", "commission theirs"];
    text += &show::table(&header, rows.collect(), &right[..6]);
    for unread in bad {
        text += &format!("{unread}\n");
    }
    text
}

fn lines(finding: &Finding) -> &[u64] {
    finding.theirs.as_ref().map_or(&[], |side| side.lines.as_slice())
}

fn answer(findings: &[&Finding], totals: &[Sum; 4], bad: &[Unread]) -> Value {
    let side = |side: &Option<Side>| match side {
        Some(side) => json!({"amount": money(side.amount), "commission": money(side.commission)}),
        None => Value::Null,
    };
    let listed: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "class": finding.class().name(),
                "movement_id": finding.movement_id,
                "ours": side(&finding.ours),
                "theirs": side(&finding.theirs),
                "lines": lines(finding),
            })
        })
        .collect();
    let both = |[amount, commission]: [i128; 2]| {
        let (amount, commission) = (money(amount), money(commission));
        json!({"amount": amount, "commission": commission})
    };
    let sums: serde_json::Map<String, Value> = Class::EVERY
        .iter()
        .zip(totals)
        .map(|(class, sum)| {
            let (ours, theirs) = (both(sum.ours), both(sum.theirs));
            let said = json!({"count": sum.count, "ours": ours, "theirs": theirs});
            (class.name().to_owned(), said)
        })
        .collect();
    let bad: Vec<Value> = bad
        .iter()
        .map(|one| json!({"file": one.file, "line": one.line, "what": one.what}))
        .collect();
    json!({"sums": sums, "movements": listed, "unread": bad})
}
