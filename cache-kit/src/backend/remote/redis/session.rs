//! [`Session`]: the connection on which a command for a key is sent, and what follows from its
//! answer.

use std::sync::Arc;

use ::redis::{Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, Script};
#[cfg(feature = "redis-cluster")]
use ::redis::{ErrorKind, Value, from_redis_value};

#[cfg(feature = "redis-cluster")]
use super::cluster::{Cluster, Hop, MOST_HOPS};
use super::connection::{Link, Usable};
use super::dialect::Dialect;
use super::said::{is_demoted, is_elsewhere, is_login, is_lost, said_of};
use super::servers::Servers;
use crate::error::{Error, Result};

/// A connection to the server that keeps a key. In a cluster, a command may be redirected; then the
/// session goes on with the server that it was sent to.
pub(super) struct Session<'s> {
    servers: &'s Servers,
    link: Arc<Link>,
    usable: Usable,
    /// Whether the key is on its way to this server. Then each command needs an `ASKING` before it.
    #[cfg(feature = "redis-cluster")]
    asking: bool,
    /// Whether `ASKING` was refused.
    #[cfg(feature = "redis-cluster")]
    asking_refused: bool,
}

impl<'s> Session<'s> {
    pub(super) fn new(servers: &'s Servers, link: Arc<Link>, usable: Usable) -> Self {
        Self {
            servers,
            link,
            usable,
            #[cfg(feature = "redis-cluster")]
            asking: false,
            #[cfg(feature = "redis-cluster")]
            asking_refused: false,
        }
    }

    /// What the server behind the connection knows, as far as earlier commands have shown.
    pub(super) fn dialect(&self) -> Dialect {
        self.usable.dialect
    }

    /// The number of the connection, among those to this server.
    pub(super) fn connection(&self) -> u64 {
        self.usable.number
    }

    /// Notes what an answer shows of the server.
    pub(super) fn learn(&mut self, learn: impl Fn(Dialect) -> Dialect) {
        let learnt = learn(self.usable.dialect);
        if learnt != self.usable.dialect {
            self.usable.dialect = learnt;
            self.link.learn(self.usable.number, learn);
        }
    }

    /// Sends a command, and again where it is redirected to.
    ///
    /// # Errors
    /// The outer error says that there is no connection to the server that it was redirected to, the
    /// inner one is its answer: see [`failed`](Self::failed).
    pub(super) async fn send<O: FromRedisValue>(
        &mut self,
        command: &Cmd,
    ) -> Result<RedisResult<O>> {
        let answer = self.once(command).await;
        #[cfg(feature = "redis-cluster")]
        if let (Err(error), Servers::Cluster(cluster)) = (&answer, self.servers)
            && let Some(hop) = Box::pin(cluster.hop(error, &self.link)).await?
        {
            return Box::pin(self.redirected(cluster, hop, command)).await;
        }
        Ok(answer)
    }

    /// Sends a command to the server of the session.
    async fn once<O: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<O> {
        #[cfg(feature = "redis-cluster")]
        if self.asking {
            return Box::pin(self.ask(command)).await;
        }
        command.query_async(&mut self.usable.connection).await
    }

    /// Sends a command where it was redirected to.
    #[cfg(feature = "redis-cluster")]
    async fn redirected<O: FromRedisValue>(
        &mut self,
        cluster: &Cluster,
        mut hop: Hop,
        command: &Cmd,
    ) -> Result<RedisResult<O>> {
        for _ in 0..MOST_HOPS {
            if let Hop::To { link, asking } = hop {
                self.usable = link.connection().await.inspect_err(|_| cluster.doubt())?;
                (self.link, self.asking) = (link, asking);
            }
            let answer = self.once(command).await;
            let Err(error) = &answer else {
                return Ok(answer);
            };
            match cluster.hop(error, &self.link).await? {
                Some(next) => hop = next,
                None => return Ok(answer),
            }
        }
        Err(Error::BackendError(format!(
            "redis cluster: a command was redirected {MOST_HOPS} times"
        )))
    }

    /// Sends a command for a key that is on its way to this server.
    #[cfg(feature = "redis-cluster")]
    async fn ask<O: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<O> {
        let mut both = Pipeline::with_capacity(2);
        both.cmd("ASKING").add_command(command.clone());
        both.ignore_errors();
        let answers: Vec<RedisResult<Value>> =
            both.query_async(&mut self.usable.connection).await?;
        let mut answers = answers.into_iter();
        if let Some(Err(error)) = answers.next() {
            self.asking_refused = true;
            return Err(error);
        }
        let no_answer = || Err((ErrorKind::Parse, "no answer after ASKING").into());
        Ok(from_redis_value(answers.next().unwrap_or_else(no_answer)?)?)
    }

    /// Loads a script, where the last command was sent.
    pub(super) async fn load(&mut self, script: &Script) -> RedisResult<String> {
        script.load_async(&mut self.usable.connection).await
    }

    /// Sends commands in one go; each has its own answer.
    pub(super) async fn send_all<O: FromRedisValue>(
        &mut self,
        commands: &mut Pipeline,
    ) -> RedisResult<Vec<RedisResult<O>>> {
        commands.ignore_errors();
        commands.query_async(&mut self.usable.connection).await
    }

    /// The error of a command that is called `name` and works on `key`. A connection that turns out
    /// to be broken is replaced.
    pub(super) fn failed(&self, error: &RedisError, name: &str, key: &str) -> Error {
        let number = self.usable.number;
        #[cfg(feature = "redis-cluster")]
        let name = if self.asking_refused { "ASKING" } else { name };
        let said = match self.servers {
            #[cfg(feature = "redis-cluster")]
            Servers::Cluster(_) if is_elsewhere(error) => {
                Error::BackendError(format!("redis cluster: {name} was redirected to nowhere"))
            }
            _ => said_of(error, name),
        };
        // In a cluster, another node has the key by now, and the map will say so.
        let is_one = matches!(self.servers, Servers::One(..));
        if is_one && (is_demoted(error) || is_elsewhere(error)) {
            self.link.demote(number, key, said.clone());
        } else if is_lost(error) || is_login(error) {
            self.link.replace(number);
        }
        if !matches!(said, Error::BackendRefused(_)) {
            self.servers.doubt();
        }
        said
    }
}
