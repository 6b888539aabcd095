//! How fast a client must take what waits in its connection's output. Whose answer it is cannot be told apart there, so all of it
//! is judged as the app wants that asks least of its client. What waits in streams is judged stream by stream.

use lanner_limits::{MinRate, Moment, WriteRate};

/// The rate of one connection's output.
#[derive(Debug, Default)]
pub(super) struct OutputRate {
    written: WriteRate,
    /// The mildest of the rates for answers that may be there in part; `Some(None)` where one of them has none.
    mildest: Option<Option<MinRate>>,
}

impl OutputRate {
    /// Some of an answer goes into the output.
    #[inline]
    pub(super) fn note(&mut self, rate: Option<MinRate>) {
        self.mildest = Some(match (self.mildest, rate) {
            (None, rate) => rate,
            (Some(Some(noted)), Some(rate)) => Some(noted.milder(rate)),
            (Some(_), _) => None,
        });
    }

    /// `queued` bytes more wait, `unsent` with those before. Gives by when all of it must have been taken, if it must: `usual`
    /// is the rate for what no app has asked for.
    pub(super) fn on_queued(
        &mut self,
        now: Moment,
        queued: u64,
        unsent: u64,
        usual: Option<MinRate>,
    ) -> Option<Moment> {
        let Some(rate) = self.mildest.unwrap_or(usual) else {
            self.written.clear();
            return None;
        };
        Some(self.written.on_queued(now, queued, unsent, rate))
    }

    /// Everything was taken.
    #[inline]
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const fn rate(bytes_per_second: u64, grace: u64) -> MinRate {
        MinRate {
            bytes_per_second,
            grace: Duration::from_secs(grace),
        }
    }

    fn due(noted: &[Option<MinRate>]) -> Option<Moment> {
        let mut output = OutputRate::default();
        for rate in noted {
            output.note(*rate);
        }
        output.on_queued(Moment::ZERO, 1_000, 1_000, Some(rate(100, 1)))
    }

    #[test]
    fn who_asks_least_is_who_counts() {
        let after = |seconds| Some(Moment::ZERO + Duration::from_secs(seconds));
        assert_eq!(due(&[]), after(10));
        assert_eq!(due(&[Some(rate(1_000, 3))]), after(3));
        assert_eq!(due(&[Some(rate(1_000, 3)), Some(rate(50, 1))]), after(20));
        assert_eq!(due(&[Some(rate(1_000, 1)), Some(rate(500, 7))]), after(7));
        for place in 0..3 {
            let mut noted = [Some(rate(1_000, 3)); 3];
            noted[place] = None;
            assert_eq!(due(&noted), None);
        }
    }
}
