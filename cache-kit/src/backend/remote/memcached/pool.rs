//! [`Pool`]: the connections to one server, for each runtime its own.
//!
//! A connection works only while its runtime is driven, so each runtime has a [`Room`] of its own
//! and is independent of the others. A connection is opened by a task of the runtime, which goes on
//! when the caller that wanted it has gone. Only one is opened at a time, however many callers
//! wait. The next one is opened when all open ones are busy.
//!
//! Commands on two connections have no order. A claim whose caller has gone may still be in flight,
//! and a second claim, which looks for what the first one has left, must come after it. So claims
//! of one key use the connection that carries unanswered claims of that key.
//!
//! A server numbers its items from 1 again when it restarts, so a number from before may match an
//! item from after. But a connection does not outlive its server, so a lease is valid only on the
//! connection that took it.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout_at};

use super::config::Address;
use super::driver::Driver;
use super::link::{Answered, Failure, Link};
use super::socket::connect;

/// A connection with this much in flight counts as busy.
const MUCH: usize = 64;

/// How many commands of one runtime may be in flight.
pub(super) const UNDER_WAY: usize = 512;

/// After a failed attempt to open a further connection, the pause before the next attempt.
const PAUSE: Duration = Duration::from_secs(1);

const NO_RUNTIME: &str = "memcached needs a tokio runtime around it";
const NO_DRIVERS: &str = "memcached needs a tokio runtime with io and time (enable_all)";

/// The connections to one server. Dropping it ends them.
pub(super) struct Pool {
    shared: Arc<Shared>,
}

/// The settings of a pool.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// How many connections each runtime may have.
    pub(super) connections: usize,
    /// How long connecting may take, the first answer included.
    pub(super) connect: Duration,
    /// How long the server may owe an answer.
    pub(super) answer: Duration,
}

struct Shared {
    address: Address,
    limits: Limits,
    rooms: Mutex<HashMap<Id, Room>>,
    hasher: RandomState,
}

/// What belongs to one runtime.
struct Room {
    links: Vec<Arc<Link>>,
    /// The connection that is being opened.
    opening: Option<Opening>,
    /// When one more may be opened beside the open ones.
    more_from: Option<Instant>,
    /// One for each command that may be in flight.
    permits: Arc<Semaphore>,
    /// The connection of the unanswered claims of a key, and how many there are. By the hash of the
    /// key: two keys with one hash share a connection.
    claims: HashMap<u64, (Arc<Link>, usize)>,
}

type Opened = Answered<Arc<Link>>;
type Opening = watch::Receiver<Option<Opened>>;

/// The result of a search for a connection.
enum Way {
    Open(Arc<Link>),
    Wait(Opening),
}

/// A place among the commands that are in flight.
#[derive(Debug)]
pub(super) struct Admitted {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Pool {
    pub(super) fn new(address: Address, limits: Limits) -> Self {
        Self {
            shared: Arc::new(Shared {
                address,
                limits,
                rooms: Mutex::default(),
                hasher: RandomState::new(),
            }),
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.shared.address
    }

    /// Waits for a place among the commands of this runtime, first come, first served, and until
    /// there is room to send.
    pub(super) async fn admit(&self) -> Answered<Admitted> {
        let runtime = runtime()?;
        let (permits, link) = {
            let mut rooms = self.shared.lock();
            let room = rooms.entry(runtime.id()).or_default();
            (Arc::clone(&room.permits), room.least_busy())
        };
        // The semaphore is never closed.
        let permit = permits.acquire_owned().await.ok();
        if let Some(link) = link {
            link.room().await;
        }
        Ok(Admitted { _permit: permit })
    }

    /// The least busy connection, or a new one.
    pub(super) async fn link(&self) -> Opened {
        match self.way()? {
            Way::Open(link) => Ok(link),
            Way::Wait(mut opening) => {
                let opened = opening.wait_for(Option::is_some).await;
                let opened = opened.ok().and_then(|result| result.clone());
                opened.unwrap_or_else(|| {
                    let gone = "the runtime that was connecting has ended";
                    Err(Failure::Unconnected(gone.into()))
                })
            }
        }
    }

    /// The connection for a claim of `key`: the one that carries other claims of it, otherwise as
    /// [`link`](Self::link). Keep the returned guard until the claim has been answered.
    pub(super) async fn link_in_order(&self, key: &str) -> Answered<(Arc<Link>, Arc<InOrder>)> {
        let link = self.link().await?;
        let runtime = runtime()?.id();
        let key = self.shared.hasher.hash_one(key);
        let link = {
            let mut rooms = self.shared.lock();
            let claims = &mut rooms.entry(runtime).or_default().claims;
            let (known, count) = claims.entry(key).or_insert_with(|| (Arc::clone(&link), 0));
            *count += 1;
            if known.has_ended() {
                *known = link;
            }
            Arc::clone(known)
        };
        let shared = Arc::downgrade(&self.shared);
        let in_order = InOrder {
            shared,
            runtime,
            key,
        };
        Ok((link, Arc::new(in_order)))
    }

    fn way(&self) -> Answered<Way> {
        let runtime = runtime()?;
        let (way, attempt) = {
            let mut rooms = self.shared.lock();
            if !rooms.contains_key(&runtime.id()) {
                rooms.retain(|_, room| !room.is_empty());
            }
            let room = rooms.entry(runtime.id()).or_default();
            room.links.retain(|link| !link.has_ended());
            let link = room.least_busy();
            let attempt = room
                .opens(link.as_deref(), self.shared.limits.connections)
                .then(|| {
                    let (tell, opening) = watch::channel(None);
                    room.opening = Some(opening);
                    Attempt {
                        shared: Arc::downgrade(&self.shared),
                        runtime: runtime.id(),
                        tell,
                        opened: None,
                    }
                });
            let way = match (link, &room.opening) {
                (Some(link), _) => Way::Open(link),
                (None, Some(opening)) => Way::Wait(opening.clone()),
                (None, None) => return Err(Failure::Unconnected("no connection".into())),
            };
            (way, attempt)
        };
        // A task may be dropped as it is spawned, and its `Drop` takes the lock.
        if let Some(attempt) = attempt {
            let (address, limits) = (self.shared.address.clone(), self.shared.limits.clone());
            runtime.spawn(attempt.run(address, limits));
        }
        Ok(way)
    }
}

impl Default for Room {
    fn default() -> Self {
        Self {
            links: Vec::new(),
            opening: None,
            more_from: None,
            permits: Arc::new(Semaphore::new(UNDER_WAY)),
            claims: HashMap::new(),
        }
    }
}

impl Room {
    fn least_busy(&self) -> Option<Arc<Link>> {
        let open = self.links.iter().filter(|link| !link.has_ended());
        open.min_by_key(|link| link.load()).cloned()
    }

    /// Whether to open a connection beside `best`, the least busy one.
    fn opens(&self, best: Option<&Link>, limit: usize) -> bool {
        if self.opening.is_some() {
            return false;
        }
        let Some(best) = best else { return true };
        best.load() >= MUCH
            && self.links.len() < limit
            && self.more_from.is_none_or(|from| Instant::now() >= from)
    }

    fn is_empty(&self) -> bool {
        self.links.is_empty()
            && self.opening.is_none()
            && self.permits.available_permits() == UNDER_WAY
    }
}

/// Keeps claims of one key on one connection.
pub(super) struct InOrder {
    shared: Weak<Shared>,
    runtime: Id,
    key: u64,
}

impl Drop for InOrder {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        // Dropping it may end the connection, which must not happen under the lock.
        let _dropped = {
            let mut rooms = shared.lock();
            let Some(room) = rooms.get_mut(&self.runtime) else {
                return;
            };
            let Entry::Occupied(mut claims) = room.claims.entry(self.key) else {
                return;
            };
            claims.get_mut().1 -= 1;
            (claims.get().1 == 0).then(|| claims.remove())
        };
    }
}

impl fmt::Debug for InOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InOrder").field("key", &self.key).finish()
    }
}

/// Opens a connection, and tells the waiters the result, whatever it is.
struct Attempt {
    shared: Weak<Shared>,
    runtime: Id,
    tell: watch::Sender<Option<Opened>>,
    opened: Option<Opened>,
}

impl Attempt {
    async fn run(mut self, address: Address, limits: Limits) {
        self.opened = Some(self.open(&address, &limits).await);
    }

    async fn open(&self, address: &Address, limits: &Limits) -> Opened {
        let end = limits.deadline();
        let connecting = connect(address, limits.connect);
        let (reading, writing) = match timeout_at(end, connecting).await {
            Ok(connected) => connected.map_err(|error| no_connection(&error))?,
            Err(_) => return Err(limits.late()),
        };
        let writing = Arc::new(writing);
        let link = Arc::new(Link::new(Arc::clone(&writing)));
        let driver = Driver::new(Arc::clone(&link), reading, writing, limits.answer);
        let end_of = Leaving {
            shared: self.shared.clone(),
            runtime: self.runtime,
            link: Arc::clone(&link),
        };
        tokio::spawn(async move {
            let _leaving = end_of;
            driver.run().await;
        });
        match timeout_at(end, link.greet()).await {
            Ok(Ok(())) => Ok(link),
            Ok(Err(failure)) => {
                link.end(failure.clone());
                // A refusal at this point is a failure of the connection.
                Err(match failure {
                    Failure::Refused(refusal) => Failure::Unconnected(refusal.told().into()),
                    Failure::Lost(text) => Failure::Unconnected(text),
                    other => other,
                })
            }
            Err(_) => {
                link.end(limits.late());
                Err(limits.late())
            }
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut opened = self.opened.take();
        if opened.is_none() && std::thread::panicking() {
            opened = Some(Err(Failure::Runtime(NO_DRIVERS)));
        }
        let Some(shared) = self.shared.upgrade() else {
            if let Some(Ok(link)) = opened {
                link.end(closed());
            }
            return;
        };
        {
            let mut rooms = shared.lock();
            if let Some(room) = rooms.get_mut(&self.runtime) {
                room.opening = None;
                match &opened {
                    Some(Ok(link)) => room.links.push(Arc::clone(link)),
                    _ => room.more_from = Some(Instant::now() + PAUSE),
                }
            }
        }
        self.tell.send_replace(opened);
    }
}

/// Takes a connection out of its room when its driver ends, or the runtime does.
struct Leaving {
    shared: Weak<Shared>,
    runtime: Id,
    link: Arc<Link>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let mut rooms = shared.lock();
        if let Some(room) = rooms.get_mut(&self.runtime) {
            room.links.retain(|link| !Arc::ptr_eq(link, &self.link));
            if room.is_empty() {
                rooms.remove(&self.runtime);
            }
        }
    }
}

impl Limits {
    fn deadline(&self) -> Instant {
        Instant::now() + self.connect
    }

    fn late(&self) -> Failure {
        Failure::Unconnected(format!("no connection within {:?}", self.connect))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let rooms = self.rooms.get_mut().unwrap_or_else(PoisonError::into_inner);
        for link in rooms.values().flat_map(|room| &room.links) {
            link.end(closed());
        }
    }
}

fn closed() -> Failure {
    Failure::Lost("the backend is gone".into())
}

fn no_connection(error: &std::io::Error) -> Failure {
    Failure::Unconnected(format!("no connection: {error}"))
}

fn runtime() -> Answered<Handle> {
    Handle::try_current().map_err(|_| Failure::Runtime(NO_RUNTIME))
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (runtimes, open) = {
            let rooms = self.shared.lock();
            let open: usize = rooms.values().map(|room| room.links.len()).sum();
            (rooms.len(), open)
        };
        f.debug_struct("Pool")
            .field("address", &format_args!("{}", self.shared.address))
            .field("runtimes", &runtimes)
            .field("open", &open)
            .finish()
    }
}
