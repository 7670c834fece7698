//! [`ByteStore`]: what the author of a new wire store implements.

use std::future::Future;
use std::time::Duration;

use crate::answers::one_each;
use crate::codec;
use crate::error::Result;

/// How many bytes the head of a value has; a placeholder is shorter and is all head.
pub const HEAD_BYTES: usize = codec::HEAD_LEN;

/// What every head begins with: that of an entry, and that of a placeholder. For a store that
/// judges heads on the server; one that has the bytes at hand asks [`is_head`].
pub const HEAD_PREFIXES: [[u8; 5]; 2] = codec::PREFIXES;

/// Whether `value` begins with a head of this format.
pub fn is_head(value: &[u8]) -> bool {
    HEAD_PREFIXES.iter().any(|prefix| value.starts_with(prefix))
}

/// The head of `value`.
pub fn head(value: &[u8]) -> &[u8] {
    value.get(..HEAD_BYTES).unwrap_or(value)
}

/// A store of bytes that other processes share: Redis, Memcached, yours.
///
/// It knows keys and bytes and nothing of entries; [`Encoded::over`](super::Encoded::over) makes a
/// [`CacheBackend`](super::CacheBackend) of it, with leases, fences, deadlines, a breaker and a
/// queue of invalidations.
///
/// # Heads
/// The first [`HEAD_BYTES`] of a value (all of a shorter one) are its *head*. Every value and every
/// placeholder has a head of its own, so a store may compare heads instead of values. Only what
/// [`is_head`] accepts is ever a fence: an empty, short or foreign value fences nothing.
///
/// # Sent at most once
/// A command that is delivered late must not be able to bring back what it once put there. So a store
/// transmits the bytes it is given at most once. If the connection is lost and sending again makes
/// sense, it answers [`Error::ConnectionLost`](crate::Error::ConnectionLost): the command is then
/// given to it once more, within the same deadline, a placeholder with another id.
///
/// # Errors and cancellation
/// An error says that the command may or may not have been done;
/// [`Error::BackendRefused`](crate::Error::BackendRefused) that the store answered and did not do
/// it, so that it counts as alive. Commands for many keys answer for each key, in order. A future may
/// be dropped at any await, and what it sent may still be done later; a store must not answer one
/// caller with what another one asked for.
pub trait ByteStore: Send + Sync + 'static {
    /// What [`swap`](Self::swap) compares with: a head, or the store's own number for a value.
    type Token: Send + Sync + 'static;

    /// Whether the store writes some keys in a shorter form. Then the full key stands in every entry,
    /// and an entry that is found under another key is a miss, whatever its checksums say.
    const NARROW_KEYS: bool = false;

    /// How many look-ups of single keys go to the store each by itself. Where more are under way, new
    /// ones travel together, in one [`get_many`](Self::get_many). The default suits a connection that
    /// takes the next command before the last one is answered; less suits one that does not, and
    /// more a store for which many keys cost as much as many commands.
    const LOOK_UPS_ALONE: usize = 16;

    /// How many keys one [`get_many`](Self::get_many) asks for at most; with zero it does not compile.
    /// A longer batch is cut, so that what has come is decoded while the store answers the rest.
    const KEYS_AT_ONCE: usize = 256;

    /// How many commands of one batch of leases, stores or releases are under way at a time. They
    /// share what the store has of connections, and the deadline of each runs from when it is sent:
    /// behind ten thousand others it would pass.
    const COMMANDS_AT_ONCE: usize = 1_024;

    /// Waits for room in the store's own queue, for one command. The command's deadline begins when
    /// there is room, and what this gives is dropped when the command has ended. By default there
    /// always is.
    ///
    /// Waiting here is bounded by a deadline of its own. To wait in vain, or an error, ends the command
    /// before it is sent, and is no failure of the server.
    fn admit(&self) -> impl Future<Output = Result<impl Send>> + Send {
        async { Ok(()) }
    }

    /// The value under `key`. By default it is asked for as a batch of one.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>>> + Send {
        async move {
            let values = one_each(1, self.get_many(&[key]).await);
            values.into_iter().next().unwrap_or(Ok(None))
        }
    }

    /// The values under `keys`: an answer for each, in order; `None` where there is none.
    fn get_many(&self, keys: &[&str]) -> impl Future<Output = Vec<Result<Option<Vec<u8>>>>> + Send;

    /// Puts `placeholder` under `key`, unless a value stands there whose head
    /// [`is_head`] accepts: then that head and its token are the answer.
    fn claim(
        &self,
        key: &str,
        placeholder: &[u8],
        lifetime: Duration,
    ) -> impl Future<Output = Result<Claim<Self::Token>>> + Send;

    /// Replaces what `token` stands for by `value`; `false` if something else stands there by now,
    /// or nothing. Without a lifetime the value stays. A value larger than the store takes is
    /// [`Error::TooLarge`](crate::Error::TooLarge).
    fn swap(
        &self,
        key: &str,
        token: &Self::Token,
        value: &[u8],
        lifetime: Option<Duration>,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Removes what `token` stands for; `false` if something else stands there by now, or nothing.
    fn remove(&self, key: &str, token: &Self::Token) -> impl Future<Output = Result<bool>> + Send;

    /// Puts `value` under `key`, whatever stands there, and answers with its token. A store that
    /// has no room for it removes what stands there and answers `None`.
    fn set(
        &self,
        key: &str,
        value: &[u8],
        lifetime: Duration,
    ) -> impl Future<Output = Result<Option<Self::Token>>> + Send;

    /// Removes whatever stands under `keys`: an answer for each, in order.
    fn delete_many(&self, keys: &[&str]) -> impl Future<Output = Vec<Result<()>>> + Send;

    /// Finds out whether the store answers. It touches no key, a refusal is an answer, too, and it does
    /// not wait for room: commands without an answer may have taken it all.
    ///
    /// Sent while commands are given up, and while the store is away. A connection that gives no answer
    /// to it is to be replaced.
    fn ping(&self) -> impl Future<Output = Result<()>> + Send;
}

/// What [`ByteStore::claim`] answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim<K> {
    /// The placeholder stands there now.
    Taken(K),
    /// Something else stands there, and stays.
    Standing {
        /// Its head.
        head: Vec<u8>,
        /// Its token.
        token: K,
    },
}
