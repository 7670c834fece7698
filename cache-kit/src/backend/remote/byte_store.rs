//! [`ByteStore`]: what the author of a new wire store implements.

use std::future::Future;
use std::time::Duration;

use super::scan::{ScanCursor, Scanned};
use crate::answers::one_each;
use crate::backend::NodeInfo;
use crate::codec;
use crate::error::{Error, Result};

/// The length of a value's head in bytes. A placeholder is shorter than that, so all of it is head.
pub const HEAD_BYTES: usize = codec::HEAD_LEN;

/// The prefixes of a head: that of an entry, and that of a placeholder. For a store that checks
/// heads on the server. A store that has the bytes itself calls [`is_head`].
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
/// It knows keys and bytes, and nothing about entries. [`Encoded::over`](super::Encoded::over)
/// turns it into a [`CacheBackend`](crate::backend::CacheBackend) with leases, fences, deadlines, a breaker
/// and a queue of invalidations.
///
/// # Heads
/// The first [`HEAD_BYTES`] of a value (all of a shorter one) are its *head*. Every value and every
/// placeholder has a head of its own, so a store may compare heads instead of values. Only what
/// [`is_head`] accepts is ever a fence: an empty, short or foreign value fences nothing.
///
/// # Sent at most once
/// A command that is delivered late must not bring back what it once stored. So a store transmits
/// the bytes of one command at most once. If the connection is lost and a second try makes sense,
/// it answers [`Error::ConnectionLost`](crate::Error::ConnectionLost). The command is then given to
/// it once more, within the same deadline, and a placeholder has a new id.
///
/// # Errors and cancellation
/// After an error, the command may or may not have been done.
/// [`Error::BackendRefused`](crate::Error::BackendRefused) says that the store answered and did not
/// do it, so the store counts as alive. What errors say is told to listeners and to the log as it is: leave
/// keys and values out of it. Commands for many keys answer for each key, in order. A
/// future may be dropped at any await, and what it sent may still be done later. A store must never
/// give one caller the answer to another's question.
pub trait ByteStore: Send + Sync + 'static {
    /// What [`compare_and_set`](Self::compare_and_set) compares with: the head of a value, or a
    /// number that the store gives to each value.
    type Token: Send + Sync + 'static;

    /// Whether the store writes some keys in a shorter form. Then every entry contains its full
    /// key, and an entry that is found under another key is a miss, whatever its checksums say.
    const NARROW_KEYS: bool = false;

    /// How many look-ups of single keys are sent as commands of their own. While more are in
    /// flight, new ones are sent together, in one [`get_many`](Self::get_many). The default suits a
    /// connection that pipelines: it takes the next command before the last one is answered. Use
    /// less for a connection that does not pipeline, and more for a store where a command for many
    /// keys costs as much as many commands.
    const MAX_SINGLE_GETS: usize = 16;

    /// How many keys one [`get_many`](Self::get_many) asks for at most; zero does not compile. A
    /// longer batch is cut into parts, so that one part is decoded while the store answers the
    /// next.
    const MAX_KEYS_PER_COMMAND: usize = 256;

    /// How many commands of one batch of leases, stores or releases are in flight at a time. They
    /// share the store's connections, and the deadline of each begins when it is sent. Without this
    /// bound, a command behind ten thousand others would time out.
    const MAX_COMMANDS_IN_FLIGHT: usize = 1_024;

    /// Waits for room in the store's own queue, for one command. The command's deadline begins when
    /// there is room. The returned guard is dropped when the command has ended. By default there is
    /// always room.
    ///
    /// This wait has a deadline of its own. A timeout or an error here ends the command before it
    /// is sent, and does not count as a failure of the server.
    fn admit(&self) -> impl Future<Output = Result<impl Send>> + Send {
        async { Ok(()) }
    }

    /// The value under `key`. By default a batch of one.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>>> + Send {
        async move {
            let values = one_each(1, self.get_many(&[key]).await);
            values.into_iter().next().unwrap_or(Ok(None))
        }
    }

    /// The values under `keys`: an answer for each, in order; `None` where there is none.
    fn get_many(&self, keys: &[&str]) -> impl Future<Output = Vec<Result<Option<Vec<u8>>>>> + Send;

    /// Puts `placeholder` under `key`, unless the key has a value whose head [`is_head`] accepts.
    /// Then the answer is that head and its token.
    fn claim(
        &self,
        key: &str,
        placeholder: &[u8],
        lifetime: Duration,
    ) -> impl Future<Output = Result<Claim<Self::Token>>> + Send;

    /// Replaces what `token` stands for by `value`; `false` if the key has another value by now, or
    /// none. Without a lifetime the value stays. A value larger than the store takes is
    /// [`Error::TooLarge`](crate::Error::TooLarge).
    fn compare_and_set(
        &self,
        key: &str,
        token: &Self::Token,
        value: &[u8],
        lifetime: Option<Duration>,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Removes what `token` stands for; `false` if the key has another value by now, or none.
    fn compare_and_delete(
        &self,
        key: &str,
        token: &Self::Token,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Puts `value` under `key`, whatever is there now, and answers with its token. A store without
    /// room for it removes what is under the key and answers `None`.
    fn set(
        &self,
        key: &str,
        value: &[u8],
        lifetime: Duration,
    ) -> impl Future<Output = Result<Option<Self::Token>>> + Send;

    /// Removes whatever is under `keys`: an answer for each, in order.
    fn delete_many(&self, keys: &[&str]) -> impl Future<Output = Vec<Result<()>>> + Send;

    /// Some of the keys that begin with `beginning`, and where to go on: one step of a walk over all keys.
    /// Without a `cursor` the walk begins. For
    /// [`CacheBackend::clear_prefix`](crate::backend::CacheBackend::clear_prefix), which deletes what a
    /// step has listed before it takes the next one.
    ///
    /// - A key that is there from before the first step until after the last is listed at least once,
    ///   whatever is put under it meanwhile. Other keys may be listed or not.
    /// - A step is short: it looks at about a thousand keys, and may list none of them. It lists no more
    ///   than it looks at.
    /// - A cursor belongs to its server. If another one answers by now, the step lists what it can and
    ///   its `next` begins anew.
    ///
    /// By default an error, for a store that cannot list its keys.
    ///
    /// # Errors
    /// [`Error::ConfigError`] if the store cannot list its keys, and says what to do instead.
    fn scan(
        &self,
        beginning: &str,
        cursor: Option<&ScanCursor>,
    ) -> impl Future<Output = Result<Scanned>> + Send {
        let _ = (beginning, cursor);
        async {
            Err(Error::ConfigError(
                "the store cannot list its keys: give the service another namespace, whose keys are \
                 new, and let the old ones expire"
                    .into(),
            ))
        }
    }

    /// Finds out whether the store answers. It touches no key, and a refusal is an answer, too. It
    /// does not wait for room: commands without an answer may occupy all of it.
    ///
    /// Sent while commands are given up, and while the store is unavailable. The store must replace
    /// a connection that does not answer it.
    fn ping(&self) -> impl Future<Output = Result<()>> + Send;

    /// The number of the node that keeps `key`, in a store of several servers. Each node has its
    /// own breaker, deadline and batches, so that one that does not answer affects only its own
    /// keys. A key may move to another node; a node has the same number as long as the store lives.
    /// The numbers count from 0, since the guard keeps a list of them. By default 0, for one server.
    fn node_of(&self, key: &str) -> usize {
        let _ = key;
        0
    }

    /// [`ping`](Self::ping) to the node of this number. Success for a node that keeps no keys any
    /// more. By default `ping`.
    fn ping_node(&self, node: usize) -> impl Future<Output = Result<()>> + Send {
        let _ = node;
        self.ping()
    }

    /// The nodes, for [`Health`](crate::backend::Health). By default none.
    fn nodes(&self) -> Vec<NodeInfo> {
        Vec::new()
    }
}

/// The constants of a store as values, so that a store without its type keeps to them, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backend) struct Limits {
    pub(in crate::backend) narrow_keys: bool,
    pub(in crate::backend) single_gets: usize,
    pub(in crate::backend) keys_per_command: usize,
    pub(in crate::backend) commands_in_flight: usize,
}

impl Limits {
    /// Those of `S`.
    pub(in crate::backend) const fn of<S: ByteStore>() -> Self {
        const {
            assert!(
                S::MAX_KEYS_PER_COMMAND > 0,
                "a command asks for one key at least"
            );
        }
        Self {
            narrow_keys: S::NARROW_KEYS,
            single_gets: S::MAX_SINGLE_GETS,
            keys_per_command: S::MAX_KEYS_PER_COMMAND,
            commands_in_flight: S::MAX_COMMANDS_IN_FLIGHT,
        }
    }
}

/// What [`ByteStore::claim`] answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim<K> {
    /// The placeholder is there now.
    Taken(K),
    /// The key has another value, which stays.
    Standing {
        /// Its head.
        head: Vec<u8>,
        /// Its token.
        token: K,
    },
}
