//! One connection for each live runtime.

use cache_kit::CacheStrategy::Refresh;
use cache_kit_tests::servers::{Proxy, RedisServer, eventually};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::{PATIENCE, call, scene, service};

fn clients(server: &RedisServer) -> usize {
    let list = server.command(&["CLIENT", "LIST"]).text().unwrap();
    list.lines()
        .filter(|line| !line.contains("cmd=client|list"))
        .count()
}

#[test]
fn every_live_runtime_has_one_connection_which_ends_with_it() {
    let (server, database) = scene();
    let proxy = Proxy::in_front_of(server.addr());
    let service = service(&server.url_through(&proxy));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (service, database) = (service.clone(), database.clone());
            std::thread::spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(async {
                    for round in 0..200 {
                        let mut calls = JoinSet::new();
                        for _ in 0..if round % 50 == 0 { 40 } else { 1 } {
                            let (service, database) = (service.clone(), database.clone());
                            calls.spawn(async move {
                                call(&service, &database, "k", Refresh).await.unwrap()
                            });
                        }
                        while let Some(ended) = calls.join_next().await {
                            assert_eq!(ended.unwrap().1, Some(1));
                        }
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(proxy.accepted(), 4);
    eventually("the sockets of ended runtimes are closed", PATIENCE, || {
        clients(&server) == 0
    });
    drop(service);
}
