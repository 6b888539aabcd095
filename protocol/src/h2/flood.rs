//! Budgets for what is legal frame by frame and an attack a thousand times. Each is spent by what only costs us, and earned back
//! by time or by what honest use brings with it; when one is spent, the connection ends with ENHANCE_YOUR_CALM, and the [`Trip`]'s
//! name stands in the GOAWAY.
//!
//! Told here is what happened; counting streams that are open, bytes and time is done elsewhere.

use lanner_limits::{Budget, Limits, Moment, TokenBucket, Trip};

/// WINDOW_UPDATE frames allowed besides all that streams and DATA explain: one to widen the connection's window, and some.
const WINDOW_UPDATES_BEGIN: u32 = 5;
/// WINDOW_UPDATE frames that a stream explains by itself.
const WINDOW_UPDATES_PER_STREAM: u32 = 2;
/// PRIORITY frames allowed besides all that streams explain: some clients lay out a tree before they ask for anything.
const PRIORITIES_BEGIN: u32 = 100;
/// What may be saved up. A client that stopped reading for a while then answers all DATA at once, which a megabyte of shortest
/// frames does not bring to this; what a day of honest use would allow in one go, it bounds.
const SAVED_MAX: u32 = 1 << 20;
/// DATA frames shorter than this are small.
const SMALL_DATA_BYTES: u32 = 256;
/// DATA frames without data that are forgiven each second.
const EMPTY_DATA_PER_SECOND: u64 = 10;

/// What one peer may do to one connection, and has done.
#[derive(Clone, Debug)]
pub struct Flood {
    resets: TokenBucket,
    control: TokenBucket,
    empty_data: TokenBucket,
    small_data: Budget,
    window_updates: Budget,
    window_updates_per_data: u32,
    priorities: Budget,
    priorities_per_stream: u32,
    /// CONTINUATION frames of the field block under way.
    continuations: u32,
    continuations_max: u32,
    queued: Queued,
    queued_max: u32,
}

/// Control frames of ours that wait to be sent, in two generations, for where in the output each stands is not remembered. When
/// everything of the old one must have left, the young one becomes old: so none is counted for longer than two times what waits
/// takes to be sent, and none that waits is ever forgotten.
#[derive(Clone, Copy, Debug, Default)]
struct Queued {
    old: u32,
    young: u32,
    /// How many bytes had ever been queued when the young generation began: behind them nothing of the old one stands.
    old_end: u64,
}

/// What the unread DATA of one stream holds of the budget for small frames. `Default` is a stream without any. Given back, by
/// [`Flood::data_consumed`] or [`Flood::data_discarded`], before it is dropped, or the connection's budget never recovers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SmallData {
    /// Unread bytes, without padding.
    unread: u32,
    /// What was spent for them.
    spent: u32,
}

impl Flood {
    /// A connection on which nothing has happened.
    #[must_use]
    pub fn new(limits: &Limits, now: Moment) -> Flood {
        Flood {
            resets: TokenBucket::new(limits.h2_reset_burst, limits.h2_reset_rate, now),
            control: TokenBucket::new(limits.h2_control_burst, limits.h2_control_rate, now),
            empty_data: TokenBucket::new(limits.h2_max_empty_data, EMPTY_DATA_PER_SECOND, now),
            small_data: Budget::new(limits.h2_small_data_budget),
            window_updates: Budget::to_earn(WINDOW_UPDATES_BEGIN, SAVED_MAX),
            window_updates_per_data: limits.h2_window_update_factor,
            priorities: Budget::to_earn(PRIORITIES_BEGIN, SAVED_MAX),
            priorities_per_stream: limits.h2_priority_factor,
            continuations: 0,
            continuations_max: limits.h2_max_continuation,
            queued: Queued::default(),
            queued_max: limits.h2_max_queued_control,
        }
    }

    /// The peer opened a stream, or we did, which explains some frames about it.
    pub fn stream_opened(&mut self) {
        self.window_updates.refill(WINDOW_UPDATES_PER_STREAM);
        self.priorities.refill(self.priorities_per_stream);
    }

    /// We sent a DATA frame of `data_bytes`, which explains window updates, and a PING: gRPC clients measure their round trip with
    /// one for each DATA that comes while none is under way.
    ///
    /// A small frame that is small because the peer's window had no room for more explains nothing: whoever opens its window byte
    /// by byte would earn what it spends (CVE-2019-9511, "data dribble").
    pub fn data_sent(&mut self, data_bytes: u32, cut_by_window: bool) {
        if cut_by_window && data_bytes < SMALL_DATA_BYTES {
            return;
        }
        self.window_updates.refill(self.window_updates_per_data);
        self.control.give_back(1);
    }

    /// The peer reset a stream whose answer was not complete, or made us reset one: by a stream error, or by one stream too many.
    ///
    /// # Errors
    /// It does so too often (CVE-2023-44487, CVE-2025-8671).
    pub fn reset(&mut self, now: Moment) -> Result<(), Trip> {
        within(self.resets.take(1, now), Trip::Resets)
    }

    /// PING or SETTINGS came, acknowledgement or not, or a frame of unknown type, or one other than WINDOW_UPDATE and PRIORITY
    /// of a stream that is gone.
    ///
    /// # Errors
    /// Such frames come too often (CVE-2019-9512, CVE-2019-9515).
    pub fn control(&mut self, now: Moment) -> Result<(), Trip> {
        within(self.control.take(1, now), Trip::ControlFrames)
    }

    /// WINDOW_UPDATE came, of the connection or of any stream, open or not.
    ///
    /// # Errors
    /// There are more than streams and DATA explain.
    pub fn window_update(&mut self) -> Result<(), Trip> {
        within(self.window_updates.spend(1), Trip::WindowUpdates)
    }

    /// PRIORITY or PRIORITY_UPDATE came, of any stream, open or not.
    ///
    /// # Errors
    /// There are more than streams explain (CVE-2019-9513).
    pub fn priority(&mut self) -> Result<(), Trip> {
        within(self.priorities.spend(1), Trip::Priorities)
    }

    /// HEADERS came: a field block begins.
    pub const fn field_block(&mut self) {
        self.continuations = 0;
    }

    /// CONTINUATION came.
    ///
    /// # Errors
    /// The field block has too many (CVE-2024-27316, CVE-2019-9518).
    pub fn continuation(&mut self) -> Result<(), Trip> {
        self.continuations = self.continuations.saturating_add(1);
        within(
            self.continuations <= self.continuations_max,
            Trip::Continuations,
        )
    }

    /// DATA of `data_bytes`, padding not counted, came for a stream whose app, or whose drain, will consume it. The frame that
    /// ends a message costs nothing: there is one for each stream.
    ///
    /// # Errors
    /// Frames without data come too often, or small ones pile up unread.
    pub fn data_received(
        &mut self,
        stream: &mut SmallData,
        data_bytes: u32,
        end_stream: bool,
        now: Moment,
    ) -> Result<(), Trip> {
        if data_bytes == 0 && !end_stream {
            return within(self.empty_data.take(1, now), Trip::EmptyData);
        }
        stream.unread = stream.unread.saturating_add(data_bytes);
        if end_stream || data_bytes >= SMALL_DATA_BYTES {
            return Ok(());
        }
        let cost = SMALL_DATA_BYTES - data_bytes;
        within(self.small_data.spend(cost), Trip::SmallData)?;
        stream.spent = stream.spent.saturating_add(cost);
        Ok(())
    }

    /// The app consumed `data_bytes` of a stream, padding not counted. Gives back as large a part of what its unread DATA cost as
    /// was read of it, and all of it with the last byte: which frame the bytes came in is not remembered.
    pub fn data_consumed(&mut self, stream: &mut SmallData, data_bytes: u32) {
        if stream.spent == 0 {
            stream.unread = stream.unread.saturating_sub(data_bytes);
            return;
        }
        let left = stream.unread.saturating_sub(data_bytes);
        // The part that belongs to what is left, rounded up, is kept; it is never more than was spent.
        let kept = if stream.unread == 0 {
            0
        } else {
            (u64::from(stream.spent) * u64::from(left)).div_ceil(u64::from(stream.unread)) as u32
        };
        self.small_data.refill(stream.spent - kept);
        *stream = SmallData {
            unread: left,
            spent: kept,
        };
    }

    /// Nobody will read what is left of a stream, and its memory is free again.
    pub fn data_discarded(&mut self, stream: &mut SmallData) {
        let SmallData { spent, .. } = std::mem::take(stream);
        self.small_data.refill(spent);
    }

    /// A control frame of ours (an acknowledgement, RST_STREAM, WINDOW_UPDATE) was put behind what waits to be sent.
    ///
    /// # Errors
    /// Too many wait: the peer makes us answer and does not read (CVE-2019-9517).
    pub fn control_queued(&mut self) -> Result<(), Trip> {
        let Queued { old, young, .. } = &mut self.queued;
        *young = young.saturating_add(1);
        within(
            old.saturating_add(*young) <= self.queued_max,
            Trip::QueuedControl,
        )
    }

    /// The connection's output has moved on: of all bytes ever queued on it, this many were sent.
    pub const fn output_sent(&mut self, bytes_sent: u64, bytes_queued: u64) {
        if bytes_sent >= bytes_queued {
            self.queued.old = 0;
            self.queued.young = 0;
            self.queued.old_end = bytes_queued;
        } else if bytes_sent >= self.queued.old_end {
            self.queued.old = self.queued.young;
            self.queued.young = 0;
            self.queued.old_end = bytes_queued;
        }
    }
}

fn within(within: bool, trip: Trip) -> Result<(), Trip> {
    if within { Ok(()) } else { Err(trip) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use lanner_limits::Machine;
    use proptest::prelude::*;
    use std::time::Duration;

    fn limits() -> Limits {
        Limits::for_machine(Machine {
            nofile: 65_536,
            memory: 1 << 34,
            cpus: 4,
        })
    }

    fn flood() -> Flood {
        Flood::new(&limits(), Moment::ZERO)
    }

    fn at_micros(micros: u64) -> Moment {
        Moment::ZERO + Duration::from_micros(micros)
    }

    /// The first of `count` steps at which a bound is hit, and which.
    fn first_trip(
        count: u64,
        mut step: impl FnMut(u64) -> Result<(), Trip>,
    ) -> Option<(u64, Trip)> {
        (0..count).find_map(|number| step(number).err().map(|trip| (number, trip)))
    }

    // What must die.

    #[test]
    fn rapid_reset_dies_at_the_burst() {
        // CVE-2023-44487: open, reset, open, reset.
        let mut flood = flood();
        let died = first_trip(10_000, |_| {
            flood.stream_opened();
            flood.reset(Moment::ZERO)
        });
        assert_eq!(died, Some((200, Trip::Resets)));
    }

    #[test]
    fn resets_just_above_the_rate_die_in_time() {
        let mut flood = flood();
        // 40 a second: 7 too many each second, and 200 forgiven at once, so 28.4 seconds.
        let died = first_trip(10_000, |number| flood.reset(at_micros(number * 25_000)));
        let (number, trip) = died.unwrap();
        assert_eq!(trip, Trip::Resets);
        assert!((1_130..1_150).contains(&number), "{number}");
    }

    #[test]
    fn a_flood_of_pings_or_settings_dies() {
        let mut flood = flood();
        let died = first_trip(10_000, |_| flood.control(Moment::ZERO));
        assert_eq!(died, Some((1_000, Trip::ControlFrames)));
        // A second later it is forgiven 200.
        assert_eq!(
            first_trip(10_000, |_| flood.control(at_micros(1_000_000))),
            Some((200, Trip::ControlFrames))
        );
    }

    #[test]
    fn window_updates_that_nothing_explains_die() {
        let mut flood = flood();
        flood.stream_opened();
        assert_eq!(
            first_trip(10_000, |_| flood.window_update()),
            Some((7, Trip::WindowUpdates))
        );
    }

    #[test]
    fn a_window_opened_byte_by_byte_dies() {
        // CVE-2019-9511: each byte of window makes us send a frame of a byte.
        let mut flood = flood();
        flood.stream_opened();
        let died = first_trip(10_000, |_| {
            flood.data_sent(1, true);
            flood.window_update()
        });
        assert_eq!(died, Some((7, Trip::WindowUpdates)));
    }

    #[test]
    fn a_flood_of_priorities_dies() {
        let mut flood = flood();
        flood.stream_opened();
        assert_eq!(
            first_trip(10_000, |_| flood.priority()),
            Some((110, Trip::Priorities))
        );
    }

    #[test]
    fn a_field_block_without_end_dies_and_the_next_one_counts_afresh() {
        // CVE-2024-27316: CONTINUATION without end.
        let mut flood = flood();
        for _ in 0..10 {
            flood.field_block();
            for _ in 0..8 {
                flood.continuation().unwrap();
            }
        }
        assert_eq!(flood.continuation(), Err(Trip::Continuations));
    }

    #[test]
    fn a_body_of_empty_frames_dies() {
        let mut flood = flood();
        let mut stream = SmallData::default();
        let died = first_trip(10_000, |_| {
            flood.data_received(&mut stream, 0, false, Moment::ZERO)
        });
        assert_eq!(died, Some((100, Trip::EmptyData)));
    }

    #[test]
    fn a_body_of_single_bytes_that_nobody_reads_dies() {
        let mut flood = flood();
        let mut stream = SmallData::default();
        let died = first_trip(10_000, |_| {
            flood.data_received(&mut stream, 1, false, Moment::ZERO)
        });
        assert_eq!(died, Some((25_600 / 255, Trip::SmallData)));
    }

    #[test]
    fn small_frames_over_many_streams_are_one_budget() {
        let mut flood = flood();
        let died = first_trip(10_000, |_| {
            flood.data_received(&mut SmallData::default(), 1, false, Moment::ZERO)
        });
        assert_eq!(died, Some((25_600 / 255, Trip::SmallData)));
    }

    #[test]
    fn a_peer_that_asks_and_never_reads_dies() {
        // CVE-2019-9517 and its like.
        let mut flood = flood();
        assert_eq!(
            first_trip(10_000, |_| flood.control_queued()),
            Some((1_000, Trip::QueuedControl))
        );
    }

    #[test]
    fn a_peer_that_reads_less_than_it_asks_for_dies() {
        let mut flood = flood();
        // Seventeen bytes are queued for each PING, and the peer takes sixteen.
        let died = first_trip(1_000_000, |number| {
            flood.output_sent(number * 16, number * 17);
            flood.control_queued()
        });
        let (number, trip) = died.unwrap();
        assert_eq!(trip, Trip::QueuedControl);
        // What waits is a seventeenth of all; it is counted at most twice.
        assert!((8_000..18_000).contains(&number), "{number}");
    }

    #[test]
    fn what_was_saved_up_has_an_end() {
        let mut flood = flood();
        for _ in 0..1_000_000 {
            flood.data_sent(16_384, false);
            flood.stream_opened();
        }
        assert_eq!(
            first_trip(u64::MAX, |_| flood.window_update()),
            Some((1 << 20, Trip::WindowUpdates))
        );
        assert_eq!(
            first_trip(u64::MAX, |_| flood.priority()),
            Some((1 << 20, Trip::Priorities))
        );
    }

    // What must live.

    #[test]
    fn a_thousand_grpc_messages_a_second_live_for_an_hour() {
        let mut flood = flood();
        flood.stream_opened();
        let mut stream = SmallData::default();
        let trip = first_trip(3_600_000, |message| {
            let now = at_micros(message * 1_000);
            // Five bytes before each message of twenty. The app reads it a few messages later.
            flood.data_received(&mut stream, 25, false, now)?;
            if message % 8 == 7 {
                flood.data_consumed(&mut stream, 8 * 25);
            }
            // It answers each, and the client gives both windows back for each, and measures its round trip.
            flood.data_sent(25, false);
            flood.window_update()?;
            flood.window_update()?;
            flood.control(now)?;
            flood.control_queued()?;
            let answered = (message + 1) * 51;
            flood.output_sent(answered, answered);
            Ok(())
        });
        assert_eq!(trip, None);
    }

    #[test]
    fn an_app_that_lags_a_hundred_milliseconds_behind_grpc_messages_lives() {
        let mut flood = flood();
        let mut stream = SmallData::default();
        let trip = first_trip(1_000_000, |message| {
            let now = at_micros(message * 1_000);
            flood.data_received(&mut stream, 25, false, now)?;
            if message % 100 == 99 {
                flood.data_consumed(&mut stream, 100 * 25);
            }
            Ok(())
        });
        assert_eq!(trip, None);
    }

    #[test]
    fn a_download_of_a_gigabit_a_second_with_updates_of_32_kib_lives() {
        let mut flood = flood();
        flood.stream_opened();
        // Ten minutes of DATA frames of 16 KiB, and after every second one both windows open by 32 KiB.
        let frames = 600 * 125_000_000 / 16_384;
        let trip = first_trip(frames, |frame| {
            flood.data_sent(16_384, false);
            if frame % 2 == 1 {
                flood.window_update()?;
                flood.window_update()?;
            }
            Ok(())
        });
        assert_eq!(trip, None);
    }

    #[test]
    fn a_download_through_a_window_that_is_always_used_up_lives() {
        // 65,535 bytes are three frames of 16 KiB and one of a byte less, which the window cut.
        let mut flood = flood();
        flood.stream_opened();
        let trip = first_trip(1_000_000, |_| {
            for _ in 0..3 {
                flood.data_sent(16_384, false);
            }
            flood.data_sent(16_383, true);
            flood.window_update()?;
            flood.window_update()
        });
        assert_eq!(trip, None);
    }

    #[test]
    fn a_browser_that_reprioritises_every_request_lives() {
        let mut flood = flood();
        // Firefox lays out its tree with six, and every request is reprioritised as it is loaded and as it is shown.
        for _ in 0..6 {
            flood.priority().unwrap();
        }
        let trip = first_trip(1_000_000, |_| {
            flood.stream_opened();
            for _ in 0..3 {
                flood.priority()?;
            }
            Ok(())
        });
        assert_eq!(trip, None);
    }

    #[test]
    fn a_browser_that_leaves_a_page_with_everything_under_way_lives() {
        let mut flood = flood();
        // A hundred images each time, twice at once, and then again every four seconds.
        let mut pages = vec![0, 0];
        pages.extend((1..1_000).map(|page| page * 4_000_000));
        for page in pages {
            assert_eq!(first_trip(100, |_| flood.reset(at_micros(page))), None);
        }
    }

    #[test]
    fn a_client_that_asks_once_a_second_whether_we_are_there_lives_during_a_long_download() {
        let mut flood = flood();
        // The output is never empty: half a second of it always waits.
        let second = 125_000_000;
        let trip = first_trip(100_000, |number| {
            flood.control(at_micros(number * 1_000_000))?;
            flood.control_queued()?;
            flood.output_sent(number * second, number * second + second / 2);
            Ok(())
        });
        assert_eq!(trip, None);
    }

    #[test]
    fn a_client_that_flushes_ten_times_a_second_without_data_lives() {
        let mut flood = flood();
        let mut stream = SmallData::default();
        let trip = first_trip(100_000, |number| {
            flood.data_received(&mut stream, 0, false, at_micros(number * 100_000))
        });
        assert_eq!(trip, None);
    }

    #[test]
    fn the_frame_that_ends_a_message_costs_nothing() {
        let mut flood = flood();
        let trip = first_trip(100_000, |_| {
            let mut stream = SmallData::default();
            flood.data_received(&mut stream, 0, true, Moment::ZERO)?;
            flood.data_received(&mut stream, 1, true, Moment::ZERO)
        });
        assert_eq!(trip, None);
    }

    #[test]
    fn a_body_that_nobody_reads_gives_back_what_it_cost_when_it_is_thrown_away() {
        let mut flood = flood();
        let trip = first_trip(10_000, |_| {
            let mut stream = SmallData::default();
            for _ in 0..100 {
                flood.data_received(&mut stream, 1, false, Moment::ZERO)?;
            }
            flood.data_discarded(&mut stream);
            Ok(())
        });
        assert_eq!(trip, None);
    }

    proptest! {
        #[test]
        fn the_budget_for_small_frames_is_what_it_was_when_everything_is_read(
            steps in prop::collection::vec((0..4usize, any::<bool>(), 0..700u32), 0..200),
        ) {
            let mut flood = flood();
            let full = flood.small_data.left();
            let mut streams = [SmallData::default(); 4];
            for (stream, receives, bytes) in steps {
                let stream = &mut streams[stream];
                if receives {
                    let before = (flood.small_data.left(), *stream);
                    if flood.data_received(stream, bytes, bytes % 7 == 0, Moment::MAX).is_err() {
                        // The connection ends here.
                        prop_assert!(bytes == 0 || before.0 < SMALL_DATA_BYTES - bytes);
                        return Ok(());
                    }
                } else {
                    let owed = stream.spent;
                    let bytes = bytes.min(stream.unread);
                    flood.data_consumed(stream, bytes);
                    prop_assert!(stream.spent <= owed);
                    prop_assert!(stream.unread > 0 || stream.spent == 0);
                }
                let spent: u32 = streams.iter().map(|stream| stream.spent).sum();
                prop_assert_eq!(flood.small_data.left() + spent, full);
            }
            for stream in &mut streams {
                let unread = stream.unread;
                flood.data_consumed(stream, unread);
            }
            prop_assert_eq!(flood.small_data.left(), full);
        }

        #[test]
        fn no_control_frame_that_waits_is_forgotten(
            steps in prop::collection::vec((0..20u64, 0..400u64), 1..200),
        ) {
            // A queue of bytes in which every control frame's end is remembered.
            let mut flood = flood();
            let mut ends: Vec<u64> = Vec::new();
            let (mut queued, mut sent) = (0, 0);
            for (frames, bytes) in steps {
                for _ in 0..frames {
                    queued += 17;
                    ends.push(queued);
                    let _ = flood.control_queued();
                }
                sent = (sent + bytes).min(queued);
                flood.output_sent(sent, queued);
                ends.retain(|end| *end > sent);
                let counted = flood.queued.old + flood.queued.young;
                prop_assert!(counted as usize >= ends.len());
                prop_assert!(sent < queued || counted == 0);
            }
        }
    }
}
