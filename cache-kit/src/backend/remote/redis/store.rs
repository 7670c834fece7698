//! [`RedisStore`]: the bytes that one server keeps.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, Script, ServerErrorKind};

use super::RedisConfig;
use super::connection::Link;
use super::said::{is_demoted, is_login, is_lost, said_of};
use super::scripts::Scripts;
use super::split::Split;
use crate::backend::remote::byte_store::{ByteStore, Claim, HEAD_PREFIXES, head};
use crate::error::{Error, Result};
use crate::together::join;

/// The bytes of a [`RedisBackend`](super::RedisBackend).
pub struct RedisStore {
    link: Link,
    scripts: Scripts,
    /// Whether look-ups, and deletions, of many keys are sent key by key.
    split_reads: Split,
    split_deletes: Split,
}

impl RedisStore {
    pub(super) fn new(config: &RedisConfig) -> Result<Self> {
        Ok(Self {
            link: Link::new(config)?,
            scripts: Scripts::new(),
            split_reads: Split::new(),
            split_deletes: Split::new(),
        })
    }

    /// Runs `command`, which is called `name` and works on `key`, on the connection. A connection
    /// that turns out to be broken is replaced.
    async fn run<O, C>(
        &self,
        name: &str,
        key: &str,
        command: impl FnOnce(MultiplexedConnection) -> C,
    ) -> Result<O>
    where
        C: Future<Output = RedisResult<O>>,
    {
        let (connection, number) = self.link.connection().await?;
        let answer = command(connection).await;
        answer.map_err(|error| {
            if is_demoted(&error) {
                self.link.demote(number, key);
            } else if is_lost(&error) || is_login(&error) {
                self.link.replace(number);
            }
            said_of(&error, name)
        })
    }

    /// Runs a script on `key`. If the server does not have it, it is loaded. The first sending has
    /// been answered then, and cannot arrive again.
    async fn script<O: FromRedisValue>(
        &self,
        script: &Script,
        key: &str,
        args: impl Fn(&mut Cmd),
    ) -> Result<O> {
        for _ in 0..2 {
            let mut evalsha = ::redis::cmd("EVALSHA");
            evalsha.arg(script.get_hash()).arg(1).arg(key);
            args(&mut evalsha);
            let run = |mut connection| async move {
                match evalsha.query_async(&mut connection).await {
                    Ok(answer) => Ok(Some(answer)),
                    Err(error) if is_unknown_script(&error) => Ok(None),
                    Err(error) => Err(error),
                }
            };
            if let Some(answer) = self.run("EVALSHA", key, run).await? {
                return Ok(answer);
            }
            let load = |mut connection| async move { script.load_async(&mut connection).await };
            let _: String = Box::pin(self.run("SCRIPT LOAD", key, load)).await?;
        }
        Err(Error::BackendError(
            "redis: a script is gone as soon as it is loaded".into(),
        ))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.run("DEL", key, |mut connection| async move {
            ::redis::cmd("DEL")
                .arg(key)
                .query_async(&mut connection)
                .await
        })
        .await
    }

    /// Finds out whether a server that was a replica takes writes. The key is one of ours, whose
    /// deletion or store the server refused.
    async fn prove(&self, key: &str) -> Result<()> {
        let mut connection = self.link.apart().await?;
        let deleted: RedisResult<()> = ::redis::cmd("DEL")
            .arg(key)
            .query_async(&mut connection)
            .await;
        match deleted.map_err(|error| said_of(&error, "DEL")) {
            Ok(()) | Err(Error::BackendRefused(_)) => {
                self.link.promoted();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

impl ByteStore for RedisStore {
    type Token = Vec<u8>;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.run("GET", key, |mut connection| async move {
            // Large enough, so that it need not grow.
            let mut get = Cmd::with_capacity(2, "GET".len() + key.len());
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
        let [first, _, ..] = keys else {
            return join(keys.iter().map(|key| self.get(key)), 1).await;
        };
        if !self.split_reads.is_on() {
            let mget = |mut connection: MultiplexedConnection| async move {
                let mut mget = ::redis::cmd("MGET");
                let values: Vec<Option<Vec<u8>>> =
                    mget.arg(keys).query_async(&mut connection).await?;
                Ok(values)
            };
            match self.run("MGET", first, mget).await {
                Ok(values) => return values.into_iter().map(Ok).collect(),
                // Maybe because of one key that this user may not touch.
                Err(Error::BackendRefused(_)) => self.split_reads.begin(),
                Err(error) => return keys.iter().map(|_| Err(error.clone())).collect(),
            }
        }
        join(keys.iter().map(|key| self.get(key)), usize::MAX).await
    }

    async fn claim(
        &self,
        key: &str,
        placeholder: &[u8],
        lifetime: Duration,
    ) -> Result<Claim<Vec<u8>>> {
        let standing: Option<Vec<u8>> = self
            .script(&self.scripts.claim, key, |script| {
                script.arg(placeholder).arg(millis(lifetime));
                script.arg(&HEAD_PREFIXES[0]).arg(&HEAD_PREFIXES[1]);
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

    async fn compare_and_set(
        &self,
        key: &str,
        token: &Vec<u8>,
        value: &[u8],
        lifetime: Option<Duration>,
    ) -> Result<bool> {
        self.script(&self.scripts.swap, key, |script| {
            script.arg(token.as_slice()).arg(value);
            script.arg(lifetime.map_or(0, millis));
        })
        .await
    }

    async fn compare_and_delete(&self, key: &str, token: &Vec<u8>) -> Result<bool> {
        self.script(&self.scripts.remove, key, |script| {
            script.arg(token.as_slice());
        })
        .await
    }

    async fn set(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<Option<Vec<u8>>> {
        let set = |mut connection| async move {
            let mut set = ::redis::cmd("SET");
            set.arg(key).arg(value).arg("PX").arg(millis(lifetime));
            match set.query_async::<()>(&mut connection).await {
                Ok(()) => Ok(Some(head(value).to_vec())),
                Err(error) if error.code() == Some("OOM") => Ok(None),
                Err(error) => Err(error),
            }
        };
        match self.run("SET", key, set).await? {
            Some(token) => Ok(Some(token)),
            // No memory for anything new, but deleting works.
            None => self.delete(key).await.map(|()| None),
        }
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<()>> {
        let [first, _, ..] = keys else {
            return join(keys.iter().map(|key| self.delete(key)), 1).await;
        };
        if !self.split_deletes.is_on() {
            let del = |mut connection| async move {
                let mut del = ::redis::cmd("DEL");
                del.arg(keys).query_async::<()>(&mut connection).await
            };
            match self.run("DEL", first, del).await {
                Err(Error::BackendRefused(_)) => self.split_deletes.begin(),
                deleted => return keys.iter().map(|_| deleted.clone()).collect(),
            }
        }
        join(keys.iter().map(|key| self.delete(key)), usize::MAX).await
    }

    async fn ping(&self) -> Result<()> {
        if let Some(key) = self.link.demoted() {
            return self.prove(&key).await;
        }
        let (mut connection, number) = self.link.connection().await?;
        let unanswered = Unanswered {
            link: &self.link,
            number: Some(number),
        };
        let answer: RedisResult<()> = ::redis::cmd("PING").query_async(&mut connection).await;
        if answer
            .as_ref()
            .is_err_and(|error| is_lost(error) || is_login(error))
        {
            drop(unanswered);
        } else {
            unanswered.answered();
        }
        answer.map_err(|error| said_of(&error, "PING"))
    }
}

/// A ping. A connection that gives no answer to it is replaced: it may be one that the network has
/// forgotten.
struct Unanswered<'l> {
    link: &'l Link,
    number: Option<u64>,
}

impl Unanswered<'_> {
    fn answered(mut self) {
        self.number = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.link.replace(number);
        }
    }
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

/// A lifetime in whole milliseconds. The server refuses zero, and times beyond its calendar, so a
/// lifetime is bounded by a hundred years.
fn millis(lifetime: Duration) -> u64 {
    const CENTURY: u64 = 100 * 365 * 24 * 3_600 * 1_000;
    u64::try_from(lifetime.as_millis()).map_or(CENTURY, |millis| millis.clamp(1, CENTURY))
}
