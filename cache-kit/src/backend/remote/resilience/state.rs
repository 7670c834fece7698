//! [`State`]: what is known about a store, and which tasks look after it.

use std::time::Duration;

use super::again::Account;
use super::breaker::Breaker;
use super::health::Health;
use super::pending::Pending;
use super::{ResiliencePolicy, tasks};
use crate::clock::Timestamp;

pub(super) struct State {
    pub(super) breaker: Breaker,
    pub(super) pending: Pending,
    pub(super) given_up: u64,
    pub(super) last_error: Option<String>,
    pub(super) last_refusal: Option<String>,
    /// The task that waits for the store to come back, and sends what waits.
    pub(super) recovery: Post,
    /// The task that finds out whether the store answers while commands are given up.
    pub(super) ping: Post,
}

/// Which task is responsible, if any. The task's runtime may stand still, so it must give a sign of
/// life from time to time; otherwise another task takes over.
#[derive(Debug, Default)]
pub(super) struct Post {
    /// The number of the task, and its last sign of life.
    holder: Option<(u64, Timestamp)>,
    last: u64,
}

impl Post {
    /// Whether a task is responsible and has given a sign of life within `limit`.
    pub(super) fn is_held(&self, now: Timestamp, limit: Duration) -> bool {
        self.holder.is_some_and(|(_, beat)| now < beat.after(limit))
    }

    /// Makes a new task responsible.
    pub(super) fn take(&mut self, now: Timestamp) -> u64 {
        self.last += 1;
        self.holder = Some((self.last, now));
        self.last
    }

    /// A sign of life; `false` if another task has taken over.
    pub(super) fn beat(&mut self, task: u64, now: Timestamp) -> bool {
        let held = self.holder.is_some_and(|(holder, _)| holder == task);
        if held {
            self.holder = Some((task, now));
        }
        held
    }

    /// The task is not responsible any more.
    pub(super) fn leave(&mut self, task: u64) {
        if self.holder.is_some_and(|(holder, _)| holder == task) {
            self.holder = None;
        }
    }
}

impl State {
    pub(super) fn new(policy: &ResiliencePolicy) -> Self {
        Self {
            breaker: Breaker::new(policy.breaker),
            pending: Pending::new(policy.pending_limit),
            given_up: 0,
            last_error: None,
            last_refusal: None,
            recovery: Post::default(),
            ping: Post::default(),
        }
    }

    /// No failures are counted, nothing is queued, and there is nothing to report.
    pub(super) fn is_well(&self) -> bool {
        self.breaker.is_untouched() && self.pending.is_untouched() && self.last_error.is_none()
    }

    /// Whether a command may be sent. While a task asks whether the store is back, no caller's
    /// command is spent on that.
    pub(super) fn admits(&mut self, now: Timestamp, step: Duration) -> bool {
        let asked = self.recovery.is_held(now, step);
        self.breaker.is_closed() || (!asked && self.breaker.admits(now))
    }

    /// Whether a task must look after the store.
    pub(super) fn needs_recovery(&self) -> bool {
        !self.breaker.is_closed() || self.pending.len() > 0
    }

    /// Notes what the answers to a command say.
    pub(super) fn note(&mut self, told: &Account<'_>, now: Timestamp) {
        if told.alive {
            self.breaker.succeeded();
            self.pending.forget(now);
            self.last_error = None;
        }
        if let Some(refusal) = told.refusal {
            self.last_error = Some(refusal.to_string());
            self.last_refusal = self.last_error.clone();
        }
        if let Some(failure) = told.failure {
            self.breaker.failed(now, fastrand::f64());
            self.last_error = Some(failure.to_string());
        }
    }

    pub(super) fn health(&self) -> Health {
        Health {
            available: self.breaker.is_closed(),
            pending_invalidations: self.pending.len(),
            refused_invalidations: self.pending.refused(),
            given_up_invalidations: self.given_up,
            last_error: self.last_error.clone(),
            last_refusal: self.last_refusal.clone(),
        }
    }

    /// What the task that looks after the store does next.
    pub(super) fn next_step(&mut self, task: u64, now: Timestamp) -> tasks::Step {
        if !self.recovery.beat(task, now) {
            return tasks::Step::End;
        }
        if !self.breaker.is_closed() {
            return tasks::Step::Ping;
        }
        let batch = self.pending.batch(tasks::BATCH, now, tasks::REFUSED_PAUSE);
        if !batch.is_empty() {
            return tasks::Step::Send(batch);
        }
        if self.pending.len() > 0 {
            return tasks::Step::Wait;
        }
        // Under the same lock under which callers check for a task, so that no invalidation is left
        // without one.
        self.recovery.leave(task);
        tasks::Step::End
    }
}
