//! [`Link`]: one connection for each runtime, made when needed and replaced when broken.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::runtime::{Handle, Id};
use tokio::sync::{oneshot, watch};

use super::connect::Connector;
use super::demoted::{Demoted, prove};
use super::dial::Connection;
use super::dialect::Dialect;
use crate::error::{Error, Result};

pub(super) struct Link {
    connector: Arc<Connector>,
    homes: Arc<Homes>,
}

/// A connection, as a command gets it.
pub(super) struct Usable {
    pub(super) connection: Connection,
    /// Its number.
    pub(super) number: u64,
    /// What its server knows, as far as earlier commands have shown.
    pub(super) dialect: Dialect,
}

#[derive(Default)]
struct Homes(Mutex<State>);

#[derive(Default)]
struct State {
    /// One for each runtime that has used the store. A connection is driven by a task of its
    /// runtime; on another runtime its answers would come late, or never.
    homes: Vec<Home>,
    /// The number of the last connection, or of the last attempt to make one.
    last: u64,
    /// Set when the server has turned out not to be one that keeps all keys and takes writes.
    demoted: Option<Demoted>,
}

struct Home {
    runtime: Id,
    door: Door,
    /// Dropped with the home; ends the task that waits for the end of the runtime.
    _alive: oneshot::Sender<()>,
}

enum Door {
    /// Not connected.
    Shut,
    /// A task connects, under this number.
    Opening(u64, watch::Receiver<Option<Result<()>>>),
    Open(u64, Connection, Dialect),
}

/// The state of a runtime's connection, as a caller finds it.
enum Found {
    /// There is no home for this runtime.
    Stranger,
    Usable(Usable),
    Wait(watch::Receiver<Option<Result<()>>>),
    /// The server is not to be used, and the caller must find out whether that is still so.
    Prove(Arc<str>),
    /// There is no connection; the caller must make it, under this number.
    Make(Attempt, watch::Receiver<Option<Result<()>>>),
}

impl Link {
    pub(super) fn over(connector: Connector) -> Self {
        Self {
            connector: Arc::new(connector),
            homes: Arc::default(),
        }
    }

    /// The connection of this runtime, made if there is none.
    ///
    /// It is made by a task, so that a caller that goes away, or is not polled, neither delays the
    /// others nor discards the connection.
    pub(super) async fn connection(&self) -> Result<Usable> {
        let runtime = runtime()?;
        let mut known = false;
        loop {
            let mut opened = match self.find(runtime.id())? {
                Found::Usable(usable) => return Ok(usable),
                // If the runtime is ending, the task is dropped at once.
                Found::Stranger if known => return Err(given_up()),
                Found::Stranger => {
                    self.settle(&runtime);
                    known = true;
                    continue;
                }
                Found::Prove(key) => {
                    Box::pin(prove(self, &key)).await?;
                    continue;
                }
                Found::Wait(opened) => opened,
                Found::Make(attempt, opened) => {
                    runtime.spawn(open(Arc::clone(&self.connector), attempt, runtime.clone()));
                    opened
                }
            };
            // Boxed, since every command would be larger for it.
            Box::pin(async {
                let opened = opened.wait_for(Option::is_some).await;
                opened.map_or_else(
                    |_| Err(given_up()),
                    |opened| opened.clone().unwrap_or(Ok(())),
                )
            })
            .await?;
        }
    }

    /// Makes a home for a runtime, which is removed when the runtime ends.
    fn settle(&self, runtime: &Handle) {
        let (alive, gone) = oneshot::channel();
        let home = Home {
            runtime: runtime.id(),
            door: Door::Shut,
            _alive: alive,
        };
        {
            let mut state = self.homes.lock();
            if state
                .homes
                .iter()
                .any(|known| known.runtime == home.runtime)
            {
                return;
            }
            state.homes.push(home);
        }
        let tenant = Tenant {
            homes: Arc::downgrade(&self.homes),
            runtime: runtime.id(),
        };
        runtime.spawn(async move {
            let _tenant = tenant;
            let _ = gone.await;
        });
    }

    fn find(&self, id: Id) -> Result<Found> {
        let mut state = self.homes.lock();
        if let Some(demoted) = &mut state.demoted {
            return demoted.turn().map(Found::Prove);
        }
        let last = state.last + 1;
        let Some(home) = state.homes.iter_mut().find(|home| home.runtime == id) else {
            return Ok(Found::Stranger);
        };
        match &home.door {
            Door::Open(number, connection, dialect) => Ok(Found::Usable(Usable {
                connection: connection.clone(),
                number: *number,
                dialect: *dialect,
            })),
            Door::Opening(_, opened) => Ok(Found::Wait(opened.clone())),
            Door::Shut => {
                let (opens, opened) = watch::channel(None);
                home.door = Door::Opening(last, opened.clone());
                state.last = last;
                let attempt = Attempt {
                    homes: Arc::downgrade(&self.homes),
                    number: last,
                    opens,
                };
                Ok(Found::Make(attempt, opened))
            }
        }
    }

    /// Makes the next command connect again, unless the connection has been replaced already.
    pub(super) fn replace(&self, number: u64) {
        let replaced = self.homes.lock().shut(number);
        // Dropped outside of the lock.
        drop(replaced);
    }

    /// Notes what an answer on a connection shows of its server.
    pub(super) fn learn(&self, number: u64, learn: impl FnOnce(Dialect) -> Dialect) {
        let mut state = self.homes.lock();
        let home = state.opened(number);
        if let Some(Door::Open(_, _, dialect)) = home.map(|home| &mut home.door) {
            *dialect = learn(*dialect);
        }
    }

    /// The server is a replica, or one of several that keep the keys. Nothing else is sent until
    /// `prove` shows otherwise, which the next caller tries, and the ping of a breaker.
    pub(super) fn demote(&self, number: u64, key: &str, error: Error) {
        let mut state = self.homes.lock();
        if state.opened(number).is_none() {
            return;
        }
        state.demoted = Some(Demoted::new(key, error));
        let doors: Vec<Door> = state.homes.iter_mut().filter_map(Home::leave).collect();
        drop(state);
        drop(doors);
    }

    /// A key that was refused, if the server is not to be used.
    pub(super) fn demoted(&self) -> Option<Arc<str>> {
        let state = self.homes.lock();
        state.demoted.as_ref().map(Demoted::key)
    }

    /// A connection that no other caller uses, made by a task, to test a server that was not to be
    /// used.
    pub(super) async fn apart(&self) -> Result<Connection> {
        let runtime = runtime()?;
        let connector = Arc::clone(&self.connector);
        joined(runtime.spawn(async move { connector.connect().await })).await
    }

    /// The server takes the key.
    pub(super) fn promoted(&self) {
        self.homes.lock().demoted = None;
    }
}

fn runtime() -> Result<Handle> {
    Handle::try_current()
        .map_err(|_| Error::ConfigError("redis needs a tokio runtime around it".into()))
}

fn given_up() -> Error {
    Error::BackendError("redis: connecting was given up".into())
}

/// The result of a task that connects.
async fn joined(task: tokio::task::JoinHandle<Result<Connection>>) -> Result<Connection> {
    match task.await {
        Ok(connected) => connected,
        // Where a runtime has no sockets, tokio panics and gives no other sign.
        Err(error) if error.is_panic() => Err(Error::ConfigError(
            "redis needs a tokio runtime with sockets and a timer: enable_all()".into(),
        )),
        Err(_) => Err(given_up()),
    }
}

/// Connects, and tells all waiters.
async fn open(connector: Arc<Connector>, attempt: Attempt, runtime: Handle) {
    let connected = joined(runtime.spawn(async move { connector.connect().await })).await;
    attempt.end(connected);
}

/// An attempt to connect. If it is dropped before its end, the door is shut.
struct Attempt {
    homes: Weak<Homes>,
    number: u64,
    opens: watch::Sender<Option<Result<()>>>,
}

impl Attempt {
    fn end(self, connected: Result<Connection>) {
        let told = connected.as_ref().map(|_| ()).map_err(Clone::clone);
        if let (Ok(connection), Some(homes)) = (connected, self.homes.upgrade()) {
            homes.lock().open(self.number, connection);
        }
        // Dropping it shuts the door if it has not been opened. This comes before the waiters are
        // told.
        let opens = self.opens.clone();
        drop(self);
        let _ = opens.send(Some(told));
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(homes) = self.homes.upgrade() {
            let mut state = homes.lock();
            let opening = |home: &&mut Home| matches!(home.door, Door::Opening(number, _) if number == self.number);
            if let Some(home) = state.homes.iter_mut().find(opening) {
                let door = std::mem::replace(&mut home.door, Door::Shut);
                drop(state);
                drop(door);
            }
        }
    }
}

/// Lives in a task of a runtime, and ends with it: from then on nothing drives its connection.
struct Tenant {
    homes: Weak<Homes>,
    runtime: Id,
}

impl Drop for Tenant {
    fn drop(&mut self) {
        if let Some(homes) = self.homes.upgrade() {
            let mut state = homes.lock();
            let ended = |home: &mut Home| home.runtime == self.runtime;
            let ended: Vec<Home> = state.homes.extract_if(.., ended).collect();
            drop(state);
            drop(ended);
        }
    }
}

impl Homes {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open(&mut self, number: u64, connection: Connection) {
        let opening =
            |home: &&mut Home| matches!(home.door, Door::Opening(opening, _) if opening == number);
        if let Some(home) = self.homes.iter_mut().find(opening) {
            home.door = Door::Open(number, connection, Dialect::default());
        }
    }

    fn shut(&mut self, number: u64) -> Option<Door> {
        self.opened(number)?.leave()
    }

    /// The home whose open connection has this number.
    fn opened(&mut self, number: u64) -> Option<&mut Home> {
        let open = |home: &&mut Home| matches!(home.door, Door::Open(open, ..) if open == number);
        self.homes.iter_mut().find(open)
    }
}

impl Home {
    /// Shuts an open door.
    fn leave(&mut self) -> Option<Door> {
        matches!(self.door, Door::Open(..)).then(|| std::mem::replace(&mut self.door, Door::Shut))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = {
            let state = self.homes.lock();
            let open = |home: &&Home| matches!(&home.door, Door::Open(_, connection, _) if !connection.has_ended());
            state.homes.iter().filter(open).count()
        };
        f.debug_struct("Link")
            .field("addresses", &self.connector)
            .field("connections", &open)
            .finish_non_exhaustive()
    }
}
