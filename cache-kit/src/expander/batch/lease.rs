//! The leases of a batch.

use tokio::time::{Instant, sleep};

use crate::backend::{CacheBackend, LeaseRequest, Leased, Take};
use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::Result;
use crate::expander::fetch::{Fetched, Landed};
use crate::expander::lease::{Again, FIRST_POLL, LEASE_TRIES, LONGEST_POLL, Reply};
use crate::observability::{Source, StoreResult};
use crate::repository::DataRepository;

use super::counted;
use super::trip::{Led, Trip};

impl<B, T, R> Trip<'_, B, T, R>
where
    B: CacheBackend,
    T: CacheEntity,
    R: DataRepository<T> + ?Sized,
{
    /// Takes the leases of `group`, all at once. Gives those that are to be loaded, and those that
    /// another process is loading; what has been loaded meanwhile is answered.
    ///
    /// # Errors
    /// An invalidation that failed; by then all have been sent.
    pub(super) async fn lease(&mut self, group: Vec<Led<B>>) -> Result<(Vec<Led<B>>, Vec<Led<B>>)> {
        let (mut ready, mut asking, mut others) = (Vec::new(), Vec::new(), Vec::new());
        let mut unstored = Vec::new();
        for led in group {
            match led.miss.take {
                // A leader before this one took it.
                _ if !led.leader.wants_lease() => ready.push(led),
                Some(_) => asking.push(led),
                None => unstored.push(led),
            }
        }
        if !unstored.is_empty() {
            // As for one call: those who ask in the same moment get a chance to board.
            tokio::task::yield_now().await;
            for led in unstored {
                led.leader.sending();
                ready.push(led.unstored());
            }
        }

        for _ in 0..LEASE_TRIES {
            if asking.is_empty() {
                return Ok((ready, others));
            }
            let since = self.expander.stopwatch();
            let answers = self.ask(&asking).await;
            let mut found = Vec::new();
            let mut failed = None;
            for (mut led, answer) in asking.into_iter().zip(answers) {
                let call = &self.calls[led.miss.slot];
                let take = led.miss.take.unwrap_or(Take::Over);
                match self
                    .expander
                    .judge_lease(call, take, since, answer, &mut led.degraded)
                {
                    Ok(Reply::Granted(held, fence)) => {
                        led.leader.granted(held, fence);
                        ready.push(led);
                    }
                    Ok(Reply::Refused) => {
                        led.leader.refused();
                        ready.push(led);
                    }
                    Ok(Reply::Found) => found.push(led),
                    Ok(Reply::Busy(theirs)) => {
                        led.theirs = Some(theirs);
                        others.push(led);
                    }
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            if let Some(error) = failed {
                return Err(error);
            }
            asking = self.look_again(found).await;
            for led in &mut asking {
                // Gone again, or nothing that can be used; a lease over it is always to be had.
                led.miss.take = Some(Take::Over);
            }
        }
        ready.extend(asking.into_iter().map(Led::unstored));
        Ok((ready, others))
    }

    /// Asks for the leases of `asking`.
    async fn ask(&self, asking: &[Led<B>]) -> Vec<Result<Leased<B::Lease>>> {
        let now = self.expander.clock.now();
        let request = |led: &Led<B>| {
            led.leader.sending();
            let request = LeaseRequest {
                id: led.leader.lease_id(),
                take: led.miss.take.unwrap_or(Take::Over),
                now,
            };
            (self.calls[led.miss.slot].key, request)
        };
        let requests: Vec<_> = asking.iter().map(request).collect();
        let answers = self.expander.backend.lease_many::<T>(&requests).await;
        counted(answers, asking.len())
    }

    /// Looks up the keys of `group` once more. What is there by now is answered; gives the others,
    /// each with the fence that stands there.
    async fn look_again(&mut self, group: Vec<Led<B>>) -> Vec<Led<B>> {
        if group.is_empty() {
            return group;
        }
        let keys: Vec<&str> = group
            .iter()
            .map(|led| self.calls[led.miss.slot].key)
            .collect();
        let now = self.expander.clock.now();
        let answers = self.expander.backend.get_many::<T>(&keys, now).await;
        let mut missing = Vec::new();
        for (mut led, answer) in group.into_iter().zip(counted(answers, keys.len())) {
            led.standing = match Again::of(answer, now) {
                Again::Fresh(entry) => {
                    self.land_with(led, entry);
                    continue;
                }
                Again::Stale => None,
                Again::Nothing(fence) => fence,
            };
            missing.push(led);
        }
        missing
    }

    /// Everybody aboard gets what somebody else has stored meanwhile.
    fn land_with(&mut self, mut led: Led<B>, entry: Entry<T>) {
        led.leader.refused();
        led.leader
            .land(Ok(Landed::of(&entry.value, entry.created, true)));
        let fetched = Fetched {
            value: entry.value,
            created: entry.created,
            source: Source::Cache,
            store: StoreResult::NotTried,
            degraded: led.degraded,
        };
        self.settle(&led.miss, fetched);
    }

    /// Waits, within bounds, for the loads of those who hold the leases on `others`, and loads what
    /// they leave.
    pub(super) async fn wait_for_others(&mut self, mut others: Vec<Led<B>>) -> Result<()> {
        let begun = Instant::now();
        let mut pause = FIRST_POLL;
        while !others.is_empty() {
            let left = self.expander.lease_wait.saturating_sub(begun.elapsed());
            sleep(pause.min(left)).await;
            pause = (pause * 2).min(LONGEST_POLL);
            let over = begun.elapsed() >= self.expander.lease_wait;
            let (waiting, mut ours): (Vec<_>, Vec<_>) = self
                .look_again(others)
                .await
                .into_iter()
                .partition(|led| !over && led.theirs.is_some() && led.standing == led.theirs);
            others = waiting;
            if !ours.is_empty() {
                for led in &mut ours {
                    led.miss.take = Some(Take::Over);
                }
                let (ours, busy) = self.lease(ours).await?;
                self.load(ours).await?;
                others.extend(busy);
            }
        }
        Ok(())
    }
}
