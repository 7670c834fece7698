//! [`Turns`]: whose turn it is to refresh an entry that is answered meanwhile.
//!
//! While an entry is answered although it is stale, or early before it is, one caller refreshes it and
//! the others go on with the entry. And while a database hangs, every reader of a stale entry would
//! wait for the load deadline, only to get that entry in the end. So after a failed load the key has a
//! pause, in which readers get the stale entry at once. Then one of them tries again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::shards::{Shard, Shards, TaggedKey};

/// The pause after the first failed load; it doubles with every further one.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// For how long no caller asks again whether another process still refreshes the entry.
const ELSEWHERE: Duration = Duration::from_millis(250);

/// A row that ended this long ago belongs to a key that is not read any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// At how many keys in one shard of the table these are dropped at the earliest.
const PRUNE_AT: usize = 256;

pub(super) struct Turns {
    table: Shards<Row>,
    /// How many keys have a row. While there are none, a load takes no lock.
    keys: AtomicUsize,
    /// Numbers the turns.
    last: AtomicU64,
    /// At how many keys in one shard those are dropped that are not read any more.
    prune_at: AtomicUsize,
}

struct Row {
    /// Until then no other caller has a turn.
    until: Timestamp,
    /// The length of the last pause.
    pause: Duration,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The turn of this number is under way.
    Trying(u64),
    /// Another process refreshes the entry.
    Elsewhere,
    /// The last try has failed.
    Failed,
    /// The last try has brought a row, but it could not be stored.
    Unstored,
}

/// Whose turn it is.
pub(super) enum Turn {
    /// The caller's.
    Ours(Ours),
    /// Somebody else is at it.
    Theirs,
    /// Nobody's: the last try has failed.
    Paused,
    /// Nobody's: what the last try has brought could not be stored.
    Unstored,
}

/// The right to refresh one key, among the callers of one service. Dropped, it is passed on.
pub(super) struct Ours {
    turns: Arc<Turns>,
    key: TaggedKey,
    number: u64,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            table: Shards::new(),
            keys: AtomicUsize::new(0),
            last: AtomicU64::new(0),
            prune_at: AtomicUsize::new(PRUNE_AT),
        }
    }

    /// Whether no key has a row.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.load(Ordering::Acquire) == 0
    }

    /// Whose turn it is to refresh an entry that is answered meanwhile. One that does not end within
    /// `deadline` is passed on.
    pub(super) fn take<T: CacheEntity>(
        self: &Arc<Self>,
        key: &str,
        now: Timestamp,
        deadline: Duration,
    ) -> Turn {
        let key = TaggedKey::of::<T>(key);
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let row = Row {
            until: now.after(deadline.min(LONGEST)),
            pause: Duration::ZERO,
            state: State::Trying(number),
        };
        {
            let mut table = self.table.lock(&key);
            match table.get_mut(&key) {
                Some(standing) if now < standing.until => {
                    return match standing.state {
                        State::Trying(_) | State::Elsewhere => Turn::Theirs,
                        State::Failed => Turn::Paused,
                        State::Unstored => Turn::Unstored,
                    };
                }
                Some(standing) => {
                    let pause = standing.pause_at(now);
                    *standing = Row { pause, ..row };
                }
                None => {
                    self.prune(&mut table, now);
                    table.insert(key.clone(), row);
                    self.keys.fetch_add(1, Ordering::AcqRel);
                }
            }
        }
        Turn::Ours(Ours {
            turns: Arc::clone(self),
            key,
            number,
        })
    }

    /// Whether a reader should serve the stale entry that it has found, since its load has failed. If
    /// the pause is over, this caller tries again, and has `deadline` for it.
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
        let Some(row) = table.get_mut(&key) else {
            return false;
        };
        row.pause = row.pause_at(now);
        if row.pause.is_zero() || row.state == State::Unstored {
            // No load has failed; who refreshes it has begun earlier, and this reader follows.
            return false;
        }
        if now < row.until {
            return true;
        }
        row.until = now.after(deadline.min(LONGEST));
        row.state = State::Trying(self.last.fetch_add(1, Ordering::Relaxed));
        false
    }

    /// A load of `key` failed, and a stale entry was served.
    pub(super) fn failed<T: CacheEntity>(&self, key: &str, now: Timestamp) {
        self.pause(&TaggedKey::of::<T>(key), now);
    }

    /// Whether nothing is known of `key`.
    pub(super) fn is_free<T: CacheEntity>(&self, key: &str) -> bool {
        if self.is_empty() {
            return true;
        }
        let key = TaggedKey::of::<T>(key);
        !self.table.lock(&key).contains_key(&key)
    }

    /// A load of `key` succeeded, but an older entry may still stand. If that is answered meanwhile, it
    /// is not refreshed again before a pause.
    pub(super) fn not_stored<T: CacheEntity>(&self, key: &str, now: Timestamp) {
        if self.is_empty() {
            return;
        }
        let key = TaggedKey::of::<T>(key);
        if let Some(row) = self.table.lock(&key).get_mut(&key) {
            row.pause(now, State::Unstored);
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

    fn pause(&self, key: &TaggedKey, now: Timestamp) {
        let mut table = self.table.lock(key);
        match table.get_mut(key) {
            // All callers that waited for one load report it.
            Some(row) if row.state == State::Failed && now < row.until => {}
            Some(row) => row.pause(now, State::Failed),
            None => {
                self.prune(&mut table, now);
                let row = Row {
                    until: now.after(FIRST),
                    pause: FIRST,
                    state: State::Failed,
                };
                table.insert(key.clone(), row);
                self.keys.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    /// Drops what belongs to keys that are not read any more, if there is much.
    fn prune(&self, table: &mut Shard<Row>, now: Timestamp) {
        let before = table.len();
        if before < self.prune_at.load(Ordering::Relaxed) {
            return;
        }
        table.retain(|_, row| {
            let kept = match row.pause.is_zero() {
                true => Duration::ZERO,
                false => FORGOTTEN_AFTER,
            };
            now < row.until.after(kept)
        });
        self.keys.fetch_sub(before - table.len(), Ordering::AcqRel);
        // Not again before there are twice as many, so that it costs each new key little.
        let next = (2 * table.len()).max(PRUNE_AT);
        self.prune_at.store(next, Ordering::Relaxed);
    }
}

impl Row {
    /// The length of the last pause, unless it ended so long ago that it says nothing of today.
    fn pause_at(&self, now: Timestamp) -> Duration {
        match now < self.until.after(LONGEST) {
            true => self.pause,
            false => Duration::ZERO,
        }
    }

    fn pause(&mut self, now: Timestamp, state: State) {
        self.pause = (self.pause_at(now) * 2).clamp(FIRST, LONGEST);
        self.until = now.after(self.pause);
        self.state = state;
    }
}

impl Ours {
    /// The load has failed.
    pub(super) fn failed(&self, now: Timestamp) {
        let mut table = self.turns.table.lock(&self.key);
        if let Some(row) = table.get_mut(&self.key)
            && row.state == State::Trying(self.number)
        {
            row.pause(now, State::Failed);
        }
    }

    /// Another process refreshes the entry.
    pub(super) fn leave_elsewhere(self, now: Timestamp) {
        let mut table = self.turns.table.lock(&self.key);
        if let Some(row) = table.get_mut(&self.key)
            && row.state == State::Trying(self.number)
        {
            row.state = State::Elsewhere;
            row.pause = Duration::ZERO;
            row.until = now.after(ELSEWHERE);
        }
    }
}

/// Unless the load has succeeded or failed by now, the next caller has its turn.
impl Drop for Ours {
    fn drop(&mut self) {
        let mut table = self.turns.table.lock(&self.key);
        let Some(row) = table.get_mut(&self.key) else {
            return;
        };
        if row.state != State::Trying(self.number) {
            return;
        }
        if row.pause.is_zero() {
            table.remove(&self.key);
            self.turns.keys.fetch_sub(1, Ordering::AcqRel);
        } else {
            row.until = Timestamp::from_millis(0);
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

    fn ours(turn: Turn) -> Option<Ours> {
        match turn {
            Turn::Ours(ours) => Some(ours),
            Turn::Theirs | Turn::Paused | Turn::Unstored => None,
        }
    }

    #[test]
    fn after_each_pause_one_reader_tries_and_the_next_pause_is_twice_as_long() {
        let turns = Turns::new();
        let holds = |now| turns.hold::<Row>("row:1", at(now), DEADLINE);
        assert!(!holds(0), "nothing has failed");
        let mut now = 0;
        for pause in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            // All callers that waited for the load report it; they count once.
            turns.failed::<Row>("row:1", at(now));
            turns.failed::<Row>("row:1", at(now));
            assert!(holds(now) && holds(now + pause - 1), "{pause}");
            now += pause;
            assert!(!holds(now), "one tries again");
            assert!(holds(now) && holds(now + 7_999), "the others do not wait");
            now += 5;
        }
        assert!(
            !turns.hold::<Row>("row:2", at(now), DEADLINE),
            "another key"
        );
        turns.succeeded::<Row>("row:1");
        assert!(!holds(now) && turns.is_empty());
    }

    #[test]
    fn a_reader_that_never_reports_is_followed_by_another() {
        let turns = Turns::new();
        turns.failed::<Row>("row:1", at(0));
        assert!(!turns.hold::<Row>("row:1", at(1_000), DEADLINE));
        assert!(turns.hold::<Row>("row:1", at(8_999), DEADLINE));
        assert!(!turns.hold::<Row>("row:1", at(9_000), DEADLINE));
    }

    #[test]
    fn one_caller_has_its_turn_and_passes_it_on_when_it_is_dropped() {
        let turns = Arc::new(Turns::new());
        let take = |now| turns.take::<Row>("row:1", at(now), DEADLINE);
        let first = ours(take(0));
        assert!(first.is_some());
        assert!(matches!(take(1), Turn::Theirs));
        assert!(
            !turns.hold::<Row>("row:1", at(1), DEADLINE),
            "a reader past the time for that follows"
        );
        drop(first);
        assert!(turns.is_empty());
        // One that never ends is passed on, and may not end the turn of its successor.
        let slow = ours(take(0));
        let next = ours(take(8_000));
        assert!(slow.is_some() && next.is_some());
        drop(slow);
        assert!(matches!(take(8_001), Turn::Theirs));
        if let Some(next) = next {
            next.failed(at(8_001));
        }
        assert!(matches!(take(9_000), Turn::Paused));
        assert!(turns.hold::<Row>("row:1", at(9_000), DEADLINE));
        drop(ours(take(9_001)));
        assert!(ours(take(9_002)).is_some(), "it was passed on");
    }

    #[test]
    fn what_is_refreshed_elsewhere_is_asked_for_again_soon() {
        let turns = Arc::new(Turns::new());
        let take = |now| turns.take::<Row>("row:1", at(now), DEADLINE);
        if let Some(ours) = ours(take(0)) {
            ours.leave_elsewhere(at(0));
        }
        assert!(matches!(take(249), Turn::Theirs));
        assert!(ours(take(250)).is_some());
        turns.succeeded::<Row>("row:1");
        assert!(turns.is_empty());
    }

    #[test]
    fn keys_that_are_not_read_any_more_are_forgotten() {
        let turns = Arc::new(Turns::new());
        for n in 0..100_000 {
            let key = format!("row:{n}");
            if n % 2 == 0 {
                turns.failed::<Row>(&key, at(n * 100));
            } else if let Some(ours) = ours(turns.take::<Row>(&key, at(n * 100), DEADLINE)) {
                ours.leave_elsewhere(at(n * 100));
            }
        }
        let kept = turns.keys.load(Ordering::Acquire);
        let counted: usize = turns.table.each().map(|table| table.len()).sum();
        assert_eq!(kept, counted);
        assert!(kept <= 64 * PRUNE_AT, "{kept}");
    }
}
