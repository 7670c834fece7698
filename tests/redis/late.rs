//! A claim that reaches the server late while something foreign is under its key: a command first,
//! and then a script, which the server may not know.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_kit::CacheStrategy::{Bypass, Refresh};
use cache_kit_tests::late::{Before, Case, MOMENTS, Scene, Tally};
use cache_kit_tests::servers::{Command, RedisServer, Server, Trick};

/// The key of a claim.
fn key_of(command: &Command) -> Option<&Vec<u8>> {
    let place = if command.is("SET") { 0 } else { 2 };
    let is_claim = RedisServer::COMMANDS.claim.1(command);
    command.args().get(place).filter(|_| is_claim)
}

#[tokio::test]
async fn a_script_that_the_server_does_not_know() {
    let claim = RedisServer::COMMANDS.claim;
    let server = RedisServer::start();
    // The command, the script that is answered with NOSCRIPT, and the script that is sent then.
    for passed in 0..3 {
        let mut tally = Tally::default();
        for strategy in [Refresh, Bypass] {
            for moment in MOMENTS {
                let scene = Scene::new(&server);
                forget_once(&scene);
                let mut case = Case::of(std::slice::from_ref(&claim), strategy, moment);
                case.before = Before::Foreign;
                // The first claim on the connection is a script, for another key.
                let plain = Arc::new(Mutex::new(HashSet::new()));
                for _ in 0..passed {
                    let plain = Arc::clone(&plain);
                    let second = move |command: &Command| {
                        let mut plain = plain.lock().unwrap();
                        let key = key_of(command);
                        key.is_some_and(|key| match command.is("SET") {
                            true => plain.insert(key.clone()),
                            false => plain.contains(key),
                        })
                    };
                    let at_once = Trick::DelayAnswer(Duration::ZERO);
                    scene.proxy.on_next(second, at_once);
                }
                tally.play(scene, case).await;
            }
        }
        tally.report();
    }
}

/// Makes the server not know the script of a claim that was sent as a command before, once.
fn forget_once(scene: &Scene<'_, RedisServer>) {
    let plain = Mutex::new(HashSet::new());
    scene.proxy.translate(move |command| {
        let (key, mut plain) = (key_of(command)?, plain.lock().unwrap());
        if command.is("SET") {
            plain.insert(key.clone());
            return None;
        }
        let unknown = || Command::encode(&["EVALSHA", &"0".repeat(40), "0"]);
        plain.remove(key).then(unknown)
    });
}
