//! cache-kit 0.9.1 and this release, side by side. `before` is 0.9.

mod after;
mod before;

use std::sync::{Arc, Mutex};

use cache_kit::backend::{AnyBackend, InMemoryBackend};
use cache_kit::testing::RecordingMetrics;
use cache_kit::{CacheExpander, CacheService, CacheStrategy, OperationConfig};
use cache_kit_0_9 as old;
use cache_kit_tests::servers::RedisServer;
use old::backend::{CacheBackend as _, RedisBackend as OldRedis};

/// What was called, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    /// What has been added, once.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

async fn old_redis(url: &str) -> old::CacheService<OldRedis> {
    old::CacheService::new(OldRedis::from_connection_string(url).await.unwrap())
}

fn new_redis(url: &str, namespace: Option<&str>) -> CacheService<AnyBackend> {
    let mut expander = CacheExpander::new(AnyBackend::from_url(url).unwrap());
    if let Some(namespace) = namespace {
        expander = expander.with_namespace(namespace).unwrap();
    }
    expander.into()
}

#[tokio::test]
async fn a_node_of_0_9_fails_at_an_entry_of_this_release_unless_there_is_a_namespace() {
    let server = RedisServer::start();
    let old_nodes = old_redis(&server.url()).await;

    after::read(&new_redis(&server.url(), None), 1)
        .await
        .unwrap();
    for _ in 0..3 {
        let failed = before::read(&old_nodes, 1).await;
        assert!(matches!(
            failed.unwrap_err(),
            old::Error::DeserializationError(_) | old::Error::InvalidCacheEntry(_)
        ));
    }

    let apart = new_redis(&server.url(), Some("v10"));
    after::read(&apart, 2).await.unwrap();
    assert_eq!(before::read(&old_nodes, 2).await.unwrap().name, "Ann");

    // Each invalidates for the other by the text of the key.
    old_nodes
        .expander()
        .backend()
        .delete("v10:user:2")
        .await
        .unwrap();
    assert!(!after::read(&apart, 2).await.unwrap().is_hit());
    let old_keys = new_redis(&server.url(), None);
    old_keys.invalidate_text("user:2").await.unwrap();
    assert_eq!(server.command(&["EXISTS", "user:2"]).integer(), Some(0));
}

#[tokio::test]
async fn an_entry_of_0_9_is_a_miss_to_this_release_and_is_overwritten() {
    let server = RedisServer::start();
    before::read(&old_redis(&server.url()).await, 1)
        .await
        .unwrap();
    let cache = new_redis(&server.url(), None);
    assert!(!after::read(&cache, 1).await.unwrap().is_hit());
    assert!(after::read(&cache, 1).await.unwrap().is_hit());
}

#[tokio::test]
async fn an_entry_of_0_9_on_redis_never_expires_and_one_of_this_release_does_after_an_hour() {
    let server = RedisServer::start();
    let ttl = || server.command(&["TTL", "user:1"]).integer().unwrap();
    before::read(&old_redis(&server.url()).await, 1)
        .await
        .unwrap();
    assert_eq!(ttl(), -1);
    server.flush();
    after::read(&new_redis(&server.url(), None), 1)
        .await
        .unwrap();
    assert!((3_500..=3_600).contains(&ttl()), "{}", ttl());
}

#[tokio::test]
async fn a_store_that_is_away_fails_a_read_of_0_9_and_not_one_of_this_release() {
    let server = RedisServer::start();
    let (old_nodes, cache) = (
        old_redis(&server.url()).await,
        new_redis(&server.url(), None),
    );
    server.kill();
    let failed = before::read(&old_nodes, 1).await.unwrap_err();
    assert!(matches!(failed, old::Error::BackendError(_)));
    let outcome = after::read(&cache, 1).await.unwrap();
    assert!(outcome.degraded().any());
}

#[tokio::test]
async fn hooks() {
    let (log, cache) = (Log::default(), before::memory());
    before::read_logged(&cache, 1, &log).await.unwrap();
    assert_eq!(log.take(), ["validate", "on_hit", "on_loaded", "feed"]);
    before::read_logged(&cache, 1, &log).await.unwrap();
    assert_eq!(log.take(), ["validate", "on_hit", "on_loaded", "feed"]);
    before::read_logged(&cache, 404, &log).await.unwrap();
    assert_eq!(log.take(), ["validate", "on_miss", "feed"]);

    let cache = CacheService::new(InMemoryBackend::new());
    after::read_logged(&cache, 1, &log).await.unwrap();
    assert_eq!(log.take(), ["validate", "on_miss", "on_loaded", "feed"]);
    after::read_logged(&cache, 1, &log).await.unwrap();
    assert_eq!(log.take(), ["validate", "on_hit", "feed"]);
    after::read_logged(&cache, 404, &log).await.unwrap();
    assert_eq!(log.take(), ["validate", "on_miss", "feed"]);
}

#[tokio::test]
async fn metrics() {
    let log = Log::default();
    let listener = Box::new(before::Listener(log.clone()));
    let cache = old::CacheService::with_metrics(old::backend::InMemoryBackend::new(), listener);
    before::read(&cache, 1).await.unwrap();
    assert_eq!(log.take(), ["hit user:1"], "a load");
    before::read(&cache, 1).await.unwrap();
    assert_eq!(log.take(), ["hit user:1"], "a hit");
    before::invalidate(&cache, 1).await.unwrap();
    assert_eq!(log.take(), ["hit user:1"], "an invalidation");

    let heard = RecordingMetrics::new();
    let expander = CacheExpander::new(InMemoryBackend::new()).with_metrics(heard.boxed());
    let cache = CacheService::from(expander);
    let counts = || {
        (
            heard.hits(),
            heard.misses(),
            heard.stores(),
            heard.invalidations(),
        )
    };
    after::read(&cache, 1).await.unwrap();
    assert_eq!(counts(), (0, 1, 1, 0), "a load");
    after::read(&cache, 1).await.unwrap();
    assert_eq!(counts(), (1, 1, 1, 0), "a hit");
    cache.invalidate::<after::User>(&1).await.unwrap();
    assert_eq!(counts(), (1, 1, 1, 1), "an invalidation");
}

#[tokio::test]
async fn an_entity_that_is_not_valid() {
    let (log, cache) = (Log::default(), before::memory());
    for _ in 0..2 {
        let failed = before::read_logged(&cache, before::INVALID, &log).await;
        assert!(matches!(failed, Err(old::Error::ValidationError(_))));
    }
    assert_eq!(cache.expander().backend().len().await, 1, "stored");

    let cache = CacheService::new(InMemoryBackend::new());
    let failed = after::read(&cache, before::INVALID).await.unwrap_err();
    assert_eq!(failed.kind(), cache_kit::ErrorKind::Validation);
    assert!(cache.backend().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_retried() {
    let log = Log::default();
    let config = old::OperationConfig::default().with_retry(2);
    let mut refused = before::Feeder::new(1, &log).refusing();
    let cache = before::memory();
    let (users, refresh) = (before::Users, old::CacheStrategy::Refresh);
    let failed = cache.execute_with_config(&mut refused, &users, refresh, config);
    assert!(failed.await.is_err());
    assert_eq!(log.take(), ["validate"; 3]);

    let config = OperationConfig::default().with_retry(2);
    let mut refused = after::Feeder::new(1, &log).refusing();
    let cache = CacheService::new(InMemoryBackend::new());
    let (users, refresh) = (after::Users, CacheStrategy::Refresh);
    let failed = cache.execute_with_config(&mut refused, &users, refresh, config);
    assert!(failed.await.is_err());
    assert_eq!(log.take(), ["validate"]);
}

#[tokio::test]
async fn texts_of_errors() {
    let failed = before::read(&before::memory(), before::BROKEN).await;
    assert_eq!(failed.unwrap_err().to_string(), "Repository error: refused");
    let cache = CacheService::new(InMemoryBackend::new());
    let failed = after::read(&cache, before::BROKEN).await.unwrap_err();
    let text = "repository failed: load user:501: refused";
    assert_eq!(failed.to_string(), text);
    assert_eq!(old::CacheStrategy::Fresh.to_string(), "Fresh");
    assert_eq!(CacheStrategy::Fresh.to_string(), "fresh");
}

#[tokio::test]
async fn two_misses_at_once_are_two_loads_of_0_9() {
    let users = before::Gated::default();
    let cache = before::memory();
    let read = || before::read_from(&cache, 1, &users);
    let (first, second, ()) = tokio::join!(read(), read(), users.open_after(2));
    first.unwrap();
    second.unwrap();
}

#[tokio::test]
async fn a_slow_load_of_0_9_puts_back_what_was_invalidated() {
    let users = before::Gated::default();
    let cache = before::memory();
    let update = async {
        users.asked(1).await;
        users.rename("Beth");
        before::invalidate_from(&cache, 1, &users.without_gate())
            .await
            .unwrap();
        users.open();
    };
    let (slow, ()) = tokio::join!(before::read_from(&cache, 1, &users), update);
    slow.unwrap();
    let after_the_update = before::read_from(&cache, 1, &users).await.unwrap();
    assert_eq!(after_the_update.name, "Ann");
}
