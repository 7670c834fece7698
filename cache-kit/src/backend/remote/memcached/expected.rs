//! [`Expected`]: which answer comes next, and who waits for it.

use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::answer::{Answer, Code, Meta};
use super::link::{Answered, Failure};

/// Dropped when its command has been answered or never will be, even if the caller has gone.
pub(super) type Kept = Option<Arc<dyn fmt::Debug + Send + Sync>>;

/// Which answer comes next.
#[derive(Debug)]
pub(super) enum Expected {
    /// The answer to one meta command.
    One {
        mark: u64,
        to: oneshot::Sender<Answered<Reply>>,
        _kept: Kept,
    },
    /// The answers to some meta commands.
    Several {
        mark: u64,
        left: usize,
        replies: Vec<Answered<Reply>>,
        to: oneshot::Sender<Vec<Answered<Reply>>>,
        kept: Kept,
    },
    /// The items under the keys of a `get`.
    Items {
        keys: Keys,
        values: Values,
        to: oneshot::Sender<Answered<Values>>,
    },
    /// An answer of which only the mark matters.
    Mark(u64),
    /// The answer to a no-op; it has no mark.
    Nothing(oneshot::Sender<Answered<()>>),
}

/// The answer to a meta command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: Code,
    pub(super) cas: Option<u64>,
    pub(super) value: Vec<u8>,
}

/// The values under some keys.
pub(super) type Values = Vec<Option<Vec<u8>>>;

/// The keys of a `get`, with a space before each, and how many bytes of them have been answered.
#[derive(Debug)]
pub(super) struct Keys {
    text: Box<[u8]>,
    at: usize,
}

/// What an answer leaves to be done.
#[derive(Debug)]
pub(super) enum After {
    /// More is expected for the same caller.
    More(Expected),
    /// The caller has all of its answer.
    Complete,
    /// The next expectation belongs to the same command.
    Next,
}

impl Expected {
    /// Takes an answer, and hands it out once it is complete. A caller that has gone needs none.
    ///
    /// # Errors
    /// The answer was not asked for, or the server is out of step from here on. Either way the
    /// connection is unusable.
    pub(super) fn take(self, answer: Answer<'_>) -> Answered<After> {
        let out_of_step = match &answer {
            Answer::Refused(refusal) if !refusal.is_in_step() => Some(refusal.told()),
            _ => None,
        };
        let after = match self {
            Self::One { mark, to, .. } => {
                let _ = to.send(reply(answer, mark)?);
                After::Complete
            }
            Self::Several {
                mark,
                left,
                mut replies,
                to,
                kept,
            } => {
                replies.push(reply(answer, mark)?);
                if left > 1 {
                    After::More(Self::Several {
                        mark: mark + 1,
                        left: left - 1,
                        replies,
                        to,
                        kept,
                    })
                } else {
                    let _ = to.send(replies);
                    After::Complete
                }
            }
            Self::Items {
                mut keys,
                mut values,
                to,
            } => match answer {
                Answer::Item { key, value } => {
                    // Misses are not answered, so items are matched to the keys in order.
                    while keys.next().ok_or_else(unasked)? != key {
                        values.push(None);
                    }
                    values.push(Some(value.to_vec()));
                    After::More(Self::Items { keys, values, to })
                }
                Answer::End => {
                    while keys.next().is_some() {
                        values.push(None);
                    }
                    let _ = to.send(Ok(values));
                    After::Complete
                }
                Answer::Refused(refusal) => {
                    let _ = to.send(Err(Failure::Refused(refusal)));
                    After::Complete
                }
                Answer::Meta(_) => return Err(unasked()),
            },
            Self::Mark(mark) => {
                // Only the mark matters.
                let _ = reply(answer, mark)?;
                After::Next
            }
            Self::Nothing(to) => {
                let known = match answer {
                    Answer::Meta(Meta {
                        code: Code::Nothing,
                        ..
                    }) => Ok(()),
                    Answer::Refused(refusal) => Err(Failure::Refused(refusal)),
                    _ => return Err(unasked()),
                };
                let _ = to.send(known);
                After::Complete
            }
        };
        match out_of_step {
            Some(told) => Err(Failure::Lost(told.into())),
            None => Ok(after),
        }
    }
}

/// The answer to a command with this mark.
fn reply(answer: Answer<'_>, mark: u64) -> Answered<Answered<Reply>> {
    match answer {
        Answer::Meta(meta) if meta.mark == Some(mark) => Ok(Ok(Reply {
            code: meta.code,
            cas: meta.cas,
            value: meta.value.to_vec(),
        })),
        Answer::Refused(refusal) => Ok(Err(Failure::Refused(refusal))),
        _ => Err(unasked()),
    }
}

/// An answer that fits no command.
pub(super) fn unasked() -> Failure {
    Failure::Lost("an answer that was not asked for".into())
}

impl Keys {
    pub(super) fn of(text: &[u8]) -> Self {
        Self {
            text: text.into(),
            at: 0,
        }
    }

    /// The next key that has not been answered.
    fn next(&mut self) -> Option<&[u8]> {
        let begin = self.at + 1;
        let rest = self.text.get(begin..)?;
        let length = rest.iter().position(|byte| *byte == b' ');
        let length = length.unwrap_or(rest.len());
        self.at = begin + length;
        Some(&rest[..length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::remote::memcached::answer::parse;

    /// Feeds answers in order, until one of them ends it.
    fn come(mut expected: Expected, answers: &[&str]) -> Answered<bool> {
        for answer in answers {
            let parsed = parse(answer.as_bytes()).unwrap().unwrap();
            match expected.take(parsed.answer)? {
                After::More(more) => expected = more,
                After::Complete | After::Next => return Ok(true),
            }
        }
        Ok(false)
    }

    #[test]
    fn keys_come_out_as_they_went_in() {
        let mut keys = Keys::of(b" a bc d");
        for key in [&b"a"[..], b"bc", b"d"] {
            assert_eq!(keys.next(), Some(key));
        }
        assert_eq!(keys.next(), None);
        assert_eq!(keys.next(), None);
    }

    #[test]
    fn items_are_matched_to_their_keys_in_order() {
        let of = |name: &str| format!("VALUE {name} 0 1\r\n{name}\r\n");
        let (a, b, c, d) = (of("a"), of("b"), of("c"), of("d"));
        let value = |name: &str| Some(name.as_bytes().to_vec());
        for (answers, expected) in [
            (
                vec![&*a, &*b, &*c],
                Some(vec![value("a"), value("b"), value("c")]),
            ),
            (vec![&*b], Some(vec![None, value("b"), None])),
            (vec![], Some(vec![None, None, None])),
            (vec![&*c, &*b], None),
            (vec![&*a, &*b, &*b], None),
            (vec![&*d], None),
        ] {
            let (to, mut answer) = oneshot::channel();
            let items = Expected::Items {
                keys: Keys::of(b" a b c"),
                values: Vec::new(),
                to,
            };
            let come = come(items, &[&answers[..], &["END\r\n"]].concat());
            assert_eq!(come.is_ok(), expected.is_some(), "{answers:?}");
            assert_eq!(answer.try_recv().ok(), expected.map(Ok), "{answers:?}");
        }
    }

    #[test]
    fn some_answers_are_complete_with_the_last_and_each_has_its_mark() {
        let several = |to| Expected::Several {
            mark: 7,
            left: 2,
            replies: Vec::new(),
            to,
            kept: None,
        };
        let (to, mut answer) = oneshot::channel();
        let answers = ["SERVER_ERROR x\r\n", "HD O8 c3\r\n"];
        assert_eq!(come(several(to), &answers), Ok(true));
        let replies = answer.try_recv().unwrap();
        assert!(matches!(replies[..], [Err(Failure::Refused(_)), Ok(_)]));
        for wrong in [["HD O7\r\n", "HD O7\r\n"], ["HD O8\r\n", "HD O7\r\n"]] {
            let (to, mut answer) = oneshot::channel();
            assert_eq!(come(several(to), &wrong), Err(unasked()));
            assert!(answer.try_recv().is_err());
        }
    }

    #[test]
    fn a_server_that_is_out_of_step_is_told_to_its_caller_and_ends_the_connection() {
        for (line, goes_on) in [
            ("ERROR\r\n", false),
            ("CLIENT_ERROR bad data chunk\r\n", false),
            ("SERVER_ERROR out of memory\r\n", true),
            ("SERVER_ERROR object too large for cache\r\n", true),
        ] {
            let (to, mut answer) = oneshot::channel();
            assert_eq!(
                come(
                    Expected::One {
                        mark: 1,
                        to,
                        _kept: None
                    },
                    &[line]
                )
                .is_ok(),
                goes_on
            );
            let answer = answer.try_recv().unwrap();
            assert!(matches!(answer, Err(Failure::Refused(_))), "{line}");
        }
    }
}
