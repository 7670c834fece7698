//! The flights under the model checker: every order in which the threads can take the locks.
//!
//! `RUSTFLAGS="--cfg cache_kit_model" cargo test -p cache-kit --lib --release model`
//!
//! A caller that is never woken shows as a deadlock. State that only the tests look at is in locks
//! of `std`, which the checker does not see, so it does not try their orders.

#![allow(clippy::panic, reason = "the callers of a test fail by it")]

mod world;

use loom::future::block_on;
use loom::thread;

use super::*;
use world::{NEW, came_about, check, key};

/// All orders, for threads with few steps.
const ALL: Option<usize> = None;

/// The limit of preemptions, for three threads with many steps, where there are too many orders to
/// try all. Every mistake that was planted to test the models was found with two.
const THREE: Option<usize> = Some(3);
const FOUR: Option<usize> = Some(4);

#[test]
fn completing_wakes_a_follower() {
    check(ALL, &["followed", "led"], |world, outcomes| {
        let began = world.flights.tick();
        let leader = world.leader(1);
        world.grant(&leader);
        let caller = {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.travel(began, 2)))
        };
        world.complete(leader, 1);
        let (value, outcome) = caller.join().unwrap();
        came_about(outcomes, outcome);
        assert_eq!(value, if outcome == "followed" { 1 } else { 2 });
    });
}

#[test]
fn completing_wakes_all_followers() {
    check(FOUR, &["followed"], |world, outcomes| {
        let began = world.flights.tick();
        let leader = world.leader(1);
        let callers = [2, 3].map(|id| {
            let follower = world.follower(began, id);
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.follow(follower, id)))
        });
        world.complete(leader, 1);
        for caller in callers {
            let (value, outcome) = caller.join().unwrap();
            came_about(outcomes, outcome);
            assert_eq!(value, 1);
        }
    });
}

#[test]
fn one_of_two_followers_takes_over_from_a_dropped_leader() {
    check(FOUR, &["followed", "succeeded"], |world, outcomes| {
        let began = world.flights.tick();
        let leader = world.leader(1);
        world.grant(&leader);
        let callers = [2, 3].map(|id| {
            let follower = world.follower(began, id);
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.follow(follower, id)))
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
fn a_dropped_leader_strands_no_caller_that_comes_meanwhile() {
    check(
        THREE,
        &["followed", "led", "succeeded"],
        |world, outcomes| {
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
        },
    );
}

#[test]
fn a_follower_that_gives_up_leaves_the_lead_to_another() {
    let expected = ["gave up", "followed", "left the lead", "succeeded"];
    check(FOUR, &expected, |world, outcomes| {
        let began = world.flights.tick();
        let leader = world.leader(1);
        let [impatient, one, other] = [2, 3, 4].map(|id| world.follower(began, id));
        world.leave(leader);
        let impatient = {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.give_up(impatient)))
        };
        let one = {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.follow(one, 3)))
        };
        let (value, outcome) = block_on(world.follow(other, 4));
        came_about(outcomes, outcome);
        came_about(outcomes, impatient.join().unwrap());
        assert_eq!(one.join().unwrap().0, value);
    });
}

#[test]
fn a_vacant_flight_whose_followers_give_up_is_over_or_taken() {
    check(ALL, &["led", "succeeded"], |world, outcomes| {
        let began = world.flights.tick();
        let leader = world.leader(1);
        world.grant(&leader);
        let followers = [2, 3].map(|id| world.follower(began, id));
        world.leave(leader);
        let [one, other] = followers.map(|follower| thread::spawn(move || drop(follower)));
        let (_, outcome) = block_on(world.travel(began, 4));
        came_about(outcomes, outcome);
        one.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_waiter_wakes_and_finds_its_place_anew() {
    let expected = ["followed", "led", "waited, then led"];
    check(THREE, &expected, |world, outcomes| {
        let leader = world.leader(1);
        leader.refused();
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
fn a_waiter_outwaits_the_successor() {
    let expected = ["led", "waited, then led", "succeeded"];
    check(FOUR, &expected, |world, outcomes| {
        let before = world.flights.tick();
        let leader = world.leader(1);
        leader.refused();
        let after = world.flights.tick();
        let follower = world.follower(before, 2);
        let successor = {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.follow(follower, 2)))
        };
        let waiter = {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.travel(after, 3)))
        };
        world.leave(leader);
        for caller in [successor, waiter] {
            let (_, outcome) = caller.join().unwrap();
            came_about(outcomes, outcome);
        }
    });
}

#[test]
fn a_caller_that_begins_after_an_invalidation_gets_nothing_older() {
    let expected = ["followed", "hit", "led"];
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
        came_about(outcomes, if acknowledged { "in time" } else { "too early" });
        loader.join().unwrap();
        writer.join().unwrap();
    });
}

#[test]
fn a_successor_completes_with_nothing_older_than_its_followers() {
    let expected = ["followed", "hit", "led", "succeeded"];
    check(THREE, &expected, |world, outcomes| {
        let before = world.flights.tick();
        let leader = world.leader(1);
        let follower = world.follower(before, 2);
        let successor = {
            let world = Arc::clone(&world);
            thread::spawn(move || match block_on(follower) {
                Followed::Lead(leader) => world.load(world.leads(leader)),
                Followed::Completed(value) => value,
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
fn a_lease_is_dropped_once_in_whatever_order_they_leave() {
    let expected = ["gave up", "left the lead"];
    check(ALL, &expected, |world, outcomes| {
        let began = world.flights.tick();
        let leader = world.leader(1);
        world.grant(&leader);
        let follower = world.follower(began, 2);
        let follower = {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.give_up(follower)))
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
        came_about(outcomes, follower.join().unwrap());
        newer.join().unwrap();
    });
}

#[test]
fn callers_that_come_at_one_time_make_one_load() {
    check(THREE, &["followed", "hit", "led"], |world, outcomes| {
        let callers = [1, 2].map(|id| {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.call(id)))
        });
        let (_, outcome) = block_on(world.call(3));
        came_about(outcomes, outcome);
        for caller in callers {
            came_about(outcomes, caller.join().unwrap().1);
        }
        assert_eq!(world.loads(), 1);
    });
}
