//! [`CacheFeed`] and [`CacheFeedMany`]: carry requests in and entities out.

use std::fmt;
use std::sync::Arc;

use crate::entity::CacheEntity;
use crate::error::Result;

/// Carries the key of one request to the cache, and the entity back to the caller.
///
/// Derive it with `#[derive(CacheFeeder)]`, take [`GenericFeeder`] or [`SharedFeeder`], or write
/// it by hand:
///
/// ```
/// # use cache_kit::CacheEntity;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct User { id: String }
/// # impl CacheEntity for User {
/// #     type Key = String;
/// #     fn cache_key(&self) -> String { self.id.clone() }
/// #     fn cache_prefix() -> &'static str { "user" }
/// # }
/// use cache_kit::CacheFeed;
///
/// struct UserFeeder {
///     id: String,
///     user: Option<User>,
/// }
///
/// impl CacheFeed<User> for UserFeeder {
///     fn entity_id(&mut self) -> String {
///         self.id.clone()
///     }
///
///     fn feed(&mut self, entity: Option<User>) {
///         self.user = entity;
///     }
/// }
/// ```
///
/// # What is called when
///
/// [`validate`](Self::validate) first. Then at most one of [`on_hit`](Self::on_hit) (the cache
/// answered) and [`on_miss`](Self::on_miss) (the cache was asked and had no answer), then
/// [`on_loaded`](Self::on_loaded) if the repository answered with an entity. `feed` or
/// `feed_shared` comes last: exactly once for every `Ok`, never for an `Err`. An error from a hook
/// ends the call with that error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not feed a `{T}`",
    label = "not a feeder for `{T}`",
    note = "use `GenericFeeder::<{T}>::new(id)`, or derive `CacheFeeder` with `#[feeder(entity = {T})]`",
    note = "a request that has derived it becomes a feeder by `.into_feeder()`",
    note = "a feeder of many keys goes to `execute_many`"
)]
pub trait CacheFeed<T: CacheEntity>: Send {
    /// The key of the entity that is asked for.
    ///
    /// Called at most once in a call, and only if [`borrowed_id`](Self::borrowed_id) returns
    /// `None`.
    fn entity_id(&mut self) -> T::Key;

    /// Takes the answer: the entity, or `None` if there is none.
    fn feed(&mut self, entity: Option<T>);

    /// Takes the answer as the cache holds it. By default it is cloned into [`feed`](Self::feed);
    /// a feeder that keeps an `Arc<T>` overrides this and copies nothing.
    fn feed_shared(&mut self, entity: Option<Arc<T>>) {
        self.feed(entity.map(Arc::unwrap_or_clone));
    }

    /// The key by reference, for a feeder that stores the key itself, so that a hit copies no key.
    /// It must be the key that [`entity_id`](Self::entity_id) would return.
    fn borrowed_id(&self) -> Option<&T::Key> {
        None
    }

    /// Refuses a request before anything is looked up.
    ///
    /// # Errors
    /// Whatever the feeder finds wrong, as
    /// [`Error::ValidationError`](crate::Error::ValidationError).
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// Whether [`on_hit`](Self::on_hit) does anything. If not, it may be left out, and a hit in memory
    /// does not write the text of its key. The derive and the feeders of this crate say so; a feeder
    /// that is written by hand without `on_hit` should, too. Default: `true`.
    fn wants_hits(&self) -> bool {
        true
    }

    /// The cache answered for `key`.
    ///
    /// # Errors
    /// An error ends the call; nothing is fed.
    fn on_hit(&mut self, key: &str) -> Result<()> {
        let _ = key;
        Ok(())
    }

    /// Whether [`on_miss`](Self::on_miss) does anything. If not, it may be left out, and a call may
    /// begin to load before it is known whether the cache has an entry after all. As with
    /// [`wants_hits`](Self::wants_hits), default: `true`.
    fn wants_misses(&self) -> bool {
        true
    }

    /// The cache was asked for `key` and had no answer.
    ///
    /// # Errors
    /// An error ends the call; nothing is loaded or fed.
    fn on_miss(&mut self, key: &str) -> Result<()> {
        let _ = key;
        Ok(())
    }

    /// The repository answered with `entity`.
    ///
    /// # Errors
    /// An error ends the call; nothing is fed. The entity may have been stored by then.
    fn on_loaded(&mut self, entity: &T) -> Result<()> {
        let _ = entity;
        Ok(())
    }
}

/// Carries the keys of many entities to the cache, and all answers back.
///
/// Derive it with `#[derive(CacheFeeder)]` on a struct whose key field is a `Vec`, or write it by
/// hand:
///
/// ```
/// # use cache_kit::CacheEntity;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct User { id: u64 }
/// # impl CacheEntity for User {
/// #     type Key = u64;
/// #     fn cache_key(&self) -> u64 { self.id }
/// #     fn cache_prefix() -> &'static str { "user" }
/// # }
/// use std::sync::Arc;
///
/// use cache_kit::CacheFeedMany;
///
/// struct TeamFeeder {
///     members: Vec<u64>,
///     users: Vec<Option<Arc<User>>>,
/// }
///
/// impl CacheFeedMany<User> for TeamFeeder {
///     fn entity_ids(&mut self) -> Vec<u64> {
///         self.members.clone()
///     }
///
///     fn feed_many(&mut self, entities: Vec<Option<Arc<User>>>) {
///         self.users = entities;
///     }
/// }
/// ```
///
/// A slice, an array or a `Vec` of single feeders is a batch feeder, too. Each of them is asked and
/// fed as if it were alone.
///
/// # What is called when
///
/// [`validate`](Self::validate) first. Then, for every position, the same as in [`CacheFeed`]: at
/// most one of [`on_hit`](Self::on_hit) and [`on_miss`](Self::on_miss), then
/// [`on_loaded`](Self::on_loaded) if the repository answered with an entity. `feed_many` comes
/// last: exactly once for every `Ok`, never for an `Err`. `position` is the index of the key in the
/// result of [`entity_ids`](Self::entity_ids).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not feed many `{T}`",
    label = "not a batch feeder for `{T}`",
    note = "derive `CacheFeeder` with `#[feeder(entity = {T})]` and a `Vec` as the key field",
    note = "or pass a slice of feeders of one `{T}` each"
)]
pub trait CacheFeedMany<T: CacheEntity>: Send {
    /// The keys of the entities that are asked for, in any order, duplicates allowed. Called once
    /// in a call.
    fn entity_ids(&mut self) -> Vec<T::Key>;

    /// Takes the answers, one per key in the same order; `None` where there is no entity.
    fn feed_many(&mut self, entities: Vec<Option<Arc<T>>>);

    /// Refuses a request before anything is looked up.
    ///
    /// # Errors
    /// Whatever the feeder finds wrong, as
    /// [`Error::ValidationError`](crate::Error::ValidationError).
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// The cache answered for `key`.
    ///
    /// # Errors
    /// An error ends the call; nothing is fed.
    fn on_hit(&mut self, position: usize, key: &str) -> Result<()> {
        let _ = (position, key);
        Ok(())
    }

    /// The cache was asked for `key` and had no answer.
    ///
    /// # Errors
    /// An error ends the call; nothing is loaded or fed.
    fn on_miss(&mut self, position: usize, key: &str) -> Result<()> {
        let _ = (position, key);
        Ok(())
    }

    /// The repository answered with `entity`.
    ///
    /// # Errors
    /// An error ends the call; nothing is fed. The entity may have been stored by then.
    fn on_loaded(&mut self, position: usize, entity: &T) -> Result<()> {
        let _ = (position, entity);
        Ok(())
    }
}

#[deny(clippy::missing_trait_methods)]
impl<T: CacheEntity, F: CacheFeed<T>> CacheFeedMany<T> for [F] {
    fn entity_ids(&mut self) -> Vec<T::Key> {
        let id = |feeder: &mut F| match feeder.borrowed_id() {
            Some(id) => id.clone(),
            None => feeder.entity_id(),
        };
        self.iter_mut().map(id).collect()
    }

    fn feed_many(&mut self, entities: Vec<Option<Arc<T>>>) {
        for (feeder, entity) in self.iter_mut().zip(entities) {
            feeder.feed_shared(entity);
        }
    }

    fn validate(&self) -> Result<()> {
        self.iter().try_for_each(F::validate)
    }

    fn on_hit(&mut self, position: usize, key: &str) -> Result<()> {
        self.get_mut(position)
            .map_or(Ok(()), |feeder| feeder.on_hit(key))
    }

    fn on_miss(&mut self, position: usize, key: &str) -> Result<()> {
        self.get_mut(position)
            .map_or(Ok(()), |feeder| feeder.on_miss(key))
    }

    fn on_loaded(&mut self, position: usize, entity: &T) -> Result<()> {
        self.get_mut(position)
            .map_or(Ok(()), |feeder| feeder.on_loaded(entity))
    }
}

macro_rules! forward_to_slice {
    ($([$($generics:tt)*] $feeders:ty),*) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<T: CacheEntity, F: CacheFeed<T>, $($generics)*> CacheFeedMany<T> for $feeders {
            fn entity_ids(&mut self) -> Vec<T::Key> {
                self.as_mut_slice().entity_ids()
            }

            fn feed_many(&mut self, entities: Vec<Option<Arc<T>>>) {
                self.as_mut_slice().feed_many(entities);
            }

            fn validate(&self) -> Result<()> {
                CacheFeedMany::validate(self.as_slice())
            }

            fn on_hit(&mut self, position: usize, key: &str) -> Result<()> {
                self.as_mut_slice().on_hit(position, key)
            }

            fn on_miss(&mut self, position: usize, key: &str) -> Result<()> {
                self.as_mut_slice().on_miss(position, key)
            }

            fn on_loaded(&mut self, position: usize, entity: &T) -> Result<()> {
                self.as_mut_slice().on_loaded(position, entity)
            }
        }
    )*};
}

forward_to_slice!([] Vec<F>, [const N: usize] [F; N]);

/// A feeder of any entity: an id in, an owned entity out.
///
/// A hit copies the entity. [`SharedFeeder`] doesn't.
pub struct GenericFeeder<T: CacheEntity> {
    /// The key that is asked for.
    pub id: T::Key,
    /// The answer, after the call.
    pub data: Option<T>,
}

impl<T: CacheEntity> GenericFeeder<T> {
    /// A feeder that asks for `id`.
    pub fn new(id: T::Key) -> Self {
        Self { id, data: None }
    }
}

impl<T: CacheEntity> CacheFeed<T> for GenericFeeder<T> {
    fn entity_id(&mut self) -> T::Key {
        self.id.clone()
    }

    fn feed(&mut self, entity: Option<T>) {
        self.data = entity;
    }

    fn borrowed_id(&self) -> Option<&T::Key> {
        Some(&self.id)
    }

    fn wants_hits(&self) -> bool {
        false
    }

    fn wants_misses(&self) -> bool {
        false
    }
}

impl<T: CacheEntity> fmt::Debug for GenericFeeder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenericFeeder")
            .field("id", &format_args!("{}", self.id))
            .field("answered", &self.data.is_some())
            .finish()
    }
}

/// A feeder of any entity that shares the cache's own copy: a hit copies nothing.
pub struct SharedFeeder<T: CacheEntity> {
    /// The key that is asked for.
    pub id: T::Key,
    /// The answer, after the call.
    pub entity: Option<Arc<T>>,
}

impl<T: CacheEntity> SharedFeeder<T> {
    /// A feeder that asks for `id`.
    pub fn new(id: T::Key) -> Self {
        Self { id, entity: None }
    }
}

impl<T: CacheEntity> CacheFeed<T> for SharedFeeder<T> {
    fn entity_id(&mut self) -> T::Key {
        self.id.clone()
    }

    fn feed(&mut self, entity: Option<T>) {
        self.entity = entity.map(Arc::new);
    }

    fn feed_shared(&mut self, entity: Option<Arc<T>>) {
        self.entity = entity;
    }

    fn borrowed_id(&self) -> Option<&T::Key> {
        Some(&self.id)
    }

    fn wants_hits(&self) -> bool {
        false
    }

    fn wants_misses(&self) -> bool {
        false
    }
}

impl<T: CacheEntity> fmt::Debug for SharedFeeder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedFeeder")
            .field("id", &format_args!("{}", self.id))
            .field("answered", &self.entity.is_some())
            .finish()
    }
}
