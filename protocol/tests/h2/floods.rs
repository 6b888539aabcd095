//! What is legal frame by frame and an attack a thousand times, and what only looks like one.

use crate::driver::{Driver, Seen};
use crate::wire::{self, Got, data, ping, request, reset, settings, window_update};
use lanner_limits::Trip;
use lanner_protocol::BodyLength;
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::Kind;
use std::time::Duration;

/// The bound that ended the connection, as the client is told it.
fn calmed(driver: &mut Driver) -> String {
    assert!(!driver.is_open());
    let got = driver.got();
    let Some(Got::GoAway { code, debug, .. }) = got.last() else {
        panic!("{got:?}")
    };
    assert_eq!(*code, ErrorCode::ENHANCE_YOUR_CALM);
    debug.clone()
}

/// Sends frames until the connection ends; says how many it took.
fn flood(driver: &mut Driver, mut bytes: impl FnMut(&mut Driver, u32) -> Vec<u8>) -> u32 {
    for round in 0..20_000 {
        let bytes = bytes(driver, round);
        driver.send(&bytes);
        if !driver.is_open() {
            return round;
        }
        if round % 10 == 0 {
            driver.got();
        }
    }
    panic!("it lives");
}

/// CVE-2023-44487.
#[test]
fn rapid_resets_end_the_connection() {
    let mut driver = Driver::new();
    let rounds = flood(&mut driver, |driver, round| {
        let stream = 1 + 2 * round;
        let mut bytes = driver.wire.get(stream);
        bytes.extend(reset(stream, ErrorCode::CANCEL));
        driver.send(&bytes);
        if driver.is_open() {
            driver.release(stream);
        }
        Vec::new()
    });
    assert_eq!(rounds, 200);
    assert_eq!(calmed(&mut driver), Trip::Resets.name());
}

/// CVE-2025-8671: the client makes us reset what we work on.
#[test]
fn resets_that_the_client_made_us_send_count_alike() {
    for fault in [
        |stream| window_update(stream, 0),
        |stream| window_update(stream, 0x7fff_ffff),
        |stream| data(stream, false, b"behind the end"),
        |stream| wire::frame(Kind::PRIORITY, 0, stream, &[0; 4]),
        |stream: u32| {
            let mut payload = stream.to_be_bytes().to_vec();
            payload.push(1);
            wire::frame(Kind::PRIORITY, 0, stream, &payload)
        },
    ] {
        let mut driver = Driver::with(|limits| limits.h2_window_update_factor = 1_000);
        let rounds = flood(&mut driver, |driver, round| {
            let stream = 1 + 2 * round;
            let mut bytes = driver.wire.get(stream);
            bytes.extend(fault(stream));
            driver.send(&bytes);
            if driver.is_open() {
                driver.release(stream);
            }
            Vec::new()
        });
        assert_eq!(rounds, 200);
        assert_eq!(calmed(&mut driver), Trip::Resets.name());
    }
    let mut driver = Driver::new();
    let rounds = flood(&mut driver, |driver, round| {
        driver
            .wire
            .headers(1 + 2 * round, true, &request("GET", ""))
    });
    assert_eq!(rounds, 200, "malformed requests");
}

#[test]
fn streams_beyond_the_limit_are_refused_and_too_many_of_them_end_it() {
    let mut driver = Driver::with(|limits| limits.h2_max_streams = 5);
    let rounds = flood(&mut driver, |driver, round| driver.wire.get(1 + 2 * round));
    assert_eq!(rounds, 205);
    assert_eq!(calmed(&mut driver), Trip::Resets.name());
}

#[test]
fn pings_settings_and_unknown_frames_are_bounded_together() {
    let mut driver = Driver::new();
    let rounds = flood(&mut driver, |_, round| match round % 3 {
        0 => ping(false, [1; 8]),
        1 => settings(&[]),
        _ => wire::frame(Kind(0xee), 0, 0, b""),
    });
    assert!((900..=1_000).contains(&rounds), "{rounds}");
    assert_eq!(calmed(&mut driver), Trip::ControlFrames.name());
}

#[test]
fn window_updates_and_priorities_without_a_reason_end_it() {
    let mut driver = Driver::new();
    flood(&mut driver, |_, _| window_update(0, 1));
    assert_eq!(calmed(&mut driver), Trip::WindowUpdates.name());
    let mut driver = Driver::new();
    flood(&mut driver, |_, _| {
        wire::frame(Kind::PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1")
    });
    assert_eq!(calmed(&mut driver), Trip::Priorities.name());
}

/// CVE-2024-27316.
#[test]
fn a_head_has_only_so_many_continuations_and_bytes() {
    let mut driver = Driver::new();
    driver.send(&wire::frame(Kind::HEADERS, 0, 1, b""));
    let rounds = flood(&mut driver, |_, _| {
        wire::frame(Kind::CONTINUATION, 0, 1, b"")
    });
    assert_eq!(rounds, 8);
    assert_eq!(calmed(&mut driver), Trip::Continuations.name());
    let mut driver = Driver::new();
    driver.send(&wire::frame(Kind::HEADERS, 0, 1, &[0x80; 16_384]));
    let rounds = flood(&mut driver, |_, _| {
        wire::frame(Kind::CONTINUATION, 0, 1, &[0x80; 16_384])
    });
    assert!(rounds < 8);
    assert_eq!(calmed(&mut driver), Trip::HeaderBytes.name());
}

#[test]
fn empty_and_tiny_data_end_it() {
    let mut driver = Driver::new();
    let bytes = driver.wire.post(1);
    driver.send(&bytes);
    flood(&mut driver, |_, _| data(1, false, b""));
    assert_eq!(calmed(&mut driver), Trip::EmptyData.name());
    let mut driver = Driver::new();
    let bytes = driver.wire.post(1);
    driver.send(&bytes);
    let rounds = flood(&mut driver, |_, _| data(1, false, b"x"));
    assert_eq!(rounds, 100);
    assert_eq!(calmed(&mut driver), Trip::SmallData.name());
}

/// CVE-2019-9517 and its like: answers pile up for who does not read them.
#[test]
fn answers_that_nobody_reads_are_bounded() {
    let mut driver = Driver::with(|limits| {
        limits.h2_control_burst = 1_000_000;
        limits.min_response_rate = None;
    });
    for _ in 0..1_500 {
        driver.send(&ping(false, [0; 8]));
        driver.stall(0);
        if !driver.is_open() {
            assert_eq!(driver.connection.take_trip(), Some(Trip::QueuedControl));
            return;
        }
    }
    panic!("it lives");
}

/// Bodies fill half of the output and then wait in their streams. When no more streams may be open, each request more is refused,
/// and a client that has none of the answers is soon not heard any more, or sent away.
#[test]
fn a_client_that_asks_and_never_reads_is_answered_no_more_than_fits() {
    let mut driver = Driver::with(|limits| limits.min_response_rate = None);
    let bound = 256 << 10;
    driver.send(&window_update(0, 1 << 30));
    let mut asked = 0;
    for round in 0..10_000 {
        let stream = 1 + 2 * round;
        let bytes = driver.wire.get(stream);
        let seen = driver.send(&bytes);
        if seen.iter().any(|seen| matches!(seen, Seen::Request { .. })) {
            asked += 1;
            driver.answer(stream, &[b'x'; 500]);
        }
        driver.stall(0);
        if !driver.is_open() || !driver.connection.wants_input(driver.output.len()) {
            break;
        }
    }
    assert!(asked < 3_000, "{asked}");
    assert!(!driver.is_open() || !driver.connection.wants_input(driver.output.len()));
    assert!(
        driver.output.len() < bound + 32_000,
        "{}",
        driver.output.len()
    );
}

#[test]
fn a_browser_that_reprioritises_every_request_lives() {
    let mut driver = Driver::new();
    for round in 0..2_000u32 {
        let stream = 1 + 2 * round;
        let mut update = stream.to_be_bytes().to_vec();
        update.extend_from_slice(b"u=5, i");
        let mut bytes = wire::frame(Kind::PRIORITY_UPDATE, 0, 0, &update);
        let mut fields = request("GET", "/").to_vec();
        fields.push(("priority", "u=1"));
        bytes.extend(driver.wire.headers(stream, true, &fields));
        update.truncate(4);
        update.extend_from_slice(b"u=2");
        bytes.extend(wire::frame(Kind::PRIORITY_UPDATE, 0, 0, &update));
        driver.send(&bytes);
        driver.answer(stream, b"image");
        driver.got();
        driver.wait(Duration::from_millis(1));
        assert!(driver.is_open(), "round {round}");
    }
}

#[test]
fn a_thousand_small_messages_a_second_in_both_directions_live() {
    let mut driver = Driver::new();
    let bytes = driver.wire.post(1);
    driver.send(&bytes);
    driver.respond(1, 200, BodyLength::Unknown);
    // Six minutes of them: budgets that are given back do not wear out. (The hour is in the tests of the budgets.)
    for round in 0..360_000 {
        driver.send(&data(1, false, &[0; 20]));
        driver.consumed(1, 20);
        driver.body(1, &[0; 20]);
        if round % 100 == 0 {
            let got = driver.got();
            if got.iter().any(|got| matches!(got, Got::Data { .. })) {
                let mut updates = window_update(0, 2_000);
                updates.extend(window_update(1, 2_000));
                driver.send(&updates);
            }
            driver.send(&ping(false, [1; 8]));
        }
        driver.wait(Duration::from_millis(1));
        assert!(
            driver.is_open(),
            "round {round}: {:?}",
            driver.connection.end_reason()
        );
    }
}

#[test]
fn a_fast_download_with_updates_for_every_32_kib_lives() {
    let mut driver = Driver::new();
    let bytes = driver.wire.get(1);
    driver.send(&bytes);
    driver.respond(1, 200, BodyLength::Unknown);
    let mut owed = 0;
    for _ in 0..20_000 {
        while driver.accepts(1) && driver.output.len() < 100_000 {
            driver.body(1, &[0; 16_384]);
        }
        for got in driver.got() {
            if let Got::Data { bytes, .. } = got {
                owed += bytes.len() as u32;
            }
        }
        if owed >= 32_768 {
            let mut updates = window_update(0, owed);
            updates.extend(window_update(1, owed));
            driver.send(&updates);
            owed = 0;
        }
        driver.wait(Duration::from_micros(262));
        assert!(driver.is_open(), "{:?}", driver.connection.end_reason());
    }
}

#[test]
fn frames_of_streams_that_we_reset_are_passed_over_for_a_while() {
    let mut driver = Driver::new();
    let bytes = driver.wire.post(1);
    driver.send(&bytes);
    let key = driver.key(1);
    driver.turn(|connection, turn| connection.reset(key, turn, ErrorCode::CANCEL));
    driver.got();
    let mut bytes = data(1, false, &[1; 1_000]);
    bytes.extend(window_update(1, 1));
    bytes.extend(driver.wire.headers(1, true, &[("x", "1")]));
    driver.send(&bytes);
    assert!(driver.is_open());
    // The trailers went into the table of fields even so.
    let mut fields = request("GET", "/").to_vec();
    fields.push(("x", "1"));
    let bytes = driver.wire.headers(3, true, &fields);
    assert_eq!(driver.send(&bytes).len(), 1);
    // The client's half has ended there: more is a fault.
    driver.send(&data(1, false, b"x"));
    assert!(!driver.is_open());
}

/// A client whose bodies pass what is drained of them is told to stop, as often as it likes: each time the answer was out and the
/// exchange over, so that nothing goes on for it behind the reset, as it does in CVE-2023-44487 and CVE-2025-8671.
#[test]
fn resets_behind_a_whole_answer_are_not_held_against_a_client() {
    let mut driver = Driver::with(|limits| limits.body_drain_max = 1_000);
    for round in 0..1_000 {
        let stream = 1 + 2 * round;
        let bytes = driver.wire.post(stream);
        driver.send(&bytes);
        driver.answer(stream, b"no, thank you");
        driver.send(&data(stream, false, &[0; 1_001]));
        assert!(driver.is_open(), "round {round}");
        let got = driver.got();
        assert!(
            got.contains(&Got::Reset(stream, ErrorCode::NO_ERROR)),
            "{got:?}"
        );
    }
    assert_eq!(driver.connection.streams(), 0);
}

/// What bounds them instead: until then each has its place.
#[test]
fn a_stream_that_is_drained_makes_no_room() {
    let mut driver = Driver::with(|limits| {
        limits.body_drain_max = 1_000;
        limits.h2_max_streams = 10;
    });
    for round in 0..10 {
        let stream = 1 + 2 * round;
        let bytes = driver.wire.post(stream);
        driver.send(&bytes);
        driver.answer(stream, b"no, thank you");
    }
    assert_eq!((driver.connection.streams(), driver.got().len()), (10, 20));
    let refused = Got::Reset(21, ErrorCode::REFUSED_STREAM);
    let bytes = driver.wire.get(21);
    assert_eq!(driver.send(&bytes), []);
    assert_eq!(driver.got(), [refused]);
    driver.send(&data(3, false, &[0; 1_001]));
    let bytes = driver.wire.get(23);
    assert_eq!(driver.send(&bytes).len(), 1);
}

/// One field in HPACK's table, named eight times by every request: a few bytes each for 32 KiB of our memory.
#[test]
fn the_heads_of_all_open_streams_are_bounded_together_and_who_meets_that_may_go_on() {
    let mut driver = Driver::new();
    let value = "v".repeat(3_900);
    let fields: Vec<_> = request("GET", "/")
        .into_iter()
        .chain((0..8).map(|_| ("x-long", value.as_str())))
        .collect();
    let mut open = Vec::new();
    for round in 0..90 {
        let stream = 1 + 2 * round;
        let bytes = driver.wire.headers(stream, true, &fields);
        let seen = driver.send(&bytes);
        if matches!(seen[..], [Seen::Request { .. }]) {
            open.push(stream);
        }
    }
    assert_eq!(open.len(), 16);
    let refused = |got: &Got| matches!(got, Got::Reset(_, ErrorCode::REFUSED_STREAM));
    assert_eq!(driver.got().iter().filter(|got| refused(got)).count(), 74);
    assert!(driver.is_open());
    // With one of them answered there is room for another.
    driver.answer(open[0], b"done");
    let bytes = driver.wire.headers(1_001, true, &fields);
    assert!(matches!(driver.send(&bytes)[..], [Seen::Request { .. }]));
}
