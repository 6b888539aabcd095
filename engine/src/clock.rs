//! The only place where time is read.
//!
//! A worker lives by its own time: the monotonic clock without the gaps in which the worker itself stood still (a
//! stopped process, a handler that blocks). A peer is judged by what it did while we were looking, so a gap moves
//! every deadline at once, by not having happened.

use lanner_limits::Moment;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// From this length on, time in which the worker did not come round does not count.
const GAP_MIN: Duration = Duration::from_secs(1);

/// One worker's clock, read at the beginning and at the end of each turn.
#[derive(Debug)]
pub(crate) struct Clock {
    origin: Instant,
    /// The sum of all gaps so far.
    skipped: Duration,
    /// When the last turn ended, in real time since `origin`.
    waiting_since: Duration,
    /// When the current turn began, likewise.
    turn_since: Duration,
}

/// What the clock noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap(pub(crate) Duration);

impl Clock {
    /// The moment from which all workers of a server count.
    pub(crate) fn origin() -> Instant {
        Instant::now()
    }

    pub(crate) fn new(origin: Instant) -> Self {
        Self {
            origin,
            skipped: Duration::ZERO,
            waiting_since: Duration::ZERO,
            turn_since: Duration::ZERO,
        }
    }

    /// Reads the clock after a wait that was to last `planned` at most.
    pub(crate) fn turn_begins(&mut self, planned: Option<Duration>) -> (Moment, Option<Gap>) {
        self.begin_at(self.origin.elapsed(), planned)
    }

    /// Reads the clock before the next wait; tells of a turn that lasted too long.
    pub(crate) fn turn_ends(&mut self) -> (Moment, Option<Gap>) {
        self.end_at(self.origin.elapsed())
    }

    /// This very moment, for what must not begin at the turn's beginning.
    pub(crate) fn now(&self) -> Moment {
        moment(self.origin.elapsed().saturating_sub(self.skipped))
    }

    /// When the clock was last read, gaps included: for what is promised to people (a stop's deadline) and for what
    /// workers share, whose times differ by their gaps.
    pub(crate) fn real(&self) -> Moment {
        moment(self.turn_since.max(self.waiting_since))
    }

    pub(crate) fn begin_at(
        &mut self,
        real: Duration,
        planned: Option<Duration>,
    ) -> (Moment, Option<Gap>) {
        let waited = real.saturating_sub(self.waiting_since);
        let over = planned.map_or(Duration::ZERO, |planned| waited.saturating_sub(planned));
        self.turn_since = real;
        // Nobody knows when in the wait the worker stood still: what peers sent may have lain there from its beginning,
        // so none of it counts.
        let gap = if over > GAP_MIN {
            waited
        } else {
            Duration::ZERO
        };
        self.account(real, gap)
    }

    pub(crate) fn end_at(&mut self, real: Duration) -> (Moment, Option<Gap>) {
        self.waiting_since = real;
        self.account(real, real.saturating_sub(self.turn_since))
    }

    fn account(&mut self, real: Duration, gap: Duration) -> (Moment, Option<Gap>) {
        let gap = (gap > GAP_MIN).then_some(Gap(gap));
        self.skipped += gap.map_or(Duration::ZERO, |gap| gap.0);
        (moment(real.saturating_sub(self.skipped)), gap)
    }
}

fn moment(since_origin: Duration) -> Moment {
    Moment::from_nanos(u64::try_from(since_origin.as_nanos()).unwrap_or(u64::MAX))
}

/// Seconds since 1970, and how long until the next one begins.
pub(crate) fn wall_clock() -> (u64, Duration) {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let into_second = Duration::from_nanos(u64::from(since_epoch.subsec_nanos()));
    (since_epoch.as_secs(), Duration::from_secs(1) - into_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn time_goes_on_through_waits_as_long_as_planned() {
        let mut clock = Clock::new(Instant::now());
        clock.end_at(secs(1));
        let (now, gap) = clock.begin_at(secs(61), Some(secs(60)));
        assert_eq!((now, gap), (Moment::from_nanos(61_000_000_000), None));
        let (now, gap) = clock.begin_at(secs(500), None);
        assert_eq!((now, gap), (Moment::from_nanos(500_000_000_000), None));
    }

    #[test]
    fn a_frozen_wait_does_not_count() {
        let mut clock = Clock::new(Instant::now());
        clock.end_at(secs(0));
        let (now, gap) = clock.begin_at(secs(100), Some(secs(10)));
        assert_eq!((now, gap), (Moment::ZERO, Some(Gap(secs(100)))));
        let (now, _) = clock.end_at(secs(100));
        assert_eq!(now, Moment::ZERO);
    }

    #[test]
    fn a_handler_that_blocks_does_not_count() {
        let mut clock = Clock::new(Instant::now());
        clock.begin_at(secs(5), None);
        let (now, gap) = clock.end_at(secs(8));
        assert_eq!(
            (now, gap),
            (Moment::from_nanos(5_000_000_000), Some(Gap(secs(3))))
        );
        assert_eq!(clock.real(), Moment::from_nanos(8_000_000_000));
    }
}
