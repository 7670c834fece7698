//! [`AnyLease`]: a lease of whichever backend was chosen.

use std::fmt;

#[cfg(feature = "codec")]
use super::store::AnyToken;
#[cfg(feature = "codec")]
use crate::backend::EncodedLease;
#[cfg(feature = "memcached")]
use crate::backend::MemcachedBackend;
#[cfg(feature = "redis")]
use crate::backend::RedisBackend;
use crate::backend::{InMemoryLease, Leased};
use crate::error::{Error, Result};

#[cfg(any(feature = "redis", feature = "memcached"))]
type LeaseOf<B> = <B as crate::backend::CacheBackend>::Lease;

/// The right to store under one key of an [`AnyBackend`](super::AnyBackend).
pub struct AnyLease(Held);

enum Held {
    Memory(InMemoryLease),
    #[cfg(feature = "redis")]
    Redis(LeaseOf<RedisBackend>),
    #[cfg(feature = "memcached")]
    Memcached(LeaseOf<MemcachedBackend>),
    #[cfg(feature = "codec")]
    Custom(EncodedLease<AnyToken>),
}

/// The lease of one kind of backend.
pub(super) trait LeaseOfKind: Sized {
    fn erase(self) -> AnyLease;

    /// `None` if it is the lease of another kind of backend.
    fn of(lease: AnyLease) -> Option<Self>;
}

macro_rules! kind {
    ($kind:ident: $lease:ty) => {
        impl LeaseOfKind for $lease {
            fn erase(self) -> AnyLease {
                AnyLease(Held::$kind(self))
            }

            fn of(lease: AnyLease) -> Option<Self> {
                match lease.0 {
                    Held::$kind(lease) => Some(lease),
                    #[allow(
                        unreachable_patterns,
                        reason = "a build with memory alone has one kind"
                    )]
                    _ => None,
                }
            }
        }
    };
}

kind!(Memory: InMemoryLease);
#[cfg(feature = "redis")]
kind!(Redis: LeaseOf<RedisBackend>);
#[cfg(feature = "memcached")]
kind!(Memcached: LeaseOf<MemcachedBackend>);
#[cfg(feature = "codec")]
kind!(Custom: EncodedLease<AnyToken>);

/// The same answer, with its lease erased.
pub(super) fn erased<L: LeaseOfKind>(leased: Leased<L>) -> Leased<AnyLease> {
    match leased {
        Leased::Granted { lease, fence } => Leased::Granted {
            lease: lease.erase(),
            fence,
        },
        Leased::Found => Leased::Found,
        Leased::Busy { fence } => Leased::Busy { fence },
        Leased::Writing => Leased::Writing,
        Leased::NoRoom => Leased::NoRoom,
        Leased::Pending => Leased::Pending,
    }
}

/// The items of a batch whose lease is of this kind of backend, as `own` makes them, and the places
/// of the others.
pub(super) fn sorted<A, I>(batch: Vec<A>, own: impl Fn(A) -> Option<I>) -> (Vec<I>, Foreign) {
    let (mut items, mut foreign) = (Vec::with_capacity(batch.len()), Vec::new());
    for (place, item) in batch.into_iter().enumerate() {
        match own(item) {
            Some(item) => items.push(item),
            None => foreign.push(place),
        }
    }
    (items, Foreign(foreign))
}

/// The places in a batch of the items whose lease is of another kind of backend.
pub(super) struct Foreign(Vec<usize>);

impl Foreign {
    /// Puts an error for each of these items between `answers`, which are those to the others.
    pub(super) fn among<O>(self, mut answers: Vec<Result<O>>) -> Vec<Result<O>> {
        for place in self.0 {
            answers.insert(place.min(answers.len()), Err(foreign()));
        }
        answers
    }
}

/// A lease was passed to a backend that has not granted it.
pub(super) fn foreign() -> Error {
    Error::BackendError("the lease was granted by another kind of backend".into())
}

impl fmt::Debug for AnyLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Held::Memory(lease) => lease.fmt(f),
            #[cfg(feature = "redis")]
            Held::Redis(lease) => lease.fmt(f),
            #[cfg(feature = "memcached")]
            Held::Memcached(lease) => lease.fmt(f),
            #[cfg(feature = "codec")]
            Held::Custom(lease) => lease.fmt(f),
        }
    }
}
