//! Fields that are kept as a text or as JSON.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::{self, Debug, Display};
use std::str::FromStr;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::trace::trace;
use super::super::{Decoded, Shapes, payload};
use super::*;
use crate::error::Result;
use crate::serde::tests::{Adjacent, Amount, Flat, Guessed, Internal};

/// Entities of one field each.
macro_rules! entities {
    ($($(#[$attribute:meta])* $name:ident($ty:ty);)*) => {$(
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        struct $name {
            id: u64,
            $(#[$attribute])*
            value: $ty,
            last: String,
        }

        impl From<$ty> for $name {
            fn from(value: $ty) -> Self {
                Self { id: 1, value, last: "last".to_owned() }
            }
        }

        impl CacheEntity for $name {
            type Key = u64;

            fn cache_key(&self) -> u64 {
                self.id
            }

            fn cache_prefix() -> &'static str {
                "kept"
            }
        }
    )*};
}

/// `value` after it was stored and read.
fn stored<E: CacheEntity>(entity: impl Into<E>) -> Result<E> {
    const KEY: &str = "kept:1";
    let shapes = Shapes::default();
    let shape = shapes.of::<E>();
    let codec = Codec::<E>::of(shape, MAX_BYTES);
    let entry = entry(entity.into());
    shape.admit(&entry)?;
    let mut bytes = Vec::new();
    let encoding = codec.encode_into(&mut bytes, KEY, stamp(), &entry)?;
    assert_eq!(encoding, Encoding::Complete);
    codec.prove(shape, KEY, &bytes, &entry)?;
    match codec.decode(KEY, &bytes) {
        Decoded::Entry { entry, .. } => Ok(E::clone(entry.value.as_deref().expect("a value"))),
        _ => unreachable!("what is proved is read"),
    }
}

#[track_caller]
fn comes_back<E: CacheEntity + Debug + PartialEq>(entity: impl Into<E>) {
    let entity = entity.into();
    assert_eq!(stored::<E>(entity.clone()).unwrap(), entity);
}

#[track_caller]
fn refusal<E: CacheEntity + Debug>(entity: impl Into<E>) -> String {
    stored::<E>(entity).unwrap_err().to_string()
}

entities! {
    PlainAmount(Amount);
    #[serde(with = "crate::serde::text")] TextAmount(Amount);
    #[serde(with = "crate::serde::json")] JsonAmount(Amount);
    PlainAmounts(Vec<Option<Amount>>);
    #[serde(with = "crate::serde::text")] TextMaybe(Option<Amount>);
    #[serde(with = "crate::serde::text")] TextMany(Vec<Amount>);
    #[serde(with = "crate::serde::text")] TextMaybeMany(Option<Vec<Amount>>);
    #[serde(with = "crate::serde::text")] TextManyMaybes(Vec<Option<Amount>>);
    #[serde(with = "crate::serde::text")] TextHashed(HashMap<String, Option<Amount>>);
    #[serde(with = "crate::serde::text")] TextSorted(BTreeMap<(u8, u8), Vec<Amount>>);
    PlainValue(Value);
    #[serde(with = "crate::serde::json")] JsonValue(Value);
    #[serde(with = "crate::serde::json")] JsonMaybe(Option<Value>);
    #[serde(with = "crate::serde::json")] JsonMany(Vec<Value>);
    PlainInternal(Internal);
    #[serde(with = "crate::serde::json")] JsonInternal(Internal);
    #[serde(with = "crate::serde::json")] JsonAdjacent(Option<Vec<Adjacent>>);
    #[serde(with = "crate::serde::json")] JsonGuessed(Vec<Option<Guessed>>);
    PlainFlat(Flat);
    #[serde(with = "crate::serde::json")] JsonFlat(Flat);
    PlainSkipping(Vec<(u8, Skipping)>);
    #[serde(with = "crate::serde::json")] JsonSkipping(Vec<(u8, Skipping)>);
    #[serde(with = "crate::serde::json")] JsonSet(HashMap<String, HashSet<u16>>);
    #[serde(with = "crate::serde::json")] JsonPairs(HashMap<(u8, u8), u8>);
    #[serde(with = "crate::serde::json")] JsonFloat(f64);
    #[serde(with = "crate::serde::json")] JsonDeep(Nested);
    #[serde(with = "crate::serde::text")] TextText(String);
    #[serde(with = "crate::serde::json")] JsonText(String);
    #[serde(with = "crate::serde::text")] TextRounded(Rounded);
    #[serde(with = "crate::serde::text")] TextShy(Shy);
    #[serde(with = "crate::serde::text")] TextMute(Mute);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Skipping {
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<u8>,
}

/// A list in a list in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Nested(Vec<Nested>);

fn nested(levels: usize) -> Nested {
    (1..levels).fold(Nested(vec![]), |inner, _| Nested(vec![inner]))
}

/// Its `Display` leaves the last digit out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Rounded(u64);

impl Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 / 10 * 10)
    }
}

impl FromStr for Rounded {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Its `FromStr` does not accept what its `Display` writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Shy(u64);

impl Display for Shy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl FromStr for Shy {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Its `Display` fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Mute(u64);

impl Display for Mute {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Err(fmt::Error)
    }
}

impl FromStr for Mute {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[test]
fn what_has_a_display_comes_back_as_text() {
    let amounts = || vec![Amount(1), Amount(i64::MIN)];
    let maybes = || vec![None, Some(Amount(i64::MAX)), None];
    comes_back::<TextAmount>(Amount(-1));
    for maybe in maybes() {
        comes_back::<TextMaybe>(maybe);
    }
    comes_back::<TextMany>(amounts());
    comes_back::<TextMany>(vec![]);
    comes_back::<TextMaybeMany>(Some(amounts()));
    comes_back::<TextMaybeMany>(None);
    comes_back::<TextManyMaybes>(maybes());
    let hashed: HashMap<String, Option<Amount>> = (0..100)
        .map(|n| (n.to_string(), (n % 3 > 0).then_some(Amount(n))))
        .collect();
    comes_back::<TextHashed>(hashed);
    comes_back::<TextSorted>(BTreeMap::from([((1, 2), amounts()), ((0, 3), vec![])]));
}

#[test]
fn what_has_json_comes_back_as_json() {
    comes_back::<JsonValue>(json!({ "a": [1, -2, 0.5, "b", null, true], "": {} }));
    comes_back::<JsonValue>(Value::Null);
    comes_back::<JsonMaybe>(None);
    comes_back::<JsonMaybe>(Some(json!([])));
    comes_back::<JsonMany>(vec![json!(null), json!(u64::MAX), json!(i64::MIN)]);
    comes_back::<JsonAmount>(Amount(1));
    comes_back::<JsonInternal>(Internal::Empty);
    comes_back::<JsonInternal>(Internal::Whole {
        at: 7,
        amount: Amount(8),
    });
    comes_back::<JsonAdjacent>(Some(vec![
        Adjacent::Empty,
        Adjacent::One(Amount(1)),
        Adjacent::Pair(1, "a".to_owned()),
    ]));
    comes_back::<JsonGuessed>(vec![
        None,
        Some(Guessed::Number(1)),
        Some(Guessed::Text("1".to_owned())),
        Some(Guessed::Fields { a: 1, b: None }),
    ]);
    comes_back::<JsonFlat>(Flat::sample());
    comes_back::<JsonFlat>(Flat {
        note: Some("a".to_owned()),
        ..Flat::sample()
    });
    // In whatever order.
    let sets: HashMap<String, HashSet<u16>> =
        (0..50).map(|n| (n.to_string(), (0..n).collect())).collect();
    comes_back::<JsonSet>(sets);
    comes_back::<JsonDeep>(nested(127));
}

#[test]
fn what_asks_the_bytes_is_refused_with_the_attribute_that_helps() {
    let asks = [
        (refusal::<PlainAmount>(Amount(1)), "value"),
        (refusal::<PlainAmounts>(vec![Some(Amount(1))]), "value[]"),
        (refusal::<PlainValue>(json!(1)), "value"),
        (refusal::<PlainInternal>(Internal::Empty), "value"),
    ];
    for (said, path) in asks {
        assert!(
            said.contains(&format!("field `{path}` can be read only from")),
            "{said}"
        );
        for attribute in ["text", "json"] {
            let with = format!("`#[serde(with = \"cache_kit::serde::{attribute}\")]`");
            assert!(said.contains(&with), "{said}");
        }
    }
    let skipping = || vec![(7, Skipping { note: None })];
    let said = refusal::<PlainSkipping>(skipping());
    assert!(said.contains("field `value.note` is skipped"), "{said}");
    assert!(said.contains("cache_kit::serde::json"), "{said}");
    comes_back::<JsonSkipping>(skipping());
    let said = refusal::<PlainFlat>(Flat::sample());
    assert!(
        said.contains("field `value`: a sequence or map does not know its length"),
        "{said}"
    );
    assert!(said.contains("cache_kit::serde::json"), "{said}");
}

#[test]
fn what_would_come_back_as_another_value_is_refused() {
    comes_back::<TextRounded>(Rounded(10));
    let said = refusal::<TextRounded>(Rounded(11));
    assert!(
        said.contains("field `value` comes back as another value"),
        "{said}"
    );
    let said = refusal::<TextShy>(Shy(1));
    assert!(said.contains("a text is not accepted"), "{said}");
    let said = refusal::<TextMute>(Mute(1));
    assert!(said.contains("field `value`: a `Display` failed"), "{said}");

    let said = refusal::<JsonMaybe>(Some(Value::Null));
    assert!(
        said.contains("field `value` comes back as another value"),
        "{said}"
    );
    let said = refusal::<JsonPairs>(HashMap::from([((1, 2), 3)]));
    assert!(
        said.contains("field `value`: it is kept as JSON, and has none"),
        "{said}"
    );
    refusal::<JsonFloat>(f64::NAN);
    refusal::<JsonFloat>(f64::INFINITY);
    let said = refusal::<JsonDeep>(nested(128));
    assert!(
        said.contains("field `value`: it is kept as JSON, and has none"),
        "{said}"
    );
}

/// A value of any depth must not overflow the stack.
#[test]
fn json_without_end_is_refused() {
    let deep = nested(5_000);
    let said = refusal::<JsonDeep>(deep);
    assert!(said.contains("it is kept as JSON, and has none"), "{said}");
}

fn fingerprint<T: serde::de::DeserializeOwned>() -> u64 {
    let shape = trace::<T>(0);
    assert_eq!(shape.hidden, [""; 0]);
    shape.fingerprint
}

#[test]
fn the_attribute_is_a_part_of_the_fingerprint() {
    // Fields of the same name and of one entity's name: only what is read differs.
    macro_rules! read {
        ($($(#[$attribute:meta])* $ty:ty;)*) => {
            [$({
                #[derive(Deserialize)]
                #[allow(dead_code, reason = "only the shape counts")]
                struct Row { id: u64, $(#[$attribute])* value: $ty, last: String }
                fingerprint::<Row>()
            },)*]
        };
    }
    let all = read! {
        String;
        #[serde(with = "crate::serde::text")] String;
        #[serde(with = "crate::serde::json")] String;
        u64;
        #[serde(with = "crate::serde::text")] Option<u64>;
        #[serde(with = "crate::serde::text")] Vec<u64>;
        #[serde(with = "crate::serde::text")] Vec<Option<u64>>;
        #[serde(with = "crate::serde::text")] Option<Vec<u64>>;
        #[serde(with = "crate::serde::text")] BTreeMap<u8, u64>;
        #[serde(with = "crate::serde::text")] BTreeMap<u16, u64>;
    };
    let distinct: HashSet<u64> = all.into_iter().collect();
    assert_eq!(distinct.len(), all.len());

    // It counts what is read, and that is a text.
    let texts = read! {
        #[serde(with = "crate::serde::text")] u64;
        #[serde(with = "crate::serde::text")] Amount;
    };
    assert_eq!(texts[0], texts[1]);
    let jsons = read! {
        #[serde(with = "crate::serde::json")] Vec<u64>;
        #[serde(with = "crate::serde::json")] Value;
    };
    assert_eq!(jsons[0], jsons[1]);
}

/// Stored entries contain them: they are the same for ever.
#[test]
fn fingerprints_and_bytes_stay_as_they_are() {
    let fingerprints = [fingerprint::<TextMany>(), fingerprint::<JsonValue>()];
    assert_eq!(fingerprints, [0x0bf7_cb7e_6928_c3d3, 0x9cbd_61fd_26d4_52f7]);
    let written = |entity: &dyn Fn(&mut Vec<u8>) -> Result<Encoding>| {
        let mut bytes = Vec::new();
        assert_eq!(entity(&mut bytes).unwrap(), Encoding::Complete);
        bytes
    };
    let text = TextMany::from(vec![Amount(-1), Amount(20)]);
    let bytes = written(&|bytes| payload::append(bytes, MAX_BYTES, &text));
    assert_eq!(bytes, b"\x01\x02\x06-1 EUR\x0620 EUR\x04last");
    let json = JsonValue::from(json!({ "a": [null, 1.0] }));
    let bytes = written(&|bytes| payload::append(bytes, MAX_BYTES, &json));
    assert_eq!(bytes, b"\x01\x10{\"a\":[null,1.0]}\x04last");
}

/// Whatever the bytes are, reading them ends with a value or without one.
#[test]
fn damaged_payloads_are_read_or_not() {
    fn read_all<E: CacheEntity>(entity: impl Into<E>) {
        let mut whole = Vec::new();
        let written = payload::append(&mut whole, MAX_BYTES, &entity.into()).unwrap();
        assert_eq!(written, Encoding::Complete);
        for length in 0..whole.len() {
            assert!(payload::read::<E>(&whole[..length]).is_none(), "{length}");
        }
        for bit in 0..whole.len() * 8 {
            whole[bit / 8] ^= 1 << (bit % 8);
            let _either = payload::read::<E>(&whole);
            whole[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(payload::read::<E>(&whole).is_some());
    }
    read_all::<TextManyMaybes>(vec![Some(Amount(1)), None]);
    read_all::<TextSorted>(BTreeMap::from([((1, 2), vec![Amount(3)])]));
    read_all::<JsonValue>(json!({ "a": [1, "ß", null], "b": { "c": true } }));
    read_all::<JsonInternal>(Internal::Whole {
        at: 7,
        amount: Amount(8),
    });
}

#[test]
fn a_text_that_the_type_does_not_accept_is_a_miss() {
    let mut bytes = Vec::new();
    let text = TextText::from("no amount".to_owned());
    let written = payload::append(&mut bytes, MAX_BYTES, &text).unwrap();
    assert_eq!(written, Encoding::Complete);
    assert_eq!(payload::read::<TextText>(&bytes), Some(text));
    assert_eq!(payload::read::<TextAmount>(&bytes), None);
    assert_eq!(payload::read::<JsonAmount>(&bytes), None);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Of every exponent; those that are not finite have no JSON.
        proptest::num::f64::ANY
            .prop_filter("not finite", |number| number.is_finite())
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn every_value_comes_back(value in value(), texts: Vec<String>, numbers: Vec<Option<i64>>) {
        comes_back::<JsonMany>(vec![value.clone(), json!(texts)]);
        comes_back::<JsonValue>(value);
        comes_back::<TextText>(texts.concat());
        comes_back::<JsonText>(texts.concat());
        comes_back::<TextManyMaybes>(
            numbers.into_iter().map(|number| number.map(Amount)).collect::<Vec<_>>(),
        );
    }

    #[test]
    fn every_finite_float_comes_back(bits: u64) {
        let float = f64::from_bits(bits);
        prop_assume!(float.is_finite());
        let JsonFloat { value, .. } = stored::<JsonFloat>(float).unwrap();
        prop_assert_eq!(value.to_bits(), bits);
    }
}
