//! `recoup sql`: one question to the reading room.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::{Failure, block_on, show};
use crate::settings::Settings;

/// Ask the reading room and print the answer. The password is PGPASSWORD, or in a file
#[derive(Args)]
#[command(
    after_help = "Example:\n  recoup sql \"SELECT agency_id, count(*) FROM placements GROUP BY 1\""
)]
pub struct SqlArgs {
    /// A query; - reads it from standard input
    pub query: String,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// The same as --format json
    #[arg(long)]
    pub json: bool,
    /// Else PGUSER, else recoup
    #[arg(long)]
    pub user: Option<String>,
    /// A file with the password
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Csv,
    /// One object a line
    Json,
}

/// What to do where the room does not answer, or wants to know who asks.
const HINT: &str = "; `recoup serve` opens it, serve.listen says where, PGPASSWORD who asks";

/// An answer, as texts; `None` is NULL.
struct Answer {
    columns: Vec<String>,
    types: Vec<Type>,
    rows: Vec<Vec<Option<String>>>,
}

/// Who asks the reading room.
pub struct Login {
    pub user: Option<String>,
    pub password_file: Option<PathBuf>,
}

pub fn execute(args: &SqlArgs, settings: &Settings) -> Result<(), Failure> {
    let query = match args.query.as_str() {
        "-" => std::io::read_to_string(std::io::stdin()).map_err(Failure::failed)?,
        query => query.to_string(),
    };
    let login = Login { user: args.user.clone(), password_file: args.password_file.clone() };
    let answer = answer(&login, settings, &query)?;
    let format = if args.json { Format::Json } else { args.format };
    show::text(&match format {
        Format::Table => table(&answer),
        Format::Csv => csv_text(&answer)?,
        Format::Json => json_text(&answer),
    })
}

/// The rows of the reading room's answer, as texts.
pub fn rows(
    login: &Login,
    settings: &Settings,
    query: &str,
) -> Result<Vec<Vec<Option<String>>>, Failure> {
    Ok(answer(login, settings, query)?.rows)
}

fn answer(login: &Login, settings: &Settings, query: &str) -> Result<Answer, Failure> {
    let config = config(login, settings)?;
    block_on(async {
        let listen = &settings.serve.listen;
        let (client, connection) = config.connect(NoTls).await.map_err(|error| {
            let hint = if error.as_db_error().is_none() { HINT } else { "" };
            Failure::Failed(format!("the reading room on {listen}: {}{hint}", words(&error)))
        })?;
        tokio::spawn(connection);
        ask(&client, query).await
    })
}

fn config(login: &Login, settings: &Settings) -> Result<Config, Failure> {
    let listen = &settings.serve.listen;
    let (host, port) = listen
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host.trim_matches(['[', ']']), port.parse().ok()?)))
        .ok_or_else(|| Failure::Settings(format!("serve.listen {listen} is not host:port")))?;
    let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    let user = login.user.clone().or_else(|| variable("PGUSER")).unwrap_or_else(|| "recoup".into());
    let mut config = Config::new();
    config.host(host).port(port).user(user).dbname("recoup").application_name("recoup sql");
    let password = match &login.password_file {
        Some(file) => Some(std::fs::read_to_string(file).map_err(|error| {
            Failure::Failed(format!("password file {}: {error}", file.display()))
        })?),
        None => variable("PGPASSWORD"),
    };
    if let Some(password) = password {
        config.password(password.trim_end());
    }
    Ok(config)
}

async fn ask(client: &Client, query: &str) -> Result<Answer, Failure> {
    let failed = |error| Failure::Failed(words(&error));
    // Preparing tells the types; several statements at once cannot be prepared and stay texts.
    let types = client.prepare(query).await.map_or(vec![], |prepared| {
        prepared.columns().iter().map(|column| column.type_().clone()).collect()
    });
    let mut answer = Answer { columns: vec![], types, rows: vec![] };
    for message in client.simple_query(query).await.map_err(failed)? {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                answer.columns = columns.iter().map(|column| column.name().into()).collect();
            }
            SimpleQueryMessage::Row(row) => {
                answer.rows.push((0..row.len()).map(|i| row.get(i).map(Into::into)).collect());
            }
            _ => {}
        }
    }
    Ok(answer)
}

/// What the server says of an error, without the client's wrapping.
fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => said.message().to_string(),
        None => {
            let source = std::error::Error::source(error);
            source.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
        }
    }
}

fn number(kind: Option<&Type>) -> bool {
    let whole = [Type::INT2, Type::INT4, Type::INT8];
    kind.is_some_and(|kind| whole.contains(kind) || *kind == Type::NUMERIC)
}

fn table(answer: &Answer) -> String {
    let header: Vec<&str> = answer.columns.iter().map(String::as_str).collect();
    let right: Vec<bool> =
        (0..header.len()).map(|column| number(answer.types.get(column))).collect();
    let texts = |row: &Vec<Option<String>>| {
        row.iter().map(|cell| cell.clone().unwrap_or_default()).collect()
    };
    let rows: Vec<Vec<String>> = answer.rows.iter().map(texts).collect();
    let count = show::counted(rows.len(), "row");
    format!("{}{count}\n", show::table(&header, rows, &right))
}

fn csv_text(answer: &Answer) -> Result<String, Failure> {
    let mut writer = csv::Writer::from_writer(vec![]);
    writer.write_record(&answer.columns).map_err(Failure::failed)?;
    for row in &answer.rows {
        let cells = row.iter().map(|cell| cell.as_deref().unwrap_or(""));
        writer.write_record(cells).map_err(Failure::failed)?;
    }
    String::from_utf8(writer.into_inner().map_err(Failure::failed)?).map_err(Failure::failed)
}

fn json_text(answer: &Answer) -> String {
    let mut out = String::new();
    for row in &answer.rows {
        let mut object = Map::new();
        for (i, (name, cell)) in answer.columns.iter().zip(row).enumerate() {
            object.insert(name.clone(), json_value(answer.types.get(i), cell.as_deref()));
        }
        out += &Value::Object(object).to_string();
        out.push('\n');
    }
    out
}

/// Whole numbers and truth values as such; money stays a text, so that no reader makes a float.
fn json_value(kind: Option<&Type>, cell: Option<&str>) -> Value {
    let Some(text) = cell else { return Value::Null };
    match kind {
        Some(&Type::BOOL) => Value::Bool(text == "t"),
        Some(kind) if *kind != Type::NUMERIC && number(Some(kind)) => {
            text.parse::<i64>().map_or_else(|_| text.into(), Value::from)
        }
        _ => text.into(),
    }
}
