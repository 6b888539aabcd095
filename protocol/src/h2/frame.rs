//! One frame: its header of nine bytes, and what a complete payload says (RFC 9113 section 4 and 6).
//!
//! Judged here is all that one frame shows by itself; every way to be wrong is a [`FrameFault`]. Whether a frame may come now
//! is the connection's to say, and what a field block means is HPACK's. Writing frames is in `frame/encode.rs`, the client's
//! preface in `frame/preface.rs`.

mod encode;
mod fault;
mod preface;

use super::error_code::ErrorCode;
use super::priority::Dependency;
use super::settings::Entries;

pub use encode::{
    begin_headers, encode_data, encode_data_header, encode_go_away, encode_headers, encode_ping,
    encode_priority, encode_priority_update, encode_reset, encode_settings, encode_settings_ack,
    encode_window_update, finish_headers,
};
pub use fault::{FrameFault, Scope};
pub use preface::{PREFACE, Preface, PrefaceStep};

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 9;
/// Bytes of payload that everybody takes without having said so (RFC 9113 section 6.5.2, SETTINGS_MAX_FRAME_SIZE).
pub const PAYLOAD_BYTES_DEFAULT: u32 = 1 << 14;
/// Bytes of payload that a header can announce: its length has 24 bits.
pub const PAYLOAD_BYTES_MAX: u32 = (1 << 24) - 1;
/// The largest stream identifier: it has 31 bits.
pub const STREAM_MAX: u32 = (1 << 31) - 1;

/// DATA and HEADERS: the sender's last frame of the stream.
pub const END_STREAM: u8 = 0x1;
/// SETTINGS and PING: an answer, not a question.
pub const ACK: u8 = 0x1;
/// HEADERS and CONTINUATION: the last frame of the field block.
pub const END_HEADERS: u8 = 0x4;
/// DATA and HEADERS: padding follows the content, and its length precedes it.
pub const PADDED: u8 = 0x8;
/// HEADERS: a dependency precedes the field block.
pub const PRIORITY: u8 = 0x20;

/// A frame's type (RFC 9113 section 6, RFC 9218 section 7.1). Any number is one: "implementations MUST ignore and discard frames
/// of unknown types".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Kind(pub u8);

impl Kind {
    /// Content of a message.
    pub const DATA: Kind = Kind(0x0);
    /// The beginning of a message, or its trailers.
    pub const HEADERS: Kind = Kind(0x1);
    /// A dependency, which RFC 9113 section 5.3.2 deprecated.
    pub const PRIORITY: Kind = Kind(0x2);
    /// The end of a stream before its time.
    pub const RST_STREAM: Kind = Kind(0x3);
    /// What the sender wants to be sent.
    pub const SETTINGS: Kind = Kind(0x4);
    /// A promise of an answer that nobody asked for.
    pub const PUSH_PROMISE: Kind = Kind(0x5);
    /// Is anybody there?
    pub const PING: Kind = Kind(0x6);
    /// The end of the connection, announced.
    pub const GOAWAY: Kind = Kind(0x7);
    /// Room for more DATA.
    pub const WINDOW_UPDATE: Kind = Kind(0x8);
    /// More of a field block.
    pub const CONTINUATION: Kind = Kind(0x9);
    /// The priority of a request, changed (RFC 9218 section 7.1).
    pub const PRIORITY_UPDATE: Kind = Kind(0x10);
}

/// The nine bytes before every payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// Bytes of the payload: at most [`PAYLOAD_BYTES_MAX`].
    pub length: u32,
    /// What the payload is.
    pub kind: Kind,
    /// What else is said about it; flags that a kind does not have mean nothing (RFC 9113 section 4.1).
    pub flags: u8,
    /// Whose it is: at most [`STREAM_MAX`], and 0 for the connection.
    pub stream: u32,
}

impl FrameHeader {
    /// The header in these bytes. Every nine bytes are one; the reserved bit "MUST be ignored when receiving" (section 4.1).
    #[inline]
    #[must_use]
    pub const fn parse(bytes: &[u8; HEADER_BYTES]) -> FrameHeader {
        FrameHeader {
            length: u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]),
            kind: Kind(bytes[3]),
            flags: bytes[4],
            stream: u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]) & STREAM_MAX,
        }
    }

    /// The bytes that say this header; what does not fit into 24 and 31 bits is cut off.
    #[inline]
    #[must_use]
    pub const fn bytes(self) -> [u8; HEADER_BYTES] {
        let [_, long, middle, short] = self.length.to_be_bytes();
        let [first, second, third, fourth] = (self.stream & STREAM_MAX).to_be_bytes();
        [
            long,
            middle,
            short,
            self.kind.0,
            self.flags,
            first,
            second,
            third,
            fourth,
        ]
    }

    /// Whether a flag is set.
    #[inline]
    #[must_use]
    pub const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// What is wrong with the frame as far as its header shows: asked before any of the payload is waited for, so that nobody
    /// makes us hold what will be refused anyhow.
    ///
    /// # Errors
    /// The payload is longer than our SETTINGS_MAX_FRAME_SIZE, or the length or the stream are none that the kind can have.
    #[inline]
    pub fn judge(self, payload_bytes_max: u32) -> Result<(), FrameFault> {
        // Section 4.2: FRAME_SIZE_ERROR for what exceeds SETTINGS_MAX_FRAME_SIZE. DATA may then end its stream only, but whoever
        // ignores this setting will do it again.
        if self.length > payload_bytes_max {
            return Err(FrameFault::TooLong);
        }
        self.shape()
    }

    /// The stream and the length that the kind asks for.
    #[inline]
    fn shape(self) -> Result<(), FrameFault> {
        let fault = match self.kind {
            Kind::DATA if self.stream == 0 => FrameFault::DataStreamZero,
            Kind::DATA if self.length == 0 && self.has(PADDED) => FrameFault::DataPaddingMissing,
            Kind::HEADERS if self.stream == 0 => FrameFault::HeadersStreamZero,
            Kind::PRIORITY if self.stream == 0 => FrameFault::PriorityStreamZero,
            Kind::PRIORITY if self.length != 5 => FrameFault::PriorityLength,
            Kind::RST_STREAM if self.stream == 0 => FrameFault::ResetStreamZero,
            Kind::RST_STREAM if self.length != 4 => FrameFault::ResetLength,
            Kind::SETTINGS if self.stream != 0 => FrameFault::SettingsStream,
            Kind::SETTINGS if self.has(ACK) && self.length != 0 => FrameFault::SettingsAckLength,
            Kind::SETTINGS if !self.length.is_multiple_of(6) => FrameFault::SettingsLength,
            Kind::PUSH_PROMISE => FrameFault::PushPromise,
            Kind::PING if self.stream != 0 => FrameFault::PingStream,
            Kind::PING if self.length != 8 => FrameFault::PingLength,
            Kind::GOAWAY if self.stream != 0 => FrameFault::GoAwayStream,
            Kind::GOAWAY if self.length < 8 => FrameFault::GoAwayLength,
            Kind::WINDOW_UPDATE if self.length != 4 => FrameFault::WindowUpdateLength,
            Kind::CONTINUATION if self.stream == 0 => FrameFault::ContinuationStreamZero,
            Kind::PRIORITY_UPDATE if self.stream != 0 => FrameFault::PriorityUpdateStream,
            Kind::PRIORITY_UPDATE if self.length < 4 => FrameFault::PriorityUpdateLength,
            _ => return Ok(()),
        };
        Err(fault)
    }
}

/// One frame, its payload borrowed. There is no PUSH_PROMISE: clients must not send one, and we, as a client, forbid it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// Content of a message (section 6.1).
    Data {
        /// Never 0.
        stream: u32,
        /// Whether the message ends here.
        end_stream: bool,
        /// The content, without padding.
        data: &'a [u8],
        /// What it costs of both windows: "the entire DATA frame payload is included in flow control, including the Pad Length
        /// and Padding fields if present".
        flow_bytes: u32,
    },
    /// The beginning of a message, or its trailers (section 6.2).
    Headers {
        /// Never 0.
        stream: u32,
        /// Whether the message ends with this field block.
        end_stream: bool,
        /// Whether the field block is complete; CONTINUATION follows at once if not.
        end_headers: bool,
        /// Deprecated, and checked nevertheless.
        dependency: Option<Dependency>,
        /// The field block, or its beginning.
        fragment: &'a [u8],
    },
    /// Deprecated (section 6.3).
    Priority {
        /// Never 0.
        stream: u32,
        /// On which stream it depends.
        dependency: Dependency,
    },
    /// The end of a stream before its time (section 6.4).
    Reset {
        /// Never 0.
        stream: u32,
        /// Why.
        code: ErrorCode,
    },
    /// What the peer wants to be sent (section 6.5).
    Settings(Entries<'a>),
    /// The peer has taken note of ours.
    SettingsAck,
    /// Is anybody there? (Section 6.7.)
    Ping {
        /// Whether it answers one of ours.
        ack: bool,
        /// What the answer must repeat.
        payload: [u8; 8],
    },
    /// The end of the connection, announced (section 6.8).
    GoAway {
        /// The last stream that was, or may yet be, acted upon.
        last_stream: u32,
        /// Why.
        code: ErrorCode,
        /// For whoever reads logs: anything at all.
        debug: &'a [u8],
    },
    /// Room for more DATA (section 6.9).
    WindowUpdate {
        /// 0 for the connection.
        stream: u32,
        /// Never 0, and at most 2^31-1.
        increment: u32,
    },
    /// More of a field block (section 6.10).
    Continuation {
        /// Never 0.
        stream: u32,
        /// Whether the field block is complete.
        end_headers: bool,
        /// More of it.
        fragment: &'a [u8],
    },
    /// The priority of a request, changed (RFC 9218 section 7.1).
    PriorityUpdate {
        /// The stream that is meant: never 0.
        stream: u32,
        /// What the `priority` field would say.
        value: &'a [u8],
    },
    /// Of a type that we do not know: to be ignored, except within a field block.
    Unknown {
        /// Which type.
        kind: Kind,
        /// Whose it is.
        stream: u32,
    },
}

impl<'a> Frame<'a> {
    /// The frame of `header` with its complete payload.
    ///
    /// # Errors
    /// Whatever is wrong with this frame by itself.
    #[inline]
    pub fn parse(header: FrameHeader, payload: &'a [u8]) -> Result<Frame<'a>, FrameFault> {
        debug_assert_eq!(header.length as usize, payload.len());
        // The payload's own length counts, so that nothing below depends on the caller.
        let header = FrameHeader {
            length: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            ..header
        };
        header.shape()?;
        let stream = header.stream;
        match header.kind {
            Kind::DATA => data(header, payload),
            Kind::HEADERS => headers(header, payload),
            Kind::PRIORITY => priority(stream, payload),
            Kind::RST_STREAM => {
                let (code, _) = split_u32(payload).ok_or(FrameFault::ResetLength)?;
                Ok(Frame::Reset {
                    stream,
                    code: ErrorCode(code),
                })
            }
            Kind::SETTINGS if header.has(ACK) => Ok(Frame::SettingsAck),
            Kind::SETTINGS => Ok(Frame::Settings(Entries::parse(payload)?)),
            Kind::PING => Ok(Frame::Ping {
                ack: header.has(ACK),
                payload: payload.try_into().map_err(|_| FrameFault::PingLength)?,
            }),
            Kind::GOAWAY => go_away(payload),
            Kind::WINDOW_UPDATE => window_update(stream, payload),
            Kind::CONTINUATION => Ok(Frame::Continuation {
                stream,
                end_headers: header.has(END_HEADERS),
                fragment: payload,
            }),
            Kind::PRIORITY_UPDATE => priority_update(payload),
            kind => Ok(Frame::Unknown { kind, stream }),
        }
    }
}

#[inline]
fn data(header: FrameHeader, payload: &[u8]) -> Result<Frame<'_>, FrameFault> {
    let data = if header.has(PADDED) {
        let (padding, rest) = payload
            .split_first()
            .ok_or(FrameFault::DataPaddingMissing)?;
        // Padding of the length of the frame's payload or more is a connection error. The length's own byte is part of the
        // payload, so padding that fills the rest of it, with no data at all, is fine.
        let data = rest.len().checked_sub(usize::from(*padding));
        &rest[..data.ok_or(FrameFault::DataPadding)?]
    } else {
        payload
    };
    Ok(Frame::Data {
        stream: header.stream,
        end_stream: header.has(END_STREAM),
        data,
        flow_bytes: header.length,
    })
}

fn headers(header: FrameHeader, payload: &[u8]) -> Result<Frame<'_>, FrameFault> {
    let mut rest = payload;
    let mut padding = 0;
    if header.has(PADDED) {
        let (length, after) = rest.split_first().ok_or(FrameFault::HeadersTruncated)?;
        padding = usize::from(*length);
        rest = after;
    }
    let mut dependency = None;
    if header.has(PRIORITY) {
        let (fields, after) = rest
            .split_first_chunk()
            .ok_or(FrameFault::HeadersTruncated)?;
        let fields = Dependency::parse(fields);
        if fields.stream == header.stream {
            return Err(FrameFault::HeadersSelfDependency);
        }
        dependency = Some(fields);
        rest = after;
    }
    let fragment = rest
        .len()
        .checked_sub(padding)
        .ok_or(FrameFault::HeadersPadding)?;
    Ok(Frame::Headers {
        stream: header.stream,
        end_stream: header.has(END_STREAM),
        end_headers: header.has(END_HEADERS),
        dependency,
        fragment: &rest[..fragment],
    })
}

fn priority(stream: u32, payload: &[u8]) -> Result<Frame<'_>, FrameFault> {
    let fields = payload.try_into().map_err(|_| FrameFault::PriorityLength)?;
    let dependency = Dependency::parse(fields);
    if dependency.stream == stream {
        return Err(FrameFault::PrioritySelfDependency);
    }
    Ok(Frame::Priority { stream, dependency })
}

fn go_away(payload: &[u8]) -> Result<Frame<'_>, FrameFault> {
    let (last_stream, rest) = split_u32(payload).ok_or(FrameFault::GoAwayLength)?;
    let (code, debug) = split_u32(rest).ok_or(FrameFault::GoAwayLength)?;
    Ok(Frame::GoAway {
        last_stream: last_stream & STREAM_MAX,
        code: ErrorCode(code),
        debug,
    })
}

#[inline]
fn window_update(stream: u32, payload: &[u8]) -> Result<Frame<'_>, FrameFault> {
    let (increment, _) = split_u32(payload).ok_or(FrameFault::WindowUpdateLength)?;
    match (increment & STREAM_MAX, stream) {
        (0, 0) => Err(FrameFault::ConnectionIncrementZero),
        (0, _) => Err(FrameFault::StreamIncrementZero),
        (increment, _) => Ok(Frame::WindowUpdate { stream, increment }),
    }
}

fn priority_update(payload: &[u8]) -> Result<Frame<'_>, FrameFault> {
    let (stream, value) = split_u32(payload).ok_or(FrameFault::PriorityUpdateLength)?;
    match stream & STREAM_MAX {
        0 => Err(FrameFault::PriorityUpdateOfStreamZero),
        stream => Ok(Frame::PriorityUpdate { stream, value }),
    }
}

#[inline]
fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    const MAX: u32 = PAYLOAD_BYTES_DEFAULT;

    /// A frame's bytes.
    fn bytes(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let header = FrameHeader {
            length: payload.len() as u32,
            kind: Kind(kind),
            flags,
            stream,
        };
        [&header.bytes(), payload].concat()
    }

    /// The first frame in `bytes`, judged as a connection would, and what is behind it.
    fn next(bytes: &[u8]) -> Result<(Frame<'_>, &[u8]), FrameFault> {
        let (header, rest) = bytes.split_first_chunk().unwrap();
        let header = FrameHeader::parse(header);
        let judged = header.judge(MAX);
        let (payload, rest) = rest.split_at(header.length as usize);
        let parsed = Frame::parse(header, payload);
        if let Err(fault) = judged {
            // What the header shows by itself, the whole frame shows too, except how long we let it be.
            assert!(fault == FrameFault::TooLong || parsed == Err(fault));
            return Err(fault);
        }
        parsed.map(|frame| (frame, rest))
    }

    pub(super) fn one(bytes: &[u8]) -> Result<Frame<'_>, FrameFault> {
        next(bytes).map(|(frame, rest)| {
            assert!(rest.is_empty());
            frame
        })
    }

    pub(super) fn all(mut bytes: &[u8]) -> Vec<Frame<'_>> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let (frame, rest) = next(bytes).unwrap();
            frames.push(frame);
            bytes = rest;
        }
        frames
    }

    fn fault(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Option<FrameFault> {
        one(&bytes(kind, flags, stream, payload)).err()
    }

    #[test]
    fn a_header_is_24_bits_of_length_type_flags_and_31_bits_of_stream() {
        let wire = [0x01, 0x02, 0x03, 0x09, 0x04, 0x7f, 0xff, 0xff, 0xfe];
        let header = FrameHeader::parse(&wire);
        assert_eq!(
            header,
            FrameHeader {
                length: 0x010203,
                kind: Kind::CONTINUATION,
                flags: END_HEADERS,
                stream: 0x7fff_fffe
            }
        );
        assert_eq!(header.bytes(), wire);
        // Section 4.1: the reserved bit must be ignored by whoever receives it.
        let mut reserved = wire;
        reserved[5] |= 0x80;
        assert_eq!(FrameHeader::parse(&reserved), header);
    }

    #[test]
    fn a_frame_longer_than_we_allow_is_refused_by_its_header() {
        // Section 4.2: FRAME_SIZE_ERROR for more than SETTINGS_MAX_FRAME_SIZE.
        for kind in 0..=255 {
            let header = FrameHeader {
                length: MAX + 1,
                kind: Kind(kind),
                flags: 0,
                stream: 1,
            };
            assert_eq!(header.judge(MAX), Err(FrameFault::TooLong));
            assert_ne!(header.judge(MAX + 1), Err(FrameFault::TooLong));
        }
    }

    #[test]
    fn frames_of_a_stream_and_of_the_connection_are_not_mixed_up() {
        // Section 6: for each type, what a stream identifier of 0, or of anything else, must be treated as.
        let of_stream = [
            (0x0, &b"x"[..], FrameFault::DataStreamZero),
            (0x1, b"", FrameFault::HeadersStreamZero),
            (0x2, &[0; 5], FrameFault::PriorityStreamZero),
            (0x3, &[0; 4], FrameFault::ResetStreamZero),
            (0x9, b"", FrameFault::ContinuationStreamZero),
        ];
        for (kind, payload, expected) in of_stream {
            assert_eq!(fault(kind, 0, 0, payload), Some(expected));
            assert_eq!(fault(kind, 0, 1, payload), None);
            assert_eq!(fault(kind, 0, STREAM_MAX, payload), None);
        }
        let of_connection = [
            (0x4, &[][..], FrameFault::SettingsStream),
            (0x6, &[0; 8], FrameFault::PingStream),
            (0x7, &[0; 8], FrameFault::GoAwayStream),
            (0x10, &[0, 0, 0, 1], FrameFault::PriorityUpdateStream),
        ];
        for (kind, payload, expected) in of_connection {
            assert_eq!(fault(kind, 0, 0, payload), None);
            assert_eq!(fault(kind, 0, 1, payload), Some(expected));
        }
        // WINDOW_UPDATE may be either (section 6.9).
        assert_eq!(fault(0x8, 0, 0, &[0, 0, 0, 1]), None);
        assert_eq!(fault(0x8, 0, 1, &[0, 0, 0, 1]), None);
    }

    #[test]
    fn frames_of_a_fixed_length_have_it() {
        // Section 6.3, 6.4, 6.5, 6.7, 6.8, 6.9 and RFC 9218 section 7.1: FRAME_SIZE_ERROR for any other length.
        for length in 0..40 {
            let mut payload = vec![0; length];
            // So that no increment and no stream that is meant is 0.
            payload
                .iter_mut()
                .skip(3)
                .take(1)
                .for_each(|byte| *byte = 9);
            let faulty = |kind, flags, stream| fault(kind, flags, stream, &payload);
            let unless = |fits: bool, fault| (!fits).then_some(fault);
            assert_eq!(
                faulty(0x2, 0, 1),
                unless(length == 5, FrameFault::PriorityLength)
            );
            assert_eq!(
                faulty(0x3, 0, 1),
                unless(length == 4, FrameFault::ResetLength)
            );
            assert_eq!(
                faulty(0x4, 0, 0),
                unless(length % 6 == 0, FrameFault::SettingsLength)
            );
            assert_eq!(
                faulty(0x4, ACK, 0),
                unless(length == 0, FrameFault::SettingsAckLength)
            );
            assert_eq!(
                faulty(0x6, 0, 0),
                unless(length == 8, FrameFault::PingLength)
            );
            assert_eq!(
                faulty(0x6, ACK, 0),
                unless(length == 8, FrameFault::PingLength)
            );
            assert_eq!(
                faulty(0x7, 0, 0),
                unless(length >= 8, FrameFault::GoAwayLength)
            );
            assert_eq!(
                faulty(0x8, 0, 1),
                unless(length == 4, FrameFault::WindowUpdateLength)
            );
            assert_eq!(
                faulty(0x10, 0, 0),
                unless(length >= 4, FrameFault::PriorityUpdateLength)
            );
        }
    }

    #[test]
    fn padding_of_data_may_fill_its_payload_and_not_exceed_it() {
        // Section 6.1: padding as long as the payload or longer is PROTOCOL_ERROR.
        for data in 0..4usize {
            for padding in 0..6usize {
                let mut payload = vec![0; 1 + data + padding];
                payload[1..=data].fill(b'd');
                payload[0] = padding as u8;
                let wire = bytes(0x0, PADDED | END_STREAM, 7, &payload);
                let frame = Frame::Data {
                    stream: 7,
                    end_stream: true,
                    data: &payload[1..=data],
                    // Section 6.9: all of the payload counts, the padding and its length included.
                    flow_bytes: payload.len() as u32,
                };
                assert_eq!(one(&wire), Ok(frame));
                payload[0] = payload.len() as u8;
                let longer = fault(0x0, PADDED, 7, &payload);
                assert_eq!(longer, Some(FrameFault::DataPadding));
            }
        }
        assert_eq!(
            fault(0x0, PADDED, 7, &[255; 255]),
            Some(FrameFault::DataPadding)
        );
        assert_eq!(fault(0x0, PADDED, 7, &[255; 256]), None);
        // Section 4.2: too small for the length of the padding.
        assert_eq!(
            fault(0x0, PADDED, 7, &[]),
            Some(FrameFault::DataPaddingMissing)
        );
        assert_eq!(fault(0x0, 0, 7, &[]), None);
    }

    #[test]
    fn headers_have_room_for_what_their_flags_announce() {
        // Section 6.2: padding beyond what is left is PROTOCOL_ERROR; too short is FRAME_SIZE_ERROR of the connection (4.2).
        for (flags, payload, expected) in [
            (PADDED, &[][..], Some(FrameFault::HeadersTruncated)),
            (PADDED, &[0], None),
            (PADDED, &[1], Some(FrameFault::HeadersPadding)),
            (PADDED, &[3, 0x82, 0], Some(FrameFault::HeadersPadding)),
            (PADDED, &[2, 0x82, 0], None),
            (PADDED, &[1, 0x82, 0], None),
            (PRIORITY, &[0, 0, 0, 3], Some(FrameFault::HeadersTruncated)),
            (PRIORITY, &[0, 0, 0, 3, 15], None),
            (
                PADDED | PRIORITY,
                &[0, 0, 0, 0, 3],
                Some(FrameFault::HeadersTruncated),
            ),
            (
                PADDED | PRIORITY,
                &[1, 0, 0, 0, 3, 15],
                Some(FrameFault::HeadersPadding),
            ),
            (PADDED | PRIORITY, &[1, 0, 0, 0, 3, 15, 0], None),
        ] {
            assert_eq!(fault(0x1, flags, 5, payload), expected, "{payload:?}");
        }
        let wire = bytes(
            0x1,
            PADDED | PRIORITY | END_HEADERS | END_STREAM,
            5,
            &[2, 0x80, 0, 0, 3, 15, 0x82, 0x87, 0, 0],
        );
        assert_eq!(
            one(&wire),
            Ok(Frame::Headers {
                stream: 5,
                end_stream: true,
                end_headers: true,
                dependency: Some(Dependency {
                    exclusive: true,
                    stream: 3,
                    weight: 15
                }),
                fragment: &[0x82, 0x87],
            })
        );
    }

    #[test]
    fn no_stream_depends_on_itself() {
        // RFC 7540 section 5.3.1.
        let itself = [0x80, 0, 0, 5, 0];
        let headers = fault(0x1, PRIORITY, 5, &itself);
        assert_eq!(headers, Some(FrameFault::HeadersSelfDependency));
        let priority = fault(0x2, 0, 5, &itself);
        assert_eq!(priority, Some(FrameFault::PrioritySelfDependency));
        assert_eq!(fault(0x1, PRIORITY, 7, &itself), None);
    }

    #[test]
    fn a_window_opens_by_something() {
        // Section 6.9: an increment of 0 is PROTOCOL_ERROR, of the stream or of the connection. The reserved bit is none of it.
        for zero in [[0, 0, 0, 0], [0x80, 0, 0, 0]] {
            let connection = fault(0x8, 0, 0, &zero);
            assert_eq!(connection, Some(FrameFault::ConnectionIncrementZero));
            let stream = fault(0x8, 0, 3, &zero);
            assert_eq!(stream, Some(FrameFault::StreamIncrementZero));
        }
        assert_eq!(
            one(&bytes(0x8, 0, 3, &[0xff; 4])),
            Ok(Frame::WindowUpdate {
                stream: 3,
                increment: STREAM_MAX
            })
        );
    }

    #[test]
    fn settings_in_a_frame_are_in_their_ranges() {
        let enable_push = fault(0x4, 0, 0, &[0, 2, 0, 0, 0, 2]);
        assert_eq!(enable_push, Some(FrameFault::SettingsEnablePush));
        assert_eq!(one(&bytes(0x4, ACK, 0, &[])), Ok(Frame::SettingsAck));
    }

    #[test]
    fn nobody_pushes_to_us() {
        // Section 8.4: a server must treat PUSH_PROMISE as PROTOCOL_ERROR; section 6.6: so must a client that forbade it.
        for payload in [&[][..], &[0, 0, 0, 2], &[0; 100]] {
            assert_eq!(fault(0x5, 0, 1, payload), Some(FrameFault::PushPromise));
        }
    }

    #[test]
    fn a_priority_update_means_a_stream() {
        // RFC 9218 section 7.1: stream 0 cannot be prioritised. The reserved bit is none of it.
        let none = fault(0x10, 0, 0, &[0x80, 0, 0, 0, b'i']);
        assert_eq!(none, Some(FrameFault::PriorityUpdateOfStreamZero));
        assert_eq!(
            one(&bytes(0x10, 0, 0, b"\x80\0\0\x05u=0")),
            Ok(Frame::PriorityUpdate {
                stream: 5,
                value: b"u=0"
            })
        );
    }

    #[test]
    fn frames_and_flags_that_nobody_knows_mean_nothing() {
        // Section 4.1: unknown types must be ignored, and flags that a type does not define too.
        for kind in (0x0a..0x10).chain(0x11..=0xff) {
            for stream in [0, 1] {
                let frame = Frame::Unknown {
                    kind: Kind(kind),
                    stream,
                };
                assert_eq!(one(&bytes(kind, 0xff, stream, b"whatever")), Ok(frame));
            }
        }
        assert_eq!(
            one(&bytes(0x9, !END_HEADERS, 1, b"\x82")),
            Ok(Frame::Continuation {
                stream: 1,
                end_headers: false,
                fragment: b"\x82"
            })
        );
        assert_eq!(fault(0x3, 0xff, 1, &[0; 4]), None);
        assert_eq!(fault(0x6, !ACK, 0, &[0; 8]), None);
    }

    #[test]
    fn every_prefix_of_a_payload_is_a_frame_or_a_fault() {
        let payload = [7; 64];
        for kind in 0..=0x20 {
            for flags in 0..=255 {
                for length in 0..payload.len() {
                    for stream in [0, 1, 0x0707_0707] {
                        let _ = one(&bytes(kind, flags, stream, &payload[..length]));
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn random_bytes_are_a_frame_or_a_fault_and_never_more(
            kind in prop_oneof![0..0x11u8, any::<u8>()], flags: u8, stream: u32,
            payload in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let wire = bytes(kind, flags, stream, &payload);
            match one(&wire) {
                Ok(Frame::Data { data, flow_bytes, .. }) => {
                    prop_assert!(data.len() <= payload.len() && flow_bytes as usize == payload.len());
                }
                Ok(Frame::Headers { fragment, .. }) => prop_assert!(fragment.len() <= payload.len()),
                Ok(Frame::WindowUpdate { increment, .. }) => prop_assert!(increment > 0 && increment <= STREAM_MAX),
                Ok(_) | Err(_) => {}
            }
        }

        #[test]
        fn any_nine_bytes_are_a_header_that_is_written_back_without_its_reserved_bit(wire: [u8; HEADER_BYTES]) {
            let mut expected = wire;
            expected[5] &= 0x7f;
            prop_assert_eq!(FrameHeader::parse(&wire).bytes(), expected);
        }
    }
}
