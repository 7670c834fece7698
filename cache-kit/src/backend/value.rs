//! [`Value`]: a setting of a configuration file before it is known which backend reads it. It may be a
//! password in the wrong place, so no error shows one.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{
    Deserialize, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::error::Error;

/// A value of any self-describing format.
#[derive(Clone, PartialEq)]
pub(super) enum Value {
    Nothing,
    Bool(bool),
    Number(u64),
    Negative(i64),
    Fraction(f64),
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

/// Why a backend did not accept its settings. It never shows a value, which may be a password.
#[derive(Debug)]
pub(super) struct Refused(String);

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        // One of our own errors has the prefix of its kind by now.
        let said = refused.0.strip_prefix("bad setting: ");
        Self::ConfigError(
            said.map_or_else(|| format!("cache settings: {}", refused.0), str::to_owned),
        )
    }
}

impl serde::de::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("a value has the wrong type; expected {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("a value is out of bounds; expected {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("a word is unknown; expected one of {expected:?}"))
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a setting")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or(Value::Negative(value), Value::Number))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Fraction(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }
}

impl<'de> IntoDeserializer<'de, Refused> for Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Value {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self {
            Self::Nothing => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Number(value) => visitor.visit_u64(value),
            Self::Negative(value) => visitor.visit_i64(value),
            Self::Fraction(value) => visitor.visit_f64(value),
            Self::Text(value) => visitor.visit_string(value),
            Self::List(values) => visitor.visit_seq(SeqDeserializer::new(values.into_iter())),
            Self::Map(entries) => visitor.visit_map(MapDeserializer::new(entries.into_iter())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self {
            Self::Nothing => visitor.visit_none(),
            value => visitor.visit_some(value),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        match self {
            Self::Text(variant) => visitor.visit_enum(variant.into_deserializer()),
            Self::Map(entries) => visitor.visit_enum(one_of(entries)),
            _ => Err(Refused::custom("expected the name of a variant")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// Whether a name may be repeated in an error. A password in the wrong place is rarely one.
pub(super) fn is_word(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !name.is_empty() && name.bytes().all(fits)
}

/// The one variant that a map names, with its content.
fn one_of<'de>(entries: Vec<(String, Value)>) -> impl EnumAccess<'de, Error = Refused> {
    MapAccessDeserializer::new(MapDeserializer::new(entries.into_iter()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        text: String,
        number: i8,
        ratio: f64,
        on: Option<bool>,
        off: Option<bool>,
        list: Vec<u16>,
        map: HashMap<String, String>,
        mode: Mode,
        other: Mode,
        wrapped: Wrapped,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Plain,
        Of(u8),
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Wrapped(u64);

    const FILE: &str = r#"{
        "text": "t", "number": -7, "ratio": 0.5, "on": true, "off": null, "list": [1, 2],
        "map": { "a": "b" }, "mode": "plain", "other": { "of": 3 }, "wrapped": 18446744073709551615
    }"#;

    #[test]
    fn it_reads_as_the_file_itself() {
        let value: Value = serde_json::from_str(FILE).unwrap();
        let direct: Settings = serde_json::from_str(FILE).unwrap();
        assert_eq!(Settings::deserialize(value).unwrap(), direct);
        assert_eq!((direct.mode, direct.other), (Mode::Plain, Mode::Of(3)));
    }

    #[test]
    fn no_refusal_shows_a_value() {
        for (sound, broken) in [
            (r#""t""#, "4711"),
            ("-7", "4711"),
            ("-7", r#""4711""#),
            ("[1, 2]", "[1, 4711000]"),
            (r#""plain""#, r#""4711""#),
            (r#""plain""#, r#"{ "4711": 1 }"#),
            (r#""plain""#, "4711"),
        ] {
            let value: Value = serde_json::from_str(&FILE.replacen(sound, broken, 1)).unwrap();
            let error = Error::from(Settings::deserialize(value).unwrap_err());
            assert!(!format!("{error:?}").contains("4711"), "{error}");
        }
    }
}
