//! [`Link`]: the one connection, made when it is needed and replaced when it is no good.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
const UNANSWERED: u32 = 3;

pub(super) struct Link {
    client: Client,
    /// For servers that do not speak RESP3; `None` if the URL chose the protocol.
    fallback: Option<Client>,
    connect_deadline: Duration,
    current: Mutex<Option<Arc<Connection>>>,
    /// One caller connects, the others wait for it.
    connecting: tokio::sync::Mutex<()>,
    next: AtomicU64,
}

/// A connection, and what is known of it.
pub(super) struct Connection {
    inner: MultiplexedConnection,
    number: u64,
    runtime: tokio::runtime::Id,
    unanswered: AtomicU32,
}

impl Connection {
    pub(super) fn get(&self) -> MultiplexedConnection {
        self.inner.clone()
    }
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
            next: AtomicU64::new(0),
        })
    }

    /// The connection, made anew if there is none or if its runtime is not this one: the task that
    /// drives it may be gone, and without it commands would wait for ever.
    pub(super) async fn connection(&self) -> Result<Arc<Connection>> {
        let runtime = Handle::try_current()
            .map_err(|_| Error::ConfigError("redis needs a tokio runtime around it".into()))?
            .id();
        match self.usable(runtime) {
            Some(connection) => Ok(connection),
            // Boxed, since every command would carry its three kilobytes.
            None => Box::pin(self.connect_anew(runtime)).await,
        }
    }

    fn usable(&self, runtime: tokio::runtime::Id) -> Option<Arc<Connection>> {
        let current = self.lock();
        current.as_ref().filter(|it| it.runtime == runtime).cloned()
    }

    async fn connect_anew(&self, runtime: tokio::runtime::Id) -> Result<Arc<Connection>> {
        let _turn = self.connecting.lock().await;
        if let Some(connection) = self.usable(runtime) {
            return Ok(connection);
        }
        let inner = self.connect().await.map_err(|error| super::said(&error))?;
        let connection = Arc::new(Connection {
            inner,
            number: self.next.fetch_add(1, Ordering::Relaxed),
            runtime,
            unanswered: AtomicU32::new(0),
        });
        *self.lock() = Some(Arc::clone(&connection));
        Ok(connection)
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

    /// Makes the next command connect anew, unless somebody has replaced `connection` already.
    pub(super) fn replace(&self, connection: &Connection) {
        let mut current = self.lock();
        if current
            .as_ref()
            .is_some_and(|it| it.number == connection.number)
        {
            *current = None;
        }
    }

    /// Counts a command that is dropped without an answer against its connection.
    pub(super) fn watch<'l>(&'l self, connection: &'l Connection) -> InFlight<'l> {
        InFlight {
            link: self,
            before: connection.unanswered.load(Ordering::Relaxed),
            connection: Some(connection),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Connection>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command that has not been answered.
pub(super) struct InFlight<'l> {
    link: &'l Link,
    /// How many had not been answered in a row when it was sent.
    before: u32,
    connection: Option<&'l Connection>,
}

impl InFlight<'_> {
    pub(super) fn answered(mut self) {
        if let Some(connection) = self.connection.take()
            // Not written while all is well: every task reads the line that it stands on.
            && connection.unanswered.load(Ordering::Relaxed) != 0
        {
            connection.unanswered.store(0, Ordering::Relaxed);
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let (before, now) = (self.before, self.before + 1);
        let counted = connection.unanswered.compare_exchange(
            before,
            now,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        if counted.is_ok() && now >= UNANSWERED {
            self.link.replace(connection);
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
