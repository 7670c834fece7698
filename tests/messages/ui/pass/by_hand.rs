//! The trait, written by hand, asks for nothing new.
use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Product {
    id: u32,
}

impl CacheEntity for Product {
    type Key = u32;

    fn cache_key(&self) -> Self::Key {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "product"
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Keyed<T>(T);

impl<T> CacheEntity for Keyed<T>
where
    T: Clone + Serialize + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    type Key = u8;

    fn cache_key(&self) -> u8 {
        1
    }

    fn cache_prefix() -> &'static str {
        "keyed"
    }
}

fn copy<T: CacheEntity>(entity: &T) -> (T, T::Key) {
    fn stored<T: Clone + Serialize + serde::de::DeserializeOwned>(entity: &T) -> T {
        entity.clone()
    }
    (stored(entity), entity.cache_key())
}

fn main() {
    let (product, key) = copy(&Product { id: 7 });
    assert_eq!((product.id, key), (7, 7));
    assert_eq!(copy(&Keyed("x".to_owned())).0.0, "x");
}
