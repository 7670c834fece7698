//! [`RedisConfig`]: which server, and how long to wait for it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::address::{Address, Topology};
use super::aside::Aside;
use super::login::{Login, Password};
#[cfg(feature = "redis-tls")]
use super::tls::RedisTls;
use super::url::REDIS_PORT;
use crate::backend::remote::encoded::{EncodedConfig, FileSettings, connect_deadline, read_file};
use crate::error::Result;

/// Which Redis server to use, and how. `Debug` hides the password.
///
/// It can be read from a configuration file: everything except `url` has a default, and durations
/// are in milliseconds. The parameters `pass_file`, `ca`, `cert` and `key` may stand in the URL or
/// beside it.
///
/// ```
/// use cache_kit::backend::RedisConfig;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config: RedisConfig = serde_json::from_str(
///     r#"{ "url": "redis://:secret@cache.internal/0", "operation_deadline_ms": 250 }"#,
/// )?;
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisConfig {
    topology: Topology,
    login: Login,
    #[cfg(feature = "redis-tls")]
    tls: Option<RedisTls>,
    connect_deadline: Duration,
    encoded: EncodedConfig,
}

impl RedisConfig {
    /// The servers that a URL names:
    ///
    /// | URL | means | feature |
    /// |---|---|---|
    /// | `redis://[user][:password@]host[:port][/db]` | one server | |
    /// | `unix:///path?db=0&user=u&pass=p` | one server, on a unix socket | |
    /// | `redis+cluster://[user][:password@]host[:port],host[:port]` | a cluster, by some of its nodes | `redis-cluster` |
    /// | `redis+sentinel://[user][:password@]host[:port],host[:port]/master-name[/db]` | the master that these sentinels name | `redis-sentinel` |
    /// | `rediss://`, `rediss+cluster://`, `rediss+sentinel://` | the same over TLS | `redis-tls` |
    ///
    /// `valkey` may stand for `redis` everywhere. The default port is 6379, and 26379 for a
    /// sentinel. An IPv6 address stands in brackets. `localhost` is tried on `127.0.0.1` and on
    /// `::1`. What is special in a URL is percent-encoded, as `%23` for `#`.
    ///
    /// | parameter | of | means |
    /// |---|---|---|
    /// | `protocol=resp2`, `resp3` | all | the protocol; by default RESP3 if the server speaks it |
    /// | `pass_file=/path` | all | the file with the password, [read for each connection](Self::with_password_file) |
    /// | `ca=/path` | TLS | the authorities to trust, in PEM, instead of the system's |
    /// | `cert=/path&key=/path` | TLS | the certificate of this client and its key, in PEM |
    /// | `sentinel_user`, `sentinel_pass`, `sentinel_pass_file` | sentinels | the login to the sentinels; none by default |
    ///
    /// # Errors
    /// [`Error::ConfigError`](crate::Error::ConfigError), also for a parameter that is unknown or
    /// given twice, and for a form whose feature is not enabled; its message names the parameter or
    /// the feature and does not repeat the URL.
    pub fn from_url(url: &str) -> Result<Self> {
        let parsed = super::url::parse(url)?;
        Ok(Self {
            topology: parsed.topology,
            login: parsed.login,
            #[cfg(feature = "redis-tls")]
            tls: parsed.tls,
            ..Self::default()
        })
    }

    /// Asks for the password before each connection, instead of taking one from the URL: for one
    /// that changes while the service runs, such as a token. `password` runs where it may block,
    /// within the connect deadline, and never twice at a time: while it hangs, no connection is made.
    /// Its error, which should not contain a password, is that of connecting, whatever its kind.
    ///
    /// A new password is used by the next connection. A connection that the server has accepted
    /// goes on, until the server closes it or asks for a login again.
    pub fn with_password(
        mut self,
        password: impl Fn() -> Result<String> + Send + Sync + 'static,
    ) -> Self {
        self.login.password = Password::Asked(Arc::new(password));
        self.login.aside = Aside::default();
        self
    }

    /// Reads the password from a file before each connection, as from a mounted secret. A line
    /// break at its end does not count. In a URL this is `pass_file=/path`.
    pub fn with_password_file(mut self, path: impl AsRef<Path>) -> Self {
        self.login.password = Password::File(path.as_ref().to_owned());
        self.login.aside = Aside::default();
        self
    }

    /// Connects over TLS, with these settings, whatever the URL says of it.
    #[cfg(feature = "redis-tls")]
    pub fn with_tls(mut self, tls: RedisTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How long connecting may take, independent of how long its callers wait. Default 1 s, at
    /// least 1 ms, at most an hour; other durations are clamped.
    pub fn with_connect_deadline(mut self, deadline: Duration) -> Self {
        self.connect_deadline = connect_deadline(deadline);
        self
    }

    /// The settings of every remote backend.
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

    pub(crate) fn encoded(&self) -> &EncodedConfig {
        &self.encoded
    }

    pub(super) fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Some nodes of the cluster, if it is one.
    #[cfg(feature = "redis-cluster")]
    #[allow(dead_code, reason = "for the cluster's store")]
    pub(super) fn seeds(&self) -> Option<&[(String, u16)]> {
        match &self.topology {
            Topology::Cluster(seeds) => Some(seeds),
            _ => None,
        }
    }

    pub(super) fn login(&self) -> &Login {
        &self.login
    }

    #[cfg(feature = "redis-tls")]
    pub(super) fn tls(&self) -> Option<&RedisTls> {
        self.tls.as_ref()
    }

    pub(super) fn connect_deadline(&self) -> Duration {
        self.connect_deadline
    }
}

/// One server at `localhost:6379`, database 0, without a password: `redis://localhost`.
impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            topology: Topology::Single(Address::Tcp("localhost".to_owned(), REDIS_PORT)),
            login: Login::default(),
            #[cfg(feature = "redis-tls")]
            tls: None,
            connect_deadline: Duration::from_secs(1),
            encoded: EncodedConfig::new(),
        }
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RedisConfig");
        shown
            .field("address", &self.topology)
            .field("login", &self.login);
        #[cfg(feature = "redis-tls")]
        shown.field("tls", &self.tls);
        shown
            .field("connect_deadline", &self.connect_deadline)
            .field("encoded", &self.encoded)
            .finish()
    }
}

impl<'de> Deserialize<'de> for RedisConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let file: File = read_file(deserializer)?;
        let mut url = file.url;
        for (name, value) in [
            ("pass_file", file.pass_file),
            ("ca", file.ca),
            ("cert", file.cert),
            ("key", file.key),
        ] {
            if let Some(value) = value {
                super::url::add(&mut url, name, &value);
            }
        }
        let mut config = Self::from_url(&url).map_err(serde::de::Error::custom)?;
        if let Some(deadline) = file.connect_deadline_ms {
            config = config.with_connect_deadline(Duration::from_millis(deadline));
        }
        Ok(config.set(|encoded| file.shared.apply(encoded)))
    }
}

/// A configuration as it is written in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    url: String,
    // Parameters of the URL that may also stand here.
    pass_file: Option<String>,
    ca: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    connect_deadline_ms: Option<u64>,
    #[serde(flatten)]
    shared: FileSettings,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_server_of_this_machine() {
        let named = RedisConfig::from_url("redis://localhost:6379/0").unwrap();
        assert_eq!(
            format!("{:?}", RedisConfig::default()),
            format!("{named:?}")
        );
    }

    #[test]
    fn no_output_holds_the_password() {
        let config = RedisConfig::from_url("redis://ann:hunter2@localhost:7000/3").unwrap();
        let shown = format!("{config:?}");
        assert!(
            shown.contains("localhost:7000") && shown.contains("ann"),
            "{shown}"
        );
        assert!(!shown.contains("hunter2"), "{shown}");
        for bad in [
            "hunter2",
            "redis://:hunter2@",
            "redis://:hunter2@host:no",
            "rediss://:hunter2@h:no",
        ] {
            let error = RedisConfig::from_url(bad).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_file_may_leave_everything_out_but_the_url() {
        let config: RedisConfig = serde_json::from_str(r#"{ "url": "redis://h" }"#).unwrap();
        assert_eq!(config.encoded, EncodedConfig::new());
        let config: RedisConfig = serde_json::from_str(
            r#"{ "url": "redis://h", "default_ttl_ms": 5000, "breaker_failures": 0,
                 "connect_deadline_ms": 0 }"#,
        )
        .unwrap();
        assert_eq!(config.encoded.default_ttl, Some(Duration::from_secs(5)));
        assert_eq!(config.encoded.breaker.failures, 1);
        assert_eq!(config.connect_deadline, Duration::from_millis(1));
        let config: RedisConfig = serde_json::from_str(
            r#"{ "url": "redis://ann@h?protocol=resp2", "pass_file": "/run/a&b#ü 1" }"#,
        )
        .unwrap();
        let path = std::path::Path::new("/run/a&b#ü 1");
        assert!(matches!(&config.login.password, Password::File(file) if file == path));
        assert!(config.login.protocol.is_some());
        for bad in [
            "{}",
            r#"{ "url": "redis://h", "ttl": 1 }"#,
            r#"{ "url": "redis://h", "max_connections": 1 }"#,
            r#"{ "url": ":secret@" }"#,
            r#"{ "url": "redis://:secret@h", "pass_file": "/secret" }"#,
            r#"{ "url": "redis://h?pass_file=/a", "pass_file": "/secret" }"#,
            r#"{ "url": "redis://h", "ca": "/secret" }"#,
            r#""redis://:secret@h""#,
            r#"["redis://:secret@h"]"#,
            r#"{ "redis://:secret@h": 1 }"#,
            r#"{ "url": ["redis://:secret@h"] }"#,
            r#"{ "url": "redis://h", "operation_deadline_ms": "secret" }"#,
            r#"{ "url": "redis://h", "connect_deadline_ms": "secret" }"#,
            r#"{ "url": "redis://h", "store_proof": "secret" }"#,
            r#"{ "url": "redis://h", "pass_file": { "secret": 1 } }"#,
        ] {
            let error = serde_json::from_str::<RedisConfig>(bad).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_setting_of_the_wrong_type_is_named() {
        for (setting, said) in [
            (
                r#""operation_deadline_ms": "secret""#,
                "`operation_deadline_ms`: a value has the wrong type; expected u64",
            ),
            (
                r#""pass_file": 4711"#,
                "`pass_file`: a value has the wrong type; expected a string",
            ),
            (r#""ttl": "secret""#, "unknown field `ttl`"),
        ] {
            let file = format!(r#"{{ "url": "redis://h", "default_ttl_ms": 1, {setting} }}"#);
            let error = serde_json::from_str::<RedisConfig>(&file).unwrap_err();
            assert!(error.to_string().starts_with(said), "{error}");
        }
    }
}
