//! [`CacheEntity`]: what a cached type says about itself. [`CacheSchema`]: what the types inside it
//! say.

use std::fmt::Display;
use std::hash::Hash;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;

pub use crate::schema::{CacheSchema, Schema};

/// A type that can be cached: it knows its key and the prefix that all its keys share.
///
/// [Derive it](derive@crate::CacheEntity), or write it by hand:
///
/// ```
/// use cache_kit::CacheEntity;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct User {
///     id: String,
///     name: String,
/// }
///
/// impl CacheEntity for User {
///     type Key = String;
///
///     fn cache_key(&self) -> String {
///         self.id.clone()
///     }
///
///     fn cache_prefix() -> &'static str {
///         "user"
///     }
/// }
/// ```
///
/// The cache key of an entity is `{prefix}:{key}`: `user:user_001`.
///
/// An entity is `Clone`, `Serialize` and `DeserializeOwned`, which together are [`Storable`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a cache entity",
    label = "does not say how it is keyed",
    note = "add `#[derive(CacheEntity)]` and `#[cache(prefix = \"…\", key = \"…\")]` to `{Self}`"
)]
pub trait CacheEntity: Storable + Send + Sync + 'static {
    /// What identifies one entity among all of its type.
    ///
    /// Two different keys must have different `Display` texts: the text is the cache key.
    /// It is only ever written, never parsed.
    type Key: EntityKey;

    /// The key of this entity. Cheap, if it can be: a hit in memory may compare it with the key that is
    /// asked for.
    fn cache_key(&self) -> Self::Key;

    /// The prefix of every cache key of this type, without the colon: 1 to 64 bytes without colons,
    /// spaces and control characters. It must always be the same, and belong to this type alone.
    /// The services over one backend refuse a second type under a prefix, since in a store of bytes
    /// one type would answer for the other.
    fn cache_prefix() -> &'static str;

    /// A number that changes when stored bytes change their meaning without a change of the type's
    /// `Deserialize`. Default 0.
    ///
    /// A stored entry of another number is a miss, and so is one that `Deserialize` would read in
    /// another way: a rolling deploy never decodes the older shape. [`CacheSchema`] has the table
    /// of which changes are detected. The derive computes the number from what only the derive
    /// sees, such as `version = N`.
    fn cache_schema() -> u64 {
        0
    }

    /// How long an entity may be served from the cache, if neither the call nor the service's
    /// [`TtlPolicy`](crate::observability::TtlPolicy) says otherwise; `None` leaves it to the
    /// backend. [`Duration::ZERO`] means "do not store".
    fn cache_ttl() -> Option<Duration> {
        None
    }

    /// The largest part of its time to live by which an entry may be shortened at random, from `0.0`
    /// to `1.0`, so that entries that were stored together do not expire together. As the settings
    /// below, see [`FreshnessPolicy`](crate::FreshnessPolicy) for what it does and how a service or a
    /// call overrides it.
    fn cache_jitter() -> Option<f64> {
        None
    }

    /// For how long after its time to live an entry is still answered, stale, while one load refreshes
    /// it. `None`: it is not.
    fn cache_stale_while_revalidate() -> Option<Duration> {
        None
    }

    /// For how long an entry stands in, stale, for a load that fails, counted from the end of its time
    /// to live and of [`cache_stale_while_revalidate`](Self::cache_stale_while_revalidate). `None`: it
    /// does not.
    fn cache_stale_if_error() -> Option<Duration> {
        None
    }

    /// How early an entry is refreshed before its time to live ends: `1.0` is a few load times. `None`:
    /// not before it ends.
    fn cache_refresh_ahead() -> Option<f64> {
        None
    }

    /// How long a caller that has a stale entry waits for the load before it takes that entry. `None`:
    /// until the load ends.
    fn cache_answer_within() -> Option<Duration> {
        None
    }

    /// How long the cache remembers that the repository has no entity of a key. `None` remembers
    /// no absence, so that every call for it asks the repository.
    fn cache_negative_ttl() -> Option<Duration> {
        None
    }

    /// The largest stored form of an entity in bytes, head included, where that is less than the
    /// backend's own limit. A larger one is served, and not stored. Memory keeps entities as they
    /// are and has no stored form.
    fn cache_max_bytes() -> Option<usize> {
        None
    }

    /// Checks whether the entity may be served.
    ///
    /// Called once when the repository has answered, and once when bytes have been decoded.
    /// Entities in memory have been checked before.
    ///
    /// # Errors
    /// Whatever is wrong with the entity, as
    /// [`Error::ValidationError`](crate::Error::ValidationError). From the repository, the call
    /// ends with it and nothing is stored; from a store, the entry is a miss that the next load
    /// overwrites.
    fn cache_validate(&self) -> Result<()> {
        Ok(())
    }
}

/// `Display + Clone + Eq + Hash + Send + Sync + 'static`, which every key is. There is nothing to
/// implement: every such type has it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of an entity: it is missing `Display`, `Clone`, `Eq` or `Hash`",
    label = "not `Display + Clone + Eq + Hash + Send + Sync`",
    note = "have `#[derive(Clone, PartialEq, Eq, Hash)]` above it and implement `Display`; or make \
            the key of other types, as by `key_with = path` and `key_type = String`"
)]
pub trait EntityKey: Display + Clone + Eq + Hash + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Display + Clone + Eq + Hash + Send + Sync + 'static> EntityKey for T {}

// As for `Storable` below.
#[diagnostic::do_not_recommend]
#[doc(hidden)]
impl<T> EntityKey for T
where
    [T]: Sized,
    T: EntityKey,
{
}

/// `Clone + Serialize + DeserializeOwned`, which every entity is. There is nothing to implement:
/// every such type has it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached: it is missing `Clone`, `Serialize` or `DeserializeOwned`",
    label = "cannot be cloned, stored and read back",
    note = "have this line above it: `#[derive(Clone, serde::Serialize, serde::Deserialize)]`",
    note = "if it has, a field borrows, which nothing that is read from a store can: hold a `String` \
            in place of a `&'static str`"
)]
pub trait Storable: Clone + Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Serialize + DeserializeOwned> Storable for T {}

// Never applies: no slice is `Sized`. With a second impl to choose from, the compiler reports that
// `Storable` is missing, once and in the words above. With the first alone, it would report each of
// the three required traits in its own words.
#[diagnostic::do_not_recommend]
#[doc(hidden)]
impl<T> Storable for T
where
    [T]: Sized,
    T: Storable,
{
}
