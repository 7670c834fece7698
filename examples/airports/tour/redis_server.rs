//! [`RedisServer`]: a Redis server for the tour alone, gone when the tour ends.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::failure::Failure;

/// A server on a loopback port, with a password of its own and its files in a temporary directory.
/// Dropping it kills it.
#[derive(Debug)]
pub(crate) struct RedisServer {
    program: &'static str,
    child: Child,
    directory: TempDir,
    port: u16,
    password: String,
}

impl RedisServer {
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Starts `program` and waits until it answers; `None` if there is no such program.
    pub(crate) async fn start(program: &'static str) -> Result<Option<Self>, Failure> {
        Self::start_with(program, &new_password(), "").await
    }

    /// The same with more lines in its configuration.
    pub(crate) async fn start_with(
        program: &'static str,
        password: &str,
        lines: &str,
    ) -> Result<Option<Self>, Failure> {
        let (port, directory) = Self::prepare().map_err(Failure::when("prepare a redis-server"))?;
        let config = format!(
            "bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave \"\"\nappendonly no\n\
             {lines}"
        );
        let started = fs::write(directory.path().join("redis.conf"), config)
            .and_then(|()| spawn(program, &directory));
        let child = match started {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            started => started.map_err(Failure::when("start redis-server"))?,
        };
        let mut server = Self {
            program,
            child,
            directory,
            port,
            password: password.to_owned(),
        };
        server.came_up().await?;
        Ok(Some(server))
    }

    /// With the password in it.
    pub(crate) fn url(&self) -> String {
        format!("redis://:{}@{}", self.password, self.address())
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Makes it save its data, as servers with persistence do from time to time, and kills it.
    pub(crate) async fn save_and_kill(&mut self) -> Result<(), Failure> {
        let saved = self.command("SAVE").await;
        saved.map_err(Failure::when("save what Redis holds"))?;
        self.kill()
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) -> Result<(), Failure> {
        self.end().map_err(Failure::when("kill redis-server"))
    }

    /// Starts it again on the same port, with what it had when it was saved.
    pub(crate) async fn come_back(&mut self) -> Result<(), Failure> {
        self.child = spawn(self.program, &self.directory)
            .map_err(Failure::when("start redis-server again"))?;
        self.came_up().await
    }

    /// Kills it and removes its files.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        self.kill()?;
        fs::remove_dir_all(self.directory.path())
            .map_err(Failure::when("remove the files of redis-server"))
    }

    fn prepare() -> io::Result<(u16, TempDir)> {
        let port = free_port()?;
        let directory = tempfile::Builder::new()
            .prefix("cache-kit-tour-redis-")
            .tempdir()?;
        Ok((port, directory))
    }

    async fn came_up(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + Self::PATIENCE;
        loop {
            if self
                .command("PING")
                .await
                .is_ok_and(|answer| answer == ["PONG"])
            {
                return Ok(());
            }
            let ended = self.child.try_wait();
            let ended = ended.map_err(Failure::when("watch redis-server"))?;
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(self.directory.path().join("redis.log"));
                let log = log.unwrap_or_default();
                let last = log.lines().last().unwrap_or("it does not answer");
                return Err(Failure::when("start redis-server")(last));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends a command and returns the texts of the answer.
    pub(crate) async fn command(&self, command: &str) -> io::Result<Vec<String>> {
        let talk = async {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
            let mut stream = BufReader::new(stream);
            let words = format!("AUTH {}\r\n{command}\r\n", self.password);
            stream.write_all(words.as_bytes()).await?;
            read_reply(&mut stream).await?;
            read_reply(&mut stream).await
        };
        match tokio::time::timeout(Self::PATIENCE, talk).await {
            Ok(reply) => reply,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may be dead already, and there is no caller to report it to.
        let _ = self.end();
    }
}

/// With a password, only the tour gets in, and it notices if another server has the port.
pub(crate) fn new_password() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// Below the range of ports for outgoing connections: a client that dials one of those while no
/// server listens there can be connected to itself.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A loopback port on which nothing listens now.
pub(crate) fn free_port() -> io::Result<u16> {
    let free = (0..100).find_map(|_| {
        let port = fastrand::u16(PORTS);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        listener.ok().map(|_| port)
    });
    free.ok_or_else(|| io::ErrorKind::AddrInUse.into())
}

/// Reads one reply as the texts in it. An error is one here, too.
async fn read_reply(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<String>> {
    let mut texts = Vec::new();
    let mut missing = 1;
    while missing > 0 {
        missing -= 1;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim_end();
        let odd = || io::Error::new(io::ErrorKind::InvalidData, format!("odd reply: {line}"));
        let Some((kind, rest)) = line.split_at_checked(1) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        match kind {
            "+" | ":" => texts.push(rest.to_owned()),
            "-" => return Err(io::Error::other(rest.to_owned())),
            "$" => {
                let length: usize = rest.parse().map_err(|_| odd())?;
                let mut bytes = vec![0; length + 2];
                stream.read_exact(&mut bytes).await?;
                bytes.truncate(length);
                texts.push(String::from_utf8_lossy(&bytes).into_owned());
            }
            "*" => missing += rest.parse::<usize>().map_err(|_| odd())?,
            _ => return Err(odd()),
        }
    }
    Ok(texts)
}

/// Runs `program` in `directory`.
fn spawn(program: &str, directory: &TempDir) -> io::Result<Child> {
    let log = File::create(directory.path().join("redis.log"))?;
    Command::new(program)
        .arg("redis.conf")
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_left_of_a_server_that_is_dropped() {
        let server = RedisServer::start("redis-server").await.unwrap().unwrap();
        let (port, directory) = (server.port, server.directory.path().to_owned());
        assert_eq!(server.command("PING").await.unwrap(), ["PONG"]);
        assert!(server.command("PONG").await.is_err());
        drop(server);
        assert!(!directory.exists());
        let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        assert_eq!(
            refused.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }

    #[tokio::test]
    async fn a_program_that_does_not_serve_is_an_error_and_a_missing_one_is_not() {
        assert!(
            RedisServer::start("no-such-server")
                .await
                .unwrap()
                .is_none()
        );
        let failure = RedisServer::start("cat").await.unwrap_err();
        assert!(
            failure
                .to_string()
                .starts_with("could not start redis-server: "),
            "{failure}"
        );
    }
}
