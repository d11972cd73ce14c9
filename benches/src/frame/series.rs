//! One figure, measured in several rounds.

/// A figure of each round, in the order of the rounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series(Vec<f64>);

impl Series {
    /// From the figures of the rounds. What is no number does not count.
    pub fn new(rounds: impl IntoIterator<Item = f64>) -> Self {
        Self(rounds.into_iter().collect())
    }

    /// The figures, round by round.
    pub fn rounds(&self) -> &[f64] {
        &self.0
    }

    /// The one in the middle; of two, their mean. `NaN` when there is none.
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }

    /// The smallest and the largest.
    pub fn spread(&self) -> (f64, f64) {
        let sorted = self.sorted();
        let ends = sorted.first().copied().zip(sorted.last().copied());
        ends.unwrap_or((f64::NAN, f64::NAN))
    }

    /// This over the other, round by round: what disturbs a round disturbs both.
    #[must_use]
    pub fn ratio_to(&self, other: &Self) -> Self {
        Self(
            self.0
                .iter()
                .zip(&other.0)
                .map(|(ours, theirs)| ours / theirs)
                .collect(),
        )
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted: Vec<f64> = self.0.iter().copied().filter(|figure| !figure.is_nan()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends() {
        let series = Series::new([3.0, 1.0, f64::NAN, 2.0]);
        assert_eq!(series.median(), 2.0);
        assert_eq!(series.spread(), (1.0, 3.0));
        assert_eq!(Series::new([1.0, 2.0]).median(), 1.5);
        assert!(Series::default().median().is_nan());
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // the machine was half as fast in the second round
        let (ours, theirs) = (Series::new([10.0, 20.0, 10.0]), Series::new([20.0, 40.0, 20.0]));
        assert_eq!(ours.ratio_to(&theirs).spread(), (0.5, 0.5));
    }
}
