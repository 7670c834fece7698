//! Dropping all keys that begin alike.
//!
//! First every lease on them is made worthless, and then what is in the map is removed: an entry that
//! is stored after that comes of a lease that was taken after it, and so of a row that was read after it.

use tokio::task::yield_now;

use super::Shared;
use super::key::MapKey;
use crate::lease::Cleared;

/// How many keys are removed before other tasks run.
pub(super) const STEP: usize = 1_000;

impl Shared {
    /// Drops all keys whose texts begin with `beginning`. No lock is held longer than for one key, or for
    /// the look at one shard.
    pub(super) async fn clear(&self, beginning: &str) -> Cleared {
        let wanted = self.kinds.beginning_with(beginning);
        let mut cleared = Cleared::nothing();
        for (step, keys) in self
            .overtaken(|key| wanted.has(key))
            .chunks(STEP)
            .enumerate()
        {
            if step > 0 {
                yield_now().await;
            }
            self.remove_all(keys);
            cleared.keys += u64::try_from(keys.len()).unwrap_or(u64::MAX);
        }
        cleared
    }

    /// Makes every lease on the keys that are `wanted` worthless, and answers with those that have an
    /// entry.
    pub(super) fn overtaken(&self, wanted: impl Fn(&MapKey) -> bool) -> Vec<MapKey> {
        self.fences.overtake_all(&wanted);
        self.map.keys(&wanted)
    }

    pub(super) fn remove_all(&self, keys: &[MapKey]) {
        let mut gone = Vec::new();
        for key in keys {
            self.fences
                .overtake(key, || self.map.remove(key, &mut gone));
            self.stats.invalidations.add(1);
        }
        self.part_with(gone);
    }
}
