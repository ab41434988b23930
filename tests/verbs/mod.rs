//! The program as people run it: the built binary, a real nats-server, files and a shell.
//!
//! [`local`] needs no broker; [`flow`] is a deployment from `init` to SQL; [`loads`] kills a load
//! in the middle; [`doctors`] looks at brokers that are not fit; [`trims`] removes and goes on;
//! [`ups`] minds the roles of a machine; [`wrongs`] is what a newcomer does wrong;
//! [`backups`] loses its broker; [`upgrades`] changes the program.

mod backups;
mod doctors;
mod flow;
mod lender;
mod loads;
mod local;
mod trims;
mod upgrades;
mod ups;
mod wrongs;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::log::World;

/// The longest that anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs the program in a folder; `settings` are variables of the environment.
pub fn recoup(folder: &Path, settings: &[(&str, String)], words: &[&str]) -> Output {
    command(folder, settings, words).output().expect("the program was built")
}

fn command(folder: &Path, settings: &[(&str, String)], words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recoup"));
    command.current_dir(folder).args(words).stdin(Stdio::null());
    command.envs(settings.iter().map(|(name, value)| (format!("RECOUP_{name}"), value)));
    command
}

/// Starts a verb that goes on until it is told to stop; what it says is in `<verb>.log`.
pub fn start(folder: &Path, settings: &[(&str, String)], words: &[&str]) -> Working {
    let log = folder.join(format!("{}.log", words[0]));
    let log = fs::File::options().create(true).append(true).open(log).unwrap();
    let mut command = command(folder, settings, words);
    command.stdout(log.try_clone().unwrap()).stderr(log);
    Working(command.spawn().unwrap())
}

/// What was said on standard output by a program that did its work.
pub fn said(output: &Output) -> String {
    let (out, errors) = texts(output);
    assert!(output.status.success(), "{}\n{errors}\n{out}", output.status);
    out
}

/// The exit code, standard output and standard error.
pub fn ended(output: &Output) -> (i32, String, String) {
    let (out, errors) = texts(output);
    (output.status.code().expect("it was not killed"), out, errors)
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Lines of JSON.
pub fn lines(text: &str) -> Vec<Value> {
    let parse = |line: &str| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
    };
    text.lines().map(parse).collect()
}

/// Asks until the answer is there; between two questions to another process it waits a moment.
#[allow(clippy::disallowed_methods)]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A deployment in a folder of its own, on a server of its own.
pub struct Place {
    pub world: World,
    pub folder: TempDir,
    pub settings: Vec<(&'static str, String)>,
    /// What `init` printed.
    pub told: String,
    _runtime: tokio::runtime::Runtime,
}

impl Place {
    /// Starts a server, and prepares it with `init` under these settings.
    pub fn open(settings: &[(&'static str, &str)]) -> Place {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let world = runtime.block_on(World::start());
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut all = vec![
            ("BROKER_URL", format!("nats://127.0.0.1:{}", world.port)),
            ("SHARDS_COUNT", "2".to_string()),
            ("METRICS_LISTEN", String::new()),
            ("SERVE_LISTEN", free.to_string()),
        ];
        all.extend(settings.iter().map(|(name, value)| (*name, value.to_string())));
        let folder = tempfile::tempdir().unwrap();
        let mut place =
            Place { world, folder, settings: all, told: String::new(), _runtime: runtime };
        place.told = place.says(&["init"]);
        place
    }

    pub fn run(&self, words: &[&str]) -> Output {
        recoup(self.folder.path(), &self.settings, words)
    }

    pub fn says(&self, words: &[&str]) -> String {
        said(&self.run(words))
    }

    /// Writes a file; answers its name.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(&path, content).unwrap();
        name.to_string()
    }

    /// Starts a verb that goes on until it is told to stop.
    pub fn start(&self, words: &[&str]) -> Working {
        start(self.folder.path(), &self.settings, words)
    }

    pub fn status(&self) -> Value {
        lines(&self.says(&["status", "--json"])).remove(0)
    }

    /// Waits until every stage has read everything.
    pub fn drained(&self) {
        until("the end of what waits", || {
            let status = self.status();
            let shards = status["shards"].as_array().unwrap();
            let troubled = shards.iter().find(|shard| shard["trouble"] != "");
            assert_eq!(troubled, None);
            shards.iter().all(|shard| shard["waiting"] == 0).then_some(())
        });
    }

    /// One question to the reading room, as lines of JSON; `None` while it does not answer.
    pub fn ask(&self, query: &str) -> Option<Vec<Value>> {
        let password = self.told.rsplit("with password ").next()?.lines().next()?;
        let mut asked = command(self.folder.path(), &self.settings, &["sql", query, "--json"]);
        let output = asked.env("PGPASSWORD", password).output().unwrap();
        output.status.success().then(|| lines(&said(&output)))
    }

    /// Asks until the first answer's first column is this.
    pub fn asks(&self, query: &str, wanted: &Value) {
        until(&format!("{wanted} of {query}"), || {
            let answer = self.ask(query)?;
            let first = answer.first()?.as_object()?.values().next()?.clone();
            (first == *wanted).then_some(())
        });
    }
}

/// A process that ends with its test.
pub struct Working(Child);

impl Working {
    /// Tells it to stop, and waits until it has.
    pub fn stop(mut self) {
        let told = Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        assert!(told.success());
        let ended = self.0.wait().unwrap();
        assert!(ended.success(), "{ended}");
    }

    /// Ends it without a word, as a power cut does; says whether it was still at work.
    pub fn kill(mut self) -> bool {
        let at_work = self.runs();
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        at_work
    }

    pub fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
