//! Anything at all, in any pieces.

use super::driver::{OK, data, frame, go_away, headers, literal, reset, settings, window_update};
use lanner_protocol::client::fuzz::fuzz_http2;
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::{ACK, Kind, PADDED};
use lanner_protocol::h2::settings::Id;
use proptest::prelude::*;

/// Frames that a server might send, sound and broken. Streams are small numbers, so that they meet those that are open.
fn server_frame() -> impl Strategy<Value = Vec<u8>> {
    let stream = prop_oneof![8 => (0..5u32).prop_map(|number| 2 * number + 1), 1 => 0..12u32];
    let status = prop::sample::select(vec!["100", "103", "200", "204", "304", "404", "101", "x"]);
    let code = prop::sample::select(vec![
        ErrorCode::NO_ERROR,
        ErrorCode::REFUSED_STREAM,
        ErrorCode::CANCEL,
    ]);
    prop_oneof![
        6 => (stream.clone(), any::<bool>(), status, prop::option::of(0..9u32)).prop_map(|(stream, end, status, length)| {
            let mut block = literal(b":status", status.as_bytes());
            if let Some(length) = length {
                block.extend(literal(b"content-length", length.to_string().as_bytes()));
            }
            headers(stream, end, &block)
        }),
        3 => (stream.clone(), any::<bool>()).prop_map(|(stream, end)| headers(stream, end, OK)),
        6 => (stream.clone(), any::<bool>(), prop_oneof![0..9usize, 0..16_385usize])
            .prop_map(|(stream, end, len)| data(stream, end, &vec![b'x'; len])),
        1 => (stream.clone(), 0..12u8).prop_map(|(stream, padding)| {
            frame(Kind::DATA, PADDED, stream, &[padding, 0, 0, 0, 0, 0, 0])
        }),
        1 => stream.clone().prop_map(|stream| headers(stream, true, &literal(b"x-trailer", b"1"))),
        1 => (stream.clone(), code.clone()).prop_map(|(stream, code)| reset(stream, code)),
        2 => (prop_oneof![Just(0), stream.clone()], prop_oneof![0..100_000u32, any::<u32>()])
            .prop_map(|(stream, increment)| window_update(stream, increment)),
        1 => (0..10u16, prop_oneof![0..70_000u32, any::<u32>()]).prop_map(|(id, value)| settings(&[(Id(id), value)])),
        1 => Just(frame(Kind::SETTINGS, ACK, 0, &[])),
        1 => Just(frame(Kind::PING, 0, 0, &[7; 8])),
        1 => (stream.clone(), code).prop_map(|(stream, code)| go_away(stream, code)),
        1 => (stream.clone(), any::<bool>()).prop_map(|(stream, ends)| {
            [frame(Kind::HEADERS, 0, stream, OK), frame(Kind::CONTINUATION, if ends { 4 } else { 0 }, stream, &literal(b"a", b"b"))].concat()
        }),
        1 => (0..18u8, any::<u8>(), stream, prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(kind, flags, stream, payload)| frame(Kind(kind), flags, stream, &payload)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_a_server_sends_the_bounds_hold(
        front in any::<[u8; 2]>(), frames in prop::collection::vec(server_frame(), 0..20), cut in any::<usize>(),
    ) {
        let mut bytes = [&front[..], &[1], &frames.concat()].concat();
        fuzz_http2(&bytes);
        bytes.truncate(cut % (bytes.len() + 1));
        fuzz_http2(&bytes);
    }

    #[test]
    fn random_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz_http2(&bytes);
        // As the payload of frames that are well-formed outside.
        for kind in [Kind::HEADERS, Kind::SETTINGS, Kind::GOAWAY, Kind::DATA] {
            fuzz_http2(&[&[4, 200, 1][..], &frame(kind, 4, 1, &bytes)].concat());
        }
    }
}
