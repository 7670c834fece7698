//! [`Pool`]: the connections to one server, and which of them a lease is good on.
//!
//! A server numbers its items from 1 again when it restarts, so a number from before may fit an item
//! from after. But a connection does not outlive its server: whoever holds a number may use it on
//! the connection that it came from, and on one that was opened before. Neither can reach a server
//! that was started since.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::config::Address;
use super::wire::{Connection, Failure};
use crate::error::{Error, Result};

pub(super) struct Pool {
    address: Address,
    connect_deadline: Duration,
    limit: usize,
    /// One for each connection that may be lent at a time.
    permits: Semaphore,
    state: Mutex<State>,
    /// A connection came back, or is gone.
    returned: Notify,
}

#[derive(Default)]
struct State {
    /// The moment of the last opening, or of the last command that a lease may come from.
    moment: u64,
    /// By age, the oldest first.
    idle: Vec<Idle>,
    /// All that exist, idle or lent.
    open: Vec<Origin>,
}

struct Idle {
    connection: Connection,
    origin: Origin,
}

/// When a connection had been opened and answered, and the runtime that drives it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Origin {
    opened: Moment,
    runtime: Id,
}

/// A moment in the life of a pool. No two are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

impl Pool {
    pub(super) fn new(address: Address, limit: usize, connect_deadline: Duration) -> Self {
        Self {
            address,
            connect_deadline,
            limit,
            permits: Semaphore::new(limit),
            state: Mutex::default(),
            returned: Notify::new(),
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// The moment that has come. A lease is as old as the moment before its first command was sent.
    pub(super) fn moment(&self) -> Moment {
        self.lock().next_moment()
    }

    /// A connection, whatever its age. The youngest one at hand, since the older ones are good for
    /// more leases.
    pub(super) async fn any(&self) -> Result<Lent<'_>> {
        let (permit, runtime) = (self.permit().await?, self.runtime()?);
        let idle = self.lock().take(|idle| idle.origin.runtime == runtime);
        match idle {
            Some(idle) => Ok(self.lend(idle, permit, true)),
            // Boxed, since every command would carry its room.
            None => Box::pin(self.connect(permit, runtime)).await,
        }
    }

    async fn connect<'p>(&'p self, permit: SemaphorePermit<'p>, runtime: Id) -> Result<Lent<'p>> {
        let connect = Connection::open(self.address.dsn());
        let connected = tokio::time::timeout(self.connect_deadline, connect).await;
        let connected = connected.unwrap_or_else(|_| {
            let deadline = self.connect_deadline;
            Err(Failure::Lost(format!("no connection within {deadline:?}")))
        });
        let connection = connected.map_err(|failure| self.said(failure))?;
        let (idle, dropped) = self.lock().opened(connection, runtime, self.limit);
        drop(dropped);
        Ok(self.lend(idle, permit, false))
    }

    /// A connection that was opened before `moment`; `None` if there is none any more.
    pub(super) async fn before(&self, moment: Moment) -> Result<Option<Lent<'_>>> {
        let runtime = self.runtime()?;
        loop {
            if !self.lock().has_older(runtime, moment) {
                return Ok(None);
            }
            let permit = self.permit().await?;
            let idle = self
                .lock()
                .take(|idle| idle.origin.is_older(runtime, moment));
            if let Some(idle) = idle {
                return Ok(Some(self.lend(idle, permit, true)));
            }
            // All of them are lent, or have gone. One may come back before it is heard of.
            let mut returned = std::pin::pin!(self.returned.notified());
            returned.as_mut().enable();
            let idle = self
                .lock()
                .take(|idle| idle.origin.is_older(runtime, moment));
            if let Some(idle) = idle {
                return Ok(Some(self.lend(idle, permit, true)));
            }
            drop(permit);
            if self.lock().has_older(runtime, moment) {
                returned.await;
            }
        }
    }

    /// Closes every connection that nobody uses: one was lost, and the others were opened to the same
    /// server.
    fn clear(&self) {
        let mut state = self.lock();
        let idle = std::mem::take(&mut state.idle);
        state
            .open
            .retain(|origin| idle.iter().all(|it| it.origin != *origin));
        drop(state);
        drop(idle);
        self.returned.notify_waiters();
    }

    fn lend<'p>(&'p self, idle: Idle, permit: SemaphorePermit<'p>, used: bool) -> Lent<'p> {
        Lent {
            connection: idle.connection,
            used,
            place: Place {
                pool: self,
                origin: idle.origin,
                returns: false,
                _permit: permit,
            },
        }
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>> {
        let closed = |_| Error::BackendError("memcached: the pool is closed".into());
        self.permits.acquire().await.map_err(closed)
    }

    fn runtime(&self) -> Result<Id> {
        let handle = Handle::try_current()
            .map_err(|_| Error::ConfigError("memcached needs a tokio runtime around it".into()))?;
        Ok(handle.id())
    }

    fn said(&self, failure: Failure) -> Error {
        let address = &self.address;
        match failure {
            Failure::Lost(text) => Error::BackendError(format!("memcached {address}: {text}")),
            Failure::TooLarge => Error::TooLarge(format!("memcached {address}")),
            Failure::Refused(text) => Error::BackendRefused(format!("memcached {address}: {text}")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_moment(&mut self) -> Moment {
        self.moment += 1;
        Moment(self.moment)
    }

    /// The youngest idle connection that fits.
    fn take(&mut self, fits: impl Fn(&Idle) -> bool) -> Option<Idle> {
        let at = self.idle.iter().rposition(fits)?;
        Some(self.idle.remove(at))
    }

    fn has_older(&self, runtime: Id, moment: Moment) -> bool {
        self.open.iter().any(|it| it.is_older(runtime, moment))
    }

    /// Notes a connection that has just been opened. Those of other runtimes, which may be gone,
    /// make room for it.
    fn opened(
        &mut self,
        connection: Connection,
        runtime: Id,
        limit: usize,
    ) -> (Idle, Option<Idle>) {
        let origin = Origin {
            opened: self.next_moment(),
            runtime,
        };
        let room = self.open.len() < limit || self.idle.is_empty();
        let dropped = (!room).then(|| self.idle.remove(0));
        if let Some(dropped) = &dropped {
            self.close(dropped.origin);
        }
        self.open.push(origin);
        (Idle { connection, origin }, dropped)
    }

    fn close(&mut self, origin: Origin) {
        self.open.retain(|it| *it != origin);
    }
}

impl Origin {
    fn is_older(self, runtime: Id, moment: Moment) -> bool {
        self.runtime == runtime && self.opened < moment
    }
}

/// A connection in use. It goes back with its answer, and is closed without one: dropped in the
/// middle of a command, it would hand the answer to the next.
pub(super) struct Lent<'p> {
    connection: Connection,
    /// Whether it has been lent before, and may have been lost meanwhile.
    used: bool,
    place: Place<'p>,
}

/// The place of a lent connection in its pool, which is free again when this is dropped.
struct Place<'p> {
    pool: &'p Pool,
    origin: Origin,
    returns: bool,
    _permit: SemaphorePermit<'p>,
}

impl Lent<'_> {
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Takes the answer of a command. Where `again` allows it, a connection that has been lost since
    /// it was last used is told as such, so that the command is sent once more.
    pub(super) fn settle<O>(self, answer: Result<O, Failure>, again: bool) -> Result<O> {
        let pool = self.place.pool;
        match answer {
            Ok(answer) => {
                self.place.give_back(self.connection);
                Ok(answer)
            }
            Err(failure) => {
                let lost = matches!(failure, Failure::Lost(_));
                if lost {
                    pool.clear();
                }
                match pool.said(failure) {
                    Error::BackendError(text) if lost && self.used && again => {
                        Err(Error::ConnectionLost(text))
                    }
                    said => Err(said),
                }
            }
        }
    }
}

impl Place<'_> {
    fn give_back(mut self, connection: Connection) {
        self.returns = true;
        let idle = Idle {
            connection,
            origin: self.origin,
        };
        let mut state = self.pool.lock();
        let at = state
            .idle
            .partition_point(|it| it.origin.opened < idle.origin.opened);
        state.idle.insert(at, idle);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.returns {
            self.pool.lock().close(self.origin);
        }
        self.pool.returned.notify_waiters();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, idle) = {
            let state = self.lock();
            (state.open.len(), state.idle.len())
        };
        f.debug_struct("Pool")
            .field("address", &format_args!("{}", self.address))
            .field("open", &open)
            .field("idle", &idle)
            .finish_non_exhaustive()
    }
}
