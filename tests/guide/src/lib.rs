//! The pages of the guide (`cache-kit/src/guide`), as tests.
//!
//! A page is shown in the docs of cache-kit and runs here, where the frameworks are, and the harness that
//! starts servers (`cache_kit_tests::servers`). What a reader need not see is on lines that begin with
//! `# `. The services on the pages of the frameworks compile there, and run in `tests/joined.rs` over each
//! database. The pages for those who come from another cache run in `tests/migrations`.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What `build.rs` generates from `directory.proto`.
#[allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod pb {
    tonic::include_proto!("directory");
}

/// A database with the table of the pages, in a file that goes away with it.
#[derive(Debug)]
pub struct Table {
    room: TempDir,
}

impl Table {
    /// With the users 1, Ann, and 2, Beth.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn new() -> sqlx::Result<Self> {
        let room = cache_kit_tests::servers::room("guide");
        let table = Self { room };
        let options = SqliteConnectOptions::new().filename(table.file());
        let mut connection = options.create_if_missing(true).connect().await?;
        let rows = "CREATE TABLE users (id INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL);
            INSERT INTO users VALUES (1, 'Ann'), (2, 'Beth')";
        sqlx::raw_sql(rows).execute(&mut connection).await?;
        connection.close().await?;
        Ok(table)
    }

    /// Where it is, for each of the three clients.
    pub fn url(&self) -> String {
        format!("sqlite://{}", self.file().display())
    }

    fn file(&self) -> PathBuf {
        self.room.path().join("users.sqlite")
    }
}

/// The answer to an HTTP request, as it was sent.
#[derive(Debug)]
pub struct Answer(String);

impl Answer {
    /// Whether it has this status, and this text in its body.
    pub fn is(&self, status: u16, text: &str) -> bool {
        let (head, body) = self.0.split_once("\r\n\r\n").unwrap_or_default();
        head.starts_with(&format!("HTTP/1.1 {status} ")) && body.contains(text)
    }

    /// Whether a header begins like this.
    pub fn has(&self, header: &str) -> bool {
        self.0.lines().any(|line| line.starts_with(header))
    }
}

/// Sends one HTTP request, and waits for the answer.
///
/// # Errors
/// The server cannot be reached, or closes the connection too early.
pub async fn ask(addr: SocketAddr, method: &str, path: &str, body: &str) -> io::Result<Answer> {
    let mut server = TcpStream::connect(addr).await?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
         content-type: text/plain\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    server.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    server.read_to_string(&mut answer).await?;
    Ok(Answer(answer))
}

macro_rules! pages {
    ($($page:ident)*) => {
        /// In a module of their own: some are named like the crates that they show.
        #[cfg(doctest)]
        mod pages {$(
            #[doc = include_str!(concat!("../../../cache-kit/src/guide/", stringify!($page), ".md"))]
            mod $page {}
        )*}
    };
}

pages! {
    index
    getting_started
    strategies
    invalidation
    batches
    freshness
    testing
    operating
    watching
    deploying
    derives
    axum
    actix_web
    tonic
    sqlx
    sea_orm
    diesel
}
