//! The pages of the guide (`cache-kit/src/guide`), as tests.
//!
//! A page is shown in the docs of cache-kit and runs here, where the frameworks are, and the harness that
//! starts servers (`cache_kit_tests::servers`). What a reader need not see is on lines that begin with
//! `# `. The pages for those who come from another cache run in `tests/migrations`.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What `build.rs` generates from `users.proto`.
#[allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod users {
    tonic::include_proto!("users");
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
    ($($page:ident)*) => {$(
        #[cfg(doctest)]
        #[doc = include_str!(concat!("../../../cache-kit/src/guide/", stringify!($page), ".md"))]
        mod $page {}
    )*};
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
