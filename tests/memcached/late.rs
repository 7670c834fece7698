//! Commands that reach the server late, after a lost connection and a second try: no older value,
//! and no older absence, is served after an acknowledgement.

use std::time::Duration;

use cache_kit::CacheExpander;
use cache_kit::backend::MemcachedBackend;
use cache_kit::testing::ManualClock;
use cache_kit_tests::late::{Scene, Stage};
use cache_kit_tests::servers::{Command, MemcachedServer, Proxy};

use super::{PATIENCE, Service, config};

/// Whether one of its words is a flag with this letter. A value is not a flag.
fn has_flag(command: &Command, flag: &str) -> bool {
    let words = command
        .args()
        .iter()
        .skip(1)
        .filter(|word| word.len() <= 21);
    words.map(Vec::as_slice).any(|word| {
        let number = word.strip_prefix(flag.as_bytes());
        number.is_some_and(|rest| rest.iter().all(u8::is_ascii_digit))
    })
}

/// A lease begins with an `add`, a store compares numbers, an invalidation sets unconditionally.
fn stores(command: &Command, flag: &str) -> bool {
    command.is("MS") && has_flag(command, flag)
}

/// Short, so that it does not wait long for the placeholders of late commands.
fn expander(url: &str, time: &ManualClock) -> CacheExpander<MemcachedBackend> {
    let config = config(url).set(|encoded| encoded.with_operation_deadline(PATIENCE));
    CacheExpander::new(MemcachedBackend::new(config).unwrap())
        .with_lease_wait(Duration::from_millis(5))
        // With equal times, bytes are as likely to be equal as they can be.
        .with_clock(time.clock())
}

fn scene(server: &MemcachedServer) -> Scene<'_, MemcachedBackend, MemcachedServer> {
    let proxy = Proxy::in_front_of_memcached(server.addr());
    let time = ManualClock::new();
    Scene {
        shaky: expander(&server.url_through(&proxy), &time).into(),
        sound: expander(&server.url(), &time).into(),
        proxy,
        server,
    }
}

fn stage<'s>(
    server: &'s MemcachedServer,
) -> Stage<impl Fn() -> Scene<'s, MemcachedBackend, MemcachedServer>> {
    Stage {
        scene: || scene(server),
        get: ("MG", |command| command.is("MG") || command.is("GET")),
        claim: ("claim", |command| stores(command, "ME")),
        set: ("set", |command| stores(command, "MS")),
        swap: ("swap", |command| stores(command, "C")),
        remove: ("remove", |command| {
            command.is("MD") && has_flag(command, "C")
        }),
        delete: ("delete", |command| {
            command.is("DELETE") || command.is("MD") && !has_flag(command, "C")
        }),
    }
}

#[tokio::test]
async fn each_command_of_each_strategy_at_any_moment() {
    stage(&MemcachedServer::start()).each_command(false).await;
}

#[tokio::test]
async fn each_command_of_a_batch_at_any_moment() {
    stage(&MemcachedServer::start()).each_command(true).await;
}

#[tokio::test]
async fn a_claim_and_its_store_both_and_a_claim_that_is_lost_twice() {
    stage(&MemcachedServer::start()).two_commands().await;
}

#[tokio::test]
async fn what_a_slow_call_gives_its_lease_up_with() {
    stage(&MemcachedServer::start()).releases().await;
}

#[tokio::test]
async fn a_deletion_after_its_acknowledgement() {
    let server = MemcachedServer::start();
    let pending = |service: &Service| service.backend().health().pending_invalidations;
    stage(&server).deletions(pending).await;
}

#[tokio::test]
async fn a_successor_in_the_same_tick_of_the_clock() {
    stage(&MemcachedServer::start()).successor().await;
}
