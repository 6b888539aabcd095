//! Which connections are to be made, and when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use lanner_limits::Moment;

/// How long after a failure a connection is made again: doubled with each failure in a row.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The pause after so many failures in a row.
pub(in crate::run) fn pause_after(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(10);
    (PAUSE * (1 << doublings)).min(PAUSE_MAX)
}

/// By their moments; connections of the same moment in the order of their places.
#[derive(Debug)]
pub(super) struct Redials(BinaryHeap<Reverse<(Moment, u32)>>);

impl Redials {
    /// All of so many, at once.
    pub(super) fn of(connections: usize) -> Self {
        let places = 0..u32::try_from(connections).unwrap_or(u32::MAX);
        Self(places.map(|index| Reverse((Moment::ZERO, index))).collect())
    }

    pub(super) fn add(&mut self, moment: Moment, index: u32) {
        self.0.push(Reverse((moment, index)));
    }

    pub(super) fn next_moment(&self) -> Option<Moment> {
        self.0.peek().map(|Reverse((moment, _))| *moment)
    }

    /// The first, if its moment has come.
    #[inline]
    pub(super) fn take_due(&mut self, now: Moment) -> Option<u32> {
        if self.next_moment()? > now {
            return None;
        }
        self.0.pop().map(|Reverse((_, index))| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_waits_long_does_not_hold_up_one_that_does_not() {
        let at = Moment::from_nanos;
        let mut redials = Redials::of(2);
        assert_eq!(redials.take_due(at(0)), Some(0));
        redials.add(at(1000), 0);
        assert_eq!(redials.take_due(at(0)), Some(1));
        redials.add(at(10), 1);
        assert_eq!(redials.next_moment(), Some(at(10)));
        assert_eq!(redials.take_due(at(9)), None);
        assert_eq!(redials.take_due(at(10)), Some(1));
        assert_eq!(redials.take_due(at(999)), None);
        assert_eq!(redials.take_due(at(1000)), Some(0));
        assert_eq!(redials.next_moment(), None);
    }
}
