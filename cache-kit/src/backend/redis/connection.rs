//! [`Link`]: the one connection, made when it is needed and replaced when it is no good.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, ErrorKind, ProtocolVersion, RedisError, RedisResult,
    ServerErrorKind,
};
use tokio::runtime::Handle;

use super::RedisConfig;
use crate::error::{Error, Result};

/// After this many commands in a row that were given up without an answer, the connection counts
/// as black-holed. Those that were under way together are one: a batch that is dropped says no more
/// than a single command does.
const UNANSWERED: u64 = 3;

pub(super) struct Link {
    client: Client,
    /// For servers that do not speak RESP3; `None` if the URL chose the protocol.
    fallback: Option<Client>,
    connect_deadline: Duration,
    current: Mutex<Option<Connection>>,
    /// One caller connects, the others wait for it.
    connecting: tokio::sync::Mutex<()>,
    next: AtomicU32,
    unanswered: Unanswered,
}

/// A connection, and the command that it is for.
pub(super) type Usable<'l> = (MultiplexedConnection, InFlight<'l>);

/// A connection, and where it lives.
struct Connection {
    inner: MultiplexedConnection,
    number: u32,
    runtime: tokio::runtime::Id,
}

impl Link {
    pub(super) fn new(config: &RedisConfig) -> Result<Self> {
        let open = |protocol| {
            let mut info = config.connection().clone();
            if let Some(protocol) = protocol {
                let settings = info.redis_settings().clone().set_protocol(protocol);
                info = info.set_redis_settings(settings);
            }
            // The message could repeat what the URL says.
            Client::open(info)
                .map_err(|_| Error::ConfigError("redis: bad connection settings".into()))
        };
        let (client, fallback) = if config.protocol_chosen() {
            (open(None)?, None)
        } else {
            (
                open(Some(ProtocolVersion::RESP3))?,
                Some(open(Some(ProtocolVersion::RESP2))?),
            )
        };
        Ok(Self {
            client,
            fallback,
            connect_deadline: config.connect_deadline(),
            current: Mutex::new(None),
            connecting: tokio::sync::Mutex::new(()),
            next: AtomicU32::new(0),
            unanswered: Unanswered::default(),
        })
    }

    /// The connection, made anew if there is none or if its runtime is not this one: the task that
    /// drives it may be gone, and without it commands would wait for ever. A command that is dropped
    /// without an answer counts against it.
    pub(super) async fn connection(&self) -> Result<Usable<'_>> {
        let runtime = Handle::try_current()
            .map_err(|_| Error::ConfigError("redis needs a tokio runtime around it".into()))?
            .id();
        match self.usable(runtime) {
            Some(usable) => Ok(usable),
            // Boxed, since every command would carry its three kilobytes.
            None => Box::pin(self.connect_anew(runtime)).await,
        }
    }

    fn usable(&self, runtime: tokio::runtime::Id) -> Option<Usable<'_>> {
        let current = self.lock();
        let connection = current.as_ref().filter(|it| it.runtime == runtime)?;
        Some((connection.inner.clone(), self.watch(connection.number)))
    }

    async fn connect_anew(&self, runtime: tokio::runtime::Id) -> Result<Usable<'_>> {
        let _turn = self.connecting.lock().await;
        if let Some(usable) = self.usable(runtime) {
            return Ok(usable);
        }
        let inner = self.connect().await.map_err(|error| super::said(&error))?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut current = self.lock();
        *current = Some(Connection {
            inner: inner.clone(),
            number,
            runtime,
        });
        self.unanswered.begin(number);
        Ok((inner, self.watch(number)))
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        // The guard in front of the store has the deadline of every command.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_deadline))
            .set_response_timeout(None);
        let connected = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await;
        match (connected, &self.fallback) {
            (Err(error), Some(fallback)) if error.kind() == ErrorKind::RESP3NotSupported => {
                fallback
                    .get_multiplexed_async_connection_with_config(&config)
                    .await
            }
            (connected, _) => connected,
        }
    }

    /// Makes the next command connect anew, unless somebody has replaced the connection already.
    pub(super) fn replace(&self, number: u32) {
        let mut current = self.lock();
        // What is dropped is dropped outside of the lock.
        let replaced = current.take_if(|it| it.number == number);
        drop(current);
        drop(replaced);
    }

    fn watch(&self, number: u32) -> InFlight<'_> {
        InFlight {
            link: self,
            number,
            before: Some(self.unanswered.now()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connection>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many commands in a row were given up on which connection: its number, then theirs.
#[derive(Default)]
struct Unanswered(AtomicU64);

impl Unanswered {
    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn begin(&self, connection: u32) {
        self.0.store(u64::from(connection) << 32, Ordering::Relaxed);
    }

    /// Adds one to what it was `before`. What others have done to it since stands.
    fn add(&self, before: u64) -> Option<u64> {
        let now = before + 1;
        let added = self
            .0
            .compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed);
        added.is_ok().then_some(now & u64::from(u32::MAX))
    }

    fn clear(&self, connection: u32) {
        let begun = u64::from(connection) << 32;
        // Not written while all is well: every task reads the line that it stands on.
        let counted = |now: u64| now > begun && now - begun <= u64::from(u32::MAX);
        let cleared = |now| counted(now).then_some(begun);
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, cleared);
    }
}

/// A command that has not been answered.
pub(super) struct InFlight<'l> {
    link: &'l Link,
    /// The number of its connection.
    number: u32,
    /// What had not been answered when it was sent.
    before: Option<u64>,
}

impl InFlight<'_> {
    /// Tells which connection has answered.
    pub(super) fn answered(mut self) -> u32 {
        self.before = None;
        self.link.unanswered.clear(self.number);
        self.number
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let Some(before) = self.before else {
            return;
        };
        if before >> 32 == u64::from(self.number)
            && self.link.unanswered.add(before) >= Some(UNANSWERED)
        {
            self.link.replace(self.number);
        }
    }
}

/// Whether the connection is lost, so that only a new one can answer.
pub(super) fn is_lost(error: &RedisError) -> bool {
    error.is_connection_dropped() || error.is_io_error() || error.kind() == ErrorKind::Parse
}

/// Whether the server is no longer one to write to. The connection would go on being answered, and
/// every invalidation refused.
pub(super) fn is_demoted(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
    )
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.client.get_connection_info().addr();
        f.debug_struct("Link")
            .field("address", &format_args!("{address}"))
            .field("connected", &self.lock().is_some())
            .finish_non_exhaustive()
    }
}
