//! Memory looks up by the key itself where it can. Whatever a key's `Display`, `Hash` and size are, it
//! answers with the entity of that key and no other, and every way of invalidation finds it.

use std::fmt::{self, Display};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use cache_kit::backend::Invalidated;
use cache_kit::entity::EntityKey;
use cache_kit::{
    CacheEntity, CacheExpander, CacheService, CacheStrategy, DataRepository, Result, SharedFeeder,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::engines;

/// The row of a key: its `Debug` text. That there is none is remembered if `ABSENCES`.
#[derive(Clone, Serialize, Deserialize)]
struct Item<K, const ABSENCES: bool = false> {
    id: K,
    name: String,
}

impl<K: Key, const ABSENCES: bool> CacheEntity for Item<K, ABSENCES> {
    type Key = K;

    fn cache_key(&self) -> K {
        self.id.clone()
    }

    fn cache_prefix() -> &'static str {
        "item"
    }

    fn cache_negative_ttl() -> Option<Duration> {
        ABSENCES.then_some(Duration::from_secs(3_600))
    }
}

trait Key: EntityKey + Serialize + DeserializeOwned + fmt::Debug {}

impl<K: EntityKey + Serialize + DeserializeOwned + fmt::Debug> Key for K {}

struct Rows;

impl<K: Key, const ABSENCES: bool> DataRepository<Item<K, ABSENCES>> for Rows {
    async fn fetch_by_id(&self, id: &K) -> Result<Option<Item<K, ABSENCES>>> {
        let name = format!("{id:?}");
        Ok((!name.contains("13")).then(|| Item {
            id: id.clone(),
            name,
        }))
    }
}

/// Asks for all of `keys`, drops one in every way, and asks again.
async fn each_its_own<K: Key>(keys: &[K]) {
    each_its_own_where::<K, false>(keys).await;
    each_its_own_where::<K, true>(keys).await;
}

async fn each_its_own_where<K: Key, const ABSENCES: bool>(keys: &[K]) {
    for engine in engines() {
        let expander = CacheExpander::new(engine.build());
        let cache = CacheService::from(expander.with_namespace("blue").unwrap());
        let ask = async |key: &K| {
            let mut feeder = SharedFeeder::<Item<K, ABSENCES>>::new(key.clone());
            let call = cache.execute(&mut feeder, &Rows, CacheStrategy::Refresh);
            let hit = call.await.unwrap().is_hit();
            let name = feeder.entity.map(|item| item.name.clone());
            let row = format!("{key:?}");
            assert_eq!(name, (!row.contains("13")).then_some(row));
            hit
        };
        for key in keys {
            assert!(!ask(key).await, "{key:?} was there before it was loaded");
        }
        for key in keys {
            let text = format!("blue:item:{key}");
            let kept = ABSENCES || !format!("{key:?}").contains("13");
            assert_eq!(ask(key).await, kept, "{key:?}");
            let done = cache.invalidate::<Item<K, ABSENCES>>(key).await.unwrap();
            assert_eq!(done, Invalidated::Done);
            assert!(!ask(key).await, "{key:?} after its invalidation");
            assert_eq!(ask(key).await, kept, "{key:?} stored again");
            cache.invalidate_text(&text).await.unwrap();
            assert!(!ask(key).await, "{key:?} after one of {text}");
        }
    }
}

/// A key of the user's own, with a `Display` and a `Hash` as they like.
macro_rules! keys {
    ($($name:ident($inner:ty), $shown:expr, $hashed:expr;)*) => {$(
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        struct $name($inner);

        impl Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let shown: fn($inner) -> _ = $shown;
                write!(f, "{}", shown(self.0))
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                let hashed: fn($inner) -> _ = $hashed;
                hashed(self.0).hash(state);
            }
        }
    )*};
}

keys! {
    Plain(u64), |id| id, |id| id;
    Lossy(u64), |id| id, |id| id % 3;
    Shuffled(u64), |id| 20 - id, |id| id;
    Signed(i64), |id| id, |id| id;
    Uuid(uuid::Uuid), |id| id, |id| id;
    Simple(uuid::Uuid), |id| id.simple(), |id| id;
    Turned(uuid::Uuid), |id| uuid::Uuid::from_u128(id.as_u128().reverse_bits()), |id| id;
}

#[tokio::test]
async fn every_key_finds_its_own_entity() {
    let small: Vec<u64> = (0..20).collect();
    each_its_own(&small).await;
    each_its_own(&small.iter().map(u64::to_string).collect::<Vec<_>>()).await;
    each_its_own(&small.iter().copied().map(Plain).collect::<Vec<_>>()).await;
    each_its_own(&small.iter().copied().map(Lossy).collect::<Vec<_>>()).await;
    each_its_own(&small.iter().copied().map(Shuffled).collect::<Vec<_>>()).await;
    each_its_own(&[-2, -1, 0, 1, i64::MIN, i64::MAX].map(Signed)).await;
    each_its_own(&[-2, -1, 0, 1, i64::MIN, i64::MAX]).await;
    each_its_own(&[0, 1, u128::from(u64::MAX) + 1, u128::MAX]).await;
    each_its_own(&['0', '1', '\u{1}', ':']).await;
    let uuids = [0, 1, 1 << 127, 0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8];
    each_its_own(&uuids.map(uuid::Uuid::from_u128)).await;
    each_its_own(&uuids.map(uuid::Uuid::from_u128).map(Uuid)).await;
    each_its_own(&uuids.map(uuid::Uuid::from_u128).map(Simple)).await;
    each_its_own(&uuids.map(uuid::Uuid::from_u128).map(Turned)).await;
    // A text stays one, whatever it looks like.
    each_its_own(&uuids.map(|uuid| uuid::Uuid::from_u128(uuid).to_string())).await;
}

#[tokio::test]
async fn listeners_of_memory_get_the_text_of_a_key() {
    use std::sync::{Arc, Mutex};

    for engine in engines() {
        let seen = Arc::new(Mutex::new((Vec::new(), Vec::new())));
        let (weighed, dropped) = (Arc::clone(&seen), Arc::clone(&seen));
        let backend = engine
            .max_weight(2, move |entry| {
                weighed.lock().unwrap().0.push(entry.key().to_owned());
                1
            })
            .on_eviction(move |entry| dropped.lock().unwrap().1.push(entry.key().to_owned()))
            .build();
        let expander = CacheExpander::new(backend.clone());
        let cache = CacheService::from(expander.with_namespace("blue").unwrap());
        for id in 0..12_u64 {
            let mut feeder = SharedFeeder::<Item<u64>>::new(id);
            let call = cache.execute(&mut feeder, &Rows, CacheStrategy::Refresh);
            call.await.unwrap();
        }
        let kept = backend.len();
        let (weighed, dropped) = seen.lock().unwrap().clone();
        let all: Vec<_> = (0..12).map(|id| format!("blue:item:{id}")).collect();
        assert_eq!(weighed, all);
        assert_eq!(dropped.len(), 12 - kept);
        assert!(!dropped.is_empty() && dropped.iter().all(|key| all.contains(key)));
    }
}
