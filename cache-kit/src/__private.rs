//! What the derives write code against. Not for anybody else: it changes without notice.

use std::borrow::Cow;

pub use core::clone::Clone;
pub use core::cmp::{Eq, Ord, Ordering, PartialEq, PartialOrd};
pub use core::fmt::{Debug, Display, Formatter, Result as FmtResult};
pub use core::hash::Hash;
pub use core::marker::{Send, Sync};
pub use core::option::Option;
pub use core::primitive::{str, u64, usize};
pub use core::str::FromStr;
pub use core::time::Duration;
pub use std::string::String;
pub use std::sync::Arc;

pub use crate::entity::{CacheEntity, Storable};
pub use crate::error::Result;
pub use crate::feed::CacheFeed;
pub use crate::key::ParseKeyError;
pub use crate::key::typed::{KeyParts, write_part, write_separator};
pub use crate::schema::{CacheSchema, Probe, Schema};

/// A field that a feeder takes its entity's key from.
///
/// It need not be the key itself: a reference to it, text for a `String` and a narrower integer
/// do, since each has the same `Display` text as the key made from it.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot be the key: the entity's key is `{K}`",
    label = "not a `{K}`, nor a reference to one",
    note = "give the field the type `{K}`, or implement `CacheFeed` by hand and convert in `entity_id`"
)]
pub trait KeyField<K> {
    /// The key.
    fn to_key(&self) -> K;

    /// The key by reference, if the field holds it as it is.
    fn as_key(&self) -> Option<&K> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<K: Clone> KeyField<K> for K {
    fn to_key(&self) -> K {
        self.clone()
    }

    fn as_key(&self) -> Option<&K> {
        Some(self)
    }
}

#[diagnostic::do_not_recommend]
impl<K: Clone> KeyField<K> for &K {
    fn to_key(&self) -> K {
        K::clone(self)
    }

    fn as_key(&self) -> Option<&K> {
        Some(self)
    }
}

macro_rules! text {
    ($($text:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl KeyField<String> for $text {
            fn to_key(&self) -> String {
                String::from(&**self)
            }
        }
    )*};
}

text!(&str, Box<str>, Arc<str>, Cow<'_, str>);

macro_rules! widened {
    ($($narrow:ty => $($wide:ty),*;)*) => {$($(
        #[diagnostic::do_not_recommend]
        impl KeyField<$wide> for $narrow {
            fn to_key(&self) -> $wide {
                <$wide>::from(*self)
            }
        }
    )*)*};
}

widened! {
    u8 => u16, u32, u64, u128, usize, i16, i32, i64, i128, isize;
    u16 => u32, u64, u128, usize, i32, i64, i128;
    u32 => u64, u128, i64, i128;
    u64 => u128, i128;
    i8 => i16, i32, i64, i128, isize;
    i16 => i32, i64, i128, isize;
    i32 => i64, i128;
    i64 => i128;
}

/// A field that a feeder puts the answer into.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` has no place for a `{T}`",
    label = "neither `Option<{T}>` nor `Option<Arc<{T}>>`",
    note = "`Option<Arc<{T}>>` shares the cache's own copy, `Option<{T}>` clones it"
)]
pub trait EntityField<T> {
    /// Puts an answer of one's own.
    fn put(&mut self, entity: Option<T>);

    /// Puts the answer as the cache holds it.
    fn put_shared(&mut self, entity: Option<Arc<T>>);
}

#[diagnostic::do_not_recommend]
impl<T: Clone> EntityField<T> for Option<T> {
    fn put(&mut self, entity: Option<T>) {
        *self = entity;
    }

    fn put_shared(&mut self, entity: Option<Arc<T>>) {
        *self = entity.map(Arc::unwrap_or_clone);
    }
}

#[diagnostic::do_not_recommend]
impl<T> EntityField<T> for Option<Arc<T>> {
    fn put(&mut self, entity: Option<T>) {
        *self = entity.map(Arc::new);
    }

    fn put_shared(&mut self, entity: Option<Arc<T>>) {
        *self = entity;
    }
}

/// Writes a field into a template key.
///
/// Through `to_string`, which doesn't let a `Display` that fails cut the key short.
pub fn push_part<T: Display>(key: &mut String, part: &T) {
    key.push_str(&part.to_string());
}

/// The `Debug` of a feeder that was generated around a request.
pub fn debug_feeder(f: &mut Formatter<'_>, name: &str, answered: bool) -> FmtResult {
    f.debug_struct(name)
        .field("answered", &answered)
        .finish_non_exhaustive()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_field_keeps_the_text_of_the_key() {
        fn text<K: Display, F: KeyField<K> + Display>(field: F) {
            assert_eq!(field.to_key().to_string(), field.to_string());
        }
        text::<String, _>("a:b");
        text::<String, _>(String::from("ä"));
        text::<String, _>(&String::new());
        text::<String, Cow<'_, str>>(Cow::Borrowed("x"));
        text::<String, Box<str>>("x".into());
        text::<u128, _>(u64::MAX);
        text::<i16, _>(u8::MAX);
        text::<isize, _>(i8::MIN);
    }

    #[test]
    fn only_the_key_itself_is_borrowed() {
        let id = String::from("42");
        assert!(
            id.as_key()
                .is_some_and(|key: &String| std::ptr::eq(key, &id))
        );
        assert!(
            KeyField::<String>::as_key(&&id).is_some_and(|key: &String| std::ptr::eq(key, &id))
        );
        assert_eq!(KeyField::<String>::as_key(&"42"), None);
        assert_eq!(KeyField::<u64>::as_key(&42_u32), None);
        assert_eq!(KeyField::<u32>::as_key(&42_u32), Some(&42));
    }

    #[test]
    fn an_arc_field_stores_the_arc() {
        let shared = Arc::new(String::from("entity"));
        let mut field: Option<Arc<String>> = None;
        EntityField::<String>::put_shared(&mut field, Some(Arc::clone(&shared)));
        assert!(field.is_some_and(|stored| Arc::ptr_eq(&stored, &shared)));
    }
}
