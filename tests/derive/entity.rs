//! `#[derive(CacheEntity)]`: prefix, time to live, every form of key.

use std::time::Duration;

use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "user", key = "id")]
struct User {
    id: String,
    name: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
struct HttpSession {
    #[cache(key)]
    token: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "0", ttl = "1h30m")]
struct Pair(i32, String);

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "type")]
#[cache(prefix = "kinds.v2", ttl = "500ms", version = 3)]
struct Kind {
    r#type: char,
}

#[test]
fn a_named_field_is_the_key_with_its_own_type() {
    let user = User {
        id: "user_001".into(),
        name: "Ada".into(),
    };
    let key: String = user.cache_key();
    assert_eq!(key, "user_001");
    assert_eq!(User::cache_prefix(), "user");
    assert_eq!(User::cache_ttl(), None);
    assert_eq!(user.name, "Ada");
}

#[test]
fn the_prefix_is_the_type_in_snake_case_unless_stated() {
    assert_eq!(HttpSession::cache_prefix(), "http_session");
    assert_eq!(Pair::cache_prefix(), "pair");
    assert_eq!(Kind::cache_prefix(), "kinds.v2");
}

#[test]
fn a_marked_field_is_the_key() {
    let key: u64 = HttpSession { token: 7 }.cache_key();
    assert_eq!(key, 7);
}

#[test]
fn a_tuple_struct_is_keyed_by_number() {
    let pair = Pair(-1, "one".into());
    let key: i32 = pair.cache_key();
    assert_eq!((key, pair.1.as_str()), (-1, "one"));
}

#[test]
fn a_raw_name_is_written_without_its_mark() {
    let key: char = Kind { r#type: ':' }.cache_key();
    assert_eq!(key, ':');
}

#[test]
fn the_time_to_live_is_read() {
    assert_eq!(Pair::cache_ttl(), Some(Duration::from_secs(5_400)));
    assert_eq!(Kind::cache_ttl(), Some(Duration::from_millis(500)));
}

#[test]
fn every_unit_of_time() {
    macro_rules! ttl {
        ($text:literal) => {{
            #[derive(Clone, Serialize, Deserialize, CacheEntity)]
            #[cache(key = "id", ttl = $text)]
            struct Timed {
                id: u8,
            }
            assert_eq!(Timed { id: 1 }.cache_key(), 1);
            Timed::cache_ttl().unwrap()
        }};
    }
    assert_eq!(ttl!("30s"), Duration::from_secs(30));
    assert_eq!(ttl!("5m"), Duration::from_secs(300));
    assert_eq!(ttl!("2d"), Duration::from_secs(172_800));
    assert_eq!(ttl!("1s1ms"), Duration::from_millis(1_001));
    assert_eq!(
        ttl!("18446744073709551615ms"),
        Duration::from_millis(u64::MAX)
    );
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", ttl = "1h", stale_if_error = "10m", negative_ttl = "5s")]
#[cache(max_bytes = "2 KiB", validate = Self::check)]
struct Guarded {
    id: u64,
}

impl Guarded {
    fn check(&self) -> cache_kit::Result<()> {
        match self.id {
            0 => Err(cache_kit::Error::ValidationError("no id".into())),
            _ => Ok(()),
        }
    }
}

#[test]
fn grace_absence_size_and_validation_are_stated() {
    assert_eq!(
        Guarded::cache_stale_if_error(),
        Some(Duration::from_secs(600))
    );
    assert_eq!(Guarded::cache_negative_ttl(), Some(Duration::from_secs(5)));
    assert_eq!(Guarded::cache_max_bytes(), Some(2_048));
    assert!(Guarded { id: 1 }.cache_validate().is_ok());
    assert!(Guarded { id: 0 }.cache_validate().is_err());
    assert_eq!(Guarded { id: 1 }.cache_key(), 1);
}

#[test]
fn the_settings_of_freshness_are_stated() {
    #[derive(Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(
        key = "id",
        ttl = "1h",
        jitter = "10%",
        stale_while_revalidate = "1m30s"
    )]
    #[cache(stale_if_error = "10m", answer_within = "50ms", refresh_ahead = 2.5)]
    struct Refreshed {
        id: u64,
    }
    assert_eq!(Refreshed::cache_jitter(), Some(0.1));
    assert_eq!(
        Refreshed::cache_stale_while_revalidate(),
        Some(Duration::from_secs(90))
    );
    assert_eq!(
        Refreshed::cache_stale_if_error(),
        Some(Duration::from_secs(600))
    );
    assert_eq!(
        Refreshed::cache_answer_within(),
        Some(Duration::from_millis(50))
    );
    assert_eq!(Refreshed::cache_refresh_ahead(), Some(2.5));
    assert_eq!(Refreshed::cache_negative_ttl(), None);
    assert_eq!(Refreshed { id: 1 }.cache_key(), 1);
}

#[test]
fn every_form_of_a_percentage_and_a_factor() {
    macro_rules! spread {
        ($jitter:literal, $factor:literal) => {{
            #[derive(Clone, Serialize, Deserialize, CacheEntity)]
            #[cache(key = "id", ttl = "1h", jitter = $jitter, refresh_ahead = $factor)]
            struct Spread {
                id: u8,
            }
            assert_eq!(Spread { id: 1 }.cache_key(), 1);
            (
                Spread::cache_jitter().unwrap(),
                Spread::cache_refresh_ahead().unwrap(),
            )
        }};
    }
    assert_eq!(spread!("100%", 1), (1.0, 1.0));
    assert_eq!(spread!("2.5%", 0.5), (0.025, 0.5));
    assert_eq!(spread!("12.3%", 1e2), (0.123, 100.0));
    assert_eq!(spread!("0.001%", 1_000.0), (0.000_01, 1_000.0));
    assert_eq!(spread!("007%", 0x10), (0.07, 16.0));
}

#[test]
fn a_grace_of_either_kind_may_have_an_answer_within() {
    #[derive(Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(key = "id", ttl = "1h", stale_if_error = "10m", answer_within = "1s")]
    struct Failing {
        id: u64,
    }
    #[derive(Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(
        key = "id",
        ttl = "1h",
        stale_while_revalidate = "10m",
        answer_within = "2s"
    )]
    struct Revalidated {
        id: u64,
    }
    assert_eq!(Failing::cache_answer_within(), Some(Duration::from_secs(1)));
    assert_eq!(
        Revalidated::cache_answer_within(),
        Some(Duration::from_secs(2))
    );
    let keys = (
        Failing { id: 1 }.cache_key(),
        Revalidated { id: 2 }.cache_key(),
    );
    assert_eq!(keys, (1, 2));
}

#[test]
fn what_is_not_stated_is_the_default() {
    assert_eq!(User::cache_jitter(), None);
    assert_eq!(User::cache_stale_while_revalidate(), None);
    assert_eq!(User::cache_answer_within(), None);
    assert_eq!(User::cache_refresh_ahead(), None);
    assert_eq!(User::cache_stale_if_error(), None);
    assert_eq!(User::cache_negative_ttl(), None);
    assert_eq!(User::cache_max_bytes(), None);
    assert!(HttpSession { token: 0 }.cache_validate().is_ok());
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CacheEntity)]
#[cache(key_with = Self::id, key_type = u64)]
enum Animal {
    Cat { id: u64, lives: u8 },
    Dog(u64),
    Stray,
}

impl Animal {
    fn id(&self) -> u64 {
        match self {
            Self::Cat { id, .. } | Self::Dog(id) => *id,
            Self::Stray => 0,
        }
    }
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "config", key_with = only, key_type = &'static str)]
struct Config;

fn only(_: &Config) -> &'static str {
    "only"
}

#[tokio::test]
async fn an_enum_and_a_unit_struct_are_entities() {
    use cache_kit::backend::InMemoryBackend;
    use cache_kit::repository::InMemoryRepository;
    use cache_kit::{CacheService, CacheStrategy, SharedFeeder};

    let cache = CacheService::new(InMemoryBackend::new());
    let animals = InMemoryRepository::<Animal>::new();
    for animal in [
        Animal::Cat { id: 7, lives: 9 },
        Animal::Dog(8),
        Animal::Stray,
    ] {
        animals.insert(animal.cache_key(), animal);
    }
    let mut feeder = SharedFeeder::<Animal>::new(7);
    cache
        .execute(&mut feeder, &animals, CacheStrategy::Refresh)
        .await
        .unwrap();
    assert_eq!(
        feeder.entity.as_deref(),
        Some(&Animal::Cat { id: 7, lives: 9 })
    );

    let configs = InMemoryRepository::<Config>::new();
    configs.insert("only", Config);
    let mut feeder = SharedFeeder::<Config>::new(Config.cache_key());
    cache
        .execute(&mut feeder, &configs, CacheStrategy::Refresh)
        .await
        .unwrap();
    assert!(feeder.entity.is_some());
}

/// The type of the items names the pages.
trait Paged {
    const PAGES: &str;

    fn pages() -> &'static str {
        Self::PAGES
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CacheEntity)]
#[cache(prefix_with = T::pages, key = "number", bound = "T: Paged")]
struct Page<T> {
    number: u32,
    items: Vec<T>,
}

impl Paged for String {
    const PAGES: &str = "page_of_text";
}

impl Paged for u8 {
    const PAGES: &str = "page_of_bytes";
}

#[tokio::test]
async fn instantiations_of_a_generic_entity_do_not_meet() {
    use cache_kit::backend::InMemoryBackend;
    use cache_kit::repository::InMemoryRepository;
    use cache_kit::{CacheService, CacheStrategy, SharedFeeder};

    let cache = CacheService::new(InMemoryBackend::new());
    let texts = InMemoryRepository::<Page<String>>::new();
    texts.insert(
        1,
        Page {
            number: 1,
            items: vec!["a".into()],
        },
    );
    let bytes = InMemoryRepository::<Page<u8>>::new();
    bytes.insert(
        1,
        Page {
            number: 1,
            items: vec![7],
        },
    );
    for _ in 0..2 {
        let mut feeder = SharedFeeder::<Page<String>>::new(1);
        cache
            .execute(&mut feeder, &texts, CacheStrategy::Refresh)
            .await
            .unwrap();
        assert_eq!(feeder.entity.unwrap().items, ["a"]);
        let mut feeder = SharedFeeder::<Page<u8>>::new(1);
        cache
            .execute(&mut feeder, &bytes, CacheStrategy::Refresh)
            .await
            .unwrap();
        assert_eq!(feeder.entity.unwrap().items, [7]);
    }
    assert_eq!(Page::<u8>::cache_prefix(), "page_of_bytes");
    assert_eq!(Page::<String>::cache_prefix(), "page_of_text");
}

mod reexport {
    pub(crate) use cache_kit as kit;
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("a", "b"), crate = "crate::entity::reexport::kit")]
struct Elsewhere {
    a: u8,
    b: u8,
}

#[test]
fn cache_kit_may_live_under_another_name() {
    let key = Elsewhere { a: 1, b: 2 }.cache_key();
    assert_eq!(key, ElsewhereKey { a: 1, b: 2 });
}
