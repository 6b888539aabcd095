//! Time: what a client may take, alone and on each stream.

use crate::driver::{Driver, Seen};
use crate::wire::{
    Got, data, frame, greeting, literal, ping, settings, settings_ack, window_update,
};
use lanner_limits::{MinRate, Trip};
use lanner_protocol::h2::Reset;
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::{END_HEADERS, Kind};
use lanner_protocol::h2::settings::Id;
use lanner_protocol::{BodyLength, EndReason, Fate, Overrides, Refusal};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_silent_client_is_cut_at_the_first_byte_timeout() {
    // One that was told nothing, and one that was.
    for greeted in [false, true] {
        let mut driver = Driver::silent(|_| {});
        if greeted {
            driver.send(&[]);
            driver.got();
        }
        driver.wait(15 * SECOND);
        assert_eq!(
            driver.connection.end_reason(),
            Some(EndReason::FirstByteTimeout)
        );
        assert_eq!(driver.trips(), [Trip::FirstByteTimeout]);
        if greeted {
            assert_eq!(driver.connection.fate(), Fate::Flush { linger: false });
            assert!(matches!(driver.got()[..], [Got::GoAway { last: 0, .. }]));
        } else {
            assert_eq!(driver.connection.fate(), Fate::Gone);
        }
    }
}

#[test]
fn behind_a_handshake_the_first_request_has_the_time_of_any_other() {
    let start = || {
        let mut driver = Driver::silent(|_| {});
        driver.wait(2 * SECOND);
        driver.connection.handle_handshake(driver.now);
        assert_eq!(driver.connection.idle_since(), Some(driver.now));
        driver.send(&[]);
        driver.got();
        driver.wait(74 * SECOND);
        assert!(driver.is_open());
        driver
    };
    let mut driver = start();
    driver.wait(SECOND);
    assert_eq!(
        driver.connection.end_reason(),
        Some(EndReason::KeepAliveTimeout)
    );
    assert!(matches!(driver.got()[..], [Got::GoAway { last: 0, .. }]));
    // What begins in time has the time of a head.
    let mut driver = start();
    let greeting = greeting();
    let (first, rest) = greeting.split_at(10);
    driver.send(first);
    driver.wait(5 * SECOND);
    assert!(driver.is_open());
    driver.send(rest);
    driver.got();
    driver.wait(74 * SECOND);
    assert!(driver.is_open());
    let mut driver = start();
    driver.send(first);
    driver.wait(15 * SECOND);
    assert_eq!(
        driver.connection.end_reason(),
        Some(EndReason::RequestHeadersTimeout)
    );
}

#[test]
fn one_byte_a_second_is_cut_at_the_header_timeout() {
    let mut driver = Driver::silent(|_| {});
    for byte in greeting().into_iter().take(20) {
        driver.send(&[byte]);
        driver.wait(SECOND);
    }
    assert_eq!(
        driver.connection.end_reason(),
        Some(EndReason::RequestHeadersTimeout)
    );
    // As much holds for a frame, and for the rest of a field block.
    let mut driver = Driver::new();
    let bytes = driver.wire.get(1);
    for byte in bytes.into_iter().take(20) {
        driver.send(&[byte]);
        driver.wait(SECOND);
    }
    assert_eq!(
        driver.connection.end_reason(),
        Some(EndReason::RequestHeadersTimeout)
    );
    let mut driver = Driver::new();
    driver.send(&frame(Kind::HEADERS, 0, 1, b""));
    driver.wait(16 * SECOND);
    assert_eq!(driver.connection.take_trip(), Some(Trip::HeaderTimeout));
}

#[test]
fn an_idle_connection_ends_and_says_so() {
    let mut driver = Driver::new();
    driver.wait(74 * SECOND);
    assert!(driver.is_open());
    driver.wait(SECOND);
    assert_eq!(
        driver.connection.end_reason(),
        Some(EndReason::KeepAliveTimeout)
    );
    let mut driver = Driver::new();
    let bytes = driver.wire.get(1);
    driver.send(&bytes);
    driver.wait(200 * SECOND);
    assert!(driver.is_open(), "a slow app is no idle client");
    driver.answer(1, b"ok");
    driver.got();
    driver.wait(74 * SECOND);
    assert!(driver.is_open());
    driver.wait(2 * SECOND);
    assert_eq!(
        driver.connection.end_reason(),
        Some(EndReason::KeepAliveTimeout)
    );
    let got = driver.got();
    assert!(matches!(
        &got[..],
        [Got::GoAway {
            last: 1,
            code: ErrorCode::NO_ERROR,
            ..
        }]
    ));
}

#[test]
fn settings_must_be_acknowledged() {
    let mut driver = Driver::silent(|_| {});
    let mut bytes = lanner_protocol::h2::frame::PREFACE.to_vec();
    bytes.extend(settings(&[]));
    driver.send(&bytes);
    driver.got();
    driver.wait(16 * SECOND);
    let got = driver.got();
    assert!(
        matches!(
            &got[..],
            [Got::GoAway {
                code: ErrorCode::SETTINGS_TIMEOUT,
                ..
            }]
        ),
        "{got:?}"
    );
    // One that nobody asked for is a fault.
    let mut driver = Driver::new();
    driver.send(&settings_ack());
    assert!(!driver.is_open());
}

#[test]
fn a_connection_that_falls_silent_is_asked_and_then_cut() {
    let interval = |limits: &mut lanner_limits::Limits| {
        limits.h2_ping_interval = Some(10 * SECOND);
    };
    let mut driver = Driver::with(interval);
    driver.wait(11 * SECOND);
    let got = driver.got();
    let [
        Got::Ping {
            ack: false,
            payload,
        },
    ] = got[..]
    else {
        panic!("{got:?}")
    };
    driver.send(&ping(true, payload));
    driver.wait(11 * SECOND);
    assert!(matches!(driver.got()[..], [Got::Ping { ack: false, .. }]));
    driver.wait(21 * SECOND);
    assert_eq!(driver.connection.fate(), Fate::Abort);
    assert_eq!(driver.connection.take_trip(), Some(Trip::PingTimeout));
}

/// The PING lies behind an answer that is taken slowly, or not at all.
#[test]
fn a_client_that_is_heard_or_takes_its_answer_is_there_without_its_answer_to_the_ping() {
    for (sends, takes) in [(true, 0), (false, 1_000), (false, 0)] {
        let mut driver = Driver::with(|limits| limits.h2_ping_interval = Some(10 * SECOND));
        let bytes = driver.wire.post(1);
        driver.send(&bytes);
        driver.respond(1, 200, BodyLength::Unknown);
        driver.body(1, &[b'x'; 60_000]);
        driver.stall(0);
        // Until it is asked.
        driver.wait(11 * SECOND);
        for second in 0..40 {
            if sends {
                driver.send(&data(1, false, b"still here"));
            }
            driver.stall(takes);
            driver.wait(SECOND);
            let is_there = sends || takes > 0 || second < 18;
            assert!(driver.is_open() || !is_there, "{sends} {takes} {second}");
        }
        assert_eq!(driver.is_open(), sends || takes > 0);
        if driver.is_open() {
            // The same client falls silent.
            driver.wait(40 * SECOND);
        }
        assert_eq!(driver.trips(), [Trip::PingTimeout]);
    }
}

#[test]
fn a_body_that_trickles_is_cut_only_while_the_app_waits() {
    let mut driver = Driver::new();
    let bytes = driver.wire.post(1);
    driver.send(&bytes);
    driver.wait(60 * SECOND);
    assert!(driver.is_open(), "the app does not read");
    let mut failed = Vec::new();
    for _ in 0..10 {
        driver.want(1);
        failed.extend(driver.wait(SECOND));
        driver.send(&data(1, false, b"x"));
    }
    assert_eq!(
        failed,
        [Seen::BodyFailed(1, Refusal::Trip(Trip::MinBodyRate))]
    );
    driver.respond(1, 200, BodyLength::Known(0));
    driver.finish(1, None);
    assert_eq!(driver.got()[0].status(), Some("408"));
    driver.send(&data(1, false, b"x"));
    assert_eq!(driver.got(), []);
    driver.wait(6 * SECOND);
    assert_eq!(driver.got(), [Got::Reset(1, ErrorCode::NO_ERROR)]);
}

#[test]
fn a_client_that_reads_late_and_then_asks_for_nothing_right_is_idle() {
    let mut driver = Driver::new();
    let bytes = driver.wire.get(1);
    driver.send(&bytes);
    driver.answer(1, b"an answer that is taken late");
    driver.stall(0);
    // A block that opens no stream: another pseudo-field follows when the first part is there.
    driver.send(&frame(Kind::HEADERS, 0, 3, &literal(b":method", b"GET")));
    driver.stall(usize::MAX);
    driver.send(&frame(
        Kind::CONTINUATION,
        END_HEADERS,
        3,
        &literal(b":status", b"200"),
    ));
    assert!(driver.is_open());
    driver.wait(76 * SECOND);
    assert_eq!(
        driver.connection.end_reason(),
        Some(EndReason::KeepAliveTimeout)
    );
}

#[test]
fn a_stream_whose_window_is_opened_byte_by_byte_is_reset() {
    let mut driver = Driver::new();
    driver.send(&settings(&[(Id::INITIAL_WINDOW_SIZE, 0)]));
    let bytes = driver.wire.get(1);
    driver.send(&bytes);
    driver.respond(1, 200, BodyLength::Unknown);
    driver.body(1, &[1; 1_000]);
    driver.finish(1, None);
    for _ in 0..4 {
        driver.send(&window_update(1, 1));
        driver.wait(SECOND);
        driver.got();
        assert_eq!(driver.connection.streams(), 1);
    }
    driver.wait(2 * SECOND);
    assert_eq!(driver.connection.streams(), 0);
    assert_eq!(driver.connection.take_trip(), Some(Trip::MinResponseRate));
    assert!(driver.got().contains(&Got::Reset(1, ErrorCode::CANCEL)));
    assert!(driver.is_open());
}

#[test]
fn a_client_that_does_not_read_its_socket_is_cut() {
    let mut driver = Driver::new();
    let bytes = driver.wire.get(1);
    driver.send(&bytes);
    driver.answer(1, &[1; 50_000]);
    driver.stall(100);
    driver.wait(4 * SECOND);
    assert!(driver.is_open());
    driver.wait(600 * SECOND);
    assert_eq!(driver.connection.fate(), Fate::Abort);
    assert_eq!(
        driver.connection.end_reason(),
        Some(EndReason::MinResponseDataRate)
    );
}

/// The rate that an app asked for is that of its connection, while some of its answer waits in the output.
#[test]
fn an_app_that_asks_for_no_least_rate_gets_none() {
    let ask = |driver: &mut Driver, stream, rate| {
        let bytes = driver.wire.get(stream);
        driver.send(&bytes);
        let key = driver.key(stream);
        let overrides = Overrides {
            min_response_rate: Some(rate),
            ..Overrides::default()
        };
        assert!(driver.turn(|connection, turn| connection.admit(key, turn, overrides)));
    };
    let mut driver = Driver::new();
    // The second would be cut at once, if it were alone.
    ask(&mut driver, 1, None);
    ask(&mut driver, 3, Some(rate(1_000_000, SECOND)));
    for stream in [3, 1] {
        driver.answer(stream, &[b'x'; 1_000]);
        driver.stall(10);
    }
    driver.wait(60 * SECOND);
    assert!(driver.is_open(), "{:?}", driver.trips());
    // All of it was taken: what comes next is judged by its own.
    driver.got();
    for (stream, asked, time) in [
        (5, rate(10, SECOND), 100 * SECOND),
        (7, rate(1_000_000, 20 * SECOND), 20 * SECOND),
    ] {
        ask(&mut driver, stream, Some(asked));
        driver.answer(stream, &[b'x'; 1_000]);
        driver.stall(10);
        driver.wait(time - SECOND);
        assert!(driver.is_open(), "{:?}", driver.trips());
        driver.got();
    }
    let bytes = driver.wire.get(9);
    driver.send(&bytes);
    driver.answer(9, &[b'x'; 1_000]);
    driver.stall(10);
    driver.wait(6 * SECOND);
    assert_eq!(driver.trips(), [Trip::MinResponseRate]);
    assert_eq!(driver.connection.fate(), Fate::Abort);
}

fn rate(bytes_per_second: u64, grace: Duration) -> MinRate {
    MinRate {
        bytes_per_second,
        grace,
    }
}

#[test]
fn a_request_that_takes_too_long_is_answered_and_its_app_told() {
    let mut driver = Driver::with(|limits| limits.request_timeout = Some(5 * SECOND));
    let mut bytes = driver.wire.get(1);
    bytes.extend(driver.wire.get(3));
    driver.send(&bytes);
    driver.respond(3, 200, BodyLength::Unknown);
    let seen = driver.wait(6 * SECOND);
    let late = Reset::Trip(Trip::RequestTimeout);
    assert_eq!(seen, [Seen::Reset(1, late), Seen::Reset(3, late)]);
    driver.release(1);
    driver.release(3);
    let got = driver.got();
    let answers: Vec<_> = got.iter().filter(|got| got.stream() == 1).collect();
    assert!(
        answers[0]
            .status()
            .is_some_and(|status| status.starts_with('5')),
        "{got:?}"
    );
    assert!(got.contains(&Got::Reset(3, ErrorCode::CANCEL)));
    assert_eq!(driver.connection.streams(), 0);
}

#[test]
fn a_stream_with_two_deadlines_at_once_is_reset_once() {
    let mut driver = Driver::with(|limits| limits.request_timeout = Some(5 * SECOND));
    driver.send(&settings(&[(Id::INITIAL_WINDOW_SIZE, 0)]));
    let bytes = driver.wire.get(1);
    driver.send(&bytes);
    driver.respond(1, 200, BodyLength::Unknown);
    driver.body(1, b"waits for the window");
    driver.got();
    let late = Trip::RequestTimeout;
    assert_eq!(driver.wait(6 * SECOND), [Seen::Reset(1, Reset::Trip(late))]);
    assert_eq!(driver.trips(), [late]);
    assert_eq!(driver.got(), [Got::Reset(1, ErrorCode::CANCEL)]);
}

#[test]
fn an_app_whose_time_is_over_is_not_told_of_its_body() {
    let mut driver = Driver::with(|limits| limits.request_timeout = Some(5 * SECOND));
    let bytes = driver.wire.post(1);
    driver.send(&bytes);
    driver.want(1);
    let late = Trip::RequestTimeout;
    assert_eq!(driver.wait(6 * SECOND), [Seen::Reset(1, Reset::Trip(late))]);
    assert_eq!(driver.trips(), [late]);
    // What is left of it is drained as ever.
    driver.release(1);
    driver.wait(6 * SECOND);
    assert_eq!(driver.connection.streams(), 0);
}

#[test]
fn a_body_that_nobody_reads_is_stopped_in_time() {
    let mut driver = Driver::new();
    let bytes = driver.wire.post(1);
    driver.send(&bytes);
    driver.answer(1, b"early");
    driver.got();
    driver.wait(4 * SECOND);
    assert_eq!(driver.connection.streams(), 1);
    driver.wait(2 * SECOND);
    assert_eq!(driver.got(), [Got::Reset(1, ErrorCode::NO_ERROR)]);
    assert_eq!(driver.connection.streams(), 0);
}

#[test]
fn an_aged_connection_leaves_and_is_cut_after_its_grace() {
    let mut driver = Driver::with(|limits| limits.max_connection_age = Some(60 * SECOND));
    let bytes = driver.wire.get(1);
    driver.send(&bytes);
    driver.wait(70 * SECOND);
    let got = driver.got();
    assert!(
        matches!(
            &got[..],
            [
                Got::GoAway {
                    last: 0x7fff_ffff,
                    ..
                },
                Got::Ping { .. },
                Got::GoAway { last: 1, .. }
            ]
        ),
        "{got:?}"
    );
    assert_eq!(driver.connection.take_trip(), Some(Trip::MaxConnectionAge));
    driver.wait(30 * SECOND);
    assert_eq!(driver.connection.fate(), Fate::Abort);
    assert_eq!(driver.connection.take_trip(), None, "one limit, one hit");
    assert_eq!(
        driver.connection.end_reason(),
        Some(EndReason::MaxConnectionAge)
    );
}

#[test]
fn a_client_whose_window_is_full_of_what_others_did_not_read_is_not_slow() {
    // Three streams fill the connection's window, which cannot grow, and their apps do not read.
    let mut driver = Driver::with(|limits| limits.h2_conn_window = 65_535);
    for stream in [1, 3, 5, 7] {
        let bytes = driver.wire.post(stream);
        driver.send(&bytes);
    }
    driver.want(7);
    for stream in [1, 3, 5] {
        driver.send(&data(stream, false, &[b'x'; 10_922]));
        driver.send(&data(stream, false, &[b'x'; 10_923]));
    }
    driver.got();
    assert_eq!(driver.wait(Duration::from_secs(60)), []);
    // Once they have read, it must send.
    for stream in [1, 3, 5] {
        driver.consumed(stream, 21_845);
    }
    let seen = driver.wait(Duration::from_secs(60));
    let slow = Seen::BodyFailed(7, Trip::MinBodyRate.into());
    assert_eq!(seen, [slow]);
}

#[test]
fn streams_that_end_together_are_each_counted() {
    let mut driver = Driver::with(|limits| limits.request_timeout = Some(5 * SECOND));
    for stream in [1, 3, 5] {
        let bytes = driver.wire.get(stream);
        driver.send(&bytes);
    }
    driver.wait(6 * SECOND);
    driver.turn(|connection, turn| connection.shed(turn));
    let trips = driver.trips();
    let counted = |trip| trips.iter().filter(|each| **each == trip).count();
    assert_eq!(counted(Trip::RequestTimeout), 3);
    assert_eq!(counted(Trip::IdleShed), 1);
    assert_eq!(trips.len(), 4);
}

/// Nothing of its answer waits that a rate could be asked of, for its app was not asked.
#[test]
fn a_stream_whose_app_is_not_asked_ends_when_its_window_stays_shut() {
    let mut driver = Driver::new();
    driver.send(&settings(&[(Id::INITIAL_WINDOW_SIZE, 0)]));
    for stream in [1, 3, 5] {
        let bytes = driver.wire.get(stream);
        driver.send(&bytes);
        driver.respond(stream, 200, BodyLength::Unknown);
    }
    assert!(driver.accepts(1));
    driver.body(1, &[9; 20_000]);
    assert!(!driver.accepts(3) && !driver.accepts(5));
    driver.got();
    // One of the two gets its window in time.
    driver.wait(Duration::from_secs(80));
    driver.send(&window_update(5, 1 << 20));
    driver.got();
    assert!(driver.resumed().contains(&5));
    let seen = driver.wait(Duration::from_secs(300));
    let slow = |stream| Seen::Reset(stream, Reset::Trip(Trip::MinResponseRate));
    assert_eq!(seen, [slow(1), slow(3)]);
}
