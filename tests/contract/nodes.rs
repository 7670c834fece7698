//! The guard of a store of several nodes: each has its own breaker, and the queue is shared.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_kit::CacheStrategy::{Fresh, Refresh};
use cache_kit::backend::{
    ByteStore, Claim, Encoded, EncodedConfig, Invalidated, NodeInfo, NodeRole,
};
use cache_kit::{CacheService, Error, Result};
use cache_kit_tests::calls::{call, is_hit};
use cache_kit_tests::servers::eventually_async;
use cache_kit_tests::{Gated, Row};

use crate::byte_store::MapStore;

const LIMIT: Duration = Duration::from_secs(20);

/// Keys with an `a` belong to node 0, the others to node 1. Nodes go away, and keys cannot be deleted,
/// on demand.
#[derive(Clone, Default)]
struct Pair {
    inner: MapStore,
    away: Arc<Mutex<HashSet<usize>>>,
    stuck: Arc<Mutex<HashSet<String>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pair {
    fn is_there(&self, node: usize) -> Result<()> {
        match lock(&self.away).contains(&node) {
            true => Err(Error::BackendError("away".into())),
            false => Ok(()),
        }
    }

    fn reaches(&self, key: &str) -> Result<()> {
        self.is_there(self.node_of(key))
    }
}

impl ByteStore for Pair {
    type Token = Vec<u8>;

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>>> {
        let nodes: HashSet<usize> = keys.iter().map(|key| self.node_of(key)).collect();
        assert!(nodes.len() <= 1, "a command for one node: {keys:?}");
        let values = self.inner.get_many(keys).await;
        let answer = |(key, value): (&&str, _)| self.reaches(key).and(value);
        keys.iter().zip(values).map(answer).collect()
    }

    async fn claim(&self, key: &str, mark: &[u8], life: Duration) -> Result<Claim<Vec<u8>>> {
        self.reaches(key)?;
        self.inner.claim(key, mark, life).await
    }

    async fn compare_and_set(
        &self,
        key: &str,
        old: &Vec<u8>,
        new: &[u8],
        life: Option<Duration>,
    ) -> Result<bool> {
        self.reaches(key)?;
        self.inner.compare_and_set(key, old, new, life).await
    }

    async fn compare_and_delete(&self, key: &str, old: &Vec<u8>) -> Result<bool> {
        self.reaches(key)?;
        self.inner.compare_and_delete(key, old).await
    }

    async fn set(&self, key: &str, value: &[u8], life: Duration) -> Result<Option<Vec<u8>>> {
        self.reaches(key)?;
        self.inner.set(key, value, life).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<()>> {
        let mut answers = Vec::new();
        for key in keys {
            let stuck = lock(&self.stuck).contains(*key);
            answers.push(match self.reaches(key) {
                Ok(()) if stuck => Err(Error::BackendError("its new node is away".into())),
                Ok(()) => self.inner.delete_many(&[key]).await.remove(0),
                Err(error) => Err(error),
            });
        }
        answers
    }

    async fn ping(&self) -> Result<()> {
        self.is_there(0).and(self.is_there(1))
    }

    fn node_of(&self, key: &str) -> usize {
        usize::from(!key.contains(":a"))
    }

    async fn ping_node(&self, node: usize) -> Result<()> {
        self.is_there(node)
    }

    fn nodes(&self) -> Vec<NodeInfo> {
        let node = |number: usize| NodeInfo {
            number: Some(number),
            name: format!("node {number}"),
            role: NodeRole::Primary,
        };
        vec![node(0), node(1)]
    }
}

fn scene() -> (Pair, CacheService<Encoded<Pair>>, Gated) {
    let store = Pair::default();
    let config = EncodedConfig::new().with_pending_invalidations(100_000);
    let service = CacheService::new(Encoded::with_config(store.clone(), config));
    let database = Gated::open();
    for id in ["a1", "a2", "b1", "b2"] {
        database.set(id, 1);
    }
    (store, service, database)
}

async fn opens(service: &CacheService<Encoded<Pair>>, database: &Gated, id: &str) {
    for _ in 0..5 {
        let _ = call(service, database, id, Fresh).await;
    }
    assert!(!service.backend().health().available);
}

#[tokio::test]
async fn a_node_that_is_away_costs_its_own_keys_alone() {
    let (store, service, database) = scene();
    for id in ["a1", "b1"] {
        call(&service, &database, id, Refresh).await.unwrap();
    }
    lock(&store.away).insert(1);
    opens(&service, &database, "b1").await;
    assert!(is_hit(&service, &database, "a1").await);
    let (outcome, _) = call(&service, &database, "a2", Refresh).await.unwrap();
    assert!(!outcome.degraded().any(), "{outcome:?}");
    let ids = ["a1", "b1"].map(str::to_owned);
    let done = service.invalidate_many::<Row>(&ids).await.unwrap();
    assert_eq!(done, Invalidated::Pending);
    let health = service.backend().health();
    let nodes: Vec<_> = health
        .nodes
        .iter()
        .map(|node| (node.available, node.pending_invalidations))
        .collect();
    assert_eq!(nodes, [(true, 0), (false, 1)]);
    lock(&store.away).clear();
    let is_back = || {
        let health = service.backend().health();
        health.available && health.pending_invalidations == 0
    };
    eventually_async("it is back", LIMIT, is_back).await;
    assert!(
        !is_hit(&service, &database, "b1").await,
        "it was invalidated"
    );
}

/// Keys of node 0 whose deletion fails again and again, while everything else on it succeeds.
#[tokio::test]
async fn an_invalidation_that_fails_again_and_again_delays_no_other_node() {
    let (store, service, database) = scene();
    // More than are sent at a time.
    let stuck: Vec<String> = (0..1_200).map(|n| format!("a-stuck-{n}")).collect();
    lock(&store.stuck).extend(stuck.iter().map(|id| format!("row:{id}")));
    for some in stuck.chunks(200) {
        let done = service.invalidate_many::<Row>(some).await.unwrap();
        assert_eq!(done, Invalidated::Pending);
        call(&service, &database, "a1", Refresh).await.unwrap();
    }
    // Everything else on the node succeeds, so its breaker stays closed.
    let others = {
        let (service, database) = (service.clone(), database.clone());
        tokio::spawn(async move {
            loop {
                call(&service, &database, "a1", Refresh).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    lock(&store.away).insert(1);
    opens(&service, &database, "b1").await;
    let done = service.invalidate::<Row>(&"b1".to_owned()).await.unwrap();
    assert_eq!(done, Invalidated::Pending);
    lock(&store.away).clear();
    let of_node = |number: usize| service.backend().health().nodes.remove(number);
    eventually_async("node 1 is asked, and its keys are sent", LIMIT, || {
        let node = of_node(1);
        node.available && node.pending_invalidations == 0
    })
    .await;
    assert_eq!(of_node(0).pending_invalidations, stuck.len());
    // One that is not stuck is sent, too, behind as many.
    lock(&store.stuck).remove("row:a-stuck-700");
    eventually_async("it is not passed over for ever", LIMIT, || {
        of_node(0).pending_invalidations == stuck.len() - 1
    })
    .await;
    others.abort();
}
