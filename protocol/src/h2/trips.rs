//! The limits that were hit on one connection, kept until somebody counts them.

use lanner_limits::Trip;

/// Each limit as often as it was hit: many streams may end in one turn, by the same limit or by several. It is no longer than
/// there are limits.
#[derive(Debug, Default)]
pub(super) struct Trips(Vec<(Trip, u32)>);

impl Trips {
    #[cold]
    pub(super) fn note(&mut self, trip: Trip) {
        match self.0.iter_mut().find(|(noted, _)| *noted == trip) {
            Some((_, times)) => *times = times.saturating_add(1),
            None => self.0.push((trip, 1)),
        }
    }

    /// One of them, which is one less then.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Trip> {
        let (trip, times) = self.0.last_mut()?;
        let trip = *trip;
        *times -= 1;
        if *times == 0 {
            self.0.pop();
        }
        Some(trip)
    }

    /// Gives memory back.
    pub(super) fn release_memory(&mut self) {
        self.0.shrink_to_fit();
    }
}
