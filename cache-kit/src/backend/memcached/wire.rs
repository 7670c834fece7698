//! [`Connection`]: the commands that are sent, each with a mark that its answer must bear.
//!
//! Meta commands echo an opaque token. Without it an answer that comes twice would be taken for
//! that of the next command on the connection, and the client could not tell. Only a batch of
//! look-ups is sent without: as `get` it costs half of what it costs as meta commands. Its answer
//! can be mistaken for that of another `get` alone, so each asks for one key more, in turns for one
//! of two that are always there.

use std::borrow::Cow;

use arrayvec::{ArrayString, ArrayVec};
use async_memcached::{AsciiProtocol, Client, Error as ClientError, ErrorKind, MetaProtocol};
use async_memcached::{MetaValue, Status};

use crate::backend::bytes::is_head;

/// One flag of a meta command: a letter and at most 20 digits.
type Flag = ArrayString<21>;

/// What a batch may be long, in bytes, before its answers are read. A server that waits for us to
/// read reads nothing itself, and what we write must fit between us.
const BATCH_BYTES: usize = 64 * 1_024;

/// What every `get` asks for besides, one after the other: an answer that comes twice then has the
/// wrong one.
const TURNS: [&str; 2] = ["cache-kit:turn:0", "cache-kit:turn:1"];

/// A connection to a server. After a [`Failure`], or a command that was dropped before its end, it
/// is no good any more.
pub(super) struct Connection {
    client: Client,
    commands: u64,
    gets: usize,
}

/// Why a command has no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection is no good. Whether the command was done is unknown.
    Lost(String),
    /// The value is larger than the server takes. What stood there is gone.
    TooLarge,
    /// The server says no.
    Refused(&'static str),
}

/// A value and its number.
pub(super) struct Found {
    pub(super) value: Vec<u8>,
    pub(super) cas: u64,
}

/// What a claim came to.
pub(super) enum Claimed {
    /// The placeholder stands there, under this number.
    Taken(u64),
    /// A head stands there.
    Standing(Found),
}

type Answer<O> = Result<O, Failure>;

impl Connection {
    /// Connects, and waits for a first answer: before it, the connection may stand in a queue that
    /// outlives the server.
    pub(super) async fn open(dsn: &str) -> Answer<Self> {
        let client = Client::new(dsn).await?;
        let mut connection = Self {
            client,
            commands: 0,
            gets: 0,
        };
        connection.look("cache-kit:hello", &["s"]).await?;
        Ok(connection)
    }

    /// The value under `key`, without its number.
    pub(super) async fn value(&mut self, key: &str) -> Answer<Option<Vec<u8>>> {
        let found = self.look(key, &["v"]).await?;
        Ok(found.map(|item| item.data.unwrap_or_default()))
    }

    /// The values under `keys`.
    pub(super) async fn values(&mut self, keys: &[Cow<'_, str>]) -> Answer<Vec<Option<Vec<u8>>>> {
        let mut values = Vec::with_capacity(keys.len());
        for keys in chunks(keys, |key| key.len()) {
            self.gets += 1;
            let turn = TURNS[self.gets % TURNS.len()];
            let mut wanted = bytes_of(keys);
            wanted.push(turn.as_bytes());
            let items = match self.client.get_multi(wanted).await {
                Err(ClientError::Protocol(Status::NotFound)) => Vec::new(),
                items => items?,
            };
            // Misses are not answered, so the items found are matched to the keys in order.
            let mut items = items.into_iter().peekable();
            for key in keys {
                let item = items.next_if(|item| item.key == key.as_bytes());
                values.push(item.map(|item| item.data.unwrap_or_default()));
            }
            match items.next() {
                Some(item) if item.key == turn.as_bytes() && items.next().is_none() => {}
                Some(_) => return Err(Failure::Lost(UNASKED.into())),
                // The server is new, or needed the room: a marked answer has to do.
                None => {
                    self.put(turn, b"", "ME", None).await?;
                }
            }
        }
        Ok(values)
    }

    /// Puts `placeholder` under `key` unless a head stands there.
    ///
    /// One command where nothing stands. Else a second one looks what it is, and leaves a stub where
    /// it has gone by now: so there always is an item to look at or to replace. Where that is
    /// replaced or removed by others before our placeholder stands, the claim was overtaken, and its
    /// number fits nothing any more.
    pub(super) async fn claim(
        &mut self,
        key: &str,
        placeholder: &[u8],
        ttl: u64,
    ) -> Answer<Claimed> {
        if let Some(cas) = self.put(key, placeholder, "ME", Some(ttl)).await? {
            return Ok(Claimed::Taken(cas));
        }
        let stub = numbered("N", ttl);
        let item = self.look(key, &["v", "c", &stub]).await?;
        let item = item.ok_or(Failure::Lost(UNASKED.into()))?;
        let cas = number(&item)?;
        let value = item.data.unwrap_or_default();
        if is_head(&value) {
            return Ok(Claimed::Standing(Found { value, cas }));
        }
        let instead = self.put(key, placeholder, &compare(cas), Some(ttl)).await?;
        Ok(Claimed::Taken(instead.unwrap_or(cas)))
    }

    /// Replaces the item with this number.
    pub(super) async fn swap(
        &mut self,
        key: &str,
        cas: u64,
        value: &[u8],
        ttl: Option<u64>,
    ) -> Answer<bool> {
        let put = self.put(key, value, &compare(cas), ttl).await?;
        Ok(put.is_some())
    }

    /// Puts `value` under `key`, whatever stands there, and answers with its number.
    pub(super) async fn set(&mut self, key: &str, value: &[u8], ttl: u64) -> Answer<u64> {
        let put = self.put(key, value, "MS", Some(ttl)).await?;
        put.ok_or(Failure::Refused("it does not set"))
    }

    /// Removes the item with this number.
    pub(super) async fn remove(&mut self, key: &str, cas: u64) -> Answer<bool> {
        self.delete(key, Some(&compare(cas))).await
    }

    /// Removes what stands under `keys`.
    pub(super) async fn delete_all(&mut self, keys: &[Cow<'_, str>]) -> Answer<()> {
        if let [key] = keys {
            return self.delete(key, None).await.map(|_| ());
        }
        for keys in chunks(keys, |key| key.len()) {
            self.client.delete_multi_no_reply(&bytes_of(keys)).await?;
        }
        // A server does one command of a connection after the other: when this one is answered,
        // those before it have been done. Had one of them failed, its error would come first.
        self.look("cache-kit:done", &["s"]).await.map(|_| ())
    }

    async fn look(&mut self, key: &str, flags: &[&str]) -> Answer<Option<MetaValue>> {
        let mark = self.mark();
        let opaque = Some(opaque(&mark));
        let item = self.client.meta_get(key, false, opaque, Some(flags)).await;
        let item = Self::marked(item?, &mark)?;
        Ok((item.status != Some(Status::NotFound)).then_some(item))
    }

    /// The number of the item that was put; `None` if what the mode asks for is not so.
    async fn put(
        &mut self,
        key: &str,
        value: &[u8],
        mode: &str,
        ttl: Option<u64>,
    ) -> Answer<Option<u64>> {
        let mark = self.mark();
        let ttl = ttl.map(|ttl| numbered("T", ttl));
        let mut flags = ArrayVec::<&str, 3>::new();
        flags.push("c");
        flags.push(mode);
        flags.extend(ttl.as_deref());
        let opaque = Some(opaque(&mark));
        let item = self
            .client
            .meta_set(key, value, false, opaque, Some(&flags))
            .await?;
        let item = Self::marked(item, &mark)?;
        match item.status {
            Some(Status::Stored) => number(&item).map(Some),
            Some(Status::NotStored | Status::Exists | Status::NotFound) => Ok(None),
            _ => Err(Failure::Lost(UNASKED.into())),
        }
    }

    /// Whether there was something to delete, with the number if one is given.
    async fn delete(&mut self, key: &str, compare: Option<&str>) -> Answer<bool> {
        let mark = self.mark();
        let mut flags = ArrayVec::<&str, 1>::new();
        flags.extend(compare);
        let opaque = Some(opaque(&mark));
        let item = self
            .client
            .meta_delete(key, false, opaque, Some(&flags))
            .await?;
        match Self::marked(item, &mark)?.status {
            Some(Status::Deleted) => Ok(true),
            Some(Status::Exists | Status::NotFound) => Ok(false),
            _ => Err(Failure::Lost(UNASKED.into())),
        }
    }

    /// The answer, if it bears the mark.
    fn marked(item: Option<MetaValue>, mark: &Flag) -> Answer<MetaValue> {
        item.filter(|item| item.opaque_token.as_deref() == Some(opaque(mark)))
            .ok_or_else(|| Failure::Lost(UNASKED.into()))
    }

    /// The flag that asks for a mark which no other answer on this connection bears.
    fn mark(&mut self) -> Flag {
        self.commands += 1;
        numbered("O", self.commands)
    }
}

const UNASKED: &str = "an answer that was not asked for";

fn opaque(mark: &Flag) -> &[u8] {
    &mark.as_bytes()[1..]
}

fn compare(cas: u64) -> Flag {
    numbered("C", cas)
}

fn numbered(letter: &str, number: u64) -> Flag {
    let mut flag = Flag::new();
    flag.push_str(letter);
    flag.push_str(itoa::Buffer::new().format(number));
    flag
}

/// The number of an item. A server that counts none says 0, and would take that for "whatever stands
/// there".
fn number(item: &MetaValue) -> Answer<u64> {
    match item.cas {
        Some(0) => Err(Failure::Refused(
            "the server numbers no items (its option -C)",
        )),
        Some(cas) => Ok(cas),
        None => Err(Failure::Lost(UNASKED.into())),
    }
}

fn bytes_of<'k>(keys: &'k [Cow<'_, str>]) -> Vec<&'k [u8]> {
    keys.iter().map(|key| key.as_bytes()).collect()
}

/// Cuts `items` where a batch of them would become too long.
fn chunks<T>(items: &[T], length: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    /// What a command has besides its key and value.
    const REST: usize = 64;
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fit = rest.iter().take_while(|item| {
            bytes += length(item) + REST;
            bytes <= BATCH_BYTES
        });
        let (chunk, later) = rest.split_at(fit.count().max(1).min(rest.len()));
        rest = later;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// No text of the server is repeated: it may quote a command.
impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Connect(error) => Self::Lost(format!("no connection: {error}")),
            ClientError::Io(error) => Self::Lost(error.to_string()),
            ClientError::ConnectionClosed => Self::Lost("the connection is closed".into()),
            ClientError::Protocol(Status::Error(ErrorKind::Server(text))) => {
                if text.contains("too large") {
                    return Self::TooLarge;
                }
                Self::Refused(if text.contains("out of memory") {
                    "the server is out of memory"
                } else {
                    "the server has an error"
                })
            }
            ClientError::Protocol(Status::Error(ErrorKind::NonexistentCommand)) => {
                Self::Refused("the server does not know meta commands, as of memcached 1.6")
            }
            ClientError::Protocol(Status::Error(ErrorKind::Client(_))) => {
                Self::Refused("the server does not take the command")
            }
            _ => Self::Lost("an answer that is none of memcached".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_batch_is_cut_and_nothing_lost() {
        let lengths = [10, 70_000, 30_000, 30_000, 5_000, 65_000, 1, 1];
        let cut: Vec<&[usize]> = chunks(&lengths, |length| *length).collect();
        assert_eq!(
            cut,
            [
                &[10][..],
                &[70_000],
                &[30_000, 30_000, 5_000],
                &[65_000, 1, 1],
            ]
        );
        assert_eq!(chunks(&[] as &[usize], |length| *length).count(), 0);
    }

    #[test]
    fn the_longest_number_fits_into_a_flag() {
        assert_eq!(compare(u64::MAX).as_str(), "C18446744073709551615");
    }

    #[test]
    fn no_words_of_the_server_come_through() {
        for kind in [
            ErrorKind::Server("secret".into()),
            ErrorKind::Client("secret".into()),
            ErrorKind::Generic("secret".into()),
            ErrorKind::Protocol(Some("secret".into())),
        ] {
            let failure = Failure::from(ClientError::Protocol(Status::Error(kind)));
            assert!(!format!("{failure:?}").contains("secret"), "{failure:?}");
        }
    }
}
