//! The end of a connection: asked for by either side, in two steps, without a request lost.

use crate::driver::{Driver, Seen};
use crate::wire::{self, Got, ping};
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::{self, Kind};
use lanner_protocol::{BodyLength, EndReason, Fate, Status};
use std::time::Duration;

fn go_away(code: ErrorCode) -> Vec<u8> {
    let mut payload = vec![0; 4];
    payload.extend_from_slice(&code.0.to_be_bytes());
    wire::frame(Kind::GOAWAY, 0, 0, &payload)
}

fn stop(driver: &mut Driver) -> [u8; 8] {
    driver.turn(|connection, turn| connection.handle_stop(turn));
    let got = driver.got();
    let [
        Got::GoAway { last, code, .. },
        Got::Ping {
            ack: false,
            payload,
        },
    ] = &got[..]
    else {
        panic!("{got:?}")
    };
    assert_eq!((*last, *code), (frame::STREAM_MAX, ErrorCode::NO_ERROR));
    *payload
}

#[test]
fn a_stop_is_announced_and_what_is_on_its_way_is_answered() {
    let mut driver = Driver::new();
    let bytes = driver.wire.get(1);
    driver.send(&bytes);
    let payload = stop(&mut driver);
    let mut bytes = driver.wire.get(3);
    bytes.extend(ping(true, payload));
    bytes.extend(driver.wire.get(5));
    bytes.extend(driver.wire.post(7));
    bytes.extend(wire::data(7, true, b"never looked at"));
    let seen = driver.send(&bytes);
    assert!(
        matches!(&seen[..], [Seen::Request { stream: 3, .. }]),
        "{seen:?}"
    );
    assert!(matches!(&driver.got()[..], [Got::GoAway { last: 3, .. }]));
    driver.answer(1, b"one");
    assert!(driver.is_open());
    driver.answer(3, b"three");
    assert_eq!(driver.connection.fate(), Fate::Flush { linger: true });
    assert_eq!(
        driver.connection.end_reason(),
        Some(EndReason::ServerStopped)
    );
    assert_eq!(driver.got().len(), 4);
    driver.connection.handle_shutdown(driver.now);
    assert!(driver.connection.is_lingering());
    driver.connection.handle_eof();
    assert_eq!(driver.connection.fate(), Fate::Gone);
}

/// Section 6.8: the last stream that is named does not rise.
#[test]
fn a_fault_behind_the_second_step_names_no_later_stream() {
    let mut driver = Driver::new();
    let bytes = driver.wire.get(1);
    driver.send(&bytes);
    let payload = stop(&mut driver);
    let mut bytes = ping(true, payload);
    bytes.extend(driver.wire.get(3));
    bytes.extend(wire::data(9, false, b"idle and ignored"));
    bytes.extend(wire::frame(Kind::PING, 0, 1, &[0; 8]));
    driver.send(&bytes);
    let named: Vec<u32> = driver
        .got()
        .iter()
        .filter_map(|got| match got {
            Got::GoAway { last, .. } => Some(*last),
            _ => None,
        })
        .collect();
    assert_eq!(named, [1, 1]);
}

#[test]
fn a_client_that_does_not_answer_the_ping_holds_up_no_stop() {
    let mut driver = Driver::new();
    stop(&mut driver);
    driver.wait(Duration::from_secs(1));
    assert_eq!(driver.connection.fate(), Fate::Flush { linger: true });
    assert!(matches!(&driver.got()[..], [Got::GoAway { last: 0, .. }]));
}

#[test]
fn a_connection_on_which_nothing_was_said_is_given_a_moment() {
    let mut driver = Driver::silent(|_| {});
    driver.turn(|connection, turn| connection.handle_stop(turn));
    assert!(driver.is_open());
    driver.wait(Duration::from_secs(1));
    assert_eq!(driver.connection.fate(), Fate::Gone);
}

/// The order in which a server stops: a connection that was accepted a moment ago is asked to leave, then served, then told
/// of the stop.
#[test]
fn a_connection_that_was_asked_to_leave_before_it_greeted_says_so_behind_its_settings() {
    let mut driver = Driver::silent(|_| {});
    driver.turn(|connection, turn| connection.announce_close(turn));
    assert_eq!(driver.send(&[]), []);
    driver.turn(|connection, turn| connection.handle_stop(turn));
    let mut bytes = wire::greeting();
    bytes.extend(driver.wire.get(1));
    assert_eq!(driver.send(&bytes).len(), 1);
    driver.answer(1, b"on its way already");
    let got = driver.got();
    assert!(
        matches!(
            &got[..],
            [
                Got::Settings(_),
                Got::GoAway {
                    last: frame::STREAM_MAX,
                    ..
                },
                Got::Ping { ack: false, .. },
                ..
            ]
        ),
        "{got:?}"
    );
    driver.wait(Duration::from_secs(1));
    assert_eq!(driver.connection.fate(), Fate::Flush { linger: true });
    assert_eq!(
        driver.connection.end_reason(),
        Some(EndReason::ServerStopped)
    );
    assert!(matches!(&driver.got()[..], [Got::GoAway { last: 1, .. }]));
}

#[test]
fn a_client_that_leaves_gets_its_answers_first() {
    let mut driver = Driver::new();
    let mut bytes = driver.wire.get(1);
    bytes.extend(go_away(ErrorCode::NO_ERROR));
    driver.send(&bytes);
    assert!(driver.is_open());
    driver.answer(1, b"bye");
    let got = driver.got();
    assert!(
        matches!(
            &got[..],
            [
                Got::Headers { .. },
                Got::Data { end: true, .. },
                Got::GoAway {
                    last: 1,
                    code: ErrorCode::NO_ERROR,
                    ..
                }
            ]
        ),
        "{got:?}"
    );
    assert_eq!(driver.connection.end_reason(), Some(EndReason::Announced));
    let mut driver = Driver::new();
    driver.send(&go_away(ErrorCode::PROTOCOL_ERROR));
    assert!(!driver.is_open());
}

#[test]
fn a_closed_side_is_the_end_once_all_is_answered() {
    let mut driver = Driver::new();
    let mut bytes = driver.wire.get(1);
    bytes.extend(driver.wire.get(3));
    driver.send(&bytes);
    driver.connection.handle_eof();
    assert_eq!(driver.send(&[]), []);
    driver.answer(1, b"1");
    assert!(driver.is_open());
    driver.answer(3, b"3");
    assert_eq!(driver.send(&[]), [Seen::Closing]);
    assert_eq!(driver.connection.fate(), Fate::Flush { linger: false });
    assert_eq!(driver.connection.end_reason(), Some(EndReason::PeerClosed));
}

#[test]
fn the_last_request_that_is_allowed_is_announced_as_such() {
    let mut driver = Driver::with(|limits| limits.max_requests_per_connection = Some(2));
    for stream in [1, 3] {
        let bytes = driver.wire.get(stream);
        driver.send(&bytes);
        driver.answer(stream, b"ok");
    }
    assert!(
        driver
            .got()
            .iter()
            .any(|got| matches!(got, Got::GoAway { .. }))
    );
}

#[test]
fn making_room_says_goodbye() {
    let mut driver = Driver::new();
    assert!(driver.connection.idle_since().is_some());
    driver.turn(|connection, turn| connection.shed(turn));
    assert_eq!(driver.connection.end_reason(), Some(EndReason::Shed));
    assert!(matches!(&driver.got()[..], [Got::GoAway { .. }]));
}

#[test]
fn what_was_answered_is_known_when_the_end_of_the_connection_cuts_it() {
    let mut driver = Driver::new();
    for stream in [1, 3, 5] {
        let bytes = driver.wire.get(stream);
        driver.send(&bytes);
    }
    driver.respond(1, 200, BodyLength::Unknown);
    driver.body(1, b"begun");
    driver.respond(5, 404, BodyLength::Known(10));
    driver.got();
    // A fault of the client's first, and then the client is gone.
    driver.send(&wire::settings_ack());
    assert_eq!(driver.connection.fate(), Fate::Flush { linger: true });
    driver.connection.handle_reset();
    assert_eq!(driver.connection.streams(), 0);
    let answer = |stream| {
        let key = driver.key(stream);
        let status = driver.connection.answered(key).map(Status::code);
        (status, driver.connection.body_bytes_sent(key))
    };
    assert_eq!(answer(1), (Some(200), 5));
    assert_eq!(answer(3), (None, 0));
    assert_eq!(answer(5), (Some(404), 0));
}
