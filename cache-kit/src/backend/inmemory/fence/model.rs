//! The fences under the model checker: every order in which the threads can take the locks.
//!
//! `RUSTFLAGS="--cfg cache_kit_model" cargo test -p cache-kit --lib --release model`

use std::convert::Infallible;

use loom::thread;

use super::*;
use crate::sync::{Mutex, explore, lock};

const OLD: u64 = 0;
const NEW: u64 = 1;

/// One key: its row in the database, its place in the map, its fences.
struct World {
    fences: Arc<Fences>,
    database: Mutex<u64>,
    map: Mutex<Option<(Fence, u64)>>,
}

fn key() -> MapKey {
    MapKey::example("user:1")
}

/// Runs `model` in every order; no row may be left at its end.
fn check(model: impl Fn(Arc<World>) + Send + Sync + 'static) {
    check_within(None, model);
}

/// Runs `model` in the orders with up to `preemptions`, where there are too many orders to try all.
fn check_within(preemptions: Option<usize>, model: impl Fn(Arc<World>) + Send + Sync + 'static) {
    explore(preemptions, move || {
        let world = Arc::new(World::new());
        model(Arc::clone(&world));
        assert_eq!(world.fences.len(), 0, "a row is left that nobody holds");
    });
}

impl World {
    fn new() -> Self {
        Self {
            fences: Fences::new(),
            database: Mutex::new(OLD),
            map: Mutex::new(None),
        }
    }

    fn cached(&self) -> Option<u64> {
        lock(&self.map).map(|(_, value)| value)
    }

    /// A share, whatever is under the key.
    fn hold(&self) -> Share {
        let standing = || Ok::<_, Infallible>(lock(&self.map).map(|(fence, _)| fence));
        self.fences
            .hold(key(), standing)
            .unwrap_or_else(|never| match never {})
    }

    /// A share, if nothing is under the key.
    fn hold_if_missing(&self) -> Option<Share> {
        let standing = || match *lock(&self.map) {
            Some(_) => Err(()),
            None => Ok(None),
        };
        self.fences.hold(key(), standing).ok()
    }

    fn fill(&self, held: &Share, value: u64) -> bool {
        held.fill(|fence| *lock(&self.map) = Some((fence, value)))
            .is_some()
    }

    /// Loads and stores under `held`.
    fn load(&self, held: Share) -> bool {
        let value = *lock(&self.database);
        self.fill(&held, value)
    }

    fn remove(&self) {
        *lock(&self.map) = None;
    }

    fn write(&self) {
        *lock(&self.database) = NEW;
    }
}

#[test]
fn no_older_load_is_stored_after_an_invalidation() {
    check(|world| {
        let before = world.hold();
        let older = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.load(before))
        };
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.load(world.hold()))
        };
        world.write();
        world.fences.overtake(&key(), || world.remove());
        assert_ne!(world.cached(), Some(OLD));
        older.join().unwrap();
        other.join().unwrap();
        assert_ne!(world.cached(), Some(OLD));
    });
}

#[test]
fn no_load_over_an_entry_is_stored_after_an_invalidation() {
    check(|world| {
        assert!(world.load(world.hold()));
        let held = world.hold();
        let fence = held.fence();
        let over = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.load(held))
        };
        world.write();
        world.fences.overtake(&key(), || world.remove());
        assert_ne!(world.cached(), Some(OLD));
        assert_ne!(world.fences.current(&key()), Some(fence));
        over.join().unwrap();
        assert_ne!(world.cached(), Some(OLD));
    });
}

#[test]
fn who_invalidates_and_loads_is_not_overtaken_by_an_older_load() {
    check(|world| {
        let before = world.hold();
        let older = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.load(before))
        };
        let invalidating = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                world.write();
                let (held, ()) = world.fences.overtake_and_hold(key(), || world.remove());
                assert_ne!(world.cached(), Some(OLD));
                assert!(world.load(held), "nobody else may have filled");
                assert_eq!(world.cached(), Some(NEW));
            })
        };
        older.join().unwrap();
        invalidating.join().unwrap();
        assert_eq!(world.cached(), Some(NEW));
    });
}

#[test]
fn one_of_two_holders_fills() {
    check(|world| {
        let loads = [world.hold(), world.hold()].map(|held| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.load(held))
        });
        let filled = loads.map(|load| load.join().unwrap());
        assert_eq!(filled.iter().filter(|filled| **filled).count(), 1);
    });
}

#[test]
fn a_missing_entry_is_filled_once() {
    check_within(Some(5), |world| {
        let load = |world: Arc<World>| {
            move || world.hold_if_missing().is_some_and(|held| world.load(held))
        };
        let others = [(); 2].map(|()| thread::spawn(load(Arc::clone(&world))));
        let own = load(Arc::clone(&world))();
        let filled = others.map(|load| load.join().unwrap());
        assert_eq!(
            usize::from(own) + filled.iter().filter(|filled| **filled).count(),
            1
        );
    });
}

#[test]
fn a_row_lives_as_long_as_its_holders() {
    check(|world| {
        let release = |world: Arc<World>| {
            move || {
                let held = world.hold();
                assert_eq!(world.fences.current(held.key()), Some(held.fence()));
            }
        };
        let others = [(); 2].map(|()| thread::spawn(release(Arc::clone(&world))));
        release(Arc::clone(&world))();
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn a_release_leaves_the_row_to_who_invalidates() {
    check(|world| {
        let releasing = {
            let world = Arc::clone(&world);
            thread::spawn(move || drop(world.hold()))
        };
        let invalidating = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let (held, ()) = world.fences.overtake_and_hold(key(), || world.remove());
                assert_eq!(world.fences.current(&key()), Some(held.fence()));
                assert!(world.load(held));
            })
        };
        releasing.join().unwrap();
        invalidating.join().unwrap();
        assert_eq!(world.cached(), Some(OLD));
    });
}

#[test]
fn no_older_load_is_stored_after_everything_was_invalidated() {
    check(|world| {
        let before = world.hold();
        let older = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.load(before))
        };
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.load(world.hold()))
        };
        world.write();
        world.fences.overtake_all(|_| true);
        world.remove();
        assert_ne!(world.cached(), Some(OLD));
        older.join().unwrap();
        other.join().unwrap();
        assert_ne!(world.cached(), Some(OLD));
    });
}
