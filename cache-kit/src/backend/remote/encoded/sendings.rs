//! [`Sendings`]: why no two placeholders are the same bytes.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::{Fence, LeaseId};

/// Numbers what is sent, so that no two placeholders are the same bytes. Otherwise a copy that
/// arrives after its lease was removed would be taken for that lease.
///
/// A [`LeaseId`] stands for all that is sent for one load. Its low bits hold the number.
pub(super) struct Sendings(AtomicU64);

impl Sendings {
    /// How many placeholders can be sent for one load.
    const COUNT: u64 = 1 << 24;

    pub(super) fn next(&self, id: LeaseId) -> Fence {
        let number = self.0.fetch_add(1, Ordering::Relaxed) % Self::COUNT;
        Fence(id.0 - id.0 % Self::COUNT + number)
    }
}

impl Default for Sendings {
    fn default() -> Self {
        Self(AtomicU64::new(fastrand::u64(..)))
    }
}

/// Whether `fence` was sent for the load that `id` stands for.
pub(super) fn is_of(fence: Fence, id: LeaseId) -> bool {
    fence.0 / Sendings::COUNT == id.0 / Sendings::COUNT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_for_one_load_is_told_apart_and_known_as_its_own() {
        let sendings = Sendings::default();
        let (id, other) = (
            LeaseId(0xABCD_EF01_2345_6789),
            LeaseId(0xABCD_EF01_2445_6789),
        );
        let sent: Vec<Fence> = (0..1_000).map(|_| sendings.next(id)).collect();
        let own = |fence: &Fence| is_of(*fence, id) && !is_of(*fence, other);
        assert!(sent.iter().all(own));
        let different: std::collections::HashSet<_> = sent.iter().collect();
        assert_eq!(different.len(), sent.len());
    }
}
