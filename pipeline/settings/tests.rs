//! Layers, types, ranges and names of settings, from tables of cases.

use super::{SHIPPED, Settings, Sources, make_key_file};

fn read(file: &str, environment: &[(&str, &str)], set: &[&str]) -> Result<Settings, Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let path = folder.path().join("recoup.toml");
    std::fs::write(&path, file).expect("a settings file for a test");
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let set: Vec<_> = set.iter().map(|one| one.to_string()).collect();
    let sources = Sources { file: Some(&path), environment: &environment, set: &set };
    let shorten = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
    Settings::read(&sources)
        .map_err(|mistakes| mistakes.into_iter().map(|one| shorten(one.to_string())).collect())
}

#[test]
fn shipped_file_shows_the_defaults() {
    let shipped: toml::Table = SHIPPED.parse().expect("the shipped file is TOML");
    let defaults = toml::Table::try_from(Settings::default()).expect("defaults are a table");
    assert_eq!(shipped, defaults);
    assert_eq!(read(SHIPPED, &[], &[]), Ok(Settings::default()));
}

#[test]
fn later_layers_win() {
    let file =
        "[dispatch]\nvalue_min = \"1.00\"\nswitch_margin = \"2.50\"\n[log]\nlevel = \"warn\"\n";
    let environment = [("RECOUP_DISPATCH_VALUE_MIN", "3.00"), ("RECOUP_SHARDS_COUNT", "64")];
    let settings =
        read(file, &environment, &["shards.count=16", "borrower.person_joins=true"]).expect("fit");
    assert_eq!(settings.dispatch.switch_margin, 250);
    assert_eq!(settings.dispatch.value_min, 300);
    assert_eq!(settings.shards.count, 16);
    assert!(settings.borrower.person_joins);
    let rules = settings.rules();
    assert_eq!((rules.shards, rules.value_min, rules.switch_margin), (16, 300, 250));
    assert!(rules.keys.is_none());
}

/// A file, the environment, `--set`, and what is wrong with them.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
    &'static [&'static str],
);

const MISTAKEN: [Case; 11] = [
    (
        "[dispatch]\nvalue_mim = \"1.00\"\n",
        &[],
        &[],
        &["recoup.toml:2: there is no key dispatch.value_mim; did you mean \
       dispatch.value_min?"],
    ),
    (
        "\n[brocker]\n",
        &[],
        &[],
        &["recoup.toml:2: there is no section [brocker]; did you mean broker?"],
    ),
    (
        "[shards]\ncount = \"eight\"\n",
        &[],
        &[],
        &["recoup.toml:2: shards.count: invalid type: string \"eight\", expected u32"],
    ),
    (
        "[dispatch]\n\ncase = \"person\"\n",
        &[],
        &[],
        &["recoup.toml:3: dispatch.case: unknown variant `person`, expected `borrower` or \
       `loan`"],
    ),
    (
        "[dispatch]\nvalue_min = 3\n",
        &[],
        &[],
        &["recoup.toml:2: dispatch.value_min: invalid type: integer `3`, expected a string"],
    ),
    (
        "[dispatch]\nvalue_min = \"3\"\n",
        &[],
        &[],
        &["recoup.toml:2: dispatch.value_min: \"3\" is not an amount with two decimals, such \
       as \"10.00\""],
    ),
    (
        "[shards]\ncount = 0\n",
        &[],
        &["broker.replicas=2"],
        &[
            "recoup.toml:2: shards.count is 0, expected 1 to 250",
            "--set broker.replicas=2: broker.replicas is 2, expected 1, 3 or 5",
        ],
    ),
    (
        "",
        &[("RECOUP_SHARD_COUNT", "8")],
        &[],
        &["environment variable RECOUP_SHARD_COUNT: there is no section [shard]; did you \
       mean shards?"],
    ),
    (
        "",
        &[("RECOUP_SHARDS_COUNT", "many"), ("RECOUP_KEY", "a secret"), ("PATH", "/bin")],
        &["step.level=info", "nonsense"],
        &[
            "environment variable RECOUP_SHARDS_COUNT: shards.count: expected a whole number, \
         found \"many\"",
            "--set step.level=info: there is no key step.level; did you mean log.level?",
            "--set nonsense: expected section.key=value",
        ],
    ),
    ("shards = 8\n", &[], &[], &["recoup.toml:1: shards is a section: write [shards]"]),
    (
        "[broker]\nuser = \"clerk\"\n",
        &[],
        &[],
        &["recoup.toml:2: broker.user and broker.password_file come together or not at all"],
    ),
];

#[test]
fn mistakes_name_their_place_and_the_nearest_name() {
    for (file, environment, set, expected) in MISTAKEN {
        assert_eq!(
            read(file, environment, set),
            Err(expected.iter().map(|t| t.to_string()).collect())
        );
    }
}

#[test]
fn broken_file_names_the_line() {
    let mistakes = read("[shards]\ncount = \n", &[], &[]).expect_err("no value");
    assert!(mistakes[0].starts_with("recoup.toml:2: "), "{mistakes:?}");
}

#[test]
fn key_file_is_private_and_gives_the_same_keys_again() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let path = folder.path().join("deep/key");
    let file = path.display().to_string();
    assert!(super::load_keys(&file).is_err());
    assert!(make_key_file(&path).expect("made"));
    assert!(!make_key_file(&path).expect("left alone"));
    let (one, two) = (super::load_keys(&file).expect("fit"), super::load_keys(&file).expect("fit"));
    assert_eq!((one.token, one.seal, one.id), (two.token, two.seal, two.id));
    assert_ne!(one.token[..], one.seal[..32]);
    assert_ne!(one.seal[..32], one.seal[32..]);
    let secret = std::fs::read_to_string(&path).expect("text");
    assert!(!format!("{one:?}").contains(secret.trim()));

    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o644);
    std::fs::set_permissions(&path, mode).expect("permissions");
    let error = super::load_keys(&file).expect_err("exposed").to_string();
    assert!(error.contains("chmod 600"), "{error}");
    assert!(!error.contains(secret.trim()));
}
