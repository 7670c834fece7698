//! [`State`]: what is known about a store and its nodes, and which tasks look after it.

use std::time::Duration;

use super::again::Account;
use super::breaker::{Breaker, BreakerPolicy};
use super::pending::Pending;
use super::{ResiliencePolicy, tasks};
use crate::backend::{Health, NodeHealth, NodeInfo};
use crate::clock::Timestamp;

/// Failures that a node has shown so long ago say nothing of it.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

pub(super) struct State {
    breakers: BreakerPolicy,
    /// By the number that the store gives to each; those that have had no trouble may be missing.
    nodes: Vec<Node>,
    pub(super) pending: Pending,
    pub(super) given_up: u64,
    pub(super) last_refusal: Option<String>,
    /// The task that waits for the nodes to come back, and sends what waits.
    pub(super) recovery: Post,
    /// What has changed and is to be told, outside of the lock.
    news: Vec<News>,
    /// How many waiting invalidations were told of.
    told_pending: usize,
}

/// A change of the state that operators want to hear of.
pub(super) enum News {
    /// The breaker of a node has opened, after this error.
    Opened(usize, String),
    Closed(usize),
    /// A node answers again after failures.
    Recovered(usize),
    /// The number of invalidations that wait.
    Pending,
}

/// What is known about one node of a store.
pub(super) struct Node {
    pub(super) breaker: Breaker,
    pub(super) last_error: Option<String>,
    /// When the last of its commands failed.
    failed: Timestamp,
    /// The task that finds out whether the node answers while commands are given up.
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
            breakers: policy.breaker,
            nodes: Vec::new(),
            pending: Pending::new(policy.pending_limit),
            given_up: 0,
            last_refusal: None,
            recovery: Post::default(),
            news: Vec::new(),
            told_pending: 0,
        }
    }

    /// What has changed since it was last asked.
    pub(super) fn news(&mut self) -> Vec<News> {
        let pending = self.pending.len();
        if pending != self.told_pending {
            self.told_pending = pending;
            self.news.push(News::Pending);
        }
        std::mem::take(&mut self.news)
    }

    /// The node of this number.
    pub(super) fn node(&mut self, node: usize) -> &mut Node {
        let breakers = self.breakers;
        if self.nodes.len() <= node {
            self.nodes.resize_with(node + 1, || Node::new(breakers));
        }
        &mut self.nodes[node]
    }

    /// No failures are counted, nothing is queued, and there is nothing to report.
    pub(super) fn is_well(&self) -> bool {
        let well = |node: &Node| node.breaker.is_untouched() && node.last_error.is_none();
        self.nodes.iter().all(well) && self.pending.is_untouched()
    }

    /// Whether nothing is known against sending commands to a node.
    pub(super) fn is_closed(&self, node: usize) -> bool {
        let known = self.nodes.get(node);
        known.is_none_or(|node| node.breaker.is_closed())
    }

    /// The nodes whose breakers are open.
    pub(super) fn open(&self) -> Vec<usize> {
        let places = 0..self.nodes.len();
        places.filter(|node| !self.is_closed(*node)).collect()
    }

    /// Whether a command may be sent to a node. While a task asks whether the node is back, no
    /// caller's command is spent on that.
    pub(super) fn admits(&mut self, node: usize, now: Timestamp, step: Duration) -> bool {
        let asked = self.recovery.is_held(now, step);
        self.is_closed(node) || (!asked && self.node(node).breaker.admits(now))
    }

    /// Whether a task must look after the store.
    pub(super) fn needs_recovery(&self) -> bool {
        self.pending.len() > 0 || !self.nodes.iter().all(|node| node.breaker.is_closed())
    }

    /// Notes what the answers of a node to a command say.
    pub(super) fn note(&mut self, node: usize, told: &Account<'_>, now: Timestamp) {
        let closed = self.is_closed(node);
        let of_node = self.node(node);
        if told.alive {
            let had_failed = !of_node.breaker.is_untouched();
            of_node.breaker.succeeded();
            of_node.last_error = None;
            self.news
                .extend(had_failed.then_some(News::Recovered(node)));
        }
        let of_node = self.node(node);
        if let Some(error) = told.refusal.or(told.failure) {
            of_node.last_error = Some(error.to_string());
            of_node.failed = now;
        }
        if told.failure.is_some() {
            of_node.breaker.failed(now, fastrand::f64());
        }
        self.compare(node, closed);
        if told.alive {
            self.pending.forget(now);
            self.nodes.iter_mut().for_each(|node| node.forget(now));
        }
        if let Some(refusal) = told.refusal {
            self.last_refusal = Some(refusal.to_string());
        }
    }

    /// A node is known not to answer, after this `error`.
    pub(super) fn trip(&mut self, node: usize, error: String, now: Timestamp) {
        let closed = self.is_closed(node);
        let of_node = self.node(node);
        of_node.breaker.trip(now, fastrand::f64());
        of_node.last_error = Some(error);
        self.compare(node, closed);
    }

    /// Notes if the breaker of a node has opened or closed.
    fn compare(&mut self, node: usize, was_closed: bool) {
        match (was_closed, self.is_closed(node)) {
            (true, false) => {
                let error = self.node(node).last_error.clone().unwrap_or_default();
                self.news.push(News::Opened(node, error));
            }
            (false, true) => self.news.push(News::Closed(node)),
            _ => {}
        }
    }

    /// The health of the store, but for what only the store knows of its nodes.
    pub(super) fn health(&self) -> Health {
        let errors = self.nodes.iter().find_map(|node| node.last_error.clone());
        Health {
            available: self.open().is_empty(),
            pending_invalidations: self.pending.len(),
            refused_invalidations: self.pending.refused(),
            given_up_invalidations: self.given_up,
            last_error: errors,
            last_refusal: self.last_refusal.clone(),
            nodes: Vec::new(),
        }
    }

    /// The health of one node, of whose keys so many wait.
    pub(super) fn health_of(&self, info: NodeInfo, pending: usize) -> NodeHealth {
        let known = info.number.and_then(|number| self.nodes.get(number));
        NodeHealth {
            name: info.name,
            role: info.role,
            available: known.is_none_or(|node| node.breaker.is_closed()),
            pending_invalidations: pending,
            last_error: known.and_then(|node| node.last_error.clone()),
        }
    }

    /// What the task that looks after the store does next.
    pub(super) fn next_step(&mut self, task: u64, now: Timestamp) -> tasks::Step {
        if !self.recovery.beat(task, now) {
            return tasks::Step::End;
        }
        let open = self.open();
        if self.pending.len() > 0 || !open.is_empty() {
            let due = self.pending.due(now, tasks::REFUSED_PAUSE);
            return tasks::Step::Work { due, open };
        }
        // Under the same lock under which callers check for a task, so that no invalidation is left
        // without one.
        self.recovery.leave(task);
        tasks::Step::End
    }
}

impl Node {
    fn new(breaker: BreakerPolicy) -> Self {
        Self {
            breaker: Breaker::new(breaker),
            last_error: None,
            failed: Timestamp::from_millis(0),
            ping: Post::default(),
        }
    }

    /// Forgets failures that have not opened the breaker and are long past: the node may have no keys
    /// any more, so that no command will tell.
    fn forget(&mut self, now: Timestamp) {
        if self.breaker.is_closed() && now >= self.failed.after(FORGOTTEN_AFTER) {
            self.breaker.succeeded();
            self.last_error = None;
        }
    }
}
