//! `recoup init`: settings, key, streams and every shard's first cursor.

use std::path::Path;

use clap::Args;

use super::{Failure, block_on, engine};
use crate::serve::{add_user, fresh_password};
use crate::settings::{FILE, SHIPPED, Settings, make_key_file};

/// Prepare a deployment: settings file, key, streams, first cursors. What is there stays.
#[derive(Args)]
#[command(after_help = "Example:\n  recoup init --set shards.count=64 --set broker.replicas=3")]
pub struct InitArgs {
    /// Print the commented settings file with every default, and do nothing else
    #[arg(long)]
    pub print_settings: bool,
    /// Write recoup.toml and the key file, but leave the broker alone
    #[arg(long)]
    pub local: bool,
}

pub fn print_settings() -> Result<(), Failure> {
    super::show::text(SHIPPED)
}

pub fn execute(args: &InitArgs, settings: &Settings) -> Result<(), Failure> {
    let file = Path::new(FILE);
    if file.exists() {
        println!("{FILE} is there and stays as it is");
    } else {
        std::fs::write(file, SHIPPED).map_err(|error| at(FILE, &error))?;
        println!("wrote {FILE}, with every default");
    }
    let key = &settings.keys.file;
    match make_key_file(Path::new(key)).map_err(|error| at(key, &error))? {
        true => println!("wrote {key}: the secret of tokens and sealed bytes; keep a copy safe"),
        false => println!("{key} is there and stays as it is"),
    }
    let users = Path::new(&settings.serve.users_file);
    if users.exists() {
        println!("{} is there and stays as it is", users.display());
    } else {
        let password = fresh_password();
        add_user(users, "recoup", &password).map_err(Failure::failed)?;
        println!("wrote {}: user recoup may read, with password {password}", users.display());
    }
    if args.local {
        return Ok(());
    }
    block_on(async {
        let log = engine::connect(settings).await?;
        engine::init(log.as_ref(), settings).await
    })?;
    println!("{} shards are ready on {}", settings.shards.count, settings.broker.url);
    Ok(())
}

fn at(file: &str, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("{file}: {error}"))
}
