//! The commands that are sent to a server, and what their answers mean.

use std::borrow::Cow;

use super::answer::{Code, Refusal};
use super::expected::{Kept, Reply, Values, unasked};
use super::link::{Answered, Failure, Link};
use crate::backend::remote::byte_store::is_head;

/// The total length of the keys of one `get`, in bytes.
const LONGEST_GET: usize = 64 << 10;

/// A value and its number.
pub(super) struct Found {
    pub(super) value: Vec<u8>,
    pub(super) cas: u64,
}

/// The result of a claim.
pub(super) enum Claimed {
    /// The placeholder is there, with this number.
    Taken(u64),
    /// The key has a value with a head.
    Standing(Found),
}

/// The condition under which an item is put.
#[derive(Clone, Copy)]
enum If {
    /// None: the current item is replaced.
    Whatever,
    /// The key has no item.
    Missing,
    /// The current item has this number.
    Is(u64),
}

impl Link {
    /// Waits for a first answer. Before it, the connection may still be in an accept queue that
    /// outlives the server.
    pub(super) async fn greet(&self) -> Answered<()> {
        let greeted = self.ask(None, |out, mark| get(out, "cache-kit:hello", " s", mark));
        greeted.await.map(|_| ())
    }

    /// The value under `key`, without its number.
    pub(super) async fn value(&self, key: &str) -> Answered<Option<Vec<u8>>> {
        let reply = self
            .ask(None, |out, mark| get(out, key, " v", mark))
            .await?;
        match reply.code {
            Code::Value => Ok(Some(reply.value)),
            Code::Missing => Ok(None),
            _ => Err(unasked()),
        }
    }

    /// The values under `keys`.
    pub(super) async fn values(&self, keys: &[Cow<'_, str>]) -> Answered<Values> {
        let mut parts = Vec::new();
        for keys in chunks(keys) {
            parts.push(self.ask_items(keys.iter().map(AsRef::as_ref)));
        }
        let mut values = Vec::with_capacity(keys.len());
        for part in parts {
            values.extend(part.await?);
        }
        Ok(values)
    }

    /// Puts `placeholder` under `key`, unless the key has a value with a head.
    ///
    /// Two commands are sent together: an `add`, and a look at the current item, which creates a
    /// stub if the item has just gone. So there is always an item to look at or to replace. A third
    /// command is needed only over a stub or a foreign value. If another client replaces or removes
    /// that first, the claim was overtaken: its number matches nothing any more.
    pub(super) async fn claim(
        &self,
        key: &str,
        placeholder: &[u8],
        ttl: u64,
        kept: Kept,
    ) -> Answered<Claimed> {
        let both = self.ask_several(kept.clone(), 2, |out, mark| {
            put(out, key, placeholder, If::Missing, Some(ttl), mark);
            begin(out, "mg", key);
            text(out, " v c N");
            number(out, ttl);
            end(out, mark + 1);
        });
        let mut both = both.await?.into_iter();
        let (Some(added), Some(standing)) = (both.next(), both.next()) else {
            return Err(unasked());
        };
        if let Some(cas) = put_under(&added?)? {
            return Ok(Claimed::Taken(cas));
        }
        let standing = standing?;
        let cas = number_of(&standing)?;
        if standing.code != Code::Value {
            return Err(unasked());
        }
        if is_head(&standing.value) {
            let value = standing.value;
            return Ok(Claimed::Standing(Found { value, cas }));
        }
        let instead = self
            .put(key, placeholder, If::Is(cas), Some(ttl), kept)
            .await?;
        Ok(Claimed::Taken(instead.unwrap_or(cas)))
    }

    /// Replaces the item with this number.
    pub(super) async fn compare_and_set(
        &self,
        key: &str,
        cas: u64,
        value: &[u8],
        ttl: Option<u64>,
    ) -> Answered<bool> {
        let put = self.put(key, value, If::Is(cas), ttl, None).await?;
        Ok(put.is_some())
    }

    /// Puts `value` under `key`, whatever is there now, and answers with its number.
    pub(super) async fn set(&self, key: &str, value: &[u8], ttl: u64, kept: Kept) -> Answered<u64> {
        let put = self.put(key, value, If::Whatever, Some(ttl), kept).await?;
        put.ok_or(Failure::Refused(Refusal::Server))
    }

    /// Removes the item with this number.
    pub(super) async fn compare_and_delete(&self, key: &str, cas: u64) -> Answered<bool> {
        let removed = self.ask(None, |out, mark| delete(out, key, Some(cas), mark));
        deleted(&removed.await?)
    }

    /// Removes what is under `key`.
    pub(super) async fn delete(&self, key: &str) -> Answered<bool> {
        let removed = self.ask(None, |out, mark| delete(out, key, None, mark));
        deleted(&removed.await?)
    }

    /// Removes what is under each of `keys`; there is at least one.
    pub(super) async fn delete_each(&self, keys: &[Cow<'_, str>]) -> Answered<Vec<Answered<bool>>> {
        let replies = self.ask_several(None, keys.len(), |out, first| {
            for (key, mark) in keys.iter().zip(first..) {
                delete(out, key, None, mark);
            }
        });
        let replies = replies.await?.into_iter();
        Ok(replies.map(|reply| deleted(&reply?)).collect())
    }

    /// The number of the item that was put; `None` if the condition `only` does not hold.
    async fn put(
        &self,
        key: &str,
        value: &[u8],
        only: If,
        ttl: Option<u64>,
        kept: Kept,
    ) -> Answered<Option<u64>> {
        let reply = self.ask(kept, |out, mark| put(out, key, value, only, ttl, mark));
        put_under(&reply.await?)
    }
}

/// A look-up of a key that is never used: only the mark of its answer matters.
pub(super) fn marked_nothing(out: &mut Vec<u8>, mark: u64) {
    get(out, "cache-kit:mark", " s", mark);
}

fn get(out: &mut Vec<u8>, key: &str, flags: &str, mark: u64) {
    begin(out, "mg", key);
    text(out, flags);
    end(out, mark);
}

fn put(out: &mut Vec<u8>, key: &str, value: &[u8], only: If, ttl: Option<u64>, mark: u64) {
    begin(out, "ms", key);
    text(out, " ");
    number(out, value.len() as u64);
    text(out, " c");
    match only {
        If::Whatever => text(out, " MS"),
        If::Missing => text(out, " ME"),
        If::Is(cas) => {
            text(out, " C");
            number(out, cas);
        }
    }
    if let Some(ttl) = ttl {
        text(out, " T");
        number(out, ttl);
    }
    end(out, mark);
    out.extend_from_slice(value);
    text(out, "\r\n");
}

fn delete(out: &mut Vec<u8>, key: &str, cas: Option<u64>, mark: u64) {
    begin(out, "md", key);
    if let Some(cas) = cas {
        text(out, " C");
        number(out, cas);
    }
    end(out, mark);
}

fn begin(out: &mut Vec<u8>, command: &str, key: &str) {
    text(out, command);
    text(out, " ");
    text(out, key);
}

fn end(out: &mut Vec<u8>, mark: u64) {
    text(out, " O");
    number(out, mark);
    text(out, "\r\n");
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn number(out: &mut Vec<u8>, number: u64) {
    text(out, itoa::Buffer::new().format(number));
}

fn put_under(reply: &Reply) -> Answered<Option<u64>> {
    match reply.code {
        Code::Done => number_of(reply).map(Some),
        Code::NotStored | Code::Exists | Code::NotFound => Ok(None),
        _ => Err(unasked()),
    }
}

/// Whether there was something to delete, with the number if one was given.
fn deleted(reply: &Reply) -> Answered<bool> {
    match reply.code {
        Code::Done => Ok(true),
        Code::Exists | Code::NotFound => Ok(false),
        _ => Err(unasked()),
    }
}

/// The number of an item. A server without numbers sends 0, and would read that as "any item".
fn number_of(reply: &Reply) -> Answered<u64> {
    match reply.cas {
        Some(0) => Err(Failure::Unfit(
            "the server numbers no items (its option -C)",
        )),
        Some(cas) => Ok(cas),
        None => Err(unasked()),
    }
}

/// Cuts `keys` into parts, each short enough for one `get`.
fn chunks<'k, 't>(keys: &'k [Cow<'t, str>]) -> impl Iterator<Item = &'k [Cow<'t, str>]> {
    let mut rest = keys;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fit = rest.iter().take_while(|key| {
            bytes += key.len() + 1;
            bytes <= LONGEST_GET
        });
        let (chunk, later) = rest.split_at(fit.count().max(1).min(rest.len()));
        rest = later;
        (!chunk.is_empty()).then_some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn commands_are_written_as_memcached_reads_them() {
        for (command, expected) in [
            (written(|out| get(out, "k", " v", 7)), "mg k v O7\r\n"),
            (
                written(|out| put(out, "k", b"va", If::Missing, Some(9), 1)),
                "ms k 2 c ME T9 O1\r\nva\r\n",
            ),
            (
                written(|out| put(out, "k", b"", If::Whatever, None, 1)),
                "ms k 0 c MS O1\r\n\r\n",
            ),
            (
                written(|out| put(out, "k", b"v", If::Is(u64::MAX), None, 2)),
                "ms k 1 c C18446744073709551615 O2\r\nv\r\n",
            ),
            (written(|out| delete(out, "k", None, 3)), "md k O3\r\n"),
            (
                written(|out| delete(out, "k", Some(5), 3)),
                "md k C5 O3\r\n",
            ),
        ] {
            assert_eq!(command, expected);
        }
    }

    #[test]
    fn a_long_batch_is_cut_and_nothing_lost() {
        let lengths = [10, 70_000, 30_000, 30_000, 5_000, 65_000, 1, 1];
        let keys = lengths.map(|length| Cow::from("k".repeat(length)));
        let cut: Vec<Vec<usize>> = chunks(&keys)
            .map(|keys| keys.iter().map(|key| key.len()).collect())
            .collect();
        assert_eq!(
            cut,
            [
                vec![10],
                vec![70_000],
                vec![30_000, 30_000, 5_000],
                vec![65_000, 1, 1],
            ]
        );
        assert_eq!(chunks(&[]).count(), 0);
    }
}
