//! The reading room from outside: its relations, and its answers to the clients people use.

pub mod clients;
mod follow;
mod keep;
mod limits;
mod relations;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use recoup::serve::{ITERATIONS, News, Options, Room, Standing, bind, listen, scram_verifier};
use recoup_operators::facts;
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

pub const PASSWORD: &str = "correct horse";

/// Rows of a relation, written as CSV with a header.
pub fn rows(source: SchemaRef, text: &str) -> RecordBatch {
    let header = text.trim_start().lines().next().unwrap();
    let fields = header.split(',').map(|name| source.field_with_name(name.trim()).unwrap().clone());
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let lines: Vec<&str> = text.trim().lines().map(str::trim).collect();
    let text = lines.join("\n");
    let mut reader = ReaderBuilder::new(schema).with_header(true).build(text.as_bytes()).unwrap();
    reader.next().unwrap().unwrap()
}

/// Three loans, two of them priced, as of sequence 17 of `book`.
pub fn room() -> Arc<Room> {
    let loans = rows(
        facts::stamped(),
        "loan_id,lender_id,product,balance,days_past_due,due_date,contactable,event_time
         A,L1,cash,1000.10,47,2026-01-13,true,2026-03-01T00:00:04Z
         B,L1,cash,99999999999999.99,5,2026-02-13,false,2026-03-01T00:00:05Z
         C,L2,car,0.30,,,,2026-03-01T00:00:06.5Z",
    );
    let prices = rows(
        facts::priced(),
        "loan_id,lender_id,product,balance,price
         A,L1,cash,1000.10,250.03
         B,L1,cash,99999999999999.99,
         C,L2,car,0.30,0.10",
    );
    let room = Room::new();
    let standing = Standing {
        stream: "book".into(),
        as_of: 17,
        read: 4,
        owner: "worker-1".into(),
        committed_at: 1_772_323_206_000_000,
    };
    let news = News {
        rows: vec![("loans".into(), loans), ("prices".into(), prices)],
        shards: vec![("book".into(), 3, standing)],
        read: 17,
    };
    room.take("book", news);
    room.grown("book", 20);
    Arc::new(room)
}

/// A reading room that answers on a port of its own.
pub struct Open {
    pub address: SocketAddr,
    _files: TempDir,
}

/// Opens a reading room with the user `ana`; `change` has the last word on its options.
pub async fn open(room: Arc<Room>, change: impl FnOnce(&mut Options)) -> Open {
    let files = tempfile::tempdir().unwrap();
    let users_file = files.path().join("users");
    let verifier = scram_verifier(PASSWORD, b"sixteen of salt.", ITERATIONS);
    std::fs::write(&users_file, format!("ana:{verifier}\n")).unwrap();
    let mut options = Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        users_file,
        statement_timeout: Duration::from_secs(20),
        ..Options::default()
    };
    change(&mut options);
    let listener = bind(&options).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { listen(listener, room, options).await.unwrap() });
    Open { address, _files: files }
}

impl Open {
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.address.port());
        config.user("ana").password(PASSWORD).dbname("recoup");
        config
    }

    pub async fn client(&self) -> Client {
        let (client, connection) = self.config().connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

/// The texts of an answer, row by row.
pub async fn texts(client: &Client, query: &str) -> Vec<Vec<Option<String>>> {
    use tokio_postgres::SimpleQueryMessage::Row;
    let messages = client.simple_query(query).await.unwrap_or_else(|error| {
        panic!("{query}: {}", error.as_db_error().map_or(error.to_string(), |e| e.to_string()))
    });
    let rows = messages.iter().filter_map(|message| match message {
        Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
        _ => None,
    });
    rows.collect()
}

/// The code and the message of a refusal.
pub fn refusal(error: &tokio_postgres::Error) -> (String, String) {
    let error = error.as_db_error().unwrap_or_else(|| panic!("no answer: {error}"));
    (error.code().code().to_owned(), error.message().to_owned())
}
