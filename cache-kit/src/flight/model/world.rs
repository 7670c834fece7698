//! The key that the models are about, and its callers.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Mutex as Unseen;

use crate::flight::*;
use crate::sync::explore;

/// What the row of the key holds before and after the write of a test.
const OLD: u64 = 0;
pub(super) const NEW: u64 = 1;

/// The fence of the store's key before anybody invalidates it.
const FIRST_FENCE: u64 = 1_000;

/// One key: its row, its fence in the store, its flights.
pub(super) struct World {
    pub(super) flights: Arc<Flights<Lease, u64>>,
    row: Mutex<u64>,
    fence: Mutex<u64>,
    books: Arc<Books>,
}

/// What the tests keep count of.
#[derive(Default)]
struct Books {
    leading: Unseen<BTreeSet<u64>>,
    /// How often each lease was dropped.
    dropped: Unseen<BTreeMap<u64, usize>>,
}

/// Enters its drop in the books.
pub(super) struct Lease {
    number: u64,
    books: Arc<Books>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        *lock_unseen(&self.books.dropped)
            .entry(self.number)
            .or_default() += 1;
    }
}

/// What came about in at least one order.
pub(super) type Outcomes = Unseen<BTreeSet<&'static str>>;

fn lock_unseen<T>(mutex: &Unseen<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(super) fn key() -> TypedKey {
    TypedKey::of::<()>("user:1")
}

/// Runs `model` in all orders, or in those with up to `preemptions`. What comes about must be
/// `expected`, all of it and nothing else, so that no test passes for want of the case it is about.
pub(super) fn check(
    preemptions: Option<usize>,
    expected: &[&'static str],
    model: impl Fn(Arc<World>, &Outcomes) + Send + Sync + 'static,
) {
    let outcomes = Arc::new(Outcomes::default());
    let books = Arc::clone(&outcomes);
    explore(preemptions, move || {
        let world = Arc::new(World::new());
        model(Arc::clone(&world), &books);
        world.audit();
    });
    let expected: BTreeSet<_> = expected.iter().copied().collect();
    assert_eq!(*lock_unseen(&outcomes), expected);
}

pub(super) fn came_about(outcomes: &Outcomes, outcome: &'static str) {
    lock_unseen(outcomes).insert(outcome);
}

impl World {
    fn new() -> Self {
        Self {
            flights: Arc::new(Flights::new()),
            row: Mutex::new(OLD),
            fence: Mutex::new(FIRST_FENCE),
            books: Arc::default(),
        }
    }

    /// What holds once every caller is gone.
    fn audit(&self) {
        assert_eq!(self.flights.len(), 0, "a flight is left in the table");
        assert!(lock_unseen(&self.books.leading).is_empty());
        for (lease, drops) in &*lock_unseen(&self.books.dropped) {
            assert_eq!(*drops, 1, "drops of lease {lease}");
        }
    }

    /// Writes the row and invalidates the key.
    pub(super) fn invalidate(&self) {
        *lock(&self.row) = NEW;
        *lock(&self.fence) += 1;
    }

    pub(super) fn board(&self, began: Tick, seen: Option<Fence>, id: u64) -> Boarding<Lease, u64> {
        self.flights.board(&key(), began, seen, LeaseId(id))
    }

    /// A passenger of a flight that is known to be there.
    pub(super) fn passenger(&self, began: Tick, id: u64) -> Passenger<Lease, u64> {
        match self.board(began, None, id) {
            Boarding::Join(passenger) => passenger,
            Boarding::Lead(_) | Boarding::Stand(_) => panic!("the flight refused a passenger"),
        }
    }

    /// The leader of a flight that is known not to be there yet.
    pub(super) fn leader(&self, id: u64) -> Leader<Lease, u64> {
        match self.board(self.flights.tick(), None, id) {
            Boarding::Lead(leader) => self.leads(leader),
            Boarding::Join(_) | Boarding::Stand(_) => panic!("somebody leads already"),
        }
    }

    /// Enters a new leader in the books.
    pub(super) fn leads(&self, leader: Leader<Lease, u64>) -> Leader<Lease, u64> {
        let first = lock_unseen(&self.books.leading).insert(leader.lease_id().0);
        assert!(first, "two lead one flight");
        leader
    }

    /// Takes the lease, unless a leader before this one did.
    pub(super) fn grant(&self, leader: &Leader<Lease, u64>) {
        if leader.wants_lease() {
            leader.sending();
            let fence = Fence(*lock(&self.fence));
            let number = leader.lease_id().0;
            lock_unseen(&self.books.dropped).insert(number, 0);
            let books = Arc::clone(&self.books);
            leader.granted(Lease { number, books }, fence);
        }
    }

    pub(super) fn land(&self, mut leader: Leader<Lease, u64>, value: u64) {
        leader.land(value);
        self.leave(leader);
    }

    /// The leader is dropped; nothing may have ended its flight before.
    pub(super) fn leave(&self, leader: Leader<Lease, u64>) {
        let led = matches!(leader.flight.lock().phase, Phase::Led);
        assert!(led, "a flight ended under its leader");
        lock_unseen(&self.books.leading).remove(&leader.lease_id().0);
        drop(leader);
    }

    /// Loads for everybody aboard, as the expander does.
    pub(super) fn load(&self, leader: Leader<Lease, u64>) -> u64 {
        self.grant(&leader);
        let value = *lock(&self.row);
        drop(leader.take_lease());
        self.land(leader, value);
        value
    }

    /// One caller that asks the store for nothing and lands a flight of its own with `id`.
    pub(super) async fn travel(&self, began: Tick, id: u64) -> (u64, &'static str) {
        let mut stood = false;
        loop {
            match self.board(began, None, id) {
                Boarding::Lead(leader) => {
                    self.land(self.leads(leader), id);
                    return (id, if stood { "stood, then led" } else { "led" });
                }
                Boarding::Join(passenger) => return self.ride(passenger, id).await,
                Boarding::Stand(bystander) => bystander.await,
            }
            stood = true;
        }
    }

    /// One call that misses, as the expander does it; gives what came about as well.
    pub(super) async fn call(&self, id: u64) -> (u64, &'static str) {
        let began = self.flights.tick();
        let seen = Fence(*lock(&self.fence));
        let mut stood = false;
        loop {
            match self.board(began, Some(seen), id) {
                Boarding::Lead(leader) => {
                    let value = self.load(self.leads(leader));
                    return (value, if stood { "stood, then led" } else { "led" });
                }
                Boarding::Join(passenger) => match passenger.await {
                    Arrival::Landed(value) => return (value, "joined"),
                    Arrival::Lead(leader) => return (self.load(self.leads(leader)), "succeeded"),
                },
                Boarding::Stand(bystander) => bystander.await,
            }
            stood = true;
        }
    }

    /// Waits for what a flight lands with, and lands it with `own` if it comes to that.
    pub(super) async fn ride(
        &self,
        passenger: Passenger<Lease, u64>,
        own: u64,
    ) -> (u64, &'static str) {
        match passenger.await {
            Arrival::Landed(value) => (value, "joined"),
            Arrival::Lead(leader) => {
                self.land(self.leads(leader), own);
                (own, "succeeded")
            }
        }
    }

    /// Polls a passenger once, then drops it. If it is to lead, it leaves that, too.
    pub(super) async fn give_up(&self, passenger: Passenger<Lease, u64>) -> &'static str {
        let mut passenger = pin!(passenger);
        let polled = poll_fn(|cx| Poll::Ready(passenger.as_mut().poll(cx))).await;
        match polled {
            Poll::Pending => "gave up",
            Poll::Ready(Arrival::Landed(_)) => "joined",
            Poll::Ready(Arrival::Lead(leader)) => {
                self.leave(self.leads(leader));
                "left the lead"
            }
        }
    }
}
