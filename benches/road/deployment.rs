//! A deployment of its own: a broker, `recoup init`, reference tables and one worker process.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use recoup::log::broker::Access;
use recoup::log::jetstream::JetStreamLog;
use recoup::server::{Server, ServerPlan};
use recoup::status;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{Answer, records};

pub const SHARDS: u32 = 8;
/// How often a running process is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// The ticks of `/proc` in a second, fixed on Linux.
const TICKS: f64 = 100.0;

pub struct Deployment {
    pub runtime: Runtime,
    pub log: JetStreamLog,
    pub worker: Child,
    folder: TempDir,
    /// Ends the broker when dropped.
    server: Option<Server>,
}

/// What a process has used.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    pub seconds: f64,
    /// Most bytes resident at once.
    pub peak: u64,
}

impl Deployment {
    pub fn start() -> Answer<Self> {
        let runtime = Runtime::new()?;
        let folder = tempfile::tempdir()?;
        let synced = synced_append(folder.path())?;
        println!("a synced append of 512 bytes takes {} µs here", synced.as_micros());
        let plan = ServerPlan { data: folder.path().join("broker"), port: None, sync_always: true };
        let server = runtime.block_on(Server::start(&plan))?;
        let log = runtime.block_on(JetStreamLog::connect(Access::to(server.url())))?;
        let url = server.url().to_string();
        call(folder.path(), &url, &["init"])?;
        for (name, text) in records::references() {
            let file = format!("{name}.csv");
            fs::write(folder.path().join(&file), text)?;
            call(folder.path(), &url, &["post", name, &file])?;
        }
        let worker = command(folder.path(), &url, &["run"])?.spawn()?;
        let server = Some(server);
        Ok(Deployment { runtime, log, worker, folder, server })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn port(&self) -> u16 {
        self.server.as_ref().map_or(0, Server::port)
    }

    pub fn call(&self, args: &[&str]) -> Answer<()> {
        let url = self.server.as_ref().map_or("", Server::url);
        call(self.folder.path(), url, args)
    }

    /// Begins a verb that runs beside.
    pub fn begin(&self, args: &[&str]) -> Answer<Child> {
        let url = self.server.as_ref().map_or("", Server::url);
        Ok(command(self.folder.path(), url, args)?.spawn()?)
    }

    /// Waits until no record waits in normalize, register and book.
    pub fn drained(&self) -> Answer<()> {
        let mut quiet = 0;
        while quiet < 2 {
            std::thread::sleep(LOOK);
            let asked = status::read(&self.log, SHARDS, 0, Duration::ZERO);
            let shards = self.runtime.block_on(asked)?.shards;
            let road = ["normalize", "register", "book"];
            let waits = shards.iter().any(|s| road.contains(&s.stage) && s.waiting > 0);
            quiet = if waits { 0 } else { quiet + 1 };
        }
        Ok(())
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        let _ = self.worker.kill();
        let _ = self.worker.wait();
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
    }
}

/// The program that was built beside this one.
pub fn recoup() -> Answer<PathBuf> {
    let file = std::env::current_exe()?.with_file_name("recoup");
    if file.is_file() {
        return Ok(file);
    }
    Err(format!("{} is not there: cargo build --release --workspace", file.display()).into())
}

fn command(folder: &Path, url: &str, args: &[&str]) -> Answer<Command> {
    let mut command = Command::new(recoup()?);
    command.args(args).current_dir(folder).stdout(Stdio::null()).stdin(Stdio::null());
    command.env("RECOUP_BROKER_URL", url).env("RECOUP_METRICS_LISTEN", "");
    command.env("RECOUP_LOG_LEVEL", "warn");
    Ok(command)
}

fn call(folder: &Path, url: &str, args: &[&str]) -> Answer<()> {
    let status = command(folder, url, args)?.status()?;
    if status.success() { Ok(()) } else { Err(format!("recoup {}: {status}", args[0]).into()) }
}

/// The disk's part in whatever goes through a broker that syncs: the median of synced appends.
fn synced_append(folder: &Path) -> Answer<Duration> {
    let mut file = fs::File::create(folder.join("synced"))?;
    let mut took = vec![];
    for _ in 0..200 {
        let began = Instant::now();
        file.write_all(&[b'x'; 512])?;
        file.sync_data()?;
        took.push(began.elapsed());
    }
    took.sort();
    Ok(took[took.len() / 2])
}

/// Waits for a child and says what it used.
pub fn watch(child: &mut Child) -> Answer<Usage> {
    let mut usage = Usage::default();
    loop {
        usage = self::usage(child.id()).unwrap_or(usage);
        if let Some(status) = child.try_wait()? {
            return if status.success() { Ok(usage) } else { Err(status.to_string().into()) };
        }
        std::thread::sleep(LOOK);
    }
}

/// What a process has used so far, as Linux tells it.
pub fn usage(process: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().ok()?;
    Some(Usage { seconds: ticks / TICKS, peak: peak << 10 })
}
