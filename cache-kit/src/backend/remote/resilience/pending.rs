//! [`Pending`]: invalidations that have not reached the store, and leases that they made worthless.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Timestamp;

/// Invalidations that have not reached the store.
#[derive(Debug)]
pub(crate) struct Pending {
    limit: usize,
    waiting: HashMap<Box<str>, Waiting>,
    /// Keys whose invalidation failed: its number, and when the last lease from before it expires.
    voided: HashMap<Box<str>, (u64, Timestamp)>,
    /// At how many voided keys the outdated ones are dropped.
    prune_at: usize,
    /// When the last of them is outdated.
    voided_until: Timestamp,
    last: u64,
}

/// A queued invalidation.
#[derive(Debug)]
struct Waiting {
    /// Its number. It tells whether the key was invalidated again while this one was being sent.
    number: u64,
    /// When it was last sent, if it was.
    tried: Option<Timestamp>,
    /// Since when the store refuses it, if it does.
    refused: Option<Timestamp>,
}

/// Whether a command for a key may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Clear,
    /// After the invalidation of this number.
    After(u64),
    /// Not at all: the store refuses to delete what is there.
    Withheld,
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

    /// Queues an invalidation of `key`; `false` if there is no room. Either way every lease on
    /// `key` that was taken before is worthless. `leases_end` is when the last of them expires.
    pub(crate) fn queue(&mut self, key: &str, now: Timestamp, leases_end: Timestamp) -> bool {
        self.last += 1;
        if self.voided.len() >= self.prune_at {
            self.voided.retain(|_, (_, until)| now < *until);
            self.prune_at = (self.voided.len() * 2).max(PRUNE_AT_LEAST);
        }
        self.voided_until = self.voided_until.max(leases_end);
        self.voided.insert(key.into(), (self.last, leases_end));
        let number = self.last;
        if let Some(waiting) = self.waiting.get_mut(key) {
            waiting.number = number;
            if let Some(since) = &mut waiting.refused {
                *since = now;
            }
            return true;
        }
        if self.waiting.len() >= self.limit {
            return false;
        }
        let waiting = Waiting {
            number,
            tried: None,
            refused: None,
        };
        self.waiting.insert(key.into(), waiting);
        true
    }

    /// Whether a command for `key` may be sent.
    pub(crate) fn way(&self, key: &str) -> Way {
        match self.waiting.get(key) {
            None => Way::Clear,
            Some(Waiting {
                refused: None,
                number,
                ..
            }) => Way::After(*number),
            Some(_) => Way::Withheld,
        }
    }

    /// The number of the queued invalidation of `key`.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.waiting.get(key).map(|waiting| waiting.number)
    }

    /// Whether a lease on `key` that was taken after invalidation number `taken` is worthless.
    pub(crate) fn is_voided(&self, key: &str, taken: u64) -> bool {
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

    /// The keys that wait.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.waiting.keys().map(|key| &**key)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many the store refuses.
    pub(crate) fn refused(&self) -> usize {
        let refused = self
            .waiting
            .values()
            .filter(|waiting| waiting.refused.is_some());
        refused.count()
    }

    /// The queued invalidations that are due, those first that were tried longest ago. A refused one
    /// is due again after `pause`.
    pub(crate) fn due(&self, now: Timestamp, pause: Duration) -> Vec<(Box<str>, u64)> {
        let is_due = |waiting: &&Waiting| {
            let tried = waiting.refused.and(waiting.tried);
            tried.is_none_or(|tried| now >= tried.after(pause))
        };
        let due = self.waiting.iter();
        let mut due: Vec<_> = due.filter(|(_, waiting)| is_due(waiting)).collect();
        due.sort_by_key(|(_, waiting)| waiting.tried);
        due.into_iter()
            .map(|(key, waiting)| (key.clone(), waiting.number))
            .collect()
    }

    /// These are sent now.
    pub(crate) fn sending(&mut self, batch: &[(Box<str>, u64)], now: Timestamp) {
        for (key, _) in batch {
            if let Some(waiting) = self.waiting.get_mut(key) {
                waiting.tried = Some(now);
            }
        }
    }

    /// What was sent under this number has reached the store, unless the key was invalidated again
    /// since.
    pub(crate) fn sent(&mut self, key: &str, number: u64) {
        if self.number(key) == Some(number) {
            self.waiting.remove(key);
        }
    }

    /// `key` has been invalidated by a command that was sent after invalidation number `since`.
    pub(crate) fn done(&mut self, key: &str, since: u64) {
        if self.number(key).is_some_and(|number| number <= since) {
            self.waiting.remove(key);
        }
    }

    /// The store refuses to delete what is under `key`.
    pub(crate) fn refuse(&mut self, key: &str, now: Timestamp) {
        if let Some(waiting) = self.waiting.get_mut(key) {
            waiting.refused = waiting.refused.or(Some(now));
            waiting.tried = Some(now);
        }
    }

    /// Gives up what the store has refused for `patience`.
    pub(crate) fn give_up(&mut self, now: Timestamp, patience: Duration) -> Vec<Box<str>> {
        let out = |waiting: &Waiting| {
            let since = waiting.refused;
            since.is_some_and(|since| now >= since.after(patience))
        };
        let given_up = self.waiting.extract_if(|_, waiting| out(waiting));
        given_up.map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    const PAUSE: Duration = Duration::from_millis(500);

    fn all(pending: &Pending) -> Vec<(Box<str>, u64)> {
        pending.due(at(0), PAUSE)
    }

    fn sent(pending: &mut Pending, batch: &[(Box<str>, u64)]) {
        for (key, number) in batch {
            pending.sent(key, *number);
        }
    }

    #[test]
    fn what_is_refused_is_withheld_tried_again_and_given_up() {
        let mut pending = Pending::new(10);
        pending.queue("a", at(0), at(100));
        pending.queue("b", at(0), at(100));
        assert_eq!(pending.way("a"), Way::After(1));
        pending.refuse("a", at(0));
        assert_eq!(
            (pending.way("a"), pending.way("c")),
            (Way::Withheld, Way::Clear)
        );
        assert_eq!(pending.way("b"), Way::After(2));
        assert_eq!((pending.len(), pending.refused()), (2, 1));
        assert_eq!(pending.due(at(499), PAUSE), [("b".into(), 2)]);
        assert_eq!(pending.due(at(500), PAUSE).len(), 2);
        pending.refuse("a", at(500));
        assert_eq!(pending.due(at(999), PAUSE).len(), 1);
        let patience = Duration::from_secs(1);
        assert!(pending.give_up(at(999), patience).is_empty());
        assert_eq!(pending.give_up(at(1_000), patience), [Box::from("a")]);
        assert_eq!(pending.way("a"), Way::Clear);
        assert!(
            pending.is_voided("a", 0),
            "its leases are worthless all the same"
        );
    }

    #[test]
    fn what_was_tried_longest_ago_is_next() {
        let mut pending = Pending::new(10);
        for key in ["a", "b", "c"] {
            pending.queue(key, at(0), at(100));
        }
        let [c, a, b] =
            ["c", "a", "b"].map(|key| (Box::from(key), pending.number(key).unwrap_or(0)));
        pending.sending(std::slice::from_ref(&a), at(1));
        pending.sending(std::slice::from_ref(&b), at(2));
        assert_eq!(pending.due(at(3), PAUSE), [c, a, b]);
    }

    #[test]
    fn a_key_waits_until_its_last_invalidation_is_sent() {
        let mut pending = Pending::new(10);
        assert!(pending.queue("a", at(0), at(100)));
        let batch = all(&pending);
        assert!(pending.queue("a", at(0), at(100)));
        sent(&mut pending, &batch);
        assert_eq!(
            pending.len(),
            1,
            "it was invalidated again while the first one was sent"
        );
        let batch = all(&pending);
        sent(&mut pending, &batch);
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
    fn a_failed_invalidation_voids_the_leases_before_it_and_none_after() {
        let mut pending = Pending::new(1);
        let before = pending.last();
        pending.queue("a", at(0), at(100));
        let after = pending.last();
        assert!(pending.is_voided("a", before) && !pending.is_voided("a", after));
        assert!(!pending.is_voided("b", before));
        assert!(!pending.queue("b", at(50), at(150)), "no room");
        assert!(
            pending.is_voided("b", after),
            "and yet its leases are worthless"
        );
        {
            let batch = all(&pending);
            sent(&mut pending, &batch);
        }
        assert!(pending.is_voided("a", before), "sent or not");
    }

    #[test]
    fn all_is_forgotten_when_the_last_lease_is_of_the_past() {
        let mut pending = Pending::new(10);
        pending.queue("a", at(0), at(100));
        pending.queue("b", at(50), at(150));
        {
            let batch = all(&pending);
            sent(&mut pending, &batch);
        }
        pending.forget(at(149));
        assert!(pending.is_voided("a", 0) && !pending.is_untouched());
        pending.forget(at(150));
        assert!(!pending.is_voided("a", 0) && pending.is_untouched());
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
        assert!(pending.is_voided("key:9999", 0));
    }
}
