//! Flow control (RFC 9113 section 5.2 and 6.9): how much may be sent, and how much credit a sender is given. One of each for a
//! connection, one of each for a stream; who must ask both is the connection's business.

use lanner_limits::Moment;
use std::time::Duration;

/// The largest window: 31 bits.
pub const WINDOW_MAX: u32 = (1 << 31) - 1;
/// What a window begins with if nobody said anything else; a connection's always does.
pub const WINDOW_DEFAULT: u32 = (1 << 16) - 1;

/// A window would be, or was, larger than a window can be: FLOW_CONTROL_ERROR, of the stream or of the connection, whose window
/// it is (section 6.9.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowOverflow;

/// The peer sent more than it was allowed to: FLOW_CONTROL_ERROR, of the stream or of the connection (section 6.9.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowExceeded;

/// What we may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendWindow {
    /// Negative after the peer has taken back, by SETTINGS, what was already used (section 6.9.2). At most `WINDOW_MAX`.
    left: i32,
}

impl SendWindow {
    /// A window of `initial` bytes.
    #[must_use]
    pub const fn new(initial: u32) -> SendWindow {
        let initial = if initial > WINDOW_MAX {
            WINDOW_MAX
        } else {
            initial
        };
        SendWindow {
            left: initial as i32,
        }
    }

    /// How many bytes may be sent now.
    #[inline]
    #[must_use]
    pub const fn available(self) -> u32 {
        if self.left < 0 { 0 } else { self.left as u32 }
    }

    /// Whether nothing may be sent.
    #[inline]
    #[must_use]
    pub const fn is_shut(self) -> bool {
        self.left <= 0
    }

    /// `bytes` are sent: at most what is available, padding included.
    #[inline]
    pub fn take(&mut self, bytes: u32) {
        debug_assert!(bytes <= self.available());
        let left = i64::from(self.left) - i64::from(bytes);
        self.left = i32::try_from(left).unwrap_or(i32::MIN);
    }

    /// The peer sent WINDOW_UPDATE.
    ///
    /// # Errors
    /// "A sender MUST NOT allow a flow-control window to exceed 2^31-1 octets": the stream ends, or the connection.
    #[inline]
    pub fn increase(&mut self, increment: u32) -> Result<(), WindowOverflow> {
        self.shift(i64::from(increment))
    }

    /// The peer's SETTINGS_INITIAL_WINDOW_SIZE changed by `delta`. May leave the window negative, and then nothing is sent until
    /// it is positive again.
    ///
    /// # Errors
    /// The window would be larger than a window can be: here an error of the connection, whichever stream it is (section 6.9.2).
    #[inline]
    pub fn shift(&mut self, delta: i64) -> Result<(), WindowOverflow> {
        let left = i64::from(self.left).saturating_add(delta);
        if left > i64::from(WINDOW_MAX) {
            return Err(WindowOverflow);
        }
        // What was sent is at most what was allowed, so no honest history comes near the lower end.
        self.left = i32::try_from(left).unwrap_or(i32::MIN);
        Ok(())
    }
}

/// How long half a window may last for the window to be what holds a sender up: with more, its way here and back would have to
/// take as long, and no way does.
const GROWTH_WITHIN: Duration = Duration::from_secs(1);

/// What the peer may send, and what it is owed.
///
/// Every byte of the window is in one of three places:
///
/// ```text
///            received             consumed              credit
///   credit ───────────► unread ───────────► owed ───────────────► credit
///   (the peer's)                            (once half is owed)
/// ```
///
/// Unread bytes are what memory holds, so nothing but consuming earns credit, and a window bounds what it may ever be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceiveWindow {
    /// What the peer may still send.
    credit: u32,
    /// What it sent and nobody consumed yet.
    unread: u32,
    /// What was consumed and it has not been told of yet. `credit + unread + owed == size`, always.
    owed: u32,
    /// How large the window is.
    size: u32,
    /// When credit was last given.
    given_at: Moment,
}

impl ReceiveWindow {
    /// A window of `size` bytes of which the peer knows already.
    #[must_use]
    pub const fn new(size: u32, now: Moment) -> ReceiveWindow {
        let size = if size > WINDOW_MAX { WINDOW_MAX } else { size };
        ReceiveWindow {
            credit: size,
            unread: 0,
            owed: 0,
            size,
            given_at: now,
        }
    }

    /// How large the window is.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// What was received and not consumed.
    #[must_use]
    pub const fn unread(&self) -> u32 {
        self.unread
    }

    /// What the peer may still send.
    #[must_use]
    pub const fn credit(&self) -> u32 {
        self.credit
    }

    /// `bytes` were received: whole payloads of DATA, padding included. Padding, and what nobody will ever read, is to be
    /// consumed at once.
    ///
    /// # Errors
    /// The peer was not allowed to. Nothing is counted then, for the stream ends, or the connection.
    #[inline]
    pub fn receive(&mut self, bytes: u32) -> Result<(), WindowExceeded> {
        self.credit = self.credit.checked_sub(bytes).ok_or(WindowExceeded)?;
        self.unread += bytes;
        Ok(())
    }

    /// `bytes` of what is unread were consumed. Gives the increment of the WINDOW_UPDATE that is due, if one is.
    ///
    /// Credit is given once half of the window is owed. For each read it would be a frame and perhaps a system call on both
    /// sides; for the whole window only, the sender would stand still while the credit is on its way. With half, the other half
    /// is in the sender's hands meanwhile.
    ///
    /// Where `size_max` is above the window's size and the app has consumed everything, half a window faster than any way here
    /// and back takes, the window may be what holds the sender up: then it doubles. The caller gives the size itself as `size_max`
    /// where memory is short, or where a window must not grow.
    #[inline]
    pub fn consume(&mut self, bytes: u32, size_max: u32, now: Moment) -> Option<u32> {
        debug_assert!(bytes <= self.unread);
        let bytes = bytes.min(self.unread);
        self.unread -= bytes;
        self.owed += bytes;
        if self.owed == 0 || self.owed < self.size / 2 {
            return None;
        }
        let fast = now.since(self.given_at) <= GROWTH_WITHIN;
        if fast && self.unread == 0 {
            self.grow(self.size.saturating_mul(2).min(size_max));
        }
        self.given_at = now;
        self.give()
    }

    /// Makes the window larger at once, if it is smaller: a connection's, which begins with `WINDOW_DEFAULT` whatever we want. Gives
    /// the increment of the WINDOW_UPDATE that is due, with all that is owed.
    pub fn widen(&mut self, size: u32) -> Option<u32> {
        self.grow(size);
        self.give()
    }

    fn grow(&mut self, size: u32) {
        let more = size.min(WINDOW_MAX).saturating_sub(self.size);
        self.size += more;
        self.owed += more;
    }

    fn give(&mut self) -> Option<u32> {
        let increment = std::mem::take(&mut self.owed);
        self.credit += increment;
        (increment > 0).then_some(increment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: u32 = 1 << 18;
    const MAX: u32 = 1 << 20;

    fn at(millis: u64) -> Moment {
        Moment::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_send_window_may_reach_2_31_minus_1_and_not_a_byte_more() {
        let mut window = SendWindow::new(WINDOW_MAX - 1);
        assert_eq!(window.increase(1), Ok(()));
        assert_eq!(window.increase(1), Err(WindowOverflow));
        assert_eq!(window.available(), WINDOW_MAX);
        window.take(WINDOW_MAX);
        assert!(window.is_shut());
        assert_eq!(window.increase(WINDOW_MAX), Ok(()));
    }

    #[test]
    fn settings_make_a_window_negative_and_sending_waits_until_it_is_positive() {
        // The example of section 6.9.2: 60 KB of the initial window are in use when it becomes 16 KB.
        let mut window = SendWindow::new(WINDOW_DEFAULT);
        window.take(60 * 1_024);
        assert_eq!(window.shift(16 * 1_024 - i64::from(WINDOW_DEFAULT)), Ok(()));
        assert_eq!(
            (window.available(), window.is_shut(), window.left),
            (0, true, -44 * 1_024)
        );
        assert_eq!(window.increase(44 * 1_024), Ok(()));
        assert!(window.is_shut());
        assert_eq!(window.increase(1), Ok(()));
        assert_eq!(window.available(), 1);
    }

    #[test]
    fn settings_that_lift_a_window_above_2_31_minus_1_are_an_error() {
        let mut window = SendWindow::new(WINDOW_DEFAULT);
        assert_eq!(window.increase(WINDOW_MAX - WINDOW_DEFAULT), Ok(()));
        assert_eq!(window.shift(1), Err(WindowOverflow));
        assert_eq!(window.shift(0), Ok(()));
    }

    #[test]
    fn credit_comes_for_what_was_consumed_and_once_half_is_owed() {
        let mut window = ReceiveWindow::new(SIZE, at(0));
        assert_eq!(window.receive(SIZE), Ok(()));
        // The peer has all that it was allowed under way, and nobody reads: not one byte more.
        assert_eq!(window.receive(1), Err(WindowExceeded));
        assert_eq!(window.consume(SIZE / 2 - 1, SIZE, at(0)), None);
        assert_eq!(window.consume(1, SIZE, at(0)), Some(SIZE / 2));
        assert_eq!((window.credit(), window.unread()), (SIZE / 2, SIZE / 2));
        assert_eq!(window.receive(SIZE / 2 + 1), Err(WindowExceeded));
        assert_eq!(window.receive(SIZE / 2), Ok(()));
    }

    #[test]
    fn a_stream_that_nobody_reads_never_has_more_than_its_window() {
        let mut window = ReceiveWindow::new(SIZE, at(0));
        let mut received = 0;
        while window.receive(1_000).is_ok() {
            received += 1_000;
            assert_eq!(window.consume(0, MAX, at(0)), None);
        }
        assert!(received <= SIZE);
        assert_eq!(window.size(), SIZE);
    }

    #[test]
    fn a_fast_upload_to_an_app_that_keeps_up_doubles_its_window_up_to_the_maximum() {
        let mut window = ReceiveWindow::new(SIZE, at(0));
        let mut sizes = vec![SIZE];
        for step in 0..1_000 {
            assert_eq!(window.receive(16_384), Ok(()));
            window.consume(16_384, MAX, at(step));
            if window.size() != sizes[sizes.len() - 1] {
                sizes.push(window.size());
            }
        }
        assert_eq!(sizes, [SIZE, 2 * SIZE, MAX]);
    }

    #[test]
    fn an_app_that_falls_behind_a_slow_upload_and_short_memory_keep_their_window() {
        let mut behind = ReceiveWindow::new(SIZE, at(0));
        assert_eq!(behind.receive(1), Ok(()));
        let mut slow = ReceiveWindow::new(SIZE, at(0));
        let mut short = ReceiveWindow::new(SIZE, at(0));
        for step in 0..1_000 {
            for (window, millis, max) in [
                (&mut behind, step, MAX),
                (&mut slow, step * 1_000, MAX),
                (&mut short, step, SIZE),
            ] {
                assert_eq!(window.receive(16_384), Ok(()));
                window.consume(16_384, max, at(millis));
                assert_eq!(window.size(), SIZE);
            }
        }
    }

    #[test]
    fn an_upload_that_becomes_fast_after_a_slow_hour_grows_its_window_then() {
        let mut window = ReceiveWindow::new(SIZE, at(0));
        let hour = 3_600_000;
        for millis in (0..hour).step_by(1_000) {
            assert_eq!(window.receive(16_384), Ok(()));
            window.consume(16_384, MAX, at(millis));
        }
        assert_eq!(window.size(), SIZE);
        // Twice half a window of eight frames: the first half began when it was slow.
        for millis in hour..hour + 16 {
            assert_eq!(window.receive(16_384), Ok(()));
            window.consume(16_384, MAX, at(millis));
        }
        assert_eq!(window.size(), 2 * SIZE);
    }

    #[test]
    fn a_connection_widens_its_window_once() {
        let mut window = ReceiveWindow::new(WINDOW_DEFAULT, at(0));
        assert_eq!(window.widen(MAX), Some(MAX - WINDOW_DEFAULT));
        assert_eq!(window.widen(MAX), None);
        assert_eq!(window.credit(), MAX);
        // What is owed anyhow comes along.
        assert_eq!(window.receive(10), Ok(()));
        assert_eq!(window.consume(10, MAX, at(0)), None);
        assert_eq!(window.widen(MAX + 5), Some(15));
    }

    proptest! {
        #[test]
        fn a_send_window_is_a_number_that_never_passes_its_end(
            initial in 0..=WINDOW_MAX,
            steps in prop::collection::vec((0..3u8, 0..=WINDOW_MAX), 0..200),
        ) {
            let mut window = SendWindow::new(initial);
            let mut left = i128::from(initial);
            let mut setting = initial;
            for (step, number) in steps {
                match step {
                    0 => {
                        let bytes = number.min(window.available());
                        window.take(bytes);
                        left -= i128::from(bytes);
                    }
                    1 => {
                        let fits = left + i128::from(number) <= i128::from(WINDOW_MAX);
                        prop_assert_eq!(window.increase(number).is_ok(), fits);
                        left += if fits { i128::from(number) } else { 0 };
                    }
                    _ => {
                        let delta = i64::from(number) - i64::from(setting);
                        let fits = left + i128::from(delta) <= i128::from(WINDOW_MAX);
                        prop_assert_eq!(window.shift(delta).is_ok(), fits);
                        if fits {
                            left += i128::from(delta);
                            setting = number;
                        }
                    }
                }
                prop_assert_eq!(i128::from(window.available()), left.max(0));
                prop_assert_eq!(window.is_shut(), left <= 0);
            }
        }

        #[test]
        fn a_receive_window_gives_what_was_consumed_and_holds_its_sum(
            size in 1..=WINDOW_MAX, size_max in 0..=u32::MAX,
            steps in prop::collection::vec((any::<bool>(), 0..=WINDOW_MAX, 0..3_000u64), 0..200),
        ) {
            let mut window = ReceiveWindow::new(size, Moment::ZERO);
            let mut now = Moment::ZERO;
            // The peer's view: what it was told, and what it sent.
            let mut allowed = u64::from(size);
            let (mut sent, mut consumed) = (0u64, 0u64);
            for (receives, number, millis) in steps {
                now += Duration::from_millis(millis);
                if receives {
                    // Not above its right by more than one in two, so that something happens.
                    let bytes = if number % 4 == 0 { number } else { number % (window.credit() + 1) };
                    let may = sent + u64::from(bytes) <= allowed;
                    prop_assert_eq!(window.receive(bytes).is_ok(), may);
                    sent += if may { u64::from(bytes) } else { 0 };
                } else {
                    let bytes = number % (window.unread() + 1);
                    let before = window.size();
                    let given = window.consume(bytes, size_max, now);
                    consumed += u64::from(bytes);
                    prop_assert!(given != Some(0));
                    allowed += u64::from(given.unwrap_or(0));
                    prop_assert!(window.size() == before || window.size() <= size_max);
                    prop_assert!(window.size() == before || window.unread() == 0);
                    // Never more ahead of what was consumed than the window is large, nor more than half behind.
                    prop_assert!(allowed <= consumed + u64::from(window.size()));
                    prop_assert!(allowed + u64::from(window.size() / 2) >= consumed + u64::from(window.size()));
                }
                prop_assert_eq!(u64::from(window.credit()), allowed - sent);
                prop_assert_eq!(u64::from(window.unread()), sent - consumed);
                prop_assert_eq!(window.credit() + window.unread() + window.owed, window.size());
            }
        }
    }
}
