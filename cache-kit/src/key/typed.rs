//! The texts of typed keys: parts joined by `:`, escaped so that they can be parsed again.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write as _};
use std::str::{FromStr, Split};

/// Why a text could not be parsed as a typed key.
///
/// Returned by the `FromStr` of the typed keys that `#[derive(CacheEntity)]` generates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseKeyError {
    key: &'static str,
    kind: ParseKeyErrorKind,
}

/// What is wrong with the text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseKeyErrorKind {
    /// It has more or fewer parts than the key.
    PartCount {
        /// How many parts the key has.
        expected: usize,
        /// How many parts the text has.
        found: usize,
    },
    /// A part holds a `%` that starts neither `%25` nor `%3A`.
    Escape {
        /// The name of the part.
        part: &'static str,
    },
    /// A part could not be parsed as its type.
    Part {
        /// The name of the part.
        part: &'static str,
    },
}

impl ParseKeyError {
    /// What is wrong with the text.
    pub fn kind(&self) -> &ParseKeyErrorKind {
        &self.kind
    }
}

impl Display for ParseKeyError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let key = self.key;
        match &self.kind {
            ParseKeyErrorKind::PartCount { expected, found } => write!(
                f,
                "not a {key}: has {expected} parts joined by `:`, and this has {found}"
            ),
            ParseKeyErrorKind::Escape { part } => write!(
                f,
                "not a {key}: a `%` in `{part}` is followed by neither `25` nor `3A`"
            ),
            ParseKeyErrorKind::Part { part } => {
                write!(f, "not a {key}: `{part}` cannot be read")
            }
        }
    }
}

impl std::error::Error for ParseKeyError {}

/// The remaining parts of a text.
#[derive(Debug)]
pub struct KeyParts<'a> {
    key: &'static str,
    parts: Split<'a, char>,
}

impl<'a> KeyParts<'a> {
    /// Splits the text of a `key` with `expected` parts.
    ///
    /// # Errors
    /// The text has more or fewer.
    pub fn split(key: &'static str, text: &'a str, expected: usize) -> Result<Self, ParseKeyError> {
        let found = text.bytes().filter(|byte| *byte == b':').count() + 1;
        if found == expected {
            let parts = text.split(':');
            return Ok(Self { key, parts });
        }
        let kind = ParseKeyErrorKind::PartCount { expected, found };
        Err(ParseKeyError { key, kind })
    }

    /// Reads the next part.
    ///
    /// # Errors
    /// It isn't a `T`.
    pub fn next<T: FromStr>(&mut self, part: &'static str) -> Result<T, ParseKeyError> {
        let text = unescaped(self.parts.next().unwrap_or_default());
        let kind = match text {
            None => ParseKeyErrorKind::Escape { part },
            Some(text) => match text.parse() {
                Ok(value) => return Ok(value),
                Err(_) => ParseKeyErrorKind::Part { part },
            },
        };
        Err(ParseKeyError {
            key: self.key,
            kind,
        })
    }
}

/// Unescapes `text`; `None` if it is not valid.
fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    let Some((plain, mut rest)) = text.split_once('%') else {
        return Some(Cow::Borrowed(text));
    };
    let mut part = String::from(plain);
    loop {
        if let Some(tail) = rest.strip_prefix("25") {
            part.push('%');
            rest = tail;
        } else {
            rest = rest.strip_prefix("3A")?;
            part.push(':');
        }
        match rest.split_once('%') {
            Some((plain, tail)) => {
                part.push_str(plain);
                rest = tail;
            }
            None => {
                part.push_str(rest);
                return Some(Cow::Owned(part));
            }
        }
    }
}

/// Writes a part of a typed key, with `%` and `:` escaped.
pub fn write_part<T: Display>(f: &mut Formatter<'_>, part: &T) -> fmt::Result {
    write!(Escaped { inner: f }, "{part}")
}

/// Writes the separator between two parts of a typed key.
pub fn write_separator(f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char(':')
}

/// Escapes characters that could make two lists of parts the same text.
struct Escaped<'a, 'f> {
    inner: &'a mut Formatter<'f>,
}

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(['%', ':']) {
            let (plain, tail) = rest.split_at(at);
            self.inner.write_str(plain)?;
            self.inner
                .write_str(if tail.starts_with('%') { "%25" } else { "%3A" })?;
            rest = &tail[1..];
        }
        self.inner.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_is_read() {
        for (text, part) in [
            ("", Some("")),
            ("plain ä🦀\0", Some("plain ä🦀\0")),
            ("%25", Some("%")),
            ("%3A", Some(":")),
            ("a%3A%25b%253A", Some("a:%b%3A")),
            ("%", None),
            ("%2", None),
            ("%3a", None),
            ("%20", None),
            ("a%25%", None),
            ("%ä", None),
        ] {
            assert_eq!(unescaped(text).as_deref(), part, "{text:?}");
        }
    }

    #[test]
    fn an_error_names_key_and_part_and_no_value() {
        let split = |text| KeyParts::split("ItemKey", text, 2);
        let read = |text| split(text)?.next::<u8>("number");
        for (text, message) in [
            (
                "",
                "not a ItemKey: has 2 parts joined by `:`, and this has 1",
            ),
            (
                "1:2:3",
                "not a ItemKey: has 2 parts joined by `:`, and this has 3",
            ),
            ("secret:2", "not a ItemKey: `number` cannot be read"),
            (
                "%zz:2",
                "not a ItemKey: a `%` in `number` is followed by neither `25` nor `3A`",
            ),
        ] {
            assert_eq!(
                read(text).map_err(|e| e.to_string()),
                Err(message.to_owned())
            );
        }
        assert_eq!(read("1:2"), Ok(1));
    }
}
