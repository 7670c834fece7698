//! [`RedisStore`]: the bytes that Redis keeps.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use ::redis::{Cmd, FromRedisValue, Pipeline, RedisResult};

use super::RedisConfig;
use super::fences::Fences;
use super::scan::scan;
use super::servers::Servers;
use super::split::Split;
use crate::answers::{all_failed, one_each};
use crate::backend::NodeInfo;
use crate::backend::remote::byte_store::{ByteStore, Claim, head};
use crate::backend::remote::scan::{ScanCursor, Scanned};
use crate::error::{Error, Result};
use crate::together::join;

/// The bytes of a [`RedisBackend`](super::RedisBackend).
pub struct RedisStore {
    servers: Servers,
    fences: Fences,
    /// Whether look-ups, and deletions, of many keys are sent key by key.
    split_reads: Split,
    split_deletes: Split,
}

impl RedisStore {
    pub(super) fn new(config: &RedisConfig) -> Result<Self> {
        Ok(Self {
            servers: Servers::new(config)?,
            fences: Fences::new(),
            split_reads: Split::new(),
            split_deletes: Split::new(),
        })
    }

    /// Sends a command for `key` to the server that keeps it.
    async fn send<O: FromRedisValue>(&self, name: &str, key: &str, command: &Cmd) -> Result<O> {
        let mut session = self.servers.session(key).await?;
        let answer = session.send(command).await?;
        answer.map_err(|error| session.failed(&error, name, key))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.send("DEL", key, &of_one("DEL", key)).await
    }

    /// Sends a command for each of several keys of one node of a cluster, all in one go: a node
    /// refuses keys of different slots in one command. Those that are answered with an error are
    /// sent again by `alone`, which follows redirections.
    async fn send_each<'k, O, F>(
        &self,
        name: &str,
        keys: &[&'k str],
        alone: impl Fn(&'k str) -> F,
    ) -> Vec<Result<O>>
    where
        O: FromRedisValue,
        F: Future<Output = Result<O>>,
    {
        let Some(first) = keys.first() else {
            return Vec::new();
        };
        let mut commands = Pipeline::with_capacity(keys.len());
        for key in keys {
            commands.add_command(of_one(name, key));
        }
        let mut session = match self.servers.session(first).await {
            Ok(session) => session,
            Err(error) => return all_failed(keys.len(), &error),
        };
        let answers = match session.send_all::<O>(&mut commands).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(error) => return all_failed(keys.len(), &session.failed(&error, name, first)),
        };
        let again = |(key, answer): (&'k str, Result<RedisResult<O>>)| {
            let alone = &alone;
            async move {
                match answer? {
                    Ok(answer) => Ok(answer),
                    Err(_) => alone(key).await,
                }
            }
        };
        let answers = one_each(keys.len(), answers);
        join(keys.iter().copied().zip(answers).map(again), usize::MAX).await
    }
}

/// A command for one key, and nothing else. Large enough, so that it need not grow.
fn of_one(name: &str, key: &str) -> Cmd {
    let mut command = Cmd::with_capacity(2, name.len() + key.len());
    command.arg(name).arg(key);
    command
}

impl ByteStore for RedisStore {
    type Token = Vec<u8>;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let get = of_one("GET", key);
        let mut session = self.servers.session(key).await?;
        match session.send(&get).await? {
            // A list or a hash under the key is a miss like any other foreign value.
            Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
            value => value.map_err(|error| session.failed(&error, "GET", key)),
        }
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>>> {
        let [first, _, ..] = keys else {
            return join(keys.iter().map(|key| self.get(key)), 1).await;
        };
        if self.servers.are_many() {
            return self.send_each("GET", keys, |key| self.get(key)).await;
        }
        if !self.split_reads.is_on() {
            let bytes: usize = keys.iter().map(|key| key.len()).sum();
            let mut mget = Cmd::with_capacity(1 + keys.len(), "MGET".len() + bytes);
            mget.arg("MGET").arg(keys);
            match self.send::<Vec<_>>("MGET", first, &mget).await {
                Ok(values) => return values.into_iter().map(Ok).collect(),
                // Maybe because of one key that this user may not touch.
                Err(Error::BackendRefused(_)) => self.split_reads.begin(),
                Err(error) => return all_failed(keys.len(), &error),
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
        let fences = &self.fences;
        fences
            .claim(&self.servers, key, placeholder, lifetime)
            .await
    }

    async fn compare_and_set(
        &self,
        key: &str,
        token: &Vec<u8>,
        value: &[u8],
        lifetime: Option<Duration>,
    ) -> Result<bool> {
        let fences = &self.fences;
        fences
            .swap(&self.servers, key, token, value, lifetime)
            .await
    }

    async fn compare_and_delete(&self, key: &str, token: &Vec<u8>) -> Result<bool> {
        self.fences.remove(&self.servers, key, token).await
    }

    async fn set(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<Option<Vec<u8>>> {
        let mut set = Cmd::with_capacity(5, "SETPX".len() + key.len() + value.len() + 20);
        set.arg("SET").arg(key).arg(value);
        set.arg("PX").arg(millis(lifetime));
        let mut session = self.servers.session(key).await?;
        match session.send::<()>(&set).await? {
            Ok(()) => Ok(Some(head(value).to_vec())),
            // No memory for anything new, but deleting works.
            Err(error) if error.code() == Some("OOM") => self.delete(key).await.map(|()| None),
            Err(error) => Err(session.failed(&error, "SET", key)),
        }
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<()>> {
        let [first, _, ..] = keys else {
            return join(keys.iter().map(|key| self.delete(key)), 1).await;
        };
        if self.servers.are_many() {
            return self.send_each("DEL", keys, |key| self.delete(key)).await;
        }
        if !self.split_deletes.is_on() {
            let mut del = ::redis::cmd("DEL");
            del.arg(keys);
            match self.send::<()>("DEL", first, &del).await {
                Err(Error::BackendRefused(_)) => self.split_deletes.begin(),
                deleted => return keys.iter().map(|_| deleted.clone()).collect(),
            }
        }
        join(keys.iter().map(|key| self.delete(key)), usize::MAX).await
    }

    async fn scan(&self, beginning: &str, cursor: Option<&ScanCursor>) -> Result<Scanned> {
        scan(&self.servers, beginning, cursor).await
    }

    async fn ping(&self) -> Result<()> {
        self.servers.ping().await
    }

    fn node_of(&self, key: &str) -> usize {
        self.servers.number_of(key)
    }

    async fn ping_node(&self, node: usize) -> Result<()> {
        self.servers.ping_node(node).await
    }

    fn nodes(&self) -> Vec<NodeInfo> {
        self.servers.nodes()
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}

/// A lifetime in whole milliseconds. The server refuses zero, and times beyond its calendar, so a
/// lifetime is bounded by a hundred years.
pub(super) fn millis(lifetime: Duration) -> u64 {
    const CENTURY: u64 = 100 * 365 * 24 * 3_600 * 1_000;
    u64::try_from(lifetime.as_millis()).map_or(CENTURY, |millis| millis.clamp(1, CENTURY))
}
