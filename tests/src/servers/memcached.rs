//! A memcached server for one test.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::port::free_port;
use super::process::{Process, Signal, find_on_path, room};
use super::proxy::Proxy;
use super::wait::{LIMIT, within};

const PORTS_TRIED: usize = 10;
const SOCKET: &str = "memcached.sock";

/// How long the harness waits for an answer when it asks whether the server is up.
const PROBE: Duration = Duration::from_millis(500);

/// A `memcached` on a free loopback port or a unix socket, in a directory of its own. Dropping it
/// kills it, stopped or not; so does the end of the test process, for whatever reason.
#[derive(Debug)]
pub struct MemcachedServer {
    process: Process,
    /// None on a unix socket.
    port: Option<u16>,
}

/// How a [`MemcachedServer`] is to be started.
#[derive(Debug, Clone, Default)]
pub struct MemcachedOptions {
    unix_socket: bool,
    args: Vec<String>,
}

impl MemcachedOptions {
    /// Listens on a unix socket, and on no port.
    pub fn unix_socket(mut self) -> Self {
        self.unix_socket = true;
        self
    }

    /// Adds arguments of the command line, like `["-I", "64k"]`. They come last and take
    /// precedence.
    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.args.extend(args.into_iter().map(str::to_owned));
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    ///
    /// When `memcached` is not installed, or does not start: the message shows the end of what it
    /// printed.
    pub fn start(self) -> MemcachedServer {
        let program = find_on_path("memcached", "memcached");
        for _ in 0..PORTS_TRIED {
            let port = (!self.unix_socket).then(free_port);
            let room = room("memcached");
            let args = self.command_line(port, room.path());
            let server = MemcachedServer {
                process: Process::start(&program, args, room),
                port,
            };
            if server.came_up() {
                return server;
            }
            assert!(
                server.is_port_taken(),
                "memcached does not start at {}; its output ends with\n{}",
                server.name(),
                server.process.tail()
            );
        }
        panic!("memcached found {PORTS_TRIED} ports taken, one after the other");
    }

    fn command_line(&self, port: Option<u16>, room: &Path) -> Vec<String> {
        // Root must choose a user; for any other user the choice is ignored.
        let mut line: Vec<String> = ["-u", "root", "-U", "0"].map(str::to_owned).into();
        match port {
            Some(port) => line.extend([
                "-l".into(),
                "127.0.0.1".into(),
                "-p".into(),
                port.to_string(),
            ]),
            None => line.extend(["-s".into(), socket_in(room).to_string_lossy().into_owned()]),
        }
        line.extend(self.args.iter().cloned());
        line
    }
}

impl MemcachedServer {
    /// Starts one with the defaults and waits until it answers.
    ///
    /// # Panics
    ///
    /// As [`MemcachedOptions::start`].
    pub fn start() -> Self {
        Self::options().start()
    }

    /// The options of a server that is not started yet.
    pub fn options() -> MemcachedOptions {
        MemcachedOptions::default()
    }

    /// `host:port`, or the path of its socket: what a `memcached://` URL lists.
    pub fn name(&self) -> String {
        match self.port {
            Some(port) => format!("127.0.0.1:{port}"),
            None => socket_in(self.process.room())
                .to_string_lossy()
                .into_owned(),
        }
    }

    /// `memcached://` with this server alone.
    pub fn url(&self) -> String {
        format!("memcached://{}", self.name())
    }

    /// [`url`](Self::url), with the wire going through `proxy`.
    pub fn url_through(&self, proxy: &Proxy) -> String {
        format!("memcached://{}", proxy.addr())
    }

    /// `memcached://` with all of `servers`.
    pub fn url_of(servers: &[Self]) -> String {
        let names: Vec<String> = servers.iter().map(Self::name).collect();
        format!("memcached://{}", names.join(","))
    }

    /// Its address.
    ///
    /// # Panics
    ///
    /// When it listens on a unix socket.
    pub fn addr(&self) -> SocketAddr {
        let Some(port) = self.port else {
            panic!("it listens at {}, and on no port", self.name());
        };
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    /// The process, for everything that has no method here.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Sends `request`, with its line ends, on a connection of its own, and returns everything up
    /// to and with the first line that starts with `last`.
    ///
    /// # Panics
    ///
    /// When there is no such line within ten seconds.
    pub fn ask(&self, request: &[u8], last: &str) -> String {
        self.try_ask(request, last, LIMIT).unwrap_or_else(|error| {
            panic!(
                "no {last} from memcached at {} to {}: {error}",
                self.name(),
                String::from_utf8_lossy(request)
            )
        })
    }

    /// The value under `key`.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn value(&self, key: &str) -> Option<Vec<u8>> {
        let request = format!("mg {key} v\r\nmn\r\n");
        let answer = self.exchange(request.as_bytes(), "MN", LIMIT);
        let answer = answer.unwrap_or_else(|error| panic!("no answer for {key}: {error}"));
        let line = answer.windows(2).position(|pair| pair == b"\r\n")?;
        let length = std::str::from_utf8(&answer[..line]).ok()?;
        let length: usize = length.strip_prefix("VA ")?.parse().ok()?;
        answer.get(line + 2..line + 2 + length).map(<[u8]>::to_vec)
    }

    /// The values of `stats`, by name.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn stat(&self, name: &str) -> Option<String> {
        field(&self.ask(b"stats\r\n", "END"), name)
    }

    /// Whether this server, and no other at its address, answers right now.
    pub fn is_up(&self) -> bool {
        self.process.pid().is_some_and(|pid| {
            let stats = self.try_ask(b"stats\r\n", "END", PROBE);
            let told = stats.ok().and_then(|stats| field(&stats, "pid"));
            told == Some(pid.to_string())
        })
    }

    /// Kills it (SIGKILL) and waits until it is gone: from then on its address refuses connections.
    pub fn kill(&self) {
        self.process.end();
    }

    /// Stops it (SIGSTOP): connections are still accepted, but not answered.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn stop(&self) {
        self.process.signal(Signal::Stop);
    }

    /// Lets it go on (SIGCONT). It then handles everything that arrived in between.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn cont(&self) {
        self.process.signal(Signal::Continue);
    }

    /// Kills it if it runs, starts it again at the same address, empty, and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it does not start, or when another process has taken the port.
    pub fn restart(&self) {
        let up = within(LIMIT, || {
            self.process.restart();
            self.came_up() || !self.is_port_taken()
        });
        assert!(
            up && self.is_up(),
            "memcached does not start again at {}; its output ends with\n{}",
            self.name(),
            self.process.tail()
        );
    }

    fn try_ask(&self, request: &[u8], last: &str, limit: Duration) -> io::Result<String> {
        let answer = self.exchange(request, last, limit)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    fn exchange(&self, request: &[u8], last: &str, limit: Duration) -> io::Result<Vec<u8>> {
        match self.port {
            Some(_) => {
                let stream = TcpStream::connect_timeout(&self.addr(), limit)?;
                stream.set_read_timeout(Some(limit))?;
                exchange(stream, request, last)
            }
            None => {
                let stream = UnixStream::connect(self.name())?;
                stream.set_read_timeout(Some(limit))?;
                exchange(stream, request, last)
            }
        }
    }

    /// Whether it came up; `false` at once if it has ended.
    fn came_up(&self) -> bool {
        let mut up = false;
        within(LIMIT, || {
            up = self.is_up();
            up || !self.process.is_running()
        });
        up
    }

    fn is_port_taken(&self) -> bool {
        !self.process.is_running() && self.process.tail().contains("Address already in use")
    }
}

fn exchange(mut stream: impl Read + Write, request: &[u8], last: &str) -> io::Result<Vec<u8>> {
    stream.write_all(request)?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 4_096]);
    loop {
        let mut lines = answer.split_inclusive(|byte| *byte == b'\n');
        if lines.any(|line| line.starts_with(last.as_bytes()) && line.ends_with(b"\r\n")) {
            return Ok(answer);
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => answer.extend(&chunk[..read]),
        }
    }
}

fn field(stats: &str, name: &str) -> Option<String> {
    stats.lines().find_map(|line| {
        let (found, value) = line.strip_prefix("STAT ")?.split_once(' ')?;
        (found == name).then(|| value.to_owned())
    })
}

fn socket_in(room: &Path) -> PathBuf {
    room.join(SOCKET)
}
