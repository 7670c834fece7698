//! Commands that reach the server late, after a lost connection and a second try: no older value,
//! and no older absence, is served after an acknowledgement.

use std::time::Duration;

use cache_kit::CacheExpander;
use cache_kit::CacheStrategy::{Bypass, Refresh};
use cache_kit::backend::{HEAD_PREFIXES, RedisBackend};
use cache_kit::testing::ManualClock;
use cache_kit_tests::late::{Case, Kind, MOMENTS, Scene, Stage, Tally};
use cache_kit_tests::servers::{Command, Proxy, RedisServer, Trick};

use super::{PATIENCE, config};

fn runs_a_script(command: &Command) -> bool {
    command.is("EVALSHA") || command.is("EVAL")
}

/// Only a claim gets the prefixes of a head.
fn is_claim(command: &Command) -> bool {
    runs_a_script(command) && command.has_arg(HEAD_PREFIXES[0])
}

const CLAIM: Kind = ("claim", is_claim);

/// Short, so that it does not wait long for the placeholders of late commands.
fn expander(url: &str, time: &ManualClock) -> CacheExpander<RedisBackend> {
    let config = config(url).set(|encoded| encoded.with_operation_deadline(PATIENCE));
    CacheExpander::new(RedisBackend::new(config).unwrap())
        .with_lease_wait(Duration::from_millis(5))
        // With equal times, bytes are as likely to be equal as they can be.
        .with_clock(time.clock())
}

fn scene(server: &RedisServer) -> Scene<'_, RedisBackend, RedisServer> {
    let proxy = Proxy::in_front_of(server.addr());
    let time = ManualClock::new();
    Scene {
        shaky: expander(&server.url_through(&proxy), &time).into(),
        sound: expander(&server.url(), &time).into(),
        proxy,
        server,
    }
}

fn stage<'s>(server: &'s RedisServer) -> Stage<impl Fn() -> Scene<'s, RedisBackend, RedisServer>> {
    Stage {
        scene: || scene(server),
        get: ("GET", |command| command.is("GET") || command.is("MGET")),
        claim: CLAIM,
        set: ("set", |command| command.is("SET")),
        // A swap has a head, a value and a lifetime; a remove has a head alone.
        swap: ("swap", |command| {
            runs_a_script(command) && !is_claim(command) && command.args().len() > 4
        }),
        remove: ("remove", |command| {
            runs_a_script(command) && !is_claim(command) && command.args().len() == 4
        }),
        delete: ("delete", |command| command.is("DEL")),
    }
}

#[tokio::test]
async fn each_command_of_each_strategy_at_any_moment() {
    stage(&RedisServer::start()).each_command(false).await;
}

#[tokio::test]
async fn each_command_of_a_batch_at_any_moment() {
    stage(&RedisServer::start()).each_command(true).await;
}

#[tokio::test]
async fn a_claim_and_its_store_both_and_a_claim_that_is_lost_twice() {
    stage(&RedisServer::start()).two_commands().await;
}

#[tokio::test]
async fn what_a_slow_call_gives_its_lease_up_with() {
    stage(&RedisServer::start()).releases().await;
}

#[tokio::test]
async fn a_deletion_after_its_acknowledgement() {
    let server = RedisServer::start();
    let pending = |service: &super::Service| service.backend().health().pending_invalidations;
    stage(&server).deletions(pending).await;
}

#[tokio::test]
async fn a_successor_in_the_same_tick_of_the_clock() {
    stage(&RedisServer::start()).successor().await;
}

#[tokio::test]
async fn a_script_that_the_server_does_not_know() {
    let server = RedisServer::start();
    let mut tally = Tally::default();
    for strategy in [Refresh, Bypass] {
        for moment in MOMENTS {
            // The command that is answered with NOSCRIPT, and the one that is sent then.
            for passed in [0, 1] {
                let scene = scene(&server);
                assert!(server.command(&["SCRIPT", "FLUSH"]).is_ok());
                for _ in 0..passed {
                    let at_once = Trick::DelayAnswer(Duration::ZERO);
                    scene.proxy.on_next(is_claim, at_once);
                }
                let case = Case::of(&[CLAIM], strategy, moment);
                tally.play(scene, case).await;
            }
        }
    }
    tally.report();
}
