//! The flights under the model checker: every order in which the threads can take the locks.
//!
//! `RUSTFLAGS="--cfg cache_kit_model" cargo test -p cache-kit --lib --release model`
//!
//! A caller that is never woken shows as a deadlock. What only the tests look at stands in locks of
//! `std`, which the checker does not see and so does not try orders of.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Mutex as Unseen;

use loom::future::block_on;
use loom::thread;

use super::*;
use crate::sync::explore;

/// What the row of the key holds before and after the write of a test.
const OLD: u64 = 0;
const NEW: u64 = 1;

/// The fence of the store's key before anybody invalidates it.
const FIRST_FENCE: u64 = 1_000;

/// One key: its row, its fence in the store, its flights.
struct World {
    flights: Arc<Flights<Lease, u64>>,
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
struct Lease {
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

/// All orders, where a thread takes few steps.
const ALL: Option<usize> = None;

/// Up to so many preemptions, where three threads take many steps: a million orders and more would
/// be left, and no mistake is known that takes more than two or three to show.
const THREE: Option<usize> = Some(3);
const FOUR: Option<usize> = Some(4);

/// What came about in at least one order.
type Outcomes = Unseen<BTreeSet<&'static str>>;

fn lock_unseen<T>(mutex: &Unseen<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn key() -> TypedKey {
    TypedKey::of::<()>("user:1")
}

/// Runs `model` in all orders, or in those with up to `preemptions`. What comes about must be
/// `expected`, all of it and nothing else, so that no test passes for want of the case it is about.
fn check(
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

fn came_about(outcomes: &Outcomes, outcome: &'static str) {
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
    fn invalidate(&self) {
        *lock(&self.row) = NEW;
        *lock(&self.fence) += 1;
    }

    fn board(&self, began: Tick, seen: Option<Fence>, id: u64) -> Boarding<Lease, u64> {
        self.flights.board(&key(), began, seen, LeaseId(id))
    }

    /// A passenger of a flight that is known to be there.
    fn passenger(&self, began: Tick, id: u64) -> Passenger<Lease, u64> {
        match self.board(began, None, id) {
            Boarding::Join(passenger) => passenger,
            Boarding::Lead(_) | Boarding::Stand(_) => panic!("the flight refused a passenger"),
        }
    }

    /// The leader of a flight that is known not to be there yet.
    fn leader(&self, id: u64) -> Leader<Lease, u64> {
        match self.board(self.flights.tick(), None, id) {
            Boarding::Lead(leader) => self.leads(leader),
            Boarding::Join(_) | Boarding::Stand(_) => panic!("somebody leads already"),
        }
    }

    /// Enters a new leader in the books.
    fn leads(&self, leader: Leader<Lease, u64>) -> Leader<Lease, u64> {
        let first = lock_unseen(&self.books.leading).insert(leader.lease_id().0);
        assert!(first, "two lead one flight");
        leader
    }

    /// Takes the lease, unless a leader before this one did.
    fn grant(&self, leader: &Leader<Lease, u64>) {
        if leader.wants_lease() {
            leader.sending();
            let fence = Fence(*lock(&self.fence));
            let number = leader.lease_id().0;
            lock_unseen(&self.books.dropped).insert(number, 0);
            let books = Arc::clone(&self.books);
            leader.granted(Lease { number, books }, fence);
        }
    }

    fn land(&self, mut leader: Leader<Lease, u64>, value: u64) {
        leader.land(value);
        self.leave(leader);
    }

    /// The leader is dropped; nothing may have ended its flight before.
    fn leave(&self, leader: Leader<Lease, u64>) {
        let led = matches!(leader.flight.lock().phase, Phase::Led);
        assert!(led, "a flight ended under its leader");
        lock_unseen(&self.books.leading).remove(&leader.lease_id().0);
        drop(leader);
    }

    /// Loads for everybody aboard, as the expander does.
    fn load(&self, leader: Leader<Lease, u64>) -> u64 {
        self.grant(&leader);
        let value = *lock(&self.row);
        drop(leader.take_lease());
        self.land(leader, value);
        value
    }

    /// One caller that asks the store for nothing and lands a flight of its own with `id`.
    async fn travel(&self, began: Tick, id: u64) -> (u64, &'static str) {
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
    async fn call(&self, id: u64) -> (u64, &'static str) {
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
    async fn ride(&self, passenger: Passenger<Lease, u64>, own: u64) -> (u64, &'static str) {
        match passenger.await {
            Arrival::Landed(value) => (value, "joined"),
            Arrival::Lead(leader) => {
                self.land(self.leads(leader), own);
                (own, "succeeded")
            }
        }
    }

    /// Polls a passenger once, then drops it. If it is to lead, it leaves that, too.
    async fn give_up(&self, passenger: Passenger<Lease, u64>) -> &'static str {
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

#[test]
fn landing_wakes_whoever_boarded() {
    check(ALL, &["joined", "led"], |world, outcomes| {
        let began = world.flights.tick();
        let leader = world.leader(1);
        world.grant(&leader);
        let caller = {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.travel(began, 2)))
        };
        world.land(leader, 1);
        let (value, outcome) = caller.join().unwrap();
        came_about(outcomes, outcome);
        assert_eq!(value, if outcome == "joined" { 1 } else { 2 });
    });
}

#[test]
fn landing_wakes_all_who_boarded() {
    check(FOUR, &["joined"], |world, outcomes| {
        let began = world.flights.tick();
        let leader = world.leader(1);
        let callers = [2, 3].map(|id| {
            let passenger = world.passenger(began, id);
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.ride(passenger, id)))
        });
        world.land(leader, 1);
        for caller in callers {
            let (value, outcome) = caller.join().unwrap();
            came_about(outcomes, outcome);
            assert_eq!(value, 1);
        }
    });
}

#[test]
fn one_of_two_passengers_takes_over_from_a_dropped_leader() {
    check(FOUR, &["joined", "succeeded"], |world, outcomes| {
        let began = world.flights.tick();
        let leader = world.leader(1);
        world.grant(&leader);
        let callers = [2, 3].map(|id| {
            let passenger = world.passenger(began, id);
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.ride(passenger, id)))
        });
        world.leave(leader);
        let [one, other] = callers.map(|caller| caller.join().unwrap());
        came_about(outcomes, one.1);
        came_about(outcomes, other.1);
        assert_eq!(one.0, other.0);
        assert_ne!(one.1, other.1, "exactly one takes the lead");
    });
}

#[test]
fn a_dropped_leader_strands_nobody_who_boards_meanwhile() {
    check(THREE, &["joined", "led", "succeeded"], |world, outcomes| {
        let began = world.flights.tick();
        let leader = world.leader(1);
        let callers = [2, 3].map(|id| {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.travel(began, id)))
        });
        world.leave(leader);
        for caller in callers {
            let (_, outcome) = caller.join().unwrap();
            came_about(outcomes, outcome);
        }
    });
}

#[test]
fn a_passenger_that_gives_up_leaves_the_lead_to_another() {
    let expected = ["gave up", "joined", "left the lead", "succeeded"];
    check(FOUR, &expected, |world, outcomes| {
        let began = world.flights.tick();
        let leader = world.leader(1);
        let [impatient, one, other] = [2, 3, 4].map(|id| world.passenger(began, id));
        world.leave(leader);
        let impatient = {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.give_up(impatient)))
        };
        let one = {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.ride(one, 3)))
        };
        let (value, outcome) = block_on(world.ride(other, 4));
        came_about(outcomes, outcome);
        came_about(outcomes, impatient.join().unwrap());
        assert_eq!(one.join().unwrap().0, value);
    });
}

#[test]
fn a_vacant_flight_whose_passengers_give_up_is_over_or_taken() {
    check(ALL, &["led", "succeeded"], |world, outcomes| {
        let began = world.flights.tick();
        let leader = world.leader(1);
        world.grant(&leader);
        let passengers = [2, 3].map(|id| world.passenger(began, id));
        world.leave(leader);
        let [one, other] = passengers.map(|passenger| thread::spawn(move || drop(passenger)));
        let (_, outcome) = block_on(world.travel(began, 4));
        came_about(outcomes, outcome);
        one.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_bystander_wakes_and_boards_anew() {
    let expected = ["joined", "led", "stood, then led"];
    check(THREE, &expected, |world, outcomes| {
        let leader = world.leader(1);
        leader.sending();
        let began = world.flights.tick();
        let callers = [2, 3].map(|id| {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.travel(began, id)))
        });
        world.leave(leader);
        for caller in callers {
            let (_, outcome) = caller.join().unwrap();
            came_about(outcomes, outcome);
        }
    });
}

#[test]
fn a_bystander_outwaits_the_successor() {
    let expected = ["led", "stood, then led", "succeeded"];
    check(FOUR, &expected, |world, outcomes| {
        let before = world.flights.tick();
        let leader = world.leader(1);
        leader.sending();
        let after = world.flights.tick();
        let passenger = world.passenger(before, 2);
        let successor = {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.ride(passenger, 2)))
        };
        let bystander = {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.travel(after, 3)))
        };
        world.leave(leader);
        for caller in [successor, bystander] {
            let (_, outcome) = caller.join().unwrap();
            came_about(outcomes, outcome);
        }
    });
}

#[test]
fn who_begins_after_an_invalidation_gets_nothing_older() {
    let expected = ["joined", "led", "stood, then led"];
    check(Some(6), &expected, |world, outcomes| {
        let loader = {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.call(1)))
        };
        world.invalidate();
        let (value, outcome) = block_on(world.call(2));
        came_about(outcomes, outcome);
        assert_eq!(value, NEW);
        loader.join().unwrap();
    });
}

#[test]
fn an_invalidation_told_from_thread_to_thread_counts_too() {
    let expected = ["in time", "too early"];
    check(THREE, &expected, |world, outcomes| {
        let done = Arc::new(AtomicU64::new(0));
        let loader = {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.call(1)))
        };
        let writer = {
            let (world, done) = (Arc::clone(&world), Arc::clone(&done));
            thread::spawn(move || {
                world.invalidate();
                done.store(1, Ordering::Release);
            })
        };
        let acknowledged = done.load(Ordering::Acquire) == 1;
        let (value, _) = block_on(world.call(2));
        if acknowledged {
            assert_eq!(value, NEW);
        }
        came_about(
            &outcomes,
            if acknowledged { "in time" } else { "too early" },
        );
        loader.join().unwrap();
        writer.join().unwrap();
    });
}

#[test]
fn a_successor_lands_nothing_older_than_its_passengers() {
    let expected = ["joined", "led", "stood, then led", "succeeded"];
    check(THREE, &expected, |world, outcomes| {
        let before = world.flights.tick();
        let leader = world.leader(1);
        let passenger = world.passenger(before, 2);
        let successor = {
            let world = Arc::clone(&world);
            thread::spawn(move || match block_on(passenger) {
                Arrival::Lead(leader) => world.load(world.leads(leader)),
                Arrival::Landed(value) => value,
            })
        };
        let cancelled = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                world.grant(&leader);
                world.leave(leader);
            })
        };
        world.invalidate();
        let (value, outcome) = block_on(world.call(3));
        came_about(outcomes, outcome);
        assert_eq!(value, NEW);
        successor.join().unwrap();
        cancelled.join().unwrap();
    });
}

#[test]
fn a_lease_is_dropped_once_whoever_leaves() {
    let expected = ["gave up", "left the lead"];
    check(ALL, &expected, |world, outcomes| {
        let began = world.flights.tick();
        let leader = world.leader(1);
        world.grant(&leader);
        let passenger = world.passenger(began, 2);
        let passenger = {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.give_up(passenger)))
        };
        let newer = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let leader = world.leads(world.flights.lead(&key(), LeaseId(3)));
                assert_eq!(world.flights.len(), 1, "the newest flight is to be found");
                world.load(leader)
            })
        };
        world.leave(leader);
        came_about(outcomes, passenger.join().unwrap());
        newer.join().unwrap();
    });
}
