//! Backoff between the tries of a load.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// The pause before retry number `retry` (from 0), with full jitter: uniform between zero and a
/// bound that doubles from 50 ms to 1 s. `random` is in `0.0..1.0`.
///
/// Full jitter after Marc Brooker, "Exponential Backoff And Jitter" (2015).
pub(crate) fn backoff(retry: u32, random: f64) -> Duration {
    let bound = FIRST.saturating_mul(1 << retry.min(16)).min(LONGEST);
    bound.mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_to_one_second_and_stays() {
        let bounds: Vec<_> = (0..7)
            .map(|retry| backoff(retry, 1.0).as_millis())
            .collect();
        assert_eq!(bounds, [50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff(u32::MAX, 1.0), LONGEST);
    }

    #[test]
    fn jitter_reaches_down_to_zero() {
        assert_eq!(backoff(3, 0.0), Duration::ZERO);
        assert_eq!(backoff(3, 0.5), Duration::from_millis(200));
    }
}
