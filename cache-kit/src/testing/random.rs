//! [`seed`]: makes random decisions repeatable.

/// Makes the random decisions of cache-kit on this thread the same in every run:
///
/// - by how much a time to live is shortened (`jitter`),
/// - whether a hit refreshes its entry ahead (`refresh_ahead`),
/// - how long a load waits before it is retried, and for how long nothing is sent to a remote store
///   that has failed,
/// - the ids of leases and placeholders.
///
/// Call it first in a test, and again for every thread: a test on one thread
/// (`#[tokio::test]` as it is by default) makes all of them there. Two threads or processes that share
/// a store must not have the same seed, since their leases would have the same ids.
///
/// It seeds the thread's generator of the [`fastrand`](https://docs.rs/fastrand) crate, which other code
/// on the thread may use, too. The order in which a `HashMap` is walked is not affected.
///
/// ```
/// use cache_kit::testing;
///
/// testing::seed(7);
/// ```
pub fn seed(seed: u64) {
    fastrand::seed(seed);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::backend::InMemoryBackend;
    use crate::repository::from_fn;
    use crate::testing::user::User;
    use crate::{CacheService, Error, OperationConfig};

    /// How long the pauses between the tries of one load were.
    async fn pauses() -> Duration {
        let failing =
            from_fn(|_: &u64| std::future::ready(Err(Error::RepositoryError("away".into()))));
        let service = CacheService::new(InMemoryBackend::new());
        let rows = service.repository_of::<User, _>(failing);
        let began = tokio::time::Instant::now();
        let tries = OperationConfig::default().with_retry(8);
        assert!(rows.get(&1).config(tries).await.is_err());
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn with_the_same_seed_the_same_is_decided() {
        let mut seen = Vec::new();
        for round in [7, 7, 8, 7] {
            seed(round);
            seen.push(pauses().await);
        }
        assert_eq!([seen[0], seen[0]], [seen[1], seen[3]]);
        assert_ne!(seen[0], seen[2], "they are random");
    }
}
