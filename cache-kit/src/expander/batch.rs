//! A call for many keys: one look-up, the leases of all misses at once, one load, all stores at
//! once.

use std::pin::pin;
use std::sync::atomic::AtomicBool;

use crate::answers::one_each;
use crate::backend::{CacheBackend, Lookup};
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::feed::CacheFeedMany;
use crate::observability::{Outcome, Source};
use crate::repository::DataRepository;
use crate::strategy::{Begin, CacheStrategy};
use crate::trace::Span;

use super::call::{Call, LookUp, LookedUp, Next};
use super::keys::Keys;
use super::load::{Loads, Miss, Query};
use super::report::Of;
use super::{CacheExpander, OperationConfig, Reach};

impl<B: CacheBackend> CacheExpander<B> {
    /// Answers the requests that `feeder` carries, as `strategy` allows. Returns what happened for
    /// each, in the order of [`CacheFeedMany::entity_ids`].
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
    /// let users = InMemoryRepository::new();
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
    /// Every key is treated as in a call of its own, at a lower cost: the cache is asked once for
    /// all keys, and the repository once ([`DataRepository::fetch_by_ids`]) for the misses that no
    /// other call is loading. A key that comes twice is looked up and loaded once. An entry that is
    /// damaged, too large or invalidated meanwhile affects no other key.
    ///
    /// # Errors
    /// As [`with`](Self::with), for the whole call: if one key fails, nothing is fed. A failed load
    /// fails all keys that this call was loading, and all calls that joined those loads. So does a
    /// repository that returns a different number of rows than it was asked for. What has been
    /// stored by then stays in the cache.
    ///
    /// # Cancellation
    /// As [`with`](Self::with): each of the loads goes on if another call waits for it.
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
        let reach = Reach::borrowed(repository);
        self.answer_many(feeder, reach, strategy, config).await
    }

    /// Answers many requests.
    ///
    /// # Errors
    /// As [`with_many`](Self::with_many).
    pub(crate) async fn answer_many<T, F, R>(
        &self,
        feeder: &mut F,
        reach: Reach<'_, B, T, R>,
        strategy: CacheStrategy,
        config: OperationConfig,
    ) -> Result<Vec<Outcome>>
    where
        T: CacheEntity,
        F: CacheFeedMany<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
    {
        feeder.validate()?;
        self.admit::<T>()?;
        let ids = feeder.entity_ids();
        let span = Span::get_many(T::cache_prefix(), strategy, ids.len());
        let answering = pin!(self.answer_all(feeder, &ids, reach, strategy, config));
        let answer = span.around(answering).await;
        span.all_ended(&answer);
        answer
    }

    async fn answer_all<T, F, R>(
        &self,
        feeder: &mut F,
        ids: &[T::Key],
        reach: Reach<'_, B, T, R>,
        strategy: CacheStrategy,
        config: OperationConfig,
    ) -> Result<Vec<Outcome>>
    where
        T: CacheEntity,
        F: CacheFeedMany<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
    {
        let keys = Keys::of::<T>(self.namespace.as_ref(), ids)?;
        let calls = keys.calls::<T>(ids);

        let begin = strategy.begin();
        let looks_up = matches!(begin, Begin::LookUp(_));
        let loads = Loads {
            expander: self,
            calls: &calls,
            repository: reach.repository,
            named: reach.named,
            tasks: reach.tasks,
            query: Query::Many,
            of: Of::call::<T>(strategy),
            background: false,
            config: &config,
            leads: AtomicBool::new(false),
        };
        let mut answers = Vec::with_capacity(calls.len());
        let (mut misses, mut rights) = (Vec::new(), Vec::new());
        match begin {
            Begin::LookUp(reader) => {
                let (look_up, looked_up) = self.look_up_many(&calls).await;
                let mut due = Vec::new();
                for ((slot, call), answer) in calls.iter().enumerate().zip(looked_up) {
                    let looked_up = LookedUp { look_up, answer };
                    let next = self.next(slot, call.key, reader, &config, looked_up)?;
                    answers.push(match next {
                        Next::Answer(answer) => Some(answer),
                        Next::Refresh(entry) => {
                            due.push(entry);
                            None
                        }
                        Next::Load(miss) => {
                            misses.push(miss);
                            None
                        }
                    });
                }
                if !due.is_empty() {
                    let (next, taken) = Box::pin(loads.meanwhile(due)).await;
                    rights = taken;
                    for (slot, next) in next {
                        match next {
                            Next::Answer(answer) => answers[slot] = Some(answer),
                            Next::Load(miss) => misses.push(miss),
                            Next::Refresh(_) => {}
                        }
                    }
                }
            }
            Begin::Load(take) => {
                answers.resize_with(calls.len(), || None);
                let slots = 0..calls.len();
                misses.extend(slots.map(|slot| Miss::without_look_up(slot, take)));
            }
        }

        // All hits and misses are reported before anything is loaded, so that a hook that refuses
        // costs no load.
        let mut to_load = Vec::new();
        for (position, slot) in keys.slots().iter().enumerate() {
            let key = calls[*slot].key;
            match &answers[*slot] {
                Some((_, outcome)) if outcome.is_hit() => feeder
                    .on_hit(position, key)
                    .map_err(|error| error.during("hit", key))?,
                answer => {
                    if looks_up {
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
            let answered = Box::pin(loads.answer_in_time(misses, &mut answers)).await;
            if !rights.is_empty() {
                Box::pin(loads.settle(rights, &answers)).await;
            }
            answered?;
        }
        for position in to_load {
            let slot = keys.slots()[position];
            let key = calls[slot].key;
            match &answers[slot] {
                // A position that was told of a miss is told of no hit.
                Some((_, outcome)) if outcome.source() == Source::Cache && looks_up => {}
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
            let Some((entity, outcome)) = &mut answers[*slot] else {
                let error = Error::Internal("no answer".into());
                return Err(error.during("load", calls[*slot].key));
            };
            entities.push(match keys.repeat() {
                true => entity.clone(),
                false => entity.take(),
            });
            outcomes.push(*outcome);
        }
        feeder.feed_many(entities);
        Ok(outcomes)
    }

    /// Looks up the keys of `calls`.
    async fn look_up_many<T: CacheEntity>(
        &self,
        calls: &[Call<'_, T>],
    ) -> (LookUp, Vec<Result<Lookup<T>>>) {
        let keys: Vec<&str> = calls.iter().map(|call| call.key).collect();
        let since = self.stopwatch();
        // Taken before the look-up: a flight's lease is compared with this moment.
        let began = self.flights.tick();
        let now = self.clock.now();
        let getting = pin!(self.backend.get_many::<T>(&keys, now));
        let answers = Span::look_up(keys.len()).around(getting).await;
        let answers = one_each(keys.len(), answers);
        let look_up = LookUp {
            since,
            began,
            now,
            drawn: None,
        };
        (look_up, answers)
    }
}
