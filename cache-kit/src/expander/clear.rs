//! Invalidations of everything: of one entity type, or of the namespace of a service.

use std::pin::pin;

use crate::backend::{CacheBackend, Cleared, Invalidated};
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::observability::CacheEvent;

use super::CacheExpander;
use super::report::Of;

impl<B: CacheBackend> CacheExpander<B> {
    /// Drops all entries of the type `T` in this service's namespace: an invalidation of each of them.
    /// Loads that are in flight will not be stored. For use after a migration or an import, or after a
    /// deploy that fixes what was loaded.
    ///
    /// That is every key that begins with `{prefix}:`, or `{namespace}:{prefix}:`, whoever has stored it.
    /// So a service without a namespace also drops what is in a namespace of that name.
    ///
    /// [`Cleared::invalidated`] is what [`invalidate`](Self::invalidate) answers for one key. With
    /// [`Invalidated::Done`], a read that begins after it returns nothing older. Keys that are in the
    /// queue of invalidations stay there. A listener hears of one invalidation, of what all keys begin
    /// with.
    ///
    /// # Cost
    /// It walks over *all* keys of the store, in steps of about a thousand, and drops those of each step
    /// before the next one. Others are served in between: no command takes longer than one of a batch
    /// does, and each step has the deadline of an operation. A store with a million keys, most of them
    /// of other programs, costs about a thousand round trips. Where that is too slow, another namespace
    /// ([`with_namespace`](Self::with_namespace)) is a clear that takes no time.
    ///
    /// # Clusters
    /// Each node is walked over, and slots may move meanwhile. A key that moves more than once during the
    /// walk, or to a node that has no slots until the walk has ended, may be missed: clear again after
    /// resharding.
    ///
    /// # Errors
    /// [`Error::ConfigError`] for a store that cannot list its keys: Memcached, or a custom one. Otherwise
    /// a step has failed, and the text says how many keys were dropped before; call it again.
    /// [`Error::BackendRefused`] if the user may not list keys, which is `SCAN` on Redis.
    ///
    /// # Cancellation
    /// The future may be dropped at any await. Some keys are dropped then, and the others stay.
    pub async fn clear<T: CacheEntity>(&self) -> Result<Cleared> {
        self.admit::<T>()?;
        let prefix = T::cache_prefix();
        let beginning = match &self.namespace {
            Some(namespace) => format!("{}:{prefix}:", namespace.as_str()),
            None => format!("{prefix}:"),
        };
        self.clear_prefix(Of::entity::<T>(), &beginning).await
    }

    /// Drops all entries in this service's namespace, of every type and of every service that has the
    /// same namespace: as [`clear`](Self::clear) does for one type.
    ///
    /// # Errors
    /// [`Error::ConfigError`] for a service without a namespace, since its keys are not told apart from
    /// those of other programs on the store; otherwise as [`clear`](Self::clear).
    ///
    /// # Cancellation
    /// As [`clear`](Self::clear).
    pub async fn clear_namespace(&self) -> Result<Cleared> {
        let Some(namespace) = &self.namespace else {
            return Err(Error::ConfigError(
                "clear_namespace: the service has no namespace, and its keys are not told apart from \
                 those of other programs on the store; clear each type by `clear`, or set a namespace \
                 by `CacheExpander::with_namespace`"
                    .into(),
            ));
        };
        let beginning = format!("{}:", namespace.as_str());
        self.clear_prefix(Of::text(), &beginning).await
    }

    async fn clear_prefix(&self, of: Of, beginning: &str) -> Result<Cleared> {
        let span = self.invalidation(of, &[beginning]);
        let since = self.stopwatch();
        let answer = span
            .around(pin!(self.backend.clear_prefix(beginning)))
            .await;
        match &answer {
            Ok(cleared) if cleared.invalidated == Invalidated::Pending => {
                self.tell(of, beginning, &CacheEvent::InvalidationPending);
            }
            Ok(_) => self.tell_invalidated(of, beginning, since),
            Err(error) => self.tell_failure(of, beginning, "clear", error),
        }
        let answer = answer.map(|cleared| Cleared {
            invalidated: cleared.invalidated.within(self.backend.scope()),
            ..cleared
        });
        span.invalidated(&answer.clone().map(|cleared| cleared.invalidated));
        answer
    }
}
