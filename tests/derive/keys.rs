//! Keys of several fields: the typed key, the template, and their texts.

use std::collections::{HashMap, HashSet};

use cache_kit::CacheEntity;
use cache_kit::key::ParseKeyErrorKind;
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

/// A key with two texts and something between them.
#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("first", "sign", "second"))]
struct Hostile {
    first: String,
    sign: char,
    second: String,
}

const PIECES: [&str; 20] = [
    ":", "%", "%3A", "%25", "%3a", "3A", "25", " ", "\t", "\r\n", "\n", "\0", "🦀", "ä",
    "e\u{301}", "", "a", "::", "{}", "\u{7f}",
];
const SIGNS: [char; 6] = [':', '%', ' ', '\0', '🦀', 'a'];

fn random_text(random: &mut fastrand::Rng) -> String {
    let pieces = random.usize(..5);
    (0..pieces)
        .map(|_| PIECES[random.usize(..PIECES.len())])
        .collect()
}

fn random_key(random: &mut fastrand::Rng) -> HostileKey {
    let entity = Hostile {
        first: random_text(random),
        sign: SIGNS[random.usize(..SIGNS.len())],
        second: random_text(random),
    };
    entity.cache_key()
}

/// A key whose parts, joined, are the same text as those of `key`.
fn moved(key: &HostileKey, random: &mut fastrand::Rng) -> HostileKey {
    let all: Vec<char> = format!("{}{}{}", key.first, key.sign, key.second)
        .chars()
        .collect();
    let at = random.usize(..all.len());
    let text = |chars: &[char]| chars.iter().collect();
    HostileKey::new(text(&all[..at]), all[at], text(&all[at + 1..]))
}

#[test]
fn a_million_pairs_of_hostile_keys_share_no_text_and_all_are_read_back() {
    std::thread::scope(|scope| {
        for seed in 0..4 {
            scope.spawn(move || pairs_share_no_text(250_000, seed));
        }
    });
}

fn pairs_share_no_text(mut pairs: usize, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    while pairs > 0 {
        let one = random_key(&mut random);
        let two = if random.bool() {
            moved(&one, &mut random)
        } else {
            random_key(&mut random)
        };
        if one == two {
            continue;
        }
        pairs -= 1;
        let texts = [one.to_string(), two.to_string()];
        assert_ne!(texts[0], texts[1], "{one:?} {two:?}");
        for (key, text) in [(one, &texts[0]), (two, &texts[1])] {
            assert_eq!(text.parse(), Ok(key), "{text:?}");
        }
    }
}

#[test]
fn a_text_that_is_no_key_says_what_is_wrong() {
    let kind = |text: &str| {
        text.parse::<OrderItemKey>()
            .map_err(|error| error.kind().clone())
    };
    assert_eq!(kind("o-1:7"), Ok(OrderItemKey::new("o-1".into(), 7)));
    assert_eq!(kind(":7"), Ok(OrderItemKey::new(String::new(), 7)));
    for (text, wrong) in [
        (
            "o-1",
            ParseKeyErrorKind::PartCount {
                expected: 2,
                found: 1,
            },
        ),
        (
            "",
            ParseKeyErrorKind::PartCount {
                expected: 2,
                found: 1,
            },
        ),
        (
            "o:1:7",
            ParseKeyErrorKind::PartCount {
                expected: 2,
                found: 3,
            },
        ),
        ("o%20:7", ParseKeyErrorKind::Escape { part: "order_id" }),
        ("o%3a:7", ParseKeyErrorKind::Escape { part: "order_id" }),
        ("o:%", ParseKeyErrorKind::Escape { part: "item_id" }),
        ("o:x", ParseKeyErrorKind::Part { part: "item_id" }),
        ("o:-1", ParseKeyErrorKind::Part { part: "item_id" }),
        ("o:", ParseKeyErrorKind::Part { part: "item_id" }),
    ] {
        assert_eq!(kind(text), Err(wrong), "{text:?}");
    }
    let message = "o:x".parse::<OrderItemKey>().unwrap_err().to_string();
    assert_eq!(message, "not a OrderItemKey: `item_id` cannot be read");
}

#[test]
fn keys_are_ordered_part_by_part() {
    let mut keys = [("b", 1), ("a", 10), ("a", 9)].map(|(o, i)| OrderItemKey::new(o.into(), i));
    keys.sort();
    let texts = keys.map(|key| key.to_string());
    assert_eq!(texts, ["a:9", "a:10", "b:1"]);
    assert_eq!(
        PointKey::new("x".into(), -1)
            .max(PointKey::new("x".into(), 1))
            .1,
        1
    );
}

/// Has neither an order nor a `FromStr`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Tag(u8);

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Has both.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
struct Code(u8);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "%{}", self.0)
    }
}

impl std::str::FromStr for Code {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.trim_start_matches('%').parse().map(Self)
    }
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("id", "tag"))]
struct Tagged {
    id: u64,
    tag: Tag,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("id", "code"))]
struct Coded {
    id: u64,
    code: Code,
}

#[test]
fn a_part_without_order_or_from_str_costs_the_key_only_these() {
    let tagged = Tagged { id: 1, tag: Tag(2) }.cache_key();
    assert_eq!(tagged, TaggedKey::new(1, Tag(2)));
    assert_eq!(tagged.to_string(), "1:#2");

    let key = |id, code| {
        Coded {
            id,
            code: Code(code),
        }
        .cache_key()
    };
    assert!(key(1, 2) < key(1, 3) && key(1, 3) < key(2, 0));
    assert_eq!(key(1, 2).to_string(), "1:%252");
    assert_eq!("1:%252".parse(), Ok(key(1, 2)));
    assert!("1:x".parse::<CodedKey>().is_err());
}

/// Parts with characters that could be taken for a separator or an escape.
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
