//! Many keys in one call, in four passes: one look-up, the leases of all misses at once, one load,
//! all stores at once.

mod keys;
mod lease;
mod load;
mod trip;

use crate::backend::CacheBackend;
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::feed::CacheFeedMany;
use crate::observability::{Outcome, Source};
use crate::repository::DataRepository;
use crate::strategy::{CacheStrategy, Situation, StaleRule, Step, next_step};

use super::ask::{Asked, Call, unanswered};
use super::{CacheExpander, OperationConfig};

pub(super) use keys::Keys;
use trip::{Answer, Miss, Trip};

impl<B: CacheBackend> CacheExpander<B> {
    /// Answers the requests that `feeder` carries, as `strategy` allows, and tells for each what it
    /// did, in the order of [`CacheFeedMany::entity_ids`].
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
    /// use cache_kit::backend::InMemoryBackend;
    /// use cache_kit::{CacheExpander, CacheStrategy, InMemoryRepository, SharedFeeder};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cache_kit::Result<()> {
    /// let mut users = InMemoryRepository::new();
    /// users.insert(1, User { id: 1 });
    ///
    /// let expander = CacheExpander::new(InMemoryBackend::new());
    /// let mut feeders = [1, 2].map(SharedFeeder::<User>::new);
    /// let outcomes = expander.with_many(&mut feeders, &users, CacheStrategy::Refresh).await?;
    /// assert_eq!(outcomes.len(), 2);
    /// assert!(feeders[0].entity.is_some() && feeders[1].entity.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Every key is treated as a call of its own would treat it; what differs is the cost. The cache
    /// is asked once for all keys, and the repository once ([`DataRepository::fetch_by_ids`]) for
    /// those that the cache does not have and nobody is loading. A key that comes twice is looked up
    /// and loaded once. An entry that is damaged, too large or invalidated meanwhile spoils only
    /// itself.
    ///
    /// # Errors
    /// As [`with`](Self::with), for the whole call: if one key fails, nothing is fed. A load that
    /// fails does so for all keys that this call was loading, and for everybody who joined those
    /// loads; so does a repository that gives another number of rows than it was asked for. What the
    /// cache has by then, it keeps.
    ///
    /// # Cancellation
    /// As [`with`](Self::with): each of the loads goes on where somebody waits for it.
    pub fn with_many<T, F, R>(
        &self,
        feeder: &mut F,
        repository: &R,
        strategy: CacheStrategy,
    ) -> impl Future<Output = Result<Vec<Outcome>>>
    where
        T: CacheEntity,
        F: CacheFeedMany<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
    {
        self.with_many_config(feeder, repository, strategy, OperationConfig::default())
    }

    /// Answers the requests that `feeder` carries, with settings for this call alone.
    ///
    /// # Errors
    /// As [`with_many`](Self::with_many).
    ///
    /// # Cancellation
    /// As [`with_many`](Self::with_many).
    pub async fn with_many_config<T, F, R>(
        &self,
        feeder: &mut F,
        repository: &R,
        strategy: CacheStrategy,
        config: OperationConfig,
    ) -> Result<Vec<Outcome>>
    where
        T: CacheEntity,
        F: CacheFeedMany<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
    {
        feeder.validate()?;
        let ids = feeder.entity_ids();
        let keys = Keys::of::<T>(self.namespace.as_ref(), &ids);
        let calls = keys.calls::<T>(&ids, &config);

        let begin = next_step(strategy, Situation::Begin, StaleRule::GRACE);
        let mut found = match begin {
            Step::LookUp => Some(self.look_up_many(&calls).await.into_iter()),
            _ => None,
        };
        let mut answers = Vec::with_capacity(calls.len());
        let mut misses = Vec::new();
        for (slot, call) in calls.iter().enumerate() {
            let asked = found.as_mut().and_then(Iterator::next);
            answers.push(self.judge(slot, call, strategy, asked, &mut misses)?);
        }
        drop(found);

        // What the cache could do is settled before anything is loaded, so that a hook that refuses
        // costs no load.
        let mut to_load = Vec::new();
        for (position, slot) in keys.slots().iter().enumerate() {
            let key = calls[*slot].key;
            match &answers[*slot] {
                Some((_, outcome)) if outcome.is_hit() => feeder
                    .on_hit(position, key)
                    .map_err(|error| error.during("hit", key))?,
                answer => {
                    if begin == Step::LookUp {
                        feeder
                            .on_miss(position, key)
                            .map_err(|error| error.during("miss", key))?;
                    }
                    if answer.is_none() {
                        to_load.push(position);
                    }
                }
            }
        }

        if !misses.is_empty() {
            let mut trip = Trip {
                expander: self,
                calls: &calls,
                repository,
                strategy,
                config: &config,
                answers,
            };
            Box::pin(trip.answer(misses)).await?;
            answers = trip.answers;
        }
        for position in to_load {
            let slot = keys.slots()[position];
            let key = calls[slot].key;
            match &answers[slot] {
                Some((_, outcome)) if outcome.source() == Source::Cache => feeder
                    .on_hit(position, key)
                    .map_err(|error| error.during("hit", key))?,
                Some((Some(entity), _)) => feeder
                    .on_loaded(position, entity)
                    .map_err(|error| error.during("loaded", key))?,
                _ => {}
            }
        }

        let mut entities = Vec::with_capacity(ids.len());
        let mut outcomes = Vec::with_capacity(ids.len());
        for slot in keys.slots() {
            let Some((entity, outcome)) = &answers[*slot] else {
                let error = Error::BackendError("no answer".into());
                return Err(error.during("load", calls[*slot].key));
            };
            entities.push(entity.clone());
            outcomes.push(*outcome);
        }
        feeder.feed_many(entities);
        Ok(outcomes)
    }

    /// Looks up the keys of `calls`, and reports it.
    async fn look_up_many<T: CacheEntity>(&self, calls: &[Call<'_, T>]) -> Vec<Asked<T>> {
        let keys: Vec<&str> = calls.iter().map(|call| call.key).collect();
        let since = self.stopwatch();
        // Before the look-up, which is what a flight's lease is compared with.
        let began = self.flights.tick();
        let now = self.clock.now();
        let answers = self.backend.get_many::<T>(&keys, now).await;
        let asked = |(key, answer)| {
            let asked = Asked { began, now, answer };
            self.tell(key, &asked, since);
            asked
        };
        let answers = counted(answers, keys.len());
        keys.into_iter().zip(answers).map(asked).collect()
    }

    /// The answer to one key, if there is one without a load; else a miss.
    fn judge<T: CacheEntity>(
        &self,
        slot: usize,
        call: &Call<'_, T>,
        strategy: CacheStrategy,
        asked: Option<Asked<T>>,
        misses: &mut Vec<Miss>,
    ) -> Result<Option<Answer<T>>> {
        let situation = asked.as_ref().map_or(Situation::Begin, Asked::situation);
        let take = match next_step(strategy, situation, StaleRule::GRACE) {
            Step::Feed | Step::FeedStale => return self.found(call.key, asked).map(Some),
            Step::FeedNone | Step::LookUp => return Ok(Some((None, Outcome::of(Source::Nothing)))),
            Step::Fail => return Err(unanswered(asked).during("read", call.key)),
            Step::Load(take) => Some(take),
            Step::LoadUnstored => None,
        };
        misses.push(Miss {
            slot,
            take,
            boarding: asked.as_ref().map(|asked| (asked.began, asked.fence())),
            stale: situation == Situation::Stale,
            read_failed: situation == Situation::BackendFailed,
        });
        Ok(None)
    }
}

/// The answers of a backend to `asked` questions. If it gives another number of them, nobody knows
/// which answers what.
pub(super) fn counted<O>(answers: Vec<Result<O>>, asked: usize) -> Vec<Result<O>> {
    if answers.len() == asked {
        return answers;
    }
    let error = format!("{} answers for {asked} keys", answers.len());
    (0..asked)
        .map(|_| Err(Error::BackendError(error.clone())))
        .collect()
}

#[cfg(all(test, not(cache_kit_model)))]
mod tests {
    use super::*;

    #[test]
    fn answers_are_believed_only_if_they_are_as_many_as_the_questions() {
        let answers = || vec![Ok(1), Err(Error::BackendError("away".into())), Ok(3)];
        let texts = |answers: Vec<Result<i32>>| -> Vec<String> {
            let text =
                |answer: Result<i32>| answer.map_or_else(|e| e.to_string(), |n| n.to_string());
            answers.into_iter().map(text).collect()
        };
        assert_eq!(
            texts(counted(answers(), 3)),
            ["1", "cache backend failed: away", "3"]
        );
        for asked in [0, 2, 4] {
            let error = format!("cache backend failed: 3 answers for {asked} keys");
            assert_eq!(texts(counted(answers(), asked)), vec![error; asked]);
        }
    }
}
