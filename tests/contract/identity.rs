//! A row is stored under the key that it was asked for, or not at all; a key is written whole, or
//! not at all.

use std::fmt;
use std::sync::Arc;

use cache_kit::CacheStrategy::{self, Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::{CacheBackend, Encoded, InMemoryBackend};
use cache_kit::repository::in_order;
use cache_kit::testing::FaultyBackend;
use cache_kit::{
    CacheEntity, CacheExpander, CacheService, DataRepository, Error, ErrorKind, Outcome, Result,
    SharedFeeder, Source,
};
use cache_kit_tests::{Row, row};
use serde::{Deserialize, Serialize};

use super::byte_store::MapStore;

/// A table that returns its rows in its own order, as `WHERE id IN (…)` does.
struct Unordered;

impl DataRepository<Row> for Unordered {
    async fn fetch_by_id(&self, _id: &String) -> Result<Option<Row>> {
        Ok(Some(row("c", 1)))
    }

    async fn fetch_by_ids(&self, ids: &[String]) -> Result<Vec<Option<Row>>> {
        let mut ids = ids.to_vec();
        ids.sort();
        Ok(ids.iter().map(|id| Some(row(id, 1))).collect())
    }
}

/// The same table, put into order.
struct Ordered;

impl DataRepository<Row> for Ordered {
    async fn fetch_by_id(&self, id: &String) -> Result<Option<Row>> {
        Ok(Some(row(id, 1)))
    }

    async fn fetch_by_ids(&self, ids: &[String]) -> Result<Vec<Option<Row>>> {
        let rows = Unordered.fetch_by_ids(ids).await?.into_iter().flatten();
        Ok(in_order(ids, rows.filter(|row| row.id != "gone")))
    }
}

async fn in_cache(service: &CacheService<InMemoryBackend>, id: &str) -> bool {
    let mut feeder = SharedFeeder::<Row>::new(id.to_owned());
    let outcome = service
        .execute(&mut feeder, &Unordered, Fresh)
        .await
        .unwrap();
    outcome.source() == Source::Cache
}

async fn batch<R: DataRepository<Row>>(
    service: &CacheService<InMemoryBackend>,
    rows: &R,
    ids: &[&str],
    strategy: CacheStrategy,
) -> Result<Vec<Option<Arc<Row>>>> {
    let mut feeders: Vec<_> = ids
        .iter()
        .map(|id| SharedFeeder::<Row>::new((*id).to_owned()))
        .collect();
    service
        .execute_many(&mut feeders[..], rows, strategy)
        .await?;
    Ok(feeders.into_iter().map(|feeder| feeder.entity).collect())
}

#[tokio::test]
async fn another_row_is_an_error_that_names_the_repository_and_both_keys() {
    for strategy in [Refresh, Invalidate, Bypass] {
        let service = CacheService::new(InMemoryBackend::new());
        let mut feeder = SharedFeeder::<Row>::new("a".to_owned());
        let error = service
            .execute(&mut feeder, &Unordered, strategy)
            .await
            .unwrap_err();
        assert!(feeder.entity.is_none());
        assert_eq!(error.kind(), ErrorKind::Repository);
        let text = error.to_string();
        for part in ["load row:a", "identity::Unordered", "`a`", "`c`"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!in_cache(&service, "a").await && !in_cache(&service, "c").await);
    }
}

#[tokio::test]
async fn rows_in_another_order_are_an_error_and_are_not_stored() {
    let service = CacheService::new(InMemoryBackend::new());
    let error = batch(&service, &Unordered, &["c", "a", "b"], Refresh)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("identity::Unordered"), "{error}");
    for id in ["a", "b", "c"] {
        assert!(!in_cache(&service, id).await, "{id}");
    }
    // Rows at the right position are kept: they are what was asked for.
    let error = batch(&service, &Unordered, &["d", "f", "e"], Refresh).await;
    error.unwrap_err();
    assert!(in_cache(&service, "d").await && !in_cache(&service, "e").await);
}

#[tokio::test]
async fn rows_that_are_put_into_order_find_their_keys() {
    let service = CacheService::new(InMemoryBackend::new());
    let ids = ["c", "gone", "a", "b"];
    for _ in 0..2 {
        let rows = batch(&service, &Ordered, &ids, Refresh).await.unwrap();
        let found: Vec<_> = rows
            .iter()
            .map(|row| row.as_ref().map(|row| row.id.as_str()))
            .collect();
        assert_eq!(found, [Some("c"), None, Some("a"), Some("b")]);
    }
    assert!(in_cache(&service, "c").await);
}

/// A key whose `Display` fails half-way, if it is odd.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Shy(u64);

impl fmt::Display for Shy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shy")?;
        match self.0 % 2 {
            0 => write!(f, "-{}", self.0),
            _ => Err(fmt::Error),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    id: Shy,
}

impl CacheEntity for Note {
    type Key = Shy;

    fn cache_key(&self) -> Shy {
        self.id.clone()
    }

    fn cache_prefix() -> &'static str {
        "note"
    }
}

struct Notes;

impl DataRepository<Note> for Notes {
    async fn fetch_by_id(&self, id: &Shy) -> Result<Option<Note>> {
        Ok(Some(Note { id: id.clone() }))
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_written_is_an_error_and_never_a_key() {
    let service = CacheService::new(InMemoryBackend::new());
    let unwritten = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
        assert!(error.to_string().contains("note"), "{error}");
    };
    for strategy in [Fresh, Refresh, Invalidate, Bypass] {
        let mut feeder = SharedFeeder::<Note>::new(Shy(1));
        unwritten(
            service
                .execute(&mut feeder, &Notes, strategy)
                .await
                .unwrap_err(),
        );
        let mut feeders = [2, 3].map(|id| SharedFeeder::<Note>::new(Shy(id)));
        unwritten(
            service
                .execute_many(&mut feeders[..], &Notes, strategy)
                .await
                .unwrap_err(),
        );
    }
    unwritten(service.invalidate::<Note>(&Shy(5)).await.unwrap_err());
    let keys = [2, 7].map(Shy);
    unwritten(service.invalidate_many::<Note>(&keys).await.unwrap_err());
    assert!(service.backend().is_empty());
    let mut feeder = SharedFeeder::<Note>::new(Shy(2));
    service.execute(&mut feeder, &Notes, Refresh).await.unwrap();
    assert_eq!(feeder.entity.map(|note| note.id.0), Some(2));
}

/// Two tables in an ORM: two types of one name and one shape.
macro_rules! models {
    ($($table:ident, $prefix:expr;)*) => {$(
        mod $table {
            use super::*;

            #[derive(Debug, Clone, Serialize, Deserialize)]
            pub(super) struct Model {
                pub(super) id: u64,
                pub(super) name: String,
            }

            impl CacheEntity for Model {
                type Key = u64;

                fn cache_key(&self) -> u64 {
                    self.id
                }

                fn cache_prefix() -> &'static str {
                    $prefix
                }
            }

            pub(super) struct Table;

            impl DataRepository<Model> for Table {
                async fn fetch_by_id(&self, id: &u64) -> Result<Option<Model>> {
                    Ok(Some(Model {
                        id: *id,
                        name: stringify!($table).to_owned(),
                    }))
                }
            }
        }
    )*};
}

models! {
    category, "model";
    tag, "model";
    no_prefix, "";
    colon, "a:b";
    blank, "a b";
    control, "a\u{7}";
    long, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    longest, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    user, "user";
}

#[tokio::test]
async fn a_second_type_under_a_prefix_is_refused_by_every_way_in() {
    fn named(error: &Error) {
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let text = error.to_string();
        for part in ["\"model\"", "category::Model", "tag::Model"] {
            assert!(text.contains(part), "{text}");
        }
    }

    let service = CacheService::new(InMemoryBackend::new());
    let mut category = SharedFeeder::<category::Model>::new(1);
    service
        .execute(&mut category, &category::Table, Refresh)
        .await
        .unwrap();
    for strategy in [Fresh, Refresh, Invalidate, Bypass] {
        let mut tag = SharedFeeder::<tag::Model>::new(1);
        named(
            &service
                .execute(&mut tag, &tag::Table, strategy)
                .await
                .unwrap_err(),
        );
        assert!(tag.entity.is_none());
        let mut tags = [1, 2].map(SharedFeeder::<tag::Model>::new);
        named(
            &service
                .execute_many(&mut tags[..], &tag::Table, strategy)
                .await
                .unwrap_err(),
        );
    }
    named(&service.invalidate::<tag::Model>(&1).await.unwrap_err());
    named(
        &service
            .invalidate_many::<tag::Model>(&[1])
            .await
            .unwrap_err(),
    );

    // The first one goes on, and its entry is untouched.
    let outcome = service
        .execute(&mut category, &category::Table, Fresh)
        .await
        .unwrap();
    assert!(outcome.is_hit());
    assert_eq!(
        category.entity.map(|entity| entity.name.clone()).as_deref(),
        Some("category")
    );
}

/// The row of `T` with the id 1.
async fn read<B: CacheBackend, T: CacheEntity<Key = u64>>(
    service: &CacheService<B>,
    table: &impl DataRepository<T>,
) -> Result<Outcome> {
    let mut feeder = SharedFeeder::<T>::new(1);
    service.execute(&mut feeder, table, Refresh).await
}

/// Runs it over clones of `backend`, which know each other's types, and over no others.
async fn services_share_a_backend<B: CacheBackend + Clone>(backend: impl Fn() -> B) {
    let named = |error: Error, parts: [&str; 3]| {
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    };
    let spaced = |backend: &B, namespace: &str| {
        let expander = CacheExpander::new(backend.clone());
        CacheService::from(expander.with_namespace(namespace).unwrap())
    };

    // One prefix, two services.
    let shared = backend();
    let [one, other] = [(), ()].map(|()| CacheService::new(shared.clone()));
    read(&one, &category::Table).await.unwrap();
    let error = read(&other, &tag::Table).await.unwrap_err();
    named(error, ["\"model\"", "category::Model", "tag::Model"]);
    read(&other, &category::Table).await.unwrap();

    // Namespaces keep them apart.
    read(&spaced(&shared, "blue"), &tag::Table).await.unwrap();
    read(&spaced(&shared, "green"), &category::Table)
        .await
        .unwrap();
    let error = read(&spaced(&shared, "blue"), &category::Table).await;
    named(
        error.unwrap_err(),
        ["\"model\"", "category::Model", "tag::Model"],
    );

    // A namespace that is a prefix: `model:user:1` may be a key of both.
    let parts = ["\"model\"", "category::Model", "user::Model"];
    let error = read(&spaced(&shared, "model"), &user::Table).await;
    named(error.unwrap_err(), parts);
    let shared = backend();
    read(&spaced(&shared, "model"), &user::Table).await.unwrap();
    let error = read(&CacheService::new(shared), &category::Table).await;
    named(error.unwrap_err(), parts);
}

#[tokio::test]
async fn services_that_share_a_backend_share_no_prefix_between_two_types() {
    services_share_a_backend(InMemoryBackend::new).await;
    services_share_a_backend(|| FaultyBackend::new(InMemoryBackend::new())).await;
    services_share_a_backend(|| Encoded::over(MapStore::default())).await;
}

/// As [`user::Model`], and its key may look like one in a namespace.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename = "Model")]
struct Blue {
    id: u64,
    name: String,
}

impl CacheEntity for Blue {
    type Key = String;

    fn cache_key(&self) -> String {
        format!("user:{}", self.id)
    }

    fn cache_prefix() -> &'static str {
        "blue"
    }
}

struct Blues;

impl DataRepository<Blue> for Blues {
    async fn fetch_by_id(&self, _id: &String) -> Result<Option<Blue>> {
        Ok(Some(Blue {
            id: 1,
            name: "blue".into(),
        }))
    }
}

/// Two processes share only the contents of the store.
#[tokio::test]
async fn what_another_process_keeps_under_the_same_text_is_never_taken_for_our_own() {
    let store = MapStore::default();
    let ours = CacheExpander::new(Encoded::over(store.clone()));
    let ours = CacheService::from(ours.with_namespace("blue").unwrap());
    let theirs = CacheService::new(Encoded::over(store.clone()));
    for _ in 0..3 {
        let mut feeder = SharedFeeder::<Blue>::new("user:1".to_owned());
        let outcome = theirs.execute(&mut feeder, &Blues, Refresh).await.unwrap();
        assert_eq!(outcome.source(), Source::Repository);
        assert_eq!(
            feeder.entity.map(|entity| entity.name.clone()).as_deref(),
            Some("blue")
        );
        let mut feeder = SharedFeeder::<user::Model>::new(1);
        let outcome = ours
            .execute(&mut feeder, &user::Table, Refresh)
            .await
            .unwrap();
        assert_eq!(outcome.source(), Source::Repository);
        assert_eq!(
            feeder.entity.map(|entity| entity.name.clone()).as_deref(),
            Some("user")
        );
    }
}

#[tokio::test]
async fn a_prefix_written_by_hand_is_checked_like_a_derived_one() {
    async fn says<T: CacheEntity<Key = u64>>(table: &impl DataRepository<T>) -> Result<()> {
        let service = CacheService::new(InMemoryBackend::new());
        let mut feeder = SharedFeeder::<T>::new(1);
        let single = service.execute(&mut feeder, table, Refresh).await;
        let invalidated = service.invalidate::<T>(&1).await;
        assert_eq!(single.is_ok(), invalidated.is_ok());
        single.map(drop)
    }

    for error in [
        says(&no_prefix::Table).await,
        says(&colon::Table).await,
        says(&blank::Table).await,
        says(&control::Table).await,
        says(&long::Table).await,
    ] {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains("::Model"), "{error}");
    }
    says(&longest::Table).await.unwrap();
}
