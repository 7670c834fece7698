//! What every service must do: each story is written once, and [`service_stories!`] makes tests of
//! them.
//!
//! [`service_stories!`]: crate::service_stories

use std::time::Duration;

use super::{Database, Program, Readiness, Running, Service};
use crate::servers::{MemcachedServer, RedisServer, eventually, free_port, within};

/// Generous: only a failing test waits this long.
const LIMIT: Duration = Duration::from_secs(30);

/// How long a client waits before it hangs up. A machine that was too busy for the first to have begun
/// gets the second. SQLite waits for a lock for 5 s.
const PATIENCE: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(3)];

/// A test of each story, for one [`Service`].
#[macro_export]
macro_rules! service_stories {
    ($service:ty) => {
        $crate::service_stories! { $service:
            rows_absences_and_health,
            two_processes_share_a_redis,
            two_processes_share_memcached_servers,
            a_dead_redis_costs_no_answer,
            a_misspelt_url_is_named,
            a_client_that_hangs_up_loses_no_invalidation,
            a_write_without_its_client_is_finished_before_the_end,
            a_client_that_stalls_does_not_keep_the_service,
        }
    };
    ($service:ty: $($story:ident,)*) => {$(
        #[test]
        fn $story() {
            $crate::services::stories::$story::<$service>();
        }
    )*};
}

/// The whole life of a service with its cache in memory.
pub fn rows_absences_and_health<S: Service>() {
    let database = Database::new();
    let service = Running::<S>::start(&database);
    assert!(S::is_live(service.address));
    has(
        &service,
        Readiness {
            ready: true,
            cache: true,
        },
    );

    let loaded = service.read(1);
    assert!(loaded.name.is_some(), "{loaded:?}");
    assert!(loaded.cache.contains("; fwd=miss; stored"), "{loaded:?}");
    let hit = service.read(1);
    assert_eq!(hit.name, loaded.name);
    assert!(hit.cache.contains("; hit"), "{hit:?}");

    let written = service.write(1, "Changed");
    assert_eq!(written.name.as_deref(), Some("Changed"));
    assert!(
        written.cache.contains("; fwd=request; stored"),
        "{written:?}"
    );
    assert_eq!(service.name().as_deref(), Some("Changed"));

    for did in ["; fwd=miss; stored", "; hit"] {
        let absent = service.read(77);
        assert_eq!(absent.name, None);
        assert!(absent.cache.contains(did), "{absent:?}");
    }
    service.write(77, "New");
    assert_eq!(service.read(77).name.as_deref(), Some("New"));

    service.program.terminate();
    service.program.ends_well();
    database.is_alone();
}

/// What one process loads is a hit in the other, what one writes is seen by the other at once.
pub fn two_processes_share_a_redis<S: Service>() {
    let redis = RedisServer::options().password("hunter2").start();
    share::<S>(&redis.url());
}

/// The same over Memcached.
pub fn two_processes_share_memcached_servers<S: Service>() {
    let servers = [MemcachedServer::start(), MemcachedServer::start()];
    share::<S>(&MemcachedServer::url_of(&servers));
}

fn share<S: Service>(url: &str) {
    let database = Database::new();
    let here = Running::<S>::start_on(&database, url);
    let there = Running::<S>::start_on(&database, url);
    has(
        &here,
        Readiness {
            ready: true,
            cache: true,
        },
    );

    let loaded = here.read(1);
    assert!(loaded.cache.contains("; fwd=miss; stored"), "{loaded:?}");
    let hit = there.read(1);
    assert_eq!(hit.name, loaded.name);
    assert!(hit.cache.contains("; hit"), "{hit:?}");
    for round in 0..20 {
        let name = format!("Changed {round}");
        here.write(1, &name);
        assert_eq!(there.name().as_deref(), Some(name.as_str()));
    }

    assert_eq!(here.read(77).name, None);
    let absent = there.read(77);
    assert!(absent.cache.contains("; hit"), "{absent:?}");
    there.write(77, "New");
    assert_eq!(here.read(77).name.as_deref(), Some("New"));

    for service in [here, there] {
        service.program.terminate();
        service.program.ends_well();
    }
    database.is_alone();
}

/// It starts, answers, writes and ends without its Redis.
pub fn a_dead_redis_costs_no_answer<S: Service>() {
    let database = Database::new();
    let url = format!("redis://:hunter2@127.0.0.1:{}", free_port());
    let service = Running::<S>::start_on(&database, &url);
    for _ in 0..3 {
        let read = service.read(1);
        assert!(read.name.is_some(), "{read:?}");
        assert!(read.cache.contains("; detail=unreachable"), "{read:?}");
    }
    let written = service.write(1, "Changed");
    assert!(written.cache.contains("; detail="), "{written:?}");
    assert_eq!(service.name().as_deref(), Some("Changed"));
    assert!(S::is_live(service.address));
    has(
        &service,
        Readiness {
            ready: true,
            cache: false,
        },
    );

    service.program.terminate();
    service.program.ends_well();
    assert!(!service.program.output().contains("hunter2"));
}

/// It does not start, and says what is wrong without repeating the URL.
pub fn a_misspelt_url_is_named<S: Service>() {
    let database = Database::new();
    for (url, named) in [
        ("redsi://:hunter2@localhost", "redis"),
        ("memory://?capactiy=10", "capactiy"),
        ("redis://:hunter2@localhost?tll=5m", "tll"),
    ] {
        let said = Program::start(S::BINARY, &database, Some(url)).fails();
        assert!(said.contains("CACHE_URL") && said.contains(named), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

/// A write that waits for the database commits and invalidates, though its client has gone.
pub fn a_client_that_hangs_up_loses_no_invalidation<S: Service>() {
    let database = Database::new();
    let service = Running::<S>::start(&database);
    let seen = PATIENCE.into_iter().any(|patience| {
        service.warm();
        let lock = database.lock();
        S::write_and_hang_up(service.address, 1, "Changed", patience);
        drop(lock);
        within(LIMIT / 3, || service.name().as_deref() == Some("Changed"))
    });
    assert!(seen, "the old row stays in the cache");
}

/// The same, if the service is told to stop meanwhile: the next one over the same cache reads the row
/// as it is.
pub fn a_write_without_its_client_is_finished_before_the_end<S: Service>() {
    let redis = RedisServer::start();
    let database = Database::new();
    let seen = PATIENCE.into_iter().any(|patience| {
        let service = Running::<S>::start_on(&database, &redis.url());
        service.warm();
        let lock = database.lock();
        S::write_and_hang_up(service.address, 1, "Changed", patience);
        service.program.terminate();
        // One that does not wait for the write ends here.
        within(Duration::from_secs(1), || !service.program.is_running());
        drop(lock);
        service.program.ends_well();
        let next = Running::<S>::start_on(&database, &redis.url());
        next.name().as_deref() == Some("Changed")
    });
    assert!(seen, "the write, or its invalidation, was lost");
}

/// It ends although a client holds its connection, and another one has sent half a request.
pub fn a_client_that_stalls_does_not_keep_the_service<S: Service>() {
    let database = Database::new();
    let service = Running::<S>::start(&database);
    let stalled = S::stall(service.address);
    // Later than these two on the same listener.
    assert!(service.read(1).name.is_some());
    service.program.terminate();
    service.program.ends_well();
    drop(stalled);
}

/// Asserts that the service comes to say so of itself.
fn has<S: Service>(service: &Running<S>, expected: Readiness) {
    eventually(&format!("{expected:?}"), LIMIT, || {
        S::readiness(service.address) == expected
    });
}
