//! [`RedisConfig`]: which server, and how long to wait for it.

use std::fmt;
use std::time::Duration;

use ::redis::ConnectionInfo;
use serde::{Deserialize, Deserializer};

use crate::backend::remote::encoded::{EncodedConfig, FileSettings, connect_deadline};
use crate::error::Result;

/// Which Redis server to use, and how. `Debug` hides the password.
///
/// It can be read from a configuration file: everything except `url` has a default, and durations
/// are in milliseconds.
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
    connection: ConnectionInfo,
    /// Whether the URL chose RESP2 or RESP3; otherwise RESP3 is used if the server speaks it.
    protocol_chosen: bool,
    connect_deadline: Duration,
    encoded: EncodedConfig,
}

impl RedisConfig {
    /// The server that a URL names: `redis://[user][:password@]host[:port][/db]`, or
    /// `unix:///path?db=0&user=u&pass=p`. `?protocol=resp2` and `resp3` choose the protocol; by
    /// default it is RESP3 if the server speaks it. `localhost` is tried on `127.0.0.1` and on
    /// `::1`.
    ///
    /// # Errors
    /// [`Error::ConfigError`](crate::Error::ConfigError), also for a parameter that is unknown or
    /// given twice; its message names the parameter and does not repeat the URL.
    pub fn from_url(url: &str) -> Result<Self> {
        let (connection, protocol_chosen) = super::url::parse(url)?;
        Ok(Self {
            connection,
            protocol_chosen,
            connect_deadline: Duration::from_secs(1),
            encoded: EncodedConfig::new(),
        })
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

    pub(super) fn connection(&self) -> &ConnectionInfo {
        &self.connection
    }

    pub(super) fn protocol_chosen(&self) -> bool {
        self.protocol_chosen
    }

    pub(super) fn connect_deadline(&self) -> Duration {
        self.connect_deadline
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.connection.redis_settings();
        f.debug_struct("RedisConfig")
            .field("address", &format_args!("{}", self.connection.addr()))
            .field("db", &settings.db())
            .field("username", &settings.username())
            .field("password", &settings.password().map(|_| "…"))
            .field("connect_deadline", &self.connect_deadline)
            .field("encoded", &self.encoded)
            .finish()
    }
}

impl<'de> Deserialize<'de> for RedisConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let file = File::deserialize(deserializer)?;
        let mut config = Self::from_url(&file.url).map_err(serde::de::Error::custom)?;
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
    connect_deadline_ms: Option<u64>,
    #[serde(flatten)]
    shared: FileSettings,
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "rediss://:hunter2@h",
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
        for bad in [
            "{}",
            r#"{ "url": "redis://h", "ttl": 1 }"#,
            r#"{ "url": "redis://h", "max_connections": 1 }"#,
            r#"{ "url": ":secret@" }"#,
        ] {
            let error = serde_json::from_str::<RedisConfig>(bad).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
