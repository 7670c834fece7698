//! The key in the models, and its callers.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Mutex as Unseen;

use crate::flight::*;
use crate::sync::explore;

/// The row of the key before and after the write of a test.
const OLD: u64 = 0;
pub(super) const NEW: u64 = 1;

/// The fence of the store's key before the first invalidation.
const FIRST_FENCE: u64 = 1_000;

/// One key: its row, what the store has under it, its flights.
pub(super) struct World {
    pub(super) flights: Arc<Flights<Lease, u64>>,
    row: Mutex<u64>,
    store: Mutex<Store>,
    books: Arc<Books>,
}

/// What the store has under the key. Every change changes the fence.
#[derive(Clone, Copy)]
struct Store {
    fence: Fence,
    entry: Option<u64>,
}

/// Counters of the tests.
#[derive(Default)]
struct Books {
    leading: Unseen<BTreeSet<u64>>,
    /// How often each lease was dropped.
    dropped: Unseen<BTreeMap<u64, usize>>,
    loads: Unseen<usize>,
}

/// Notes its drop in the books.
pub(super) struct Lease {
    number: u64,
    fence: Option<Fence>,
    books: Arc<Books>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        *lock_unseen(&self.books.dropped)
            .entry(self.number)
            .or_default() += 1;
    }
}

/// The outcomes seen in at least one order.
pub(super) type Outcomes = Unseen<BTreeSet<&'static str>>;

fn lock_unseen<T>(mutex: &Unseen<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(super) fn key() -> TaggedKey {
    TaggedKey::of::<()>("user:1")
}

/// Runs `model` in all orders, or in those with up to `preemptions`. The set of outcomes must be
/// exactly `expected`, so that no test passes because its case never occurred.
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
            store: Mutex::new(Store {
                fence: Fence(FIRST_FENCE),
                entry: None,
            }),
            books: Arc::default(),
        }
    }

    /// Checks what must hold once every caller is gone.
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
        let mut store = lock(&self.store);
        store.fence.0 += 1;
        store.entry = None;
    }

    /// The number of loads.
    pub(super) fn loads(&self) -> usize {
        *lock_unseen(&self.books.loads)
    }

    /// The place of a caller that has looked up when it began.
    fn place(&self, began: Tick, seen: Option<Fence>, id: u64) -> Place<Lease, u64> {
        let view = View {
            began,
            looked: began,
            seen,
        };
        self.flights.join_or_lead(&key(), view, LeaseId(id))
    }

    /// A follower of a flight that is known to be there.
    pub(super) fn follower(&self, began: Tick, id: u64) -> Follower<Lease, u64> {
        match self.place(began, None, id) {
            Place::Follow(follower) => follower,
            _ => panic!("the flight refused a follower"),
        }
    }

    /// The leader of a flight that is known not to be there yet.
    pub(super) fn leader(&self, id: u64) -> Leader<Lease, u64> {
        match self.place(self.flights.tick(), None, id) {
            Place::Lead(leader) => self.leads(leader),
            _ => panic!("there is a leader already"),
        }
    }

    /// Notes a new leader in the books.
    pub(super) fn leads(&self, leader: Leader<Lease, u64>) -> Leader<Lease, u64> {
        let first = lock_unseen(&self.books.leading).insert(leader.lease_id().0);
        assert!(first, "two lead one flight");
        leader
    }

    fn asks(&self, leader: &Leader<Lease, u64>) {
        leader.asks(|| {
            let number = leader.flight.id.0;
            lock_unseen(&self.books.dropped).insert(number, 0);
            Lease {
                number,
                fence: None,
                books: Arc::clone(&self.books),
            }
        });
    }

    /// Takes the lease, unless an earlier leader did.
    pub(super) fn grant(&self, leader: &Leader<Lease, u64>) {
        if leader.wants_lease() {
            self.asks(leader);
            let fence = lock(&self.store).fence;
            leader.granted(fence, |lease| lease.fence = Some(fence));
        }
    }

    pub(super) fn complete(&self, leader: Leader<Lease, u64>, value: u64) {
        leader.complete(value);
        self.leave(leader);
    }

    /// The leader is dropped; its flight must still be its own.
    pub(super) fn leave(&self, leader: Leader<Lease, u64>) {
        let led = matches!(leader.flight.lock().phase, Phase::Led | Phase::Completed(_));
        assert!(led, "a flight ended under its leader");
        lock_unseen(&self.books.leading).remove(&leader.lease_id().0);
        drop(leader);
    }

    /// Loads for all followers, as the expander does.
    pub(super) fn load(&self, leader: Leader<Lease, u64>) -> u64 {
        if leader.wants_lease() {
            self.asks(&leader);
            let Store { fence, entry } = *lock(&self.store);
            if let Some(value) = entry {
                drop(leader.refused());
                self.complete(leader, value);
                return value;
            }
            leader.granted(fence, |lease| lease.fence = Some(fence));
        }
        *lock_unseen(&self.books.loads) += 1;
        let value = *lock(&self.row);
        let lease = leader.take_lease();
        leader.complete(value);
        {
            let mut store = lock(&self.store);
            if lease.as_ref().and_then(|lease| lease.fence) == Some(store.fence) {
                store.fence.0 += 1;
                store.entry = Some(value);
            }
        }
        self.leave(leader);
        value
    }

    /// A caller that does not use the store and completes a flight of its own with `id`.
    pub(super) async fn travel(&self, began: Tick, id: u64) -> (u64, &'static str) {
        let mut waited = false;
        let mut view = View {
            began,
            looked: began,
            seen: None,
        };
        loop {
            match self.flights.join_or_lead(&key(), view, LeaseId(id)) {
                Place::Lead(leader) => {
                    self.complete(self.leads(leader), id);
                    return (id, if waited { "waited, then led" } else { "led" });
                }
                Place::Follow(follower) => return self.follow(follower, id).await,
                Place::Wait(waiter) => drop(waiter.await),
                Place::LookAgain => {}
            }
            waited = true;
            view.looked = self.flights.tick();
        }
    }

    /// One call, as the expander does it; also returns its outcome.
    pub(super) async fn call(&self, id: u64) -> (u64, &'static str) {
        let began = self.flights.tick();
        let mut looked = began;
        loop {
            let Store { fence, entry } = *lock(&self.store);
            if let Some(value) = entry {
                return (value, "hit");
            }
            let view = View {
                began,
                looked,
                seen: Some(fence),
            };
            match self.flights.join_or_lead(&key(), view, LeaseId(id)) {
                Place::Lead(leader) => return (self.load(self.leads(leader)), "led"),
                Place::Follow(follower) => match follower.await {
                    Followed::Completed(value) => return (value, "followed"),
                    Followed::Lead(leader) => return (self.load(self.leads(leader)), "succeeded"),
                },
                Place::Wait(waiter) => drop(waiter.await),
                Place::LookAgain => {}
            }
            looked = self.flights.tick();
        }
    }

    /// Waits for a flight's result; completes it with `own` if it becomes the leader.
    pub(super) async fn follow(
        &self,
        follower: Follower<Lease, u64>,
        own: u64,
    ) -> (u64, &'static str) {
        match follower.await {
            Followed::Completed(value) => (value, "followed"),
            Followed::Lead(leader) => {
                self.complete(self.leads(leader), own);
                (own, "succeeded")
            }
        }
    }

    /// Polls a follower once, then drops it. If it becomes the leader, it leaves the flight as
    /// well.
    pub(super) async fn give_up(&self, follower: Follower<Lease, u64>) -> &'static str {
        let mut follower = pin!(follower);
        let polled = poll_fn(|cx| Poll::Ready(follower.as_mut().poll(cx))).await;
        match polled {
            Poll::Pending => "gave up",
            Poll::Ready(Followed::Completed(_)) => "followed",
            Poll::Ready(Followed::Lead(leader)) => {
                self.leave(self.leads(leader));
                "left the lead"
            }
        }
    }
}
