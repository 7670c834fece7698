//! Requests to a service, each on a connection of its own.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

/// Generous: only a failing test waits this long.
const LIMIT: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: String,
    head: String,
}

impl Reply {
    /// The value of a header; `name` in lower case. Empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        found.next().map_or("", |(_, value)| value)
    }
}

/// Sends a request, with JSON if there is a body, and reads the answer.
///
/// # Panics
///
/// When there is no whole answer within 30 s.
pub fn send(address: SocketAddr, method: &str, path: &str, body: &str) -> Reply {
    let mut answer = String::new();
    let read = asked(address, method, path, body, LIMIT).read_to_string(&mut answer);
    if let Err(error) = read {
        panic!("no answer to {method} {path}: {error}; so far {answer:?}");
    }
    let whole = answer.split_once("\r\n\r\n").and_then(|(head, body)| {
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Reply {
            status,
            body: body.to_owned(),
            head: head.to_owned(),
        })
    });
    whole.unwrap_or_else(|| panic!("no answer to {method} {path}, but {answer:?}"))
}

/// Sends a request, waits for `patience`, and hangs up: by a reset, as a proxy does, since the end of what
/// a client sends may be all that it has to say.
///
/// # Panics
///
/// When there is an answer.
pub fn hang_up(address: SocketAddr, method: &str, path: &str, body: &str, patience: Duration) {
    let mut connection = asked(address, method, path, body, patience);
    let read = connection.read(&mut [0; 1]);
    let kind = read.as_ref().err().map(std::io::Error::kind);
    assert!(
        matches!(kind, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut)),
        "{method} {path} was to be without an answer: {read:?}"
    );
    // Dropping it then sends the reset.
    if let Err(error) = set_socket_linger(&connection, Some(Duration::ZERO)) {
        panic!("no reset of {method} {path}: {error}");
    }
}

/// Two connections: nothing is sent on the first, and on the second one a request without the end of its
/// body.
///
/// # Panics
///
/// When the server does not accept them.
pub fn stall(address: SocketAddr, method: &str, path: &str) -> [TcpStream; 2] {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: 9\r\n\r\n{{"
    );
    ["", &head].map(|said| {
        let connection = TcpStream::connect(address);
        let sent = connection.and_then(|mut connection| {
            connection.write_all(said.as_bytes())?;
            Ok(connection)
        });
        sent.unwrap_or_else(|error| panic!("no connection to {address}: {error}"))
    })
}

fn asked(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
    patience: Duration,
) -> TcpStream {
    let sent = || {
        let mut connection = TcpStream::connect(address)?;
        connection.set_read_timeout(Some(patience))?;
        let length = body.len();
        write!(
            connection,
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )?;
        Ok::<_, std::io::Error>(connection)
    };
    sent().unwrap_or_else(|error| panic!("{method} {path} was not sent: {error}"))
}
