//! Memory keeps entities as they are: nothing of what a remote store refuses or loses matters there.

use std::sync::{Arc, Weak};

use cache_kit::backend::InMemoryBackend;
use cache_kit::{CacheEntity, CacheService, InMemoryRepository, Source};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::kinds::*;

/// One field of each kind that a remote store refuses or loses.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Everything {
    id: u64,
    price: Decimal,
    payload: Option<Value>,
    infinite: f64,
    state: (Internal, Adjacent, Guessed, WithOther),
    flat: (Flat, FlatStruct),
    skipping: (SkippingIf, Skipping, SkippingSerializing),
    lower: Lower,
    parent: Weak<u8>,
}

impl CacheEntity for Everything {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "everything"
    }
}

fn sample() -> Everything {
    let text = || "A".to_owned();
    Everything {
        id: 7,
        price: Decimal::ONE,
        payload: Some(Value::Null),
        infinite: f64::INFINITY,
        state: (
            Internal::Open,
            Adjacent::Open,
            Guessed::Number(1),
            WithOther::Other(text()),
        ),
        flat: (
            Flat {
                id: 1,
                rest: [(text(), json!(1))].into(),
            },
            FlatStruct {
                id: 1,
                page: Pager {
                    limit: 2,
                    offset: 3,
                },
            },
        ),
        skipping: (
            SkippingIf { note: None },
            Skipping {
                email: text(),
                secret: text(),
            },
            SkippingSerializing {
                email: text(),
                secret: text(),
            },
        ),
        lower: Lower(text()),
        parent: Weak::new(),
    }
}

#[tokio::test]
async fn memory_keeps_every_type_as_it_is() {
    let parent = Arc::new(1);
    let rows = InMemoryRepository::new();
    rows.insert(
        7,
        Everything {
            parent: Arc::downgrade(&parent),
            ..sample()
        },
    );
    let service = CacheService::new(InMemoryBackend::new());
    let everything = service.repository(rows);
    let (first, loaded) = everything.get(&7).with_outcome().await.unwrap();
    let (second, hit) = everything.get(&7).with_outcome().await.unwrap();
    assert_eq!(
        [loaded.source(), hit.source()],
        [Source::Repository, Source::Cache]
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(second.skipping.1.secret, "A");
    assert!(second.parent.upgrade().is_some());
}
