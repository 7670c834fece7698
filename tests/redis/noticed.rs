//! What a service that has nothing but a subscriber notices of Redis alone. `tests/remote` has what it
//! notices of both stores.

use cache_kit_tests::noticed::{PASSWORD, lines, service, the_line, work};
use cache_kit_tests::servers::RedisServer;
use cache_kit_tests::traced::trace;
use tracing::level_filters::LevelFilter;

#[tokio::test]
async fn a_wrong_password() {
    let server = RedisServer::options().password("right").start();
    let (traced, _guard) = trace(LevelFilter::INFO);
    work(&service(&format!(
        "redis://:{PASSWORD}@127.0.0.1:{}",
        server.port()
    )))
    .await;
    the_line(
        &lines(&traced),
        &["the cache store failed", "password is refused"],
    );
}

#[tokio::test]
async fn a_store_that_is_read_only() {
    let (master, replica) = (RedisServer::start(), RedisServer::start());
    replica.become_replica_of(&master);
    let (traced, _guard) = trace(LevelFilter::INFO);
    work(&service(&replica.url())).await;
    the_line(
        &lines(&traced),
        &["the cache store failed", "takes no writes"],
    );
}

#[tokio::test]
async fn a_command_that_is_refused() {
    let server = RedisServer::start();
    let (traced, _guard) = trace(LevelFilter::INFO);
    for (rule, operation, command) in [
        ("-del", "invalidate", "DEL"),
        ("-set", "lease", "SET"),
        ("-get", "get", "GET"),
    ] {
        let rules = [
            "ACL",
            "SETUSER",
            "app",
            "reset",
            "on",
            &format!(">{PASSWORD}"),
            "~*",
            "+@all",
            rule,
        ];
        assert!(server.command(&rules).is_ok());
        server.flush();
        traced.clear();
        let url = format!("redis://app:{PASSWORD}@127.0.0.1:{}", server.port());
        work(&service(&url)).await;
        let operation = format!("cache.operation={operation}");
        let lines = lines(&traced);
        let refused: Vec<_> = lines
            .iter()
            .filter(|line| line.contains("refused a command") && line.contains(&operation))
            .collect();
        assert!(
            refused
                .iter()
                .any(|line| line.contains("NOPERM") && line.contains(command)),
            "{rule}: {lines:#?}"
        );
    }
}

#[tokio::test]
async fn a_store_without_room() {
    let server = RedisServer::options().max_memory(1, "noeviction").start();
    let (traced, _guard) = trace(LevelFilter::INFO);
    work(&service(&server.url())).await;
    the_line(
        &lines(&traced),
        &["refused a command", "OOM", "cache.operation=lease"],
    );
}
