//! [`Trip`]: what a batch does about its misses.

use std::mem;
use std::sync::Arc;

use crate::backend::{CacheBackend, Fence, LeaseId, Take};
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::expander::ask::Call;
use crate::expander::fetch::{Fetched, Landing};
use crate::expander::lease::Held;
use crate::expander::{CacheExpander, OperationConfig};
use crate::flight::{Arrival, Boarding, Leader, Tick};
use crate::observability::{Degraded, Outcome};
use crate::repository::DataRepository;
use crate::shards::TypedKey;
use crate::strategy::{CacheStrategy, Situation, StaleRule, Step, next_step};
use crate::together::Together;

/// A key of the batch that is to be loaded.
pub(super) struct Miss {
    pub(super) slot: usize,
    /// Which lease to store under; `None` stores nothing.
    pub(super) take: Option<Take>,
    /// When the look-up began and which fence it saw; a call without one joins nobody.
    pub(super) boarding: Option<(Tick, Option<Fence>)>,
    /// Whether the look-up found a stale entry.
    pub(super) stale: bool,
    /// Whether the cache could not be read.
    pub(super) read_failed: bool,
}

/// A miss whose flight this call leads.
pub(super) struct Led<B: CacheBackend> {
    pub(super) miss: Miss,
    pub(super) leader: Leader<Held<B>, Landing>,
    pub(super) degraded: Degraded,
    /// The lease of whoever else is loading the key.
    pub(super) theirs: Option<Fence>,
    /// What stood under the key when it was last looked up.
    pub(super) standing: Option<Fence>,
}

/// An entity, or none, and where it came from.
pub(super) type Answer<T> = (Option<Arc<T>>, Outcome);

/// The load of one batch's misses.
pub(super) struct Trip<'c, B: CacheBackend, T: CacheEntity, R: ?Sized> {
    pub(super) expander: &'c CacheExpander<B>,
    pub(super) calls: &'c [Call<'c, T>],
    pub(super) repository: &'c R,
    pub(super) strategy: CacheStrategy,
    pub(super) config: &'c OperationConfig,
    /// By slot.
    pub(super) answers: Vec<Option<Answer<T>>>,
}

/// How a wait for another call's flight ended.
enum End<B: CacheBackend> {
    Landed(Landing),
    /// This call leads it now.
    Lead(Leader<Held<B>, Landing>),
    /// It is over, and it was none to join.
    Over,
}

impl<B, T, R> Trip<'_, B, T, R>
where
    B: CacheBackend,
    T: CacheEntity,
    R: DataRepository<T> + ?Sized,
{
    /// Answers all `misses`.
    ///
    /// What this call leads is loaded before anything is waited for, here and whenever a wait makes
    /// it lead more: two batches that wait for each other's flights would both hold what the other
    /// one needs.
    pub(super) async fn answer(&mut self, misses: Vec<Miss>) -> Result<()> {
        let mut to_board = misses;
        let mut led = Vec::new();
        let mut waits = Together::new();
        loop {
            for miss in to_board.drain(..) {
                match self.board(&miss) {
                    Boarding::Lead(leader) => led.push(Led::new(miss, leader)),
                    others => waits.push(wait(miss, others)),
                }
            }
            if !led.is_empty() {
                self.lead(mem::take(&mut led)).await?;
            }
            if waits.is_empty() {
                return Ok(());
            }
            for (_, (miss, end)) in waits.some().await {
                match end {
                    End::Landed(landing) => self.arrive(miss, landing).await?,
                    End::Lead(leader) => led.push(Led::new(miss, leader)),
                    End::Over => to_board.push(miss),
                }
            }
        }
    }

    fn board(&self, miss: &Miss) -> Boarding<Held<B>, Landing> {
        let flights = &self.expander.flights;
        let key = TypedKey::of::<T>(self.calls[miss.slot].key);
        let id = LeaseId(fastrand::u64(..));
        match miss.boarding {
            Some((began, seen)) => flights.board(&key, began, seen, id),
            None => Boarding::Lead(flights.lead(&key, id)),
        }
    }

    /// Brings home all flights of `group`.
    async fn lead(&mut self, group: Vec<Led<B>>) -> Result<()> {
        let (ours, others) = self.lease(group).await?;
        self.load(ours).await?;
        self.wait_for_others(others).await
    }

    async fn arrive(&mut self, miss: Miss, landing: Landing) -> Result<()> {
        match self.expander.arrive(&self.calls[miss.slot], landing) {
            Ok(fetched) => {
                self.settle(&miss, fetched);
                Ok(())
            }
            Err(error) => self.bear(miss, error).await,
        }
    }

    /// Answers a miss with what was fetched for it.
    pub(super) fn settle(&mut self, miss: &Miss, mut fetched: Fetched<T>) {
        fetched.degraded.read = miss.read_failed;
        let outcome = self.expander.outcome_of(&fetched);
        self.answers[miss.slot] = Some((fetched.value, outcome));
    }

    /// Answers a miss whose load failed with the stale entry, if the table allows it.
    ///
    /// # Errors
    /// `error`, if it doesn't.
    pub(super) async fn bear(&mut self, miss: Miss, error: Error) -> Result<()> {
        let failed = Situation::RepositoryFailed {
            stale_found: miss.stale,
        };
        if next_step(self.strategy, failed, StaleRule::GRACE) != Step::FeedStale {
            return Err(error);
        }
        let stand_in = self.expander.stand_in(self.calls[miss.slot].key).await;
        self.answers[miss.slot] = Some(stand_in.ok_or(error)?);
        Ok(())
    }
}

async fn wait<B: CacheBackend>(miss: Miss, boarding: Boarding<Held<B>, Landing>) -> (Miss, End<B>) {
    let end = match boarding {
        Boarding::Lead(leader) => End::Lead(leader),
        Boarding::Join(passenger) => match passenger.await {
            Arrival::Landed(landing) => End::Landed(landing),
            Arrival::Lead(leader) => End::Lead(leader),
        },
        Boarding::Stand(bystander) => {
            bystander.await;
            End::Over
        }
    };
    (miss, end)
}

impl<B: CacheBackend> Led<B> {
    fn new(miss: Miss, leader: Leader<Held<B>, Landing>) -> Self {
        Self {
            miss,
            leader,
            degraded: Degraded::default(),
            theirs: None,
            standing: None,
        }
    }

    /// This flight, without a lease.
    pub(super) fn unstored(mut self) -> Self {
        self.degraded.store = true;
        self.leader.refused();
        self
    }
}
