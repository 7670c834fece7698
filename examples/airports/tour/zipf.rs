//! [`Zipf`]: a few ranks are drawn all the time, most hardly ever.

use fastrand::Rng;

/// Draws ranks from 0 so that rank `k` is drawn in proportion to `1 / (k + 1)`.
#[derive(Debug)]
pub(crate) struct Zipf {
    /// The chance of a rank or a lower one.
    cumulative: Vec<f64>,
}

impl Zipf {
    pub(crate) fn over(ranks: usize) -> Self {
        let mut sum = 0.0;
        let mut cumulative: Vec<f64> = (1..=ranks)
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        cumulative.iter_mut().for_each(|chance| *chance /= sum);
        Self { cumulative }
    }

    pub(crate) fn draw(&self, rng: &mut Rng) -> usize {
        let point = rng.f64();
        let rank = self.cumulative.partition_point(|&chance| chance <= point);
        rank.min(self.cumulative.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rank_is_drawn_twice_as_often_as_the_second() {
        let (zipf, mut rng) = (Zipf::over(1_000), Rng::with_seed(1));
        let mut drawn = vec![0_u32; 1_000];
        for _ in 0..100_000 {
            drawn[zipf.draw(&mut rng)] += 1;
        }
        let ratio = f64::from(drawn[0]) / f64::from(drawn[1]);
        assert!((1.8..2.2).contains(&ratio), "{ratio}");
        assert!(drawn[0] > 100 * drawn[999]);
    }

    #[test]
    fn a_seed_repeats_its_draws() {
        let zipf = Zipf::over(100);
        let draws = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..50).map(|_| zipf.draw(&mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
    }
}
