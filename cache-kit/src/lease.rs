//! What is asked of a backend and what it answers: leases, the fences they are taken under, look-ups.
//!
//! [`Take`], [`Leased`] and [`Lookup`] are exhaustive on purpose. A backend must decide about each kind
//! of lease, and a wrapper about each answer: a new one that fell into a `_` arm would break a promise
//! silently. What is only passed on or shown is `#[non_exhaustive]`.

use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::entry::Entry;
use crate::error::Error;

/// The id of what is under a key at one moment: an entry or a lease. An id is never used twice for
/// one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence(pub u64);

/// The id of one load and everything that is sent for it, so that an earlier copy of a command is
/// recognized. A remote store numbers its sendings in the low 24 bits; [`Leased::Granted`] gives
/// the resulting fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseId(pub u64);

/// What [`CacheBackend::get`](crate::backend::CacheBackend::get) found.
#[derive(Debug, Clone)]
pub enum Lookup<T> {
    /// An entry that has not expired.
    Hit {
        /// The entry.
        entry: Entry<T>,
        /// The fence of the entry, where the store knows it without asking again.
        fence: Option<Fence>,
    },
    /// Nothing that can be used.
    Miss {
        /// The fence of the unusable entry or lease that is there, where the store knows it.
        fence: Option<Fence>,
        /// Why it is a miss.
        reason: MissReason,
    },
}

/// Why a look-up was a miss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MissReason {
    /// There is nothing.
    Absent,
    /// There is an entry that has expired.
    Expired,
    /// There is something that is not an entry of this key.
    Damaged,
    /// There is an entry of another schema.
    OtherSchema,
    /// There is an entry that is larger than this service takes. It stays: another service may
    /// accept it.
    TooLarge,
    /// There is an entity that its [`cache_validate`](crate::CacheEntity::cache_validate) rejects.
    Invalid,
}

/// What a lease is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRequest {
    /// The id of the load that asks for it.
    pub id: LeaseId,
    /// What to do if the key is not empty.
    pub take: Take,
    /// The caller's clock.
    pub now: Timestamp,
}

/// What a lease does about the entry or lease that is under its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Take {
    /// Take the lease only if there is neither an entry nor another lease.
    IfMissing,
    /// Take it over what is there, entry or lease, and leave that in place until the store.
    Over,
    /// Remove what is there, make every lease on it worthless, and take the lease.
    Invalidating,
}

/// What [`CacheBackend::lease`](crate::backend::CacheBackend::lease) answers.
#[derive(Debug)]
pub enum Leased<L> {
    /// The lease.
    Granted {
        /// Pass it to [`store`](crate::backend::CacheBackend::store) or
        /// [`release`](crate::backend::CacheBackend::release).
        lease: L,
        /// The fence that the lease was taken under.
        fence: Fence,
    },
    /// There is an entry by now; asked with [`Take::IfMissing`].
    Found,
    /// Another call is loading the key; asked with [`Take::IfMissing`]. Wait for that load, or take
    /// a lease over it.
    Busy {
        /// The fence of the other lease.
        fence: Fence,
    },
    /// Another call is writing the key through the cache, and only that call may fill it: load,
    /// don't store.
    Writing,
    /// The store has no room for a lease: load, don't store. Asked with [`Take::Invalidating`],
    /// the invalidation has been done.
    NoRoom,
    /// The store could not be reached for an invalidation, which the backend has queued and will
    /// send again; until then it serves nothing for the key. Asked with [`Take::Invalidating`].
    Pending,
}

/// The result of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stored {
    /// It is in the cache.
    Stored,
    /// The lease had become worthless; nothing was changed.
    Fenced,
    /// It is larger than the store takes. The old entry is gone, except one that is too large for
    /// this service to read: that one stays for services that can. Under a worthless lease the
    /// answer is `Fenced`, whatever the size.
    TooLarge,
}

/// What became of an invalidation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Invalidated {
    /// It is done, for every process that shares the store.
    Done,
    /// It is done for this process. Other processes may still return the old value for a while: see
    /// [`Scope::ThisProcess`].
    DoneHere {
        /// For how long at most.
        others_within: Duration,
    },
    /// The store could not be reached. The backend sends the invalidation again, first of all when
    /// the store is back, and serves nothing for the key until then.
    Pending,
}

/// How far the acknowledgements of a backend reach: what its [`Invalidated::Done`] promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Scope {
    /// No later look-up, in any process that shares the store, returns what was there.
    #[default]
    Everywhere,
    /// The same in this process: a tier in front of a shared store, for example. In other processes,
    /// only look-ups that begin within `others_within` of the acknowledgement may still return the
    /// old value.
    ThisProcess {
        /// For how long other processes may return the old value.
        others_within: Duration,
    },
}

/// What [`CacheExpander::clear`](crate::CacheExpander::clear) has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cleared {
    /// How many keys were dropped, those of loads under way included. One that is filled again while
    /// the walk goes on may count again.
    pub keys: u64,
    /// Whether all of them are dropped, and for whom: [`Invalidated::Pending`] if the store has refused
    /// some, which are sent again.
    pub invalidated: Invalidated,
}

impl Cleared {
    /// Nothing so far: for the author of a backend, who counts up.
    pub fn nothing() -> Self {
        Self {
            keys: 0,
            invalidated: Invalidated::Done,
        }
    }

    /// The error of a walk that ended early, which says how many keys were dropped before.
    pub fn cut_short(self, beginning: &str, error: Error) -> Error {
        match self.keys {
            0 => error.during("clear", &format!("{beginning}*")),
            1 => error.during("clear", &format!("{beginning}* after 1 key")),
            keys => error.during("clear", &format!("{beginning}* after {keys} keys")),
        }
    }
}

impl Invalidated {
    /// What `Done` means where acknowledgements reach as far as `scope`.
    pub(crate) fn within(self, scope: Scope) -> Self {
        match (self, scope) {
            (Self::Done, Scope::ThisProcess { others_within }) => Self::DoneHere { others_within },
            (answer, _) => answer,
        }
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
