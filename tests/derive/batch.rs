//! Feeders of many keys.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeedMany, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CacheEntity)]
#[cache(key("shop", "id"))]
struct Item {
    shop: u16,
    id: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Account {
    id: u64,
}

fn user(id: &str) -> Arc<User> {
    Arc::new(User { id: id.into() })
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct Sharing {
    #[feeder(key)]
    ids: Vec<String>,
    #[feeder(entity)]
    users: Vec<Option<Arc<User>>>,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct Owning<'a>(
    #[feeder(key)] &'a [&'a str],
    #[feeder(entity)] Vec<Option<User>>,
);

#[test]
fn answers_come_where_the_field_says() {
    let mut sharing = Sharing {
        ids: vec!["b".into(), "a".into(), "b".into()],
        users: Vec::new(),
    };
    assert_eq!(sharing.entity_ids(), ["b", "a", "b"]);
    assert_eq!(sharing.ids.len(), 3);
    let shared = user("a");
    sharing.feed_many(vec![None, Some(Arc::clone(&shared)), None]);
    assert!(
        sharing.users[1]
            .as_ref()
            .is_some_and(|user| Arc::ptr_eq(user, &shared))
    );
    assert_eq!(sharing.users.len(), 3);

    let ids = ["a", "x"];
    let mut owning = Owning(&ids, vec![None]);
    assert_eq!(owning.entity_ids(), ids);
    owning.feed_many(vec![Some(user("a")), None]);
    assert_eq!(owning.1, [Some(User { id: "a".into() }), None]);
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "ids", name = "Everybody")]
struct GetUsers<'a, T> {
    ids: &'a [String],
    rest: T,
}

#[test]
fn a_request_for_many_becomes_a_feeder_of_many() {
    let ids = ["a".to_owned(), "b".to_owned()];
    let mut feeder: Everybody<'_, u8> = GetUsers {
        ids: &ids,
        rest: 1_u8,
    }
    .into_feeder();
    assert_eq!(feeder.entity_ids(), ids);
    assert_eq!(format!("{feeder:?}"), "Everybody { answered: false, .. }");
    feeder.feed_many(vec![Some(user("a")), None]);
    assert_eq!(format!("{feeder:?}"), "Everybody { answered: true, .. }");
    assert_eq!(feeder.request.rest, 1);
    assert_eq!(feeder.entities.len(), 2);
    assert_eq!(feeder.into_entities(), [Some(user("a")), None]);
}

fn asked<T: CacheEntity<Key: Debug>>(mut feeder: impl CacheFeedMany<T>) -> Vec<T::Key> {
    feeder.entity_ids()
}

macro_rules! batches {
    ($($name:ident of $entity:ty: $ids:ty = $given:expr;)*) => {
        #[test]
        fn keys_may_be_held_in_many_ways() {
            $({
                #[derive(CacheFeeder)]
                #[feeder(entity = $entity, key = "ids")]
                struct $name<'a> {
                    ids: $ids,
                    _lifetime: std::marker::PhantomData<&'a ()>,
                }
                let request = $name {
                    ids: $given,
                    _lifetime: std::marker::PhantomData,
                };
                let keys = asked(request.into_feeder());
                let texts: Vec<String> = keys.iter().map(ToString::to_string).collect();
                assert_eq!(texts, ["1", "2"], stringify!($name));
            })*
        }
    };
}

batches! {
    Texts of User: Vec<&'a str> = vec!["1", "2"];
    Borrowed of User: &'a Vec<String> = &vec!["1".to_owned(), "2".to_owned()];
    Cows of User: Vec<Cow<'a, str>> = vec!["1".into(), "2".into()];
    Boxed of User: Box<[String]> = Box::new(["1".to_owned(), "2".to_owned()]);
    Shared of User: Arc<[String]> = Arc::new(["1".to_owned(), "2".to_owned()]);
    MaybeBorrowed of Account: Cow<'a, [u64]> = Cow::Borrowed(&[1, 2]);
    Narrow of Account: Vec<u32> = vec![1, 2];
    Slice of Account: &'a [u64] = &[1, 2];
}

#[derive(CacheFeeder)]
#[feeder(entity = Item, key = "items")]
struct GetItems<'a> {
    items: &'a [&'a ItemKey],
}

#[derive(CacheFeeder)]
#[feeder(entity = T)]
struct All<T: CacheEntity> {
    #[feeder(key)]
    ids: Vec<T::Key>,
    #[feeder(entity)]
    found: Vec<Option<Arc<T>>>,
}

#[test]
fn typed_keys_and_any_entity() {
    let key = ItemKey::new(1, "a:b".into());
    let items = [&key, &key];
    let mut get = GetItems { items: &items }.into_feeder();
    assert_eq!(get.entity_ids(), [key.clone(), key.clone()]);

    let mut all = All::<Item> {
        ids: vec![key.clone()],
        found: Vec::new(),
    };
    assert_eq!(all.entity_ids(), [key]);
    all.feed_many(vec![None]);
    assert_eq!(all.found, [None]);
}
