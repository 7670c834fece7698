//! What `CLUSTER SLOTS` answers.

use ::redis::{Value, from_redis_value};

use super::slot::SLOTS;
use crate::backend::remote::redis::address::Host;

/// A range of slots, and who keeps them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) primary: Host,
    pub(super) replicas: Vec<Host>,
}

/// The ranges of an answer of the server at `asked`; `None` if it does not make sense. A server
/// that does not know its own address leaves the host out: it is the one that was asked.
pub(super) fn ranges(answer: Value, asked: &str) -> Option<Vec<Range>> {
    let Value::Array(ranges) = answer else {
        return None;
    };
    let ranges = ranges.into_iter().map(|range| one(range, asked));
    ranges
        .collect::<Option<Vec<_>>>()
        .filter(|ranges| !ranges.is_empty())
}

fn one(range: Value, asked: &str) -> Option<Range> {
    let Value::Array(parts) = range else {
        return None;
    };
    let mut parts = parts.into_iter();
    let (first, last) = (number(parts.next()?)?, number(parts.next()?)?);
    let primary = place(parts.next()?, asked)?;
    let replicas = parts.filter_map(|replica| place(replica, asked));
    let replicas = replicas.collect();
    (first <= last && last < SLOTS).then_some(Range {
        first,
        last,
        primary,
        replicas,
    })
}

/// `None` for a server without a known address.
fn place(node: Value, asked: &str) -> Option<Host> {
    let Value::Array(parts) = node else {
        return None;
    };
    let mut parts = parts.into_iter();
    let host: Option<String> = from_redis_value(parts.next()?).ok()?;
    place_of(&host.unwrap_or_default(), number(parts.next()?)?, asked)
}

/// The client's own conversion cuts off what does not fit.
fn number(value: Value) -> Option<u16> {
    let Value::Int(number) = value else {
        return None;
    };
    u16::try_from(number).ok()
}

/// The address in a redirection, such as `10.0.0.1:7000`; `asked` is the host that answered.
pub(super) fn redirected(address: &str, asked: &str) -> Option<Host> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    place_of(host, port.parse().ok()?, asked)
}

fn place_of(host: &str, port: u16, asked: &str) -> Option<Host> {
    let host = match host {
        "?" => return None,
        "" => asked,
        host => host,
    };
    (port != 0).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test says what it expects by unwrapping"
    )]

    use super::*;

    fn array(parts: impl IntoIterator<Item = Value>) -> Value {
        Value::Array(parts.into_iter().collect())
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn node(host: Value, port: i64) -> Value {
        array([host, Value::Int(port), text("id"), array([])])
    }

    fn range(first: i64, last: i64, nodes: impl IntoIterator<Item = Value>) -> Value {
        array(
            [Value::Int(first), Value::Int(last)]
                .into_iter()
                .chain(nodes),
        )
    }

    fn at(host: &str, port: u16) -> Host {
        (host.to_owned(), port)
    }

    #[test]
    fn ranges_are_read_with_their_replicas() {
        let answer = array([
            range(0, 99, [node(text("a"), 1), node(text("b"), 2)]),
            range(100, 16_383, [node(text("::1"), 3)]),
        ]);
        let read = ranges(answer, "h").unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].first, read[0].last), (0, 99));
        assert_eq!(read[0].primary, at("a", 1));
        assert_eq!(read[0].replicas, [at("b", 2)]);
        assert_eq!(read[1].primary, at("::1", 3));
    }

    #[test]
    fn a_server_without_a_name_is_the_one_that_was_asked() {
        for host in [Value::Nil, text("")] {
            let read = ranges(array([range(0, 1, [node(host, 7)])]), "h").unwrap();
            assert_eq!(read[0].primary, at("h", 7));
        }
        let unknown = range(0, 1, [node(text("a"), 7), node(text("?"), 8)]);
        assert_eq!(ranges(array([unknown]), "h").unwrap()[0].replicas, []);
    }

    #[test]
    fn what_makes_no_sense_is_no_answer() {
        for answer in [
            Value::Nil,
            array([]),
            array([Value::Int(1)]),
            array([range(0, 16_384, [node(text("a"), 1)])]),
            array([range(-1, 3, [node(text("a"), 1)])]),
            array([range(3, 2, [node(text("a"), 1)])]),
            array([range(0, 1, [])]),
            array([range(0, 1, [node(text("?"), 1)])]),
            array([range(0, 1, [node(text("a"), 0)])]),
            array([range(0, 1, [node(text("a"), 70_000)])]),
        ] {
            assert_eq!(ranges(answer.clone(), "h"), None, "{answer:?}");
        }
    }

    #[test]
    fn a_redirection_names_a_place() {
        assert_eq!(
            redirected("10.0.0.1:7000", "h"),
            Some(at("10.0.0.1", 7_000))
        );
        assert_eq!(redirected("::1:7000", "h"), Some(at("::1", 7_000)));
        assert_eq!(redirected("[::1]:7000", "h"), Some(at("::1", 7_000)));
        assert_eq!(redirected(":7000", "h"), Some(at("h", 7_000)));
        for bad in ["", "a", "a:", "a:b", "a:0", "?:7000", "a:70000"] {
            assert_eq!(redirected(bad, "h"), None, "{bad}");
        }
    }
}
