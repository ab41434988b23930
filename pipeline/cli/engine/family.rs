//! `up`: every role as a process of its own, minded until somebody asks to stop.

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

    /// Starts a verb of this program as a child with this home's settings.
    fn spawn(&self, verb: &[&str]) -> std::io::Result<Child> {
        let logs = self.data.join("logs");
        fs::create_dir_all(&logs)?;
        let log = File::options()
            .create(true)
            .append(true)
            .open(logs.join(format!("{}.log", verb[0])))?;
        let settings = &self.settings;
        Command::new(std::env::current_exe()?)
            .args(verb)
            .env("RECOUP_BROKER_URL", &settings.broker.url)
            .env("RECOUP_SHARDS_COUNT", settings.shards.count.to_string())
            .env("RECOUP_KEYS_FILE", &settings.keys.file)
            .env("RECOUP_SNAPSHOTS_URL", &settings.snapshots.url)
            .env("RECOUP_PROGRAM_DIALECTS", &settings.program.dialects)
            .env("RECOUP_SERVE_LISTEN", &settings.serve.listen)
            .env("RECOUP_SERVE_USERS_FILE", &settings.serve.users_file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
    }
}

/// The children of a home, started again when they end.
pub struct Family {
    verbs: Vec<&'static [&'static str]>,
    children: Vec<(Child, Instant)>,
}

impl Family {
    pub fn start(home: &Home, verbs: &[&'static [&'static str]]) -> Result<Family, Failure> {
        let mut children = vec![];
        for verb in verbs {
            children.push((home.spawn(verb).map_err(Failure::failed)?, Instant::now()));
        }
        Ok(Family { verbs: verbs.to_vec(), children })
    }

    /// Starts again whatever has ended; what does not live for five seconds is a failure.
    pub fn mind(&mut self, home: &Home) -> Result<(), Failure> {
        for (verb, (child, since)) in self.verbs.iter().zip(&mut self.children) {
            let Ok(Some(status)) = child.try_wait() else { continue };
            let log = home.data.join("logs").join(format!("{}.log", verb[0]));
            if since.elapsed() < Duration::from_secs(5) {
                return Err(Failure::Failed(format!(
                    "recoup {} ended with {status}; {} says why",
                    verb.join(" "),
                    log.display()
                )));
            }
            warn!(verb = verb[0], %status, "started again");
            *child = home.spawn(verb).map_err(Failure::failed)?;
            *since = Instant::now();
        }
        Ok(())
    }

    /// Asks every child to end, and waits.
    pub async fn stop(mut self) {
        for (child, _) in &self.children {
            if let Some(id) = child.id() {
                let _ = Command::new("kill").arg(id.to_string()).status().await;
            }
        }
        for (child, _) in &mut self.children {
            if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
    }

    /// Minds the children until somebody asks to stop.
    pub async fn live(mut self, home: &Home) -> Result<(), Failure> {
        let minding = async {
            loop {
                tokio::time::sleep(Duration::from_millis(500)).await;
                self.mind(home)?;
            }
        };
        let ended = tokio::select! {
            () = stopped() => Ok(()),
            ended = minding => ended,
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
    let family = Family::start(&home, &[&["run"], &["serve"]])?;
    println!("{}", asking(&home));
    info!("up");
    let ended = family.live(&home).await;
    if let Some(server) = server {
        server.stop().await;
    }
    ended
}

/// The exact line that asks the live portfolio.
pub fn asking(home: &Home) -> String {
    let listen = &home.settings.serve.listen;
    let (host, port) = listen.rsplit_once(':').unwrap_or((listen, "5433"));
    let (password, url) = (&home.password, &home.settings.broker.url);
    format!(
        "broker    export RECOUP_BROKER_URL={url}\n\
         ask       PGPASSWORD={password} psql -h {host} -p {port} -U recoup recoup"
    )
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file =
        File::options().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
