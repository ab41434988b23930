//! What the doctor says of brokers that are as they should be, and of others.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{Place, ended, lines, recoup, until};

/// What was found about one thing.
fn about<'a>(findings: &'a [Value], name: &str) -> Vec<&'a Value> {
    findings.iter().filter(|one| one["about"] == name).collect()
}

fn doctor(place: &Place) -> (i32, Vec<Value>) {
    let (code, out, _) = ended(&place.run(&["doctor", "--json"]));
    (code, lines(&out))
}

#[test]
fn what_is_unsafe_is_named_with_how_to_mend_it() {
    let place = Place::open(&[]);
    let (code, findings) = doctor(&place);
    // A server of tests does not wait for the disk.
    assert_eq!(code, 5);
    let bad: Vec<_> = findings.iter().filter(|one| one["severity"] == "unsafe").collect();
    assert_eq!(bad.len(), 1, "{bad:?}");
    assert_eq!(bad[0]["about"], "sync");
    assert!(bad[0]["found"].as_str().unwrap().contains("syncs every 120 s"), "{bad:?}");
    assert!(bad[0]["mend"].as_str().unwrap().contains("sync_interval: always"), "{bad:?}");
    for name in ["version", "clock", "space", "key", "snapshots", "serve.listen"] {
        let found = about(&findings, name);
        assert_eq!((found.len(), &found[0]["severity"]), (1, &json!("fine")), "{name}: {found:?}");
    }
    // One machine: warned, not refused.
    assert_eq!(about(&findings, "credentials")[0]["severity"], "warning");
    let streams = about(&findings, "streams");
    assert_eq!(streams.len(), 5);
    assert!(streams.iter().all(|one| one["severity"] == "warning"), "{streams:?}");
    let table = ended(&place.run(&["doctor"])).1;
    assert!(table.contains("UNSAFE   sync") && table.contains("→ set `sync_interval"), "{table}");
}

#[test]
fn a_stream_that_was_edited_or_removed_is_named() {
    let place = Place::open(&[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = async_nats::connect(format!("nats://127.0.0.1:{}", place.world.port)).await;
        let context = async_nats::jetstream::new(client.unwrap());
        context.delete_stream("book").await.unwrap();
        let mut config = context.get_stream("loans").await.unwrap().cached_info().config.clone();
        config.max_age = std::time::Duration::from_secs(3_600);
        context.update_stream(config).await.unwrap();
    });
    let (code, findings) = doctor(&place);
    assert_eq!(code, 5);
    let said = |words: &str| {
        let found = about(&findings, "streams");
        let one = found.into_iter().find(|one| one["found"].as_str().unwrap().contains(words));
        one.unwrap_or_else(|| panic!("{words}: {findings:?}"))["mend"].as_str().unwrap().to_string()
    };
    assert_eq!(said("stream book is missing"), "run `recoup init`");
    assert!(!said("removes messages by age").is_empty());
}

#[test]
fn out_of_reach_the_rest_is_judged_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = [("BROKER_URL", format!("nats://{free}")), ("SERVE_LISTEN", "0.0.0.0:1".into())];
    let (code, out, errors) = ended(&recoup(folder.path(), &settings, &["doctor", "--json"]));
    assert_eq!(code, 5);
    assert!(errors.contains(&free.to_string()), "{errors}");
    let findings = lines(&out);
    assert_eq!(about(&findings, "key")[0]["severity"], "unsafe");
    assert!(about(&findings, "key")[0]["mend"].as_str().unwrap().contains("recoup init"));
    assert_eq!(about(&findings, "serve.listen")[0]["severity"], "warning");
}

/// A server on the configuration that ships, but for addresses and folder.
struct Shipped(Child, String);

impl Shipped {
    fn start(folder: &Path) -> Shipped {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shipped = fs::read_to_string(root.join("deploy/nats.conf")).unwrap();
        let store = folder.join("store").display().to_string();
        let config = shipped
            .replace("127.0.0.1:4222", "127.0.0.1:-1")
            .replace("http: \"127.0.0.1:8222\"", "")
            .replace("/var/lib/nats", &store)
            + &format!("\nports_file_dir: \"{}\"\n", folder.display());
        fs::write(folder.join("nats.conf"), config).unwrap();
        let server = Command::new(recoup::server::find().unwrap())
            .args(["-c", folder.join("nats.conf").to_str().unwrap()])
            .envs([("NATS_SYSTEM_PASSWORD", "one"), ("NATS_L007_PASSWORD", "three")])
            .env("NATS_RECOUP_PASSWORD", "two")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = until("the server's address", || {
            let ports = fs::read_dir(folder).unwrap().filter_map(Result::ok);
            let ports = ports.map(|one| one.path());
            let file = ports.into_iter().find(|one| one.extension().is_some_and(|e| e == "ports"));
            let told: Value = serde_json::from_slice(&fs::read(file?).ok()?).ok()?;
            Some(told["nats"][0].as_str()?.to_string())
        });
        Shipped(server, url)
    }
}

impl Drop for Shipped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_shipped_configuration_of_a_broker_is_safe_but_for_its_one_copy() {
    let folder = tempfile::tempdir().unwrap();
    let server = Shipped::start(folder.path());
    let place = folder.path().join("place");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("password"), "two\n").unwrap();
    let mut settings = vec![
        ("BROKER_URL", server.1.clone()),
        ("BROKER_USER", "recoup".to_string()),
        ("BROKER_PASSWORD_FILE", "password".to_string()),
    ];
    let out = recoup(&place, &settings, &["init"]);
    assert!(super::said(&out).contains("8 shards are ready"));
    let (code, out, errors) = ended(&recoup(&place, &settings, &["doctor", "--json"]));
    let findings = lines(&out);
    assert_eq!(code, 0, "{findings:?} {errors}");
    for name in ["version", "sync", "credentials", "encryption", "clock", "space", "key"] {
        assert_eq!(about(&findings, name)[0]["severity"], "fine", "{name}: {findings:?}");
    }
    assert!(about(&findings, "streams").iter().all(|one| one["severity"] == "warning"));
    fs::write(place.join("password"), "wrong\n").unwrap();
    let (code, _, errors) = ended(&recoup(&place, &settings, &["status"]));
    assert_eq!(code, 5, "{errors}");
    assert!(!errors.contains("wrong"), "{errors}");
    settings[1].1 = String::new();
    let (code, _, errors) = ended(&recoup(&place, &settings, &["status"]));
    assert_eq!(code, 4, "{errors}");
}
