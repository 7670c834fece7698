//! The proof that a stored value can be read back.
//!
//! Postcard does not read back what it wrote if a type writes in one way and reads in another: a
//! helper that writes nothing for `None`, a variant that is skipped, a `Weak`. Bytes alone do not
//! show it: shifted by one field, they may still decode, and encode to the same bytes again. So the
//! proof decodes the payload and compares what the two values *tell a serializer*: each call and
//! its kind, not the resulting bytes.
//!
//! A set or a map may serialize its parts in another order and still be equal.

mod digest;

use std::any::type_name;

use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::unwind::caught;

#[cfg(feature = "testing")]
use super::Encoding;
use super::payload;
#[cfg(feature = "testing")]
use super::trace;
use super::trace::{Shape, Unreadable};

use digest::{difference, digest};

/// Refuses a value that could not be read back, and a type none of whose values could.
#[cfg(feature = "testing")]
pub(crate) fn of_sample<T: CacheEntity>(value: &T) -> Result<()> {
    let shape = trace::trace::<T>(0);
    of_type::<T>(&shape)?;
    if let Some(unreadable) = shape.partly.first() {
        return Err(refusal::<T>(&unreadable.to_string()));
    }
    let mut payload = Vec::new();
    match payload::append(&mut payload, usize::MAX, value)? {
        Encoding::Complete => of_value(&shape, value, &payload),
        Encoding::TooLarge => Err(refusal::<T>("it has no end")),
    }
}

/// Refuses a type none of whose values can be read back.
pub(super) fn of_type<T>(shape: &Shape) -> Result<()> {
    match &shape.never {
        Some(unreadable) => Err(refusal::<T>(&unreadable.to_string())),
        None if shape.cut => Err(Error::SerializationError(format!(
            "`{}` is too large: it has more than 65,536 parts, or takes some MiB without what it \
             points to, so a change of it might not be noticed when it is read. Split it, or keep a part \
             of it as text (`cache_kit::serde::json`)",
            type_name::<T>()
        ))),
        None => Ok(()),
    }
}

/// Refuses `payload` unless it decodes to `value`.
pub(super) fn of_value<T: CacheEntity>(shape: &Shape, value: &T, payload: &[u8]) -> Result<()> {
    // After a panic, everything that it left half-done is dropped.
    caught(|| compare(shape, value, payload))
        .unwrap_or_else(|| Err(refusal::<T>("its `Serialize` or `Deserialize` panicked")))
}

fn compare<T: CacheEntity>(shape: &Shape, value: &T, payload: &[u8]) -> Result<()> {
    let Some(back) = payload::read::<T>(payload) else {
        return Err(refusal::<T>(&unreadable(&shape.partly)));
    };
    // The order of a hash set varies, so on a difference the digests are compared again without
    // order.
    let is_same = |ordered| {
        let told = digest(value, ordered);
        told.is_some() && told == digest(&back, ordered)
    };
    if is_same(true) || is_same(false) {
        return Ok(());
    }
    Err(refusal::<T>(&match difference(value, &back) {
        Some(path) => format!("field `{path}` comes back as another value"),
        None => "it comes back as another value".to_owned(),
    }))
}

/// Why a payload that was just written cannot be read.
fn unreadable(partly: &[Unreadable]) -> String {
    match partly {
        [] => "what it writes is not what it reads, as where a field is skipped on one side or a text \
               is not accepted"
            .to_owned(),
        [only] => only.to_string(),
        [first, ..] => first.among_others(),
    }
}

fn refusal<T>(why: &str) -> Error {
    Error::SerializationError(format!(
        "`{}` does not come back from a store: {why}",
        type_name::<T>()
    ))
}

#[cfg(test)]
mod tests;
