//! How a field is kept in a remote store whose type asks for more than the stored format has.
//!
//! A remote store keeps entities in postcard, which writes no names and no types. Some types need
//! them: a `Decimal` or a `serde_json::Value` is read by the type that the format names, an enum with a tag inside
//! looks for the tag. Such a field is kept as a text, by serde's own attribute:
//!
//! | attribute | what is stored | for |
//! |---|---|---|
//! | `#[serde(with = "cache_kit::serde::text")]` | what its `Display` writes; read by its `FromStr` | `Decimal`, `BigDecimal`, and whatever else has both |
//! | `#[serde(with = "cache_kit::serde::json")]` | its JSON | everything else: `serde_json::Value`, internally tagged, adjacently tagged and untagged enums, structs with `flatten` or `skip_serializing_if`. Feature `json` |
//!
//! Both act only where the format is not human-readable, as postcard is not. JSON, TOML and other
//! texts are written and read by the type's own `Serialize` and `Deserialize`, so what an API answers
//! stays as it is, byte for byte. Memory keeps entities as they are, and needs neither.
//!
//! With any `with`, serde wants the field to be there. If an `Option` may be absent where JSON is read, as
//! it may without the attribute, add `default`: `#[serde(default, with = "cache_kit::serde::text")]`.
//!
//! ```
//! # #[cfg(all(feature = "derive", feature = "json"))] {
//! use cache_kit::CacheEntity;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
//! #[serde(tag = "type")]
//! enum State {
//!     Paid { at: u64 },
//!     Open,
//! }
//!
//! #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CacheEntity)]
//! #[cache(key = "id")]
//! struct Order {
//!     id: u64,
//!     #[serde(with = "cache_kit::serde::json")]
//!     states: Vec<State>,
//! }
//!
//! let order = Order { id: 1, states: vec![State::Open, State::Paid { at: 7 }] };
//! let json = r#"{"id":1,"states":[{"type":"Open"},{"type":"Paid","at":7}]}"#;
//! assert_eq!(serde_json::to_string(&order).unwrap(), json); // as without the attribute
//! assert_eq!(serde_json::from_str::<Order>(json).unwrap(), order);
//! # #[cfg(all(feature = "codec", feature = "testing"))]
//! cache_kit::testing::assert_storable(&order);
//! # }
//! ```
//!
//! A field keeps its attribute for good: adding, removing or exchanging it makes a miss of every entry
//! that is stored already, once. What is *inside* the text is not part of the schema that is compared.
//! A text that the type no longer accepts is a miss, too; one that it accepts and takes for something
//! else is not. Raise `#[cache(version = …)]` then, as after a field that was added with a default:
//! [`CacheSchema`](crate::CacheSchema) lists what is seen.

#[cfg(feature = "json")]
pub mod json;
#[cfg(test)]
#[cfg(feature = "json")]
pub(crate) mod tests;
pub mod text;

/// The serde name of what [`text`] writes. It is part of the fingerprint of stored entries, so it never
/// changes.
pub(crate) const TEXT: &str = "cache_kit::serde::text";

/// The same of [`json`].
#[cfg(any(feature = "codec", feature = "json"))]
pub(crate) const JSON: &str = "cache_kit::serde::json";
