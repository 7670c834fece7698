//! The query of a batch, in a task of its own.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;

use super::queue::{Flusher, Running, Waiting};
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::repository::DynRepository;
use crate::unwind::{caught, polled};

/// What a waiting caller is told. If it is told nothing, it loads its id alone.
pub(super) enum Answer<T: CacheEntity> {
    Loaded(Result<Option<T>>),
    /// Its id is the only one, so it loads it itself.
    Alone(Running<T>),
    /// The query for several ids failed, because of any of them.
    BatchFailed(Error),
}

pub(super) type Caller<T> = oneshot::Sender<Answer<T>>;

/// Waits until the ids of a runtime are due, and sends them.
pub(super) async fn flush<T: CacheEntity>(inner: Arc<dyn DynRepository<T>>, flusher: Flusher<T>) {
    flusher.due().await;
    if let Some((waiting, running)) = flusher.take() {
        send(inner, waiting, running).await;
    }
}

/// Loads the ids of all who wait, in one query, and answers each. Ends without an answer when all
/// have gone.
pub(super) async fn send<T: CacheEntity>(
    inner: Arc<dyn DynRepository<T>>,
    waiting: Vec<Waiting<T>>,
    running: Running<T>,
) {
    let waiting = match <[Waiting<T>; 1]>::try_from(waiting) {
        Ok([Waiting { caller, .. }]) => {
            let _ = caller.send(Answer::Alone(running));
            return;
        }
        Err(waiting) => waiting,
    };
    let mut batch = Batch::of(waiting);
    let Some(loaded) = batch.load(&*inner).await else {
        return;
    };
    // Callers who ask again at once are not to wait for this load.
    drop(running);
    batch.answer(loaded);
}

struct Batch<T: CacheEntity> {
    /// Each once.
    ids: Vec<T::Key>,
    /// Who asked for them first, in the same order.
    first: Vec<Caller<T>>,
    /// Others who asked for one of them, each with its place.
    again: Vec<(usize, Caller<T>)>,
}

impl<T: CacheEntity> Batch<T> {
    fn of(waiting: Vec<Waiting<T>>) -> Self {
        let mut batch = Self {
            ids: Vec::with_capacity(waiting.len()),
            first: Vec::with_capacity(waiting.len()),
            again: Vec::new(),
        };
        let mut places = HashMap::with_capacity(waiting.len());
        for Waiting { id, caller, .. } in waiting {
            match places.entry(id) {
                Entry::Occupied(known) => batch.again.push((*known.get(), caller)),
                Entry::Vacant(new) => {
                    batch.ids.push(new.key().clone());
                    batch.first.push(caller);
                    new.insert(batch.first.len() - 1);
                }
            }
        }
        batch
    }

    /// One row for each id; `None` if there is no caller left.
    async fn load(&mut self, inner: &dyn DynRepository<T>) -> Option<Result<Vec<Option<T>>>> {
        let Self { ids, first, again } = self;
        let query = polled(async {
            if let [id] = &ids[..] {
                return Ok(vec![inner.fetch_by_id_boxed(id).await?]);
            }
            let rows = inner.fetch_by_ids_boxed(ids).await?;
            if rows.len() == ids.len() {
                return Ok(rows);
            }
            Err(Error::RepositoryError(format!(
                "fetch_by_ids gave {} rows for {} ids of `{}`: it must give one for each, see \
                 `repository::in_order`",
                rows.len(),
                ids.len(),
                T::cache_prefix(),
            )))
        });
        let gone = async {
            for caller in first.iter_mut() {
                caller.closed().await;
            }
            for (_, caller) in again.iter_mut() {
                caller.closed().await;
            }
        };
        let (mut query, mut gone) = (pin!(query), pin!(gone));
        poll_fn(|cx| match query.as_mut().poll(cx) {
            Poll::Ready(loaded) => Poll::Ready(Some(
                loaded.unwrap_or_else(|said| Err(Error::Panicked(said))),
            )),
            Poll::Pending => gone.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    fn answer(self, loaded: Result<Vec<Option<T>>>) {
        let several = self.ids.len() > 1;
        match loaded {
            Ok(rows) => {
                for (place, caller) in self.again {
                    tell(caller, || Answer::Loaded(Ok(rows[place].clone())));
                }
                for (row, caller) in rows.into_iter().zip(self.first) {
                    tell(caller, || Answer::Loaded(Ok(row)));
                }
            }
            Err(error) => {
                let again = self.again.into_iter().map(|(_, caller)| caller);
                for caller in self.first.into_iter().chain(again) {
                    let error = error.clone();
                    tell(caller, || match several {
                        true => Answer::BatchFailed(error),
                        false => Answer::Loaded(Err(error)),
                    });
                }
            }
        }
    }
}

/// Tells a caller its answer. The clone of a row may panic, and so may its drop, if the caller has
/// gone: the others get theirs.
fn tell<T: CacheEntity>(caller: Caller<T>, answer: impl FnOnce() -> Answer<T>) {
    let _ = caught(|| drop(caller.send(answer())));
}
