//! What a round of a load came to, and all rounds of one generator with one server.

use super::generator::{Sent, Times};
use super::table::median;

/// One round's figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    /// CPU microseconds of the server for each answer.
    pub(crate) server_micros: f64,
    /// And of the generator.
    pub(crate) load_micros: f64,
    /// Answers per second, as the generator tells them.
    pub(crate) per_second: f64,
    /// Share of its core that the server's processes had while the generator ran.
    pub(crate) server_percent: f64,
    /// Share of its core that the generator had.
    pub(crate) load_percent: f64,
    pub(crate) errors: u64,
    pub(crate) times: Times,
}

impl Figures {
    /// Of a load that cost the server this CPU time.
    pub(crate) fn of(sent: &Sent, server_seconds: f64) -> Self {
        let outcome = &sent.outcome;
        let micros = |seconds: f64| seconds * 1e6 / outcome.answered as f64;
        let percent = |seconds: f64| seconds * 100.0 / sent.lasted;
        Self {
            server_micros: micros(server_seconds),
            load_micros: micros(sent.cpu_seconds),
            per_second: outcome.done as f64 / outcome.seconds,
            server_percent: percent(server_seconds),
            load_percent: percent(sent.cpu_seconds),
            errors: outcome.errors,
            times: outcome.times,
        }
    }

    /// Requests under way at a time, by Little's law: what comes in a second, times how long each stays.
    pub(crate) fn under_way(&self) -> Option<f64> {
        Some(self.per_second * self.times.mean_millis? / 1e3)
    }
}

/// In their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rounds(Vec<Figures>);

impl Rounds {
    pub(crate) fn push(&mut self, figures: Figures) {
        self.0.push(figures);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// One figure of all rounds.
    pub(crate) fn all(&self, of: impl Fn(&Figures) -> f64) -> Vec<f64> {
        self.0.iter().map(of).collect()
    }

    /// The median of a figure that a generator may not tell.
    pub(crate) fn median(&self, of: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
        let told: Vec<f64> = self.0.iter().filter_map(of).collect();
        median(&told)
    }

    /// The median over the rounds of this one's figure as a share of the other's in the same round.
    pub(crate) fn ratio(&self, other: &Self, of: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
        let pairs = self.0.iter().zip(&other.0);
        let ratios: Vec<f64> = pairs
            .filter_map(|(own, other)| Some(of(own)? / of(other)?))
            .collect();
        median(&ratios)
    }

    /// All of them.
    pub(crate) fn errors(&self) -> u64 {
        self.0.iter().map(|figures| figures.errors).sum()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compare::generator::Outcome;

    /// So many a second, each as long as the others; two microseconds of the generator each.
    pub(crate) fn figures(per_second: f64, millis: f64) -> Figures {
        Figures {
            server_micros: 4.0,
            load_micros: 2.0,
            per_second,
            server_percent: 40.0,
            load_percent: 95.0,
            errors: 1,
            times: Times {
                mean_millis: Some(millis),
                p50_millis: Some(millis),
                p99_millis: Some(millis),
            },
        }
    }

    #[test]
    fn rates_are_of_what_was_recorded_and_costs_of_all_that_was_answered() {
        let sent = Sent {
            outcome: Outcome {
                done: 1000,
                answered: 2000,
                errors: 3,
                seconds: 0.5,
                times: Times::default(),
            },
            cpu_seconds: 0.4,
            lasted: 1.0,
        };
        let figures = Figures::of(&sent, 0.8);
        assert_eq!(figures.per_second, 2000.0);
        assert_eq!((figures.server_micros, figures.load_micros), (400.0, 200.0));
        assert_eq!((figures.server_percent, figures.load_percent), (80.0, 40.0));
        assert_eq!((figures.errors, figures.under_way()), (3, None));
    }

    #[test]
    fn what_is_under_way_is_rate_times_latency() {
        assert_eq!(figures(64_000.0, 1.0).under_way(), Some(64.0));
    }

    #[test]
    fn medians_and_ratios_are_of_the_rounds_in_which_both_tell_the_figure() {
        let untold = Figures {
            times: Times::default(),
            ..figures(100.0, 1.0)
        };
        let rounds = |all: &[Figures]| Rounds(all.to_vec());
        let own = rounds(&[figures(100.0, 2.0), untold, figures(300.0, 9.0)]);
        let other = rounds(&[figures(50.0, 1.0), figures(50.0, 1.0)]);
        let mean = |figures: &Figures| figures.times.mean_millis;
        assert_eq!(own.median(mean), Some(5.5));
        assert_eq!(own.ratio(&other, mean), Some(2.0));
        assert_eq!(
            own.ratio(&other, |figures| Some(figures.per_second)),
            Some(2.0)
        );
        assert_eq!(rounds(&[untold]).ratio(&other, mean), None);
        assert_eq!((own.errors(), own.count()), (3, 3));
    }
}
