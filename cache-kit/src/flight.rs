//! One load per key: callers that miss the same key share a *flight*.
//!
//! The first caller becomes the flight's leader and loads; the others join and wait for what it
//! lands with. A leader that is dropped half-way leaves the flight, with its lease, to one of
//! those who wait. Everything is done under short locks, and nothing is awaited under one.
//!
//! # Who may join
//!
//! A caller that begins after an invalidation was acknowledged must not be answered by a load that
//! began before it. So a caller joins a flight only if
//!
//! - its own look-up began before the flight's lease was sent for (then so did the caller, and no
//!   invalidation can lie in between), or
//! - the fence that its look-up saw is the flight's own lease (then nobody invalidated the key
//!   between the lease and the look-up).
//!
//! Otherwise, if the flight holds a lease, that lease is no longer what stands under the key: the
//! caller starts a newer flight in its place. If the flight has no lease (yet), nothing can be
//! known, and the caller waits for its end and tries again; so a store that is down never has more
//! than one load of a key running.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::backend::{Fence, LeaseId};
use crate::shards::{Shards, TypedKey};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, lock};

#[cfg(all(test, cache_kit_model))]
mod model;

/// The flights of one service: `L` is its backend's lease, `V` what a flight lands with.
pub(crate) struct Flights<L, V> {
    table: Shards<Arc<Flight<L, V>>>,
    /// Counts the leases sent for, so that a caller can tell whether it began before one.
    leases_sent: AtomicU64,
}

/// A moment in the life of [`Flights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

/// What a caller does about the flight of its key.
pub(crate) enum Boarding<L, V: Clone> {
    /// It leads: it loads for everybody who joins.
    Lead(Leader<L, V>),
    /// It waits for what the flight lands with, and may have to take the lead.
    Join(Passenger<L, V>),
    /// It may not join; it waits for the flight's end and boards again.
    Stand(Bystander<L, V>),
}

impl<L, V: Clone> Flights<L, V> {
    pub(crate) fn new() -> Self {
        Self {
            table: Shards::new(),
            leases_sent: AtomicU64::new(0),
        }
    }

    /// To be taken before a look-up begins, for [`board`](Self::board).
    #[inline]
    pub(crate) fn tick(&self) -> Tick {
        Tick(self.leases_sent.load(Ordering::Acquire))
    }

    /// Finds the caller's place: its look-up began at `began` and saw the fence `seen`. `id` names
    /// the lease of a new flight.
    pub(crate) fn board(
        self: &Arc<Self>,
        key: &TypedKey,
        began: Tick,
        seen: Option<Fence>,
        id: LeaseId,
    ) -> Boarding<L, V> {
        // Declared first, so that a superseded flight is dropped after the lock is released.
        let superseded;
        let mut table = self.table.lock(key);
        if let Some(flight) = table.get(key) {
            let mut state = flight.lock();
            if state.admits(began, seen) {
                let ticket = state.joined.enter();
                drop(state);
                return Boarding::Join(Passenger {
                    flights: Arc::clone(self),
                    flight: Arc::clone(flight),
                    ticket: Some(ticket),
                });
            }
            if !matches!(state.lease, Lease::Granted(_)) {
                let ticket = state.standing.enter();
                drop(state);
                return Boarding::Stand(Bystander {
                    flight: Arc::clone(flight),
                    ticket: Some(ticket),
                });
            }
        }
        let flight = Arc::new(Flight::new(key.clone(), id));
        superseded = table.insert(key.clone(), Arc::clone(&flight));
        drop(table);
        drop(superseded);
        Boarding::Lead(self.leader(flight))
    }

    /// Starts a new flight whatever else is in the air; later callers find this one.
    pub(crate) fn lead(self: &Arc<Self>, key: &TypedKey, id: LeaseId) -> Leader<L, V> {
        let flight = Arc::new(Flight::new(key.clone(), id));
        let superseded = {
            let mut table = self.table.lock(key);
            table.insert(key.clone(), Arc::clone(&flight))
        };
        drop(superseded);
        self.leader(flight)
    }

    /// How many keys have a flight.
    pub(crate) fn len(&self) -> usize {
        self.table.each().map(|table| table.len()).sum()
    }

    fn leader(self: &Arc<Self>, flight: Arc<Flight<L, V>>) -> Leader<L, V> {
        Leader {
            flights: Arc::clone(self),
            flight,
            landing: None,
        }
    }

    /// Ends `flight`: takes it out of the table, unless a newer one is there, and wakes everybody.
    /// One that is left without having landed goes on, vacant, while it has passengers.
    fn end(&self, flight: &Arc<Flight<L, V>>, end: End<V>) {
        // Foreign code (wakers, the drop of a lease or of a value) runs after the locks.
        let mut removed = None;
        let (lease, woken) = {
            let mut table = self.table.lock(&flight.key);
            let mut state = flight.lock();
            if matches!(end, End::LeftByPassenger) && !matches!(state.phase, Phase::Vacant) {
                // Another passenger has taken the lead meanwhile.
                return;
            }
            if !matches!(end, End::Landed(_)) && !state.joined.is_empty() {
                state.phase = Phase::Vacant;
                (Lease::Unsent, state.joined.wake())
            } else {
                if table
                    .get(&flight.key)
                    .is_some_and(|it| Arc::ptr_eq(it, flight))
                {
                    removed = table.remove_entry(&flight.key);
                }
                let mut woken = state.joined.wake();
                woken.extend(state.standing.wake());
                state.phase = match end {
                    End::Landed(value) => Phase::Landed(value),
                    End::LeftByLeader | End::LeftByPassenger => Phase::Abandoned,
                };
                (mem::replace(&mut state.lease, Lease::None), woken)
            }
        };
        drop(removed);
        drop(lease);
        for waker in woken {
            waker.wake();
        }
    }
}

enum End<V> {
    Landed(V),
    LeftByLeader,
    /// A passenger of a vacant flight was dropped.
    LeftByPassenger,
}

struct Flight<L, V> {
    key: TypedKey,
    id: LeaseId,
    state: Mutex<State<L, V>>,
}

struct State<L, V> {
    phase: Phase<V>,
    lease: Lease<L>,
    /// When the lease was first sent for: a copy of the command that got lost may have taken it.
    sent: Option<Tick>,
    /// What the lease is recognized by.
    fence: Fence,
    joined: Waiters,
    standing: Waiters,
}

enum Phase<V> {
    /// Somebody leads.
    Led,
    /// The leader was dropped; the first passenger that is polled takes its place.
    Vacant,
    Landed(V),
    /// The leader was dropped, and there was nobody to take its place.
    Abandoned,
}

enum Lease<L> {
    /// Not sent for, or the answer is not here.
    Unsent,
    /// The flight's own; the leader has it in hand while it stores.
    Granted(Option<L>),
    /// There is none and there will be none.
    None,
}

impl<L, V> Flight<L, V> {
    fn new(key: TypedKey, id: LeaseId) -> Self {
        Self {
            key,
            id,
            state: Mutex::new(State {
                phase: Phase::Led,
                lease: Lease::Unsent,
                sent: None,
                fence: Fence(id.0),
                joined: Waiters::default(),
                standing: Waiters::default(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<L, V>> {
        lock(&self.state)
    }
}

impl<L, V> State<L, V> {
    fn admits(&self, began: Tick, seen: Option<Fence>) -> bool {
        match self.sent {
            None => true,
            Some(sent) => began < sent || seen == Some(self.fence),
        }
    }
}

/// The caller that loads. Dropping it ends the flight: with what [`land`](Leader::land) was given,
/// or else by leaving it to a passenger.
pub(crate) struct Leader<L, V: Clone> {
    flights: Arc<Flights<L, V>>,
    flight: Arc<Flight<L, V>>,
    landing: Option<V>,
}

impl<L, V: Clone> Leader<L, V> {
    pub(crate) fn lease_id(&self) -> LeaseId {
        self.flight.id
    }

    /// Whether the lease is still to be taken; a successor may find it taken.
    pub(crate) fn wants_lease(&self) -> bool {
        matches!(self.flight.lock().lease, Lease::Unsent)
    }

    /// To be called before the command that takes the lease is sent.
    pub(crate) fn sending(&self) {
        let mut state = self.flight.lock();
        if state.sent.is_none() {
            let before = self.flights.leases_sent.fetch_add(1, Ordering::AcqRel);
            state.sent = Some(Tick(before + 1));
        }
    }

    pub(crate) fn granted(&self, lease: L, fence: Fence) {
        let mut state = self.flight.lock();
        state.fence = fence;
        state.lease = Lease::Granted(Some(lease));
    }

    /// There will be no lease.
    pub(crate) fn refused(&self) {
        self.flight.lock().lease = Lease::None;
    }

    /// The lease, for the store or the release that ends it.
    pub(crate) fn take_lease(&self) -> Option<L> {
        match &mut self.flight.lock().lease {
            Lease::Granted(lease) => lease.take(),
            Lease::Unsent | Lease::None => None,
        }
    }

    /// What the flight lands with when the leader is dropped.
    pub(crate) fn land(&mut self, value: V) {
        self.landing = Some(value);
    }
}

impl<L, V: Clone> Drop for Leader<L, V> {
    fn drop(&mut self) {
        let end = match self.landing.take() {
            Some(value) => End::Landed(value),
            None => End::LeftByLeader,
        };
        self.flights.end(&self.flight, end);
    }
}

/// How a flight ended for a passenger.
pub(crate) enum Arrival<L, V: Clone> {
    Landed(V),
    /// The leader was dropped; this passenger leads now.
    Lead(Leader<L, V>),
}

/// A caller that waits for a flight to land.
pub(crate) struct Passenger<L, V: Clone> {
    flights: Arc<Flights<L, V>>,
    flight: Arc<Flight<L, V>>,
    /// `None` once it has arrived.
    ticket: Option<u64>,
}

impl<L, V: Clone> Future for Passenger<L, V> {
    type Output = Arrival<L, V>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut state = this.flight.lock();
        let landed = match &state.phase {
            Phase::Landed(value) => Some(value.clone()),
            Phase::Vacant | Phase::Abandoned => {
                state.phase = Phase::Led;
                None
            }
            Phase::Led => {
                let replaced = state.joined.wait(this.ticket, cx.waker());
                drop(state);
                drop(replaced);
                return Poll::Pending;
            }
        };
        let waker = this
            .ticket
            .take()
            .and_then(|ticket| state.joined.leave(ticket));
        drop(state);
        drop(waker);
        Poll::Ready(match landed {
            Some(value) => Arrival::Landed(value),
            None => Arrival::Lead(this.flights.leader(Arc::clone(&this.flight))),
        })
    }
}

impl<L, V: Clone> Drop for Passenger<L, V> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let (waker, vacant) = {
            let mut state = self.flight.lock();
            let waker = state.joined.leave(ticket);
            (waker, matches!(state.phase, Phase::Vacant))
        };
        drop(waker);
        if vacant {
            self.flights.end(&self.flight, End::LeftByPassenger);
        }
    }
}

/// A caller that waits for a flight to be over.
pub(crate) struct Bystander<L, V> {
    flight: Arc<Flight<L, V>>,
    ticket: Option<u64>,
}

impl<L, V> Future for Bystander<L, V> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.flight.lock();
        let over = matches!(state.phase, Phase::Landed(_) | Phase::Abandoned);
        let waker = if over {
            this.ticket
                .take()
                .and_then(|ticket| state.standing.leave(ticket))
        } else {
            state.standing.wait(this.ticket, cx.waker())
        };
        drop(state);
        drop(waker);
        if over { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<L, V> Drop for Bystander<L, V> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let waker = self.flight.lock().standing.leave(ticket);
            drop(waker);
        }
    }
}

/// Those who wait, each with the waker of its last poll.
#[derive(Default)]
struct Waiters {
    wakers: BTreeMap<u64, Option<Waker>>,
    next: u64,
}

impl Waiters {
    fn enter(&mut self) -> u64 {
        let ticket = self.next;
        self.next += 1;
        self.wakers.insert(ticket, None);
        ticket
    }

    /// Keeps `waker` for the holder of `ticket`; gives back the one it replaces.
    fn wait(&mut self, ticket: Option<u64>, waker: &Waker) -> Option<Waker> {
        let kept = self.wakers.get_mut(&ticket?)?;
        match kept {
            Some(kept) if kept.will_wake(waker) => None,
            _ => kept.replace(waker.clone()),
        }
    }

    fn leave(&mut self, ticket: u64) -> Option<Waker> {
        self.wakers.remove(&ticket).flatten()
    }

    /// The wakers of all; they stay until they leave.
    fn wake(&mut self) -> Vec<Waker> {
        self.wakers.values_mut().filter_map(Option::take).collect()
    }

    fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }
}

impl<L, V: Clone> fmt::Debug for Flights<L, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights")
            .field("in_the_air", &self.len())
            .finish()
    }
}
