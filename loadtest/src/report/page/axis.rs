//! An axis of a plot: from where to where, in equal steps or equal ratios, and which values are written on it.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

/// So many names stand on an axis at most, where they are chosen for it.
const TICKS_MAX: usize = 9;

/// And so many where they are in equal ratios, up the side of a plot.
const RATIOS_MAX: usize = 12;

/// See the file's comment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    is_logarithmic: bool,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl Axis {
    /// Equal steps, over at least these values: names are round numbers.
    pub(super) fn linear(values: impl Iterator<Item = f64>) -> Self {
        let (from, to) = bounds(values).unwrap_or((0.0, 1.0));
        // A line of one value has a place in the middle.
        let to = if to > from { to } else { from + 1.0 };
        let step = round_up((to - from) / (TICKS_MAX - 2) as f64);
        let (first, last) = ((from / step).floor(), (to / step).ceil());
        let count = (last - first) as usize;
        Self {
            is_logarithmic: false,
            from,
            to,
            ticks: (0..=count)
                .map(|index| (first + index as f64) * step)
                .filter(|tick| (from..=to).contains(tick))
                .collect(),
        }
    }

    /// The same from zero up to a round number.
    pub(super) fn from_zero(values: impl Iterator<Item = f64>) -> Self {
        let (_, most) = bounds(values).unwrap_or_default();
        let step = if most > 0.0 {
            round_up(most / 5.0)
        } else {
            1.0
        };
        let count = (most / step).ceil().max(1.0);
        Self {
            is_logarithmic: false,
            from: 0.0,
            to: count * step,
            ticks: (0..=count as usize)
                .map(|index| index as f64 * step)
                .collect(),
        }
    }

    /// Equal ratios, from a round number to a round number; values are above zero.
    pub(super) fn logarithmic(values: impl Iterator<Item = f64>) -> Self {
        let (least, most) = bounds(values.filter(|value| *value > 0.0)).unwrap_or((1.0, 10.0));
        let (from, mut to) = (round_down(least), round_up(most));
        if to <= from {
            to = round_up(from * 1.5);
        }
        let mut ticks = vec![from];
        let mut tick = from;
        // An end: values of f64 are within some six hundred decades.
        while tick < to && ticks.len() < 2_000 {
            tick = round_up(tick * 1.5);
            ticks.push(tick);
        }
        if ticks.len() > RATIOS_MAX {
            ticks.retain(|tick| is_power_of_ten(*tick));
        }
        let every = ticks.len().div_ceil(RATIOS_MAX).max(1);
        Self {
            is_logarithmic: true,
            from,
            to,
            ticks: ticks.into_iter().step_by(every).collect(),
        }
    }

    /// Equal ratios over 1/(1-percentile), to this; names stand at 0 %, 50 %, 90 %, 99 % and so on.
    pub(super) fn percentiles(most: f64) -> Self {
        let to = most.max(10.0);
        let decades = (0..18).map(|power| 10_f64.powi(power));
        let mut ticks: Vec<_> = decades.take_while(|tick| *tick <= to).collect();
        ticks.insert(1, 2.0);
        Self {
            is_logarithmic: true,
            from: 1.0,
            to,
            ticks,
        }
    }

    /// Where between its ends a value lies: from 0 to 1, whatever the value.
    fn share(&self, value: f64) -> f64 {
        let (value, from, to) = if self.is_logarithmic {
            let value = value.max(f64::MIN_POSITIVE);
            (value.ln(), self.from.ln(), self.to.ln())
        } else {
            (value, self.from, self.to)
        };
        ((value - from) / (to - from)).clamp(0.0, 1.0)
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let (from, to) = (f64::from(limit.0), f64::from(limit.1));
        (from + (to - from) * self.share(*value)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

/// The least and the most, if there is anything.
fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .filter(|value| value.is_finite())
        .fold(None, |bounds, value| {
            let (least, most) = bounds.unwrap_or((value, value));
            Some((value.min(least), value.max(most)))
        })
}

/// Numbers that begin with these are round.
const ROUND: [f64; 4] = [1.0, 2.0, 5.0, 10.0];

/// A number that only rounding has put beside a round one is that one.
const SLACK: f64 = 1e-9;

/// The next round number that is no smaller; `number` is above zero.
fn round_up(number: f64) -> f64 {
    let decade = decade_of(number);
    let first = ROUND
        .into_iter()
        .find(|first| first * decade >= number * (1.0 - SLACK));
    first.unwrap_or(10.0) * decade
}

/// The last that is no larger.
fn round_down(number: f64) -> f64 {
    let decade = decade_of(number);
    let mut firsts = ROUND.into_iter().rev();
    let first = firsts.find(|first| first * decade <= number * (1.0 + SLACK));
    first.unwrap_or(1.0) * decade
}

fn decade_of(number: f64) -> f64 {
    10_f64.powi((number.log10() + SLACK).floor() as i32)
}

fn is_power_of_ten(number: f64) -> bool {
    (number.log10() - number.log10().round()).abs() < SLACK
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: &[f64], other: &[f64]) -> bool {
        one.len() == other.len()
            && one
                .iter()
                .zip(other)
                .all(|(one, other)| (one - other).abs() <= 1e-9 * one.abs().max(1e-3))
    }

    #[test]
    fn equal_steps_have_round_names() {
        let axis = Axis::from_zero([0.0, 151_234.0].into_iter());
        assert!(
            near(
                &axis.ticks,
                &[0.0, 50_000.0, 100_000.0, 150_000.0, 200_000.0]
            ),
            "{axis:?}"
        );
        let axis = Axis::linear([-1.0, 10.0].into_iter());
        assert!(
            near(&axis.ticks, &[0.0, 2.0, 4.0, 6.0, 8.0, 10.0]),
            "{axis:?}"
        );
        assert_eq!((axis.from, axis.to), (-1.0, 10.0));
    }

    #[test]
    fn equal_ratios_end_at_round_numbers() {
        let axis = Axis::logarithmic([0.3, 0.0, 7.0].into_iter());
        assert!(
            near(&axis.ticks, &[0.2, 0.5, 1.0, 2.0, 5.0, 10.0]),
            "{axis:?}"
        );
        assert_eq!(axis.map(&0.2, (0, 100)), 0);
        assert_eq!(axis.map(&10.0, (100, 0)), 0);
        let axis = Axis::logarithmic([0.001, 3e6].into_iter());
        assert!(
            axis.ticks.len() <= RATIOS_MAX && axis.ticks.len() > 3,
            "{axis:?}"
        );
        assert!(axis.ticks.iter().all(|tick| is_power_of_ten(*tick)));
    }

    #[test]
    fn whatever_the_values_there_is_an_axis() {
        let odd: [&[f64]; 6] = [
            &[],
            &[0.0],
            &[5.0],
            &[f64::NAN, f64::INFINITY, -3.0],
            &[f64::MIN_POSITIVE, f64::MAX],
            &[1.0, 1.0 + f64::EPSILON],
        ];
        for values in odd {
            let values = || values.iter().copied();
            for axis in [
                Axis::linear(values()),
                Axis::from_zero(values()),
                Axis::logarithmic(values()),
            ] {
                assert!(axis.from < axis.to, "{axis:?}");
                assert!(axis.ticks.len() <= 2 * TICKS_MAX, "{axis:?}");
                for value in values() {
                    assert!((0..=100).contains(&axis.map(&value, (0, 100))), "{axis:?}");
                }
            }
        }
    }

    #[test]
    fn percentiles_are_named_as_far_as_there_are_any() {
        assert_eq!(Axis::percentiles(1.0).ticks, [1.0, 2.0, 10.0]);
        assert_eq!(
            Axis::percentiles(12_345.0).ticks,
            [1.0, 2.0, 10.0, 100.0, 1e3, 1e4]
        );
    }
}
