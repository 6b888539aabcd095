//! Bodies that come in: flow control, lengths, and what becomes of those that nobody reads.

use crate::driver::{Driver, Seen};
use crate::wire::{self, Got, data, request};
use lanner_limits::Trip;
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::{self, Kind};
use lanner_protocol::h2::settings::Id;
use lanner_protocol::h2::{Malformed, Reset};
use lanner_protocol::{BodyLength, Misbehaviour, Overrides, Refusal};
use std::time::Duration;

fn posted(change: impl FnOnce(&mut lanner_limits::Limits)) -> Driver {
    let mut driver = Driver::with(change);
    let bytes = driver.wire.post(1);
    assert_eq!(driver.send(&bytes).len(), 1);
    driver
}

#[test]
fn a_body_is_handed_on_before_its_frame_is_whole() {
    let mut driver = posted(|_| {});
    let bytes = data(1, true, b"abcdef");
    let piece = |bytes: &[u8], last| Seen::Data {
        stream: 1,
        bytes: bytes.to_vec(),
        last,
    };
    assert_eq!(driver.send(&bytes[..12]), [piece(b"abc", false)]);
    assert_eq!(driver.send(&bytes[12..]), [piece(b"def", true)]);
}

#[test]
fn padding_is_neither_content_nor_lost_credit() {
    let mut driver = posted(|_| {});
    let mut padded = vec![200];
    padded.extend_from_slice(b"abc");
    padded.extend_from_slice(&[0; 200]);
    for _ in 0..3_000 {
        let bytes = wire::frame(Kind::DATA, frame::PADDED, 1, &padded);
        let seen = driver.send(&bytes);
        assert_eq!(
            seen,
            [Seen::Data {
                stream: 1,
                bytes: b"abc".to_vec(),
                last: false
            }]
        );
        driver.consumed(1, 3);
        driver.got();
        assert!(driver.is_open());
    }
    let end = wire::frame(Kind::DATA, frame::PADDED | frame::END_STREAM, 1, &[2, 0, 0]);
    assert!(matches!(
        &driver.send(&end)[..],
        [Seen::End { stream: 1, .. }]
    ));
}

#[test]
fn credit_comes_for_what_the_app_consumed_and_for_nothing_else() {
    let mut driver = posted(|limits| {
        limits.h2_stream_window = 65_536;
        limits.h2_conn_window = 65_536;
    });
    for _ in 0..4 {
        driver.send(&data(1, false, &[7; 16_000]));
    }
    assert_eq!(driver.got(), []);
    driver.consumed(1, 40_000);
    let got = driver.got();
    assert!(got.contains(&Got::WindowUpdate(1, 40_000)), "{got:?}");
    assert!(got.contains(&Got::WindowUpdate(0, 40_000)), "{got:?}");
    driver.send(&data(1, false, &[7; 16_384]));
    driver.send(&data(1, false, &[7; 16_384]));
    assert!(driver.is_open());
    driver.send(&data(1, false, &[7; 9_000]));
    assert!(!driver.is_open(), "the connection's window is exceeded");
    let got = driver.got();
    assert!(
        matches!(
            &got[..],
            [Got::GoAway {
                code: ErrorCode::FLOW_CONTROL_ERROR,
                ..
            }]
        ),
        "{got:?}"
    );
}

#[test]
fn a_stream_that_passes_its_window_is_reset_alone() {
    let mut driver = posted(|limits| limits.h2_stream_window = 64_000);
    for _ in 0..4 {
        driver.send(&data(1, false, &[7; 16_000]));
    }
    assert_eq!(
        driver.send(&data(1, false, b"x")),
        [Seen::Reset(1, Reset::Window)]
    );
    let got = driver.got();
    assert!(
        got.contains(&Got::Reset(1, ErrorCode::FLOW_CONTROL_ERROR)),
        "{got:?}"
    );
    assert!(driver.is_open());
    // All of it is credited to the others when nobody will read it.
    driver.release(1);
    assert_eq!(driver.connection.streams(), 0);
}

#[test]
fn unread_bodies_are_credited_to_the_connection() {
    let mut driver = Driver::new();
    // Each reset leaves what it had; a hundred times the window passes through.
    for round in 0..100 {
        let stream = 1 + 2 * round;
        let mut bytes = driver.wire.post(stream);
        for _ in 0..2 {
            bytes.extend(data(stream, false, &[1; 16_000]));
        }
        driver.send(&bytes);
        let key = driver.key(stream);
        driver.turn(|connection, turn| connection.reset(key, turn, ErrorCode::CANCEL));
        driver.got();
        assert!(driver.is_open(), "round {round}");
    }
}

#[test]
fn content_length_is_kept_to_or_the_stream_is_reset() {
    for (length, frames, ok) in [
        ("3", vec![data(1, true, b"abc")], true),
        ("3", vec![data(1, false, b"abc"), data(1, true, b"")], true),
        ("3", vec![data(1, true, b"ab")], false),
        ("3", vec![data(1, false, b"abcd")], false),
        ("3", vec![data(1, false, b"ab"), data(1, true, b"")], false),
        ("0", vec![data(1, true, b"")], true),
        ("0", vec![data(1, true, b"a")], false),
    ] {
        let mut driver = Driver::new();
        let mut fields = request("POST", "/").to_vec();
        fields.push(("content-length", length));
        let bytes = driver.wire.headers(1, false, &fields);
        driver.send(&bytes);
        let seen = driver.send(&frames.concat());
        let reset = Seen::Reset(1, Reset::Malformed(Malformed::ContentLength));
        assert_eq!(seen.contains(&reset), !ok, "{length} {seen:?}");
    }
}

#[test]
fn a_body_too_long_is_told_before_or_while_it_is_read() {
    let mut driver = Driver::with(|limits| limits.max_request_body = Some(10));
    let mut fields = request("POST", "/").to_vec();
    fields.push(("content-length", "11"));
    let bytes = driver.wire.headers(1, false, &fields);
    driver.send(&bytes);
    let key = driver.key(1);
    assert!(!driver.turn(|connection, turn| connection.admit(key, turn, Overrides::default())));
    assert_eq!(driver.got()[0].status(), Some("413"));
    let bytes = driver.wire.headers(3, false, &fields);
    driver.send(&bytes);
    let key = driver.key(3);
    let raised = Overrides {
        max_body: Some(Some(20)),
        ..Overrides::default()
    };
    assert!(driver.turn(|connection, turn| connection.admit(key, turn, raised)));
    let bytes = driver.wire.post(5);
    driver.send(&bytes);
    let seen = driver.send(&data(5, false, b"eleven byte"));
    let refusal = Refusal::Trip(Trip::RequestBody);
    assert_eq!(seen, [Seen::BodyFailed(5, refusal)]);
    assert_eq!(driver.connection.take_trip(), Some(Trip::RequestBody));
    driver.respond(5, 200, BodyLength::Known(2));
    driver.body(5, b"ok");
    driver.finish(5, None);
    let got: Vec<Got> = driver
        .got()
        .into_iter()
        .filter(|got| got.stream() == 5)
        .collect();
    assert_eq!(got[0].status(), Some("413"), "ours wins");
    assert!(matches!(got.last(), Some(Got::Data { end: true, .. })));
    driver.wait(Duration::from_secs(6));
    assert!(driver.got().contains(&Got::Reset(5, ErrorCode::NO_ERROR)));
}

#[test]
fn a_limit_that_is_lowered_late_counts_what_has_come() {
    let mut announced = request("POST", "/").to_vec();
    announced.push(("content-length", "6"));
    let mut driver = Driver::new();
    for (stream, fields, sent, is_over) in [
        (1, &announced[..], &b""[..], true),
        (3, &announced, b"012", true),
        (5, &announced, b"012345", true),
        (7, &announced[..4], b"012345", true),
        (9, &announced[..4], b"01234", false),
    ] {
        let mut bytes = driver.wire.headers(stream, false, fields);
        bytes.extend(data(stream, false, sent));
        driver.send(&bytes);
        let key = driver.key(stream);
        assert!(driver.turn(|connection, turn| connection.admit(key, turn, Overrides::default())));
        let lowered = Overrides {
            max_body: Some(Some(5)),
            ..Overrides::default()
        };
        let goes_on = driver.turn(|connection, turn| connection.admit(key, turn, lowered));
        assert_eq!(goes_on, !is_over, "{stream}");
        let got = driver.got();
        let told = got.iter().find_map(|got| got.status().map(str::to_owned));
        assert_eq!(told.as_deref(), is_over.then_some("413"), "{stream}");
        assert_eq!(driver.connection.take_trip().is_some(), is_over);
    }
}

/// A client that has its window full sends up to its last byte, and the bound on what is drained is as large by default.
#[test]
fn a_client_that_sends_more_than_is_drained_is_told_to_stop_however_its_frames_lie() {
    let max = 256 << 10;
    for frame_bytes in [16_384, 10_000, 1_000] {
        let mut driver = Driver::with(|limits| {
            limits.body_drain_max = max as u64;
            limits.h2_stream_window = max as u32;
        });
        let bytes = driver.wire.post(1);
        driver.send(&bytes);
        driver.answer(1, b"early");
        driver.got();
        let mut sent = 0;
        while sent < max {
            let count = frame_bytes.min(max - sent);
            driver.send(&data(1, false, &vec![b'x'; count]));
            sent += count;
            let got = driver.got();
            let only_credit = got.iter().all(|got| matches!(got, Got::WindowUpdate(..)));
            assert!(only_credit, "{sent}: {got:?}");
        }
        driver.send(&data(1, false, b"x"));
        assert_eq!(driver.connection.take_trip(), Some(Trip::BodyDrainMax));
        assert!(driver.got().contains(&Got::Reset(1, ErrorCode::NO_ERROR)));
        assert_eq!(driver.connection.streams(), 0);
    }
}

#[test]
fn a_client_is_told_to_stop_when_it_has_had_its_time() {
    let mut driver = Driver::new();
    let mut fields = request("POST", "/").to_vec();
    fields.push(("content-length", "1000000000"));
    for stream in [1, 3, 5] {
        let bytes = driver.wire.headers(stream, false, &fields);
        driver.send(&bytes);
        driver.answer(stream, b"no, thank you");
        let got = driver.got();
        assert!(
            matches!(got[..], [_, Got::Data { end: true, .. }]),
            "{got:?}"
        );
    }
    // What its window lets through is thrown away, without credit for more.
    for _ in 0..16 {
        driver.send(&data(1, false, &[0; 16_000]));
        assert!(driver.got().iter().all(|got| got.stream() == 0));
    }
    driver.send(&data(1, true, b"the end, too soon"));
    driver.got();
    driver.send(&wire::reset(3, ErrorCode::CANCEL));
    assert_eq!(driver.got(), []);
    driver.wait(Duration::from_secs(6));
    assert_eq!(driver.got(), [Got::Reset(5, ErrorCode::NO_ERROR)]);
    assert_eq!(driver.connection.streams(), 0);
}

#[test]
fn a_body_nobody_reads_is_drained_within_bounds_and_then_stopped() {
    let mut driver = posted(|limits| limits.body_drain_max = 100_000);
    driver.answer(1, b"done");
    assert_eq!(driver.got().len(), 2);
    for _ in 0..6 {
        assert_eq!(driver.send(&data(1, false, &[3; 16_000])), []);
    }
    assert!(
        driver
            .got()
            .iter()
            .all(|got| !matches!(got, Got::Reset(..)))
    );
    driver.send(&data(1, false, &[3; 16_000]));
    assert!(driver.got().contains(&Got::Reset(1, ErrorCode::NO_ERROR)));
    assert_eq!(driver.connection.streams(), 0);
    // What is on its way costs the connection nothing.
    assert_eq!(driver.send(&data(1, true, &[3; 16_000])), []);
    assert!(driver.is_open());
}

#[test]
fn a_body_drained_to_its_end_needs_no_reset() {
    let mut driver = posted(|_| {});
    driver.answer(1, b"done");
    driver.send(&data(1, true, b"rest"));
    assert!(
        driver
            .got()
            .iter()
            .all(|got| !matches!(got, Got::Reset(..)))
    );
    assert_eq!(driver.connection.streams(), 0);
}

#[test]
fn a_client_that_expects_100_gets_it_when_the_app_reads() {
    let mut driver = Driver::new();
    let mut fields = request("POST", "/").to_vec();
    fields.push(("expect", "100-continue"));
    let bytes = driver.wire.headers(1, false, &fields);
    driver.send(&bytes);
    assert_eq!(driver.got(), []);
    driver.want(1);
    driver.want(1);
    let got = driver.got();
    assert!(
        matches!(&got[..], [Got::Headers { end: false, .. }]),
        "{got:?}"
    );
    assert_eq!(got[0].status(), Some("100"));
    // Whoever sends before has not waited for it.
    let bytes = driver.wire.headers(3, false, &fields);
    driver.send(&bytes);
    driver.send(&data(3, false, b"x"));
    driver.want(3);
    assert_eq!(driver.got(), []);
}

#[test]
fn an_end_of_the_connection_within_a_body_is_told_to_its_app() {
    let mut driver = posted(|_| {});
    let bytes = driver.wire.get(3);
    driver.send(&bytes);
    driver.connection.handle_eof();
    assert_eq!(driver.send(&[]), [Seen::Reset(1, Reset::EarlyEof)]);
    driver.release(1);
    assert!(driver.is_open(), "an answer is owed");
    driver.answer(3, b"still");
    let got = driver.got();
    assert!(
        got.iter()
            .any(|got| got.stream() == 3 && got.status() == Some("200"))
    );
    assert_eq!(driver.send(&[]), [Seen::Closing]);
}

#[test]
fn bodies_that_fail_leave_the_connection_all_of_its_window() {
    let mut driver = Driver::with(|limits| limits.max_request_body = Some(20_000));
    // Five times what the window holds.
    let mut stream = 1;
    for _ in 0..128 {
        let head = driver.wire.post(stream);
        driver.send(&head);
        for _ in 0..3 {
            driver.send(&data(stream, false, &[b'x'; 14_000]));
        }
        // The app hears of it, and what it answers is replaced.
        driver.respond(stream, 200, BodyLength::Known(0));
        driver.finish(stream, None);
        driver.send(&data(stream, true, b"late"));
        let got = driver.got();
        assert!(got.iter().any(|got| got.status() == Some("413")), "{got:?}");
        assert!(driver.is_open(), "{stream}");
        // The budget for resets is not what this is about.
        driver.wait(Duration::from_secs(1));
        stream += 2;
    }
    assert_eq!(driver.connection.streams(), 0);
}

#[test]
fn trailers_that_are_refused_are_answered_in_our_words_unless_an_answer_was_begun() {
    let mut driver = Driver::new();
    let refusal = Refusal::Misbehaviour(Misbehaviour::UnderscoreField);
    for stream in [1, 3] {
        let bytes = driver.wire.post(stream);
        driver.send(&bytes);
        if stream == 3 {
            driver.respond(3, 200, BodyLength::Unknown);
        }
        let trailers = driver.wire.headers(stream, true, &[("x_last", "1")]);
        let seen = driver.send(&trailers);
        assert!(matches!(&seen[..], [Seen::End { .. }]), "{seen:?}");
        let key = driver.key(stream);
        driver.connection.fail_trailers(key, refusal);
        if stream == 1 {
            driver.respond(1, 200, BodyLength::Unknown);
        }
        driver.body(stream, b"well");
        driver.finish(stream, None);
        let got = driver.got();
        let status = if stream == 1 { "400" } else { "200" };
        assert_eq!(got[0].status(), Some(status));
        let is_last = |got: &Got| matches!(got, Got::Data { end: true, .. });
        assert_eq!(got.iter().filter(|got| is_last(got)).count(), 1);
    }
    assert_eq!((driver.connection.streams(), driver.is_open()), (0, true));
}

/// What a client was given at once, it could make every connection hold.
#[test]
fn a_connection_begins_with_a_small_window_that_grows_while_its_apps_read() {
    let mut driver = Driver::silent(|_| {});
    driver.send(&wire::greeting());
    assert!(
        !driver
            .got()
            .iter()
            .any(|got| matches!(got, Got::WindowUpdate(..)))
    );
    let bytes = driver.wire.post(1);
    driver.send(&bytes);
    let (mut credit, mut most) = (65_535, 0);
    for _ in 0..1_000 {
        driver.send(&data(1, false, &[7; 16_000]));
        driver.consumed(1, 16_000);
        credit -= 16_000;
        for got in driver.got() {
            if let Got::WindowUpdate(0, increment) = got {
                credit += increment;
            }
        }
        most = most.max(credit);
        assert!(driver.is_open());
    }
    assert!(most > 900_000 && most <= 1 << 20, "{most}");
}

/// An app that sends back what it reads would hold it all for a client that takes nothing.
#[test]
fn a_connections_window_does_not_grow_while_its_client_takes_no_answers() {
    let mut driver = Driver::with(|limits| limits.response_buffer = 1 << 20);
    driver.send(&wire::settings(&[(Id::INITIAL_WINDOW_SIZE, 0)]));
    let bytes = driver.wire.post(1);
    driver.send(&bytes);
    driver.respond(1, 200, BodyLength::Unknown);
    assert!(driver.accepts(1));
    driver.body(1, &[7; 16_000]);
    assert!(!driver.accepts(1));
    driver.got();
    let mut credit = 65_535;
    for _ in 0..100 {
        driver.send(&data(1, false, &[7; 16_000]));
        driver.consumed(1, 16_000);
        credit -= 16_000;
        for got in driver.got() {
            if let Got::WindowUpdate(0, increment) = got {
                credit += increment;
            }
        }
        assert!(credit <= 65_535, "{credit}");
    }
}

/// What nobody reads must not hold up what somebody waits for.
#[test]
fn a_connections_window_grows_for_an_app_that_waits_while_others_do_not_read() {
    let mut driver = Driver::new();
    for stream in [1, 3, 5] {
        let bytes = driver.wire.post(stream);
        driver.send(&bytes);
    }
    for _ in 0..4 {
        driver.send(&data(1, false, &[7; 16_000]));
    }
    driver.send(&data(3, false, &[7; 1_535]));
    let credit = |driver: &mut Driver| -> u32 {
        let got = driver.got();
        let increments = got.iter().map(|got| match got {
            Got::WindowUpdate(0, increment) => *increment,
            _ => 0,
        });
        increments.sum()
    };
    // Nobody waits for more: those two have something to read.
    assert_eq!(credit(&mut driver), 0);
    driver.want(5);
    assert_eq!(credit(&mut driver), 65_535);
    let seen = driver.send(&data(5, true, b"what was waited for"));
    assert!(
        matches!(
            &seen[..],
            [Seen::Data {
                stream: 5,
                last: true,
                ..
            }]
        ),
        "{seen:?}"
    );
}
