//! A digest of what a value tells a serializer.

use std::cell::RefCell;
use std::fmt;

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::super::seal;
use crate::serde::{JSON, TEXT};

/// The digest of `value`, or `None` if it cannot be serialized. Without order, the parts of
/// sequences count independent of their position; the parts of maps always do.
pub(super) fn digest<T: Serialize>(value: &T, ordered: bool) -> Option<u64> {
    let digest = Digest {
        ordered,
        human: false,
        log: None,
    };
    value.serialize(digest).ok()
}

/// The path of the first field in which two values differ.
pub(super) fn difference<T: Serialize>(one: &T, other: &T) -> Option<String> {
    let log = |value: &T| {
        let log = Log::default();
        let digest = Digest {
            ordered: false,
            human: false,
            log: Some(&log),
        };
        let _ = value.serialize(digest);
        log.fields.into_inner()
    };
    let (one, other) = (log(one), log(other));
    let same = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let (path, _) = one.into_iter().nth(same)?;
    Some(path)
}

/// The fields that have been serialized, the inner ones first.
#[derive(Default)]
struct Log {
    open: RefCell<Vec<&'static str>>,
    fields: RefCell<Vec<(String, u64)>>,
}

/// A serializer whose result is the digest.
#[derive(Clone, Copy)]
struct Digest<'a> {
    ordered: bool,
    /// Whether it shows itself as a human-readable format, and so sees a field that is kept as a text
    /// as it is.
    human: bool,
    log: Option<&'a Log>,
}

/// The value cannot be serialized.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value refused")
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self
    }
}

/// Which call was made.
#[derive(Clone, Copy)]
enum Call {
    Bool = 1,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    Str,
    Bytes,
    None,
    Some,
    Unit,
    Newtype,
    Seq,
    Tuple,
    Map,
    Struct,
    Variant,
}

#[inline]
fn mix(state: u64, number: u64) -> u64 {
    let product =
        u128::from(state ^ 0x9e37_79b9_7f4a_7c15) * u128::from(number ^ 0xe703_7ed1_a0b4_28db);
    (product as u64) ^ ((product >> 64) as u64)
}

#[inline]
fn leaf(call: Call, bits: u64) -> u64 {
    mix(call as u64, bits)
}

fn wide(call: Call, bits: u128) -> u64 {
    mix(leaf(call, bits as u64), (bits >> 64) as u64)
}

/// The parts of a value, in the order in which they are serialized.
struct Parts<'a> {
    digest: Digest<'a>,
    ordered: bool,
    state: u64,
    /// The key that waits for its value.
    key: u64,
}

impl<'a> Digest<'a> {
    fn parts(self, state: u64, ordered: bool) -> Parts<'a> {
        Parts {
            digest: self,
            ordered,
            state,
            key: 0,
        }
    }

    fn sequence(self, len: Option<usize>) -> Parts<'a> {
        let len = len.map_or(u64::MAX, |len| len as u64);
        self.parts(leaf(Call::Seq, len), self.ordered)
    }
}

impl Parts<'_> {
    fn add(&mut self, part: u64) {
        self.state = if self.ordered {
            mix(self.state, part)
        } else {
            self.state.wrapping_add(mix(part, part >> 32))
        };
    }

    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let part = value.serialize(self.digest)?;
        self.add(part);
        Ok(())
    }

    fn field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        let Some(log) = self.digest.log else {
            return self.part(value);
        };
        log.open.borrow_mut().push(name);
        let part = value.serialize(self.digest)?;
        let mut open = log.open.borrow_mut();
        log.fields.borrow_mut().push((open.join("."), part));
        open.pop();
        self.add(part);
        Ok(())
    }
}

macro_rules! leaves {
    ($($method:ident($ty:ty) $call:ident $bits:expr;)*) => {$(
        #[inline]
        fn $method(self, value: $ty) -> Result<u64, Refused> {
            let bits: fn($ty) -> u64 = $bits;
            Ok(leaf(Call::$call, bits(value)))
        }
    )*};
}

impl<'a> Serializer for Digest<'a> {
    type Ok = u64;
    type Error = Refused;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    fn is_human_readable(&self) -> bool {
        self.human
    }

    // Signed numbers are sign-extended to 64 bits; floats keep all their bits.
    leaves! {
        serialize_bool(bool) Bool u64::from;
        serialize_i8(i8) I8 |number| i64::from(number).cast_unsigned();
        serialize_i16(i16) I16 |number| i64::from(number).cast_unsigned();
        serialize_i32(i32) I32 |number| i64::from(number).cast_unsigned();
        serialize_i64(i64) I64 i64::cast_unsigned;
        serialize_u8(u8) U8 u64::from;
        serialize_u16(u16) U16 u64::from;
        serialize_u32(u32) U32 u64::from;
        serialize_u64(u64) U64 |number| number;
        serialize_f32(f32) F32 |number| number.to_bits().into();
        serialize_f64(f64) F64 f64::to_bits;
        serialize_char(char) Char u64::from;
    }

    fn serialize_i128(self, value: i128) -> Result<u64, Refused> {
        Ok(wide(Call::I128, value.cast_unsigned()))
    }

    fn serialize_u128(self, value: u128) -> Result<u64, Refused> {
        Ok(wide(Call::U128, value))
    }

    fn serialize_str(self, value: &str) -> Result<u64, Refused> {
        Ok(seal::next(Call::Str as u64, value.as_bytes()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<u64, Refused> {
        Ok(seal::next(Call::Bytes as u64, value))
    }

    fn serialize_none(self) -> Result<u64, Refused> {
        Ok(leaf(Call::None, 0))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<u64, Refused> {
        Ok(leaf(Call::Some, value.serialize(self)?))
    }

    fn serialize_unit(self) -> Result<u64, Refused> {
        Ok(leaf(Call::Unit, 0))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<u64, Refused> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<u64, Refused> {
        Ok(of_variant(index, variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<u64, Refused> {
        let human = Self {
            human: true,
            ..self
        };
        let part = match name {
            // Two equal maps may be written in two orders, so the text says too much.
            JSON => value.serialize(human)?,
            // A `Display` that rounds says too little. The value's own `Serialize` may, too.
            TEXT => mix(value.serialize(self)?, value.serialize(human)?),
            _ => value.serialize(self)?,
        };
        Ok(leaf(Call::Newtype, part))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<u64, Refused> {
        let mut parts = self.parts(of_variant(index, variant), true);
        parts.field(variant, value)?;
        Ok(parts.state)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Parts<'a>, Refused> {
        Ok(self.sequence(len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Parts<'a>, Refused> {
        Ok(self.parts(leaf(Call::Tuple, len as u64), true))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Parts<'a>, Refused> {
        self.serialize_tuple(len)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Refused> {
        Ok(self.parts(of_variant(index, variant), true))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Parts<'a>, Refused> {
        let len = len.map_or(u64::MAX, |len| len as u64);
        Ok(self.parts(leaf(Call::Map, len), false))
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Parts<'a>, Refused> {
        Ok(self.parts(leaf(Call::Struct, len as u64), true))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Refused> {
        Ok(self.parts(of_variant(index, variant), true))
    }
}

fn of_variant(index: u32, variant: &str) -> u64 {
    seal::next(leaf(Call::Variant, index.into()), variant.as_bytes())
}

macro_rules! parts {
    ($($part:ident::$method:ident)*) => {$(
        impl $part for Parts<'_> {
            type Ok = u64;
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                self.part(value)
            }

            fn end(self) -> Result<u64, Refused> {
                Ok(self.state)
            }
        }
    )*};
}

parts! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

macro_rules! fields {
    ($($part:ident)*) => {$(
        impl $part for Parts<'_> {
            type Ok = u64;
            type Error = Refused;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Refused> {
                self.field(name, value)
            }

            fn end(self) -> Result<u64, Refused> {
                Ok(self.state)
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }

impl SerializeMap for Parts<'_> {
    type Ok = u64;
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.key = key.serialize(self.digest)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let value = value.serialize(self.digest)?;
        self.add(mix(self.key, value));
        Ok(())
    }

    fn end(self) -> Result<u64, Refused> {
        Ok(self.state)
    }
}
