//! The spread of a bounded number of durations, exact: a cut that must come within 15.128 s is not judged by a histogram with
//! three digits.

use std::time::Duration;

/// Durations, one for each of a bounded number of connections.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    durations: Vec<Duration>,
}

impl Spread {
    /// Adds one.
    pub fn record(&mut self, duration: Duration) {
        self.durations.push(duration);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.durations.len()
    }

    /// `[min, p50, p99, max]` by nearest rank, `None` when there is nothing.
    pub fn figures(&self) -> Option<[Duration; 4]> {
        let mut sorted = self.durations.clone();
        sorted.sort_unstable();
        let (first, last) = (*sorted.first()?, *sorted.last()?);
        let at = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100) - 1];
        Some([first, at(50), at(99), last])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_exact_by_nearest_rank() {
        let mut spread = Spread::default();
        assert_eq!(spread.figures(), None);
        for millis in (1..=200).rev() {
            spread.record(Duration::from_millis(millis));
        }
        assert_eq!(
            spread.figures(),
            Some([1, 100, 198, 200].map(Duration::from_millis))
        );
        assert_eq!(spread.count(), 200);
    }

    #[test]
    fn one_duration_is_all_of_its_figures() {
        let mut spread = Spread::default();
        spread.record(Duration::from_secs(3));
        assert_eq!(spread.figures(), Some([Duration::from_secs(3); 4]));
    }
}
