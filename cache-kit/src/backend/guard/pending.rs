//! [`Pending`]: invalidations that have not reached the store, and leases that they made worthless.

use std::collections::HashMap;

use crate::clock::Timestamp;

/// Invalidations that have not reached the store.
#[derive(Debug)]
pub(crate) struct Pending {
    limit: usize,
    /// Key, and the number of its last invalidation: one that comes while an earlier one is being
    /// sent must be sent again.
    waiting: HashMap<Box<str>, u64>,
    /// Keys that were invalidated in vain, the number of it, and when no lease can be that old any
    /// more.
    voided: HashMap<Box<str>, (u64, Timestamp)>,
    /// How many voided keys it takes before those of the past are dropped.
    prune_at: usize,
    /// When the last of them is of the past.
    voided_until: Timestamp,
    last: u64,
}

const PRUNE_AT_LEAST: usize = 1_024;

impl Pending {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            waiting: HashMap::new(),
            voided: HashMap::new(),
            prune_at: PRUNE_AT_LEAST,
            voided_until: Timestamp::from_millis(0),
            last: 0,
        }
    }

    /// The number of the last invalidation; a lease that is taken now is younger than it.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Queues an invalidation of `key`; `false` if there is no room. Either way no lease on `key`
    /// that was taken before is worth anything. `leases_end` is when the last of them expires.
    pub(crate) fn queue(&mut self, key: &str, now: Timestamp, leases_end: Timestamp) -> bool {
        self.last += 1;
        if self.voided.len() >= self.prune_at {
            self.voided.retain(|_, (_, until)| now < *until);
            self.prune_at = (self.voided.len() * 2).max(PRUNE_AT_LEAST);
        }
        self.voided_until = self.voided_until.max(leases_end);
        self.voided.insert(key.into(), (self.last, leases_end));
        if self.waiting.len() >= self.limit && !self.waiting.contains_key(key) {
            return false;
        }
        self.waiting.insert(key.into(), self.last);
        true
    }

    /// Whether a lease on `key` that was taken after invalidation number `taken` is worthless.
    pub(crate) fn voids(&self, key: &str, taken: u64) -> bool {
        self.voided
            .get(key)
            .is_some_and(|(number, _)| *number > taken)
    }

    /// Forgets what was voided once no lease can be that old.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        if now >= self.voided_until {
            self.voided.clear();
        }
    }

    /// Whether nothing waits, and no lease is worthless.
    pub(crate) fn is_untouched(&self) -> bool {
        self.waiting.is_empty() && self.voided.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Some of what waits, to be sent.
    pub(crate) fn batch(&self, most: usize) -> Vec<(Box<str>, u64)> {
        let waiting = self.waiting.iter().take(most);
        waiting
            .map(|(key, number)| (key.clone(), *number))
            .collect()
    }

    /// What was sent has reached the store, but for keys that were invalidated again since.
    pub(crate) fn sent(&mut self, batch: &[(Box<str>, u64)]) {
        for (key, number) in batch {
            if self.waiting.get(key) == Some(number) {
                self.waiting.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_key_waits_until_its_last_invalidation_is_sent() {
        let mut pending = Pending::new(10);
        assert!(pending.queue("a", at(0), at(100)));
        let batch = pending.batch(5);
        assert!(pending.queue("a", at(0), at(100)));
        pending.sent(&batch);
        assert_eq!(
            pending.len(),
            1,
            "it was invalidated again while the first one was sent"
        );
        let batch = pending.batch(5);
        pending.sent(&batch);
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn the_queue_is_bounded_and_takes_a_known_key_all_the_same() {
        let mut pending = Pending::new(2);
        assert!(pending.queue("a", at(0), at(100)));
        assert!(pending.queue("b", at(0), at(100)));
        assert!(!pending.queue("c", at(0), at(100)));
        assert!(pending.queue("a", at(0), at(100)));
        assert_eq!(pending.len(), 2);
    }

    #[test]
    fn an_invalidation_in_vain_voids_the_leases_before_it_and_none_after() {
        let mut pending = Pending::new(1);
        let before = pending.last();
        pending.queue("a", at(0), at(100));
        let after = pending.last();
        assert!(pending.voids("a", before) && !pending.voids("a", after));
        assert!(!pending.voids("b", before));
        assert!(!pending.queue("b", at(50), at(150)), "no room");
        assert!(
            pending.voids("b", after),
            "and yet its leases are worthless"
        );
        pending.sent(&pending.batch(5));
        assert!(pending.voids("a", before), "sent or not");
    }

    #[test]
    fn all_is_forgotten_when_the_last_lease_is_of_the_past() {
        let mut pending = Pending::new(10);
        pending.queue("a", at(0), at(100));
        pending.queue("b", at(50), at(150));
        pending.sent(&pending.batch(5));
        pending.forget(at(149));
        assert!(pending.voids("a", 0) && !pending.is_untouched());
        pending.forget(at(150));
        assert!(!pending.voids("a", 0) && pending.is_untouched());
    }

    #[test]
    fn what_was_voided_is_forgotten_when_no_lease_is_that_old() {
        let mut pending = Pending::new(usize::MAX);
        for n in 0..10_000 {
            pending.queue(&format!("key:{n}"), at(n), at(n + 100));
        }
        assert!(
            pending.voided.len() <= 2 * PRUNE_AT_LEAST,
            "{}",
            pending.voided.len()
        );
        assert!(pending.voids("key:9999", 0));
    }
}
