//! [`Pauses`]: keys whose load failed and that have a stale entry.
//!
//! While a database hangs, every reader of such a key would wait for the load deadline, only to get
//! the stale entry in the end. So after a failed load the key has a pause, in which readers get the
//! stale entry at once. Then one reader tries again, while the others still get the stale entry.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::shards::{Shards, TaggedKey};

/// The pause after the first failed load; it doubles with every further one.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// A pause that ended this long ago belongs to a key that is not read any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// At how many keys in one shard of the table these are dropped.
const PRUNE_AT: usize = 256;

pub(super) struct Pauses {
    table: Shards<Pause>,
    /// How many keys have a pause. While there are none, a load takes no lock.
    keys: AtomicUsize,
}

struct Pause {
    until: Timestamp,
    length: Duration,
    /// Whether a reader is trying again, until `until` at the latest.
    trying: bool,
}

impl Pauses {
    pub(super) fn new() -> Self {
        Self {
            table: Shards::new(),
            keys: AtomicUsize::new(0),
        }
    }

    /// Whether no key has a pause.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.load(Ordering::Acquire) == 0
    }

    /// Whether a reader should serve the stale entry that it has found. If the pause is over, this
    /// caller tries again, and has `deadline` for it.
    pub(super) fn hold<T: CacheEntity>(
        &self,
        key: &str,
        now: Timestamp,
        deadline: Duration,
    ) -> bool {
        if self.is_empty() {
            return false;
        }
        let key = TaggedKey::of::<T>(key);
        let mut table = self.table.lock(&key);
        let Some(pause) = table.get_mut(&key) else {
            return false;
        };
        if now < pause.until {
            return true;
        }
        pause.until = now.after(deadline);
        pause.trying = true;
        false
    }

    /// A load of `key` failed, and a stale entry was served.
    pub(super) fn failed<T: CacheEntity>(&self, key: &str, now: Timestamp) {
        let key = TaggedKey::of::<T>(key);
        let mut table = self.table.lock(&key);
        match table.get_mut(&key) {
            // All callers that waited for one load report it.
            Some(pause) if !pause.trying && now < pause.until => {}
            Some(pause) => {
                pause.length = (pause.length * 2).min(LONGEST);
                pause.until = now.after(pause.length);
                pause.trying = false;
            }
            None => {
                let before = table.len();
                if before >= PRUNE_AT {
                    table.retain(|_, pause| now < pause.until.after(FORGOTTEN_AFTER));
                    self.keys.fetch_sub(before - table.len(), Ordering::AcqRel);
                }
                let pause = Pause {
                    until: now.after(FIRST),
                    length: FIRST,
                    trying: false,
                };
                table.insert(key.clone(), pause);
                self.keys.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    /// A load of `key` succeeded.
    pub(super) fn succeeded<T: CacheEntity>(&self, key: &str) {
        if self.is_empty() {
            return;
        }
        let key = TaggedKey::of::<T>(key);
        let removed = self.table.lock(&key).remove(&key);
        if removed.is_some() {
            self.keys.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[cfg(all(test, not(cache_kit_model)))]
mod tests {
    use super::*;

    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    struct Row;

    impl CacheEntity for Row {
        type Key = u64;

        fn cache_key(&self) -> u64 {
            0
        }

        fn cache_prefix() -> &'static str {
            "row"
        }
    }

    const DEADLINE: Duration = Duration::from_secs(8);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn after_each_pause_one_reader_tries_and_the_next_pause_is_twice_as_long() {
        let pauses = Pauses::new();
        let holds = |now| pauses.hold::<Row>("row:1", at(now), DEADLINE);
        assert!(!holds(0), "nothing has failed");
        let mut now = 0;
        for pause in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            // All callers that waited for the load report it; they count once.
            pauses.failed::<Row>("row:1", at(now));
            pauses.failed::<Row>("row:1", at(now));
            assert!(holds(now) && holds(now + pause - 1), "{pause}");
            now += pause;
            assert!(!holds(now), "one tries again");
            assert!(holds(now) && holds(now + 7_999), "the others do not wait");
            now += 5;
        }
        assert!(
            !pauses.hold::<Row>("row:2", at(now), DEADLINE),
            "another key"
        );
        pauses.succeeded::<Row>("row:1");
        assert!(!holds(now) && pauses.keys.load(Ordering::Acquire) == 0);
    }

    #[test]
    fn a_reader_that_never_reports_is_followed_by_another() {
        let pauses = Pauses::new();
        pauses.failed::<Row>("row:1", at(0));
        assert!(!pauses.hold::<Row>("row:1", at(1_000), DEADLINE));
        assert!(pauses.hold::<Row>("row:1", at(8_999), DEADLINE));
        assert!(!pauses.hold::<Row>("row:1", at(9_000), DEADLINE));
    }

    #[test]
    fn keys_that_are_not_read_any_more_are_forgotten() {
        let pauses = Pauses::new();
        for n in 0..100_000 {
            pauses.failed::<Row>(&format!("row:{n}"), at(n * 100));
        }
        let kept = pauses.keys.load(Ordering::Acquire);
        let counted: usize = pauses.table.each().map(|table| table.len()).sum();
        assert_eq!(kept, counted);
        assert!(kept <= 64 * PRUNE_AT, "{kept}");
    }
}
