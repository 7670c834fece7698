//! Random schedules of two processes, and a race for one load.

use cache_kit_tests::calls::service;
use cache_kit_tests::race::one_load_each;
use cache_kit_tests::schedules::{count, one_in, play, play_owned};
use cache_kit_tests::servers::Server;

pub async fn two_processes_in_any_order<S: Server>() {
    let servers: Vec<_> = (0..S::SERVERS).map(|_| S::start()).collect();
    let url = S::url_of(&servers);
    play([service::<S>(&url), service::<S>(&url)], 0..count()).await;
}

pub async fn owned_repositories_in_two_processes<S: Server>() {
    let servers: Vec<_> = (0..S::SERVERS).map(|_| S::start()).collect();
    let url = S::url_of(&servers);
    let process = || S::patient_backend(&url, |encoded| encoded).unwrap();
    play_owned([process(), process()], 0..count()).await;
}

pub async fn a_race_makes_one_load<S: Server>() {
    let server = S::start();
    one_load_each(&service::<S>(&server.url()), one_in(20)).await;
}
