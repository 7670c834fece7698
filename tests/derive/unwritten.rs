//! Template keys with a part whose `Display` fails: an error wherever a key is needed, and never
//! the key of another entity.

use std::fmt;
use std::sync::Arc;

use cache_kit::CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::InMemoryBackend;
use cache_kit::repository::in_order;
use cache_kit::testing::CountingRepository;
use cache_kit::{
    CacheEntity, CacheFeed, CacheFeeder, CacheSchema, CacheService, DataRepository, Error,
    ErrorKind, InMemoryRepository, Result, SharedFeeder,
};
use serde::{Deserialize, Serialize};

/// Has written a part of its text when it fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CacheSchema)]
enum State {
    Known(String),
    Unknown,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(name) => f.write_str(name),
            Self::Unknown => {
                f.write_str("N")?;
                Err(fmt::Error)
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CacheEntity)]
#[cache(key = "{state}-{number}")]
struct Plate {
    state: State,
    number: u32,
}

#[derive(Clone, Serialize, Deserialize, CacheSchema)]
struct Origin {
    state: State,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "from {origin.state}")]
struct Car {
    origin: Origin,
}

#[derive(CacheFeeder)]
#[feeder(entity = Plate, key = "{state}-{number}")]
struct GetPlate {
    state: State,
    number: u32,
}

/// The same for a nested field, and with a lifetime.
#[derive(CacheFeeder)]
#[feeder(entity = Plate, key = "{origin.state}-{number}")]
struct GetPlateOf<'a> {
    origin: &'a Origin,
    number: u32,
}

/// A key that is made of a text and keeps only a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Slug(Arc<str>);

impl From<String> for Slug {
    fn from(text: String) -> Self {
        let suits = |c: &char| c.is_alphanumeric();
        Self(text.chars().filter(suits).collect::<String>().into())
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key_with = Self::slug, key_type = Slug)]
struct Page {
    name: String,
}

impl Page {
    fn slug(&self) -> Slug {
        self.name.clone().into()
    }
}

#[derive(CacheFeeder)]
#[feeder(entity = Page, key = "{state} {part}", validate = Self::has_parts)]
struct GetPage {
    state: State,
    part: u8,
}

impl GetPage {
    fn has_parts(&self) -> Result<()> {
        match self.part {
            0 => Err(Error::ValidationError("no part".to_owned())),
            _ => Ok(()),
        }
    }
}

fn plate(state: State) -> Plate {
    Plate { state, number: 7 }
}

fn nevada() -> State {
    State::Known("NV".to_owned())
}

fn service() -> CacheService<InMemoryBackend> {
    CacheService::new(InMemoryBackend::new())
}

#[track_caller]
fn has_no_key<T: fmt::Debug>(answer: Result<T>) {
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    assert!(error.to_string().contains("has no cache key"), "{error}");
}

/// Neither the beginning of a text nor a value made of it is a key.
#[tokio::test]
async fn the_key_of_such_an_entity_is_refused_wherever_it_goes() {
    let service = service();
    let key = plate(State::Unknown).cache_key();
    let car = Car {
        origin: Origin {
            state: State::Unknown,
        },
    };
    has_no_key(service.invalidate::<Plate>(&key).await);
    has_no_key(service.invalidate::<Plate>(&format!("old {key}")).await);
    has_no_key(service.invalidate::<Car>(&car.cache_key()).await);
    let known = plate(nevada()).cache_key();
    has_no_key(
        service
            .invalidate_many::<Plate>(&[known.clone(), key.clone()])
            .await,
    );
    assert_eq!(known, "NV-7");
    service.invalidate::<Plate>(&known).await.unwrap();

    let rows = CountingRepository::new(InMemoryRepository::<Plate>::new());
    let mut feeder = SharedFeeder::<Plate>::new(key);
    has_no_key(service.execute(&mut feeder, &rows, Refresh).await);
    assert_eq!(rows.queries(), 0);
}

async fn is_refused<T, F>(mut feeder: F)
where
    T: CacheEntity,
    F: CacheFeed<T>,
{
    let service = service();
    let rows = CountingRepository::new(InMemoryRepository::<T>::new());
    for strategy in [Fresh, Refresh, Invalidate, Bypass] {
        has_no_key(service.execute(&mut feeder, &rows, strategy).await);
    }
    let mut feeders = [feeder];
    has_no_key(service.execute_many(&mut feeders, &rows, Refresh).await);
    assert_eq!(rows.queries(), 0);
    assert!(service.backend().is_empty());
}

#[tokio::test]
async fn such_a_request_is_refused_by_every_strategy() {
    let request = |state| GetPlate { state, number: 7 };
    is_refused::<Plate, _>(request(State::Unknown).into_feeder()).await;
    let origin = Origin {
        state: State::Unknown,
    };
    let request_of = GetPlateOf {
        origin: &origin,
        number: 7,
    };
    is_refused::<Plate, _>(request_of.into_feeder()).await;
    let page = |state, part| GetPage { state, part }.into_feeder();
    is_refused::<Page, _>(page(State::Unknown, 1)).await;
    page(nevada(), 1).validate().unwrap();
    let error = page(State::Unknown, 0).validate().unwrap_err();
    assert!(error.to_string().contains("no part"), "{error}");

    let rows = InMemoryRepository::new();
    rows.insert("NV-7".to_owned(), plate(nevada()));
    let mut feeder = request(nevada()).into_feeder();
    service()
        .execute(&mut feeder, &rows, Refresh)
        .await
        .unwrap();
    assert_eq!(feeder.into_entity().unwrap().state, nevada());
}

#[tokio::test]
async fn a_row_with_such_a_key_is_not_the_one_asked_for() {
    let service = service();
    let rows = InMemoryRepository::new();
    rows.insert("NV-7".to_owned(), plate(State::Unknown));
    let mut feeder = SharedFeeder::<Plate>::new("NV-7".to_owned());
    let error = service.execute(&mut feeder, &rows, Refresh).await;
    assert!(matches!(error, Err(Error::RepositoryError(_))), "{error:?}");
    assert!(feeder.entity.is_none() && service.backend().is_empty());
}

/// Two rows of which one has no key: `WHERE id IN (…)` found both.
struct Found;

impl DataRepository<Plate> for Found {
    async fn fetch_by_id(&self, _id: &String) -> Result<Option<Plate>> {
        Ok(None)
    }

    async fn fetch_by_ids(&self, ids: &[String]) -> Result<Vec<Option<Plate>>> {
        Ok(in_order(ids, [plate(State::Unknown), plate(nevada())]))
    }
}

#[tokio::test]
async fn a_row_with_such_a_key_is_not_taken_for_absent() {
    let service = service();
    let ids = ["CA-1", "NV-7"].map(str::to_owned);
    let mut feeders = ids.map(SharedFeeder::<Plate>::new);
    let error = service.execute_many(&mut feeders, &Found, Refresh).await;
    assert!(matches!(error, Err(Error::RepositoryError(_))), "{error:?}");
    // The other row is as good as ever.
    assert_eq!(service.backend().len(), 1);
}
