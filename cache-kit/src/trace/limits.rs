//! [`Limits`]: how often a warning is repeated.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// The pause after the first warning; it doubles with each that follows, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// How many are counted within [`PILING`] before they are a pile.
const PILE: u64 = 10;
const PILING: Duration = Duration::from_secs(60);

/// How many subjects are remembered. The nodes of a cluster change their addresses over the years.
const SUBJECTS: usize = 1_024;

/// Lets the first warning about something pass, and repetitions ever more rarely: after 10 s, 20 s, up
/// to an hour. What has been quiet for twice as long as the pause is new again. Time is an argument.
#[derive(Debug)]
pub(super) struct Limits<K> {
    said: HashMap<K, Said>,
    piles: HashMap<K, Pile>,
}

#[derive(Debug)]
struct Said {
    at: Duration,
    last: Duration,
    pause: Duration,
    left_out: u64,
}

#[derive(Debug)]
struct Pile {
    since: Duration,
    count: u64,
}

impl<K: Hash + Eq> Limits<K> {
    pub(super) fn new() -> Self {
        Self {
            said: HashMap::new(),
            piles: HashMap::new(),
        }
    }

    /// Whether to warn about `subject` now: `Some`, with how many warnings about it were left out
    /// since the last one.
    pub(super) fn admit(&mut self, subject: K, now: Duration) -> Option<u64> {
        bound(&mut self.said);
        let Some(said) = self.said.get_mut(&subject) else {
            let said = Said {
                at: now,
                last: now,
                pause: FIRST_PAUSE,
                left_out: 0,
            };
            self.said.insert(subject, said);
            return Some(0);
        };
        let quiet = now.saturating_sub(said.last);
        said.last = now;
        if now.saturating_sub(said.at) < said.pause {
            said.left_out += 1;
            return None;
        }
        said.pause = match quiet >= said.pause * 2 {
            true => FIRST_PAUSE,
            false => (said.pause * 2).min(LONGEST_PAUSE),
        };
        said.at = now;
        Some(std::mem::take(&mut said.left_out))
    }

    /// Counts one more of what is no trouble if it is rare; how many there are now, if they pile up.
    pub(super) fn piles_up(&mut self, subject: K, now: Duration) -> Option<u64> {
        bound(&mut self.piles);
        let empty = Pile {
            since: now,
            count: 0,
        };
        let pile = self.piles.entry(subject).or_insert(empty);
        if now.saturating_sub(pile.since) > PILING {
            (pile.since, pile.count) = (now, 0);
        }
        pile.count += 1;
        (pile.count >= PILE).then_some(pile.count)
    }
}

fn bound<K, V>(map: &mut HashMap<K, V>) {
    if map.len() >= SUBJECTS {
        map.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn the_first_passes_and_repetitions_ever_more_rarely() {
        let mut limits = Limits::new();
        let mut passed = Vec::new();
        for second in 0..100_000 {
            if let Some(left_out) = limits.admit("user", secs(second)) {
                passed.push((second, left_out));
            }
        }
        assert_eq!(passed[..4], [(0, 0), (10, 9), (30, 19), (70, 39)]);
        let pauses: Vec<u64> = passed
            .windows(2)
            .map(|pair| pair[1].0 - pair[0].0)
            .collect();
        assert_eq!(pauses.iter().max(), Some(&3_600), "{pauses:?}");
        assert!(passed.len() < 40, "{passed:?}");
    }

    #[test]
    fn each_subject_counts_for_itself() {
        let mut limits = Limits::new();
        assert_eq!(limits.admit("user", secs(0)), Some(0));
        assert_eq!(limits.admit("user", secs(1)), None);
        assert_eq!(limits.admit("order", secs(1)), Some(0));
    }

    #[test]
    fn what_was_quiet_is_new() {
        let mut limits = Limits::new();
        for second in 0..1_000 {
            limits.admit("user", secs(second));
        }
        assert!(limits.admit("user", secs(10_000)).is_some());
        assert_eq!(limits.admit("user", secs(10_009)), None);
        assert_eq!(limits.admit("user", secs(10_010)), Some(1));
    }

    #[test]
    fn only_many_within_a_minute_are_a_pile() {
        let mut limits = Limits::new();
        let slowly = (0..100).filter_map(|count| limits.piles_up("user", secs(count * 10)));
        assert_eq!(slowly.count(), 0);
        let quickly = (0..12).filter_map(|count| limits.piles_up("order", secs(count)));
        assert_eq!(quickly.collect::<Vec<_>>(), [10, 11, 12]);
    }

    #[test]
    fn no_number_of_subjects_fills_the_memory() {
        let mut limits = Limits::new();
        for subject in 0..10_000 {
            limits.admit(subject, secs(0));
            limits.piles_up(subject, secs(0));
        }
        assert!(limits.said.len() <= SUBJECTS && limits.piles.len() <= SUBJECTS);
    }
}
