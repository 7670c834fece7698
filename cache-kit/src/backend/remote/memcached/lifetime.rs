//! Lifetimes as memcached counts them.

use std::time::Duration;

use crate::clock::Timestamp;

/// The server reads a longer one as a moment since the Unix epoch.
const LONGEST_RELATIVE: u64 = 30 * 24 * 3_600;

/// A server that keeps moments in 31 bits takes a later one for the past.
const LAST_MOMENT: u64 = i32::MAX as u64;

/// The time to live that gives an item `lifetime` from `now`.
///
/// Whole seconds, rounded up, and one more: the server's clock moves once a second, so an item with
/// one second may be gone after a millisecond. The stamps in an entry end its life to the
/// millisecond; this time to live only frees its memory.
pub(super) fn time_to_live(lifetime: Duration, now: Timestamp) -> u64 {
    seconds(lifetime, now.as_millis() / 1_000)
}

fn seconds(lifetime: Duration, now: u64) -> u64 {
    let whole = lifetime
        .as_secs()
        .saturating_add(u64::from(lifetime.subsec_nanos() > 0))
        .saturating_add(1);
    if whole <= LONGEST_RELATIVE {
        return whole;
    }
    let moment = now.saturating_add(whole).min(LAST_MOMENT);
    // This close to the last moment, a relative time reaches further.
    if moment > now.saturating_add(LONGEST_RELATIVE) {
        moment
    } else {
        LONGEST_RELATIVE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn given(lifetime: Duration) -> u64 {
        seconds(lifetime, NOW)
    }

    #[test]
    fn a_lifetime_is_rounded_up_and_never_for_ever() {
        for (lifetime, seconds) in [
            (Duration::ZERO, 1),
            (Duration::from_nanos(1), 2),
            (Duration::from_millis(1), 2),
            (Duration::from_millis(500), 2),
            (Duration::from_secs(1), 2),
            (Duration::from_millis(1_001), 3),
            (Duration::from_secs(3_600), 3_601),
            (Duration::from_secs(LONGEST_RELATIVE - 1), LONGEST_RELATIVE),
        ] {
            assert_eq!(given(lifetime), seconds, "{lifetime:?}");
        }
    }

    #[test]
    fn over_thirty_days_it_is_a_moment() {
        for seconds in [LONGEST_RELATIVE, LONGEST_RELATIVE + 1, 365 * 86_400] {
            let lifetime = Duration::from_secs(seconds);
            assert_eq!(given(lifetime), NOW + seconds + 1);
        }
    }

    #[test]
    fn no_lifetime_is_so_long_that_it_has_passed() {
        assert_eq!(given(Duration::MAX), LAST_MOMENT);
        assert_eq!(given(Duration::from_secs(u64::from(u32::MAX))), LAST_MOMENT);
        for now in [LAST_MOMENT - 100, LAST_MOMENT, LAST_MOMENT + 100, u64::MAX] {
            assert_eq!(seconds(Duration::MAX, now), LONGEST_RELATIVE);
        }
    }
}
