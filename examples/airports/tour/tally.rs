//! [`Tally`]: the answers to the clients of a phase, and how long they took.

use std::time::Duration;

use crate::answer::Origin;
use crate::tour::client::Reply;

/// Counts and latencies of answered requests for airports.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) hits: u64,
    pub(crate) loaded: u64,
    pub(crate) shared: u64,
    /// Answers that were neither 200 nor 503.
    pub(crate) odd: u64,
    /// Answers of 503.
    pub(crate) unavailable: u64,
    took: Vec<Duration>,
    lookups: Vec<Duration>,
}

impl Tally {
    pub(crate) fn add(&mut self, reply: &Reply) {
        self.took.push(reply.took);
        self.lookups.extend(reply.lookup());
        match (reply.status.as_u16(), reply.origin()) {
            (200, Some(Origin::Hit)) => self.hits += 1,
            (200, Some(Origin::Loaded)) => self.loaded += 1,
            (200, Some(Origin::Shared)) => self.shared += 1,
            (503, None) => self.unavailable += 1,
            _ => self.odd += 1,
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.hits += other.hits;
        self.loaded += other.loaded;
        self.shared += other.shared;
        self.odd += other.odd;
        self.unavailable += other.unavailable;
        self.took.extend(other.took);
        self.lookups.extend(other.lookups);
    }

    pub(crate) fn requests(&self) -> u64 {
        self.took.len() as u64
    }

    /// The latency within which `share` of the requests were answered, HTTP included.
    pub(crate) fn took(&self, share: f64) -> Option<Duration> {
        quantile(&self.took, share)
    }

    /// The same without HTTP: the service's call of the cache alone.
    pub(crate) fn lookup(&self, share: f64) -> Option<Duration> {
        quantile(&self.lookups, share)
    }
}

fn quantile(durations: &[Duration], share: f64) -> Option<Duration> {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_durations() {
        let durations: Vec<_> = (1..=100).rev().map(Duration::from_micros).collect();
        assert_eq!(quantile(&durations, 0.5), Some(Duration::from_micros(50)));
        assert_eq!(quantile(&durations, 0.99), Some(Duration::from_micros(99)));
        assert_eq!(quantile(&durations, 1.0), Some(Duration::from_micros(100)));
        assert_eq!(
            quantile(&durations[..1], 0.5),
            Some(Duration::from_micros(100))
        );
        assert_eq!(quantile(&[], 0.5), None);
    }
}
