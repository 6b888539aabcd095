//! SETTINGS (RFC 9113 section 6.5): what we announce, what the peer announced, and what is still unacknowledged.
//!
//! The bounds of single values are judged when a frame is parsed ([`Entries::parse`]); what depends on who sends them, or on
//! what was sent before, when they are applied. How long an acknowledgement may take is the caller's to say.

use lanner_limits::{Limits, Moment};

use super::frame::{self, FrameFault, PAYLOAD_BYTES_DEFAULT, PAYLOAD_BYTES_MAX};
use super::window::{WINDOW_DEFAULT, WINDOW_MAX};

/// Which setting. Any number is one: unknown settings "MUST" be ignored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Id(pub u16);

impl Id {
    /// Bytes of the table that the other side's encoder may use.
    pub const HEADER_TABLE_SIZE: Id = Id(0x1);
    /// Whether the other side may push.
    pub const ENABLE_PUSH: Id = Id(0x2);
    /// Streams that the other side may have open.
    pub const MAX_CONCURRENT_STREAMS: Id = Id(0x3);
    /// What each stream's window begins with.
    pub const INITIAL_WINDOW_SIZE: Id = Id(0x4);
    /// Bytes of payload that the other side may send in a frame.
    pub const MAX_FRAME_SIZE: Id = Id(0x5);
    /// Bytes of all fields of a head, 32 for each field included, that are worth sending.
    pub const MAX_HEADER_LIST_SIZE: Id = Id(0x6);
    /// Whether CONNECT may name a protocol (RFC 8441).
    pub const ENABLE_CONNECT_PROTOCOL: Id = Id(0x8);
    /// Whether dependencies are of no interest (RFC 9218 section 2.1).
    pub const NO_RFC7540_PRIORITIES: Id = Id(0x9);
}

/// The settings of one frame, each of them in its range, in the order in which they were sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entries<'a> {
    entries: &'a [[u8; 6]],
}

impl<'a> Entries<'a> {
    /// The settings of a payload.
    ///
    /// # Errors
    /// The length is not a multiple of 6, or a value is out of its range.
    pub fn parse(payload: &'a [u8]) -> Result<Entries<'a>, FrameFault> {
        let (entries, rest) = payload.as_chunks();
        if !rest.is_empty() {
            return Err(FrameFault::SettingsLength);
        }
        let entries = Entries { entries };
        for (id, value) in entries.iter() {
            judge(id, value)?;
        }
        Ok(entries)
    }

    /// Each setting with its value. One may come more than once; the last counts.
    pub fn iter(self) -> impl Iterator<Item = (Id, u32)> + 'a {
        self.entries.iter().map(|[high, low, value @ ..]| {
            (
                Id(u16::from_be_bytes([*high, *low])),
                u32::from_be_bytes(*value),
            )
        })
    }

    /// How many settings there are.
    #[must_use]
    pub fn count(self) -> usize {
        self.entries.len()
    }
}

/// Section 6.5.2, RFC 8441 section 3 and RFC 9218 section 2.1: which values are errors whoever sends them.
fn judge(id: Id, value: u32) -> Result<(), FrameFault> {
    match id {
        Id::ENABLE_PUSH if value > 1 => Err(FrameFault::SettingsEnablePush),
        Id::INITIAL_WINDOW_SIZE if value > WINDOW_MAX => Err(FrameFault::SettingsInitialWindow),
        Id::MAX_FRAME_SIZE if !(PAYLOAD_BYTES_DEFAULT..=PAYLOAD_BYTES_MAX).contains(&value) => {
            Err(FrameFault::SettingsMaxFrame)
        }
        Id::ENABLE_CONNECT_PROTOCOL if value > 1 => Err(FrameFault::SettingsConnectProtocol),
        Id::NO_RFC7540_PRIORITIES if value > 1 => Err(FrameFault::SettingsNoPriorities),
        _ => Ok(()),
    }
}

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Whoever connects.
    Client,
    /// Whoever is connected to.
    Server,
}

/// What one side asks the other to keep to. `Default` is what holds before anything was said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Bytes of the table that an encoder of field blocks may use.
    pub header_table: u32,
    /// Whether pushing is allowed. Never by us.
    pub enable_push: bool,
    /// Streams that may be open; none for no bound.
    pub max_streams: Option<u32>,
    /// What each stream's window begins with: at most 2^31-1.
    pub initial_window: u32,
    /// Bytes of payload that a frame may have: 2^14 to 2^24-1.
    pub max_frame: u32,
    /// Bytes of all fields of a head, 32 for each included; none for no advice.
    pub max_header_list: Option<u32>,
    /// Whether CONNECT may name a protocol (RFC 8441). Servers say so, clients have no use for it.
    pub connect_protocol: bool,
    /// Whether dependencies are of no interest (RFC 9218).
    pub no_dependencies: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            header_table: 4_096,
            enable_push: true,
            max_streams: None,
            initial_window: WINDOW_DEFAULT,
            max_frame: PAYLOAD_BYTES_DEFAULT,
            max_header_list: None,
            connect_protocol: false,
            no_dependencies: false,
        }
    }
}

impl Settings {
    /// What a server announces.
    #[must_use]
    pub fn of_server(limits: &Limits) -> Settings {
        Settings {
            header_table: limits.h2_header_table,
            max_streams: Some(limits.h2_max_streams),
            initial_window: limits.h2_stream_window,
            max_frame: limits.h2_max_frame,
            max_header_list: Some(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX)),
            connect_protocol: true,
            no_dependencies: true,
            // A server cannot be pushed to, and must not say that it can.
            enable_push: true,
        }
    }

    /// What a client announces: nothing may be pushed, and no stream may be opened towards it.
    #[must_use]
    pub fn of_client(limits: &Limits) -> Settings {
        Settings {
            enable_push: false,
            max_streams: Some(0),
            connect_protocol: false,
            ..Settings::of_server(limits)
        }
    }

    /// Writes one SETTINGS frame with every setting in which these differ from `before`.
    pub fn encode_changes(self, before: Settings, out: &mut Vec<u8>) {
        let unbounded = u32::MAX;
        let values = |settings: Settings| {
            [
                (Id::HEADER_TABLE_SIZE, settings.header_table),
                (Id::ENABLE_PUSH, u32::from(settings.enable_push)),
                (
                    Id::MAX_CONCURRENT_STREAMS,
                    settings.max_streams.unwrap_or(unbounded),
                ),
                (Id::INITIAL_WINDOW_SIZE, settings.initial_window),
                (Id::MAX_FRAME_SIZE, settings.max_frame),
                (
                    Id::MAX_HEADER_LIST_SIZE,
                    settings.max_header_list.unwrap_or(unbounded),
                ),
                (
                    Id::ENABLE_CONNECT_PROTOCOL,
                    u32::from(settings.connect_protocol),
                ),
                (
                    Id::NO_RFC7540_PRIORITIES,
                    u32::from(settings.no_dependencies),
                ),
            ]
        };
        let mut changed = values(self);
        let mut count = 0;
        for ((id, value), (_, old)) in values(self).into_iter().zip(values(before)) {
            if value != old {
                changed[count] = (id, value);
                count += 1;
            }
        }
        frame::encode_settings(&changed[..count], out);
    }
}

/// What the peer announced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerSettings {
    values: Settings,
    /// Whether its first SETTINGS have come: every connection begins with some.
    begun: bool,
    /// Which side the peer is.
    peer: Side,
}

/// What follows from a SETTINGS frame besides the values. The acknowledgement is due at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// By how much the send window of every stream moves; the connection's does not (section 6.9.2). Between -(2^31-1) and
    /// 2^31-1.
    pub window_delta: i64,
    /// Where the table of our encoder may change: the least that was asked for and the last, which RFC 7541 section 4.2 both
    /// wants announced.
    pub header_table: Option<TableChange>,
}

/// How the bound of a table of fields changed within one SETTINGS frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableChange {
    /// The smallest bound on the way: what does not fit into it is gone.
    pub smallest: u32,
    /// The bound now.
    pub last: u32,
}

impl PeerSettings {
    /// A peer that has said nothing yet.
    #[must_use]
    pub fn new(peer: Side) -> PeerSettings {
        PeerSettings {
            values: Settings::default(),
            begun: false,
            peer,
        }
    }

    /// What holds now.
    #[must_use]
    pub const fn values(&self) -> &Settings {
        &self.values
    }

    /// Whether its first SETTINGS have come.
    #[must_use]
    pub const fn have_begun(&self) -> bool {
        self.begun
    }

    /// Applies a frame's settings in the order in which they stand (section 6.5.3); unknown ones are passed over. Since nothing
    /// happens between them, a window moves once, by the difference of the last value to the one before the frame.
    ///
    /// # Errors
    /// A value that this peer may not send, or not any more. Nothing is applied then, for the connection ends.
    pub fn apply(&mut self, entries: Entries<'_>) -> Result<Applied, FrameFault> {
        let mut values = self.values;
        let mut table: Option<TableChange> = None;
        for (id, value) in entries.iter() {
            match id {
                Id::HEADER_TABLE_SIZE => {
                    values.header_table = value;
                    let smallest = table.map_or(value, |change| change.smallest.min(value));
                    table = Some(TableChange {
                        smallest,
                        last: value,
                    });
                }
                Id::ENABLE_PUSH => values.enable_push = self.may_enable_push(value)?,
                Id::MAX_CONCURRENT_STREAMS => values.max_streams = Some(value),
                Id::INITIAL_WINDOW_SIZE => values.initial_window = value,
                Id::MAX_FRAME_SIZE => values.max_frame = value,
                Id::MAX_HEADER_LIST_SIZE => values.max_header_list = Some(value),
                Id::ENABLE_CONNECT_PROTOCOL => {
                    // RFC 8441 section 3: once 1, it must not become 0 again.
                    if value == 0 && values.connect_protocol {
                        return Err(FrameFault::SettingsConnectProtocol);
                    }
                    values.connect_protocol = value == 1;
                }
                Id::NO_RFC7540_PRIORITIES => {
                    // RFC 9218 section 2.1: senders must not change it after the first SETTINGS.
                    if self.begun && values.no_dependencies != (value == 1) {
                        return Err(FrameFault::SettingsNoPriorities);
                    }
                    values.no_dependencies = value == 1;
                }
                _ => {}
            }
        }
        let window_delta = i64::from(values.initial_window) - i64::from(self.values.initial_window);
        self.values = values;
        self.begun = true;
        Ok(Applied {
            window_delta,
            header_table: table,
        })
    }

    /// Section 6.5.2: a server must not set it to 1, and a client that receives that must treat it as an error.
    fn may_enable_push(&self, value: u32) -> Result<bool, FrameFault> {
        if value == 1 && self.peer == Side::Server {
            return Err(FrameFault::SettingsEnablePush);
        }
        Ok(value == 1)
    }
}

/// What we announce. The peer keeps to it from its acknowledgement on, so one frame of ours at most is under way: what is wanted
/// meanwhile waits for the acknowledgement, and several changes become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnSettings {
    /// What the peer is known to keep to.
    acknowledged: Settings,
    /// What the last frame said; the same as `acknowledged` if none is under way.
    sent: Settings,
    /// What should hold.
    wanted: Settings,
    /// Since when an acknowledgement is awaited.
    awaited_since: Option<Moment>,
    /// Whether the first frame was sent: it is due even where it says nothing.
    begun: bool,
}

impl OwnSettings {
    /// Nothing is sent yet.
    #[must_use]
    pub fn new(wanted: Settings) -> OwnSettings {
        OwnSettings {
            acknowledged: Settings::default(),
            sent: Settings::default(),
            wanted,
            awaited_since: None,
            begun: false,
        }
    }

    /// Asks for something else from now on. `poll_send` tells the peer.
    pub const fn want(&mut self, wanted: Settings) {
        self.wanted = wanted;
    }

    /// What we want, whether or not the peer knows it yet: what to hold the peer to where that only helps it.
    #[must_use]
    pub const fn wanted(&self) -> &Settings {
        &self.wanted
    }

    /// What the peer is known to keep to.
    #[must_use]
    pub const fn acknowledged(&self) -> &Settings {
        &self.acknowledged
    }

    /// Since when the peer owes an acknowledgement.
    #[must_use]
    pub const fn awaited_since(&self) -> Option<Moment> {
        self.awaited_since
    }

    /// Writes a SETTINGS frame if one is due; true if so.
    pub fn poll_send(&mut self, now: Moment, out: &mut Vec<u8>) -> bool {
        let due = !self.begun || self.wanted != self.sent;
        if !due || self.awaited_since.is_some() {
            return false;
        }
        self.wanted.encode_changes(self.sent, out);
        self.sent = self.wanted;
        self.awaited_since = Some(now);
        self.begun = true;
        true
    }

    /// The peer acknowledged. What it keeps to from now on is in `acknowledged`; another frame may be due.
    ///
    /// # Errors
    /// There was nothing to acknowledge.
    pub fn handle_ack(&mut self) -> Result<(), FrameFault> {
        if self.awaited_since.take().is_none() {
            return Err(FrameFault::SettingsAckUnasked);
        }
        self.acknowledged = self.sent;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::h2::frame::{Frame, FrameHeader, HEADER_BYTES};
    use lanner_limits::Machine;
    use proptest::prelude::*;

    fn payload(settings: &[(u16, u32)]) -> Vec<u8> {
        settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect()
    }

    fn apply(peer: &mut PeerSettings, settings: &[(u16, u32)]) -> Result<Applied, FrameFault> {
        peer.apply(Entries::parse(&payload(settings))?)
    }

    fn client() -> PeerSettings {
        PeerSettings::new(Side::Client)
    }

    #[test]
    fn before_anything_is_said_the_defaults_of_section_6_5_2_hold() {
        let peer = client();
        assert_eq!(
            *peer.values(),
            Settings {
                header_table: 4_096,
                enable_push: true,
                max_streams: None,
                initial_window: 65_535,
                max_frame: 16_384,
                max_header_list: None,
                connect_protocol: false,
                no_dependencies: false,
            }
        );
        assert!(!peer.have_begun());
    }

    #[test]
    fn values_out_of_their_range_are_errors_and_the_ends_of_it_are_not() {
        // Section 6.5.2, RFC 8441 section 3, RFC 9218 section 2.1.
        for (id, value, fault) in [
            (0x2, 2, FrameFault::SettingsEnablePush),
            (0x2, u32::MAX, FrameFault::SettingsEnablePush),
            (0x4, 1 << 31, FrameFault::SettingsInitialWindow),
            (0x5, (1 << 14) - 1, FrameFault::SettingsMaxFrame),
            (0x5, 1 << 24, FrameFault::SettingsMaxFrame),
            (0x8, 2, FrameFault::SettingsConnectProtocol),
            (0x9, 2, FrameFault::SettingsNoPriorities),
        ] {
            assert_eq!(apply(&mut client(), &[(id, value)]), Err(fault));
            // Wherever in the frame.
            let between = [(0x1, 0), (id, value), (0x3, 5)];
            assert_eq!(apply(&mut client(), &between), Err(fault));
        }
        for (id, value) in [
            (0x1, 0),
            (0x1, u32::MAX),
            (0x2, 0),
            (0x2, 1),
            (0x3, 0),
            (0x3, u32::MAX),
            (0x4, 0),
            (0x4, (1 << 31) - 1),
            (0x5, 1 << 14),
            (0x5, (1 << 24) - 1),
            (0x6, 0),
            (0x6, u32::MAX),
            (0x8, 1),
            (0x9, 1),
        ] {
            assert!(apply(&mut client(), &[(id, value)]).is_ok(), "{id}={value}");
        }
    }

    #[test]
    fn a_length_that_is_no_multiple_of_six_is_an_error() {
        for length in 0..20 {
            let fault = (length % 6 > 0).then_some(FrameFault::SettingsLength);
            assert_eq!(Entries::parse(&vec![0; length]).err(), fault);
        }
    }

    #[test]
    fn unknown_settings_are_passed_over() {
        // "An endpoint that receives a SETTINGS frame with any unknown or unsupported identifier MUST ignore that setting."
        let mut peer = client();
        let unknown = [(0x0, 1), (0x7, 2), (0xa, 3), (0xffff, u32::MAX)];
        assert_eq!(apply(&mut peer, &unknown), Ok(Applied::default()));
        assert_eq!(*peer.values(), Settings::default());
        assert!(peer.have_begun());
    }

    #[test]
    fn values_apply_in_order_so_the_last_counts() {
        let mut peer = client();
        let applied = apply(&mut peer, &[(0x4, 10), (0x3, 7), (0x4, 100_000), (0x3, 9)]).unwrap();
        assert_eq!(applied.window_delta, 100_000 - 65_535);
        assert_eq!(peer.values().initial_window, 100_000);
        assert_eq!(peer.values().max_streams, Some(9));
        let applied = apply(&mut peer, &[(0x4, 0)]).unwrap();
        assert_eq!(applied.window_delta, -100_000);
        // A frame that does not name it moves nothing.
        assert_eq!(apply(&mut peer, &[(0x3, 1)]).unwrap().window_delta, 0);
    }

    #[test]
    fn a_table_that_was_smaller_for_a_moment_is_told_with_its_least_and_last() {
        // RFC 7541 section 4.2: the smallest must be signalled, and then the final one.
        let mut peer = client();
        assert_eq!(apply(&mut peer, &[(0x3, 1)]).unwrap().header_table, None);
        let applied = apply(&mut peer, &[(0x1, 8_192), (0x1, 0), (0x1, 1_024)]).unwrap();
        assert_eq!(
            applied.header_table,
            Some(TableChange {
                smallest: 0,
                last: 1_024
            })
        );
        assert_eq!(peer.values().header_table, 1_024);
    }

    #[test]
    fn a_server_may_not_ask_to_be_pushed_to() {
        // Section 6.5.2: a client must treat ENABLE_PUSH of 1 as an error.
        let mut server = PeerSettings::new(Side::Server);
        assert_eq!(
            apply(&mut server, &[(0x2, 1)]),
            Err(FrameFault::SettingsEnablePush)
        );
        assert!(apply(&mut server, &[(0x2, 0)]).is_ok());
    }

    #[test]
    fn extended_connect_cannot_be_taken_back() {
        let mut server = PeerSettings::new(Side::Server);
        assert!(apply(&mut server, &[(0x8, 0)]).is_ok());
        assert!(apply(&mut server, &[(0x8, 1)]).is_ok());
        assert!(server.values().connect_protocol);
        assert!(apply(&mut server, &[(0x8, 1)]).is_ok());
        assert_eq!(
            apply(&mut server, &[(0x8, 0)]),
            Err(FrameFault::SettingsConnectProtocol)
        );
    }

    #[test]
    fn whether_dependencies_count_is_said_at_the_beginning_or_never() {
        let mut peer = client();
        assert!(apply(&mut peer, &[(0x9, 1)]).is_ok());
        assert!(apply(&mut peer, &[(0x9, 1)]).is_ok());
        assert_eq!(
            apply(&mut peer, &[(0x9, 0)]),
            Err(FrameFault::SettingsNoPriorities)
        );
        let mut late = client();
        assert!(apply(&mut late, &[]).is_ok());
        assert_eq!(
            apply(&mut late, &[(0x9, 1)]),
            Err(FrameFault::SettingsNoPriorities)
        );
    }

    #[test]
    fn a_faulty_frame_changes_nothing() {
        let mut peer = PeerSettings::new(Side::Server);
        let before = peer;
        assert!(apply(&mut peer, &[(0x3, 1), (0x4, 2), (0x2, 1)]).is_err());
        assert_eq!(peer, before);
    }

    fn limits() -> Limits {
        Limits::for_machine(Machine {
            nofile: 65_536,
            memory: 1 << 34,
            cpus: 4,
        })
    }

    /// What the SETTINGS frame in `out` says.
    fn said(out: &[u8]) -> Vec<(u16, u32)> {
        let (header, payload) = out.split_first_chunk::<HEADER_BYTES>().unwrap();
        match Frame::parse(FrameHeader::parse(header), payload) {
            Ok(Frame::Settings(entries)) => {
                entries.iter().map(|(id, value)| (id.0, value)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_server_says_what_its_limits_say_and_leaves_out_what_is_the_default() {
        let mut out = Vec::new();
        Settings::of_server(&limits()).encode_changes(Settings::default(), &mut out);
        assert_eq!(
            said(&out),
            [
                (0x3, 100),
                (0x4, 256 << 10),
                (0x6, 32 << 10),
                (0x8, 1),
                (0x9, 1)
            ]
        );
        let mut large = limits();
        large.h2_header_table = 0;
        large.h2_max_frame = 1 << 20;
        large.max_header_bytes = 1 << 24;
        out.clear();
        Settings::of_server(&large).encode_changes(Settings::default(), &mut out);
        assert!(said(&out).contains(&(0x1, 0)));
        assert!(said(&out).contains(&(0x5, 1 << 20)));
        assert!(said(&out).contains(&(0x6, 1 << 24)));
    }

    #[test]
    fn a_client_forbids_pushing_and_streams_towards_it() {
        let mut out = Vec::new();
        Settings::of_client(&limits()).encode_changes(Settings::default(), &mut out);
        let said = said(&out);
        assert!(said.contains(&(0x2, 0)) && said.contains(&(0x3, 0)));
        assert!(!said.iter().any(|(id, _)| *id == 0x8));
    }

    #[test]
    fn one_frame_at_a_time_waits_for_its_acknowledgement() {
        let (early, late) = (Moment::from_nanos(1), Moment::from_nanos(2));
        let wanted = Settings::of_server(&limits());
        let mut own = OwnSettings::new(wanted);
        let mut out = Vec::new();
        assert_eq!(own.handle_ack(), Err(FrameFault::SettingsAckUnasked));
        assert!(own.poll_send(early, &mut out));
        assert_eq!(own.awaited_since(), Some(early));
        assert_eq!(*own.acknowledged(), Settings::default());
        // Fewer streams are wanted, and then fewer still: one frame says so, after the acknowledgement.
        for streams in [50, 10] {
            own.want(Settings {
                max_streams: Some(streams),
                ..wanted
            });
            assert!(!own.poll_send(late, &mut out));
        }
        assert_eq!(own.handle_ack(), Ok(()));
        assert_eq!(*own.acknowledged(), wanted);
        out.clear();
        assert!(own.poll_send(late, &mut out));
        assert_eq!(said(&out), [(0x3, 10)]);
        assert_eq!(own.acknowledged().max_streams, Some(100));
        assert_eq!(own.handle_ack(), Ok(()));
        assert_eq!(own.acknowledged().max_streams, Some(10));
        assert_eq!(own.awaited_since(), None);
        assert!(!own.poll_send(late, &mut out));
        assert_eq!(own.handle_ack(), Err(FrameFault::SettingsAckUnasked));
    }

    #[test]
    fn the_first_frame_is_sent_even_if_it_says_nothing() {
        // Section 3.4: the server's preface is a SETTINGS frame, which may be empty.
        let mut own = OwnSettings::new(Settings::default());
        let mut out = Vec::new();
        assert!(own.poll_send(Moment::ZERO, &mut out));
        assert_eq!(out, [0, 0, 0, 4, 0, 0, 0, 0, 0]);
        assert_eq!(own.handle_ack(), Ok(()));
        assert!(!own.poll_send(Moment::ZERO, &mut out));
    }

    proptest! {
        #[test]
        fn any_settings_are_applied_like_one_after_the_other(
            settings in prop::collection::vec((0..12u16, prop_oneof![0..3u32, any::<u32>(), 16_384..70_000u32]), 0..20),
        ) {
            let mut at_once = client();
            let mut one_by_one = client();
            let applied = apply(&mut at_once, &settings);
            let mut delta = 0;
            let mut failed = false;
            for setting in &settings {
                match apply(&mut one_by_one, std::slice::from_ref(setting)) {
                    Ok(applied) => delta += applied.window_delta,
                    Err(_) => failed = true,
                }
            }
            match applied {
                // Only where the frame is the first may it say twice whether dependencies count.
                Ok(applied) if !failed => {
                    prop_assert_eq!(applied.window_delta, delta);
                    prop_assert_eq!(at_once.values(), one_by_one.values());
                }
                Ok(_) => prop_assert!(settings.iter().any(|(id, _)| *id == 0x9)),
                Err(_) => prop_assert!(failed),
            }
        }

        #[test]
        fn what_one_side_announces_is_what_the_other_side_has(
            header_table: u32, max_streams: Option<u32>, initial_window in 0..=WINDOW_MAX,
            max_frame in PAYLOAD_BYTES_DEFAULT..=PAYLOAD_BYTES_MAX, list: Option<u32>, connect_protocol: bool, no_dependencies: bool,
        ) {
            let own = Settings {
                header_table, enable_push: false, max_streams, initial_window, max_frame, max_header_list: list,
                connect_protocol, no_dependencies,
            };
            let mut out = Vec::new();
            own.encode_changes(Settings::default(), &mut out);
            let mut peer = PeerSettings::new(Side::Server);
            let applied = apply(&mut peer, &said(&out)).unwrap();
            // No bound and the largest one are the same.
            let told = |settings: Settings| Settings {
                max_streams: settings.max_streams.or(Some(u32::MAX)),
                max_header_list: settings.max_header_list.or(Some(u32::MAX)),
                ..settings
            };
            prop_assert_eq!(told(*peer.values()), told(own));
            prop_assert_eq!(applied.window_delta, i64::from(initial_window) - 65_535);
        }
    }
}
