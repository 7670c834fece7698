//! `#[serde(with = "cache_kit::serde::json")]`: a field is stored as its JSON. Feature `json`.
//!
//! For every type with `Serialize` and `Deserialize`, and for containers of such types as they are: the
//! whole field is one text.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Serialize, Deserialize)]
//! struct Event {
//!     #[serde(with = "cache_kit::serde::json")]
//!     payload: serde_json::Value,
//!     #[serde(default, with = "cache_kit::serde::json")]
//!     labels: Option<Vec<Label>>,
//! }
//!
//! #[derive(Clone, Serialize, Deserialize)]
//! #[serde(untagged)]
//! enum Label {
//!     Number(u64),
//!     Name(String),
//! }
//! ```
//!
//! What JSON has no words for is not stored, and
//! [`CacheEvent::Unstorable`](crate::observability::CacheEvent::Unstorable) says so: an infinite float
//! or one that is not a number, a map whose keys are neither texts nor numbers, `Some(Value::Null)` in
//! an `Option`, more than 127 levels of lists and objects.

use std::any::type_name;
use std::fmt;
use std::io;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::ser::Formatter;

use super::JSON;

/// Writes `value`: as its own `Serialize` does in a human-readable format, and otherwise its JSON as
/// one text.
///
/// # Errors
/// Those of the serializer. If the value has no JSON, the error names the type and not the value.
pub fn serialize<T: Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        return value.serialize(serializer);
    }
    serializer.serialize_newtype_struct(JSON, &Whole(value))
}

/// Reads what [`serialize`] writes.
///
/// # Errors
/// Those of the deserializer. If a text is not the JSON of a `T`, the error names the type and not the
/// text.
pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    if deserializer.is_human_readable() {
        return T::deserialize(deserializer);
    }
    deserializer.deserialize_newtype_struct(JSON, Newtype(PhantomData))
}

/// A whole field. A serializer that wants to see more than the JSON says that it is human-readable: the
/// proof of what is stored does.
struct Whole<'a, T>(&'a T);

impl<T: Serialize> Serialize for Whole<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        let mut text = Vec::new();
        let mut json = serde_json::Serializer::with_formatter(&mut text, Bounded { levels: 0 });
        let written = self.0.serialize(&mut json);
        // The type's own error may repeat the value.
        let text = written.ok().and_then(|()| std::str::from_utf8(&text).ok());
        match text {
            Some(text) => serializer.serialize_str(text),
            None => Err(S::Error::custom(format_args!(
                "a `{}` that has no JSON",
                type_name::<T>()
            ))),
        }
    }
}

/// How many levels of lists and objects `serde_json` reads.
const MAX_LEVELS: u32 = 127;

/// Writes the shortest JSON, and no more levels than can be read: a value that is nested without end
/// would overflow the stack.
struct Bounded {
    levels: u32,
}

impl Bounded {
    fn open<W: io::Write + ?Sized>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        if self.levels == MAX_LEVELS {
            return Err(io::Error::other("nested too deeply"));
        }
        self.levels += 1;
        writer.write_all(bracket)
    }

    fn close<W: io::Write + ?Sized>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.levels = self.levels.saturating_sub(1);
        writer.write_all(bracket)
    }
}

impl Formatter for Bounded {
    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(writer, b"[")
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"]")
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(writer, b"{")
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"}")
    }
}

struct Newtype<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for Newtype<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a `{}` as JSON", type_name::<T>())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(Parse(PhantomData))
    }
}

struct Parse<T>(PhantomData<T>);

impl<T: DeserializeOwned> Visitor<'_> for Parse<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the JSON of a `{}`", type_name::<T>())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        // The type's own error may repeat the text.
        serde_json::from_str(text)
            .map_err(|_| E::custom(format_args!("not the JSON of a `{}`", type_name::<T>())))
    }
}
