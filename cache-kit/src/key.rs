//! Cache keys: `{prefix}:{key}`, built on the stack. [`ParseKeyError`], for typed keys read from
//! text.

use std::any::Any;
use std::fmt::{self, Display, Write};

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

/// Keys up to this many bytes are built without an allocation.
const INLINE: usize = 120;

/// A string that lives on the stack until it grows too long for that.
#[derive(Debug)]
pub(crate) enum KeyText {
    Inline(ArrayString<INLINE>),
    Heap(String),
}

impl KeyText {
    pub(crate) const fn new() -> Self {
        Self::Inline(ArrayString::new_const())
    }

    /// Writes the cache key for the entity `key` of type `T` into an empty text.
    ///
    /// # Errors
    /// [`Error::ValidationError`] if the key's own `Display` fails, or that of a part of a
    /// template: what was written until then may be the text of another key.
    #[inline]
    pub(crate) fn write<T: CacheEntity>(
        &mut self,
        namespace: Option<&Namespace>,
        key: &T::Key,
    ) -> Result<()> {
        if let Some(namespace) = namespace {
            self.push(&namespace.0);
            self.push(":");
        }
        self.push(T::cache_prefix());
        self.push(":");
        self.push_key(key).map_err(|_| unwritten::<T>())
    }

    #[inline]
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Inline(text) => text,
            Self::Heap(text) => text,
        }
    }

    #[inline]
    fn push(&mut self, part: &str) {
        if let Self::Inline(text) = self {
            if text.try_push_str(part).is_ok() {
                return;
            }
            *self = Self::Heap(String::from(text.as_str()));
        }
        if let Self::Heap(text) = self {
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
pub(crate) struct Namespace(Box<str>);

impl Namespace {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn parse(name: String) -> Result<Self> {
        match refused_word(&name) {
            Some(wants) => Err(Error::ConfigError(format!("namespace {name:?}: {wants}"))),
            None => Ok(Self(name.into())),
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
