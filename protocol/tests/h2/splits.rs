//! However the bytes arrive, they mean the same.

use crate::driver::{Driver, Seen};
use crate::wire::{self, data, greeting, literal, ping, request, reset, settings, window_update};
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::{self, Kind};
use lanner_protocol::h2::settings::Id;

/// Conversations with everything in them that depends on where a frame ends.
fn conversations() -> Vec<Vec<u8>> {
    let mut wire = wire::Wire::new();
    let mut first = greeting();
    first.extend(wire.get(1));
    first.extend(wire.post(3));
    first.extend(data(3, false, b"some content"));
    first.extend(wire::frame(Kind::DATA, frame::PADDED, 3, b"\x03abc\0\0\0"));
    first.extend(ping(false, *b"whatever"));
    first.extend(wire.post(5));
    first.extend(data(5, true, b"interleaved"));
    first.extend(wire.headers(3, true, &[("trailer-field", "1")]));
    first.extend(settings(&[(Id::INITIAL_WINDOW_SIZE, 100_000)]));
    first.extend(window_update(0, 5));
    first.extend(wire.headers(7, true, &request("GET", "/%")));
    first.extend(reset(5, ErrorCode::CANCEL));

    let mut wire = wire::Wire::new();
    let mut second = greeting();
    let block = wire.block(&request("PUT", "/in/pieces"));
    second.extend(wire::frame(Kind::HEADERS, 0, 1, &block[..3]));
    second.extend(wire::frame(Kind::CONTINUATION, 0, 1, &block[3..7]));
    second.extend(wire::frame(
        Kind::CONTINUATION,
        frame::END_HEADERS,
        1,
        &block[7..],
    ));
    second.extend(wire::frame(Kind(0x77), 0xff, 1, b"unknown"));
    second.extend(wire::frame(
        Kind::DATA,
        frame::PADDED | frame::END_STREAM,
        1,
        b"\x02\0\0",
    ));
    second.extend(wire::headers(3, true, &literal(b"no-pseudo", b"x")));
    second.extend(data(3, false, b"of a stream that was reset"));
    second.extend(wire::frame(Kind::GOAWAY, 0, 0, &[0; 12]));

    let mut third = greeting();
    third.extend(data(1, false, b"idle"));
    vec![first, second, third]
}

fn join(seen: &mut Vec<Seen>, more: Vec<Seen>) {
    for event in more {
        match (seen.last_mut(), event) {
            (
                Some(Seen::Data {
                    stream,
                    bytes,
                    last,
                }),
                Seen::Data {
                    stream: same,
                    bytes: more,
                    last: ends,
                },
            ) if *stream == same && !*last => {
                bytes.extend_from_slice(&more);
                *last = ends;
            }
            (Some(Seen::Closing), Seen::Closing) => {}
            (_, event) => seen.push(event),
        }
    }
}

#[test]
fn every_conversation_means_the_same_at_every_split_and_byte_by_byte() {
    for conversation in conversations() {
        let mut whole = Driver::silent(|_| {});
        let expected = whole.send(&conversation);
        let answered = whole.got();
        assert!(expected.len() > 1 || !whole.is_open());
        for split in 0..=conversation.len() {
            let mut driver = Driver::silent(|_| {});
            let mut seen = driver.send(&conversation[..split]);
            let more = driver.send(&conversation[split..]);
            join(&mut seen, more);
            assert_eq!(seen, expected, "split at {split}");
            assert_eq!(driver.got(), answered, "split at {split}");
        }
        let mut driver = Driver::silent(|_| {});
        let mut seen = Vec::new();
        for byte in &conversation {
            let more = driver.send(&[*byte]);
            join(&mut seen, more);
        }
        assert_eq!(seen, expected);
        assert_eq!(driver.got(), answered);
    }
}
