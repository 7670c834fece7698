//! The bounds of a value, and a deserializer that enforces them.
//!
//! A value is read recursively, level by level, and a stack overflow ends the process. A sequence
//! of elements that take no bytes, `Vec<()>`, has a length that the size of the entry does not
//! bound. Both bounds are enforced on what is written ([`strict`](super::strict)) and on everything
//! that is read, whatever wrote it.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

/// How many levels a value may have. Every part adds a level: a field, an element, a key or value
/// of a map, the content of an `Option`, of a newtype, of a variant. A `Box` adds none.
pub(super) const MAX_DEPTH: u32 = 256;

/// How many elements that take no bytes the sequences and maps of a value may have together.
pub(super) const EMPTY_ELEMENTS: usize = 1 << 16;

/// How many elements a value of `bytes` bytes may have.
#[inline]
pub(super) fn max_elements(bytes: usize) -> usize {
    bytes.saturating_add(EMPTY_ELEMENTS)
}

/// A deserializer, or a part of one, that enforces the bounds. It is made for postcard, which
/// answers every request with exactly the kind of value that was asked for. A scalar has no parts,
/// and passes straight through.
pub(super) struct Within<'a, D> {
    inner: D,
    depth: u32,
    /// How many more elements are allowed.
    elements: &'a Cell<usize>,
}

impl<'a, D> Within<'a, D> {
    pub(super) fn new(inner: D, elements: &'a Cell<usize>) -> Self {
        Self {
            inner,
            depth: 0,
            elements,
        }
    }

    #[inline]
    fn wrap<V>(self, visitor: V, counted: bool) -> (D, Parts<'a, V>) {
        let parts = Parts {
            inner: visitor,
            depth: self.depth,
            elements: self.elements,
            counted,
        };
        (self.inner, parts)
    }
}

/// A seed, a visitor or an access that carries the bounds on.
struct Parts<'a, P> {
    inner: P,
    depth: u32,
    elements: &'a Cell<usize>,
    /// Whether its elements count against `elements`: their number comes from the payload, not from
    /// the type.
    counted: bool,
}

impl<'a, P> Parts<'a, P> {
    /// Another part of the same value.
    #[inline]
    fn with<Q>(&self, inner: Q) -> Parts<'a, Q> {
        Parts {
            inner,
            depth: self.depth,
            elements: self.elements,
            counted: self.counted,
        }
    }

    /// Reads a part of this value, one level deeper.
    #[inline]
    fn inside<'de, D: Deserializer<'de>>(&self, inner: D) -> Result<Within<'a, D>, D::Error> {
        if self.depth >= MAX_DEPTH {
            return Err(D::Error::custom("nested too deeply"));
        }
        Ok(Within {
            inner,
            depth: self.depth + 1,
            elements: self.elements,
        })
    }

    /// Counts the elements of a sequence or map of this length. Postcard gives no length if it is
    /// greater than the number of remaining bytes; then they are counted one by one.
    #[inline]
    fn take_all<E: serde::de::Error>(&mut self, length: Option<usize>) -> Result<(), E> {
        if let Some(length) = length
            && self.counted
        {
            self.take(length)?;
            self.counted = false;
        }
        Ok(())
    }

    #[inline]
    fn take_one<E: serde::de::Error, T>(&self, next: Option<T>) -> Result<Option<T>, E> {
        if self.counted && next.is_some() {
            self.take(1)?;
        }
        Ok(next)
    }

    fn take<E: serde::de::Error>(&self, elements: usize) -> Result<(), E> {
        let left = self.elements.get().checked_sub(elements);
        self.elements
            .set(left.ok_or_else(|| E::custom("too many elements"))?);
        Ok(())
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Parts<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let deserializer = self.inside(deserializer)?;
        self.inner.deserialize(deserializer)
    }
}

macro_rules! scalars {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Within<'_, D> {
    type Error = D::Error;

    scalars! {
        deserialize_any deserialize_ignored_any deserialize_identifier
        deserialize_bool deserialize_char deserialize_unit
        deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let (inner, visitor) = self.wrap(visitor, false);
        inner.deserialize_option(visitor)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let (inner, visitor) = self.wrap(visitor, false);
        inner.deserialize_newtype_struct(name, visitor)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let (inner, visitor) = self.wrap(visitor, true);
        inner.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let (inner, visitor) = self.wrap(visitor, false);
        inner.deserialize_tuple(len, visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let (inner, visitor) = self.wrap(visitor, false);
        inner.deserialize_tuple_struct(name, len, visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let (inner, visitor) = self.wrap(visitor, true);
        inner.deserialize_map(visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let (inner, visitor) = self.wrap(visitor, false);
        inner.deserialize_struct(name, fields, visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let (inner, visitor) = self.wrap(visitor, false);
        inner.deserialize_enum(name, variants, visitor)
    }
}

/// Postcard's answers to a request for a compound value.
impl<'de, V: Visitor<'de>> Visitor<'de> for Parts<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    #[inline]
    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.inside(deserializer)?;
        self.inner.visit_some(deserializer)
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<V::Value, D::Error> {
        let deserializer = self.inside(deserializer)?;
        self.inner.visit_newtype_struct(deserializer)
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(mut self, seq: A) -> Result<V::Value, A::Error> {
        self.take_all(seq.size_hint())?;
        let seq = self.with(seq);
        self.inner.visit_seq(seq)
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<V::Value, A::Error> {
        self.take_all(map.size_hint())?;
        let map = self.with(map);
        self.inner.visit_map(map)
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        let data = self.with(data);
        self.inner.visit_enum(data)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Parts<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let seed = self.with(seed);
        let next = self.inner.next_element_seed(seed)?;
        self.take_one(next)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Parts<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let seed = self.with(seed);
        let next = self.inner.next_key_seed(seed)?;
        self.take_one(next)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.with(seed);
        self.inner.next_value_seed(seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'a, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Parts<'a, A> {
    type Error = A::Error;
    type Variant = Parts<'a, A::Variant>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let bounds = self.with(());
        // The name of a variant is a scalar.
        let (name, variant) = self.inner.variant_seed(seed)?;
        Ok((name, bounds.with(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Parts<'_, A> {
    type Error = A::Error;

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.with(seed);
        self.inner.newtype_variant_seed(seed)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.with(visitor);
        self.inner.tuple_variant(len, visitor)
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.with(visitor);
        self.inner.struct_variant(fields, visitor)
    }
}
