//! A serializer that refuses values that could not be read back.
//!
//! Postcard writes no field names. It silently leaves out a field that `skip_serializing_if` skips,
//! and then reads the next one in its place: the entry never decodes, or decodes as something else.
//! The derive refuses the attribute on an entity's own fields; this serializer finds it in nested
//! types. It also enforces the [`bounds`](super::bounds) of the reader. Everything else passes
//! straight through.

use std::cell::{Cell, RefCell};
use std::fmt::Display;

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::bounds::MAX_DEPTH;
use crate::serde::JSON;

/// A serializer, or a part of one, that notes why a value is refused and fails.
pub(super) struct Strict<'a, S> {
    inner: S,
    watch: &'a Watch,
    depth: u32,
}

/// What was noticed about a value.
#[derive(Default)]
pub(super) struct Watch {
    /// The first skipped field.
    pub(super) skipped: Cell<Option<&'static str>>,
    pub(super) too_deep: Cell<bool>,
    /// A field that is kept as JSON has none.
    pub(super) no_json: Cell<bool>,
    /// The fields and variants around what failed, the innermost first.
    around: RefCell<Vec<&'static str>>,
    /// The lengths of all sequences and maps together.
    pub(super) elements: Cell<usize>,
    /// How many elements are allowed.
    max_elements: usize,
}

impl Watch {
    pub(super) fn new(max_elements: usize) -> Self {
        Self {
            max_elements,
            ..Self::default()
        }
    }

    /// Whether there are more elements than allowed.
    pub(super) fn is_too_long(&self) -> bool {
        self.elements.get() > self.max_elements
    }

    /// The path of what failed; `last` is its own name, if it has one.
    pub(super) fn path(&self, last: Option<&'static str>) -> String {
        let around = self.around.borrow();
        let names: Vec<&str> = around.iter().rev().copied().chain(last).collect();
        names.join(".")
    }

    #[inline]
    fn count<E: serde::ser::Error>(&self, length: Option<usize>) -> Result<(), E> {
        let elements = self.elements.get().saturating_add(length.unwrap_or(0));
        self.elements.set(elements);
        if self.is_too_long() {
            return Err(E::custom("too many elements"));
        }
        Ok(())
    }
}

impl<'a, S> Strict<'a, S> {
    pub(super) fn new(inner: S, watch: &'a Watch) -> Self {
        Self {
            inner,
            watch,
            depth: 0,
        }
    }

    #[inline]
    fn part<'v, T: ?Sized>(&self, value: &'v T) -> Part<'a, 'v, T> {
        Part {
            value,
            watch: self.watch,
            depth: self.depth + 1,
        }
    }
}

/// A value that carries the rules on into its own parts.
struct Part<'a, 'v, T: ?Sized> {
    value: &'v T,
    watch: &'a Watch,
    depth: u32,
}

impl<T: Serialize + ?Sized> Serialize for Part<'_, '_, T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.depth > MAX_DEPTH {
            self.watch.too_deep.set(true);
            return Err(S::Error::custom("nested too deeply"));
        }
        self.value.serialize(Strict {
            inner: serializer,
            watch: self.watch,
            depth: self.depth,
        })
    }
}

macro_rules! scalars {
    ($($method:ident($scalar:ty))*) => {$(
        #[inline]
        fn $method(self, value: $scalar) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        }
    )*};
}

impl<'a, S: Serializer> Strict<'a, S> {
    #[inline]
    fn wrap<C>(
        self,
        open: impl FnOnce(S) -> Result<C, S::Error>,
    ) -> Result<Strict<'a, C>, S::Error> {
        let (watch, depth) = (self.watch, self.depth);
        open(self.inner).map(|inner| Strict {
            inner,
            watch,
            depth,
        })
    }
}

impl<'a, S: Serializer> Serializer for Strict<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Strict<'a, S::SerializeSeq>;
    type SerializeTuple = Strict<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Strict<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Strict<'a, S::SerializeTupleVariant>;
    type SerializeMap = Strict<'a, S::SerializeMap>;
    type SerializeStruct = Strict<'a, S::SerializeStruct>;
    type SerializeStructVariant = Strict<'a, S::SerializeStructVariant>;

    scalars! {
        serialize_bool(bool) serialize_char(char) serialize_str(&str) serialize_bytes(&[u8])
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_u128(u128)
        serialize_f32(f32) serialize_f64(f64)
        serialize_unit_struct(&'static str)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    #[inline]
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    #[inline]
    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    #[inline]
    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let part = self.part(value);
        self.inner.serialize_some(&part)
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let part = self.part(value);
        let watch = self.watch;
        let written = self.inner.serialize_newtype_struct(name, &part);
        if written.is_err() && name == JSON {
            watch.no_json.set(true);
        }
        written
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let part = self.part(value);
        let watch = self.watch;
        self.inner
            .serialize_newtype_variant(name, index, variant, &part)
            .inspect_err(|_| watch.around.borrow_mut().push(variant))
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.watch.count(len)?;
        self.wrap(|inner| inner.serialize_seq(len))
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.wrap(|inner| inner.serialize_tuple(len))
    }

    #[inline]
    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.wrap(|inner| inner.serialize_tuple_struct(name, len))
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.wrap(|inner| inner.serialize_tuple_variant(name, index, variant, len))
    }

    #[inline]
    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.watch.count(len)?;
        self.wrap(|inner| inner.serialize_map(len))
    }

    #[inline]
    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        self.wrap(|inner| inner.serialize_struct(name, len))
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.wrap(|inner| inner.serialize_struct_variant(name, index, variant, len))
    }
}

macro_rules! elements {
    ($($part:ident::$method:ident)*) => {$(
        impl<S: $part> $part for Strict<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                let part = self.part(value);
                self.inner.$method(&part)
            }

            #[inline]
            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        }
    )*};
}

elements! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

macro_rules! fields {
    ($($part:ident)*) => {$(
        impl<S: $part> $part for Strict<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), S::Error> {
                let part = self.part(value);
                self.inner
                    .serialize_field(name, &part)
                    .inspect_err(|_| self.watch.around.borrow_mut().push(name))
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), S::Error> {
                let skipped = &self.watch.skipped;
                skipped.set(Some(skipped.get().unwrap_or(name)));
                Err(S::Error::custom("a field is skipped"))
            }

            #[inline]
            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }

impl<S: SerializeMap> SerializeMap for Strict<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        let part = self.part(value);
        self.inner.serialize_key(&part)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        let part = self.part(value);
        self.inner.serialize_value(&part)
    }

    #[inline]
    fn end(self) -> Result<S::Ok, S::Error> {
        self.inner.end()
    }
}
