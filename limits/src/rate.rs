//! The least rate at which a peer must send a body or take a response, after Kestrel's rules. Both types turn bytes and
//! moments into a deadline; keeping it is for the connection's `Deadlines`.

use crate::Moment;
use crate::moment::saturating_nanos;
use std::time::Duration;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A rate that a peer must keep, and the time in which it need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinRate {
    /// Bytes a second. Zero asks nothing, so a deadline made from it never comes.
    pub bytes_per_second: u64,
    /// A transfer is never judged before it took this long.
    pub grace: Duration,
}

impl MinRate {
    /// What asks no more than either of two.
    #[must_use]
    pub fn milder(self, other: MinRate) -> MinRate {
        MinRate {
            bytes_per_second: self.bytes_per_second.min(other.bytes_per_second),
            grace: self.grace.max(other.grace),
        }
    }

    /// How long `bytes` take at exactly this rate, in nanoseconds, rounded up in the peer's favour.
    fn nanos_for(self, bytes: u64) -> u64 {
        if self.bytes_per_second == 0 {
            return u64::MAX;
        }
        let nanos =
            (u128::from(bytes) * NANOS_PER_SECOND).div_ceil(u128::from(self.bytes_per_second));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// How long `bytes` may take: never less than the grace.
    fn allowed_nanos(self, bytes: u64) -> u64 {
        self.nanos_for(bytes).max(saturating_nanos(self.grace))
    }
}

/// How fast one request body arrives. Only time in which the app waits on a read counts: a server that does not read
/// never punishes the client for it. The average runs over the body so far, so one slow stretch in a fast upload is
/// forgiven; `request_timeout` is there for those who will not forgive it.
///
/// ```text
///            start_wait            stop_wait (the app got bytes, or gave up)
///   not waiting ──────────► waiting ──────────► not waiting
///                          on_bytes: the deadline moves out
/// ```
#[derive(Clone, Debug, Default)]
pub struct ReadRate {
    bytes: u64,
    /// Nanoseconds waited in the waits that ended.
    waited: u64,
    waiting_since: Option<Moment>,
}

impl ReadRate {
    /// A body of which nothing has come yet.
    #[must_use]
    pub const fn new() -> ReadRate {
        ReadRate {
            bytes: 0,
            waited: 0,
            waiting_since: None,
        }
    }

    /// The app asks for bytes that are not there. A wait already under way goes on.
    pub const fn start_wait(&mut self, now: Moment) {
        if self.waiting_since.is_none() {
            self.waiting_since = Some(now);
        }
    }

    /// The app no longer waits.
    pub const fn stop_wait(&mut self, now: Moment) {
        if let Some(since) = self.waiting_since.take() {
            let nanos = now.as_nanos().saturating_sub(since.as_nanos());
            self.waited = self.waited.saturating_add(nanos);
        }
    }

    /// Bytes of the body arrived.
    pub const fn on_bytes(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// When the body will have been too slow if nothing more comes; none while nobody waits.
    #[must_use]
    pub fn deadline(&self, rate: MinRate) -> Option<Moment> {
        let since = self.waiting_since?;
        let left = rate.allowed_nanos(self.bytes).saturating_sub(self.waited);
        Some(since + Duration::from_nanos(left))
    }
}

/// How fast one connection takes its responses, heads included. Each write gets the time it needs at the least rate, but
/// never less than the grace; writes queued behind one another add up, so a thousand small ones do not get a thousand
/// graces in parallel, nor only one of them all together. Credit is bounded by what still waits.
#[derive(Clone, Debug, Default)]
pub struct WriteRate {
    deadline: Option<Moment>,
}

impl WriteRate {
    /// A connection with nothing to write.
    #[must_use]
    pub const fn new() -> WriteRate {
        WriteRate { deadline: None }
    }

    /// `bytes` more were queued, and `unsent` wait now; returns by when everything queued must have been taken.
    ///
    /// Kestrel only adds up. There a client that takes a long stream fast, without its queue ever running empty, has
    /// hours of credit when it then stalls; here nobody has more than what still waits is worth.
    pub fn on_queued(&mut self, now: Moment, bytes: u64, unsent: u64, rate: MinRate) -> Moment {
        let single = now + Duration::from_nanos(rate.allowed_nanos(bytes));
        let deadline = match self.deadline {
            Some(pending) => single.max(pending + Duration::from_nanos(rate.nanos_for(bytes))),
            None => single,
        };
        let deadline = deadline.min(now + Duration::from_nanos(rate.allowed_nanos(unsent)));
        self.deadline = Some(deadline);
        deadline
    }

    /// By when everything queued must have been taken; none with nothing queued.
    #[must_use]
    pub const fn deadline(&self) -> Option<Moment> {
        self.deadline
    }

    /// Everything queued was taken.
    pub const fn clear(&mut self) {
        self.deadline = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: MinRate = MinRate {
        bytes_per_second: 240,
        grace: Duration::from_secs(5),
    };

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_body_of_which_nothing_comes_is_cut_after_the_grace() {
        let mut body = ReadRate::new();
        assert_eq!(body.deadline(RATE), None);
        body.start_wait(at(100));
        assert_eq!(body.deadline(RATE), Some(at(105)));
    }

    #[test]
    fn one_byte_a_second_is_cut_after_the_grace() {
        let mut body = ReadRate::new();
        body.start_wait(at(0));
        for second in 1..5 {
            body.stop_wait(at(second));
            body.on_bytes(1);
            body.start_wait(at(second));
        }
        assert_eq!(body.deadline(RATE), Some(at(5)));
    }

    #[test]
    fn a_client_that_keeps_exactly_the_rate_is_never_cut() {
        let mut body = ReadRate::new();
        for second in 0..3_600 {
            body.on_bytes(240);
            body.start_wait(at(second));
            assert!(
                body.deadline(RATE)
                    .is_some_and(|deadline| deadline >= at(second + 1)),
                "second {second}"
            );
            body.stop_wait(at(second + 1));
        }
    }

    #[test]
    fn a_client_just_below_the_rate_is_cut_once_the_grace_is_over() {
        let mut body = ReadRate::new();
        let cut = (0..3_600).find(|second| {
            body.on_bytes(239);
            body.start_wait(at(*second));
            let cut = body
                .deadline(RATE)
                .is_some_and(|deadline| deadline < at(second + 1));
            body.stop_wait(at(second + 1));
            cut
        });
        assert_eq!(cut, Some(5));
    }

    #[test]
    fn time_in_which_the_app_does_not_read_is_not_counted() {
        let mut body = ReadRate::new();
        body.start_wait(at(0));
        body.stop_wait(at(3));
        body.on_bytes(1);
        // The app thinks for an hour.
        body.start_wait(at(3_603));
        assert_eq!(body.deadline(RATE), Some(at(3_605)));
    }

    #[test]
    fn starting_a_wait_twice_does_not_restart_it() {
        let mut body = ReadRate::new();
        body.start_wait(at(1));
        body.start_wait(at(4));
        assert_eq!(body.deadline(RATE), Some(at(6)));
    }

    #[test]
    fn a_single_write_gets_the_grace_or_what_it_needs() {
        let mut small = WriteRate::new();
        assert_eq!(small.on_queued(at(10), 1, 1, RATE), at(15));
        let mut large = WriteRate::new();
        assert_eq!(large.on_queued(at(10), 240 * 60, 240 * 60, RATE), at(70));
    }

    #[test]
    fn writes_queued_behind_one_another_add_up() {
        let mut write = WriteRate::new();
        write.on_queued(at(0), 2_400, 2_400, RATE);
        assert_eq!(write.deadline(), Some(at(10)));
        assert_eq!(write.on_queued(at(1), 2_400, 4_800, RATE), at(20));
        // Ten small writes cost what their bytes cost, not ten graces.
        for _ in 0..10 {
            write.on_queued(at(1), 24, 5_040, RATE);
        }
        assert_eq!(write.deadline(), Some(at(21)));
    }

    #[test]
    fn a_stream_taken_fast_earns_no_credit_for_a_stall_after_it() {
        let mut write = WriteRate::new();
        for second in 0..100 {
            write.on_queued(at(second), 1_000_000, 2_400, RATE);
        }
        assert_eq!(write.deadline(), Some(at(109)));
    }

    #[test]
    fn a_write_after_all_was_taken_starts_afresh() {
        let mut write = WriteRate::new();
        write.on_queued(at(0), 240 * 1_000, 240 * 1_000, RATE);
        write.clear();
        assert_eq!(write.deadline(), None);
        assert_eq!(write.on_queued(at(2), 1, 1, RATE), at(7));
    }

    #[test]
    fn a_rate_of_zero_asks_nothing() {
        let none = MinRate {
            bytes_per_second: 0,
            grace: Duration::ZERO,
        };
        let mut body = ReadRate::new();
        body.start_wait(at(1));
        assert_eq!(body.deadline(none), Some(Moment::MAX));
    }

    proptest! {
        #[test]
        fn sizes_and_moments_at_the_ends_of_their_range_saturate(
            now in any::<u64>(), bytes in any::<u64>(), per_second in any::<u64>(), grace in any::<u64>(),
        ) {
            let rate = MinRate { bytes_per_second: per_second, grace: Duration::from_nanos(grace) };
            let now = Moment::from_nanos(now);
            let mut write = WriteRate::new();
            let first = write.on_queued(now, bytes, bytes, rate);
            prop_assert!(first >= now);
            prop_assert!(write.on_queued(now, bytes, bytes.saturating_mul(2), rate) >= first);
            let mut body = ReadRate::new();
            body.on_bytes(bytes);
            body.on_bytes(bytes);
            body.start_wait(now);
            prop_assert!(body.deadline(rate).is_some_and(|deadline| deadline >= now));
        }

        #[test]
        fn a_body_deadline_never_moves_back_when_bytes_come(
            chunks in prop::collection::vec((0..10_000u64, 0..10_000_000_000u64), 1..50),
        ) {
            let mut body = ReadRate::new();
            let mut now = Moment::ZERO;
            body.start_wait(now);
            for (bytes, nanos) in chunks {
                let before = body.deadline(RATE);
                now += Duration::from_nanos(nanos);
                body.on_bytes(bytes);
                prop_assert!(body.deadline(RATE) >= before);
                // Ending a wait and starting the next at once changes nothing.
                let during = body.deadline(RATE);
                body.stop_wait(now);
                body.start_wait(now);
                if during >= Some(now) {
                    prop_assert_eq!(body.deadline(RATE), during);
                }
            }
        }
    }
}
