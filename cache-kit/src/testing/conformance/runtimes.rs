//! One client in a `static`, and a runtime for every test.

use tokio::runtime::{Builder, Runtime};

use crate::backend::{CacheBackend, Take};

use super::client::{Client, stored};
use super::harness::Harness;

/// A client outlives the runtime that first used it, and may be used from two at once: commands go
/// through without an error, even if a runtime went away in the middle of one.
///
/// Builds its runtimes itself, so it must not be called inside one.
pub fn several_runtimes_use_one_client<B: CacheBackend>(harness: &Harness<B>) {
    let client = harness.client();
    let key = harness.key("runtimes");
    let lease = {
        let first = runtime();
        first.block_on(async {
            client.put(&key, 1).await;
            client.expect(&key, Some(1), "in the first runtime").await;
            client
                .granted(&harness.key("kept"), Take::IfMissing)
                .await
                .0
        })
    };
    let second = runtime();
    second.block_on(use_it(&client, &key, 1));
    // A lease from a runtime that is gone may be worthless, which is accepted.
    drop(lease);

    let third = runtime();
    third.block_on(use_it(&client, &key, 11));
    second.block_on(use_it(&client, &key, 21));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let key = harness.key("at-once");
            third.block_on(use_it(&client, &key, 0));
        });
        second.block_on(use_it(&client, &key, 31));
    });
    drop(third);
    second.block_on(use_it(&client, &key, 41));

    let interrupted = runtime();
    interrupted.block_on(async {
        for _ in 0..8 {
            let key = harness.key("interrupted");
            super::cancelled::polled(
                client.backend.get::<super::Specimen>(&key, harness.now()),
                1,
            )
            .await;
            super::cancelled::polled(client.backend.invalidate::<super::Specimen>(&key), 1).await;
        }
    });
    drop(interrupted);
    runtime().block_on(use_it(&client, &key, 51));
    second.block_on(use_it(&client, &key, 61));
}

/// Uses a key that holds `version`, or nothing if that is 0, and leaves it at `version + 10`.
async fn use_it<B: CacheBackend>(client: &Client<'_, B>, key: &str, version: u64) {
    let found = (version > 0).then_some(version);
    client.expect(key, found, "in another runtime").await;
    client.invalidate(key).await;
    client
        .expect(key, None, "invalidated in another runtime")
        .await;
    let (lease, _) = client.granted(key, Take::IfMissing).await;
    stored(client.fill(key, lease, version + 10).await, key);
    client
        .expect(key, Some(version + 10), "stored in another runtime")
        .await;
}

fn runtime() -> Runtime {
    match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime for the test: {error}"),
    }
}
