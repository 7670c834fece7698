//! A server that is out of memory, refuses a password, or has become a replica.

use cache_kit::CacheStrategy::{Fresh, Invalidate, Refresh};
use cache_kit::Source;
use cache_kit::backend::Invalidated;
use cache_kit_tests::calls::{answers_from_the_repository, serves_again};
use cache_kit_tests::servers::RedisServer;
use cache_kit_tests::{Gated, Row};

use super::{call, scene, service_by_default as service};

#[tokio::test]
async fn out_of_memory_deletes_still_work() {
    let database = Gated::open();
    database.set("k", 1);
    let server = RedisServer::start();
    let service = service(&server.url());
    call(&service, &database, "k", Refresh).await.unwrap();
    assert!(server.command(&["CONFIG", "SET", "maxmemory", "1"]).is_ok());
    assert!(
        call(&service, &database, "k", Refresh)
            .await
            .unwrap()
            .0
            .is_hit()
    );
    database.set("k", 2);
    let (outcome, seen) = call(&service, &database, "k", Invalidate).await.unwrap();
    assert_eq!(seen, Some(2));
    assert!(!outcome.degraded().invalidation_pending && outcome.degraded().store);
    assert_eq!(server.command(&["EXISTS", "row:k"]).integer(), Some(0));
    let (outcome, seen) = call(&service, &database, "k", Refresh).await.unwrap();
    assert_eq!((outcome.source(), seen), (Source::Repository, Some(2)));
    assert!(
        service.backend().health().available,
        "it answers, and says no"
    );
    assert!(server.command(&["CONFIG", "SET", "maxmemory", "0"]).is_ok());
    call(&service, &database, "k", Refresh).await.unwrap();
    assert!(
        call(&service, &database, "k", Refresh)
            .await
            .unwrap()
            .0
            .is_hit()
    );
}

#[tokio::test]
async fn a_wrong_password_is_said_and_never_repeated() {
    let database = Gated::open();
    database.set("k", 1);
    let server = RedisServer::options().password("right-horse").start();
    let url = format!("redis://:wrong-battery@127.0.0.1:{}", server.port());
    let service = service(&url);
    answers_from_the_repository(&service, &database).await;
    let error = call(&service, &database, "k", Fresh).await.unwrap_err();
    let said = format!(
        "{error} {error:?} {:?} {service:?}",
        service.backend().health()
    );
    assert!(
        !said.contains("wrong-battery") && !said.contains("right-horse"),
        "{said}"
    );
    let right = super::service(&server.url());
    call(&right, &database, "k", Refresh).await.unwrap();
    assert!(
        call(&right, &database, "k", Refresh)
            .await
            .unwrap()
            .0
            .is_hit()
    );
}

#[tokio::test]
async fn a_master_that_becomes_a_replica_under_the_client_and_a_master_again() {
    let (server, database) = scene();
    let master = RedisServer::start();
    let service = service(&server.url());
    call(&service, &database, "k", Refresh).await.unwrap();
    server.become_replica_of(&master);
    database.set("k", 2);
    let done = service.invalidate::<Row>(&"k".to_owned()).await.unwrap();
    assert_eq!(done, Invalidated::Pending);
    let (_, seen) = call(&service, &database, "k", Refresh).await.unwrap();
    assert_eq!(
        seen,
        Some(2),
        "while it is pending, nothing is served for the key"
    );
    server.become_master();
    serves_again::<RedisServer>(&service, &database, "k", 2).await;
    assert_eq!(service.backend().health().pending_invalidations, 0);
}
