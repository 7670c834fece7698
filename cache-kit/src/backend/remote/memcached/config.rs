//! [`MemcachedConfig`]: which servers, and how long to wait for them.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::backend::remote::encoded::{EncodedConfig, FileSettings, connect_deadline, read_file};
use crate::error::{Error, Result};

const DEFAULT_PORT: u16 = 11_211;

const MOST_CONNECTIONS: usize = 1_024;

/// A server's default limit of 1 MiB is for the whole item, so its header and the longest key are
/// subtracted.
const LARGEST_VALUE: usize = (1 << 20) - 512;

/// Which memcached servers to use, and how.
///
/// It can be read from a configuration file: everything except `url` has a default, and durations
/// are in milliseconds.
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

/// Where a server is. Its name, `host:port` or the path of a socket, decides which keys it gets.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// The host; an IPv6 address without brackets.
    Host {
        name: String,
        host: String,
        port: u16,
    },
    /// A unix socket.
    Path(String),
}

impl MemcachedConfig {
    /// The servers that a URL names: `memcached://host[:port][,host[:port]…]`, where a server may
    /// also be the path of a unix socket: `memcached:///run/memcached.sock`. The default port is
    /// 11211.
    ///
    /// All processes must name the same servers, each in the same spelling; the order does not
    /// matter. Write an IPv6 address in brackets: `[::1]:11211`. A name is resolved for every
    /// connection, not before; the first of its addresses that answers, IPv4 or IPv6, is used.
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
        Ok(Self::over(addresses))
    }

    fn over(servers: Vec<Address>) -> Self {
        Self {
            servers,
            max_connections: 4,
            connect_deadline: Duration::from_secs(1),
            encoded: EncodedConfig::new().with_max_value_bytes(LARGEST_VALUE),
        }
    }

    /// How many connections each tokio runtime may have to each server, 1 to 1,024; other numbers
    /// are clamped. Default 4. A connection carries many commands at a time, and the next one is
    /// opened only while the others have 64 in flight, so most runtimes have one. A server takes
    /// 1,024 by default, from all processes together.
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.clamp(1, MOST_CONNECTIONS);
        self
    }

    /// How long connecting may take, independent of how long its callers wait. Default 1 s, at
    /// least 1 ms, at most an hour; other durations are clamped.
    pub fn with_connect_deadline(mut self, deadline: Duration) -> Self {
        self.connect_deadline = connect_deadline(deadline);
        self
    }

    /// The settings of every remote backend. The largest value, with its key and about 60 bytes,
    /// should be below the servers' limit (their option `-I`). Its default here is 1 MiB less 512
    /// bytes.
    pub fn with_encoded(mut self, encoded: EncodedConfig) -> Self {
        self.encoded = encoded;
        self
    }

    /// Changes one of the settings that every remote backend has:
    /// `config.set(|encoded| encoded.with_default_ttl(…))`.
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

/// One server at `localhost:11211`: `memcached://localhost`.
impl Default for MemcachedConfig {
    fn default() -> Self {
        Self::over(vec![Address::of("localhost", DEFAULT_PORT)])
    }
}

impl Address {
    fn of(host: &str, port: u16) -> Self {
        let host = host.to_ascii_lowercase();
        Self::Host {
            name: format!("{host}:{port}"),
            host,
            port,
        }
    }

    fn parse(server: &str) -> Result<Self> {
        if server.contains('@') {
            return Err(wrong("memcached has neither users nor passwords here"));
        }
        if server.starts_with('/') {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
            if !server.bytes().all(plain) {
                return Err(wrong(
                    "the path of a socket may have letters, digits, '/', '.', '_' and '-'",
                ));
            }
            return Ok(Self::Path(server.to_owned()));
        }
        if let Some(rest) = server.strip_prefix('[') {
            let (host, rest) = rest
                .split_once(']')
                .ok_or_else(|| wrong("a '[' has no ']'"))?;
            let address: Ipv6Addr = host.parse().map_err(|_| wrong("not an IPv6 address"))?;
            let port = match rest.strip_prefix(':') {
                Some(number) => port(number)?,
                None if rest.is_empty() => DEFAULT_PORT,
                None => return Err(wrong("not a port")),
            };
            return Ok(Self::Host {
                name: format!("[{address}]:{port}"),
                host: address.to_string(),
                port,
            });
        }
        if server.matches(':').count() > 1 {
            return Err(wrong("an IPv6 address stands in brackets: [::1]:11211"));
        }
        let (host, port) = match server.split_once(':') {
            None => (server, DEFAULT_PORT),
            Some((host, number)) => (host, port(number)?),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if host.is_empty() || !host.bytes().all(plain) {
            return Err(wrong("not a host name"));
        }
        Ok(Self::of(host, port))
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Host { name, .. } => name,
            Self::Path(path) => path,
        }
    }
}

fn port(number: &str) -> Result<u16> {
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let port = number.parse().ok().filter(|port| digits && *port != 0);
    port.ok_or_else(|| wrong("not a port"))
}

fn wrong(what: &str) -> Error {
    Error::ConfigError(format!("memcached servers: {what}"))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for MemcachedConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let file: File = read_file(deserializer)?;
        let mut config = Self::from_url(&file.url).map_err(serde::de::Error::custom)?;
        if let Some(deadline) = file.connect_deadline_ms {
            config = config.with_connect_deadline(Duration::from_millis(deadline));
        }
        if let Some(connections) = file.max_connections {
            config = config.with_max_connections(connections);
        }
        Ok(config.set(|encoded| file.shared.apply(encoded)))
    }
}

/// A configuration as it is written in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    url: String,
    connect_deadline_ms: Option<u64>,
    max_connections: Option<usize>,
    #[serde(flatten)]
    shared: FileSettings,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(url: &str) -> Vec<String> {
        let config = MemcachedConfig::from_url(url).unwrap();
        let names = config
            .servers
            .iter()
            .map(|address| address.name().to_owned());
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
            names("memcached://[::1],[FD00:0::2]:7000"),
            ["[::1]:11211", "[fd00::2]:7000"]
        );
        assert_eq!(
            names("memcached:///run/memcached.sock"),
            ["/run/memcached.sock"]
        );
    }

    #[test]
    fn the_default_is_the_server_of_this_machine() {
        let named = MemcachedConfig::from_url("memcached://localhost:11211").unwrap();
        assert_eq!(MemcachedConfig::default(), named);
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
            "memcached://::1",
            "memcached://::1:11211",
            "memcached://[::1",
            "memcached://[::1]hunter2",
            "memcached://[::1]:hunter2",
            "memcached://[::1]:+1",
            "memcached://[hunter2]",
            "memcached://[::1%eth0]",
            "memcached://a:+1",
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
        let config: MemcachedConfig = serde_json::from_str(&format!(
            r#"{{ "url": "memcached://h", "max_connections": {}, "connect_deadline_ms": {} }}"#,
            usize::MAX,
            u64::MAX
        ))
        .unwrap();
        assert_eq!(config.max_connections, MOST_CONNECTIONS);
        assert_eq!(config.connect_deadline, Duration::from_secs(3_600));
        for bad in ["{}", r#"{ "url": "memcached://h", "ttl": 1 }"#] {
            assert!(serde_json::from_str::<MemcachedConfig>(bad).is_err());
        }
        // A value in the wrong place may be a password.
        for bad in [
            r#""memcached://hunter2""#,
            r#"{ "url": "memcached://h", "max_connections": "hunter2" }"#,
            r#"{ "url": "memcached://h", "operation_deadline_ms": "hunter2" }"#,
        ] {
            let error = serde_json::from_str::<MemcachedConfig>(bad).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
