//! What `grpc.health.v1.Health` answers.

use std::time::Duration;

use cache_kit::CacheService;
use cache_kit::backend::AnyBackend;
use tokio::time::timeout;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::repository::Items;

/// Asks the database and the cache every 5 seconds.
///
/// The empty name is for liveness: it is served as long as the process is. `inventory.v1.Inventory` is
/// for readiness, and needs the database. It does not need the cache, without which calls only take
/// longer, and which would be away for all instances at once. `cache` says how that is.
pub async fn watch(reporter: HealthReporter, database: Items, cache: CacheService<AnyBackend>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    loop {
        ticks.tick().await;
        // A database may also not answer at all.
        let rows = timeout(Duration::from_secs(5), database.ping());
        let (rows, entries) = tokio::join!(rows, cache.ping());
        let ready = status(matches!(rows, Ok(Ok(_))));
        reporter
            .set_service_status("inventory.v1.Inventory", ready)
            .await;
        reporter
            .set_service_status("cache", status(entries.is_ok()))
            .await;
    }
}

fn status(answers: bool) -> ServingStatus {
    if answers {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    }
}
