//! [`RedisBackend`]: entries in Redis, shared by all processes that use it.

mod config;
mod connection;
mod scripts;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{ErrorKind, RedisError, RedisResult};

use super::bytes::{ByteStore, Claim, HEAD_PREFIXES, head};
use super::encoded::Encoded;
use crate::error::{Error, Result};

pub use config::RedisConfig;
use connection::Link;
use scripts::Scripts;

/// Keeps entries in Redis, where all processes share them.
///
/// Needs Redis 6 or newer, or a server that speaks its protocol and runs its scripts. One
/// connection serves all callers; it is made at the first use, and anew when it is lost, when the
/// server has become a replica, and when the runtime that it lived on is gone.
///
/// ```no_run
/// use cache_kit::CacheService;
/// use cache_kit::backend::{RedisBackend, RedisConfig};
///
/// # fn main() -> cache_kit::Result<()> {
/// let config = RedisConfig::from_url("redis://cache.internal:6379/0")?;
/// let cache = CacheService::new(RedisBackend::new(config)?);
/// # Ok(())
/// # }
/// ```
///
/// # When the server does not answer
/// A command ends after its deadline (500 ms), connecting included. After five failures in a row
/// none is sent for a while. Reads are then answered from the repository, one load per key.
/// Invalidations wait, up to 10,000 of them, and are sent before anything else when the server is
/// back, which a task in the background finds out. [`Encoded::health`] tells.
///
/// # What no fence can cure
/// A restart that brings deleted keys back from disk, and a failover to a replica that had not
/// seen an invalidation. Both are bounded by the time to live, which is one hour by default.
pub type RedisBackend = Encoded<RedisStore>;

impl Encoded<RedisStore> {
    /// A backend over the server that `config` names. Connects at the first use, so that a service
    /// starts while the server is down.
    ///
    /// # Errors
    /// [`Error::ConfigError`] if the configuration makes no sense.
    pub fn new(config: RedisConfig) -> Result<Self> {
        let encoded = config.encoded().clone();
        Ok(Self::with_config(RedisStore::new(&config)?, encoded))
    }
}

/// The bytes of a [`RedisBackend`].
pub struct RedisStore {
    link: Link,
    scripts: Scripts,
}

impl RedisStore {
    fn new(config: &RedisConfig) -> Result<Self> {
        Ok(Self {
            link: Link::new(config)?,
            scripts: Scripts::new(),
        })
    }

    /// Runs `command` on the connection. One that turns out to be lost is replaced.
    async fn run<O, C>(&self, command: impl FnOnce(MultiplexedConnection) -> C) -> Result<O>
    where
        C: Future<Output = RedisResult<O>>,
    {
        let (connection, in_flight) = self.link.connection().await?;
        let answer = command(connection).await;
        let number = in_flight.answered();
        answer.map_err(|error| {
            let lost = connection::is_lost(&error);
            if lost || connection::is_demoted(&error) {
                self.link.replace(number);
            }
            match said(&error) {
                Error::BackendError(text) if lost => Error::ConnectionLost(text),
                said => said,
            }
        })
    }
}

impl ByteStore for RedisStore {
    type Token = Vec<u8>;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.run(|mut connection| async move {
            // In room enough, so that it need not grow.
            let mut get = ::redis::Cmd::with_capacity(2, "GET".len() + key.len());
            get.arg("GET").arg(key);
            let value = get.query_async(&mut connection).await;
            // A list or a hash under the key is a miss like any other foreign value.
            match value {
                Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
                value => value,
            }
        })
        .await
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>>> {
        let values = self.run(|mut connection| async move {
            ::redis::cmd("MGET")
                .arg(keys)
                .query_async::<Vec<_>>(&mut connection)
                .await
        });
        match values.await {
            Ok(values) => values.into_iter().map(Ok).collect(),
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn claim(
        &self,
        key: &str,
        placeholder: &[u8],
        lifetime: Duration,
    ) -> Result<Claim<Vec<u8>>> {
        let standing: Option<Vec<u8>> = self
            .run(|mut connection| async move {
                let mut script = self.scripts.claim.prepare_invoke();
                script.key(key).arg(placeholder).arg(millis(lifetime));
                script.arg(&HEAD_PREFIXES[0]).arg(&HEAD_PREFIXES[1]);
                script.invoke_async(&mut connection).await
            })
            .await?;
        Ok(match standing {
            None => Claim::Taken(placeholder.to_vec()),
            Some(head) => Claim::Standing {
                token: head.clone(),
                head,
            },
        })
    }

    async fn swap(
        &self,
        key: &str,
        token: &Vec<u8>,
        value: &[u8],
        lifetime: Option<Duration>,
    ) -> Result<bool> {
        self.run(|mut connection| async move {
            let mut script = self.scripts.swap.prepare_invoke();
            script.key(key).arg(token.as_slice()).arg(value);
            script.arg(lifetime.map_or(0, millis));
            script.invoke_async(&mut connection).await
        })
        .await
    }

    async fn remove(&self, key: &str, token: &Vec<u8>) -> Result<bool> {
        self.run(|mut connection| async move {
            let mut script = self.scripts.remove.prepare_invoke();
            script.key(key).arg(token.as_slice());
            script.invoke_async(&mut connection).await
        })
        .await
    }

    async fn set(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<Option<Vec<u8>>> {
        self.run(|mut connection| async move {
            let mut set = ::redis::cmd("SET");
            set.arg(key).arg(value).arg("PX").arg(millis(lifetime));
            match set.query_async::<()>(&mut connection).await {
                Ok(()) => Ok(Some(head(value).to_vec())),
                // No memory for anything new, but deleting works.
                Err(error) if error.code() == Some("OOM") => {
                    let delete = ::redis::cmd("DEL")
                        .arg(key)
                        .query_async(&mut connection)
                        .await;
                    delete.map(|()| None)
                }
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<()>> {
        let deleted = self.run(|mut connection| async move {
            ::redis::cmd("DEL")
                .arg(keys)
                .query_async::<()>(&mut connection)
                .await
        });
        let deleted = deleted.await;
        keys.iter().map(|_| deleted.clone()).collect()
    }

    async fn ping(&self) -> Result<()> {
        self.run(
            |mut connection| async move { ::redis::cmd("PING").query_async(&mut connection).await },
        )
        .await
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

/// A lifetime in whole milliseconds. Zero is an error to the server, and so is what ends beyond its
/// calendar; nobody will miss an entry after a hundred years.
fn millis(lifetime: Duration) -> u64 {
    const CENTURY: u64 = 100 * 365 * 24 * 3_600 * 1_000;
    u64::try_from(lifetime.as_millis()).map_or(CENTURY, |millis| millis.clamp(1, CENTURY))
}

/// What the server or the connection said. Neither repeats values or passwords, but what a server
/// says in its own words may quote a command, so of those only the code is passed on.
fn said(error: &RedisError) -> Error {
    match (error.kind(), error.code()) {
        (ErrorKind::Server(_) | ErrorKind::Extension, Some(code)) => {
            let text = format!("redis: {code}");
            if connection::is_demoted(error) || matches!(code, "LOADING" | "CLUSTERDOWN" | "BUSY") {
                Error::BackendError(text)
            } else {
                Error::BackendRefused(text)
            }
        }
        (ErrorKind::Io, _) => Error::BackendError(format!("redis: {error}")),
        _ => Error::BackendError(format!("redis: {}", error.category())),
    }
}
