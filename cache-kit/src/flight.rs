//! One load per key: callers that miss the same key share a *flight*.
//!
//! The first caller becomes the flight's leader and loads; the others follow it and wait for its
//! result. If the leader is dropped half-way, one of its followers takes over the flight with its
//! lease. Locks are short, and nothing is awaited under one.
//!
//! # Who may follow
//!
//! A caller that begins after an invalidation was acknowledged must not be answered by a load that
//! began before it. So a caller follows a flight only if
//!
//! - it began before the flight's lease was requested: then no invalidation that it knows of can
//!   lie between the lease and the load; or
//! - the fence that its look-up saw is the flight's own lease: then the key was not invalidated
//!   between the lease and the look-up.
//!
//! Otherwise, the caller's next step depends on the lease of the existing flight:
//!
//! | lease | the caller |
//! |---|---|
//! | requested, no answer yet | waits for the answer, and looks up once more |
//! | granted after the caller's look-up | looks up once more, and sees the lease if it still counts |
//! | granted before the caller's look-up | starts a newer flight: the lease has been overtaken |
//! | none, the store is down | waits for the flight's end, so that while a store is down there is at most one load of a key at a time |
//!
//! # When a follower is answered
//!
//! As soon as the load has ended. The flight stays in the table until its leader has stored the
//! row, so that a caller that comes in between also follows it and makes no load.
//!
//! # A leader that does not run
//!
//! A leader may be alive but not polled: in a `select!` on a pinned call, or in a stream that waits
//! for its consumer. Its [`Pulse`] shows this, and a follower that sees no pulse starts a newer
//! flight.

mod pulse;
mod tickets;

#[cfg(all(test, cache_kit_model))]
mod model;

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::lease::{Fence, LeaseId};
use crate::shards::{Shards, TaggedKey};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, lock};

pub(crate) use pulse::{Pulse, STALLED, Unpolled, beating};
use tickets::{Ticket, Tickets};

/// The flights of one service: `L` is its backend's lease, `V` what a flight completes with.
pub(crate) struct Flights<L, V> {
    table: Shards<Arc<Flight<L, V>>>,
    /// Counts requested leases and granted leases, so that a caller can tell whether it began
    /// before one.
    ticks: AtomicU64,
}

/// A moment in the life of [`Flights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

impl Tick {
    /// Before anything happened.
    pub(crate) const BEGINNING: Self = Self(0);
}

/// What a caller knows about its key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// Before its first look-up.
    pub(crate) began: Tick,
    /// Before its last look-up.
    pub(crate) looked: Tick,
    /// The fence that its last look-up saw.
    pub(crate) seen: Option<Fence>,
}

/// What a caller does about the flight of its key.
pub(crate) enum Place<L, V: Clone> {
    /// It loads, for itself and all followers.
    Lead(Leader<L, V>),
    /// It waits for the flight's result, and may have to take over the lead.
    Follow(Follower<L, V>),
    /// It may not follow yet; it waits until more is known.
    Wait(Waiter<L, V>),
    /// It looks up once more.
    LookAgain,
}

impl<L, V: Clone> Flights<L, V> {
    pub(crate) fn new() -> Self {
        Self {
            table: Shards::new(),
            ticks: AtomicU64::new(0),
        }
    }

    /// The current moment. Take it before a look-up begins, for its [`View`].
    #[inline]
    pub(crate) fn tick(&self) -> Tick {
        Tick(self.ticks.load(Ordering::Acquire))
    }

    fn next_tick(&self) -> Tick {
        Tick(self.ticks.fetch_add(1, Ordering::AcqRel) + 1)
    }

    /// Finds the place of a caller with this `view`. `id` names the lease of a new flight.
    pub(crate) fn join_or_lead(
        self: &Arc<Self>,
        key: &TaggedKey,
        view: View,
        id: LeaseId,
    ) -> Place<L, V> {
        // Declared first, so that a superseded flight is dropped after the lock is released.
        let superseded;
        let mut table = self.table.lock(key);
        if let Some(flight) = table.get(key) {
            let mut state = flight.lock();
            match state.rule(view) {
                Rule::Follow => {
                    let ticket = state.followers.enter();
                    drop(state);
                    return Place::Follow(Follower {
                        flights: Arc::clone(self),
                        flight: Arc::clone(flight),
                        ticket: Some(ticket),
                    });
                }
                Rule::Wait => {
                    let ticket = state.waiters.enter();
                    drop(state);
                    return Place::Wait(Waiter {
                        flights: Arc::clone(self),
                        flight: Arc::clone(flight),
                        ticket: Some(ticket),
                    });
                }
                Rule::LookAgain => return Place::LookAgain,
                Rule::Supersede => {}
            }
        }
        let flight = Arc::new(Flight::new(key.clone(), id));
        superseded = table.insert(key.clone(), Arc::clone(&flight));
        drop(table);
        drop(superseded);
        Place::Lead(self.leader(flight))
    }

    /// Starts a new flight even if there is one already; later callers find this one.
    pub(crate) fn lead(self: &Arc<Self>, key: &TaggedKey, id: LeaseId) -> Leader<L, V> {
        let flight = Arc::new(Flight::new(key.clone(), id));
        let superseded = {
            let mut table = self.table.lock(key);
            table.insert(key.clone(), Arc::clone(&flight))
        };
        drop(superseded);
        self.leader(flight)
    }

    /// Starts a new flight in the place of `stalled`, unless a newer one is there already.
    fn supersede(
        self: &Arc<Self>,
        stalled: &Arc<Flight<L, V>>,
        id: LeaseId,
    ) -> Option<Leader<L, V>> {
        let key = &stalled.key;
        let flight = Arc::new(Flight::new(key.clone(), id));
        let superseded = {
            let mut table = self.table.lock(key);
            match table.get(key) {
                Some(current) if !Arc::ptr_eq(current, stalled) => return None,
                _ => table.insert(key.clone(), Arc::clone(&flight)),
            }
        };
        drop(superseded);
        Some(self.leader(flight))
    }

    /// How many keys have a flight.
    pub(crate) fn len(&self) -> usize {
        self.table.each().map(|table| table.len()).sum()
    }

    fn leader(self: &Arc<Self>, flight: Arc<Flight<L, V>>) -> Leader<L, V> {
        Leader {
            flights: Arc::clone(self),
            flight,
        }
    }

    /// The leader, or a follower of a vacant flight, is gone. A flight that has not completed
    /// stays, vacant, while it has followers. Otherwise it is over: it leaves the table, unless a
    /// newer one is there, and all waiters are woken.
    fn leave(&self, flight: &Arc<Flight<L, V>>, leaving: Leaving) {
        // Foreign code (wakers, the drop of a lease or of a value) runs after the locks are
        // released.
        let mut removed = None;
        let (lease, woken) = {
            let mut table = self.table.lock(&flight.key);
            let mut state = flight.lock();
            if leaving == Leaving::Follower && !matches!(state.phase, Phase::Vacant) {
                // Another follower has taken the lead meanwhile.
                return;
            }
            let completed = matches!(state.phase, Phase::Completed(_));
            if !completed && !state.followers.is_empty() {
                state.phase = Phase::Vacant;
                // The followers are woken, but they may not be polled either.
                state.pulse = Some(Pulse::of_woken());
                (Lease::None, state.followers.wake())
            } else {
                if table
                    .get(&flight.key)
                    .is_some_and(|current| Arc::ptr_eq(current, flight))
                {
                    removed = table.remove_entry(&flight.key);
                }
                if !completed {
                    state.phase = Phase::Abandoned;
                }
                state.over = true;
                let mut woken = state.followers.wake();
                woken.extend(state.waiters.wake());
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    Leader,
    /// A follower of a vacant flight was dropped.
    Follower,
}

struct Flight<L, V> {
    key: TaggedKey,
    id: LeaseId,
    state: Mutex<State<L, V>>,
}

struct State<L, V> {
    phase: Phase<V>,
    lease: Lease<L>,
    /// When the lease was first requested: a lost command may have taken it.
    asked: Option<Tick>,
    /// When the lease was granted, and its fence.
    stands: Option<(Tick, Fence)>,
    /// True when the leader has gone and no follower takes its place.
    over: bool,
    /// Whether the leader is polled.
    pulse: Option<Arc<Pulse>>,
    followers: Tickets,
    waiters: Tickets,
}

enum Phase<V> {
    /// A caller leads.
    Led,
    /// The leader was dropped; the first follower that is polled takes its place.
    Vacant,
    /// The load has ended. The leader may still be storing.
    Completed(V),
    /// The leader was dropped, and there was no follower to take its place.
    Abandoned,
}

enum Lease<L> {
    /// Not asked for.
    Unasked,
    /// Requested, without an answer yet. Its content cleans up when it is dropped.
    Asked(L),
    /// Granted; `None` while the leader uses it to store.
    Granted(Option<L>),
    /// There is no lease and there will be none.
    None,
}

/// What a caller may do about a flight.
enum Rule {
    Follow,
    Wait,
    LookAgain,
    Supersede,
}

impl<L, V> Flight<L, V> {
    fn new(key: TaggedKey, id: LeaseId) -> Self {
        Self {
            key,
            id,
            state: Mutex::new(State {
                phase: Phase::Led,
                lease: Lease::Unasked,
                asked: None,
                stands: None,
                over: false,
                pulse: None,
                followers: Tickets::default(),
                waiters: Tickets::default(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<L, V>> {
        lock(&self.state)
    }

    fn unpolled(&self) -> Option<Unpolled> {
        let pulse = self.lock().pulse.clone();
        pulse.and_then(|pulse| pulse.unpolled())
    }
}

impl<L, V> State<L, V> {
    /// The rule at the top of this file.
    fn rule(&self, view: View) -> Rule {
        let Some(asked) = self.asked else {
            return Rule::Follow;
        };
        if view.began < asked {
            return Rule::Follow;
        }
        match self.stands {
            Some((_, fence)) if view.seen == Some(fence) => Rule::Follow,
            Some((since, _)) if view.looked < since => Rule::LookAgain,
            Some(_) => Rule::Supersede,
            None => Rule::Wait,
        }
    }
}

/// The caller that loads. Dropping it ends the flight if [`complete`](Leader::complete) was called;
/// otherwise it leaves the flight to a follower.
pub(crate) struct Leader<L, V: Clone> {
    flights: Arc<Flights<L, V>>,
    flight: Arc<Flight<L, V>>,
}

impl<L, V: Clone> Leader<L, V> {
    pub(crate) fn lease_id(&self) -> LeaseId {
        self.flight.id
    }

    /// Whether the lease must still be taken; an earlier leader may have taken it.
    pub(crate) fn wants_lease(&self) -> bool {
        matches!(self.flight.lock().lease, Lease::Unasked | Lease::Asked(_))
    }

    /// Lets all waiters see whether this leader runs.
    pub(crate) fn shows(&self, pulse: &Arc<Pulse>) {
        let replaced = self.flight.lock().pulse.replace(Arc::clone(pulse));
        drop(replaced);
    }

    /// Call this before sending the command that takes the lease. What `unanswered` makes is
    /// dropped if the answer never comes. It is not called if an earlier leader left one.
    pub(crate) fn asks(&self, unanswered: impl FnOnce() -> L) {
        let mut state = self.flight.lock();
        self.begins(&mut state);
        if matches!(state.lease, Lease::Unasked) {
            state.lease = Lease::Asked(unanswered());
        }
    }

    /// The lease has been granted under `fence`. `keep` gets what was unanswered until now.
    pub(crate) fn granted(&self, fence: Fence, keep: impl FnOnce(&mut L)) {
        let woken = {
            let mut state = self.flight.lock();
            state.lease = match mem::replace(&mut state.lease, Lease::None) {
                Lease::Asked(mut lease) => {
                    keep(&mut lease);
                    Lease::Granted(Some(lease))
                }
                other => other,
            };
            state.stands = Some((self.flights.next_tick(), fence));
            state.waiters.wake()
        };
        for waker in woken {
            waker.wake();
        }
    }

    /// There will be no lease. Returns what was unanswered until now.
    pub(crate) fn refused(&self) -> Option<L> {
        let mut state = self.flight.lock();
        self.begins(&mut state);
        match mem::replace(&mut state.lease, Lease::None) {
            Lease::Asked(lease) | Lease::Granted(Some(lease)) => Some(lease),
            Lease::Unasked | Lease::Granted(None) | Lease::None => None,
        }
    }

    /// From now on a load may read the row, so callers that begin later may not follow.
    fn begins(&self, state: &mut State<L, V>) {
        if state.asked.is_none() {
            state.asked = Some(self.flights.next_tick());
        }
    }

    /// The lease, for the store or the release that ends it.
    pub(crate) fn take_lease(&self) -> Option<L> {
        match &mut self.flight.lock().lease {
            Lease::Granted(lease) => lease.take(),
            Lease::Unasked | Lease::Asked(_) | Lease::None => None,
        }
    }

    /// Answers all followers. The flight is over when this leader is dropped.
    pub(crate) fn complete(&self, value: V) {
        let woken = {
            let mut state = self.flight.lock();
            state.phase = Phase::Completed(value);
            state.followers.wake()
        };
        for waker in woken {
            waker.wake();
        }
    }
}

impl<L, V: Clone> Drop for Leader<L, V> {
    fn drop(&mut self) {
        self.flights.leave(&self.flight, Leaving::Leader);
    }
}

/// How the wait of a follower ended.
pub(crate) enum Followed<L, V: Clone> {
    Completed(V),
    /// The leader was dropped; this follower leads now.
    Lead(Leader<L, V>),
}

/// A caller that waits for a flight's result.
pub(crate) struct Follower<L, V: Clone> {
    flights: Arc<Flights<L, V>>,
    flight: Arc<Flight<L, V>>,
    /// `None` once it has been answered.
    ticket: Option<Ticket>,
}

impl<L, V: Clone> Follower<L, V> {
    /// Whether the leader was woken and has not been polled since, see [`Pulse`].
    pub(crate) fn unpolled(&self) -> Option<Unpolled> {
        self.flight.unpolled()
    }

    /// Starts a newer flight; `None` if there is one already.
    pub(crate) fn supersede(&self, id: LeaseId) -> Option<Leader<L, V>> {
        self.flights.supersede(&self.flight, id)
    }
}

impl<L, V: Clone> Future for Follower<L, V> {
    type Output = Followed<L, V>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut state = this.flight.lock();
        let completed = match &state.phase {
            Phase::Completed(value) => Some(value.clone()),
            Phase::Vacant | Phase::Abandoned => {
                state.phase = Phase::Led;
                None
            }
            Phase::Led => {
                let replaced = state.followers.wait(this.ticket, cx.waker());
                drop(state);
                drop(replaced);
                return Poll::Pending;
            }
        };
        let waker = this
            .ticket
            .take()
            .and_then(|ticket| state.followers.leave(ticket));
        drop(state);
        drop(waker);
        Poll::Ready(match completed {
            Some(value) => Followed::Completed(value),
            None => Followed::Lead(this.flights.leader(Arc::clone(&this.flight))),
        })
    }
}

impl<L, V: Clone> Drop for Follower<L, V> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let (waker, vacant) = {
            let mut state = self.flight.lock();
            let waker = state.followers.leave(ticket);
            (waker, matches!(state.phase, Phase::Vacant))
        };
        drop(waker);
        if vacant {
            self.flights.leave(&self.flight, Leaving::Follower);
        }
    }
}

/// How the wait of a waiter ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The lease has been granted: a look-up tells whether it still counts.
    LeaseStood,
    /// The flight is over, and never had a lease.
    Over,
}

/// A caller that may not follow yet, and waits until more is known.
pub(crate) struct Waiter<L, V: Clone> {
    flights: Arc<Flights<L, V>>,
    flight: Arc<Flight<L, V>>,
    ticket: Option<Ticket>,
}

impl<L, V: Clone> Waiter<L, V> {
    /// Whether the leader was woken and has not been polled since, see [`Pulse`].
    pub(crate) fn unpolled(&self) -> Option<Unpolled> {
        self.flight.unpolled()
    }

    /// Starts a newer flight; `None` if there is one already.
    pub(crate) fn supersede(&self, id: LeaseId) -> Option<Leader<L, V>> {
        self.flights.supersede(&self.flight, id)
    }
}

impl<L, V: Clone> Future for Waiter<L, V> {
    type Output = Waited;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Waited> {
        let this = &mut *self;
        let mut state = this.flight.lock();
        let waited = match (state.stands, state.over) {
            (Some(_), _) => Some(Waited::LeaseStood),
            (None, true) => Some(Waited::Over),
            (None, false) => None,
        };
        let waker = match waited {
            Some(_) => this
                .ticket
                .take()
                .and_then(|ticket| state.waiters.leave(ticket)),
            None => state.waiters.wait(this.ticket, cx.waker()),
        };
        drop(state);
        drop(waker);
        waited.map_or(Poll::Pending, Poll::Ready)
    }
}

impl<L, V: Clone> Drop for Waiter<L, V> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let waker = self.flight.lock().waiters.leave(ticket);
            drop(waker);
        }
    }
}

impl<L, V: Clone> fmt::Debug for Flights<L, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights")
            .field("under_way", &self.len())
            .finish()
    }
}

#[cfg(all(test, not(cache_kit_model)))]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flight_that_was_left_to_a_follower_who_is_not_polled_is_stalled() {
        let flights: Arc<Flights<u8, u8>> = Arc::new(Flights::new());
        let key = TaggedKey::of::<u8>("a");
        let view = || {
            let tick = flights.tick();
            View {
                began: tick,
                looked: tick,
                seen: None,
            }
        };
        let early = view();
        let Place::Lead(leader) = flights.join_or_lead(&key, early, LeaseId(1)) else {
            unreachable!("there is no other flight");
        };
        leader.asks(|| 0);
        leader.shows(&Pulse::new());
        let Place::Follow(follower) = flights.join_or_lead(&key, early, LeaseId(2)) else {
            unreachable!("it began before the lease was asked for");
        };
        let Place::Wait(waiter) = flights.join_or_lead(&key, view(), LeaseId(3)) else {
            unreachable!("the lease has no answer");
        };
        tokio::time::advance(STALLED * 10).await;
        assert!(
            waiter.unpolled().is_none(),
            "the leader waits for something"
        );
        drop(leader);
        assert!(
            waiter
                .unpolled()
                .is_some_and(|unpolled| unpolled.since.is_zero())
        );
        tokio::time::advance(STALLED).await;
        let [waiting, following] = [waiter.unpolled(), follower.unpolled()];
        let since = |unpolled: Option<Unpolled>| unpolled.map(|unpolled| unpolled.since);
        assert_eq!(
            (since(waiting), since(following)),
            (Some(STALLED), Some(STALLED))
        );
        assert!(waiter.supersede(LeaseId(3)).is_some());
    }
}
