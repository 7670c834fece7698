//! [`Owned`]: a repository that outlives the calls, so that its loads run in tasks of their own.

use std::fmt;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::backend::CacheBackend;
use crate::coalesced::Coalesced;
use crate::entity::CacheEntity;
use crate::error::Result;
use crate::repository::{DataRepository, DynRepository};
use crate::strategy::CacheStrategy;
use crate::trace::{Span, in_current};

use super::call::{Refresh, calls_of};
use super::load::{Answers, Loads, OwnLoad, Query, Tasks};
use super::report::Of;
use super::{CacheExpander, OperationConfig, Reach};

/// A repository and the service in front of it.
pub(crate) struct Owned<T: CacheEntity, B: CacheBackend> {
    pub(crate) expander: Arc<CacheExpander<B>>,
    pub(crate) rows: Rows<T>,
}

/// Where the rows come from.
pub(crate) struct Rows<T: CacheEntity> {
    repository: Arc<dyn DynRepository<T>>,
    /// In front of it, if loads are to be coalesced.
    coalesced: Option<Coalesced<T>>,
    /// The name of its type.
    named: &'static str,
}

impl<T: CacheEntity> Rows<T> {
    pub(crate) fn of<R: DataRepository<T> + 'static>(repository: R) -> Self {
        Self {
            repository: Arc::new(repository),
            coalesced: None,
            named: std::any::type_name::<R>(),
        }
    }

    /// The same, with at most `most` keys in a query.
    pub(crate) fn coalesced(self, most: NonZeroUsize) -> Self {
        let coalesced = Coalesced::new(Arc::clone(&self.repository), most);
        Self {
            coalesced: Some(coalesced),
            ..self
        }
    }
}

impl<T: CacheEntity> Clone for Rows<T> {
    fn clone(&self) -> Self {
        Self {
            repository: Arc::clone(&self.repository),
            coalesced: self.coalesced.clone(),
            named: self.named,
        }
    }
}

impl<T: CacheEntity> fmt::Debug for Rows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.named)
    }
}

impl<T: CacheEntity> DataRepository<T> for Rows<T> {
    async fn fetch_by_id(&self, id: &T::Key) -> Result<Option<T>> {
        match &self.coalesced {
            Some(coalesced) => coalesced.load(id).await,
            None => self.repository.fetch_by_id_boxed(id).await,
        }
    }

    async fn fetch_by_ids(&self, ids: &[T::Key]) -> Result<Vec<Option<T>>> {
        self.repository.fetch_by_ids_boxed(ids).await
    }
}

/// The rows for one task.
struct Serves<'r, T: CacheEntity> {
    rows: &'r Rows<T>,
    /// Whether there is an answer if the load fails: then it is one try, even if the query is shared.
    once: bool,
}

impl<T: CacheEntity> DataRepository<T> for Serves<'_, T> {
    async fn fetch_by_id(&self, id: &T::Key) -> Result<Option<T>> {
        match &self.rows.coalesced {
            Some(coalesced) if self.once => coalesced.refresh(id).await,
            _ => self.rows.fetch_by_id(id).await,
        }
    }

    async fn fetch_by_ids(&self, ids: &[T::Key]) -> Result<Vec<Option<T>>> {
        self.rows.fetch_by_ids(ids).await
    }
}

impl<T: CacheEntity, B: CacheBackend> Owned<T, B> {
    /// How its calls reach the repository.
    pub(crate) fn reach(self: &Arc<Self>) -> Reach<'_, B, T, Rows<T>> {
        Reach {
            repository: &self.rows,
            named: self.rows.named,
            tasks: Some(self),
        }
    }
}

impl<T: CacheEntity, B: CacheBackend> Tasks<B, T> for Arc<Owned<T, B>> {
    fn load(&self, load: Box<OwnLoad<B, T>>) -> Result<Answers<T>, Box<OwnLoad<B, T>>> {
        let Ok(runtime) = Handle::try_current() else {
            return Err(load);
        };
        let Some(place) = self.expander.background.place() else {
            return Err(load);
        };
        let (answers, receiver) = oneshot::channel();
        let owned = Arc::clone(self);
        let work = async move {
            let rows = Serves {
                rows: &owned.rows,
                once: load.has_answers(),
            };
            let ended = load.run(&owned.expander, &rows, rows.rows.named).await;
            // The caller may have gone away.
            let _ = answers.send(ended);
        };
        // The caller waits for it, so it is part of the call.
        place.run(&runtime, in_current(work));
        Ok(receiver)
    }

    fn refresh(&self, due: Vec<(Box<str>, T::Key, Refresh)>, config: &OperationConfig) -> bool {
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        let Some(place) = self.expander.background.place() else {
            return false;
        };
        let owned = Arc::clone(self);
        let config = *config;
        let span = Span::refresh(T::cache_prefix(), due.len());
        place.run(&runtime, async move {
            let (mut keys, mut refreshes) = (Vec::new(), Vec::new());
            for (slot, (key, id, refresh)) in due.into_iter().enumerate() {
                keys.push((key, id));
                refreshes.push((slot, refresh));
            }
            let calls = calls_of::<T>(&keys);
            let query = if calls.len() == 1 {
                Query::One
            } else {
                Query::Many
            };
            let rows = Serves {
                rows: &owned.rows,
                once: true,
            };
            let loads = Loads {
                expander: &*owned.expander,
                calls: &calls,
                repository: &rows,
                named: owned.rows.named,
                tasks: None,
                query,
                of: Of::call::<T>(CacheStrategy::Refresh),
                background: true,
                config: &config,
                leads: AtomicBool::new(false),
            };
            span.around(pin!(loads.refresh(refreshes))).await;
        });
        true
    }
}
