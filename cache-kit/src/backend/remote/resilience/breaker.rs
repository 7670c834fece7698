//! [`Breaker`]: stops asking a store that does not answer. A pure state machine; time and chance
//! are arguments.
//!
//! The circuit breaker of Michael Nygard, "Release It!" (2007).

use std::time::Duration;

use crate::clock::Timestamp;

/// When the breaker opens, and how soon it lets a probe through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BreakerPolicy {
    /// Opens after this many failures in a row.
    pub(crate) failures: u32,
    /// The first pause before a probe; it doubles with every probe that fails.
    pub(crate) first_pause: Duration,
    pub(crate) longest_pause: Duration,
}

/// A year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 5,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(10),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Breaker {
    policy: BreakerPolicy,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Commands pass.
    Closed { failures: u32 },
    /// Commands are refused until `until`; then one of them is the probe.
    Open { until: Timestamp, pause: Duration },
    /// A probe is in flight. One that never reports ends with its deadline.
    Probing { until: Timestamp, pause: Duration },
}

impl Breaker {
    pub(crate) fn new(policy: BreakerPolicy) -> Self {
        Self {
            policy,
            state: State::Closed { failures: 0 },
        }
    }

    /// Whether a command may be sent at `now`.
    pub(crate) fn admits(&mut self, now: Timestamp) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until, pause } | State::Probing { until, pause } => {
                if now < until {
                    return false;
                }
                let until = now.after(pause);
                self.state = State::Probing { until, pause };
                true
            }
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Whether it is closed and has no failure to count.
    pub(crate) fn is_untouched(&self) -> bool {
        self.state == State::Closed { failures: 0 }
    }

    /// A command was answered.
    pub(crate) fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// A command failed. `random` in `0.0..1.0` spreads the probes of many processes.
    pub(crate) fn failed(&mut self, now: Timestamp, random: f64) {
        let pause = match self.state {
            State::Closed { failures } if failures.saturating_add(1) < self.policy.failures => {
                self.state = State::Closed {
                    failures: failures + 1,
                };
                return;
            }
            State::Closed { .. } => self.policy.first_pause,
            // This command was in flight when the breaker opened.
            State::Open { .. } => return,
            State::Probing { pause, .. } => pause.saturating_mul(2).min(self.policy.longest_pause),
        };
        self.open(now, pause, random);
    }

    /// The store is known not to answer: it opens, however few failures have been counted.
    pub(crate) fn trip(&mut self, now: Timestamp, random: f64) {
        if self.is_closed() {
            self.open(now, self.policy.first_pause, random);
        }
    }

    fn open(&mut self, now: Timestamp, pause: Duration, random: f64) {
        // No pause is longer than a year, so that the multiplication cannot overflow.
        let jittered = pause
            .min(LONGEST)
            .mul_f64(0.75 + 0.5 * random.clamp(0.0, 1.0));
        self.state = State::Open {
            until: now.after(jittered),
            pause,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::EncodedConfig;

    const MIDDLE: f64 = 0.5;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(BreakerPolicy::default());
        for _ in 0..5 {
            assert!(breaker.admits(at(0)));
            breaker.failed(at(0), MIDDLE);
        }
        breaker
    }

    #[test]
    fn it_opens_after_five_failures_in_a_row() {
        let mut breaker = Breaker::new(BreakerPolicy::default());
        for _ in 0..20 {
            for _ in 0..4 {
                breaker.failed(at(0), MIDDLE);
            }
            assert!(breaker.admits(at(0)));
            breaker.succeeded();
        }
        assert!(!opened().admits(at(0)));
    }

    #[test]
    fn one_probe_at_a_time_and_its_pause_doubles_to_ten_seconds() {
        let mut breaker = opened();
        let mut now = 0;
        for pause in [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000] {
            assert!(!breaker.admits(at(now + pause - 1)), "{pause}");
            now += pause;
            assert!(breaker.admits(at(now)), "{pause}");
            assert!(!breaker.admits(at(now)), "one probe is enough");
            breaker.failed(at(now), MIDDLE);
        }
    }

    #[test]
    fn a_probe_that_is_answered_closes_it() {
        let mut breaker = opened();
        assert!(breaker.admits(at(500)));
        breaker.succeeded();
        assert!(breaker.is_closed() && breaker.admits(at(500)) && breaker.admits(at(500)));
    }

    #[test]
    fn a_probe_that_never_reports_is_followed_by_another() {
        let mut breaker = opened();
        assert!(breaker.admits(at(500)));
        assert!(!breaker.admits(at(999)));
        assert!(breaker.admits(at(1_000)));
    }

    #[test]
    fn failures_of_commands_on_their_way_do_not_prolong_the_pause() {
        let mut breaker = opened();
        for _ in 0..100 {
            breaker.failed(at(400), MIDDLE);
        }
        assert!(breaker.admits(at(500)));
    }

    #[test]
    fn what_is_known_to_be_dead_needs_no_five_failures() {
        let mut breaker = Breaker::new(BreakerPolicy::default());
        breaker.trip(at(0), MIDDLE);
        assert!(!breaker.is_closed() && !breaker.admits(at(499)) && breaker.admits(at(500)));
        breaker.trip(at(500), MIDDLE);
        assert!(!breaker.admits(at(999)), "an open one stays as it is");
    }

    #[test]
    fn no_pause_is_too_long_to_be_counted() {
        let mut breaker = Breaker::new(BreakerPolicy {
            failures: 1,
            first_pause: Duration::MAX,
            longest_pause: Duration::MAX,
        });
        breaker.failed(at(0), 1.0);
        assert!(!breaker.admits(at(u64::from(u32::MAX))));
        assert!(breaker.admits(Timestamp::NEVER));
        breaker.failed(Timestamp::NEVER, 1.0);
        assert!(!breaker.is_closed());
    }

    #[test]
    fn the_pause_is_jittered_by_a_quarter() {
        let mut early = opened();
        assert!(early.admits(at(500)));
        early.failed(at(500), 0.0);
        assert!(!early.admits(at(1_249)) && early.admits(at(1_250)));
        let mut late = opened();
        assert!(late.admits(at(500)));
        late.failed(at(500), 1.0);
        assert!(!late.admits(at(1_749)) && late.admits(at(1_750)));
    }

    #[test]
    fn no_pause_that_can_be_set_is_too_long_to_count() {
        for first in [Duration::ZERO, Duration::MAX / 2, Duration::MAX] {
            let config = EncodedConfig::new()
                .with_breaker_failures(0)
                .with_breaker_pauses(first, Duration::MAX);
            let mut breaker = Breaker::new(config.breaker);
            let mut now = at(0);
            for _ in 0..100 {
                breaker.failed(now, 1.0);
                now = now.after(Duration::from_secs(2 * 24 * 3_600));
                assert!(breaker.admits(now));
            }
        }
    }
}
