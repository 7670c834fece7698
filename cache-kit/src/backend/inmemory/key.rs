//! [`MapKey`]: what the map compares, in place of the text of a cache key.
//!
//! A key is a tag for entity type and namespace, and an id: a number or a uuid where the text of the id is
//! one, otherwise a text. Most calls have a text and [parse](Parsed::of) it. A look-up that must be fast has
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

use arrayvec::ArrayString;
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

/// In two words, of which the second is only the length of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Id {
    Number(u64),
    /// A text, or what [`compact`] makes of one.
    Bytes(Arc<[u8]>),
}

const _: () = assert!(size_of::<MapKey>() == 24);

/// A number to look up with.
#[derive(Clone, Copy)]
pub(super) struct NumberKey {
    tag: Tag,
    number: u64,
}

/// A uuid to look up with. It is compared in two words, and without a call.
#[derive(Clone, Copy)]
pub(super) struct UuidKey {
    tag: Tag,
    uuid: u128,
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

// All kinds of key hash alike.

impl Hash for MapKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tag.hash(state);
        match &self.id {
            Id::Number(number) => state.write_u64(*number),
            Id::Bytes(bytes) => match uuid_in(bytes) {
                Some(uuid) => state.write_u128(uuid),
                None => state.write(bytes),
            },
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

impl Hash for UuidKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tag.hash(state);
        state.write_u128(self.uuid);
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

impl Equivalent<MapKey> for UuidKey {
    #[inline]
    fn equivalent(&self, key: &MapKey) -> bool {
        self.tag == key.tag
            && matches!(&key.id, Id::Bytes(bytes) if uuid_in(bytes) == Some(self.uuid))
    }
}

impl Equivalent<MapKey> for TextKey<'_> {
    #[inline]
    fn equivalent(&self, key: &MapKey) -> bool {
        self.tag == key.tag
            && matches!(&key.id, Id::Bytes(bytes) if **bytes == *self.text.as_bytes())
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
            id: Id::Bytes(text.as_bytes().into()),
        }
    }

    pub(super) fn tag(&self) -> Tag {
        self.tag
    }

    /// The whole cache key, given what stands before the id.
    pub(super) fn text(&self, head: &str) -> String {
        match &self.id {
            Id::Number(number) => format!("{head}{number}"),
            Id::Bytes(bytes) => match expanded(bytes) {
                Some(uuid) => format!("{head}{uuid}"),
                None => format!("{head}{}", String::from_utf8_lossy(bytes)),
            },
        }
    }
}

/// A map in which [`look_up`] looks: once for each kind of key, so that each has a copy of the map's code
/// that compares nothing else. If `own` is given, only an entity counts whose own key it is.
pub(super) trait LookUp<K> {
    type Found;

    fn number(&self, key: NumberKey, own: Option<&K>) -> Option<Self::Found>;

    fn uuid(&self, key: UuidKey, own: Option<&K>) -> Option<Self::Found>;

    fn text(&self, key: TextKey<'_>) -> Option<Self::Found>;
}

/// Finds what is under `key`, without its text where that can be avoided.
#[inline]
pub(super) fn look_up<T: CacheEntity, L: LookUp<T::Key>>(
    map: &L,
    key: CacheKey<'_, T>,
) -> Option<L::Found> {
    let tag = Tag::of::<T>(key.namespace_tag());
    let id = key.id();
    if let Some(number) = as_number(id) {
        return map.number(NumberKey { tag, number }, None);
    }
    if let Some(text) = as_text(id) {
        return map.text(TextKey { tag, text });
    }
    let guessed = match Guess::of(id) {
        Some(Guess::Number(number)) => map.number(NumberKey { tag, number }, Some(id)),
        Some(Guess::Uuid(uuid)) => map.uuid(UuidKey { tag, uuid }, Some(id)),
        None => None,
    };
    match guessed {
        Some(found) => Some(found),
        None => by_text::<T, L>(map, tag, id),
    }
}

/// Finds what is under the text of `id`. Not inlined: a hit by a guess need not have it in its frame.
#[inline(never)]
fn by_text<T: CacheEntity, L: LookUp<T::Key>>(map: &L, tag: Tag, id: &T::Key) -> Option<L::Found> {
    let text = KeyText::of_id::<T>(id).ok()?;
    if let Some(number) = number(&text) {
        return map.number(NumberKey { tag, number }, None);
    }
    match uuid(&text).map(u128::from_ne_bytes) {
        Some(uuid) => map.uuid(UuidKey { tag, uuid }, None),
        None => {
            let text = text.as_str();
            map.text(TextKey { tag, text })
        }
    }
}

impl Id {
    /// The id with the text `id`. A number, or a uuid, is one that has no other text.
    fn of<K: 'static>(id: &str) -> Self {
        if !is_text::<K>() {
            if let Some(number) = number(id) {
                return Self::Number(number);
            }
            if let Some(uuid) = uuid(id) {
                return Self::Bytes(compact(uuid).into());
            }
        }
        Self::Bytes(id.as_bytes().into())
    }
}

/// The number that is written as `text`.
#[inline]
fn number(text: &str) -> Option<u64> {
    // `parse` would take a sign and zeros in front, too.
    let plain = text.starts_with(|first: char| matches!(first, '1'..='9')) || text == "0";
    plain.then(|| text.parse().ok())?
}

/// The uuid that is written as `text`, in its usual form.
fn uuid(text: &str) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return None;
    }
    let mut uuid = 0_u128;
    for digit in text.chars().filter(|c| *c != '-') {
        uuid = uuid << 4 | u128::from(digit.to_digit(16)?);
    }
    let uuid = uuid.to_be_bytes();
    (*hyphenated(uuid) == *text).then_some(uuid)
}

/// The usual form of a uuid: `67e55044-10b1-426f-9247-bb680e5fe0c8`.
fn hyphenated(uuid: [u8; 16]) -> ArrayString<36> {
    let mut text = ArrayString::new();
    for (place, byte) in uuid.into_iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
    }
    text
}

/// No text contains it.
const COMPACT: u8 = 0xff;

/// A uuid in place of its text, as which it is never mistaken.
fn compact(uuid: [u8; 16]) -> [u8; 17] {
    let mut bytes = [COMPACT; 17];
    bytes[1..].copy_from_slice(&uuid);
    bytes
}

/// The uuid that is compact in `bytes`: its bytes, as they lie in memory, as one number.
#[inline]
fn uuid_in(bytes: &[u8]) -> Option<u128> {
    let bytes: &[u8; 17] = bytes.try_into().ok()?;
    let [COMPACT, uuid @ ..] = *bytes else {
        return None;
    };
    Some(u128::from_ne_bytes(uuid))
}

/// The text of a uuid that is compact.
fn expanded(bytes: &[u8]) -> Option<ArrayString<36>> {
    let uuid = bytes.strip_prefix(&[COMPACT])?;
    Some(hyphenated(uuid.try_into().ok()?))
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
