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
