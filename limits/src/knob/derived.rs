//! What follows from several knobs together.

use super::Limits;
use crate::MinRate;

impl Limits {
    /// The least rate at which bodies must come, if there is one.
    #[must_use]
    pub fn body_rate(&self) -> Option<MinRate> {
        let bytes_per_second = self.min_body_rate?;
        Some(MinRate {
            bytes_per_second,
            grace: self.min_body_rate_grace,
        })
    }

    /// The least rate at which responses must be taken, if there is one.
    #[must_use]
    pub fn response_rate(&self) -> Option<MinRate> {
        let bytes_per_second = self.min_response_rate?;
        Some(MinRate {
            bytes_per_second,
            grace: self.min_response_rate_grace,
        })
    }

    /// The most that the window of one HTTP/2 stream grows to: a stream can never use more than its connection has.
    #[must_use]
    pub fn h2_stream_window_max(&self) -> u32 {
        self.h2_conn_window.max(self.h2_stream_window)
    }

    /// How many connections are open when shedding begins; never more than the cap.
    #[must_use]
    pub fn idle_shed_connections(&self) -> usize {
        let share = self.max_connections as u128 * u128::from(self.idle_shed_at) / 100;
        usize::try_from(share)
            .unwrap_or(usize::MAX)
            .min(self.max_connections)
    }

    /// How many connections may linger at once, their answer out and their input being drained: a tenth of the cap.
    #[must_use]
    pub fn lingering_connections(&self) -> usize {
        (self.max_connections / 10).max(1)
    }
}
