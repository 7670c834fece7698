//! The one load of a batch, and its stores.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::CacheBackend;
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::expander::attempt::attempt;
use crate::expander::fetch::{Fetched, Landed, valid};
use crate::expander::lease::Held;
use crate::expander::store::Loaded;
use crate::observability::{CacheEvent, Source, StoreResult};
use crate::repository::DataRepository;

use super::counted;
use super::trip::{Led, Trip};

impl<B, T, R> Trip<'_, B, T, R>
where
    B: CacheBackend,
    T: CacheEntity,
    R: DataRepository<T> + ?Sized,
{
    /// Loads the keys of `group` for everybody aboard.
    pub(super) async fn load(&mut self, group: Vec<Led<B>>) -> Result<()> {
        if group.is_empty() {
            return Ok(());
        }
        let ids: Vec<T::Key> = group
            .iter()
            .map(|led| self.calls[led.miss.slot].id.clone())
            .collect();
        let since = Instant::now();
        let rows = attempt(
            || self.repository.fetch_by_ids(&ids),
            self.config.retries,
            self.config
                .load_deadline
                .unwrap_or(self.expander.load_deadline),
            |retry| self.tell(&group, &CacheEvent::Retried { retry }),
        )
        .await;
        match rows {
            Ok(rows) if rows.len() == ids.len() => {
                self.bring_home(group, rows, since.elapsed()).await
            }
            Ok(rows) => {
                let error = Error::RepositoryError(format!(
                    "fetch_by_ids gave {} rows for {} ids",
                    rows.len(),
                    ids.len()
                ));
                self.fail(group, error).await
            }
            Err(error) => self.fail(group, error).await,
        }
    }

    /// Stores what was loaded, and answers with it. A row that is unfit to be served is an error of
    /// its own key.
    async fn bring_home(
        &mut self,
        group: Vec<Led<B>>,
        rows: Vec<Option<T>>,
        took: Duration,
    ) -> Result<()> {
        self.tell(&group, &CacheEvent::Loaded { duration: took });
        let created = self.expander.clock.now();
        let mut landed = Vec::with_capacity(group.len());
        let (mut storing, mut stores) = (Vec::new(), Vec::new());
        let mut releases = Vec::new();
        let mut unfit = Vec::new();
        for (mut led, row) in group.into_iter().zip(rows) {
            let row = match valid(row) {
                Ok(row) => row,
                Err(error) => {
                    unfit.push((led, error));
                    continue;
                }
            };
            let loaded = Loaded {
                value: row.map(Arc::new),
                created,
                load_time: took,
            };
            // What a flight lands with is fixed before the stores are awaited, so that a leader
            // that is dropped while it stores leaves nobody to load again.
            led.leader
                .land(Ok(Landed::of(&loaded.value, created, false)));
            let key = self.calls[led.miss.slot].key;
            let lease = led.leader.take_lease();
            match (lease, self.expander.entry(self.config, &loaded)) {
                (Some(lease), Some(entry)) => {
                    if let Some(lease) = lease.into_lease() {
                        storing.push(landed.len());
                        stores.push((key, lease, entry));
                    }
                }
                (Some(lease), None) => releases.push((key, lease)),
                (None, _) => {}
            }
            landed.push((led, loaded.value, StoreResult::NotTried));
        }

        if !stores.is_empty() {
            let since = self.expander.stopwatch();
            let now = self.expander.clock.now();
            let answers = self.expander.backend.store_many(stores, now).await;
            for (place, answer) in storing.iter().zip(counted(answers, storing.len())) {
                let (led, _, store) = &mut landed[*place];
                let key = self.calls[led.miss.slot].key;
                *store = self
                    .expander
                    .judge_store::<T>(key, since, answer, &mut led.degraded);
            }
        }
        self.release(releases).await;

        for (led, value, store) in landed {
            let fetched = Fetched {
                value,
                created,
                source: Source::Repository,
                store,
                degraded: led.degraded,
            };
            self.settle(&led.miss, fetched);
        }
        let mut outcome = Ok(());
        for (led, error) in unfit {
            outcome = outcome.and(self.fail(vec![led], error).await);
        }
        outcome
    }

    /// Everybody aboard gets the error, with the key that is his.
    async fn fail(&mut self, mut group: Vec<Led<B>>, error: Error) -> Result<()> {
        let mut releases = Vec::new();
        for led in &mut group {
            let key = self.calls[led.miss.slot].key;
            let error = error.clone().during("load", key);
            self.expander.report(key, &error);
            led.leader.land(Err(error));
            releases.extend(led.leader.take_lease().map(|lease| (key, lease)));
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
        for led in group {
            self.bear(led.miss, error.clone()).await?;
        }
        Ok(())
    }

    /// Gives up leases that will not be filled. A failure costs nothing but their lifetime.
    async fn release(&self, leases: Vec<(&str, Held<B>)>) {
        if leases.is_empty() {
            return;
        }
        let keys: Vec<&str> = leases.iter().map(|(key, _)| *key).collect();
        let leases = leases
            .into_iter()
            .filter_map(|(key, held)| Some((key, held.into_lease()?)))
            .collect();
        let answers = self.expander.backend.release_many::<T>(leases).await;
        for (key, answer) in keys.iter().zip(counted(answers, keys.len())) {
            if let Err(error) = answer {
                self.expander.report(key, &error);
            }
        }
    }

    fn tell(&self, group: &[Led<B>], event: &CacheEvent) {
        if let Some(listener) = &self.expander.listener {
            for led in group {
                listener.event(self.calls[led.miss.slot].key, event);
            }
        }
    }
}
