//! The schema fingerprint: what tells the entries of one type from those of another.
//!
//! It is made of the number that the entity states and of what its `Deserialize` asks for first:
//! the name of a struct and of its fields, of an enum and of its variants. So an entity that
//! states no number is still told from another type under its key, and from itself with a field
//! more, less, renamed or moved. The types of fields are not seen: a change of those takes a new
//! number, which the derive provides.

use std::any::TypeId;
use std::cell::Cell;
use std::fmt;

use serde::de::{self, Deserializer, Visitor};

use crate::entity::CacheEntity;

use super::seal;

thread_local! {
    /// Fingerprints that this thread has made. Every look-up of a remote store asks for one, and
    /// to make one costs about as much as decoding a small entity.
    static KNOWN: [Cell<Option<(TypeId, u64)>>; SLOTS] =
        const { [const { Cell::new(None) }; SLOTS] };
}

const SLOTS: usize = 16;

/// The schema fingerprint of `T`.
pub(super) fn fingerprint<T: CacheEntity>() -> u64 {
    // The address of the prefix spreads the types; two in one slot cost each other a few names.
    let slot = T::cache_prefix().as_ptr().addr() / 8 % SLOTS;
    let id = TypeId::of::<T>();
    KNOWN
        .try_with(|known| match known[slot].get() {
            Some((of, hash)) if of == id => hash,
            _ => {
                let hash = probe::<T>();
                known[slot].set(Some((id, hash)));
                hash
            }
        })
        .unwrap_or_else(|_| probe::<T>())
}

fn probe<T: CacheEntity>() -> u64 {
    let mut hash = T::cache_schema();
    // Always an error: the probe has no value to give.
    let _ = T::deserialize(Probe(&mut hash));
    hash
}

/// A deserializer that notes the first thing it is asked for and then fails.
struct Probe<'a>(&'a mut u64);

impl Probe<'_> {
    fn note<V>(self, kind: &str, names: &[&str]) -> Result<V, Noted> {
        let kind = seal::next(*self.0, kind.as_bytes());
        *self.0 = names
            .iter()
            .fold(kind, |hash, name| seal::next(hash, name.as_bytes()));
        Err(Noted)
    }
}

/// The probe has seen what it came for.
#[derive(Debug)]
struct Noted;

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the shape is known")
    }
}

impl std::error::Error for Noted {}

impl de::Error for Noted {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self
    }
}

macro_rules! nameless {
    ($($method:ident $kind:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Noted> {
            self.note($kind, &[])
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Noted;

    // Some types have another shape in text, and postcard is none.
    fn is_human_readable(&self) -> bool {
        false
    }

    nameless! {
        deserialize_any "any" deserialize_ignored_any "ignored" deserialize_identifier "identifier"
        deserialize_bool "bool" deserialize_char "char"
        deserialize_i8 "i8" deserialize_i16 "i16" deserialize_i32 "i32" deserialize_i64 "i64"
        deserialize_i128 "i128"
        deserialize_u8 "u8" deserialize_u16 "u16" deserialize_u32 "u32" deserialize_u64 "u64"
        deserialize_u128 "u128"
        deserialize_f32 "f32" deserialize_f64 "f64"
        deserialize_str "string" deserialize_string "string"
        deserialize_bytes "bytes" deserialize_byte_buf "bytes"
        deserialize_option "option" deserialize_unit "unit"
        deserialize_seq "seq" deserialize_map "map"
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: V,
    ) -> Result<V::Value, Noted> {
        self.note("unit struct", &[name])
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: V,
    ) -> Result<V::Value, Noted> {
        self.note("newtype struct", &[name])
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, _: V) -> Result<V::Value, Noted> {
        self.note("tuple", &[itoa::Buffer::new().format(len)])
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        _: V,
    ) -> Result<V::Value, Noted> {
        self.note("tuple struct", &[name, itoa::Buffer::new().format(len)])
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Noted> {
        *self.0 = seal::next(*self.0, name.as_bytes());
        self.note("struct", fields)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Noted> {
        *self.0 = seal::next(*self.0, name.as_bytes());
        self.note("enum", variants)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde::{Deserialize, Serialize};

    use super::*;

    macro_rules! entities {
        ($($schema:literal $name:ident: $item:item)*) => {$(
            #[derive(Clone, Serialize, Deserialize)]
            $item

            impl CacheEntity for $name {
                type Key = u8;
                fn cache_key(&self) -> u8 {
                    0
                }
                fn cache_prefix() -> &'static str {
                    "x"
                }
                fn cache_schema() -> u64 {
                    $schema
                }
            }
        )*};
    }

    mod first {
        use super::*;
        entities! {
            0 User: pub(super) struct User { id: u32, name: String }
            0 Customer: pub(super) struct Customer { id: u32, name: String }
            0 Pair: pub(super) struct Pair(u32, String);
            0 Wrapped: pub(super) struct Wrapped(String);
            0 Bare: #[serde(transparent)] pub(super) struct Bare(String);
            0 Nothing: pub(super) struct Nothing;
            0 Choice: pub(super) enum Choice { One, Two(u8) }
        }
    }
    mod renamed {
        use super::*;
        entities! {
            0 User: pub(super) struct User { id: u32, title: String }
            0 Pair: pub(super) struct Pair(u32, String, u8);
            0 Choice: pub(super) enum Choice { One, Three(u8) }
        }
    }
    mod moved {
        use super::*;
        entities! { 0 User: pub(super) struct User { name: String, id: u32 } }
    }
    mod grown {
        use super::*;
        entities! { 0 User: pub(super) struct User { id: u32, name: String, email: String } }
    }
    mod numbered {
        use super::*;
        entities! { 1 User: pub(super) struct User { id: u32, name: String } }
    }
    mod elsewhere {
        use super::*;
        entities! { 0 User: pub(super) struct User { id: u32, name: String } }
    }

    #[test]
    fn every_shape_and_every_number_has_a_fingerprint_of_its_own() {
        let all = [
            fingerprint::<first::User>(),
            fingerprint::<first::Customer>(),
            fingerprint::<first::Pair>(),
            fingerprint::<first::Wrapped>(),
            fingerprint::<first::Bare>(),
            fingerprint::<first::Nothing>(),
            fingerprint::<first::Choice>(),
            fingerprint::<renamed::User>(),
            fingerprint::<renamed::Pair>(),
            fingerprint::<renamed::Choice>(),
            fingerprint::<moved::User>(),
            fingerprint::<grown::User>(),
            fingerprint::<numbered::User>(),
        ];
        let distinct: HashSet<u64> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn one_shape_in_two_services_has_one_fingerprint() {
        assert_eq!(
            fingerprint::<first::User>(),
            fingerprint::<elsewhere::User>()
        );
    }
}
