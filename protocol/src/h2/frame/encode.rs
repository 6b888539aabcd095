//! Writing frames, one function for each kind, for servers and for clients. All append to `out` and none of them can fail:
//! what does not fit into one frame is split where the RFC has a way to split it, and cut off where it is only for reading.
//!
//! A field block is best written where it will stand: [`begin_headers`] leaves room for the header, the encoder appends the
//! block, and [`finish_headers`] fills the header in, so that a response's head is never copied.

use super::{
    ACK, END_HEADERS, END_STREAM, FrameHeader, HEADER_BYTES, Kind, PAYLOAD_BYTES_DEFAULT,
    PAYLOAD_BYTES_MAX, STREAM_MAX,
};
use crate::h2::error_code::ErrorCode;
use crate::h2::priority::Dependency;
use crate::h2::settings::Id;

/// Writes DATA frames (section 6.1) with all of `data`, the last of them with `end_stream`; a single empty one if there is none.
pub fn encode_data(
    stream: u32,
    end_stream: bool,
    data: &[u8],
    payload_bytes_max: u32,
    out: &mut Vec<u8>,
) {
    let mut rest = data;
    loop {
        let (piece, after) = rest.split_at(rest.len().min(payload_bytes(payload_bytes_max)));
        rest = after;
        encode_data_header(stream, end_stream && rest.is_empty(), piece.len(), out);
        out.extend_from_slice(piece);
        if rest.is_empty() {
            return;
        }
    }
}

/// Writes the header of a DATA frame whose `data_bytes` the caller sends behind it from elsewhere. They must fit into one frame.
#[inline]
pub fn encode_data_header(stream: u32, end_stream: bool, data_bytes: usize, out: &mut Vec<u8>) {
    let flags = if end_stream { END_STREAM } else { 0 };
    push_header(Kind::DATA, flags, stream, data_bytes, out);
}

/// Leaves room for the header of a HEADERS frame, and says where. The field block is to be appended behind it.
#[inline]
#[must_use]
pub fn begin_headers(out: &mut Vec<u8>) -> usize {
    let begin = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    begin
}

/// Makes everything behind `begin`, which `begin_headers` gave, one field block: HEADERS (section 6.2), and CONTINUATION (section
/// 6.10) where it is longer than a frame.
#[inline]
pub fn finish_headers(
    begin: usize,
    stream: u32,
    end_stream: bool,
    payload_bytes_max: u32,
    out: &mut Vec<u8>,
) {
    let piece = payload_bytes(payload_bytes_max);
    let block = out.len().saturating_sub(begin + HEADER_BYTES);
    let end_stream = if end_stream { END_STREAM } else { 0 };
    if block <= piece {
        put_header(
            Kind::HEADERS,
            end_stream | END_HEADERS,
            stream,
            block,
            out,
            begin,
        );
    } else {
        split_headers(begin, stream, end_stream, piece, out);
    }
}

/// Moves the pieces apart and puts a header before each. From the last to the first: each moves by a header for every piece
/// before it, to where the next one has already left.
fn split_headers(begin: usize, stream: u32, end_stream: u8, piece: usize, out: &mut Vec<u8>) {
    let block_begin = begin + HEADER_BYTES;
    let block = out.len() - block_begin;
    let last = (block - 1) / piece;
    out.resize(out.len() + last * HEADER_BYTES, 0);
    for index in (0..=last).rev() {
        let from = block_begin + index * piece;
        let len = piece.min(block - index * piece);
        let to = from + index * HEADER_BYTES;
        out.copy_within(from..from + len, to);
        let (kind, flags) = match index {
            0 => (Kind::HEADERS, end_stream),
            _ if index == last => (Kind::CONTINUATION, END_HEADERS),
            _ => (Kind::CONTINUATION, 0),
        };
        put_header(kind, flags, stream, len, out, to - HEADER_BYTES);
    }
}

/// Writes a field block that stands elsewhere: HEADERS, and CONTINUATION where it is longer than a frame.
pub fn encode_headers(
    stream: u32,
    end_stream: bool,
    block: &[u8],
    payload_bytes_max: u32,
    out: &mut Vec<u8>,
) {
    let begin = begin_headers(out);
    out.extend_from_slice(block);
    finish_headers(begin, stream, end_stream, payload_bytes_max, out);
}

/// Writes PRIORITY (section 6.3).
pub fn encode_priority(stream: u32, dependency: Dependency, out: &mut Vec<u8>) {
    push_header(Kind::PRIORITY, 0, stream, 5, out);
    out.extend_from_slice(&dependency.bytes());
}

/// Writes RST_STREAM (section 6.4).
pub fn encode_reset(stream: u32, code: ErrorCode, out: &mut Vec<u8>) {
    push_header(Kind::RST_STREAM, 0, stream, 4, out);
    out.extend_from_slice(&code.0.to_be_bytes());
}

/// Writes SETTINGS (section 6.5). There are fewer settings than fit into a frame.
pub fn encode_settings(settings: &[(Id, u32)], out: &mut Vec<u8>) {
    push_header(Kind::SETTINGS, 0, 0, settings.len() * 6, out);
    for (id, value) in settings {
        out.extend_from_slice(&id.0.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Writes the acknowledgement of the peer's SETTINGS.
pub fn encode_settings_ack(out: &mut Vec<u8>) {
    push_header(Kind::SETTINGS, ACK, 0, 0, out);
}

/// Writes PING (section 6.7): a question, or with `ack` the answer to one of the same payload.
pub fn encode_ping(ack: bool, payload: [u8; 8], out: &mut Vec<u8>) {
    push_header(Kind::PING, if ack { ACK } else { 0 }, 0, payload.len(), out);
    out.extend_from_slice(&payload);
}

/// Writes GOAWAY (section 6.8). Debug data beyond what every peer takes in one frame is left out.
pub fn encode_go_away(last_stream: u32, code: ErrorCode, debug: &[u8], out: &mut Vec<u8>) {
    let debug = &debug[..debug.len().min(PAYLOAD_BYTES_DEFAULT as usize - 8)];
    push_header(Kind::GOAWAY, 0, 0, 8 + debug.len(), out);
    out.extend_from_slice(&(last_stream & STREAM_MAX).to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(debug);
}

/// Writes WINDOW_UPDATE (section 6.9), of the connection where `stream` is 0. An increment of 0 would be our fault, and above
/// 2^31-1 it cannot be said.
#[inline]
pub fn encode_window_update(stream: u32, increment: u32, out: &mut Vec<u8>) {
    debug_assert!((1..=STREAM_MAX).contains(&increment));
    push_header(Kind::WINDOW_UPDATE, 0, stream, 4, out);
    out.extend_from_slice(&(increment & STREAM_MAX).to_be_bytes());
}

/// Writes PRIORITY_UPDATE (RFC 9218 section 7.1). A value beyond what every peer takes in one frame is left out.
pub fn encode_priority_update(stream: u32, value: &[u8], out: &mut Vec<u8>) {
    let value = &value[..value.len().min(PAYLOAD_BYTES_DEFAULT as usize - 4)];
    push_header(Kind::PRIORITY_UPDATE, 0, 0, 4 + value.len(), out);
    out.extend_from_slice(&(stream & STREAM_MAX).to_be_bytes());
    out.extend_from_slice(value);
}

/// A bound on payloads that lets every split come to an end.
fn payload_bytes(payload_bytes_max: u32) -> usize {
    payload_bytes_max.clamp(1, PAYLOAD_BYTES_MAX) as usize
}

#[inline]
fn header_bytes(kind: Kind, flags: u8, stream: u32, length: usize) -> [u8; HEADER_BYTES] {
    debug_assert!(length <= PAYLOAD_BYTES_MAX as usize);
    let header = FrameHeader {
        length: length as u32,
        kind,
        flags,
        stream,
    };
    header.bytes()
}

#[inline]
fn push_header(kind: Kind, flags: u8, stream: u32, length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&header_bytes(kind, flags, stream, length));
}

#[inline]
fn put_header(kind: Kind, flags: u8, stream: u32, length: usize, out: &mut [u8], at: usize) {
    if let Some(place) = out.get_mut(at..at + HEADER_BYTES) {
        place.copy_from_slice(&header_bytes(kind, flags, stream, length));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::h2::frame::Frame;
    use crate::h2::frame::tests::{all, one};
    use proptest::prelude::*;

    const MAX: u32 = PAYLOAD_BYTES_DEFAULT;

    #[test]
    fn frames_are_written_as_the_rfc_draws_them() {
        let mut out = Vec::new();
        encode_reset(3, ErrorCode::CANCEL, &mut out);
        assert_eq!(out, [0, 0, 4, 3, 0, 0, 0, 0, 3, 0, 0, 0, 8]);
        out.clear();
        encode_go_away(5, ErrorCode::ENHANCE_YOUR_CALM, b"h2_reset_burst", &mut out);
        assert_eq!(out[..9], [0, 0, 22, 7, 0, 0, 0, 0, 0]);
        assert_eq!(out[9..17], [0, 0, 0, 5, 0, 0, 0, 11]);
        assert_eq!(&out[17..], b"h2_reset_burst");
        out.clear();
        encode_settings_ack(&mut out);
        encode_ping(true, *b"12345678", &mut out);
        encode_window_update(1, 32_768, &mut out);
        assert_eq!(out[..9], [0, 0, 0, 4, 1, 0, 0, 0, 0]);
        assert_eq!(&out[9..26], b"\0\0\x08\x06\x01\0\0\0\x0012345678");
        assert_eq!(out[26..], [0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0, 0x80, 0]);
    }

    #[test]
    fn a_body_that_ends_without_data_ends_with_an_empty_frame() {
        let mut out = Vec::new();
        encode_data(9, true, b"", MAX, &mut out);
        assert_eq!(out, [0, 0, 0, 0, 1, 0, 0, 0, 9]);
    }

    #[test]
    fn what_is_only_for_reading_is_cut_to_what_every_peer_takes() {
        let mut out = Vec::new();
        encode_go_away(1, ErrorCode::NO_ERROR, &[b'x'; 20_000], &mut out);
        assert_eq!(out.len(), HEADER_BYTES + MAX as usize);
        assert!(one(&out).is_ok());
        out.clear();
        encode_priority_update(1, &[b'x'; 20_000], &mut out);
        assert_eq!(out.len(), HEADER_BYTES + MAX as usize);
        assert!(one(&out).is_ok());
    }

    fn stream() -> impl Strategy<Value = u32> {
        1..=STREAM_MAX
    }

    proptest! {
        #[test]
        fn data_is_read_as_it_was_written_however_it_is_split(
            stream in stream(), end: bool, max in 1..200u32, data in prop::collection::vec(any::<u8>(), 0..1_000),
        ) {
            let mut out = vec![b'-'];
            encode_data(stream, end, &data, max, &mut out);
            let frames = all(&out[1..]);
            prop_assert_eq!(frames.len(), data.len().div_ceil(max as usize).max(1));
            let mut read = Vec::new();
            for (place, frame) in frames.iter().enumerate() {
                let Frame::Data { stream: of, end_stream, data, flow_bytes } = frame else {
                    panic!("{frame:?}");
                };
                prop_assert_eq!((*of, *flow_bytes), (stream, data.len() as u32));
                prop_assert!(data.len() <= max as usize);
                prop_assert_eq!(*end_stream, end && place + 1 == frames.len());
                read.extend_from_slice(data);
            }
            prop_assert_eq!(read, data);
        }

        #[test]
        fn a_field_block_is_read_as_it_was_written_however_it_is_split(
            stream in stream(), end: bool, max in 1..200u32, block in prop::collection::vec(any::<u8>(), 0..1_000),
        ) {
            let mut out = b"before".to_vec();
            encode_headers(stream, end, &block, max, &mut out);
            prop_assert_eq!(&out[..6], b"before");
            let frames = all(&out[6..]);
            prop_assert_eq!(frames.len(), block.len().div_ceil(max as usize).max(1));
            let mut read = Vec::new();
            for (place, frame) in frames.iter().enumerate() {
                let last = place + 1 == frames.len();
                let fragment = match frame {
                    Frame::Headers { stream: of, end_stream, end_headers, dependency: None, fragment } => {
                        prop_assert!(place == 0 && *of == stream && *end_stream == end && *end_headers == last);
                        fragment
                    }
                    Frame::Continuation { stream: of, end_headers, fragment } => {
                        prop_assert!(place > 0 && *of == stream && *end_headers == last);
                        fragment
                    }
                    _ => panic!("{frame:?}"),
                };
                prop_assert!(fragment.len() <= max as usize);
                read.extend_from_slice(fragment);
            }
            prop_assert_eq!(read, block);
        }

        #[test]
        fn frames_of_one_piece_are_read_as_they_were_written(
            stream in stream(), number: u32, increment in 1..=STREAM_MAX, flag: bool, payload: [u8; 8],
            text in prop::collection::vec(any::<u8>(), 0..100), weight: u8,
        ) {
            let mut out = Vec::new();
            let code = ErrorCode(number);
            // On any stream but itself.
            let dependency = Dependency { exclusive: flag, stream: (stream ^ 1) & STREAM_MAX, weight };
            encode_reset(stream, code, &mut out);
            encode_ping(flag, payload, &mut out);
            encode_go_away(stream, code, &text, &mut out);
            encode_window_update(stream, increment, &mut out);
            encode_window_update(0, increment, &mut out);
            encode_priority(stream, dependency, &mut out);
            encode_priority_update(stream, &text, &mut out);
            encode_settings_ack(&mut out);
            encode_data_header(stream, flag, text.len(), &mut out);
            out.extend_from_slice(&text);
            let expected = [
                Frame::Reset { stream, code },
                Frame::Ping { ack: flag, payload },
                Frame::GoAway { last_stream: stream, code, debug: &text },
                Frame::WindowUpdate { stream, increment },
                Frame::WindowUpdate { stream: 0, increment },
                Frame::Priority { stream, dependency },
                Frame::PriorityUpdate { stream, value: &text },
                Frame::SettingsAck,
                Frame::Data { stream, end_stream: flag, data: &text, flow_bytes: text.len() as u32 },
            ];
            prop_assert_eq!(all(&out), expected);
        }

        #[test]
        fn settings_are_read_as_they_were_written(
            settings in prop::collection::vec((10..u16::MAX, any::<u32>()), 0..50),
        ) {
            let settings: Vec<(Id, u32)> = settings.into_iter().map(|(id, value)| (Id(id), value)).collect();
            let mut out = Vec::new();
            encode_settings(&settings, &mut out);
            let frames = all(&out);
            let [Frame::Settings(entries)] = frames.as_slice() else {
                panic!("{frames:?}");
            };
            prop_assert_eq!(entries.count(), settings.len());
            prop_assert_eq!(entries.iter().collect::<Vec<_>>(), settings);
        }
    }
}
