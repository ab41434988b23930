//! `up`: every role as a process of its own, minded until somebody asks to stop.
//!
//! Children are in process groups of their own, so that Ctrl-C reaches this process alone: it asks
//! them to stop, waits for their snapshots, and only then ends the broker.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tracing::{info, warn};

use super::roles::stopped;
use crate::cli::Failure;
use crate::cli::up::UpArgs;
use crate::serve::{add_user, fresh_password};
use crate::server::{Server, ServerPlan};
use crate::settings::{Settings, make_key_file};

/// How long a process may take to end when asked.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often children are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// The place of a deployment on this machine: where everything is kept, and who may read it.
pub struct Home {
    pub data: PathBuf,
    pub settings: Settings,
    pub password: String,
}

impl Home {
    /// Makes folder, key and password where they are not there yet.
    pub fn open(data: &Path, settings: &Settings) -> Result<Home, Failure> {
        let at = |path: &Path, error: std::io::Error| {
            Failure::Failed(format!("{}: {error}", path.display()))
        };
        fs::create_dir_all(data).map_err(|error| at(data, error))?;
        let data = data.canonicalize().map_err(|error| at(data, error))?;
        let name = |name: &str| data.join(name).display().to_string();
        let mut settings = settings.clone();
        settings.keys.file = name("key");
        settings.snapshots.url = name("snapshots");
        settings.serve.users_file = name("users");
        make_key_file(Path::new(&settings.keys.file)).map_err(|error| at(&data, error))?;
        let file = data.join("password");
        let password = match fs::read_to_string(&file) {
            Ok(password) => password.trim().to_string(),
            Err(_) => {
                let (password, users) = (fresh_password(), data.join("users"));
                let _ = fs::remove_file(&users);
                add_user(&users, "recoup", &password).map_err(Failure::failed)?;
                write_private(&file, &format!("{password}\n")).map_err(|error| at(&file, error))?;
                password
            }
        };
        Ok(Home { data, settings, password })
    }

    /// The broker of this home, as a child.
    pub async fn server(&mut self) -> Result<Server, Failure> {
        let plan = ServerPlan { data: self.data.join("nats"), port: None, sync_always: true };
        let server =
            Server::start(&plan).await.map_err(|error| Failure::Broker(error.to_string()))?;
        self.settings.broker.url = server.url().into();
        Ok(server)
    }

    /// Starts a verb of this program as a child with this home's settings. It ends when we do,
    /// whatever ends us: its standard input is a pipe whose other end only we hold.
    fn spawn(&self, verb: &str) -> Result<Child, Failure> {
        let log = self.log_of(verb);
        let at = |error: std::io::Error| Failure::Failed(format!("{}: {error}", log.display()));
        fs::create_dir_all(self.data.join("logs")).map_err(at)?;
        let out = File::options().create(true).append(true).open(&log).map_err(at)?;
        let settings = &self.settings;
        let file = self.file();
        let text = toml::to_string(settings).map_err(Failure::failed)?;
        write_private(&file, &text).map_err(at)?;
        Command::new(std::env::current_exe().map_err(at)?)
            .arg("--settings")
            .arg(&file)
            .args([verb, "--minded"])
            // The environment wins over the file.
            .env("RECOUP_BROKER_URL", &settings.broker.url)
            .env("RECOUP_KEYS_FILE", &settings.keys.file)
            .env("RECOUP_SNAPSHOTS_URL", &settings.snapshots.url)
            .env("RECOUP_PROGRAM_DIALECTS", &settings.program.dialects)
            .env("RECOUP_SERVE_USERS_FILE", &settings.serve.users_file)
            .stdin(Stdio::piped())
            .stdout(out.try_clone().map_err(at)?)
            .stderr(out)
            // Ctrl-C is for us: children are asked to stop one after the other.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(at)
    }

    /// What every process of this home is told; `RECOUP_SETTINGS` for whoever asks it from outside.
    fn file(&self) -> PathBuf {
        self.data.join("settings.toml")
    }

    fn log_of(&self, verb: &str) -> PathBuf {
        self.data.join("logs").join(format!("{verb}.log"))
    }
}

/// The children of a home. One that ends is started again, later each time; one that cannot run
/// as it is configured ends them all.
pub struct Family {
    children: Vec<Minded>,
    /// How often in a row one may fall before it is given up; never, where there is none.
    falls_max: Option<u32>,
}

struct Minded {
    verb: &'static str,
    child: Option<Child>,
    /// When it was started, or is to be.
    at: Instant,
    falls: u32,
}

/// What lived for so long has got over its falls.
const SOUND: Duration = Duration::from_secs(60);

/// How long after so many falls in a row a child is started again.
pub fn backoff(falls: u32) -> Duration {
    Duration::from_millis(500 << falls.saturating_sub(1).min(6)).min(Duration::from_secs(30))
}

impl Family {
    pub fn start(
        home: &Home,
        verbs: &[&'static str],
        falls_max: Option<u32>,
    ) -> Result<Family, Failure> {
        let mut children = vec![];
        for verb in verbs.iter().copied() {
            let child = Some(home.spawn(verb)?);
            children.push(Minded { verb, child, at: Instant::now(), falls: 0 });
        }
        Ok(Family { children, falls_max })
    }

    /// Looks at every child once.
    fn look(&mut self, home: &Home) -> Result<(), Failure> {
        for one in &mut self.children {
            let Some(child) = one.child.as_mut() else {
                if Instant::now() >= one.at {
                    one.child = Some(home.spawn(one.verb)?);
                    one.at = Instant::now();
                }
                continue;
            };
            let Ok(Some(status)) = child.try_wait() else { continue };
            let (verb, log) = (one.verb, home.log_of(one.verb));
            let told = format!("recoup {verb} ended with {status}; {} says why", log.display());
            one.falls = if one.at.elapsed() >= SOUND { 1 } else { one.falls + 1 };
            // Arguments, program and settings do not mend themselves.
            let hopeless = matches!(status.code(), Some(2..=4));
            if hopeless || self.falls_max.is_some_and(|max| one.falls > max) {
                return Err(Failure::Failed(told));
            }
            let wait = backoff(one.falls);
            warn!(verb, falls = one.falls, wait_ms = wait.as_millis() as u64, "{told}");
            (one.child, one.at) = (None, Instant::now() + wait);
        }
        Ok(())
    }

    /// Minds the children; ends only when one of them is given up.
    pub async fn mind(&mut self, home: &Home) -> Failure {
        loop {
            if let Err(failure) = self.look(home) {
                return failure;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Asks every child to end, and waits.
    pub async fn stop(mut self) {
        let mut children: Vec<Child> =
            self.children.drain(..).filter_map(|one| one.child).collect();
        for child in &children {
            if let Some(id) = child.id() {
                let _ = Command::new("kill").arg(id.to_string()).status().await;
            }
        }
        for child in &mut children {
            if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
    }

    /// Minds the children until somebody asks to stop.
    pub async fn live(mut self, home: &Home) -> Result<(), Failure> {
        let ended = tokio::select! {
            () = stopped() => Ok(()),
            failure = self.mind(home) => Err(failure),
        };
        self.stop().await;
        ended
    }
}

pub async fn up(args: UpArgs, settings: &Settings) -> Result<(), Failure> {
    let mut home = Home::open(&args.data, settings)?;
    let server = if args.no_broker { None } else { Some(home.server().await?) };
    let log = super::broker::connect(&home.settings).await?;
    super::broker::init(&log, &home.settings).await?;
    let family = Family::start(&home, &["run", "serve"], None)?;
    println!("{}\nstop      Ctrl-C", asking(&home));
    info!("up");
    let ended = family.live(&home).await;
    info!("stopped");
    if let Some(server) = server {
        server.stop().await;
    }
    ended
}

/// The exact lines to go on with: for the other verbs, and one that asks the live portfolio.
pub fn asking(home: &Home) -> String {
    let listen = &home.settings.serve.listen;
    let (host, port) = listen.rsplit_once(':').unwrap_or((listen, "5433"));
    let (password, url) = (&home.password, &home.settings.broker.url);
    format!(
        "broker    {url}\n\
         verbs     export RECOUP_SETTINGS={}\n\
         ask       PGPASSWORD={password} psql -h {host} -p {port} -U recoup recoup",
        home.file().display()
    )
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file =
        File::options().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
