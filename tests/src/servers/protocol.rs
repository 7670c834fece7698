//! The protocols of a proxy: splits a stream of bytes into whole commands and whole answers.

use super::resp::{Command, Malformed, Reply};

/// The protocol that a proxy's clients and server speak.
///
/// Not `non_exhaustive`: only the proxy matches on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// That of Redis.
    Resp,
    /// The text protocol of Memcached: its classic and its meta commands.
    Memcached,
}

impl Protocol {
    /// Reads one command off the front of `bytes`; see [`Command::parse`].
    pub(super) fn command(self, bytes: &[u8]) -> Result<Option<(Command, usize)>, Malformed> {
        match self {
            Self::Resp => Command::parse(bytes),
            Self::Memcached => memcached_command(bytes),
        }
    }

    /// Reads one answer off the front of `bytes`; see [`Reply::parse`]. One of Memcached is
    /// [`Reply::Simple`] with its first line, whatever it says; all items of a `get` are one
    /// answer.
    pub(super) fn answer(self, bytes: &[u8]) -> Result<Option<(Reply, usize)>, Malformed> {
        match self {
            Self::Resp => Reply::parse(bytes),
            Self::Memcached => memcached_answer(bytes),
        }
    }

    /// Whether the server answers `command`.
    pub(super) fn is_answered(self, command: &Command) -> bool {
        match self {
            Self::Resp => !command.name().is_empty(),
            Self::Memcached => !command.name().is_empty() && !command.has_arg("noreply"),
        }
    }
}

/// The value of a command that carries one is its last argument.
fn memcached_command(bytes: &[u8]) -> Result<Option<(Command, usize)>, Malformed> {
    let Some((line, mut length)) = first_line(bytes) else {
        return Ok(None);
    };
    let mut words: Vec<Vec<u8>> = words(line).map(<[u8]>::to_vec).collect();
    let name = words.first().map(|name| name.to_ascii_lowercase());
    let size_at = match name.as_deref() {
        Some(b"ms") => Some(2),
        Some(b"set" | b"add" | b"replace" | b"append" | b"prepend" | b"cas") => Some(4),
        _ => None,
    };
    if let Some(at) = size_at {
        let size = number(words.get(at).map(Vec::as_slice), line)?;
        let Some(value) = bytes.get(length..length + size + 2) else {
            return Ok(None);
        };
        words.push(value[..size].to_vec());
        length += size + 2;
    }
    Ok(Some((Command::from_words(words), length)))
}

fn memcached_answer(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Malformed> {
    let (mut first, mut length) = (None, 0);
    loop {
        let Some((line, end)) = first_line(&bytes[length..]) else {
            return Ok(None);
        };
        let told = first.get_or_insert_with(|| String::from_utf8_lossy(line).into_owned());
        length += end;
        let mut words = words(line);
        let size = match words.next() {
            Some(b"VA") => number(words.next(), line)?,
            Some(b"VALUE") => number(words.nth(2), line)?,
            Some(b"STAT") => continue,
            _ => return Ok(Some((Reply::Simple(told.clone()), length))),
        };
        length += size + 2;
        if bytes.len() < length {
            return Ok(None);
        }
        if line.starts_with(b"VA ") {
            return Ok(Some((Reply::Simple(told.clone()), length)));
        }
    }
}

/// The first line, and the begin of the next one.
fn first_line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes[..end].trim_ascii_end(), end + 1))
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty())
}

fn number(word: Option<&[u8]>, line: &[u8]) -> Result<usize, Malformed> {
    let number = word.and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
    number.ok_or_else(|| Malformed::new(format!("{:?}", String::from_utf8_lossy(line))))
}
