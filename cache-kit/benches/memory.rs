//! How many bytes an entry takes in memory beside its entity, compared with the bare maps.
//!
//! `cargo bench -p cache-kit --bench memory --features moka`. The entity is an `Arc` of 16 bytes that
//! all entries share, so that only what the maps add is counted.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot run says why"
)]

use std::sync::Arc;

use cache_kit::backend::{CacheBackend, Engine, InMemoryBackend, LeaseRequest, Leased};
use cache_kit::backend::{LeaseId, Take};
use cache_kit::clock::Timestamp;
use cache_kit::entity::EntityKey;
use cache_kit::entry::Entry;
use cache_kit::{CacheEntity, CacheKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// As many as the maps have room for.
const ENTRIES: u64 = 100_000;

#[derive(Clone, Serialize, Deserialize)]
struct Item<K> {
    id: K,
}

impl<K: EntityKey + Serialize + DeserializeOwned> CacheEntity for Item<K> {
    type Key = K;

    fn cache_key(&self) -> K {
        self.id.clone()
    }

    fn cache_prefix() -> &'static str {
        "item"
    }
}

fn uuid(id: u64) -> String {
    format!("{id:08x}-7bd4-4c3a-9f21-{id:012x}")
}

/// Bytes for each entry of what `fill` returns.
fn bytes<M>(fill: impl FnOnce() -> M) -> u64 {
    let mut map = None;
    let counted = allocation_counter::measure(|| map = Some(fill()));
    drop(map);
    counted.bytes_current as u64 / ENTRIES
}

fn ours<K>(engine: Engine, key: impl Fn(u64) -> K) -> u64
where
    K: EntityKey + Serialize + DeserializeOwned,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let entity = Arc::new(Item { id: key(0) });
    bytes(|| {
        let backend = InMemoryBackend::builder()
            .engine(engine)
            .max_entries(ENTRIES)
            .build();
        for id in 0..ENTRIES {
            let (now, id_of_lease, take) = (Timestamp::from_millis(1), LeaseId(id), Take::Over);
            let request = LeaseRequest {
                id: id_of_lease,
                take,
                now,
            };
            let entry = Entry {
                value: Some(Arc::clone(&entity)),
                created: now,
                stale_from: Timestamp::NEVER,
                expires: Timestamp::NEVER,
                load_millis: 0,
                pinned: false,
            };
            let id = key(id);
            let text = CacheKey::<Item<K>>::new(&id).text().unwrap();
            runtime.block_on(async {
                let leased = backend.lease::<Item<K>>(&text, request).await.unwrap();
                if let Leased::Granted { lease, .. } = leased {
                    backend.store(&text, lease, entry, now).await.unwrap();
                }
            });
        }
        backend.len();
        backend
    })
}

fn bare_quick(key: impl Fn(u64) -> String) -> u64 {
    let entity = Arc::new(0_u64);
    bytes(|| {
        let map = quick_cache::sync::Cache::<String, Arc<u64>>::new(ENTRIES as usize);
        for id in 0..ENTRIES {
            map.insert(format!("item:{}", key(id)), Arc::clone(&entity));
        }
        map
    })
}

fn bare_moka(key: impl Fn(u64) -> String) -> u64 {
    let entity = Arc::new(0_u64);
    bytes(|| {
        let map = moka::sync::Cache::<String, Arc<u64>>::new(ENTRIES);
        for id in 0..ENTRIES {
            map.insert(format!("item:{}", key(id)), Arc::clone(&entity));
        }
        map.run_pending_tasks();
        map
    })
}

fn main() {
    println!(
        "{:<28} {:>12} {:>12}",
        "bytes of an entry", "u64 keys", "uuid texts"
    );
    let row = |name, integers, texts| println!("{name:<28} {integers:>12} {texts:>12}");
    let number = |id: u64| id;
    row(
        "quick_cache, bare",
        bare_quick(|id| id.to_string()),
        bare_quick(uuid),
    );
    let quick = Engine::QuickCache;
    row(
        "cache-kit on quick_cache",
        ours(quick, number),
        ours(quick, uuid),
    );
    row(
        "moka, bare",
        bare_moka(|id| id.to_string()),
        bare_moka(uuid),
    );
    row(
        "cache-kit on moka",
        ours(Engine::Moka, number),
        ours(Engine::Moka, uuid),
    );
}
