//! [`Coalesced`]: loads different keys with one query.
//!
//! Callers that miss different keys at the same time ask the repository for one key each. A database
//! answers one query for 64 rows at little more than the cost of a query for one row, so that
//! concurrent loads are sent together, as one `fetch_by_ids`:
//!
//! - An id that is asked for while nothing is loaded waits for one turn of the scheduler. If it is
//!   still the only one, its caller loads it, in its own future: no task, no timer.
//! - Ids that are asked for in that turn, or while a load is running, wait together. A task sends
//!   them when the load has ended, and after 10 ms at the latest. As soon as there are `max` of them,
//!   they are sent at once.
//!
//! # What stays with each caller
//! A caller leaves its id, and gets its own answer. It loads its id alone where it gets none: where
//! the batch failed, or where the task that was to send it has gone, with its runtime. So one bad
//! row fails one caller, and no caller depends on another one being polled.
//!
//! # Which query an id may join
//! Only one that has not begun. A running query may have read the row before an invalidation that
//! the caller knows of; the same id in a later batch is read again.

mod batch;
mod queue;
mod suspects;

#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::runtime::Handle;

use self::batch::Answer;
use self::queue::{Next, Queue, Running};
use self::suspects::Suspects;
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::repository::DynRepository;
use crate::together::behind_the_others;
use crate::unwind::polled;

/// A repository whose concurrent loads of single ids are sent together. Clones send theirs together,
/// too.
pub(crate) struct Coalesced<T: CacheEntity> {
    inner: Arc<dyn DynRepository<T>>,
    queue: Arc<Queue<T>>,
    suspects: Arc<Suspects>,
}

/// What came of asking for an id.
enum Asked<T> {
    Answered(Result<Option<T>>),
    /// The batch failed, because of any of its ids.
    BatchFailed(Error),
}

impl<T: CacheEntity> Coalesced<T> {
    /// Asks `inner` for at most `max` ids at a time.
    pub(crate) fn new(inner: Arc<dyn DynRepository<T>>, max: NonZeroUsize) -> Self {
        Self {
            inner,
            queue: Arc::new(Queue::new(max)),
            suspects: Arc::default(),
        }
    }

    /// Loads `id` for a caller that waits for it. If a batch fails, the id is loaded once more,
    /// alone.
    ///
    /// # Errors
    /// Those of the repository for this id; [`Error::Panicked`] if it panicked.
    pub(crate) async fn load(&self, id: &T::Key) -> Result<Option<T>> {
        match self.ask(id).await {
            Asked::Answered(answer) => answer,
            Asked::BatchFailed(_) => {
                let answer = self.alone(id, self.queue.begins_here()).await;
                if answer.is_err() {
                    self.suspects.note(id);
                }
                answer
            }
        }
    }

    /// Loads `id` in the background: a single try. If a batch fails, so does the refresh of each of
    /// its ids, and each is loaded alone the next time.
    ///
    /// # Errors
    /// Those of the repository, for this id or for its batch; [`Error::Panicked`] if it panicked.
    pub(crate) async fn refresh(&self, id: &T::Key) -> Result<Option<T>> {
        match self.ask(id).await {
            Asked::Answered(answer) => answer,
            Asked::BatchFailed(error) => {
                self.suspects.note(id);
                Err(error)
            }
        }
    }

    async fn ask(&self, id: &T::Key) -> Asked<T> {
        if self.suspects.has(id) {
            let answer = self.alone(id, self.queue.begins_here()).await;
            if answer.is_ok() {
                self.suspects.forget(id);
            }
            return Asked::Answered(answer);
        }
        let runtime = match Handle::try_current() {
            Ok(runtime) if self.queue.max() > 1 => runtime,
            _ => return Asked::Answered(self.alone(id, None).await),
        };
        let (mut place, next) = self.queue.enter(runtime.id(), id.clone());
        match next {
            Next::Wait => {}
            Next::Turn => {
                behind_the_others().await;
                if let Some(running) = place.leave_if_alone() {
                    return Asked::Answered(self.alone(id, Some(running)).await);
                }
            }
            Next::Flush(flusher) => {
                runtime.spawn(batch::flush(Arc::clone(&self.inner), flusher));
            }
            Next::Send(waiting, running) => {
                runtime.spawn(batch::send(Arc::clone(&self.inner), waiting, running));
            }
        }
        match place.answer().await {
            Some(Answer::Loaded(answer)) => Asked::Answered(answer),
            Some(Answer::BatchFailed(error)) => Asked::BatchFailed(error),
            Some(Answer::Alone(running)) => Asked::Answered(self.alone(id, Some(running)).await),
            None => Asked::Answered(self.alone(id, self.queue.begins_here()).await),
        }
    }

    /// Loads `id` in this future. Others wait for it while `_running` lives.
    async fn alone(&self, id: &T::Key, _running: Option<Running<T>>) -> Result<Option<T>> {
        let inner: &dyn DynRepository<T> = &*self.inner;
        let loaded = polled(async { inner.fetch_by_id_boxed(id).await }).await;
        loaded.unwrap_or_else(|said| Err(Error::Panicked(said)))
    }
}

impl<T: CacheEntity> Clone for Coalesced<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            queue: Arc::clone(&self.queue),
            suspects: Arc::clone(&self.suspects),
        }
    }
}

impl<T: CacheEntity> fmt::Debug for Coalesced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalesced")
            .field("max", &self.queue.max())
            .finish_non_exhaustive()
    }
}
