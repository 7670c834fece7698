//! Services over a server, and the calls that most tests make.

#![allow(
    clippy::unwrap_used,
    reason = "test support: what must not fail ends the test"
)]

use std::time::Instant;

use cache_kit::CacheStrategy::{self, Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::CacheBackend;
use cache_kit::{CacheExpander, CacheService, ErrorKind, Outcome, Result, SharedFeeder, Source};
use tokio::task::JoinHandle;

use crate::servers::Server;
use crate::{Gated, Row};

pub use crate::servers::PATIENCE;

/// The outcome of a call, and the version of the row that it returned.
pub type Answer = Result<(Outcome, Option<u64>)>;

/// A separate service, as in another process: it shares only the server. It is patient, so that a
/// busy machine does not look like a broken server.
///
/// # Panics
///
/// When the URL is wrong.
pub fn service<S: Server>(url: &str) -> CacheService<S::Backend> {
    let backend = S::patient_backend(url, |encoded| encoded);
    CacheExpander::new(backend.unwrap())
        .with_lease_wait(PATIENCE)
        .into()
}

/// A service with the defaults, for tests that depend on them.
///
/// # Panics
///
/// When the URL is wrong.
pub fn service_by_default<S: Server>(url: &str) -> CacheService<S::Backend> {
    CacheService::new(S::backend(url, |encoded| encoded).unwrap())
}

/// A server, and an open database with row `k` in version 1.
pub fn scene<S: Server>() -> (S, Gated) {
    let database = Gated::open();
    database.set("k", 1);
    (S::start(), database)
}

/// Asks for the row `id`.
///
/// # Errors
///
/// Those of the call.
pub async fn call<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    id: &str,
    strategy: CacheStrategy,
) -> Answer {
    let mut feeder = SharedFeeder::<Row>::new(id.to_owned());
    let outcome = service.execute(&mut feeder, database, strategy).await?;
    Ok((outcome, feeder.entity.map(|row| row.version)))
}

/// [`call`] in a task of its own.
pub fn spawn<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    id: &str,
    strategy: CacheStrategy,
) -> JoinHandle<Answer> {
    let (service, database, id) = (service.clone(), database.clone(), id.to_owned());
    tokio::spawn(async move { call(&service, &database, &id, strategy).await })
}

/// Whether the cache answers the next look-up.
///
/// # Panics
///
/// When the call fails.
pub async fn is_hit<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    id: &str,
) -> bool {
    let fresh = call(service, database, id, Fresh).await;
    fresh.unwrap().0.is_hit()
}

/// Makes a call of each strategy while the cache does not help, and only costs time. Afterwards an
/// invalidation of row `k` is in the queue.
///
/// # Panics
///
/// When a call is not answered from the repository.
pub async fn answers_from_the_repository<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
) {
    for strategy in [Refresh, Bypass] {
        let (outcome, seen) = call(service, database, "k", strategy).await.unwrap();
        assert_eq!(outcome.source(), Source::Repository, "{strategy}");
        assert!(
            seen.is_some() && outcome.degraded().any(),
            "{strategy}: {outcome:?}"
        );
    }
    let (outcome, seen) = call(service, database, "k", Invalidate).await.unwrap();
    assert!(
        seen.is_some() && outcome.degraded().invalidation_pending,
        "{outcome:?}"
    );
    let error = call(service, database, "k", Fresh).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Backend | ErrorKind::Timeout),
        "{error}"
    );
}

/// Waits until the cache serves row `id` again, in `version` and nothing older.
///
/// # Panics
///
/// When it serves something older, or nothing for a long time.
pub async fn serves_again<S: Server>(
    service: &CacheService<S::Backend>,
    database: &Gated,
    id: &str,
    version: u64,
) {
    let back = Instant::now();
    loop {
        // Never an error: the repository is up.
        let (outcome, seen) = call(service, database, id, Refresh).await.unwrap();
        assert_eq!(seen, Some(version), "an invalidated value came back");
        if outcome.is_hit() {
            break;
        }
        // A few hundred milliseconds on an idle machine.
        assert!(back.elapsed() < PATIENCE, "{:?}", S::health(service));
        tokio::task::yield_now().await;
    }
}
