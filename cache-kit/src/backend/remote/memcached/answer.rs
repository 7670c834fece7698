//! [`parse`]: parses what a server sends, one answer at a time.

/// The longest line of an answer: a key, and a few flags or the words of an error.
const LONGEST_LINE: usize = 2_048;

/// The largest value: a server's option `-I` takes no more than 1 GiB.
const LARGEST_VALUE: usize = 1 << 30;

/// One answer, and how many bytes it has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed<'b> {
    pub(super) answer: Answer<'b>,
    pub(super) length: usize,
}

/// An answer of the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<'b> {
    /// The answer to a meta command.
    Meta(Meta<'b>),
    /// An item that a `get` asked for.
    Item { key: &'b [u8], value: &'b [u8] },
    /// A `get` has no more items.
    End,
    /// The server refused the command.
    Refused(Refusal),
}

/// The answer to a meta command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meta<'b> {
    pub(super) code: Code,
    /// The mark of the command, given back.
    pub(super) mark: Option<u64>,
    /// The number of the item.
    pub(super) cas: Option<u64>,
    pub(super) value: &'b [u8],
}

/// The result of a meta command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// `VA`: here is the value.
    Value,
    /// `HD`: done.
    Done,
    /// `EN`: there is no such item.
    Missing,
    /// `NS`: not stored.
    NotStored,
    /// `EX`: the key has another item.
    Exists,
    /// `NF`: the key has no item.
    NotFound,
    /// `MN`: the answer to a no-op.
    Nothing,
}

/// Why a server refused a command. Its own words are not kept: they may quote the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The value is larger than the server takes. The old item is gone.
    TooLarge,
    OutOfMemory,
    /// Another error of the server.
    Server,
    /// The server takes no more connections.
    TooManyConnections,
    /// The server wants a login.
    Login,
    /// The server did not understand the command; how it reads the bytes after it is unknown.
    Command,
    /// The server does not know the command; how it reads the bytes after it is unknown.
    UnknownCommand,
}

/// The bytes are no answer of memcached.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoAnswer;

/// The first answer in `bytes`; `None` if its end has not arrived yet.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Parsed<'_>>, NoAnswer> {
    let scanned = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    let Some(end) = scanned.iter().position(|byte| *byte == b'\n') else {
        return if bytes.len() < LONGEST_LINE {
            Ok(None)
        } else {
            Err(NoAnswer)
        };
    };
    let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
    let line = line.strip_suffix(b"\r").ok_or(NoAnswer)?;
    let mut words = line.split(|byte| *byte == b' ');
    let Some(first) = words.next() else {
        return Err(NoAnswer);
    };
    let (code, value) = match first {
        b"VA" => match value(rest, words.next())? {
            Some(value) => (Code::Value, value),
            None => return Ok(None),
        },
        b"HD" => (Code::Done, &[][..]),
        b"EN" => (Code::Missing, &[][..]),
        b"NS" => (Code::NotStored, &[][..]),
        b"EX" => (Code::Exists, &[][..]),
        b"NF" => (Code::NotFound, &[][..]),
        b"MN" => (Code::Nothing, &[][..]),
        b"VALUE" => {
            let key = words.next().ok_or(NoAnswer)?;
            let value = match (words.next(), value(rest, words.next())?) {
                (Some(_flags), Some(value)) => value,
                (None, _) => return Err(NoAnswer),
                (_, None) => return Ok(None),
            };
            let length = end + 1 + value.len() + 2;
            let answer = Answer::Item { key, value };
            return Ok(Some(Parsed { answer, length }));
        }
        b"END" if line == b"END" => return Ok(line_alone(Answer::End, end)),
        b"ERROR" | b"CLIENT_ERROR" | b"SERVER_ERROR" => {
            return Ok(line_alone(Answer::Refused(refusal(first, line)), end));
        }
        _ => return Err(NoAnswer),
    };
    let (mut mark, mut cas) = (None, None);
    for flag in words {
        match flag {
            [b'O', digits @ ..] => mark = Some(number(digits)?),
            [b'c', digits @ ..] => cas = Some(number(digits)?),
            // Other flags carry what was not asked for.
            _ => {}
        }
    }
    let length = end
        + 1
        + if code == Code::Value {
            value.len() + 2
        } else {
            0
        };
    let answer = Answer::Meta(Meta {
        code,
        mark,
        cas,
        value,
    });
    Ok(Some(Parsed { answer, length }))
}

fn line_alone(answer: Answer<'_>, end: usize) -> Option<Parsed<'_>> {
    let length = end + 1;
    Some(Parsed { answer, length })
}

/// The value at the beginning of `rest`, of the length that its line gives; `None` if its end has
/// not arrived yet.
fn value<'b>(rest: &'b [u8], length: Option<&[u8]>) -> Result<Option<&'b [u8]>, NoAnswer> {
    let length = length.map(number).ok_or(NoAnswer)??;
    let length = usize::try_from(length).map_err(|_| NoAnswer)?;
    if length > LARGEST_VALUE {
        return Err(NoAnswer);
    }
    let Some(end) = rest.get(length..length + 2) else {
        return Ok(None);
    };
    if end == b"\r\n" {
        Ok(Some(&rest[..length]))
    } else {
        Err(NoAnswer)
    }
}

fn number(digits: &[u8]) -> Result<u64, NoAnswer> {
    if digits.is_empty() {
        return Err(NoAnswer);
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => u64::from(digit - b'0'),
            _ => return Err(NoAnswer),
        };
        let number = number.checked_mul(10).ok_or(NoAnswer)?;
        number.checked_add(digit).ok_or(NoAnswer)
    })
}

fn refusal(kind: &[u8], line: &[u8]) -> Refusal {
    let says = |words: &[u8]| line.windows(words.len()).any(|part| part == words);
    match kind {
        b"SERVER_ERROR" if says(b"too large") => Refusal::TooLarge,
        b"SERVER_ERROR" if says(b"out of memory") => Refusal::OutOfMemory,
        b"SERVER_ERROR" => Refusal::Server,
        _ if says(b"open connections") => Refusal::TooManyConnections,
        _ if says(b"unauthenticated") => Refusal::Login,
        b"CLIENT_ERROR" => Refusal::Command,
        _ => Refusal::UnknownCommand,
    }
}

impl Refusal {
    /// In our words.
    pub(super) fn told(self) -> &'static str {
        match self {
            Self::TooLarge => "the value is larger than the server takes",
            Self::OutOfMemory => "the server is out of memory",
            Self::Server => "the server has an error",
            Self::TooManyConnections => "the server takes no more connections (its option -c)",
            Self::Login => "the server wants a login, which is not supported",
            Self::Command => "the server does not take the command",
            Self::UnknownCommand => "the server does not know meta commands, as of memcached 1.6",
        }
    }

    /// Whether it is known how the server reads the bytes that follow.
    pub(super) fn is_in_step(self) -> bool {
        matches!(self, Self::TooLarge | Self::OutOfMemory | Self::Server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(code: Code, mark: Option<u64>, cas: Option<u64>, value: &[u8]) -> Answer<'_> {
        Answer::Meta(Meta {
            code,
            mark,
            cas,
            value,
        })
    }

    #[test]
    fn every_answer_is_understood_and_no_beginning_of_one_is() {
        let item = |key, value| Answer::Item { key, value };
        for (bytes, answer) in [
            (
                &b"VA 3 O7 c9\r\na\r\n\r\n"[..],
                meta(Code::Value, Some(7), Some(9), b"a\r\n"),
            ),
            (
                b"VA 0 c18446744073709551615 W\r\n\r\n",
                meta(Code::Value, None, Some(u64::MAX), b""),
            ),
            (b"HD c2 O1\r\n", meta(Code::Done, Some(1), Some(2), b"")),
            (b"EN\r\n", meta(Code::Missing, None, None, b"")),
            (b"EN O4\r\n", meta(Code::Missing, Some(4), None, b"")),
            (b"NS O1\r\n", meta(Code::NotStored, Some(1), None, b"")),
            (b"EX O1\r\n", meta(Code::Exists, Some(1), None, b"")),
            (b"NF O1\r\n", meta(Code::NotFound, Some(1), None, b"")),
            (b"MN\r\n", meta(Code::Nothing, None, None, b"")),
            (
                b"VALUE user:1 0 5\r\nEND\r\n\r\n",
                item(b"user:1", b"END\r\n"),
            ),
            (b"VALUE a 0 0 12\r\n\r\n", item(b"a", b"")),
            (b"END\r\n", Answer::End),
            (b"ERROR\r\n", Answer::Refused(Refusal::UnknownCommand)),
            (
                b"ERROR Too many open connections\r\n",
                Answer::Refused(Refusal::TooManyConnections),
            ),
            (
                b"CLIENT_ERROR unauthenticated\r\n",
                Answer::Refused(Refusal::Login),
            ),
            (
                b"CLIENT_ERROR bad data chunk\r\n",
                Answer::Refused(Refusal::Command),
            ),
            (
                b"SERVER_ERROR object too large for cache\r\n",
                Answer::Refused(Refusal::TooLarge),
            ),
            (
                b"SERVER_ERROR out of memory storing object\r\n",
                Answer::Refused(Refusal::OutOfMemory),
            ),
            (b"SERVER_ERROR x\r\n", Answer::Refused(Refusal::Server)),
        ] {
            for cut in 0..bytes.len() {
                assert_eq!(parse(&bytes[..cut]), Ok(None), "{cut} of {bytes:?}");
            }
            let length = bytes.len();
            let more = [bytes, b"HD"].concat();
            assert_eq!(parse(&more), Ok(Some(Parsed { answer, length })));
        }
    }

    #[test]
    fn what_is_none_of_memcached_is_said_so() {
        let endless = "x".repeat(LONGEST_LINE);
        for bytes in [
            "\r\n",
            "\n",
            "HD\n",
            "-ERR unknown command\r\n",
            "HTTP/1.1 400 Bad Request\r\n",
            "STORED\r\n",
            "VA x O1\r\n",
            "VA\r\n",
            "VA 1 O1\r\nxx\r\n",
            "VA 99999999999 O1\r\n",
            "VA -1 O1\r\n",
            "HD O\r\n",
            "HD Ox\r\n",
            "HD c18446744073709551616\r\n",
            "VALUE a 0\r\n",
            "VALUE a\r\n",
            "VALUE\r\n",
            "END of it\r\n",
            &endless,
        ] {
            assert_eq!(parse(bytes.as_bytes()), Err(NoAnswer), "{bytes:?}");
        }
    }
}
