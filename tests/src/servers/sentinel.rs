//! A master with a replica, and sentinels that watch over them.

use std::fmt::Write;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::certificates::Authority;
use super::client::Connection;
use super::port::free_port;
use super::process::{Process, Signal, find_on_path, room};
use super::redis::{RedisOptions, RedisServer, Tls};
use super::resp::Reply;
use super::wait::{LIMIT, eventually, within};

const NAME: &str = "the-master";
const PORTS_TRIED: usize = 10;
const CONFIG: &str = "sentinel.conf";

/// How long a failover may take: three times what the sentinels need on an idle machine, and more.
const FAILOVER: Duration = Duration::from_secs(60);

/// A master, its replica, and sentinels.
#[derive(Debug)]
pub struct Watched {
    servers: [RedisServer; 2],
    sentinels: Vec<Sentinel>,
    options: WatchedOptions,
}

/// How a [`Watched`] is to be started.
#[derive(Debug, Clone)]
pub struct WatchedOptions {
    sentinels: u16,
    down_after: Duration,
    servers: RedisOptions,
    tls: Option<String>,
    sentinel_password: Option<String>,
}

/// One sentinel, on a free loopback port. Dropping it kills it.
#[derive(Debug)]
pub struct Sentinel {
    process: Process,
    port: u16,
    tls_port: u16,
    password: Option<String>,
}

impl WatchedOptions {
    /// How many sentinels; more than half of them must agree to a failover.
    pub fn sentinels(mut self, sentinels: u16) -> Self {
        self.sentinels = sentinels;
        self
    }

    /// How long the master may be silent before it counts as down. Default one minute: a busy
    /// machine must not look like a dead master.
    pub fn down_after(mut self, down_after: Duration) -> Self {
        self.down_after = down_after;
        self
    }

    /// Everything over TLS: clients, replication, and the sentinels.
    pub fn tls(mut self, authority: &Authority) -> Self {
        self.servers = self.servers.tls(authority);
        self.tls = Some(authority.file().display().to_string());
        self
    }

    /// The password of master and replica.
    pub fn password(mut self, password: &str) -> Self {
        self.servers = self.servers.password(password);
        self
    }

    /// The password of the sentinels.
    pub fn sentinel_password(mut self, password: &str) -> Self {
        self.sentinel_password = Some(password.to_owned());
        self
    }

    /// Starts them all, and waits until every sentinel knows the replica and the other sentinels.
    ///
    /// # Panics
    ///
    /// When one of them does not start.
    pub fn start(self) -> Watched {
        let servers = [self.servers.clone().start(), self.servers.clone().start()];
        let [master, replica] = &servers;
        replica.become_replica_of(master);
        let sentinels: Vec<_> = (0..self.sentinels)
            .map(|_| Sentinel::start(&self, master))
            .collect();
        let watched = Watched {
            servers,
            sentinels,
            options: self,
        };
        watched.wait_until_ready();
        watched
    }
}

impl Watched {
    /// The options of some that are not started yet: one sentinel, without TLS and passwords.
    pub fn options() -> WatchedOptions {
        WatchedOptions {
            sentinels: 1,
            down_after: Duration::from_secs(60),
            servers: RedisServer::options(),
            tls: None,
            sentinel_password: None,
        }
    }

    /// `redis+sentinel://`, or `rediss+sentinel://`, with all sentinels and the passwords.
    pub fn url(&self) -> String {
        let ports = self
            .sentinels
            .iter()
            .map(|sentinel| sentinel.link_port(self));
        self.url_over(ports)
    }

    /// [`url`](Self::url) with the sentinels on these ports.
    pub fn url_over(&self, ports: impl IntoIterator<Item = u16>) -> String {
        let hosts: Vec<_> = ports
            .into_iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        let hosts = hosts.join(",");
        let password = match self.options.servers.password_in_url() {
            Some(password) => format!(":{password}@"),
            None => String::new(),
        };
        let mut parameters = Vec::new();
        if let Some(password) = &self.options.sentinel_password {
            parameters.push(format!("sentinel_pass={password}"));
        }
        let scheme = match &self.options.tls {
            Some(authority) => {
                parameters.push(format!("ca={authority}"));
                "rediss"
            }
            None => "redis",
        };
        let parameters = parameters.join("&");
        format!("{scheme}+sentinel://{password}{hosts}/{NAME}?{parameters}")
    }

    /// The two servers: the first one was the master at the start.
    pub fn servers(&self) -> &[RedisServer; 2] {
        &self.servers
    }

    /// The sentinels.
    pub fn sentinels(&self) -> &[Sentinel] {
        &self.sentinels
    }

    /// Waits until the sentinels name `server` as the master, and it is one.
    ///
    /// # Panics
    ///
    /// When that takes longer than a minute.
    pub fn wait_until_master(&self, server: &RedisServer) {
        eventually("the other server is promoted", FAILOVER, || {
            self.is_master(server)
        });
    }

    /// Whether all sentinels name `server` as the master, and it is one.
    pub fn is_master(&self, server: &RedisServer) -> bool {
        let port = server.link_port().to_string();
        let named = self.sentinels.iter().all(|sentinel| {
            let named = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
            let Ok(Reply::Array(named)) = named else {
                return false;
            };
            named.get(1).and_then(Reply::text).as_ref() == Some(&port)
        });
        named && server.role().as_deref() == Some("master")
    }

    /// Makes the first sentinel replace the master, which goes on as a replica.
    ///
    /// # Panics
    ///
    /// When it refuses.
    pub fn order_failover(&self) {
        let ordered = self.sentinels[0].ask(&["SENTINEL", "FAILOVER", NAME]);
        ordered.unwrap_or_else(|error| panic!("no failover by order: {error}"));
    }

    fn wait_until_ready(&self) {
        let others = self.sentinels.len().saturating_sub(1).to_string();
        eventually("the sentinels know all of them", LIMIT, || {
            self.sentinels.iter().all(|sentinel| {
                let known = |name: &str| sentinel.of_master(name);
                known("num-slaves").as_deref() == Some("1")
                    && known("num-other-sentinels").as_deref() == Some(&others)
                    && known("flags").as_deref() == Some("master")
            })
        });
    }
}

impl Sentinel {
    fn start(options: &WatchedOptions, master: &RedisServer) -> Self {
        // A sentinel is the same program.
        let program = find_on_path("redis-server", "redis-server");
        for _ in 0..PORTS_TRIED {
            let (port, tls_port) = (free_port(), free_port());
            let room = room("sentinel");
            let path = room.path().join(CONFIG);
            let text = config(options, master, port, tls_port);
            fs::write(&path, text)
                .unwrap_or_else(|error| panic!("no settings for a sentinel: {error}"));
            let args = [path.as_os_str().to_owned(), "--sentinel".into()];
            let sentinel = Self {
                process: Process::start(&program, args, room),
                port,
                tls_port,
                password: options.sentinel_password.clone(),
            };
            let up = within(LIMIT, || {
                sentinel.ask(&["PING"]).is_ok() || !sentinel.process.is_running()
            });
            if up && sentinel.process.is_running() {
                return sentinel;
            }
            let tail = sentinel.process.tail();
            assert!(
                tail.contains("Address already in use"),
                "a sentinel does not start; its output ends with\n{tail}"
            );
        }
        panic!("a sentinel found {PORTS_TRIED} ports taken, one after the other");
    }

    /// Its port, without TLS.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of its port without TLS.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&self) {
        self.process.end();
    }

    /// Kills it if it runs, and starts it again on the same port, with what it knew.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn restart(&self) {
        self.process.restart();
        eventually("the sentinel answers again", LIMIT, || {
            self.ask(&["PING"]).is_ok()
        });
    }

    /// Stops it: connections are still accepted, but not answered.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn stop(&self) {
        self.process.signal(Signal::Stop);
    }

    fn link_port(&self, watched: &Watched) -> u16 {
        match watched.options.tls {
            Some(_) => self.tls_port,
            None => self.port,
        }
    }

    fn ask(&self, words: &[&str]) -> io::Result<Reply> {
        let mut connection = Connection::open(self.addr(), LIMIT)?;
        if let Some(password) = &self.password {
            connection.command(&["AUTH", password])?;
        }
        let reply = connection.command(words)?;
        match reply.error() {
            Some(error) => Err(io::Error::other(error.to_owned())),
            None => Ok(reply),
        }
    }

    /// A field of what it knows of the master.
    fn of_master(&self, name: &str) -> Option<String> {
        let Reply::Array(fields) = self.ask(&["SENTINEL", "MASTER", NAME]).ok()? else {
            return None;
        };
        let mut fields = fields.iter().filter_map(Reply::text);
        fields.find(|field| field == name)?;
        fields.next()
    }
}

fn config(options: &WatchedOptions, master: &RedisServer, port: u16, tls_port: u16) -> String {
    let quorum = options.sentinels / 2 + 1;
    let down_after = options.down_after.as_millis();
    let mut text = format!(
        "port {port}\nbind 127.0.0.1\n\
         sentinel monitor {NAME} 127.0.0.1 {} {quorum}\n\
         sentinel down-after-milliseconds {NAME} {down_after}\n\
         sentinel failover-timeout {NAME} 3000\n",
        master.link_port()
    );
    let mut line = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    if let Some(password) = options.servers.password_of() {
        line(format!("sentinel auth-pass {NAME} \"{password}\""));
    }
    if let Some(password) = &options.sentinel_password {
        line(format!("requirepass {password}"));
        line(format!("sentinel sentinel-pass {password}"));
    }
    let tls = options
        .servers
        .tls_of()
        .map(|tls: &Tls| tls.settings(tls_port));
    for (name, value) in tls.into_iter().flatten() {
        line(format!("{} {value}", name.trim_start_matches('-')));
    }
    text
}
