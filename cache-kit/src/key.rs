//! [`CacheKey`], the key of one entity as its caller has it, and its text `{prefix}:{key}`, built on
//! the stack. [`ParseKeyError`], for typed keys read from text.

use std::any::Any;
use std::fmt::{self, Display, Write};
use std::hash::{BuildHasher, RandomState};
use std::ops::Deref;
use std::sync::LazyLock;

use arrayvec::ArrayString;

use crate::entity::CacheEntity;
use crate::error::{Error, Result};

pub(crate) mod typed;

pub use typed::{ParseKeyError, ParseKeyErrorKind};

/// Replaces a part whose `Display` failed in the text of a template key: such a key is a `String`
/// and has no other way to remember the failure. A text that contains it is never a key.
///
/// Noncharacters have no upper or lower case, and do not occur in interchanged text.
pub(crate) const UNWRITTEN: &str = "\u{fdd0}\u{fdd1}\u{fdd0}\u{fdd1}";

/// Whether a part of a template key is missing in `text`.
#[inline]
pub(crate) fn is_unwritten(text: &str) -> bool {
    !text.is_ascii() && text.contains(UNWRITTEN)
}

/// The key of one entity, as its caller has it: the id, and the namespace of the service. Its text is
/// written only where it is needed.
///
/// ```
/// use cache_kit::CacheKey;
/// # use cache_kit::CacheEntity;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct User { id: u64 }
/// # impl CacheEntity for User {
/// #     type Key = u64;
/// #     fn cache_key(&self) -> u64 { self.id }
/// #     fn cache_prefix() -> &'static str { "user" }
/// # }
///
/// # fn main() -> cache_kit::Result<()> {
/// assert_eq!(&*CacheKey::<User>::new(&42).text()?, "user:42");
/// # Ok(())
/// # }
/// ```
pub struct CacheKey<'a, T: CacheEntity> {
    namespace: Option<&'a Namespace>,
    id: &'a T::Key,
}

impl<'a, T: CacheEntity> CacheKey<'a, T> {
    /// The key of the entity `id`, of a service without a namespace.
    #[inline]
    pub fn new(id: &'a T::Key) -> Self {
        Self::within(None, id)
    }

    #[inline]
    pub(crate) fn within(namespace: Option<&'a Namespace>, id: &'a T::Key) -> Self {
        Self { namespace, id }
    }

    /// What identifies the entity among all of its type.
    #[inline]
    pub fn id(self) -> &'a T::Key {
        self.id
    }

    /// The word in front of every key of the service, if it has one.
    pub fn namespace(self) -> Option<&'a str> {
        self.namespace.map(Namespace::as_str)
    }

    /// The tag of the namespace; 0 without one.
    #[inline]
    pub(crate) fn namespace_tag(self) -> u64 {
        self.namespace.map_or(0, |namespace| namespace.tag)
    }

    /// The same id and namespace as the key of another entity type: for a backend that keeps
    /// entities in a type of its own.
    pub fn cast<U: CacheEntity<Key = T::Key>>(self) -> CacheKey<'a, U> {
        CacheKey::within(self.namespace, self.id)
    }

    /// The whole cache key, `user:42` or `{namespace}:user:42`. Up to 120 bytes without an
    /// allocation.
    ///
    /// # Errors
    /// [`Error::ValidationError`] if the key's own `Display` fails, or that of a part of a
    /// template: what was written until then may be the text of another key.
    #[inline]
    pub fn text(self) -> Result<KeyText> {
        let mut text = KeyText::new();
        if let Some(namespace) = self.namespace {
            text.push(&namespace.name);
            text.push(":");
        }
        text.push(T::cache_prefix());
        text.push(":");
        text.push_key(self.id).map_err(|_| unwritten::<T>())?;
        Ok(text)
    }
}

impl<T: CacheEntity> Clone for CacheKey<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: CacheEntity> Copy for CacheKey<'_, T> {}

/// Shows the text.
impl<T: CacheEntity> fmt::Debug for CacheKey<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Ok(text) => f.debug_tuple("CacheKey").field(&&*text).finish(),
            Err(_) => f.debug_tuple("CacheKey").finish_non_exhaustive(),
        }
    }
}

/// Keys up to this many bytes are built without an allocation.
const INLINE: usize = 120;

/// The text of a [`CacheKey`]. It lives on the stack until it grows too long for that.
#[derive(Clone)]
pub struct KeyText(Buffer);

#[derive(Clone)]
enum Buffer {
    Inline(ArrayString<INLINE>),
    Heap(String),
}

impl KeyText {
    const fn new() -> Self {
        Self(Buffer::Inline(ArrayString::new_const()))
    }

    /// The id alone, as it stands behind the prefix in a cache key.
    ///
    /// # Errors
    /// As [`CacheKey::text`].
    #[inline]
    pub(crate) fn of_id<T: CacheEntity>(id: &T::Key) -> Result<Self> {
        let mut text = Self::new();
        text.push_key(id).map_err(|_| unwritten::<T>())?;
        Ok(text)
    }

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Buffer::Inline(text) => text,
            Buffer::Heap(text) => text,
        }
    }

    #[inline]
    fn push(&mut self, part: &str) {
        if let Buffer::Inline(text) = &mut self.0 {
            if text.try_push_str(part).is_ok() {
                return;
            }
            self.0 = Buffer::Heap(String::from(text.as_str()));
        }
        if let Buffer::Heap(text) = &mut self.0 {
            text.push_str(part);
        }
    }

    /// Appends what `Display` would write. Strings and integers, which are most keys, bypass the
    /// `fmt` machinery; the downcasts are resolved when the function is compiled.
    #[inline]
    fn push_key<K: Display + Any>(&mut self, key: &K) -> fmt::Result {
        let any = key as &dyn Any;
        if let Some(text) = any.downcast_ref::<String>() {
            whole(text)?;
            return self.write_str(text);
        }
        if let Some(text) = any.downcast_ref::<&'static str>() {
            return self.write_str(text);
        }
        macro_rules! integers {
            ($($int:ty),*) => {$(
                if let Some(number) = any.downcast_ref::<$int>() {
                    return self.write_str(itoa::Buffer::new().format(*number));
                }
            )*};
        }
        integers!(
            u64, i64, u32, i32, u128, i128, usize, isize, u16, i16, u8, i8
        );
        // Writing to this text never fails, so an error comes from the key.
        write!(self, "{key}")?;
        whole(self.as_str())
    }
}

#[inline]
fn whole(text: &str) -> fmt::Result {
    match is_unwritten(text) {
        true => Err(fmt::Error),
        false => Ok(()),
    }
}

#[cold]
pub(crate) fn unwritten<T: CacheEntity>() -> Error {
    Error::ValidationError(format!(
        "{}: the `Display` of the key, or of a part of it, failed, so it has no cache key",
        T::cache_prefix()
    ))
}

impl Deref for KeyText {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Display for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Write for KeyText {
    #[inline]
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.push(part);
        Ok(())
    }
}

/// The rule that `word` breaks, if it cannot be a prefix or a namespace.
pub(crate) fn refused_word(word: &str) -> Option<&'static str> {
    let bad = |c: char| c == ':' || c.is_whitespace() || c.is_control();
    let refused = word.is_empty() || word.len() > 64 || word.contains(bad);
    refused.then_some("wants 1 to 64 bytes without colons, blanks or control characters")
}

/// A word in front of every key of a service: `{namespace}:{prefix}:{key}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespace {
    name: Box<str>,
    tag: u64,
}

/// A number for a namespace. Two names share one with a probability of 2⁻⁶⁴; the seed is random, so that
/// names cannot be chosen to collide.
pub(crate) fn namespace_tag(name: &str) -> u64 {
    static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    HASHER.hash_one(name)
}

impl Namespace {
    pub(crate) fn as_str(&self) -> &str {
        &self.name
    }

    pub(crate) fn parse(name: String) -> Result<Self> {
        match refused_word(&name) {
            Some(wants) => Err(Error::ConfigError(format!("namespace {name:?}: {wants}"))),
            None => Ok(Self {
                tag: namespace_tag(&name),
                name: name.into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<K: Display + Any>(key: &K) -> String {
        let mut text = KeyText::new();
        text.push("user:");
        text.push_key(key).unwrap();
        text.as_str().to_owned()
    }

    #[test]
    fn a_key_is_written_as_display_writes_it() {
        assert_eq!(text(&String::from("user_001")), "user:user_001");
        assert_eq!(text(&"static"), "user:static");
        assert_eq!(text(&i64::MIN), format!("user:{}", i64::MIN));
        assert_eq!(text(&u128::MAX), format!("user:{}", u128::MAX));
        assert_eq!(text(&0_u8), "user:0");
        assert_eq!(text(&'é'), "user:é");
        assert_eq!(text(&std::net::Ipv4Addr::LOCALHOST), "user:127.0.0.1");
    }

    #[test]
    fn a_long_key_moves_to_the_heap_whole() {
        for length in INLINE - 8..INLINE + 8 {
            let key = "k".repeat(length);
            assert_eq!(text(&key), format!("user:{key}"));
        }
        let pieces =
            text(&format_args!("{}{}", "a".repeat(INLINE), "b".repeat(INLINE)).to_string());
        assert_eq!(pieces.len(), 5 + 2 * INLINE);
    }

    #[test]
    fn a_text_with_a_part_missing_is_no_key() {
        let missing = format!("NV-{UNWRITTEN}");
        for text in [
            missing.clone(),
            format!("é{missing}x"),
            missing.to_lowercase(),
        ] {
            assert!(KeyText::new().push_key(&text).is_err(), "{text:?}");
            let text: std::sync::Arc<str> = text.into();
            assert!(KeyText::new().push_key(&text).is_err(), "{text:?}");
        }
        for part in ["\u{fdd0}", "\u{fdd1}\u{fdd0}", ""] {
            assert_eq!(text(&part.to_owned()), format!("user:{part}"));
        }
    }

    #[test]
    fn a_namespace_has_no_colon_and_no_blank() {
        for bad in ["", "a:b", "a b", "a\nb", "a\0b", &"x".repeat(65)] {
            assert!(Namespace::parse(bad.to_owned()).is_err(), "{bad:?}");
        }
        assert!(Namespace::parse("blue-2".to_owned()).is_ok());
    }
}
