//! A moment on a worker's clock. What reads the clock is the engine; here a moment only comes in as an argument, so that
//! every rule about time can be tested on made-up ones.

use std::fmt;
use std::ops::{Add, AddAssign};
use std::time::Duration;

/// Nanoseconds since the worker's clock began. Sixty-four bits last 584 years, and all arithmetic saturates: a deadline
/// that cannot be represented is one that never comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// When the clock began.
    pub const ZERO: Moment = Moment(0);
    /// Later than anything that happens: the deadline of what may take for ever.
    pub const MAX: Moment = Moment(u64::MAX);

    /// The moment `nanos` nanoseconds after the clock began.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Moment {
        Moment(nanos)
    }

    /// Nanoseconds since the clock began.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in whole nanoseconds, saturating: `Duration` can hold more than a `Moment` can be away.
#[must_use]
pub(crate) fn saturating_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Moment {
    type Output = Moment;

    #[inline]
    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(saturating_nanos(duration)))
    }
}

impl AddAssign<Duration> for Moment {
    #[inline]
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{:?}", Duration::from_nanos(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_saturates_at_the_end_of_time() {
        assert_eq!(Moment::MAX + Duration::from_nanos(1), Moment::MAX);
        assert_eq!(Moment::from_nanos(5) + Duration::MAX, Moment::MAX);
        assert_eq!(
            Moment::from_nanos(5) + Duration::from_nanos(7),
            Moment::from_nanos(12)
        );
    }

    #[test]
    fn since_is_zero_for_what_is_still_to_come() {
        let early = Moment::from_nanos(10);
        let late = Moment::from_nanos(25);
        assert_eq!(late.since(early), Duration::from_nanos(15));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(
            Moment::MAX.since(Moment::ZERO).as_nanos(),
            u128::from(u64::MAX)
        );
    }
}
