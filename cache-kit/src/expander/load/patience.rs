//! Callers that have a stale entry, and do not wait for ever.

use std::pin::pin;
use std::sync::atomic::Ordering;

use crate::backend::CacheBackend;
use crate::entity::CacheEntity;
use crate::error::Result;
use crate::expander::call::Answer;
use crate::repository::DataRepository;

use super::{Loads, Miss, commands, timer};

impl<B, T, R> Loads<'_, B, T, R>
where
    B: CacheBackend,
    T: CacheEntity,
    R: DataRepository<T> + ?Sized,
{
    /// As [`answer`](Self::answer), but if all keys have stale entries, and their loads go on without
    /// the caller, it waits no longer than the caller wants to.
    pub(in crate::expander) async fn answer_in_time(
        &self,
        misses: Vec<Miss>,
        answers: &mut [Option<Answer<T>>],
    ) -> Result<()> {
        let rules = self.expander.rules(Some(&self.config.freshness));
        let patience = match rules.answer_within::<T>() {
            Some(patience)
                if !patience.is_zero()
                    && self.tasks.is_some()
                    && misses.iter().all(|miss| miss.stale) =>
            {
                patience
            }
            _ => return self.answer(misses, answers).await,
        };
        let slots: Vec<usize> = misses.iter().map(|miss| miss.slot).collect();
        let end = timer::after(patience)?;
        let stale = {
            let mut answering = pin!(self.answer(misses, answers));
            if let Some(ended) = timer::until(end, answering.as_mut()).await? {
                return ended;
            }
            if self.leads.load(Ordering::Relaxed) {
                return answering.await;
            }
            // The entries that the look-up found may have been invalidated since.
            match self.entries_now(&slots).await {
                Some(stale) => stale,
                None => return answering.await,
            }
        };
        for (slot, (value, outcome)) in slots.into_iter().zip(stale) {
            if answers[slot].is_none() {
                let refreshing = outcome.is_stale();
                self.expander
                    .report_stale(self.of, self.calls[slot].key, outcome);
                answers[slot] = Some((value, outcome.refreshing(refreshing)));
            }
        }
        Ok(())
    }

    /// What stands under these keys now, if all of them have something that may be served.
    async fn entries_now(&self, slots: &[usize]) -> Option<Vec<Answer<T>>> {
        let keys: Vec<&str> = slots.iter().map(|slot| self.calls[*slot].key).collect();
        let now = self.expander.clock.now();
        let answers = commands::get_again::<T, B>(&self.expander.backend, &keys, now).await;
        let entry = |answer| self.expander.servable(answer, self.config, now);
        answers.into_iter().map(entry).collect()
    }
}
