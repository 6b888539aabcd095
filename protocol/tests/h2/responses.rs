//! Answers: their heads, their bodies under both windows, and whose turn it is.

use crate::driver::{Driver, Seen};
use crate::wire::{Got, request, reset, settings, window_update};
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::settings::Id;
use lanner_protocol::{BodyLength, Fields, ResponseError};

fn asked(streams: &[u32]) -> Driver {
    let mut driver = Driver::new();
    for stream in streams {
        let bytes = driver.wire.get(*stream);
        driver.send(&bytes);
    }
    driver
}

fn content(got: &[Got], of: u32) -> (usize, bool) {
    got.iter()
        .fold((0, false), |(bytes, ended), got| match got {
            Got::Data {
                stream,
                end,
                bytes: more,
                ..
            } if *stream == of => (bytes + more.len(), ended || *end),
            Got::Headers { stream, end, .. } if *stream == of => (bytes, ended || *end),
            _ => (bytes, ended),
        })
}

#[test]
fn a_small_answer_is_one_head_and_one_data_frame_that_ends_it() {
    let mut driver = asked(&[1]);
    driver.answer(1, b"Hello, World!");
    let got = driver.got();
    let [
        Got::Headers {
            end: false, fields, ..
        },
        Got::Data {
            stream: 1,
            end: true,
            bytes,
        },
    ] = &got[..]
    else {
        panic!("{got:?}")
    };
    let expected = [
        (":status", "200"),
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("content-length", "13"),
    ];
    assert!(
        fields
            .iter()
            .map(|(name, value)| (&name[..], &value[..]))
            .eq(expected)
    );
    assert_eq!(bytes, b"Hello, World!");
    assert_eq!(driver.connection.streams(), 0);
}

#[test]
fn an_answer_without_content_ends_with_its_head() {
    let mut driver = asked(&[1, 3, 5, 7]);
    driver.respond(1, 204, BodyLength::Known(5));
    driver.respond(3, 304, BodyLength::Unknown);
    driver.respond(5, 205, BodyLength::Known(5));
    driver.respond(7, 200, BodyLength::Known(0));
    for stream in [1, 3, 5, 7] {
        driver.finish(stream, None);
    }
    let bytes = driver.wire.headers(9, true, &request("HEAD", "/"));
    driver.send(&bytes);
    driver.answer(9, b"Hello");
    let got = driver.got();
    assert_eq!(got.len(), 5);
    for got in &got {
        let Got::Headers {
            end: true,
            fields,
            stream,
        } = got
        else {
            panic!("{got:?}")
        };
        let length = fields.iter().find(|(name, _)| name == "content-length");
        let expected = match stream {
            1 | 3 => None,
            9 => Some("5"),
            _ => Some("0"),
        };
        assert_eq!(length.map(|(_, value)| &value[..]), expected);
    }
}

#[test]
fn names_of_fields_are_in_lower_case_however_the_app_writes_them() {
    let mut driver = asked(&[1]);
    let mut fields = Fields::new();
    fields.append("X-Mixed-Case", "Value").unwrap();
    let long = format!("X-{}", "L".repeat(100));
    fields.append(&long, "1").unwrap();
    let key = driver.key(1);
    let head = lanner_protocol::ResponseHead {
        status: lanner_protocol::Status::OK,
        fields: &fields,
        length: BodyLength::Unknown,
    };
    driver
        .turn(|connection, turn| connection.respond(key, turn, &head, true))
        .unwrap();
    let mut trailers = Fields::new();
    trailers.append("Grpc-Status", "0").unwrap();
    driver.finish(1, Some(&trailers));
    let got = driver.got();
    let [
        Got::Headers {
            end: false,
            fields: first,
            ..
        },
        Got::Headers {
            end: true,
            fields: last,
            ..
        },
    ] = &got[..]
    else {
        panic!("{got:?}")
    };
    assert!(first.contains(&("x-mixed-case".to_owned(), "Value".to_owned())));
    assert!(first.contains(&(long.to_lowercase(), "1".to_owned())));
    assert_eq!(last[..], [("grpc-status".to_owned(), "0".to_owned())]);
}

#[test]
fn the_windows_of_stream_and_connection_both_hold() {
    let mut driver = asked(&[1, 3]);
    driver.answer(1, &[1; 60_000]);
    driver.answer(3, &[2; 60_000]);
    let got = driver.got();
    assert_eq!(
        content(&got, 1).0 + content(&got, 3).0,
        65_535,
        "the connection's window"
    );
    driver.send(&window_update(0, 1_000_000));
    let got = driver.got();
    assert_eq!(driver.connection.streams(), 0);
    assert_eq!(content(&got, 1).0 + content(&got, 3).0, 120_000 - 65_535);

    let mut driver = asked(&[1]);
    driver.send(&window_update(0, 1_000_000));
    driver.answer(1, &[1; 100_000]);
    assert_eq!(
        content(&driver.got(), 1),
        (65_535, false),
        "the stream's window"
    );
    driver.send(&window_update(1, 1));
    assert_eq!(content(&driver.got(), 1), (1, false));
    driver.send(&window_update(1, 100_000));
    assert_eq!(content(&driver.got(), 1), (100_000 - 65_536, true));
}

/// Section 6.9.2.
#[test]
fn settings_move_the_windows_of_open_streams_below_zero_and_back() {
    let mut driver = asked(&[1]);
    driver.answer(1, &[1; 100_000]);
    assert_eq!(content(&driver.got(), 1).0, 65_535);
    driver.send(&settings(&[(Id::INITIAL_WINDOW_SIZE, 10)]));
    driver.send(&window_update(0, 1_000_000));
    driver.send(&window_update(1, 65_535 - 10));
    assert_eq!(content(&driver.got(), 1).0, 0);
    driver.send(&settings(&[(Id::INITIAL_WINDOW_SIZE, 20)]));
    assert_eq!(content(&driver.got(), 1).0, 10);
    driver.send(&settings(&[(Id::INITIAL_WINDOW_SIZE, 65_535)]));
    assert_eq!(content(&driver.got(), 1), (100_000 - 65_545, true));
}

#[test]
fn an_end_needs_no_window() {
    let mut driver = Driver::new();
    driver.send(&settings(&[(Id::INITIAL_WINDOW_SIZE, 0)]));
    let bytes = driver.wire.get(1);
    driver.send(&bytes);
    driver.got();
    driver.respond(1, 200, BodyLength::Unknown);
    driver.finish(1, None);
    let got = driver.got();
    assert_eq!(content(&got, 1), (0, true), "{got:?}");
}

#[test]
fn trailers_come_behind_everything_that_waited() {
    let mut driver = asked(&[1]);
    driver.respond(1, 200, BodyLength::Unknown);
    driver.body(1, &[1; 70_000]);
    let mut trailers = Fields::new();
    trailers.append("grpc-status", "0").unwrap();
    driver.finish(1, Some(&trailers));
    assert_eq!(content(&driver.got(), 1), (65_535, false));
    let mut updates = window_update(0, 70_000);
    updates.extend(window_update(1, 70_000));
    driver.send(&updates);
    let got = driver.got();
    assert_eq!(content(&got, 1), (70_000 - 65_535, true));
    assert!(matches!(
        &got[..],
        [Got::Data { end: false, .. }, Got::Headers { end: true, .. }]
    ));
    assert_eq!(driver.connection.streams(), 0);
}

#[test]
fn the_urgent_goes_first_and_incremental_ones_share() {
    let order = |priorities: [&str; 2]| {
        let mut driver = Driver::new();
        for (index, priority) in priorities.into_iter().enumerate() {
            let mut fields = request("GET", "/").to_vec();
            fields.push(("priority", priority));
            let bytes = driver.wire.headers(1 + 2 * index as u32, true, &fields);
            driver.send(&bytes);
        }
        driver.answer(1, &[1; 60_000]);
        driver.answer(3, &[2; 60_000]);
        let mut got = driver.got();
        let mut updates = window_update(0, 1 << 20);
        updates.extend(window_update(1, 1 << 20));
        updates.extend(window_update(3, 1 << 20));
        driver.send(&updates);
        got.extend(driver.got());
        got.retain(|got| matches!(got, Got::Data { .. }));
        got.iter().map(Got::stream).collect::<Vec<_>>()
    };
    let whole = order(["u=5", "u=1"]);
    assert_eq!(whole[..4], [3; 4], "{whole:?}");
    let shared = order(["u=3, i", "u=3, i"]);
    assert!(
        shared.windows(2).any(|pair| pair[0] != pair[1]),
        "{shared:?}"
    );
}

#[test]
fn the_app_is_asked_for_no_more_than_may_wait_and_told_when_to_go_on() {
    let mut driver = Driver::with(|limits| limits.response_buffer = 64 << 10);
    let bytes = driver.wire.get(1);
    driver.send(&bytes);
    driver.respond(1, 200, BodyLength::Unknown);
    let key = driver.key(1);
    let mut offered = 0;
    while driver.accepts(1) {
        driver.body(1, &[9; 10_000]);
        offered += 10_000;
        driver.got();
        assert!(offered < 1_000_000);
    }
    // One piece more than its window lets out.
    assert_eq!((offered, driver.connection.waiting(key)), (70_000, 4_465));
    assert_eq!(driver.resumed(), []);
    let mut updates = window_update(0, 1 << 20);
    updates.extend(window_update(1, 30_000));
    driver.send(&updates);
    driver.got();
    assert_eq!(driver.resumed(), [1]);
    assert_eq!(driver.resumed(), []);
}

#[test]
fn a_stream_with_nothing_waiting_and_a_window_may_always_bring_something() {
    let mut driver = Driver::with(|limits| limits.h2_max_send_buffer = 65_536);
    let streams = [1, 3, 5, 7, 9];
    for stream in streams {
        let bytes = driver.wire.get(stream);
        driver.send(&bytes);
        driver.respond(stream, 200, BodyLength::Unknown);
    }
    driver.send(&window_update(0, 1 << 20));
    for stream in [1, 3, 5, 7] {
        assert!(driver.accepts(stream));
        driver.body(stream, &[9; 100_000]);
        driver.got();
        assert!(!driver.accepts(stream));
    }
    // Four that hold it all do not keep the fifth from its client.
    assert!(driver.accepts(9));
    driver.body(9, &[9; 16_000]);
    assert_eq!(content(&driver.got(), 9).0, 16_000);
}

/// What an app makes for a window that is shut lies here: a hundred streams cost what one does.
#[test]
fn apps_are_not_asked_for_what_their_client_has_no_window_for() {
    let piece = 10_000;
    for window in [0, 1, 4_000] {
        let mut driver = Driver::new();
        driver.send(&settings(&[(Id::INITIAL_WINDOW_SIZE, window)]));
        let streams: Vec<u32> = (0..100).map(|index| 1 + 2 * index).collect();
        for stream in &streams {
            let bytes = driver.wire.get(*stream);
            driver.send(&bytes);
            driver.respond(*stream, 200, BodyLength::Unknown);
        }
        let mut asked = streams.clone();
        while !asked.is_empty() {
            for stream in asked {
                while driver.accepts(stream) {
                    driver.body(stream, &vec![9; piece]);
                }
            }
            driver.got();
            asked = driver.resumed();
        }
        let keys = streams.iter().map(|stream| driver.key(*stream));
        let waiting: usize = keys.map(|key| driver.connection.waiting(key)).sum();
        let most = if window == 0 { 16_384 } else { 65_536 };
        assert!(waiting < most + piece, "{window}: {waiting}");
        // Whoever gets a window is asked, whatever others leave where it is.
        driver.send(&window_update(0, 1 << 20));
        driver.send(&window_update(199, 16_384));
        driver.got();
        assert!(driver.resumed().contains(&199), "{window}");
        assert!(driver.accepts(199));
        driver.body(199, &vec![9; piece]);
        assert_eq!(content(&driver.got(), 199).0, piece, "{window}");
    }
}

/// The end needs no window (section 6.9), and nobody knows of it before the app is asked.
#[test]
fn an_answer_that_fills_its_window_to_the_byte_is_asked_for_its_end() {
    let mut driver = asked(&[1]);
    driver.respond(1, 200, BodyLength::Unknown);
    driver.body(1, &[9; 65_535]);
    assert_eq!(content(&driver.got(), 1), (65_535, false));
    assert!(driver.accepts(1));
    driver.finish(1, None);
    assert_eq!(content(&driver.got(), 1), (0, true));
}

#[test]
fn of_those_that_wait_the_most_urgent_goes_on_first_and_nobody_waits_for_ever() {
    let mut driver = Driver::new();
    driver.send(&settings(&[(Id::INITIAL_WINDOW_SIZE, 1 << 24)]));
    for (stream, priority) in [(1, "u=3"), (3, "u=5"), (5, "u=1"), (7, "u=3")] {
        let mut fields = request("GET", "/").to_vec();
        fields.push(("priority", priority));
        let bytes = driver.wire.headers(stream, true, &fields);
        driver.send(&bytes);
        driver.respond(stream, 200, BodyLength::Unknown);
    }
    driver.body(1, &[9; 100_000]);
    driver.got();
    for stream in [1, 3, 5, 7] {
        assert!(!driver.accepts(stream));
    }
    let mut order = Vec::new();
    for _ in 0..200 {
        driver.send(&window_update(0, 50_000));
        driver.turn(|connection, turn| connection.flush(turn));
        for stream in driver.resumed() {
            if driver.accepts(stream) {
                order.push(stream);
                driver.body(stream, &[9; 50_000]);
            }
            assert!(!driver.accepts(stream));
        }
        driver.got();
    }
    let first = |stream| order.iter().position(|each| *each == stream);
    assert_eq!(first(5), Some(0), "{order:?}");
    assert!(
        [1, 3, 7].into_iter().all(|stream| first(stream).is_some()),
        "{order:?}"
    );
    let urgent = order.iter().filter(|stream| **stream == 5).count();
    assert!(urgent > order.len() / 2, "{order:?}");
}

#[test]
fn too_many_and_too_few_bytes_reset_the_stream() {
    let mut driver = asked(&[1, 3]);
    driver.respond(1, 200, BodyLength::Known(3));
    let key = driver.key(1);
    let sent = driver.turn(|connection, turn| connection.send(key, turn, b"four"[..].into()));
    assert_eq!(sent, Err(ResponseError::TooManyBytes));
    driver.respond(3, 200, BodyLength::Known(3));
    let key = driver.key(3);
    let finished = driver.turn(|connection, turn| connection.finish(key, turn, None));
    assert_eq!(finished, Err(ResponseError::TooFewBytes));
    let resets = driver
        .got()
        .into_iter()
        .filter(|got| matches!(got, Got::Reset(_, ErrorCode::INTERNAL_ERROR)));
    assert_eq!(resets.count(), 2);
    assert_eq!(driver.connection.streams(), 0);
}

#[test]
fn a_stream_that_was_reset_counts_until_its_exchange_is_released() {
    let mut driver = Driver::with(|limits| limits.h2_max_streams = 1);
    let mut bytes = driver.wire.get(1);
    bytes.extend(reset(1, ErrorCode::CANCEL));
    bytes.extend(driver.wire.get(3));
    let seen = driver.send(&bytes);
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(driver.got(), [Got::Reset(3, ErrorCode::REFUSED_STREAM)]);
    // What the app does before it hears of it goes nowhere.
    driver.respond(1, 200, BodyLength::Unknown);
    driver.body(1, b"late");
    driver.finish(1, None);
    assert_eq!(driver.got(), []);
    let bytes = driver.wire.get(5);
    assert_eq!(driver.send(&bytes).len(), 1);
}

#[test]
fn a_head_longer_than_a_frame_goes_on_in_continuation() {
    let mut driver = asked(&[1]);
    let mut fields = Fields::new();
    for index in 0..3 {
        fields
            .append(&format!("x-{index}"), "~".repeat(10_000))
            .unwrap();
    }
    let key = driver.key(1);
    let head = lanner_protocol::ResponseHead {
        status: lanner_protocol::Status::OK,
        fields: &fields,
        length: BodyLength::Known(0),
    };
    driver
        .turn(|connection, turn| connection.respond(key, turn, &head, true))
        .unwrap();
    let got = driver.got();
    assert!(matches!(&got[..], [Got::Headers { end: true, fields, .. }] if fields.len() == 6));
}

/// What others have waiting can fill a stream too, and when that is gone it is told as they are.
#[test]
fn a_stream_that_others_have_filled_is_resumed() {
    let mut driver = Driver::with(|limits| limits.h2_max_send_buffer = 64 << 10);
    for stream in [1, 3, 5] {
        let bytes = driver.wire.get(stream);
        driver.send(&bytes);
        driver.respond(stream, 200, BodyLength::Unknown);
    }
    // The connection's window is shut by the first.
    for _ in 0..5 {
        driver.body(1, &[1; 13_107]);
    }
    driver.got();
    driver.body(3, &[3; 10_000]);
    driver.body(5, &[5; 60_000]);
    assert!(!driver.accepts(3) && !driver.accepts(5));
    driver.send(&window_update(0, 1 << 20));
    let mut resumed = Vec::new();
    for _ in 0..2 {
        driver.got();
        resumed.extend(driver.resumed());
    }
    assert_eq!(resumed, [3, 5]);
}

/// A driver that writes in the background finds the output filled again whenever it looks at the input.
#[test]
fn a_client_is_heard_while_as_much_of_an_answer_waits_as_may() {
    let mut driver = Driver::new();
    let window = (1 << 31) - 1;
    driver.send(&settings(&[(Id::INITIAL_WINDOW_SIZE, window)]));
    driver.send(&window_update(0, window - 65_535));
    let bytes = driver.wire.get(1);
    driver.send(&bytes);
    driver.respond(1, 200, BodyLength::Unknown);
    let mut pieces = 0;
    while driver.accepts(1) {
        driver.body(1, &[b'x'; 10_000]);
        driver.stall(0);
        pieces += 1;
        assert!(pieces < 100, "there is a bound");
    }
    let seen = driver.send(&reset(1, ErrorCode::CANCEL));
    assert!(matches!(seen[..], [Seen::Reset(1, _)]), "{seen:?}");
}
