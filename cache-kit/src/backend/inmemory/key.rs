//! [`MapKey`]: what the map compares, in place of the text of a cache key.
//!
//! A key is a tag for entity type and namespace, and an id: a number where the text of the id is one,
//! otherwise a text. Most calls have a text and [parse](Parsed::of) it. A look-up that must be fast has
//! the key [as its caller has it](CacheKey), and does not write its text:
//!
//! - An integer or a string is compared as it is.
//! - Of another small key, such as a newtype over an integer or a uuid, only a *guess* can be had
//!   without its `Display`: what its `Hash` feeds to a hasher. A `Hash` may leave something out, and a
//!   `Display` may show something else. So an entity that is found by a guess counts only if its own
//!   key is the one that is looked up.
//! - Otherwise the id is written, and its text compared.

use std::any::{Any, TypeId};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use quick_cache::Equivalent;

use super::guess::Guess;
use crate::entity::CacheEntity;
use crate::key::{CacheKey, KeyText, namespace_tag};
use crate::shards::EntityTag;

/// A key of the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MapKey {
    tag: Tag,
    id: Id,
}

/// Stands for an entity type and a namespace. Should two types ever share a tag, the downcast of their
/// values still distinguishes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tag(u64);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Id {
    Number(u64),
    Text(Arc<str>),
}

/// A number to look up with.
#[derive(Clone, Copy)]
pub(super) struct NumberKey {
    tag: Tag,
    number: u64,
}

/// A text to look up with.
#[derive(Clone, Copy)]
pub(super) struct TextKey<'a> {
    tag: Tag,
    text: &'a str,
}

/// Sets a text without the prefix of its type apart from the ids behind the prefix.
const WITHOUT_PREFIX: u64 = 0x5bd1_e995_9d1b_54a5;

impl Tag {
    #[inline]
    fn of<T: CacheEntity>(namespace: u64) -> Self {
        Self(EntityTag::of::<T>().as_u64() ^ namespace)
    }
}

// The three kinds of key hash alike.

impl Hash for MapKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let tag = self.tag;
        match &self.id {
            Id::Number(number) => NumberKey {
                tag,
                number: *number,
            }
            .hash(state),
            Id::Text(text) => TextKey { tag, text }.hash(state),
        }
    }
}

impl Hash for NumberKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tag.hash(state);
        state.write_u64(self.number);
    }
}

impl Hash for TextKey<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tag.hash(state);
        state.write(self.text.as_bytes());
    }
}

impl Equivalent<MapKey> for NumberKey {
    #[inline]
    fn equivalent(&self, key: &MapKey) -> bool {
        self.tag == key.tag && matches!(key.id, Id::Number(number) if number == self.number)
    }
}

impl Equivalent<MapKey> for TextKey<'_> {
    #[inline]
    fn equivalent(&self, key: &MapKey) -> bool {
        self.tag == key.tag && matches!(&key.id, Id::Text(text) if **text == *self.text)
    }
}

/// A key of the map, and the text that is left out of it.
pub(super) struct Parsed<'a> {
    pub(super) key: MapKey,
    /// What stands before the id: `user:`, or `{namespace}:user:`.
    pub(super) head: &'a str,
}

impl<'a> Parsed<'a> {
    /// The key of a `T` whose whole cache key is `text`.
    pub(super) fn of<T: CacheEntity>(text: &'a str) -> Self {
        let (head, namespace) = split(text, T::cache_prefix());
        let tag = Tag::of::<T>(namespace);
        let id = Id::of::<T::Key>(&text[head.len()..]);
        Self {
            key: MapKey { tag, id },
            head,
        }
    }
}

/// What stands before the id in `text`, and the tag of the namespace.
fn split<'a>(text: &'a str, prefix: &str) -> (&'a str, u64) {
    let behind_prefix = |rest: &str| Some(rest.strip_prefix(prefix)?.strip_prefix(':')?.len());
    if let Some(id) = behind_prefix(text) {
        return (&text[..text.len() - id], 0);
    }
    if let Some((namespace, rest)) = text.split_once(':')
        && let Some(id) = behind_prefix(rest)
    {
        return (&text[..text.len() - id], namespace_tag(namespace));
    }
    ("", WITHOUT_PREFIX)
}

impl MapKey {
    pub(super) fn of<T: CacheEntity>(text: &str) -> Self {
        Parsed::of::<T>(text).key
    }

    /// A key for tests that have no entity.
    #[cfg(test)]
    pub(super) fn example(text: &str) -> Self {
        Self {
            tag: Tag(1),
            id: Id::Text(text.into()),
        }
    }

    pub(super) fn tag(&self) -> Tag {
        self.tag
    }

    /// The whole cache key, given what stands before the id.
    pub(super) fn text(&self, head: &str) -> String {
        match &self.id {
            Id::Number(number) => format!("{head}{number}"),
            Id::Text(text) => format!("{head}{text}"),
        }
    }
}

/// A map in which [`look_up`] looks: once for numbers, and once for texts, so that each has a copy of
/// the map's code that compares nothing else.
pub(super) trait LookUp {
    type Found;

    fn number(&self, key: NumberKey) -> Option<Self::Found>;

    fn text(&self, key: TextKey<'_>) -> Option<Self::Found>;
}

/// Finds what is under `key`, without its text where that can be avoided. `confirms` says whether what
/// was found has this key for certain.
#[inline]
pub(super) fn look_up<T: CacheEntity, L: LookUp>(
    map: &L,
    key: CacheKey<'_, T>,
    confirms: impl FnOnce(&L::Found) -> bool,
) -> Option<L::Found> {
    let tag = Tag::of::<T>(key.namespace_tag());
    if let Some(number) = as_number(key.id()) {
        return map.number(NumberKey { tag, number });
    }
    if let Some(text) = as_text(key.id()) {
        return map.text(TextKey { tag, text });
    }
    let guessed = match Guess::of(key.id()) {
        Some(Guess::Number(number)) => map.number(NumberKey { tag, number }),
        Some(Guess::Uuid(uuid)) => {
            let text = uuid.as_str();
            map.text(TextKey { tag, text })
        }
        None => None,
    };
    if let Some(found) = guessed
        && confirms(&found)
    {
        return Some(found);
    }
    let id = KeyText::of_id::<T>(key.id()).ok()?;
    match number(&id) {
        Some(number) => map.number(NumberKey { tag, number }),
        None => map.text(TextKey { tag, text: &id }),
    }
}

impl Id {
    /// The id with the text `id`. A number is one that has no other text.
    fn of<K: 'static>(id: &str) -> Self {
        if !is_text::<K>()
            && let Some(number) = number(id)
        {
            return Self::Number(number);
        }
        Self::Text(id.into())
    }
}

/// The number that is written as `text`.
#[inline]
fn number(text: &str) -> Option<u64> {
    // `parse` would take a sign and zeros in front, too.
    let plain = text.starts_with(|first: char| matches!(first, '1'..='9')) || text == "0";
    plain.then(|| text.parse().ok())?
}

macro_rules! texts {
    ($($text:ty),*) => {
        /// Whether keys of the type `K` are strings.
        #[inline]
        fn is_text<K: 'static>() -> bool {
            false $(|| TypeId::of::<K>() == TypeId::of::<$text>())*
        }

        /// The key, if it is a string.
        #[inline]
        fn as_text<K: Any>(key: &K) -> Option<&str> {
            let key = key as &dyn Any;
            $(if let Some(text) = key.downcast_ref::<$text>() {
                return Some(text);
            })*
            None
        }
    };
}
texts!(String, &'static str, Box<str>, Arc<str>);

macro_rules! integers {
    ($($integer:ty),*) => {
        /// The key, if it is an integer that is written like one of 64 bits without a sign.
        #[inline]
        fn as_number<K: Any>(key: &K) -> Option<u64> {
            let key = key as &dyn Any;
            $(if let Some(number) = key.downcast_ref::<$integer>() {
                return u64::try_from(*number).ok();
            })*
            None
        }
    };
}
integers!(
    u64, i64, u32, i32, usize, isize, u128, i128, u16, i16, u8, i8
);

#[cfg(all(test, not(cache_kit_model)))]
mod tests;
