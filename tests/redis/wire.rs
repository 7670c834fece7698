//! Commands and answers that are lost or late, one at a time: the old value never comes back.

use std::time::Duration;

use cache_kit::CacheStrategy::{Fresh, Invalidate, Refresh};
use cache_kit::backend::{HEAD_PREFIXES, Invalidated, RedisBackend};
use cache_kit::{CacheService, Outcome, Result};
use cache_kit_tests::servers::{Command, Proxy, RedisServer, Trap, Trick, eventually_async};
use cache_kit_tests::{Gated, Row};
use tokio::task::JoinHandle;

use super::{PATIENCE, Service, call, config};

fn is_claim(command: &Command) -> bool {
    command.is("EVALSHA") && command.has_arg(HEAD_PREFIXES[0])
}

/// A swap has a head, a value and a lifetime; a remove has a head alone.
fn is_swap(command: &Command) -> bool {
    command.is("EVALSHA") && !is_claim(command) && command.args().len() > 4
}

fn is(name: &'static str) -> fn(&Command) -> bool {
    match name {
        "GET" => |command| command.is("GET"),
        "SET" => |command| command.is("SET"),
        "DEL" => |command| command.is("DEL"),
        "claim" => is_claim,
        _ => is_swap,
    }
}

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
struct Scene {
    proxy: Proxy,
    shaky: Service,
    sound: Service,
    database: Gated,
    _server: RedisServer,
}

impl Scene {
    async fn new() -> Self {
        let server = RedisServer::start();
        let proxy = Proxy::in_front_of(server.addr());
        let config = config(&server.url_through(&proxy))
            .set(|encoded| encoded.with_operation_deadline(Duration::from_millis(600)));
        let sound =
            super::config(&server.url()).set(|encoded| encoded.with_operation_deadline(PATIENCE));
        let scene = Self {
            shaky: CacheService::new(RedisBackend::new(config).unwrap()),
            // Short, so that it does not wait long for the placeholders of lost commands.
            sound: CacheService::new(RedisBackend::new(sound).unwrap()),
            proxy,
            database: Gated::closed(),
            _server: server,
        };
        // Loads the scripts, so that each command below is sent once.
        scene.database.set("warm", 0);
        for (id, strategy) in [("warm", Invalidate), ("nobody", Refresh)] {
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

    fn slow_refresh(&self) -> JoinHandle<Result<(Outcome, Option<u64>)>> {
        let (service, database) = (self.shaky.clone(), self.database.clone());
        tokio::spawn(async move { call(&service, &database, "k", Refresh).await })
    }

    /// No read returns version 1, now or after the held command arrives.
    async fn the_old_value_is_gone(&self, trap: &Trap, what: &str) {
        for round in 0..2 {
            let (_, seen) = call(&self.sound, &self.database, "k", Fresh).await.unwrap();
            assert_ne!(seen, Some(1), "{what}, round {round}");
            trap.release();
            self.proxy.pass();
            eventually_async("the queue is empty", Duration::from_secs(20), || {
                let health = self.shaky.backend().health();
                health.pending_invalidations == 0
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

#[tokio::test]
async fn each_command_of_a_slow_refresh_against_an_invalidation_elsewhere() {
    for command in ["GET", "claim", "swap"] {
        for (trouble, trick) in TRICKS {
            let what = format!("{command}: {trouble}");
            let scene = Scene::new().await;
            let loads = scene.database.loads();
            let trap = scene.proxy.on_next(is(command), trick());
            let slow = scene.slow_refresh();
            scene.database.entered(loads + 1).await;
            scene.database.set("k", 2);
            if command == "swap" {
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

#[tokio::test]
async fn each_command_of_an_invalidation() {
    for command in ["SET", "DEL"] {
        for (trouble, trick) in TRICKS {
            let what = format!("{command}: {trouble}");
            let scene = Scene::new().await;
            scene.database.let_through(1);
            call(&scene.sound, &scene.database, "k", Refresh)
                .await
                .unwrap();
            scene.database.set("k", 2);
            let trap = scene.proxy.on_next(is(command), trick());
            if command == "SET" {
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
                scene.shaky.backend().health().pending_invalidations == 0
            })
            .await;
            scene.the_old_value_is_gone(&trap, &what).await;
        }
    }
}
