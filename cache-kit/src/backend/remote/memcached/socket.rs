//! The socket of a connection, in two halves, and how it is opened.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpStream, UnixStream, lookup_host, tcp, unix};
use tokio::time::timeout;

use super::config::Address;

const LOCALHOST: &str = "localhost";

/// The half that reads answers.
#[derive(Debug)]
pub(super) enum Reading {
    Tcp(tcp::OwnedReadHalf),
    Unix(unix::OwnedReadHalf),
}

/// The half that writes commands, without waiting.
#[derive(Debug)]
pub(super) enum Writing {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
}

/// Connects to a server, within `limit`.
///
/// A name may have several addresses. They are tried in order, and each gets a fair share of the
/// time that is left, so that one that does not answer does not block the next.
pub(super) async fn connect(address: &Address, limit: Duration) -> io::Result<(Reading, Writing)> {
    let (host, port) = match address {
        Address::Host { host, port, .. } => (host.as_str(), *port),
        Address::Path(path) => {
            let stream = timeout(limit, UnixStream::connect(path)).await??;
            let (reading, writing) = stream.into_split();
            return Ok((Reading::Unix(reading), Writing::Unix(writing)));
        }
    };
    let begun = tokio::time::Instant::now();
    let found = timeout(limit, lookup_host((host, port))).await?;
    let mut addresses: Vec<SocketAddr> = match found {
        Ok(found) => found.collect(),
        Err(_) if host == LOCALHOST => Vec::new(),
        Err(error) => return Err(error),
    };
    if host == LOCALHOST {
        // It is tried as both, whatever a hosts file says.
        for address in [
            Ipv4Addr::LOCALHOST.into(),
            IpAddr::from(Ipv6Addr::LOCALHOST),
        ] {
            let address = SocketAddr::new(address, port);
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (place, address) in addresses.iter().enumerate() {
        let tries = u32::try_from(addresses.len() - place).unwrap_or(u32::MAX);
        let part = limit.saturating_sub(begun.elapsed()) / tries;
        match timeout(part, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                let (reading, writing) = stream.into_split();
                return Ok((Reading::Tcp(reading), Writing::Tcp(writing)));
            }
            Ok(Err(error)) => failed = error,
            Err(late) => failed = late.into(),
        }
    }
    Err(failed)
}

impl Reading {
    /// Reads into `buffer`, and says how many bytes; none is the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(match self {
            Self::Tcp(half) => Pin::new(half).poll_read(cx, &mut buffer),
            Self::Unix(half) => Pin::new(half).poll_read(cx, &mut buffer),
        })?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl Writing {
    /// Writes what the socket has room for; none if it has no room.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Self::Tcp(half) => half.try_write(bytes),
            Self::Unix(half) => half.try_write(bytes),
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            written => written,
        }
    }

    /// Waits for room.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => half.as_ref().poll_write_ready(cx),
            Self::Unix(half) => half.as_ref().poll_write_ready(cx),
        }
    }
}
