//! Random schedules of two processes on three servers.

use cache_kit_tests::race::{one_load_each, rounds};
use cache_kit_tests::schedules::play;
use cache_kit_tests::servers::MemcachedServer;

use super::service;

#[tokio::test]
async fn ten_thousand_schedules_of_two_processes() {
    let servers: Vec<_> = (0..3).map(|_| MemcachedServer::start()).collect();
    let url = MemcachedServer::url_of(&servers);
    play([service(&url), service(&url)], 0..10_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_race_makes_one_load() {
    let server = MemcachedServer::start();
    one_load_each(&service(&server.url()), rounds(500)).await;
}
