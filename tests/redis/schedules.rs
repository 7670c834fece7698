//! Random schedules of two processes on one server.

use cache_kit_tests::race::{one_load_each, rounds};
use cache_kit_tests::schedules::play;
use cache_kit_tests::servers::RedisServer;

use super::service;

#[tokio::test]
async fn ten_thousand_schedules_of_two_processes() {
    let server = RedisServer::start();
    play([service(&server.url()), service(&server.url())], 0..10_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_race_makes_one_load() {
    let server = RedisServer::start();
    one_load_each(&service(&server.url()), rounds(500)).await;
}
