//! Loads in tasks of their own, which go on when their callers go away.

use std::pin::pin;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::backend::{CacheBackend, Fence, Invalidated};
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::expander::CacheExpander;
use crate::expander::call::{Answer, Call, Refresh, calls_of};
use crate::expander::report::Of;
use crate::flight::{Leader, Pulse};
use crate::observability::Degraded;
use crate::policy::OperationConfig;
use crate::repository::DataRepository;

use super::{Completion, HeldLease, Loads, Miss, Query, Then, timer};

/// What a task may take beside its load and the waits for other processes: its commands.
const LATE: Duration = Duration::from_secs(2);

/// A miss whose flight this call leads.
pub(in crate::expander) struct Led<B: CacheBackend> {
    pub(super) miss: Miss,
    pub(super) leader: Leader<HeldLease<B>, Completion>,
    pub(super) degraded: Degraded,
    /// The acknowledgement of its invalidation.
    pub(super) invalidated: Option<Invalidated>,
    /// The lease of another process that is loading the key.
    pub(super) theirs: Option<Fence>,
    /// The fence of what was under the key at the last look-up.
    pub(super) standing: Option<Fence>,
}

/// Runs loads in tasks of their own: a repository that outlives the calls.
pub(in crate::expander) trait Tasks<B: CacheBackend, T: CacheEntity>:
    Sync
{
    /// Loads `load` in a task.
    ///
    /// # Errors
    /// There is no room for a task, or no runtime. The load comes back.
    fn load(&self, load: Box<OwnLoad<B, T>>) -> Result<Answers<T>, Box<OwnLoad<B, T>>>;

    /// Refreshes these keys in the background; whether there is room for it.
    fn refresh(&self, due: Vec<(Box<str>, T::Key, Refresh)>, config: &OperationConfig) -> bool;
}

/// The answers of a task, in the order of its keys, or its first error.
pub(in crate::expander) type Answers<T> = oneshot::Receiver<Result<Vec<Answer<T>>>>;

/// A load that owns all that it needs but its repository.
pub(in crate::expander) struct OwnLoad<B: CacheBackend, T: CacheEntity> {
    /// The keys, by the slots of `group`.
    keys: Vec<(Box<str>, T::Key)>,
    group: Vec<Led<B>>,
    query: Query,
    config: OperationConfig,
    of: Of,
}

/// A load that goes on in a task.
pub(super) struct Elsewhere<T> {
    misses: Vec<Miss>,
    answers: Answers<T>,
    /// How long the call waits for the task: longer than any task should take.
    late: Duration,
}

impl<B: CacheBackend> Led<B> {
    pub(super) fn new(miss: Miss, leader: Leader<HeldLease<B>, Completion>) -> Self {
        Self {
            miss,
            leader,
            degraded: Degraded::default(),
            invalidated: None,
            theirs: None,
            standing: None,
        }
    }

    /// Turns this into a flight without a lease.
    pub(super) fn unstored(mut self) -> Self {
        self.degraded.store = true;
        if let Some(held) = self.leader.refused() {
            held.answered(None);
        }
        self
    }
}

impl<B, T, R> Loads<'_, B, T, R>
where
    B: CacheBackend,
    T: CacheEntity,
    R: DataRepository<T> + ?Sized,
{
    /// Hands the loads of `group` to a task, if there may be one. Returns those that this call makes
    /// itself.
    pub(super) fn elsewhere(&self, group: Vec<Led<B>>) -> (Option<Elsewhere<T>>, Vec<Led<B>>) {
        let Some(tasks) = self.tasks else {
            return (None, group);
        };
        let (mut ours, mut group): (Vec<_>, Vec<_>) =
            group.into_iter().partition(|led| led.miss.alone);
        if group.is_empty() {
            return (None, ours);
        }
        let misses: Vec<Miss> = group.iter().map(|led| led.miss).collect();
        let key = |miss: &Miss| {
            let Call { key, id } = &self.calls[miss.slot];
            ((*key).into(), (*id).clone())
        };
        let keys = misses.iter().map(key).collect();
        for (slot, led) in group.iter_mut().enumerate() {
            led.miss.slot = slot;
            // The task may not be polled either.
            led.leader.shows(&Pulse::of_woken());
        }
        let load = OwnLoad {
            keys,
            group,
            query: self.query,
            config: *self.config,
            of: self.of,
        };
        match tasks.load(Box::new(load)) {
            Ok(answers) => {
                let waits = self.expander.lease_wait.saturating_mul(2);
                let late = self.deadline().saturating_add(waits).saturating_add(LATE);
                let elsewhere = Elsewhere {
                    misses,
                    answers,
                    late,
                };
                (Some(elsewhere), ours)
            }
            Err(mut load) => {
                for (led, miss) in load.group.iter_mut().zip(misses) {
                    led.miss.slot = miss.slot;
                }
                ours.append(&mut load.group);
                (None, ours)
            }
        }
    }
}

impl<T> Elsewhere<T> {
    /// Waits for the task. If it came to nothing, because its runtime has ended or stands still, the
    /// call looks after its keys itself.
    pub(super) async fn ended<B: CacheBackend>(self) -> Result<Vec<Then<B, T>>> {
        let late = timer::after(self.late)?;
        let answers = match timer::until(late, pin!(self.answers)).await? {
            Some(Ok(answers)) => answers?,
            Some(Err(_)) | None => {
                let alone = |miss| {
                    Then::Join(Miss {
                        alone: true,
                        ..miss
                    })
                };
                return Ok(self.misses.into_iter().map(alone).collect());
            }
        };
        let slots = self.misses.iter().map(|miss| miss.slot);
        let answered = |(slot, answer)| Then::Answered(slot, answer);
        Ok(slots.zip(answers).map(answered).collect())
    }
}

impl<B: CacheBackend, T: CacheEntity> OwnLoad<B, T> {
    /// Whether each of its keys has a stale entry, so that its callers have an answer if it fails.
    pub(in crate::expander) fn has_answers(&self) -> bool {
        self.group.iter().all(|led| led.miss.stale)
    }

    /// Makes the load, from `repository`.
    ///
    /// # Errors
    /// As [`Loads::answer`].
    pub(in crate::expander) async fn run<R>(
        self,
        expander: &CacheExpander<B>,
        repository: &R,
        named: &'static str,
    ) -> Result<Vec<Answer<T>>>
    where
        R: DataRepository<T> + ?Sized,
    {
        let calls = calls_of::<T>(&self.keys);
        let loads = Loads {
            expander,
            calls: &calls,
            repository,
            named,
            tasks: None,
            query: self.query,
            of: self.of,
            background: false,
            config: &self.config,
            leads: AtomicBool::new(false),
        };
        let mut answers = Vec::new();
        answers.resize_with(calls.len(), || None);
        loads
            .answer_led(Vec::new(), self.group, &mut answers)
            .await?;
        let answers: Option<Vec<Answer<T>>> = answers.into_iter().collect();
        answers.ok_or_else(|| Error::Internal("a load without an answer".into()))
    }
}
