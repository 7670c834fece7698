//! `#[serde(with = "cache_kit::serde::text")]`: a field is stored as what its `Display` writes, and
//! read by its `FromStr`.
//!
//! For a `T` that has both, `Option<T>`, `Vec<T>`, the values of a `HashMap` and a `BTreeMap`, and
//! these in each other, such as `Option<Vec<T>>`.
//!
//! ```
//! use std::collections::HashMap;
//! use std::fmt;
//! use std::str::FromStr;
//!
//! use serde::{Deserialize, Serialize};
//!
//! /// Stands for a `Decimal`: its own `Deserialize` takes numbers and texts.
//! #[derive(Clone, Serialize, Deserialize)]
//! #[serde(untagged)]
//! enum Price {
//!     Cents(u64),
//!     Text(String),
//! }
//!
//! impl fmt::Display for Price {
//!     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
//!         match self {
//!             Self::Cents(cents) => write!(f, "{cents}"),
//!             Self::Text(text) => write!(f, "={text}"),
//!         }
//!     }
//! }
//!
//! impl FromStr for Price {
//!     type Err = std::num::ParseIntError;
//!
//!     fn from_str(text: &str) -> Result<Self, Self::Err> {
//!         match text.strip_prefix('=') {
//!             Some(text) => Ok(Self::Text(text.to_owned())),
//!             None => text.parse().map(Self::Cents),
//!         }
//!     }
//! }
//!
//! #[derive(Clone, Serialize, Deserialize)]
//! struct Product {
//!     #[serde(with = "cache_kit::serde::text")]
//!     price: Price,
//!     #[serde(default, with = "cache_kit::serde::text")]
//!     discount: Option<Price>,
//!     #[serde(with = "cache_kit::serde::text")]
//!     history: Vec<Price>,
//!     #[serde(with = "cache_kit::serde::text")]
//!     abroad: HashMap<String, Price>,
//! }
//! ```
//!
//! A `Display` that leaves something out, as one that rounds, is noticed when an entity is stored: a
//! value that would not come back as it was is refused with
//! [`CacheEvent::Unstorable`](crate::observability::CacheEvent::Unstorable).

use std::any::type_name;
use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display};
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

use super::TEXT;

/// Writes `value`: as its own `Serialize` does in a human-readable format, and otherwise the texts of
/// its `Display`. `Kind` is inferred.
///
/// # Errors
/// Those of the serializer, which are also those of a `Display` that fails.
pub fn serialize<T, Kind, S>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Text<Kind> + Serialize,
    S: Serializer,
{
    if serializer.is_human_readable() {
        return value.serialize(serializer);
    }
    let value = Whole(value, PhantomData);
    serializer.serialize_newtype_struct(TEXT, &value)
}

/// Reads what [`serialize`] writes. `Kind` is inferred.
///
/// # Errors
/// Those of the deserializer. If `FromStr` does not accept a text, the error names the type and not
/// the text.
pub fn deserialize<'de, T, Kind, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Text<Kind> + Deserialize<'de>,
    D: Deserializer<'de>,
{
    if deserializer.is_human_readable() {
        return T::deserialize(deserializer);
    }
    deserializer.deserialize_newtype_struct(TEXT, Newtype(PhantomData))
}

/// What can be kept as text: types with `Display` and `FromStr`, and the containers of such types that
/// [this module](self) lists. There is nothing to implement.
///
/// `Kind` distinguishes the containers, because a type might be both a container and a text. The
/// compiler infers it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept as text: it is missing `Display` or `FromStr`",
    label = "neither a text, nor an `Option`, `Vec` or map of texts",
    note = "`#[serde(with = \"cache_kit::serde::json\")]` needs neither of them"
)]
pub trait Text<Kind>: Sized {
    /// Writes the texts.
    ///
    /// # Errors
    /// Those of the serializer.
    #[doc(hidden)]
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads the texts.
    ///
    /// # Errors
    /// Those of the deserializer, and a text that the type does not accept.
    #[doc(hidden)]
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// The kind of a type with `Display` and `FromStr`.
#[doc(hidden)]
#[derive(Debug)]
pub enum One {}

/// The kind of an `Option` of something of kind `K`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Maybe<K>(PhantomData<K>);

/// The kind of a `Vec`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Many<K>(PhantomData<K>);

/// The kind of the values of a map.
#[doc(hidden)]
#[derive(Debug)]
pub struct Values<K>(PhantomData<K>);

#[diagnostic::do_not_recommend]
impl<T: Display + FromStr> Text<One> for T {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parse(PhantomData))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Text<K>, K> Text<Maybe<K>> for Option<T> {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(value) => serializer.serialize_some(&Part::of(value)),
            None => serializer.serialize_none(),
        }
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let part = Option::<Part<T, K>>::deserialize(deserializer)?;
        Ok(part.map(|part| part.0))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Text<K>, K> Text<Many<K>> for Vec<T> {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Part::of))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parts = Vec::<Part<T, K>>::deserialize(deserializer)?;
        Ok(parts.into_iter().map(|part| part.0).collect())
    }
}

#[diagnostic::do_not_recommend]
impl<T, K, N, H> Text<Values<K>> for HashMap<N, T, H>
where
    T: Text<K>,
    N: Serialize + DeserializeOwned + Eq + Hash,
    H: BuildHasher + Default,
{
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(name, value)| (name, Part::of(value))))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parts = HashMap::<N, Part<T, K>, H>::deserialize(deserializer)?;
        Ok(parts
            .into_iter()
            .map(|(name, part)| (name, part.0))
            .collect())
    }
}

#[diagnostic::do_not_recommend]
impl<T, K, N> Text<Values<K>> for BTreeMap<N, T>
where
    T: Text<K>,
    N: Serialize + DeserializeOwned + Ord,
{
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(name, value)| (name, Part::of(value))))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parts = BTreeMap::<N, Part<T, K>>::deserialize(deserializer)?;
        Ok(parts
            .into_iter()
            .map(|(name, part)| (name, part.0))
            .collect())
    }
}

/// A whole field. A serializer that wants to see more than the texts says that it is human-readable:
/// the proof of what is stored does.
struct Whole<'a, T, K>(&'a T, PhantomData<K>);

impl<T: Text<K> + Serialize, K> Serialize for Whole<'_, T, K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        self.0.write(serializer)
    }
}

/// A part of a container, or a reference to one.
struct Part<T, K>(T, PhantomData<K>);

impl<'a, T, K> Part<&'a T, K> {
    fn of(value: &'a T) -> Self {
        Self(value, PhantomData)
    }
}

impl<T: Text<K>, K> Serialize for Part<&T, K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

impl<'de, T: Text<K>, K> Deserialize<'de> for Part<T, K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(|value| Self(value, PhantomData))
    }
}

struct Newtype<T, K>(PhantomData<(T, K)>);

impl<'de, T: Text<K>, K> Visitor<'de> for Newtype<T, K> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a `{}` as text", type_name::<T>())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::read(deserializer)
    }
}

struct Parse<T>(PhantomData<T>);

impl<T: FromStr> Visitor<'_> for Parse<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the text of a `{}`", type_name::<T>())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        // The type's own error may repeat the text.
        text.parse()
            .map_err(|_| E::custom(format_args!("not the text of a `{}`", type_name::<T>())))
    }
}
