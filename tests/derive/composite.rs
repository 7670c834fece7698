//! Feeders whose key consists of several fields, of a text, or of an expression.

use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CacheEntity)]
#[cache(key("order_id", "item_id"))]
struct OrderItem {
    order_id: String,
    item_id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("0", "1"))]
struct Pair(u8, String);

/// A key written by hand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RoomKey {
    house: String,
    number: u8,
}

impl std::fmt::Display for RoomKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.house, self.number)
    }
}

impl From<(String, u8)> for RoomKey {
    fn from((house, number): (String, u8)) -> Self {
        Self { house, number }
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Room;

impl CacheEntity for Room {
    type Key = RoomKey;

    fn cache_key(&self) -> RoomKey {
        room()
    }

    fn cache_prefix() -> &'static str {
        "room"
    }
}

fn room() -> RoomKey {
    ("north".to_owned(), 7).into()
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "{year}/{number}")]
struct Invoice {
    year: u16,
    number: u32,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Account {
    id: u64,
}

/// In another order than in the key, and with other types.
#[derive(CacheFeeder)]
#[feeder(entity = OrderItem)]
struct InPlace<'a> {
    #[feeder(key)]
    item_id: u32,
    #[feeder(key)]
    order_id: &'a str,
    #[feeder(entity)]
    item: Option<OrderItem>,
}

#[derive(CacheFeeder)]
#[feeder(entity = OrderItem)]
struct OtherNames {
    #[feeder(key = "order_id")]
    order: Arc<str>,
    #[feeder(key = "item_id")]
    r#item: u64,
    #[feeder(entity)]
    found: Option<Arc<OrderItem>>,
}

#[derive(CacheFeeder)]
#[feeder(entity = Pair)]
struct OfAPair(
    #[feeder(entity)] Option<Arc<Pair>>,
    #[feeder(key)] u8,
    #[feeder(key)] &'static str,
);

#[derive(CacheFeeder)]
#[feeder(entity = Room)]
struct ByHand {
    #[feeder(key)]
    house: String,
    #[feeder(key)]
    number: u8,
    #[feeder(entity)]
    room: Option<Arc<Room>>,
}

#[derive(CacheFeeder)]
#[feeder(entity = OrderItem, key("item_id", "order_id"), name = "r#in")]
struct GetItem<S: Clone + Into<String>> {
    order_id: S,
    item_id: u64,
    verbose: bool,
}

fn key(order_id: &str, item_id: u64) -> OrderItemKey {
    OrderItemKey::new(order_id.to_owned(), item_id)
}

#[test]
fn parts_are_told_apart_by_name() {
    let mut in_place = InPlace {
        item_id: 2,
        order_id: "a:1",
        item: None,
    };
    assert_eq!(in_place.entity_id(), key("a:1", 2));
    assert_eq!(in_place.borrowed_id(), None);
    let item = OrderItem {
        order_id: "a:1".into(),
        item_id: 2,
    };
    assert_eq!(item.cache_key(), in_place.entity_id());
    in_place.feed_shared(Some(Arc::new(item.clone())));
    assert_eq!(in_place.item, Some(item));

    let mut other = OtherNames {
        order: "a".into(),
        r#item: 12,
        found: None,
    };
    assert_eq!(other.entity_id(), key("a", 12));
    other.feed(None);
    assert_eq!(other.found, None);

    let mut request: r#in<&str> = GetItem {
        order_id: "x",
        item_id: 9,
        verbose: true,
    }
    .into_feeder();
    assert_eq!(request.entity_id(), key("x", 9));
    assert!(request.request.verbose);
}

#[test]
fn numbered_parts_count_from_0() {
    let mut feeder = OfAPair(None, 3, "z");
    assert_eq!(feeder.entity_id(), PairKey::new(3, "z".into()));
    feeder.feed(Some(Pair(3, "z".into())));
    assert_eq!(
        feeder.0.map(|pair| pair.cache_key()),
        Some(PairKey::new(3, "z".into()))
    );
}

#[test]
fn a_key_written_by_hand_has_parts_too() {
    let mut feeder = ByHand {
        house: "north".into(),
        number: 7,
        room: None,
    };
    assert_eq!(feeder.entity_id(), room());
    feeder.feed(Some(Room));
    assert!(feeder.room.is_some());
}

#[derive(CacheFeeder)]
#[feeder(entity = Invoice, key = "{year}/{number}")]
struct GetInvoice<N> {
    year: u16,
    number: N,
}

struct Caller {
    account: u64,
}

impl Caller {
    fn shop(&self) -> &str {
        "shop"
    }
}

/// A place behind the request.
#[derive(CacheFeeder)]
#[feeder(entity = Account, key = "caller.account")]
struct GetAccount<'a> {
    caller: &'a Caller,
}

#[derive(CacheFeeder)]
#[feeder(entity = Account, key = "u64::from(self.0) + 1")]
struct NextAccount(u32);

#[derive(CacheFeeder)]
#[feeder(entity = Invoice, key = "caller.shop().to_owned() + \"/\" + &r#type")]
struct Sum {
    caller: Caller,
    r#type: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = Invoice, key = "format!(\"{year}/{}\", number % 10)")]
struct Formatted {
    year: u16,
    number: u32,
}

#[derive(CacheFeeder)]
#[feeder(entity = OrderItem, key = "self.key()")]
struct ByMethod {
    item: u64,
}

impl ByMethod {
    fn key(&self) -> OrderItemKey {
        key("fixed", self.item)
    }
}

#[derive(CacheFeeder)]
#[feeder(entity = Room, key = "(house.clone(), *number)")]
struct ByTuple {
    house: String,
    number: u8,
}

#[derive(CacheFeeder)]
#[feeder(entity = OrderItem, key = "self.key")]
struct AsOneSaysIt<'a> {
    key: &'a OrderItemKey,
}

#[test]
fn a_template_is_a_text() {
    let mut feeder = GetInvoice {
        year: 2024,
        number: 7_u8,
    }
    .into_feeder();
    assert_eq!(feeder.entity_id(), "2024/7");
}

#[test]
fn an_expression_is_over_the_fields() {
    let caller = Caller { account: 42 };
    let mut get = GetAccount { caller: &caller }.into_feeder();
    assert_eq!((get.entity_id(), get.borrowed_id()), (42, None));
    assert_eq!(NextAccount(u32::MAX).into_feeder().entity_id(), 1 << 32);
    let mut sum = Sum {
        caller,
        r#type: "r".into(),
    }
    .into_feeder();
    assert_eq!(sum.entity_id(), "shop/r");
    let mut formatted = Formatted {
        year: 1999,
        number: 123,
    }
    .into_feeder();
    assert_eq!(formatted.entity_id(), "1999/3");
    let mut by_method = ByMethod { item: 5 }.into_feeder();
    assert_eq!(by_method.entity_id(), key("fixed", 5));
    let mut by_tuple = ByTuple {
        house: "north".into(),
        number: 7,
    }
    .into_feeder();
    assert_eq!(by_tuple.entity_id(), room());
}

#[test]
fn self_dot_field_is_the_field() {
    let held = key("a", 1);
    let mut feeder = AsOneSaysIt { key: &held }.into_feeder();
    assert_eq!(feeder.entity_id(), held);
    assert!(
        feeder
            .borrowed_id()
            .is_some_and(|key| std::ptr::eq(key, &held))
    );
}
