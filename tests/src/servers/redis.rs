//! A Redis server for one test.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::certificates::{Authority, Identity};
use super::client::Connection;
use super::port::free_port;
use super::process::{Process, Signal, find_on_path, room};
use super::proxy::Proxy;
use super::resp::Reply;
use super::wait::{LIMIT, eventually, within};

const PORTS_TRIED: usize = 10;
const SOCKET: &str = "redis.sock";

/// How long the harness waits for an answer when it asks whether the server is up.
const PROBE: Duration = Duration::from_millis(500);

/// A `redis-server` on a free loopback port, without persistence, in a directory of its own.
/// Dropping it kills it, stopped or not; so does the end of the test process, for whatever reason.
#[derive(Debug)]
pub struct RedisServer {
    process: Process,
    port: u16,
    /// Its port for TLS, whether it has one or not.
    tls_port: u16,
    /// Its port for the other nodes, if it is one of a cluster.
    bus_port: u16,
    options: RedisOptions,
}

/// How a [`RedisServer`] is to be started.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    password: Option<String>,
    unix_socket: bool,
    tls: Option<Tls>,
    in_cluster: bool,
    args: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Tls {
    authority: PathBuf,
    identity: Identity,
    asks_clients: bool,
}

impl RedisOptions {
    /// Asks for a password (`requirepass`).
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Listens on a Unix socket as well, [`RedisServer::socket`].
    pub fn unix_socket(mut self) -> Self {
        self.unix_socket = true;
        self
    }

    /// Listens with TLS as well, on [`RedisServer::tls_port`], with a certificate of `authority`.
    /// Replicas and sentinels use that port, too.
    pub fn tls(self, authority: &Authority) -> Self {
        let identity = authority.issue();
        self.tls_as(authority, identity)
    }

    /// [`tls`](Self::tls) with this certificate.
    pub fn tls_as(mut self, authority: &Authority, identity: Identity) -> Self {
        self.tls = Some(Tls {
            authority: authority.file(),
            identity,
            asks_clients: false,
        });
        self
    }

    /// Lets in only clients with a certificate of the same authority.
    pub fn asks_clients(mut self) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.asks_clients = true;
        }
        self
    }

    /// Keeps at most `bytes`, and applies `policy` above that: `noeviction` to be out of memory,
    /// `allkeys-lru` to evict.
    pub fn max_memory(self, bytes: usize, policy: &str) -> Self {
        let bytes = bytes.to_string();
        self.args(["--maxmemory", &bytes, "--maxmemory-policy", policy])
    }

    /// Adds arguments of the command line, like `["--timeout", "1"]`. They come last and take
    /// precedence.
    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.args.extend(args.into_iter().map(str::to_owned));
        self
    }

    /// Gives it a port for the other nodes of a cluster.
    pub(super) fn in_cluster(mut self) -> Self {
        self.in_cluster = true;
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    ///
    /// When `redis-server` is not installed, or does not start: the message shows the end of what
    /// it printed.
    pub fn start(self) -> RedisServer {
        let program = find_on_path("redis-server", "redis-server");
        for _ in 0..PORTS_TRIED {
            let (port, tls_port, bus_port) = (free_port(), free_port(), free_port());
            let room = room("redis");
            let mut args = self.command_line(port, tls_port, room.path());
            if self.in_cluster {
                // By default the bus has the port plus 10,000, which may be that of any connection.
                args.extend(["--cluster-port".into(), bus_port.to_string()]);
            }
            let server = RedisServer {
                process: Process::start(&program, args, room),
                port,
                tls_port,
                bus_port,
                options: self.clone(),
            };
            if server.came_up() {
                return server;
            }
            assert!(
                server.is_port_taken(),
                "redis-server does not start on port {port}; its output ends with\n{}",
                server.process.tail()
            );
        }
        panic!("redis-server found {PORTS_TRIED} ports taken, one after the other");
    }

    pub(super) fn password_of(&self) -> Option<&str> {
        self.password.as_deref()
    }

    pub(super) fn password_in_url(&self) -> Option<String> {
        self.password.as_deref().map(percent)
    }

    pub(super) fn tls_of(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    fn command_line(&self, port: u16, tls_port: u16, room: &Path) -> Vec<String> {
        let port = port.to_string();
        let room = room.to_string_lossy();
        #[rustfmt::skip]
        let mut line = vec![
            "--port", &port, "--bind", "127.0.0.1", "--dir", &room,
            "--daemonize", "no", "--save", "", "--appendonly", "no",
            // Five seconds by default, for which a new replica would wait for others.
            "--repl-diskless-sync-delay", "0",
        ];
        if let Some(password) = &self.password {
            line.extend(["--requirepass", password, "--masterauth", password]);
        }
        let socket = socket_in(Path::new(&*room)).to_string_lossy().into_owned();
        if self.unix_socket {
            line.extend(["--unixsocket", &socket]);
        }
        let tls = self.tls.as_ref().map(|tls| tls.settings(tls_port));
        for (name, value) in tls.iter().flatten() {
            line.extend([name.as_str(), value.as_str()]);
        }
        line.extend(self.args.iter().map(String::as_str));
        line.into_iter().map(str::to_owned).collect()
    }
}

impl Tls {
    /// Each setting of a server, as on the command line.
    pub(super) fn settings(&self, port: u16) -> Vec<(String, String)> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let clients = if self.asks_clients { "yes" } else { "no" };
        [
            ("--tls-port", port.to_string()),
            ("--tls-ca-cert-file", path(&self.authority)),
            ("--tls-cert-file", path(&self.identity.certificate)),
            ("--tls-key-file", path(&self.identity.key)),
            ("--tls-auth-clients", clients.into()),
            ("--tls-replication", "yes".into()),
            ("--tls-cluster", "yes".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

impl RedisServer {
    /// Starts one with the defaults and waits until it answers.
    ///
    /// # Panics
    ///
    /// As [`RedisOptions::start`].
    pub fn start() -> Self {
        Self::options().start()
    }

    /// The options of a server that is not started yet.
    pub fn options() -> RedisOptions {
        RedisOptions::default()
    }

    /// `redis://` with the port, and the password if it has one.
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// [`url`](Self::url), with the wire going through `proxy`.
    pub fn url_through(&self, proxy: &Proxy) -> String {
        self.url_at(proxy.port())
    }

    /// `rediss://` with its port for TLS, the password, and the authority to trust.
    ///
    /// # Panics
    ///
    /// When it was started without TLS.
    pub fn tls_url(&self) -> String {
        let Some(tls) = &self.options.tls else {
            panic!("started without TLS");
        };
        let plain = self.url_at(self.tls_port);
        let rest = plain.trim_start_matches("redis");
        format!("rediss{rest}?ca={}", tls.authority.display())
    }

    /// Its port for TLS.
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// The port that replicas and sentinels use.
    pub(super) fn link_port(&self) -> u16 {
        match self.options.tls {
            Some(_) => self.tls_port,
            None => self.port,
        }
    }

    pub(super) fn bus_port(&self) -> u16 {
        self.bus_port
    }

    /// Its port. It keeps it when it is restarted.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Its Unix socket.
    ///
    /// # Panics
    ///
    /// When it was started without one.
    pub fn socket(&self) -> PathBuf {
        assert!(self.options.unix_socket, "started without `unix_socket`");
        socket_in(self.process.room())
    }

    /// The process, for everything that has no method here.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Sends a command on a connection of its own, with the password, and returns the answer. An
    /// error from the server is [`Reply::Error`].
    ///
    /// # Panics
    ///
    /// When there is no answer within ten seconds.
    pub fn command<A: AsRef<[u8]>>(&self, words: &[A]) -> Reply {
        self.ask(words, LIMIT).unwrap_or_else(|error| {
            let name = words
                .first()
                .map(|name| String::from_utf8_lossy(name.as_ref()));
            let name = name.unwrap_or_default();
            panic!(
                "no answer to {name} from redis on port {}: {error}",
                self.port
            )
        })
    }

    /// An authenticated connection, for several commands.
    ///
    /// # Errors
    ///
    /// When there is no listener, or no answer within `limit`.
    pub fn connect(&self, limit: Duration) -> io::Result<Connection> {
        let mut connection = Connection::open(self.addr(), limit)?;
        if let Some(password) = &self.options.password {
            let reply = connection.command(&["AUTH", password])?;
            if let Some(error) = reply.error() {
                return Err(io::Error::other(error.to_owned()));
            }
        }
        Ok(connection)
    }

    /// Whether this server, and no other on its port, answers right now.
    pub fn is_up(&self) -> bool {
        self.process.pid().is_some_and(|pid| {
            let info = self.ask(&["INFO", "server"], PROBE);
            let info = info.ok().and_then(|info| info.text()).unwrap_or_default();
            field(&info, "process_id") == Some(&pid.to_string())
        })
    }

    /// Kills it (SIGKILL) and waits until it is gone: from then on its port refuses connections.
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

    /// Kills it if it runs, starts it again on the same port, empty, and waits until it answers.
    /// Settings made at run time (`CONFIG SET`, a master) are lost.
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
            "redis-server does not start again on port {}; its output ends with\n{}",
            self.port,
            self.process.tail()
        );
    }

    /// Makes it a replica, and waits until it has all of `master`'s keys. From then on it refuses
    /// writes (`READONLY`).
    ///
    /// # Panics
    ///
    /// When it can't reach the master within ten seconds.
    pub fn become_replica_of(&self, master: &Self) {
        let password = master.options.password.as_deref().unwrap_or_default();
        self.must(&["CONFIG", "SET", "masterauth", password]);
        self.must(&["REPLICAOF", "127.0.0.1", &master.link_port().to_string()]);
        eventually("the replica has synchronised", LIMIT, || {
            field(&self.info("replication"), "master_link_status") == Some("up")
        });
    }

    /// Makes it a master again, with the keys that it has.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn become_master(&self) {
        self.must(&["REPLICAOF", "NO", "ONE"]);
    }

    /// Removes every key.
    ///
    /// # Panics
    ///
    /// When it does not answer, or refuses because it is a replica.
    pub fn flush(&self) {
        self.must(&["FLUSHALL"]);
    }

    /// How often each command was called since the start or [`reset_stats`](Self::reset_stats), by
    /// its name in small letters (`get`, `client|setinfo`). The harness counts like any client:
    /// most `info` and `auth` are its own. Commands called by a script count, too.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn commandstats(&self) -> BTreeMap<String, u64> {
        let calls = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let calls = rest.split(',').next()?.parse().ok()?;
            Some((name.to_owned(), calls))
        };
        self.info("commandstats")
            .lines()
            .filter_map(calls)
            .collect()
    }

    /// Counts from zero again.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn reset_stats(&self) {
        self.must(&["CONFIG", "RESETSTAT"]);
    }

    fn url_at(&self, port: u16) -> String {
        match &self.options.password {
            Some(password) => format!("redis://:{}@127.0.0.1:{port}", percent(password)),
            None => format!("redis://127.0.0.1:{port}"),
        }
    }

    fn ask<A: AsRef<[u8]>>(&self, words: &[A], limit: Duration) -> io::Result<Reply> {
        self.connect(limit)?.command(words)
    }

    fn must(&self, words: &[&str]) {
        let reply = self.command(words);
        assert!(reply.is_ok(), "redis answers {} with {reply:?}", words[0]);
    }

    /// `master` or `slave`, if it answers.
    pub(super) fn role(&self) -> Option<String> {
        let info = self.ask(&["INFO", "replication"], PROBE).ok()?.text()?;
        field(&info, "role").map(str::to_owned)
    }

    fn info(&self, section: &str) -> String {
        self.command(&["INFO", section]).text().unwrap_or_default()
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

fn socket_in(room: &Path) -> PathBuf {
    room.join(SOCKET)
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim_end)
}

/// Escapes any password for a URL.
fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
