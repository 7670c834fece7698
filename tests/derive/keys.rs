//! Keys of several fields: the typed key, the template, and their texts.

use std::collections::{HashMap, HashSet};

use cache_kit::CacheEntity;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

mod shop {
    use cache_kit::CacheEntity;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(prefix = "order_item", key("order_id", "item_id"))]
    pub(crate) struct OrderItem {
        pub(crate) item_id: u32,
        pub(crate) order_id: String,
        pub(crate) amount: u32,
    }
}

use shop::{OrderItem, OrderItemKey};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "{order_id}:{item_id}")]
struct Line {
    order_id: String,
    item_id: u32,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
struct Translation {
    #[cache(key)]
    text: String,
    #[cache(key)]
    r#in: String,
    words: u32,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("2", "0"))]
struct Point(i64, bool, String);

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "{{{0}}}/{1}/{0}")]
struct Braces(u8, String);

fn item(order_id: &str, item_id: u32) -> OrderItem {
    OrderItem {
        item_id,
        order_id: order_id.into(),
        amount: 1,
    }
}

#[test]
fn several_fields_make_a_typed_key_in_the_order_they_are_named() {
    let key = item("o-1", 7).cache_key();
    assert_eq!(key, OrderItemKey::new("o-1".into(), 7));
    assert_eq!((key.order_id.as_str(), key.item_id), ("o-1", 7));
    assert_eq!(key.to_string(), "o-1:7");
    assert_eq!(item("o-1", 7).amount, 1);
}

#[test]
fn a_typed_key_can_be_cloned_hashed_and_shown() {
    let key = item("o-1", 7).cache_key();
    let mut amounts = HashMap::new();
    amounts.insert(key.clone(), 3);
    assert_eq!(amounts.get(&key), Some(&3));
    assert_eq!(
        format!("{key:?}"),
        r#"OrderItemKey { order_id: "o-1", item_id: 7 }"#
    );
}

#[test]
fn marked_fields_make_a_typed_key_in_the_order_they_stand() {
    let translation = Translation {
        text: "a:b".into(),
        r#in: "50%".into(),
        words: 1,
    };
    let key = translation.cache_key();
    assert_eq!(key.r#in, "50%");
    assert_eq!(key.to_string(), "a%3Ab:50%25");
    assert_eq!(translation.words, 1);
}

#[test]
fn a_tuple_struct_has_a_tuple_key() {
    let point = Point(-1, true, "x".into());
    let key = point.cache_key();
    assert_eq!(key, PointKey("x".into(), -1));
    assert_eq!(key, PointKey::new("x".into(), -1));
    assert_eq!(key.to_string(), "x:-1");
    assert!(point.1);
}

#[test]
fn a_format_width_does_not_reach_the_parts() {
    let key = OrderItemKey::new("o".into(), 7);
    assert_eq!(format!("{key:>12}"), "o:7");
}

#[test]
fn a_template_is_a_string_as_written() {
    let line = Line {
        order_id: "a:b".into(),
        item_id: 7,
    };
    let key: String = line.cache_key();
    assert_eq!(key, "a:b:7");
    assert_eq!(Braces(1, "%".into()).cache_key(), "{1}/%/1");
}

/// Parts made of what could be taken for a separator or an escape.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(":"),
        Just("%"),
        Just("%3A"),
        Just("%25"),
        Just("3A"),
        Just(" "),
        Just("\t"),
        Just("\0"),
        Just("🦀"),
        Just("ä"),
        Just(""),
        Just("a"),
        Just("::"),
        Just("{}"),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn unescape(part: &str) -> String {
    part.replace("%3A", ":").replace("%25", "%")
}

fn text(text: &str, r#in: &str) -> String {
    TranslationKey::new(text.into(), r#in.into()).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn different_parts_have_different_texts(
        a in (hostile(), hostile()),
        b in (hostile(), hostile()),
    ) {
        prop_assert_eq!(a == b, text(&a.0, &a.1) == text(&b.0, &b.1));
    }

    #[test]
    fn the_parts_can_be_read_off_the_text(first in hostile(), second in hostile()) {
        let text = text(&first, &second);
        let parts: Vec<String> = text.split(':').map(unescape).collect();
        prop_assert_eq!(parts, [first, second]);
    }
}

#[test]
fn no_two_short_keys_share_a_text() {
    let letters = ["", ":", "%", "3", "A", "2", "5"];
    let mut parts: Vec<String> = vec![String::new()];
    for _ in 0..3 {
        let longer = parts
            .iter()
            .flat_map(|part| letters.map(|letter| format!("{part}{letter}")));
        parts = longer.collect::<HashSet<_>>().into_iter().collect();
    }
    let mut texts = HashSet::new();
    for first in &parts {
        for second in &parts {
            assert!(texts.insert(text(first, second)), "{first:?} {second:?}");
        }
    }
    assert_eq!(texts.len(), parts.len() * parts.len());
}
