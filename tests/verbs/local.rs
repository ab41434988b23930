//! What needs no broker: the program's own mistakes, what a user changes, help and completions.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::lender::{AGENCIES, CURVE, MARKET};
use super::{ended, lines, recoup, said};

const REPORT: &str = concat!(
    r#"{"event_id":"e1","event_time":"2026-03-01T00:00:04Z","lender_id":"L1","loan_id":"LN1","#,
    r#""borrower_id":"B1","product":"cash","province":"44","principal":"1000.00","#,
    r#""interest":"0.00","penalty":"0.00","fee":"0.00","currency":"CNY","days_past_due":47,"#,
    r#""score":600,"contactable":true}"#,
);

/// A folder with one report and the reference tables.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("reference")).unwrap();
    fs::create_dir(folder.path().join("sql")).unwrap();
    write("one.jsonl", &format!("{REPORT}\n"));
    write("reference/curve.csv", CURVE);
    write("reference/market.csv", MARKET);
    write("reference/agencies.csv", AGENCIES);
    folder
}

/// A shipped file of the program with one text in place of another, in the user's own folder.
fn change(folder: &Path, file: &str, from: &str, to: &str) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql").join(file);
    let text = fs::read_to_string(shipped).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    fs::write(folder.join("sql").join(file), text.replacen(from, to, 1)).unwrap();
}

/// The price that `batch` writes.
fn price(folder: &Path, more: &[&str]) -> String {
    let words = ["batch", "--intake", "one.jsonl", "--reference", "reference", "--out", "out"];
    said(&recoup(folder, &[], &[&words[..], more].concat()));
    let prices = fs::read_to_string(folder.join("out/prices.csv")).unwrap();
    let header: Vec<&str> = prices.lines().next().unwrap().split(',').collect();
    let at = header.iter().position(|name| *name == "price").unwrap();
    prices.lines().nth(1).unwrap().split(',').nth(at).unwrap().to_string()
}

#[test]
fn a_user_changes_one_statement_without_touching_rust() {
    let folder = folder();
    assert_eq!(price(folder.path(), &[]), "490.00");
    let from = "i.balance * c.recovery_rate";
    let to = "i.balance * CASE WHEN i.days_past_due > 40 THEN 0.25 ELSE 0.50 END";
    change(folder.path(), "40_reprice.sql", from, to);
    let own = ["--set", "program.folder=sql"];
    said(&recoup(folder.path(), &[], &[&["check"][..], &own].concat()));
    assert_eq!(price(folder.path(), &own), "240.00");
    let explained = said(&recoup(folder.path(), &[], &[&["explain", "book"][..], &own].concat()));
    assert!(explained.contains("0.25"), "{explained}");
    price(folder.path(), &["--format", "parquet"]);
    for name in ["loans", "prices", "placements", "ledger", "statements", "refused"] {
        let file = fs::read(folder.path().join("out").join(format!("{name}.parquet"))).unwrap();
        assert_eq!((&file[..4], &file[file.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]), "{name}");
    }
}

/// The worked example of the discounted price: 10,000.00 owed, six months, 25 % commission, 12.00 a
/// month of work, 1 % a month, an index of 0.95.
#[test]
fn a_setting_switches_to_the_discounted_price() {
    let folder = folder();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let report = REPORT.replace("\"1000.00\"", "\"10000.00\"");
    write("one.jsonl", &format!("{report}\n"));
    write("reference/market.csv", "province,product,idx\n44,cash,0.95\n");
    let curve = |months: &str, cost: &str| {
        let header = "product,bucket,recovery_rate,handling_cost,months,commission_rate,\
            servicing_cost,discount_rate\n";
        let row = format!("cash,31-60,0.2,0.00,{months},0.25,{cost},0.01\n");
        write("reference/curve.csv", &format!("{header}{row}"));
    };
    let months = "0.08|0.05|0.03|0.02|0.01|0.005";
    curve(months, "12.00");
    assert_eq!(price(folder.path(), &[]), "1900.00");
    let full = ["--set", "program.pricing=discounted"];
    assert_eq!(price(folder.path(), &full), "1293.27");
    // Months that cost more than they bring are not worked: the same price.
    curve(&format!("{months}|0.001|0"), "12.00");
    assert_eq!(price(folder.path(), &full), "1293.27");
    curve("0.001|0.0005", "12.00");
    assert_eq!(price(folder.path(), &full), "0.00");
    // A curve without months has no discounted price.
    curve("", "12.00");
    assert_eq!(price(folder.path(), &full), "");
    let explained = said(&recoup(folder.path(), &[], &[&["explain", "book"][..], &full].concat()));
    assert!(explained.contains("present_value"), "{explained}");
    said(&recoup(folder.path(), &[], &[&["check"][..], &full].concat()));
}

#[test]
fn check_names_file_line_column_text_and_hint_and_exits_with_three() {
    let folder = folder();
    change(folder.path(), "40_reprice.sql", "i.balance * c.recovery_rate", "i.balanse * now()");
    let own = ["check", "--set", "program.folder=sql"];
    let (code, out, errors) = ended(&recoup(folder.path(), &[], &own));
    assert_eq!((code, out.as_str()), (3, ""));
    let shipped = include_str!("../../sql/40_reprice.sql");
    let line = 1 + shipped.lines().position(|line| line.contains("i.balance * c.")).unwrap();
    assert!(errors.contains(&format!("40_reprice.sql:{line}:")), "{errors}");
    assert!(errors.contains("balanse") && errors.contains("balance"), "{errors}");
    let (code, out, _) = ended(&recoup(folder.path(), &[], &[&own[..], &["--json"]].concat()));
    assert_eq!(code, 3);
    let found = lines(&out).remove(0)["mistakes"][0].clone();
    assert_eq!((&found["file"], &found["line"]), (&json!("40_reprice.sql"), &json!(line)));
    assert!(found["column"].as_u64().unwrap() > 1, "{found}");
    assert!(found["text"].as_str().unwrap().contains("balanse"), "{found}");
    assert!(!found["hint"].as_str().unwrap().is_empty(), "{found}");
    // What has another answer each time is refused, and told what to use instead.
    change(folder.path(), "40_reprice.sql", "i.balance * c.recovery_rate", "random()");
    let (code, _, errors) = ended(&recoup(folder.path(), &[], &own));
    assert_eq!((code, errors.contains("another answer each time")), (3, true), "{errors}");
    // `batch` and `run` refuse the same program with the same code.
    let words = ["batch", "--intake", "one.jsonl", "--reference", "reference", "--out", "out"];
    let (code, _, _) = ended(&recoup(folder.path(), &[], &[&words[..], &own[1..]].concat()));
    assert_eq!(code, 3);
    // A file that has no place in the program, and a mistake in a dialect.
    fs::write(folder.path().join("sql/45_more.sql"), "SELECT 1").unwrap();
    let (code, _, errors) = ended(&recoup(folder.path(), &[], &own));
    assert_eq!((code, errors.contains("no place in the program")), (3, true), "{errors}");
    fs::create_dir(folder.path().join("dialects")).unwrap();
    fs::write(folder.path().join("dialects/L1.sql"), "SELECT acct AS loanid FROM raw\n").unwrap();
    let words = ["check", "--set", "program.dialects=dialects"];
    let (code, _, errors) = ended(&recoup(folder.path(), &[], &words));
    assert_eq!((code, errors.contains("L1.sql:1:")), (3, true), "{errors}");
}

#[test]
fn a_mistake_in_the_settings_exits_with_four_and_names_the_nearest_key() {
    let folder = folder();
    fs::write(folder.path().join("recoup.toml"), "[dispatch]\ncses = \"loan\"\n").unwrap();
    let (code, _, errors) = ended(&recoup(folder.path(), &[], &["check"]));
    assert_eq!(code, 4);
    assert!(errors.contains("recoup.toml:2") && errors.contains("dispatch.case"), "{errors}");
    let settings = said(&recoup(folder.path(), &[], &["init", "--print-settings"]));
    assert_eq!(settings, include_str!("../../deploy/settings.toml"));
}

#[test]
fn init_prepares_a_folder_without_a_broker() {
    let folder = tempfile::tempdir().unwrap();
    let told = said(&recoup(folder.path(), &[], &["init", "--local"]));
    assert!(told.contains("with password "), "{told}");
    let key = fs::read_to_string(folder.path().join(".recoup/key")).unwrap();
    assert!(!told.contains(&key[..128]), "the key is never printed");
    let again = said(&recoup(folder.path(), &[], &["init", "--local"]));
    assert_eq!(again.matches("stays as it is").count(), 3, "{again}");
    assert_eq!(fs::read_to_string(folder.path().join(".recoup/key")).unwrap(), key);
    assert!(!again.contains("password "), "{again}");
    // Folders that the settings name are made where they are missing.
    let apart = tempfile::tempdir().unwrap();
    let settings =
        [("SERVE_USERS_FILE", "who/reads/users".into()), ("KEYS_FILE", "safe/key".into())];
    said(&recoup(apart.path(), &settings, &["init", "--local"]));
    for file in ["who/reads/users", "safe/key"] {
        assert!(apart.path().join(file).is_file(), "{file}");
    }
}

/// Container and chart set what there is, and the reading room stays on its own machine.
#[test]
fn what_the_deployments_set_fits() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    for file in ["compose.yaml", "chart/values.yaml"] {
        let text = fs::read_to_string(root.join(file)).unwrap();
        let set = text.lines().filter_map(|line| line.trim().split_once(": "));
        let set = set.filter_map(|(name, value)| {
            Some((name.strip_prefix("RECOUP_")?, value.trim_matches('"').to_string()))
        });
        let set: Vec<_> = set.filter(|(name, _)| *name != "KEY").collect();
        assert!(set.len() > 2, "{file}: {set:?}");
        said(&recoup(folder.path(), &set, &["check"]));
        let listens = set.iter().find(|(name, _)| *name == "SERVE_LISTEN");
        let apart = listens.is_some_and(|(_, value)| !value.starts_with("127."));
        assert!(!apart, "{file}: the reading room would refuse {listens:?}");
    }
}

#[test]
fn what_comes_in_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let page = include_str!("../../deploy/README.md");
    for field in recoup_operators::facts::CANONICAL {
        assert!(page.contains(&format!("`{field}`")), "deploy/README.md does not name {field}");
    }
    let told = said(&recoup(folder.path(), &[], &["post", "curve"]));
    assert!(told.contains("recovery_rate") && told.contains("at most 4 digits"), "{told}");
    assert!(told.ends_with("one row for each product, bucket\n"), "{told}");
    let told = lines(&said(&recoup(folder.path(), &[], &["post", "desks", "--json"])));
    let wanted = json!({ "column": "desk_id", "required": true, "key": true, "holds": "a text" });
    assert_eq!(told[0], wanted);
}

/// Every verb the program lists.
fn verbs(folder: &Path) -> Vec<String> {
    let help = said(&recoup(folder, &[], &["--help"]));
    let listed = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let named = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = named.map(|line| line.split_whitespace().next().unwrap().to_string());
    names.filter(|name| name != "help").collect()
}

#[test]
fn every_help_ends_with_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let verbs = verbs(folder.path());
    assert!(verbs.len() >= 18, "{verbs:?}");
    let readme = include_str!("../../README.md");
    for verb in &verbs {
        let help = said(&recoup(folder.path(), &[], &[verb, "--help"]));
        let example = help.trim_end().lines().last().unwrap().trim();
        assert!(example.starts_with(&format!("recoup {verb}")), "{verb}: {help}");
        assert!(help.contains("Example:\n"), "{verb}: {help}");
        assert!(readme.contains(&format!("`{verb}`")), "the README does not name {verb}");
    }
    let help = said(&recoup(folder.path(), &[], &["--help"]));
    assert!(help.trim_end().ends_with("Example:\n  recoup demo --once"), "{help}");
}

#[test]
fn completions_are_what_the_shell_takes() {
    let folder = tempfile::tempdir().unwrap();
    let script = said(&recoup(folder.path(), &[], &["completions", "bash"]));
    fs::write(folder.path().join("recoup.bash"), script).unwrap();
    // Sourced, then asked as bash asks: what may follow `recoup do`?
    let ask = "source recoup.bash && COMP_WORDS=(recoup do) COMP_CWORD=1 && \
        _recoup recoup do recoup && printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    let asked = bash.args(["--norc", "-c", ask]).current_dir(folder.path());
    let answer = said(&asked.output().unwrap());
    assert_eq!(answer, "doctor\n");
    for shell in ["zsh", "fish"] {
        let script = said(&recoup(folder.path(), &[], &["completions", shell]));
        assert!(verbs(folder.path()).iter().all(|verb| script.contains(verb.as_str())), "{shell}");
    }
}
