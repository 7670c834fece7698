//! Human-readable formats see no difference. `codec/tests/kept.rs` has what a store sees.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Debug, Display};
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::de::value::{Error as Plain, StrDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use serde_test::{Configure, Token, assert_tokens};

/// Like a `Decimal`: its text is written, and a number or a text is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub(crate) struct Amount(pub(crate) i64);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(i64),
    Text(String),
}

impl Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} EUR", self.0)
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix(" EUR").and_then(|n| n.parse().ok());
        number
            .map(Self)
            .ok_or_else(|| format!("not an amount: {text}"))
    }
}

impl TryFrom<Written> for Amount {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(number) => Ok(Self(number)),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> Self {
        amount.to_string()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(crate) enum Internal {
    Empty,
    Whole { at: u64, amount: Amount },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "of")]
pub(crate) enum Adjacent {
    Empty,
    One(Amount),
    Pair(u8, String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Guessed {
    Number(u64),
    Text(String),
    Fields { a: u8, b: Option<u8> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flat {
    pub(crate) id: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    #[serde(flatten)]
    pub(crate) rest: BTreeMap<String, Value>,
}

impl Flat {
    pub(crate) fn sample() -> Self {
        Self {
            id: 1,
            note: None,
            rest: [("a".to_owned(), json!([1, null, 0.1]))].into(),
        }
    }
}

macro_rules! twins {
    ($($kept:ident $plain:ident $with:literal { $($field:ident: $ty:ty,)* })*) => {$(
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        struct $plain { $($field: $ty,)* }

        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        struct $kept { $(#[serde(with = $with)] $field: $ty,)* }

        impl From<$plain> for $kept {
            fn from($plain { $($field,)* }: $plain) -> Self {
                Self { $($field,)* }
            }
        }
    )*};
}

twins! {
    Texts PlainTexts "crate::serde::text" {
        one: Amount,
        maybe: Option<Amount>,
        nothing: Option<Amount>,
        many: Vec<Amount>,
        maybe_many: Option<Vec<Amount>>,
        many_maybes: Vec<Option<Amount>>,
        hashed: HashMap<String, Amount>,
        sorted: BTreeMap<u8, Vec<Option<Amount>>>,
    }
    Jsons PlainJsons "crate::serde::json" {
        value: Value,
        maybe: Option<Value>,
        nothing: Option<Value>,
        many: Vec<Value>,
        maybe_many: Option<Vec<Option<Amount>>>,
        internal: Internal,
        internals: Vec<Internal>,
        adjacent: BTreeMap<u8, Adjacent>,
        guessed: Option<Vec<Guessed>>,
        flat: Flat,
        flats: Option<Flat>,
    }
}

fn texts() -> PlainTexts {
    PlainTexts {
        one: Amount(1),
        maybe: Some(Amount(2)),
        nothing: None,
        many: vec![Amount(3), Amount(-4)],
        maybe_many: Some(vec![Amount(5)]),
        many_maybes: vec![None, Some(Amount(6))],
        hashed: [("a".to_owned(), Amount(7))].into(),
        sorted: [(1, vec![Some(Amount(8)), None])].into(),
    }
}

fn jsons() -> PlainJsons {
    PlainJsons {
        value: json!({ "a": [1, -2, 0.5, "b", null, true] }),
        maybe: Some(json!("c")),
        nothing: None,
        many: vec![json!(null), json!({})],
        maybe_many: Some(vec![None, Some(Amount(1))]),
        internal: Internal::Empty,
        internals: vec![Internal::Whole {
            at: 1,
            amount: Amount(2),
        }],
        adjacent: [(1, Adjacent::One(Amount(3))), (2, Adjacent::Empty)].into(),
        guessed: Some(vec![
            Guessed::Text("d".to_owned()),
            Guessed::Fields { a: 1, b: None },
        ]),
        flat: Flat::sample(),
        flats: Some(Flat::sample()),
    }
}

/// The JSON of both, compact, pretty and as a tree, is one; and so is what is read of it.
fn is_no_different<P, K>(plain: P)
where
    P: Clone + Serialize + DeserializeOwned,
    K: From<P> + Debug + PartialEq + Serialize + DeserializeOwned,
{
    let text = serde_json::to_string(&plain).unwrap();
    let pretty = serde_json::to_string_pretty(&plain).unwrap();
    let tree = serde_json::to_value(&plain).unwrap();
    let kept = K::from(plain.clone());
    assert_eq!(serde_json::to_string(&kept).unwrap(), text);
    assert_eq!(serde_json::to_string_pretty(&kept).unwrap(), pretty);
    assert_eq!(serde_json::to_value(&kept).unwrap(), tree);
    assert_eq!(serde_json::from_str::<K>(&text).unwrap(), kept);
    assert_eq!(serde_json::from_value::<K>(tree).unwrap(), kept);
}

#[test]
fn what_is_kept_as_text_has_the_json_of_its_own() {
    is_no_different::<PlainTexts, Texts>(texts());
}

#[test]
fn what_is_kept_as_json_has_the_json_of_its_own() {
    is_no_different::<PlainJsons, Jsons>(jsons());
}

#[test]
fn json_accepts_all_that_the_type_accepts() {
    let text = r#"{"one":12,"maybe":null,"nothing":null,"many":[1,"2 EUR"],"maybe_many":null,
        "many_maybes":[],"hashed":{},"sorted":{}}"#;
    let texts: Texts = serde_json::from_str(text).unwrap();
    assert_eq!(texts.one, Amount(12));
    assert_eq!(texts.many, [Amount(1), Amount(2)]);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Both {
    #[serde(with = "crate::serde::text")]
    text: Vec<Amount>,
    #[serde(with = "crate::serde::json")]
    json: Vec<Amount>,
}

/// JSON writes newtypes as if they were none, and other human-readable formats do not.
#[test]
fn a_human_readable_format_is_told_what_the_type_tells() {
    let both = || Both {
        text: vec![Amount(1)],
        json: vec![Amount(2)],
    };
    let begin = Token::Struct {
        name: "Both",
        len: 2,
    };
    assert_tokens(
        &both().readable(),
        &[
            begin,
            Token::Str("text"),
            Token::Seq { len: Some(1) },
            Token::Str("1 EUR"),
            Token::SeqEnd,
            Token::Str("json"),
            Token::Seq { len: Some(1) },
            Token::Str("2 EUR"),
            Token::SeqEnd,
            Token::StructEnd,
        ],
    );
    let (text, json) = ("cache_kit::serde::text", "cache_kit::serde::json");
    assert_tokens(
        &both().compact(),
        &[
            begin,
            Token::Str("text"),
            Token::NewtypeStruct { name: text },
            Token::Seq { len: Some(1) },
            Token::Str("1 EUR"),
            Token::SeqEnd,
            Token::Str("json"),
            Token::NewtypeStruct { name: json },
            Token::Str("[\"2 EUR\"]"),
            Token::StructEnd,
        ],
    );
}

/// A deserializer that is not human-readable and has one text.
struct Text(&'static str);

impl<'de> Deserializer<'de> for Text {
    type Error = Plain;

    fn deserialize_any<V: serde::de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Plain> {
        StrDeserializer::new(self.0).deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: serde::de::Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Plain> {
        visitor.visit_newtype_struct(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[test]
fn errors_name_the_type_and_not_the_value() {
    let read = super::text::deserialize::<Amount, _, _>(Text("1 EUR")).unwrap();
    assert_eq!(read, Amount(1));
    let error = super::text::deserialize::<Amount, _, _>(Text("secret")).unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("not the text of a `") && said.contains("Amount`"),
        "{said}"
    );
    assert!(!said.contains("secret"), "{said}");

    let read = super::json::deserialize::<Amount, _>(Text("\"1 EUR\"")).unwrap();
    assert_eq!(read, Amount(1));
    let error = super::json::deserialize::<Amount, _>(Text("\"secret\"")).unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("not the JSON of a `") && said.contains("Amount`"),
        "{said}"
    );
    assert!(!said.contains("secret"), "{said}");
    for damaged in ["", "\"1 EUR", "\"1 EUR\" 2", "nul"] {
        super::json::deserialize::<Amount, _>(Text(damaged)).unwrap_err();
    }
}
