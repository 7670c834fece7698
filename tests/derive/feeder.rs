//! `#[derive(CacheFeeder)]`: in place and as a companion.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "user", key = "id")]
pub(crate) struct User {
    id: String,
    visits: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Account {
    id: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CacheEntity)]
#[cache(key("shop", "id"))]
struct Item {
    shop: u16,
    id: String,
}

fn ada() -> Arc<User> {
    Arc::new(User {
        id: "ada".into(),
        visits: 3,
    })
}

/// Asks for the key in both ways, which must agree, and returns whether it was borrowed.
fn asked<T: CacheEntity<Key: Debug>>(feeder: &mut impl CacheFeed<T>) -> (T::Key, bool) {
    let owned = feeder.entity_id();
    let borrowed = feeder.borrowed_id();
    assert!(borrowed.is_none_or(|key| *key == owned));
    (owned, borrowed.is_some())
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct Owning {
    #[feeder(key)]
    id: String,
    #[feeder(entity)]
    user: Option<User>,
    note: &'static str,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct Sharing(#[feeder(entity)] Option<Arc<User>>, #[feeder(key)] String);

#[test]
fn an_owned_field_gets_a_copy() {
    let mut feeder = Owning {
        id: "ada".into(),
        user: None,
        note: "kept",
    };
    assert_eq!(asked(&mut feeder), ("ada".to_owned(), true));
    feeder.feed_shared(Some(ada()));
    assert_eq!(feeder.user.as_ref(), Some(&*ada()));
    feeder.feed(None);
    assert_eq!(feeder.user, None);
    feeder.feed(Some((*ada()).clone()));
    assert_eq!(feeder.user.as_ref(), Some(&*ada()));
    feeder.feed_shared(None);
    assert_eq!((feeder.user, feeder.note), (None, "kept"));
}

#[test]
fn a_shared_field_gets_the_very_same_entity() {
    let mut feeder = Sharing(None, "ada".into());
    assert_eq!(asked(&mut feeder), ("ada".to_owned(), true));
    let shared = ada();
    feeder.feed_shared(Some(Arc::clone(&shared)));
    assert!(
        feeder
            .0
            .as_ref()
            .is_some_and(|user| Arc::ptr_eq(user, &shared))
    );
    feeder.feed(None);
    assert_eq!(feeder.0, None);
    feeder.feed(Some((*shared).clone()));
    assert_eq!(feeder.0, Some(shared));
}

#[test]
fn the_borrowed_key_is_the_field_itself() {
    let feeder = Sharing(None, "ada".into());
    assert!(
        feeder
            .borrowed_id()
            .is_some_and(|key| std::ptr::eq(key, &feeder.1))
    );
}

mod requests {
    use super::User;
    use cache_kit::CacheFeeder;

    #[derive(CacheFeeder)]
    #[feeder(entity = User, key = "user_id")]
    pub(crate) struct GetUser {
        pub(crate) user_id: String,
        pub(crate) verbose: bool,
    }
}

use requests::{GetUser, GetUserFeeder};

fn get_user() -> GetUser {
    GetUser {
        user_id: "ada".into(),
        verbose: true,
    }
}

#[test]
fn a_request_becomes_a_feeder_and_the_feeder_an_entity() {
    let mut feeder: GetUserFeeder = get_user().into_feeder();
    assert_eq!(asked(&mut feeder), ("ada".to_owned(), true));
    let shared = ada();
    feeder.feed_shared(Some(Arc::clone(&shared)));
    assert!(feeder.request.verbose);
    assert!(
        feeder
            .entity
            .as_ref()
            .is_some_and(|user| Arc::ptr_eq(user, &shared))
    );
    assert_eq!(feeder.into_entity(), Some(shared));
    assert_eq!(GetUserFeeder::new(get_user()).into_entity(), None);
}

#[test]
fn a_feeder_shows_that_it_was_answered_and_no_value() {
    let mut feeder = get_user().into_feeder();
    assert_eq!(
        format!("{feeder:?}"),
        "GetUserFeeder { answered: false, .. }"
    );
    feeder.feed(Some((*ada()).clone()));
    assert_eq!(
        format!("{feeder:?}"),
        "GetUserFeeder { answered: true, .. }"
    );
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id")]
struct Lent<'a> {
    id: &'a str,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct LentKey<'a> {
    #[feeder(key)]
    id: &'a String,
    #[feeder(entity)]
    user: Option<Arc<User>>,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id")]
struct LentCow<'a> {
    id: Cow<'a, str>,
}

#[test]
fn a_request_may_borrow_its_key() {
    let id = String::from("ada");
    assert_eq!(
        asked(&mut Lent { id: &id }.into_feeder()),
        (id.clone(), false)
    );
    let id_of_cow = LentCow {
        id: Cow::Borrowed(&id),
    };
    assert_eq!(asked(&mut id_of_cow.into_feeder()), (id.clone(), false));

    let mut feeder = LentKey {
        id: &id,
        user: None,
    };
    assert_eq!(asked(&mut feeder), (id.clone(), true));
    assert!(
        feeder
            .borrowed_id()
            .is_some_and(|key| std::ptr::eq(key, &id))
    );
    feeder.feed_shared(Some(ada()));
    assert!(feeder.user.is_some());
}

#[derive(CacheFeeder)]
#[feeder(entity = Account, key = "0")]
struct ByNumber(u32);

#[derive(CacheFeeder)]
#[feeder(entity = Item, key = "item")]
struct GetItem {
    item: ItemKey,
}

#[test]
fn a_narrower_integer_is_widened() {
    assert_eq!(
        asked(&mut ByNumber(u32::MAX).into_feeder()),
        (u64::from(u32::MAX), false)
    );
}

#[test]
fn a_typed_key_is_a_field_like_any_other() {
    let item = ItemKey::new(1, "a:b".into());
    let mut feeder = GetItem { item: item.clone() }.into_feeder();
    assert_eq!(asked(&mut feeder), (item, true));
    let found = Item {
        shop: 1,
        id: "a:b".into(),
    };
    assert_eq!(found.cache_key(), feeder.entity_id());
}

#[derive(CacheFeeder)]
#[feeder(entity = T)]
struct Any<T: CacheEntity> {
    #[feeder(key)]
    id: T::Key,
    #[feeder(entity)]
    entity: Option<T>,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id")]
struct Traced<'a, K, const N: usize, C = u8>
where
    C: Copy,
{
    id: K,
    trace: &'a [C; N],
}

#[test]
fn generics_lifetimes_and_bounds_are_kept() {
    let mut any = Any::<Account> {
        id: 7,
        entity: None,
    };
    assert_eq!(asked(&mut any), (7, true));
    any.feed(Some(Account { id: 7 }));
    assert_eq!(any.entity, Some(Account { id: 7 }));

    let trace = [1_u8, 2];
    let request: Traced<'_, &str, 2> = Traced {
        id: "ada",
        trace: &trace,
    };
    let mut feeder: TracedFeeder<'_, &str, 2> = request.into_feeder();
    assert_eq!(asked(&mut feeder), ("ada".to_owned(), false));
    assert_eq!(feeder.request.trace, &trace);
}

mod reexport {
    pub(crate) use cache_kit as kit;
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id", crate = "crate::feeder::reexport::kit")]
struct Elsewhere {
    id: String,
}

#[test]
fn cache_kit_may_live_under_another_name() {
    let mut feeder = Elsewhere { id: "ada".into() }.into_feeder();
    assert_eq!(asked(&mut feeder), ("ada".to_owned(), true));
}
