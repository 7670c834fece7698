//! A bare connection that speaks RESP, for the harness and for tests that want to see raw answers.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::resp::{Command, Reply};

/// A connection to a server, or to a proxy before one. Blocks.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    /// Connects. Neither this nor any later wait takes longer than `limit`.
    ///
    /// # Errors
    ///
    /// When there is no listener, or no answer.
    pub fn open(addr: SocketAddr, limit: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, limit)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        Ok(Self {
            stream,
            unread: Vec::new(),
        })
    }

    /// Changes how long a wait may take from now on.
    ///
    /// # Errors
    ///
    /// When the limit is zero.
    pub fn set_limit(&self, limit: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(limit))
    }

    /// Sends a command and reads its answer.
    ///
    /// # Errors
    ///
    /// When the connection ends first, is too slow, or carries something other than answers.
    pub fn command<A: AsRef<[u8]>>(&mut self, words: &[A]) -> io::Result<Reply> {
        self.send(words)?;
        self.receive()
    }

    /// Sends a command.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub fn send<A: AsRef<[u8]>>(&mut self, words: &[A]) -> io::Result<()> {
        self.send_raw(&Command::encode(words))
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads the next frame: an answer, or a message that the server pushed.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the connection ended, `WouldBlock` or `TimedOut` when the limit passed,
    /// `InvalidData` when it carries something else.
    pub fn receive(&mut self) -> io::Result<Reply> {
        loop {
            let parsed = Reply::parse(&self.unread)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if let Some((reply, length)) = parsed {
                self.unread.drain(..length);
                return Ok(reply);
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.unread.extend(&chunk[..read]),
            }
        }
    }

    /// The bytes that have arrived without being a whole frame yet.
    pub fn unread(&self) -> &[u8] {
        &self.unread
    }
}
