//! Older and newer releases of Redis and its relatives, played by a proxy in front of the installed
//! Redis 7.

use std::time::Duration;

use cache_kit::backend::{EncodedConfig, Health, RedisBackend};
use cache_kit::{CacheService, Result};

use super::{Command, Commands, Proxy, RedisServer, Server};

/// A release, by the commands that compare and set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Without `SET … NX GET`.
    Redis6,
    /// With it: what is installed.
    Redis7,
    /// With `SET … IFEQ` and `DELEX`.
    Redis8,
    /// With `SET … IFEQ`.
    Valkey8,
    /// With `SET … IFEQ` and `DELIFEQ`.
    Valkey9,
}

/// All of them.
pub const RELEASES: [Release; 5] = [
    Release::Redis6,
    Release::Redis7,
    Release::Redis8,
    Release::Valkey8,
    Release::Valkey9,
];

const SWAP: &str = "local there = redis.call('GET', KEYS[1])
    if there == ARGV[1] then
      if ARGV[3] then
        redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
      else
        redis.call('SET', KEYS[1], ARGV[2])
      end
    end
    return there";

const REMOVE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then
      return redis.call('DEL', KEYS[1])
    end
    return 0";

impl Release {
    /// What Redis 7 gets, so that it answers as this release would.
    fn translated(self, command: &Command) -> Option<Vec<u8>> {
        let args = command.args();
        let word = |place: usize| args.get(place).map_or(&b""[..], Vec::as_slice);
        let compares = matches!(self, Self::Redis8 | Self::Valkey8 | Self::Valkey9);
        let eval = |script: &str, key: &[u8], more: &[&[u8]]| {
            let words = [&[b"EVAL", script.as_bytes(), b"1", key][..], more].concat();
            Some(Command::encode(&words))
        };
        match command.name() {
            // An option that Redis 7 does not know, either.
            "SET" if self == Self::Redis6 && word(2) == b"NX" && word(3) == b"GET" => {
                let words = [&["SET".as_bytes()][..], &[word(0), word(1), b"NXGET"]].concat();
                Some(Command::encode(&words))
            }
            "SET" if compares && word(2) == b"IFEQ" && word(4) == b"GET" => {
                let mut more = vec![word(3), word(1)];
                if word(5) == b"PX" {
                    more.push(word(6));
                }
                eval(SWAP, word(0), &more)
            }
            // What a command without arguments is answered with.
            "DELEX" if self == Self::Redis8 && args.is_empty() => Some(Command::encode(&["GET"])),
            "DELIFEQ" if self == Self::Valkey9 && args.is_empty() => {
                Some(Command::encode(&["GET"]))
            }
            "DELEX" if self == Self::Redis8 && word(1) == b"IFEQ" => {
                eval(REMOVE, word(0), &[word(2)])
            }
            "DELIFEQ" if self == Self::Valkey9 => eval(REMOVE, word(0), &[word(1)]),
            _ => None,
        }
    }

    /// A proxy in front of `server` that makes it this release.
    pub fn in_front_of(self, server: &RedisServer) -> Proxy {
        let proxy = Proxy::in_front_of(server.addr());
        proxy.translate(move |command| self.translated(command));
        proxy
    }
}

/// A server that needs no script for a placeholder: [`Release::Redis8`].
#[derive(Debug)]
pub struct NewerRedis {
    server: RedisServer,
    front: Proxy,
}

impl Server for NewerRedis {
    type Backend = RedisBackend;

    const SERVERS: usize = RedisServer::SERVERS;
    const CONNECTIONS: usize = RedisServer::CONNECTIONS;
    const COMMANDS: Commands = RedisServer::COMMANDS;

    fn start() -> Self {
        let server = RedisServer::start();
        let front = Release::Redis8.in_front_of(&server);
        Self { server, front }
    }

    fn url(&self) -> String {
        self.server.url_through(&self.front)
    }

    fn url_of(servers: &[Self]) -> String {
        let [server] = servers else {
            panic!("a backend is over one server, and not over {servers:?}");
        };
        server.url()
    }

    fn proxy(&self) -> Proxy {
        Proxy::in_front_of(self.front.addr())
    }

    fn url_through(&self, proxy: &Proxy) -> String {
        self.server.url_through(proxy)
    }

    fn stop(&self) {
        self.server.stop();
    }

    fn cont(&self) {
        self.server.cont();
    }

    fn kill(&self) {
        self.server.kill();
    }

    fn restart(&self) {
        self.server.restart();
    }

    fn flush(&self) {
        self.server.flush();
    }

    fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.server.value(key)
    }

    fn put(&self, key: &str, value: &[u8]) {
        self.server.put(key, value);
    }

    fn append(&self, key: &str, value: &[u8]) {
        self.server.append(key, value);
    }

    fn delete(&self, key: &str) {
        self.server.delete(key);
    }

    fn backend_with(
        url: &str,
        connect: Option<Duration>,
        change: impl FnOnce(EncodedConfig) -> EncodedConfig,
    ) -> Result<RedisBackend> {
        <RedisServer as Server>::backend_with(url, connect, change)
    }

    fn health(service: &CacheService<RedisBackend>) -> Health {
        <RedisServer as Server>::health(service)
    }
}
