//! When requests are meant to start, decided before any is sent.

use std::time::Duration;

use crate::arguments::{Arguments, Failure, Flag};
use crate::quantity::Rate;

/// Most requests of one run: the schedule is held in memory.
pub const REQUESTS_MAX: usize = 20_000_000;

/// How requests are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Equal gaps.
    Even,
    /// Gaps as independent users make them, from this seed.
    Poisson(u64),
}

impl Arrivals {
    /// What [`Flag::POISSON`] says.
    pub fn read(arguments: &Arguments) -> Result<Self, Failure> {
        let seed = arguments.value_if_given::<usize>(Flag::POISSON.name)?;
        Ok(seed.map_or(Self::Even, |seed| Self::Poisson(seed as u64)))
    }

    /// The same for one of several that share the work: no two lanes have the same random gaps.
    pub(crate) fn of_lane(self, lane: usize) -> Self {
        match self {
            Self::Even => Self::Even,
            Self::Poisson(seed) => Self::Poisson(seed.wrapping_add((lane as u64) << 32)),
        }
    }
}

/// Refuses a run of more requests than a schedule holds.
pub fn check(rate: Rate, span: Duration) -> Result<(), Failure> {
    let requests = rate.per_second() * span.as_secs_f64();
    if requests <= REQUESTS_MAX as f64 {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{requests:.0} requests: one run sends at most {REQUESTS_MAX}"
    )))
}

/// The intended starts, counted from the start of the run, all fixed before anything is sent.
pub fn schedule(rate: Rate, arrivals: Arrivals, span: Duration) -> Vec<Duration> {
    let span = span.as_secs_f64();
    let gap = 1.0 / rate.per_second();
    let mut starts = Vec::new();
    let mut random = match arrivals {
        Arrivals::Even => None,
        Arrivals::Poisson(seed) => Some(SplitMix(seed)),
    };
    let mut moment = 0.0;
    while moment < span && starts.len() < REQUESTS_MAX {
        starts.push(Duration::from_secs_f64(moment));
        moment = match &mut random {
            // By multiplication, for a sum of a million gaps drifts.
            None => gap * starts.len() as f64,
            Some(random) => moment - gap * random.unit().ln(),
        };
    }
    starts
}

/// Steele, Lea and Flood's SplitMix64: enough randomness for gaps, in three lines.
struct SplitMix(u64);

impl SplitMix {
    /// Above 0, at most 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 + f64::EPSILON / 2.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::quantity::Quantity;

    fn starts(rate: &str, arrivals: Arrivals) -> Vec<Duration> {
        schedule(
            Rate::read(rate).unwrap(),
            arrivals,
            Duration::from_secs(100),
        )
    }

    #[test]
    fn even_arrivals_are_fixed_and_do_not_drift() {
        let starts = starts("300/s", Arrivals::Even);
        assert_eq!(starts.len(), 30_000);
        assert!(starts[29_700].abs_diff(Duration::from_secs(99)) < Duration::from_nanos(10));
    }

    #[test]
    fn a_run_too_long_to_be_held_in_memory_is_refused() {
        let rate = Rate::read("20000/s").unwrap();
        assert!(check(rate, Duration::from_secs(1000)).is_ok());
        let error = check(rate, Duration::from_secs(1001)).unwrap_err();
        assert!(error.to_string().contains("20020000 requests"), "{error}");
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_repeat_with_their_seed() {
        let seeded = |seed| starts("1000/s", Arrivals::Poisson(seed));
        let starts = seeded(7);
        // The count's standard deviation is 316.
        assert!(
            (98_000..102_000).contains(&starts.len()),
            "{}",
            starts.len()
        );
        assert!(starts.is_sorted());
        assert_eq!(starts, seeded(7));
        assert_ne!(starts, seeded(8));
    }
}
