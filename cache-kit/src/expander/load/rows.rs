//! The load of a group.

use crate::backend::CacheBackend;
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::observability::CacheEvent;
use crate::repository::DataRepository;

use super::retry::{Fetched, load_with_retries};
use super::{Led, Loads, Query, Then};

impl<B, T, R> Loads<'_, B, T, R>
where
    B: CacheBackend,
    T: CacheEntity,
    R: DataRepository<T> + ?Sized,
{
    /// Loads the keys of `group`, for this call and all followers of its flights.
    pub(super) async fn load(&self, group: Vec<Led<B>>) -> Result<Vec<Then<B, T>>> {
        let slots: Vec<usize> = group.iter().map(|led| led.miss.slot).collect();
        if slots.is_empty() {
            return Ok(Vec::new());
        }
        let since = self.expander.stopwatch();
        let fetched = match self.query {
            Query::One => {
                let id = self.calls[slots[0]].id;
                let row = || async { Ok(vec![self.repository.fetch_by_id(id).await?]) };
                self.within_deadline(&slots, row).await
            }
            Query::Many => {
                let id = |slot: &usize| self.calls[*slot].id.clone();
                let ids: Vec<T::Key> = slots.iter().map(id).collect();
                self.within_deadline(&slots, || self.repository.fetch_by_ids(&ids))
                    .await
            }
        };
        match fetched {
            Ok(fetched) if fetched.value.len() == slots.len() => {
                let duration = since.map_or_else(Default::default, |since| since.elapsed());
                self.report_each(&slots, &CacheEvent::Loaded { duration });
                self.publish_and_store(group, fetched).await
            }
            Ok(fetched) => {
                let error = Error::RepositoryError(format!(
                    "fetch_by_ids gave {} rows for {} ids: {} must give one for each, see \
                     `repository::in_order`",
                    fetched.value.len(),
                    slots.len(),
                    self.named,
                ));
                self.fail(group, error).await
            }
            Err(error) => self.fail(group, error).await,
        }
    }

    async fn within_deadline<L>(
        &self,
        slots: &[usize],
        rows: impl Fn() -> L,
    ) -> Result<Fetched<Vec<Option<T>>>>
    where
        L: Future<Output = Result<Vec<Option<T>>>>,
    {
        let retried = |retry| self.report_each(slots, &CacheEvent::Retried { retry });
        let clock = &self.expander.clock;
        load_with_retries(rows, self.config.retries, self.deadline(), clock, retried).await
    }

    /// All followers get the error, with the key of their flight.
    pub(super) async fn fail(&self, group: Vec<Led<B>>, error: Error) -> Result<Vec<Then<B, T>>> {
        let mut releases = Vec::new();
        for led in &group {
            let key = self.calls[led.miss.slot].key;
            let error = error.clone().during("load", key);
            self.expander.report(key, &error);
            led.leader.complete(Err(error));
            releases.extend(led.leader.take_lease().map(|held| (key, held)));
        }
        self.release(releases).await;

        let keys: Vec<&str> = group
            .iter()
            .map(|led| self.calls[led.miss.slot].key)
            .collect();
        let error = match keys[..] {
            [] => error,
            [key] => error.during("load", key),
            [key, ref others @ ..] => {
                error.during("load", &format!("{key} and {} more", others.len()))
            }
        };
        let mut then = Vec::with_capacity(group.len());
        for led in group {
            then.push(self.stale_or_error(led.miss, error.clone()).await?);
        }
        Ok(then)
    }

    fn report_each(&self, slots: &[usize], event: &CacheEvent) {
        if let Some(listener) = &self.expander.listener {
            for slot in slots {
                listener.event(self.calls[*slot].key, event);
            }
        }
    }
}
