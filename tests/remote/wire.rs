//! Commands and answers that are lost or late, one at a time: the old value never comes back.

use std::time::Duration;

use cache_kit::CacheService;
use cache_kit::CacheStrategy::{Fresh, Invalidate, Refresh};
use cache_kit::backend::Invalidated;
use cache_kit_tests::calls::{PATIENCE, call, spawn};
use cache_kit_tests::servers::{Proxy, Server, Trap, Trick, eventually_async};
use cache_kit_tests::{Gated, Row};

type Trickster = fn() -> Trick;

const TRICKS: [(&str, Trickster); 5] = [
    ("the command is lost", || Trick::DropCommand),
    ("the answer is lost", || Trick::DropAnswer),
    ("the connection ends before the command", || {
        Trick::CutCommand
    }),
    ("the connection ends in the answer", || Trick::CutAnswer(1)),
    ("the command comes late", || Trick::HoldCommand),
];

/// Two processes on one server; one of them connects through a proxy.
struct Scene<S: Server> {
    proxy: Proxy,
    shaky: CacheService<S::Backend>,
    sound: CacheService<S::Backend>,
    database: Gated,
    _server: S,
}

impl<S: Server> Scene<S> {
    async fn new() -> Self {
        let server = S::start();
        let proxy = server.proxy();
        // With the default wait for a lease, so that it does not wait long for the placeholders of
        // lost commands.
        let service = |url: &str, deadline| {
            let backend = S::backend(url, |encoded| encoded.with_operation_deadline(deadline));
            CacheService::new(backend.unwrap())
        };
        let scene = Self {
            shaky: service(&server.url_through(&proxy), Duration::from_millis(600)),
            sound: service(&server.url(), PATIENCE),
            proxy,
            database: Gated::closed(),
            _server: server,
        };
        // The wires stand and the server knows the scripts, so each command below is sent once.
        scene.database.set("warm", 0);
        for (id, strategy) in [("warm", Invalidate), ("absent", Refresh)] {
            for service in [&scene.shaky, &scene.sound] {
                let mut tries = 0;
                loop {
                    scene.database.let_through(1);
                    let (outcome, _) = call(service, &scene.database, id, strategy).await.unwrap();
                    if !outcome.degraded().any() {
                        break;
                    }
                    tries += 1;
                    assert!(tries < 20, "the server never answered in time: {outcome:?}");
                }
            }
        }
        scene.database.set("k", 1);
        scene
    }

    /// No read returns version 1, now or after the held command arrives.
    async fn the_old_value_is_gone(&self, trap: &Trap, what: &str) {
        for round in 0..2 {
            let (_, seen) = call(&self.sound, &self.database, "k", Fresh).await.unwrap();
            assert_ne!(seen, Some(1), "{what}, round {round}");
            trap.release();
            self.proxy.pass();
            eventually_async("the queue is empty", Duration::from_secs(20), || {
                S::health(&self.shaky).pending_invalidations == 0
            })
            .await;
        }
        self.database.let_through(10);
        let (_, seen) = call(&self.sound, &self.database, "k", Refresh)
            .await
            .unwrap();
        assert_eq!(seen, Some(2), "{what}");
        let (_, seen) = call(&self.shaky, &self.database, "k", Refresh)
            .await
            .unwrap();
        assert_eq!(seen, Some(2), "{what}");
    }
}

pub async fn each_command_of_a_slow_refresh_against_an_invalidation_elsewhere<S: Server>() {
    let (get, claim, swap) = (S::COMMANDS.get, S::COMMANDS.claim, S::COMMANDS.swap);
    for (command, is_it) in [get, claim, swap] {
        for (trouble, trick) in TRICKS {
            let what = format!("{command}: {trouble}");
            let scene = Scene::<S>::new().await;
            let loads = scene.database.loads();
            let trap = scene.proxy.on_next(is_it, trick());
            let slow = spawn(&scene.shaky, &scene.database, "k", Refresh);
            scene.database.entered(loads + 1).await;
            scene.database.set("k", 2);
            if command == swap.0 {
                // The load ends with the old row, and its store triggers the trap.
                scene.database.let_through(1);
                trap.sprung().await;
            }
            let done = scene
                .sound
                .invalidate::<Row>(&"k".to_owned())
                .await
                .unwrap();
            assert_eq!(done, Invalidated::Done);
            scene.database.let_through(1);
            let (_, seen) = slow.await.unwrap().unwrap();
            assert!(seen.is_some(), "{what}: a reader is always answered");
            assert!(trap.has_sprung(), "{what}");
            scene.the_old_value_is_gone(&trap, &what).await;
        }
    }
}

pub async fn each_command_of_an_invalidation<S: Server>() {
    let (set, delete) = (S::COMMANDS.set, S::COMMANDS.delete);
    for (command, is_it) in [set, delete] {
        for (trouble, trick) in TRICKS {
            let what = format!("{command}: {trouble}");
            let scene = Scene::<S>::new().await;
            scene.database.let_through(1);
            call(&scene.sound, &scene.database, "k", Refresh)
                .await
                .unwrap();
            scene.database.set("k", 2);
            let trap = scene.proxy.on_next(is_it, trick());
            if command == set.0 {
                scene.database.let_through(1);
                let (outcome, seen) = call(&scene.shaky, &scene.database, "k", Invalidate)
                    .await
                    .unwrap();
                assert_eq!(seen, Some(2), "{what}: {outcome:?}");
            } else {
                scene
                    .shaky
                    .invalidate::<Row>(&"k".to_owned())
                    .await
                    .unwrap();
            }
            assert!(trap.has_sprung(), "{what}");
            // Pending is no acknowledgement; once the queue is empty, the old value is gone.
            trap.release();
            scene.proxy.pass();
            eventually_async("the queue is empty", Duration::from_secs(20), || {
                S::health(&scene.shaky).pending_invalidations == 0
            })
            .await;
            scene.the_old_value_is_gone(&trap, &what).await;
        }
    }
}
