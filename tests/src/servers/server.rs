//! What the servers of both stores have in common, for the tests that both run.

use std::fmt;
use std::time::Duration;

use cache_kit::backend::{
    AnyBackend, CacheBackend, EncodedConfig, HEAD_PREFIXES, Health, MemcachedBackend,
    MemcachedConfig, RedisBackend, RedisConfig,
};
use cache_kit::{CacheService, Result};

use super::{Command, MemcachedServer, PATIENCE, Proxy, RedisServer};

/// A server of a remote store, and the backend over it.
pub trait Server: fmt::Debug + Sized + Send + Sync + 'static {
    /// The backend over servers of this kind.
    type Backend: CacheBackend + Clone + fmt::Debug + Into<AnyBackend>;

    /// How many servers are under one backend in a test of many keys.
    const SERVERS: usize;

    /// How many connections a runtime has to one server at most.
    const CONNECTIONS: usize;

    /// The commands on the wire.
    const COMMANDS: Commands;

    /// Starts one with the defaults and waits until it answers.
    fn start() -> Self;

    /// The URL of this server alone.
    fn url(&self) -> String;

    /// The URL of all of `servers`: [`SERVERS`](Self::SERVERS) of them.
    fn url_of(servers: &[Self]) -> String;

    /// A proxy in front of it.
    fn proxy(&self) -> Proxy;

    /// [`url`](Self::url), with the wire going through `proxy`.
    fn url_through(&self, proxy: &Proxy) -> String;

    /// Stops it (SIGSTOP): connections are still accepted, but not answered.
    fn stop(&self);

    /// Lets it go on (SIGCONT).
    fn cont(&self);

    /// Kills it (SIGKILL) and waits until it is gone.
    fn kill(&self);

    /// Kills it if it runs, and starts it again at the same address, empty.
    fn restart(&self);

    /// Removes every key.
    fn flush(&self);

    /// The bytes under `key`: an entry, a placeholder or anything else.
    fn value(&self, key: &str) -> Option<Vec<u8>>;

    /// Puts bytes under `key`.
    fn put(&self, key: &str, value: &[u8]);

    /// Adds bytes to those under `key`.
    fn append(&self, key: &str, value: &[u8]);

    /// Removes `key`.
    fn delete(&self, key: &str);

    /// A backend at `url`, with the settings that `change` makes of the defaults, and `connect` as the
    /// deadline of connecting, if given.
    ///
    /// # Errors
    ///
    /// As the configuration and the constructor of the backend.
    fn backend_with(
        url: &str,
        connect: Option<Duration>,
        change: impl FnOnce(EncodedConfig) -> EncodedConfig,
    ) -> Result<Self::Backend>;

    /// A backend at `url`, with the settings that `change` makes of the defaults.
    ///
    /// # Errors
    ///
    /// As [`backend_with`](Self::backend_with).
    fn backend(
        url: &str,
        change: impl FnOnce(EncodedConfig) -> EncodedConfig,
    ) -> Result<Self::Backend> {
        Self::backend_with(url, None, change)
    }

    /// [`backend`](Self::backend) that waits for [`PATIENCE`] for commands and connections: a busy
    /// machine is no broken server.
    ///
    /// # Errors
    ///
    /// As [`backend_with`](Self::backend_with).
    fn patient_backend(
        url: &str,
        change: impl FnOnce(EncodedConfig) -> EncodedConfig,
    ) -> Result<Self::Backend> {
        Self::backend_with(url, Some(PATIENCE), |encoded| {
            change(encoded.with_operation_deadline(PATIENCE))
        })
    }

    /// The health of the backend of `service`.
    fn health(service: &CacheService<Self::Backend>) -> Health {
        service.health()
    }
}

/// A kind of command: its name on the wire or in a message, and how it is recognized.
pub type Kind = (&'static str, fn(&Command) -> bool);

/// The commands that a store sends, by what they do.
#[derive(Debug, Clone, Copy)]
pub struct Commands {
    /// The first command on a connection.
    pub greeting: Kind,
    /// Look-ups. The name is that of a look-up of one key.
    pub get: Kind,
    /// Leases, except those of an invalidation.
    pub claim: Kind,
    /// The lease of an invalidation.
    pub set: Kind,
    /// Stores.
    pub swap: Kind,
    /// Releases.
    pub remove: Kind,
    /// Invalidations without a load.
    pub delete: Kind,
}

fn runs_a_script(command: &Command) -> bool {
    command.is("EVALSHA") || command.is("EVAL")
}

fn sets(command: &Command, option: &str) -> bool {
    command.is("SET") && command.has_arg(option)
}

/// Of the scripts, only a claim gets the prefixes of a head.
fn claims(command: &Command) -> bool {
    sets(command, "NX") || runs_a_script(command) && command.has_arg(HEAD_PREFIXES[0])
}

impl Server for RedisServer {
    type Backend = RedisBackend;

    const SERVERS: usize = 1;
    const CONNECTIONS: usize = 1;
    const COMMANDS: Commands = Commands {
        greeting: ("HELLO", |command| command.is("HELLO")),
        get: ("GET", |command| command.is("GET") || command.is("MGET")),
        claim: ("claim", claims),
        set: ("set", |command| {
            command.is("SET") && !sets(command, "NX") && !sets(command, "IFEQ")
        }),
        // The script of a swap has a head, a value and a lifetime; that of a remove has a head alone.
        swap: ("swap", |command| {
            sets(command, "IFEQ")
                || runs_a_script(command) && !claims(command) && command.args().len() > 4
        }),
        remove: ("remove", |command| {
            command.is("DELEX")
                || command.is("DELIFEQ")
                || runs_a_script(command) && !claims(command) && command.args().len() == 4
        }),
        delete: ("delete", |command| command.is("DEL")),
    };

    fn start() -> Self {
        Self::start()
    }

    fn url(&self) -> String {
        Self::url(self)
    }

    fn url_of(servers: &[Self]) -> String {
        let [server] = servers else {
            panic!("a backend is over one server, and not over {servers:?}");
        };
        Self::url(server)
    }

    fn proxy(&self) -> Proxy {
        Proxy::in_front_of(self.addr())
    }

    fn url_through(&self, proxy: &Proxy) -> String {
        Self::url_through(self, proxy)
    }

    fn stop(&self) {
        Self::stop(self);
    }

    fn cont(&self) {
        Self::cont(self);
    }

    fn kill(&self) {
        Self::kill(self);
    }

    fn restart(&self) {
        Self::restart(self);
    }

    fn flush(&self) {
        Self::flush(self);
    }

    fn value(&self, key: &str) -> Option<Vec<u8>> {
        let reply = self.command(&["GET", key]);
        assert!(reply.error().is_none(), "{reply:?}");
        reply.bytes().map(<[u8]>::to_vec)
    }

    fn put(&self, key: &str, value: &[u8]) {
        let reply = self.command(&[b"SET".as_slice(), key.as_bytes(), value]);
        assert!(reply.is_ok(), "{reply:?}");
    }

    fn append(&self, key: &str, value: &[u8]) {
        let reply = self.command(&[b"APPEND".as_slice(), key.as_bytes(), value]);
        assert!(reply.integer().is_some(), "{reply:?}");
    }

    fn delete(&self, key: &str) {
        let reply = self.command(&["DEL", key]);
        assert!(reply.integer().is_some(), "{reply:?}");
    }

    fn backend_with(
        url: &str,
        connect: Option<Duration>,
        change: impl FnOnce(EncodedConfig) -> EncodedConfig,
    ) -> Result<RedisBackend> {
        let mut config = RedisConfig::from_url(url)?.set(change);
        if let Some(connect) = connect {
            config = config.with_connect_deadline(connect);
        }
        RedisBackend::new(config)
    }
}

/// Whether one of its words is a flag with this letter. A value is not a flag.
fn has_flag(command: &Command, flag: &str) -> bool {
    let words = command
        .args()
        .iter()
        .skip(1)
        .filter(|word| word.len() <= 21);
    words.map(Vec::as_slice).any(|word| {
        let number = word.strip_prefix(flag.as_bytes());
        number.is_some_and(|rest| rest.iter().all(u8::is_ascii_digit))
    })
}

/// A lease begins with an `add`, a store compares numbers, an invalidation sets unconditionally.
fn stores(command: &Command, flag: &str) -> bool {
    command.is("MS") && has_flag(command, flag)
}

fn greets(command: &Command) -> bool {
    command.is("MG") && command.has_arg("cache-kit:hello")
}

impl Server for MemcachedServer {
    type Backend = MemcachedBackend;

    const SERVERS: usize = 3;
    const CONNECTIONS: usize = 4;
    const COMMANDS: Commands = Commands {
        greeting: ("MG", greets),
        get: ("MG", |command| {
            command.is("MG") && !greets(command) || command.is("GET")
        }),
        claim: ("claim", |command| stores(command, "ME")),
        set: ("set", |command| stores(command, "MS")),
        swap: ("swap", |command| stores(command, "C")),
        remove: ("remove", |command| {
            command.is("MD") && has_flag(command, "C")
        }),
        delete: ("delete", |command| {
            command.is("DELETE") || command.is("MD") && !has_flag(command, "C")
        }),
    };

    fn start() -> Self {
        Self::start()
    }

    fn url(&self) -> String {
        Self::url(self)
    }

    fn url_of(servers: &[Self]) -> String {
        Self::url_of(servers)
    }

    fn proxy(&self) -> Proxy {
        Proxy::in_front_of_memcached(self.addr())
    }

    fn url_through(&self, proxy: &Proxy) -> String {
        Self::url_through(self, proxy)
    }

    fn stop(&self) {
        Self::stop(self);
    }

    fn cont(&self) {
        Self::cont(self);
    }

    fn kill(&self) {
        Self::kill(self);
    }

    fn restart(&self) {
        Self::restart(self);
    }

    fn flush(&self) {
        self.ask(b"flush_all\r\n", "OK");
    }

    fn value(&self, key: &str) -> Option<Vec<u8>> {
        Self::value(self, key)
    }

    fn put(&self, key: &str, value: &[u8]) {
        let command = format!("ms {key} {}\r\n", value.len());
        self.ask(&[command.as_bytes(), value, b"\r\n"].concat(), "HD");
    }

    fn append(&self, key: &str, value: &[u8]) {
        let command = format!("append {key} 0 0 {}\r\n", value.len());
        self.ask(&[command.as_bytes(), value, b"\r\n"].concat(), "STORED");
    }

    fn delete(&self, key: &str) {
        self.ask(format!("md {key}\r\nmn\r\n").as_bytes(), "MN");
    }

    fn backend_with(
        url: &str,
        connect: Option<Duration>,
        change: impl FnOnce(EncodedConfig) -> EncodedConfig,
    ) -> Result<MemcachedBackend> {
        let mut config = MemcachedConfig::from_url(url)?.set(change);
        if let Some(connect) = connect {
            config = config.with_connect_deadline(connect);
        }
        MemcachedBackend::new(config)
    }
}
