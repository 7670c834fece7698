//! The wire format of Redis, RESP2 and RESP3: just enough to talk to a server and to split a stream
//! of bytes into whole commands and whole answers.

use std::fmt;

/// A frame may nest this deep; the parser recurses.
const DEPTH: usize = 64;

/// An answer of the server, or a message that it pushes.
///
/// Not `non_exhaustive`: the types of the protocol are a closed list, and the streamed ones are
/// returned as their complete form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `+`, like `OK`.
    Simple(String),
    /// `-` and `!`. Begins with a word in capitals that says the kind of error.
    Error(String),
    /// `:`
    Integer(i64),
    /// `$`
    Bulk(Vec<u8>),
    /// `_`, and the two nulls of RESP2.
    Null,
    /// `#`
    Boolean(bool),
    /// `,` as it was written.
    Double(String),
    /// `(` as it was written.
    BigNumber(String),
    /// `=` with its three letters for the format and the colon.
    Verbatim(Vec<u8>),
    /// `*`
    Array(Vec<Reply>),
    /// `~`
    Set(Vec<Reply>),
    /// `%`
    Map(Vec<(Reply, Reply)>),
    /// `>`: no answer to any command.
    Push(Vec<Reply>),
    /// `|`: metadata about the reply after it.
    Attributed(Vec<(Reply, Reply)>, Box<Reply>),
}

/// Bytes that cannot begin a frame of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(String);

impl Malformed {
    pub(super) fn new(what: String) -> Self {
        Self(what)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed frame: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

impl Reply {
    /// Reads one frame off the front of `bytes` and returns its length, too; `None` while it is
    /// incomplete.
    ///
    /// # Errors
    ///
    /// When no further bytes can make it a frame.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let mut cursor = Cursor { bytes, at: 0 };
        match cursor.reply(0) {
            Ok(reply) => Ok(Some((reply, cursor.at))),
            Err(Stop::More) => Ok(None),
            Err(Stop::Malformed(why)) => Err(Malformed(why)),
        }
    }

    /// The frame as a server sends it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Whether it is `OK`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Simple(text) if text == "OK")
    }

    /// The message, if it is an error.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Error(message) => Some(message),
            _ => None,
        }
    }

    /// The number, if it is an integer.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The bytes, if it is a string of any kind.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(text) => Some(text.as_bytes()),
            Self::Bulk(bytes) => Some(bytes),
            // The format is always three letters, which the parser has checked.
            Self::Verbatim(bytes) => bytes.get(4..),
            _ => None,
        }
    }

    /// The text, if it is a string of any kind.
    pub fn text(&self) -> Option<String> {
        Some(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Simple(text) => line(out, '+', text),
            Self::Error(text) if text.contains(['\r', '\n']) => blob(out, '!', text.as_bytes()),
            Self::Error(text) => line(out, '-', text),
            Self::Integer(number) => line(out, ':', number),
            Self::Bulk(bytes) => blob(out, '$', bytes),
            Self::Null => line(out, '_', ""),
            Self::Boolean(yes) => line(out, '#', if *yes { 't' } else { 'f' }),
            Self::Double(number) => line(out, ',', number),
            Self::BigNumber(number) => line(out, '(', number),
            Self::Verbatim(bytes) => blob(out, '=', bytes),
            Self::Array(items) => all(out, '*', items),
            Self::Set(items) => all(out, '~', items),
            Self::Push(items) => all(out, '>', items),
            Self::Map(pairs) => both(out, '%', pairs),
            Self::Attributed(pairs, reply) => {
                both(out, '|', pairs);
                reply.write(out);
            }
        }
    }
}

/// A command as a client sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    name: String,
    args: Vec<Vec<u8>>,
}

impl Command {
    /// Reads one command off the front of `bytes` and returns its length, too; `None` while it is
    /// incomplete. The name of an empty command, which no server answers, is empty.
    ///
    /// # Errors
    ///
    /// When no further bytes can make it a command.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let (words, length) = if bytes.first() == Some(&b'*') {
            let Some((reply, length)) = Reply::parse(bytes)? else {
                return Ok(None);
            };
            // The null array, which a server ignores like an empty one.
            let items = match reply {
                Reply::Array(items) => items,
                _ => Vec::new(),
            };
            let words: Option<Vec<Vec<u8>>> = items
                .into_iter()
                .map(|item| match item {
                    Reply::Bulk(word) => Some(word),
                    _ => None,
                })
                .collect();
            let Some(words) = words else {
                return Err(Malformed("a command of other things than strings".into()));
            };
            (words, length)
        } else {
            // Commands that people type into a raw connection.
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                return Ok(None);
            };
            if !bytes[..end].is_ascii() {
                return Err(Malformed("a command that is no text".into()));
            }
            let words = bytes[..end].split(u8::is_ascii_whitespace);
            let words = words.filter(|word| !word.is_empty()).map(<[u8]>::to_vec);
            (words.collect(), end + 1)
        };
        Ok(Some((Self::from_words(words), length)))
    }

    /// The command as a client sends it.
    pub fn encode<A: AsRef<[u8]>>(words: &[A]) -> Vec<u8> {
        let mut out = Vec::new();
        line(&mut out, '*', words.len());
        for word in words {
            blob(&mut out, '$', word.as_ref());
        }
        out
    }

    /// Whether a command has this name. Most tricks of a proxy wait for this.
    pub fn named(name: &str) -> impl Fn(&Self) -> bool + Send + 'static {
        let name = name.to_owned();
        move |command| command.is(&name)
    }

    /// Its name in capitals.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has this name, in letters of either case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The arguments after the name.
    pub fn args(&self) -> &[Vec<u8>] {
        &self.args
    }

    /// Whether one of its arguments is exactly `arg`.
    pub fn has_arg(&self, arg: impl AsRef<[u8]>) -> bool {
        self.args.iter().any(|known| known == arg.as_ref())
    }

    pub(super) fn from_words(words: Vec<Vec<u8>>) -> Self {
        let mut words = words.into_iter();
        let name = words.next().unwrap_or_default();
        Self {
            name: String::from_utf8_lossy(&name).to_ascii_uppercase(),
            args: words.collect(),
        }
    }
}

enum Stop {
    More,
    Malformed(String),
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn reply(&mut self, depth: usize) -> Result<Reply, Stop> {
        if depth > DEPTH {
            return Err(Stop::Malformed(format!("nested over {DEPTH} deep")));
        }
        let (kind, rest) = self.head()?;
        Ok(match kind {
            b'+' => Reply::Simple(text(rest)),
            b'-' => Reply::Error(text(rest)),
            b':' => Reply::Integer(number(rest)?),
            b'_' if rest.is_empty() => Reply::Null,
            b'#' if rest == b"t" => Reply::Boolean(true),
            b'#' if rest == b"f" => Reply::Boolean(false),
            b',' => Reply::Double(text(rest)),
            b'(' => Reply::BigNumber(text(rest)),
            b'$' | b'*' if rest == b"-1" => Reply::Null,
            b'$' => Reply::Bulk(self.string(rest)?),
            b'!' => Reply::Error(text(&self.string(rest)?)),
            b'=' => match self.string(rest)? {
                bytes if bytes.get(3) == Some(&b':') => Reply::Verbatim(bytes),
                bytes => return Err(Stop::Malformed(format!("{bytes:?} has no format"))),
            },
            b'*' => Reply::Array(self.items(rest, depth)?),
            b'~' => Reply::Set(self.items(rest, depth)?),
            b'>' => Reply::Push(self.items(rest, depth)?),
            b'%' => Reply::Map(self.pairs(rest, depth)?),
            b'|' => {
                let attributes = self.pairs(rest, depth)?;
                Reply::Attributed(attributes, Box::new(self.reply(depth + 1)?))
            }
            _ => {
                let line = format!("{}{}", char::from(kind), text(rest));
                return Err(Stop::Malformed(format!("{line:?}")));
            }
        })
    }

    /// The first byte of the next line, and the rest of it.
    fn head(&mut self) -> Result<(u8, &'a [u8]), Stop> {
        let rest = &self.bytes[self.at..];
        let end = rest.windows(2).position(|pair| pair == b"\r\n");
        let end = end.ok_or(Stop::More)?;
        self.at += end + 2;
        match rest[..end].split_first() {
            Some((kind, rest)) => Ok((*kind, rest)),
            None => Err(Stop::Malformed("an empty line".into())),
        }
    }

    fn string(&mut self, length: &[u8]) -> Result<Vec<u8>, Stop> {
        if length != b"?" {
            return self.exactly(count(length)?);
        }
        let mut whole = Vec::new();
        loop {
            match self.head()? {
                (b';', b"0") => return Ok(whole),
                (b';', length) => whole.extend(self.exactly(count(length)?)?),
                (kind, _) => {
                    return Err(Stop::Malformed(format!("byte {kind} in a streamed string")));
                }
            }
        }
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Stop> {
        let rest = &self.bytes[self.at..];
        let end = length.checked_add(2).ok_or_else(|| too_long(length))?;
        let bytes = rest.get(..end).ok_or(Stop::More)?;
        let (bytes, end) = bytes.split_at(length);
        if end != b"\r\n" {
            return Err(Stop::Malformed(format!("a string over its {length} bytes")));
        }
        self.at += length + 2;
        Ok(bytes.to_vec())
    }

    fn items(&mut self, length: &[u8], depth: usize) -> Result<Vec<Reply>, Stop> {
        let mut items = Vec::new();
        if length == b"?" {
            while !self.at_end_of_stream()? {
                items.push(self.reply(depth + 1)?);
            }
        } else {
            for _ in 0..count(length)? {
                items.push(self.reply(depth + 1)?);
            }
        }
        Ok(items)
    }

    fn pairs(&mut self, length: &[u8], depth: usize) -> Result<Vec<(Reply, Reply)>, Stop> {
        let mut pairs = Vec::new();
        if length == b"?" {
            while !self.at_end_of_stream()? {
                pairs.push((self.reply(depth + 1)?, self.reply(depth + 1)?));
            }
        } else {
            for _ in 0..count(length)? {
                pairs.push((self.reply(depth + 1)?, self.reply(depth + 1)?));
            }
        }
        Ok(pairs)
    }

    fn at_end_of_stream(&mut self) -> Result<bool, Stop> {
        match self.bytes.get(self.at) {
            None => Err(Stop::More),
            Some(b'.') => self.head().map(|_| true),
            Some(_) => Ok(false),
        }
    }
}

fn number(digits: &[u8]) -> Result<i64, Stop> {
    let digits = text(digits);
    let malformed = |error| Stop::Malformed(format!("{digits:?} is no number: {error}"));
    digits.parse().map_err(malformed)
}

fn count(digits: &[u8]) -> Result<usize, Stop> {
    let number = number(digits)?;
    usize::try_from(number).map_err(|_| Stop::Malformed(format!("a length of {number}")))
}

fn too_long(length: usize) -> Stop {
    Stop::Malformed(format!("a length of {length}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn line(out: &mut Vec<u8>, kind: char, rest: impl fmt::Display) {
    out.extend(format!("{kind}{rest}\r\n").into_bytes());
}

fn blob(out: &mut Vec<u8>, kind: char, bytes: &[u8]) {
    line(out, kind, bytes.len());
    out.extend(bytes);
    out.extend(b"\r\n");
}

fn all(out: &mut Vec<u8>, kind: char, items: &[Reply]) {
    line(out, kind, items.len());
    for item in items {
        item.write(out);
    }
}

fn both(out: &mut Vec<u8>, kind: char, pairs: &[(Reply, Reply)]) {
    line(out, kind, pairs.len());
    for (key, value) in pairs {
        key.write(out);
        value.write(out);
    }
}
