//! [`MemcachedConfig`]: which servers, and how long to wait for them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::backend::encoded::EncodedConfig;
use crate::error::{Error, Result};

const DEFAULT_PORT: u16 = 11_211;

/// A server's default limit of 1 MiB is for the whole item: what it keeps about it, and the longest
/// key, go off.
const LARGEST_VALUE: usize = (1 << 20) - 512;

/// Which memcached servers to use, and how.
///
/// It can be read from a configuration file: everything but `url` has a default, and durations are
/// in milliseconds.
///
/// ```
/// use cache_kit::backend::MemcachedConfig;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config: MemcachedConfig = serde_json::from_str(
///     r#"{ "url": "memcached://cache-a,cache-b:11212", "operation_deadline_ms": 250 }"#,
/// )?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemcachedConfig {
    servers: Vec<Address>,
    max_connections: usize,
    connect_deadline: Duration,
    encoded: EncodedConfig,
}

/// Where a server is.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// `host:port`, or the path of a socket. It decides which keys the server gets.
    name: String,
    /// What the client is told.
    dsn: String,
}

impl MemcachedConfig {
    /// The servers that a URL names: `memcached://host[:port][,host[:port]…]`, where a server may
    /// also be the path of a unix socket: `memcached:///run/memcached.sock`. The default port is
    /// 11211.
    ///
    /// All processes must name the same servers, each in the same spelling; the order does not
    /// matter. A name is not resolved before it is used, and is resolved again for every
    /// connection, to IPv4 addresses only.
    ///
    /// # Errors
    /// [`Error::ConfigError`]; its message does not repeat the URL.
    pub fn from_url(url: &str) -> Result<Self> {
        if url.starts_with("memcacheds:") {
            return Err(wrong("there is no TLS to memcached"));
        }
        let list = url.strip_prefix("memcached://").ok_or_else(|| {
            wrong("wants memcached://host[:port],host[:port] or memcached:///path")
        })?;
        Self::from_servers(list.split(','))
    }

    /// The servers of a list, each `host`, `host:port` or the path of a unix socket.
    ///
    /// # Errors
    /// [`Error::ConfigError`], as for [`from_url`](Self::from_url), and for an empty list.
    pub fn from_servers(servers: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self> {
        let mut addresses: Vec<Address> = Vec::new();
        for server in servers {
            let address = Address::parse(server.as_ref())?;
            if addresses.contains(&address) {
                return Err(wrong("a server is listed twice"));
            }
            addresses.push(address);
        }
        if addresses.is_empty() {
            return Err(wrong("names no server"));
        }
        let mut encoded = EncodedConfig::new();
        encoded.max_value_bytes = LARGEST_VALUE;
        Ok(Self {
            servers: addresses,
            max_connections: 16,
            connect_deadline: Duration::from_secs(1),
            encoded,
        })
    }

    /// How many connections to each server there may be, at least 1. Each carries one command at a
    /// time. Default 16: a server takes 1,024 by default, from all processes together.
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// How long connecting may take, however long its caller waits for it. Default 1 s.
    pub fn with_connect_deadline(mut self, deadline: Duration) -> Self {
        self.connect_deadline = deadline;
        self
    }

    /// What every remote backend can be told. The largest value should stay under what the servers
    /// take (their option `-I`), key and about 60 bytes included; here it is 512 bytes less than
    /// 1 MiB by default.
    pub fn with_encoded(mut self, encoded: EncodedConfig) -> Self {
        self.encoded = encoded;
        self
    }

    /// Changes one of the settings that every remote backend has:
    /// `config.set(|it| it.with_default_ttl(…))`.
    pub fn set(mut self, change: impl FnOnce(EncodedConfig) -> EncodedConfig) -> Self {
        self.encoded = change(self.encoded);
        self
    }

    pub(super) fn servers(&self) -> &[Address] {
        &self.servers
    }

    pub(super) fn encoded(&self) -> &EncodedConfig {
        &self.encoded
    }

    pub(super) fn max_connections(&self) -> usize {
        self.max_connections
    }

    pub(super) fn connect_deadline(&self) -> Duration {
        self.connect_deadline
    }
}

impl Address {
    fn parse(server: &str) -> Result<Self> {
        if server.contains('@') {
            return Err(wrong("memcached has neither users nor passwords here"));
        }
        if server.starts_with('/') {
            // The client reads it as part of a URL.
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
            if !server.bytes().all(plain) {
                return Err(wrong(
                    "the path of a socket may have letters, digits, '/', '.', '_' and '-'",
                ));
            }
            return Ok(Self {
                name: server.to_owned(),
                dsn: format!("unix://{server}"),
            });
        }
        if server.contains(['[', ']']) {
            return Err(wrong("the client reaches no IPv6 addresses"));
        }
        let (host, port) = match server.split_once(':') {
            None => (server, DEFAULT_PORT),
            Some((host, port)) => {
                let number = port.parse().ok().filter(|number| *number != 0);
                (host, number.ok_or_else(|| wrong("not a port"))?)
            }
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if host.is_empty() || !host.bytes().all(plain) {
            return Err(wrong("not a host name"));
        }
        let name = format!("{}:{port}", host.to_ascii_lowercase());
        Ok(Self {
            dsn: format!("tcp://{name}"),
            name,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn dsn(&self) -> &str {
        &self.dsn
    }
}

fn wrong(what: &str) -> Error {
    Error::ConfigError(format!("memcached servers: {what}"))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for MemcachedConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let file = File::deserialize(deserializer)?;
        let mut config = Self::from_url(&file.url).map_err(serde::de::Error::custom)?;
        let encoded = &mut config.encoded;
        let millis = Duration::from_millis;
        if let Some(ttl) = file.default_ttl_ms {
            encoded.default_ttl = Some(millis(ttl));
        }
        if let Some(deadline) = file.operation_deadline_ms {
            encoded.operation_deadline = millis(deadline);
        }
        if let Some(lifetime) = file.lease_lifetime_ms {
            encoded.lease_lifetime = millis(lifetime);
        }
        if let Some(bytes) = file.max_value_bytes {
            encoded.max_value_bytes = bytes;
        }
        if let Some(keys) = file.pending_invalidations {
            encoded.pending_invalidations = keys;
        }
        if let Some(failures) = file.breaker_failures {
            encoded.breaker.failures = failures.max(1);
        }
        if let Some(deadline) = file.connect_deadline_ms {
            config.connect_deadline = millis(deadline);
        }
        if let Some(connections) = file.max_connections {
            config = config.with_max_connections(connections);
        }
        Ok(config)
    }
}

/// A configuration as a file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    url: String,
    max_connections: Option<usize>,
    connect_deadline_ms: Option<u64>,
    operation_deadline_ms: Option<u64>,
    default_ttl_ms: Option<u64>,
    lease_lifetime_ms: Option<u64>,
    max_value_bytes: Option<usize>,
    pending_invalidations: Option<usize>,
    breaker_failures: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(url: &str) -> Vec<String> {
        let config = MemcachedConfig::from_url(url).unwrap();
        let names = config.servers.iter().map(|it| it.name().to_owned());
        names.collect()
    }

    #[test]
    fn a_url_names_hosts_ports_and_sockets() {
        assert_eq!(names("memcached://a"), ["a:11211"]);
        assert_eq!(
            names("memcached://Cache-A.internal:7000,10.0.0.2,/run/m_1.sock"),
            ["cache-a.internal:7000", "10.0.0.2:11211", "/run/m_1.sock"]
        );
        assert_eq!(
            names("memcached:///run/memcached.sock"),
            ["/run/memcached.sock"]
        );
    }

    #[test]
    fn a_bad_url_is_refused_and_not_repeated() {
        for bad in [
            "",
            "hunter2",
            "memcached:",
            "memcached://",
            "memcached://a,",
            "memcached://,a",
            "memcached://a,b,a",
            "memcached://a,a:11211",
            "memcached://a:hunter2",
            "memcached://a:0",
            "memcached://a:70000",
            "memcached://ann:hunter2@a",
            "memcached://a/hunter2",
            "memcached://a?hunter2",
            "memcached://[::1]:11211",
            "memcached:///run/hunter2 x.sock",
            "memcached:///run/hunter2%20x.sock",
            "memcached://hunter2 x",
            "memcacheds://hunter2",
            "redis://hunter2",
        ] {
            let error = MemcachedConfig::from_url(bad).unwrap_err();
            assert!(matches!(error, Error::ConfigError(_)), "{bad}: {error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let none: [&str; 0] = [];
        assert!(MemcachedConfig::from_servers(none).is_err());
    }

    #[test]
    fn a_file_may_leave_everything_out_but_the_url() {
        let config: MemcachedConfig =
            serde_json::from_str(r#"{ "url": "memcached://h" }"#).unwrap();
        assert_eq!(config, MemcachedConfig::from_url("memcached://h").unwrap());
        let config: MemcachedConfig = serde_json::from_str(
            r#"{ "url": "memcached://h", "default_ttl_ms": 5000, "max_connections": 0 }"#,
        )
        .unwrap();
        assert_eq!(config.encoded.default_ttl, Some(Duration::from_secs(5)));
        assert_eq!(config.max_connections, 1);
        for bad in ["{}", r#"{ "url": "memcached://h", "ttl": 1 }"#] {
            assert!(serde_json::from_str::<MemcachedConfig>(bad).is_err());
        }
    }
}
