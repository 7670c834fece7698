//! [`Session`]: the connection on which a command for a key is sent, and what follows from its
//! answer.

use std::sync::Arc;

use ::redis::{Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, Script};

use super::connection::{Link, Usable};
use super::dialect::Dialect;
use super::said::{is_demoted, is_login, is_lost, said_of};
use super::servers::Servers;
use crate::error::{Error, Result};

/// A connection to the server that keeps a key. In a cluster, a command may be redirected; then the
/// session goes on with the server that it was sent to.
pub(super) struct Session<'s> {
    servers: &'s Servers,
    link: Arc<Link>,
    usable: Usable,
}

impl<'s> Session<'s> {
    pub(super) fn new(servers: &'s Servers, link: Arc<Link>, usable: Usable) -> Self {
        Self {
            servers,
            link,
            usable,
        }
    }

    /// What the server behind the connection knows, as far as earlier commands have shown.
    pub(super) fn dialect(&self) -> Dialect {
        self.usable.dialect
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
        Ok(command.query_async(&mut self.usable.connection).await)
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
        if is_demoted(error) {
            self.link.demote(number, key);
        } else if is_lost(error) || is_login(error) {
            self.link.replace(number);
        }
        said_of(error, name)
    }
}
