//! One clock for all lanes of a run: moments since it began.

use std::time::{Duration, Instant};

use lanner_limits::Moment;

/// Counts from the moment it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    #[inline]
    pub(super) fn now(self) -> Moment {
        let nanos = self.0.elapsed().as_nanos();
        Moment::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The same moment as the operating system's calls have it.
    pub(super) fn instant(self, moment: Moment) -> Instant {
        self.0 + Duration::from_nanos(moment.as_nanos())
    }
}
