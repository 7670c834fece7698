//! The load of a group.

use std::pin::pin;
use std::time::Duration;

use crate::backend::CacheBackend;
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::expander::report::elapsed;
use crate::observability::CacheEvent;
use crate::repository::DataRepository;
use crate::trace::Span;

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
        let span = Span::load(slots.len());
        let fetched = match self.query {
            Query::One => {
                let id = self.calls[slots[0]].id;
                let row = || async { Ok(vec![self.repository.fetch_by_id(id).await?]) };
                span.around(pin!(self.within_deadline(&slots, row))).await
            }
            Query::Many => {
                let id = |slot: &usize| self.calls[*slot].id.clone();
                let ids: Vec<T::Key> = slots.iter().map(id).collect();
                let rows = || self.repository.fetch_by_ids(&ids);
                span.around(pin!(self.within_deadline(&slots, rows))).await
            }
        };
        match fetched {
            Ok(fetched) if fetched.value.len() == slots.len() => {
                self.publish_and_store(group, fetched, elapsed(since)).await
            }
            Ok(fetched) => {
                let error = Error::RepositoryError(format!(
                    "fetch_by_ids gave {} rows for {} ids: {} must give one for each, see \
                     `repository::in_order`",
                    fetched.value.len(),
                    slots.len(),
                    self.named,
                ));
                self.fail(group, error, elapsed(since)).await
            }
            Err(error) => self.fail(group, error, elapsed(since)).await,
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
        let retried = |retry| {
            for slot in slots {
                let key = self.calls[*slot].key;
                self.expander
                    .tell(self.of, key, &CacheEvent::Retried { retry });
            }
        };
        let clock = &self.expander.clock;
        load_with_retries(rows, self.config.retries, self.deadline(), clock, retried).await
    }

    /// All followers get the error, with the key of their flight. The load took `duration`.
    pub(super) async fn fail(
        &self,
        group: Vec<Led<B>>,
        error: Error,
        duration: Duration,
    ) -> Result<Vec<Then<B, T>>> {
        let mut releases = Vec::new();
        for led in &group {
            let key = self.calls[led.miss.slot].key;
            self.tell_failed(key, &error, duration);
            let error = error.clone().during("load", key);
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

    /// Tells that a load has failed.
    fn tell_failed(&self, key: &str, error: &Error, duration: Duration) {
        let reports = &self.expander.reports;
        let subject = self.expander.subject(self.of, key);
        if self.background {
            reports.log.hidden(&subject, error);
        }
        if reports.is_heard() {
            let event = CacheEvent::LoadFailed {
                kind: error.kind(),
                error: error.clone().during("load", key).to_string(),
                duration,
            };
            reports.tell(&subject, &event);
        }
    }
}
