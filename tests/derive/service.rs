//! Derived entities and feeders in a service that caches.

use std::sync::Arc;

use cache_kit::backend::InMemoryBackend;
use cache_kit::{
    CacheEntity, CacheFeed, CacheFeeder, CacheService, CacheStrategy, InMemoryRepository,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "order_item", key("order_id", "item_id"), ttl = "1h")]
struct OrderItem {
    order_id: String,
    item_id: u32,
    amount: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CacheEntity)]
#[cache(key = "{year}/{number}")]
struct Invoice {
    year: u16,
    number: u32,
}

#[derive(CacheFeeder)]
#[feeder(entity = OrderItem, key = "item")]
struct GetItem {
    item: OrderItemKey,
}

#[derive(CacheFeeder)]
#[feeder(entity = Invoice)]
struct InvoiceFeeder<'a> {
    #[feeder(key)]
    id: &'a str,
    #[feeder(entity)]
    invoice: Option<Invoice>,
}

fn stored<T: CacheEntity>(entities: impl IntoIterator<Item = T>) -> InMemoryRepository<T> {
    let repository = InMemoryRepository::new();
    for entity in entities {
        repository.insert(entity.cache_key(), entity);
    }
    repository
}

fn item(order_id: &str, item_id: u32) -> OrderItem {
    OrderItem {
        order_id: order_id.into(),
        item_id,
        amount: 1,
    }
}

#[tokio::test]
async fn a_companion_is_answered_from_the_repository_and_then_from_the_cache() {
    let cache = CacheService::new(InMemoryBackend::new());
    let repository = stored([item("a:1", 2), item("a", 12)]);
    let key = item("a:1", 2).cache_key();

    let mut answers = Vec::new();
    for expected_hit in [false, true, true] {
        let mut feeder = GetItem { item: key.clone() }.into_feeder();
        let outcome = cache
            .execute(&mut feeder, &repository, CacheStrategy::Refresh)
            .await
            .unwrap();
        assert_eq!(outcome.is_hit(), expected_hit);
        assert_eq!(feeder.request.item, key);
        answers.push(feeder.into_entity().unwrap());
        repository.clear();
    }
    assert_eq!(*answers[0], item("a:1", 2));
    assert!(
        Arc::ptr_eq(&answers[1], &answers[2]),
        "a hit copies nothing"
    );
}

#[tokio::test]
async fn a_feeder_in_place_that_borrows_its_key_is_answered() {
    let cache = CacheService::new(InMemoryBackend::new());
    let invoice = Invoice {
        year: 2024,
        number: 7,
    };
    let repository = stored([invoice.clone()]);
    for expected_hit in [false, true] {
        let mut feeder = InvoiceFeeder {
            id: "2024/7",
            invoice: None,
        };
        let outcome = cache
            .execute(&mut feeder, &repository, CacheStrategy::Refresh)
            .await
            .unwrap();
        assert_eq!(outcome.is_hit(), expected_hit);
        assert_eq!(feeder.invoice.as_ref(), Some(&invoice));
        repository.clear();
    }
}

#[tokio::test]
async fn an_absent_entity_is_fed_as_none() {
    let cache = CacheService::new(InMemoryBackend::new());
    let mut feeder = GetItem {
        item: OrderItemKey::new("a".into(), 1),
    }
    .into_feeder();
    feeder.feed(Some(item("left over", 0)));
    cache
        .execute(
            &mut feeder,
            &stored::<OrderItem>([]),
            CacheStrategy::Refresh,
        )
        .await
        .unwrap();
    assert_eq!(feeder.into_entity(), None);
}
