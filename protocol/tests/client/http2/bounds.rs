//! What a server may cost (RFC 9113 section 10.5), and what it may not forget.

use super::driver::{
    Driver, Got, OK, Seen, data, frame, headers, literal, settings, window_update,
};
use lanner_limits::{Moment, Trip};
use lanner_protocol::client::http2::{Error, Reset};
use lanner_protocol::h2::Fault;
use lanner_protocol::h2::error_code::ErrorCode as E;
use lanner_protocol::h2::frame::{ACK, Kind};
use std::time::Duration;

/// Sends the same again and again, until the connection fails; gives the bound, and how often it took.
fn flood(driver: &mut Driver, bytes: &[u8]) -> (Trip, usize) {
    for count in 1..100_000 {
        if let Some(Seen::Failed(error)) = driver.receive(bytes).last() {
            assert_eq!(error.code(), Some(E::ENHANCE_YOUR_CALM));
            let Error::Fault(Fault::Trip(trip)) = *error else {
                panic!("{error:?}")
            };
            return (trip, count);
        }
        // The client's answers go out.
        driver.got();
    }
    panic!("it may go on for ever")
}

/// CVE-2019-9512, 9515, 9513, 9518, CVE-2024-27316, and their like, from a server.
#[test]
fn floods_of_frames_that_are_legal_one_by_one_end() {
    for (bytes, trip, most) in [
        (frame(Kind::PING, 0, 0, &[0; 8]), Trip::ControlFrames, 1_001),
        (
            frame(Kind::PING, ACK, 0, &[0; 8]),
            Trip::ControlFrames,
            1_001,
        ),
        (settings(&[]), Trip::ControlFrames, 1_001),
        (frame(Kind(0x77), 0, 0, b""), Trip::ControlFrames, 1_001),
        (window_update(0, 1), Trip::WindowUpdates, 100),
        (window_update(1, 1), Trip::WindowUpdates, 100),
        (frame(Kind::PRIORITY, 0, 1, &[0; 5]), Trip::Priorities, 200),
        (data(1, false, b""), Trip::EmptyData, 101),
    ] {
        let mut driver = Driver::asking(&["GET"]);
        driver.receive(headers(1, false, OK));
        let (tripped, count) = flood(&mut driver, &bytes);
        assert_eq!(tripped, trip);
        assert!(count <= most, "{trip:?} after {count}");
    }
}

#[test]
fn small_pieces_may_not_pile_up_unread() {
    let mut driver = Driver::asking(&["GET"]);
    driver.receive(headers(1, false, OK));
    driver.consumes = false;
    let (trip, count) = flood(&mut driver, &data(1, false, b"x"));
    assert_eq!((trip, count), (Trip::SmallData, 101));
    // Whoever reads them may have as many as it likes.
    let mut driver = Driver::asking(&["GET"]);
    driver.receive(headers(1, false, OK));
    for _ in 0..10_000 {
        assert_eq!(driver.receive(data(1, false, b"x")).len(), 1);
        driver.got();
    }
}

#[test]
fn a_field_block_does_not_go_on_without_end() {
    let mut driver = Driver::asking(&["GET"]);
    driver.receive(frame(Kind::HEADERS, 0, 1, OK));
    let (trip, count) = flood(&mut driver, &frame(Kind::CONTINUATION, 0, 1, b""));
    assert_eq!((trip, count), (Trip::Continuations, 9));
    let mut driver = Driver::asking(&["GET"]);
    let long: Vec<u8> = literal(b"x", &[b'y'; 100]).repeat(150);
    driver.receive(frame(Kind::HEADERS, 0, 1, &long));
    let (trip, count) = flood(&mut driver, &frame(Kind::CONTINUATION, 0, 1, &long));
    assert_eq!(trip, Trip::HeaderBytes);
    assert!(count < 6, "{count}");
}

/// CVE-2019-9517 and its like: a server that makes us answer and does not read.
#[test]
fn answers_that_are_not_read_are_bounded() {
    let mut driver = Driver::with(|limits| {
        limits.h2_control_burst = 100_000;
        limits.h2_max_queued_control = 50;
    });
    let ping = frame(Kind::PING, 0, 0, &[0; 8]);
    let mut count = 0;
    while driver.receive(&ping).is_empty() {
        count += 1;
        assert!(count <= 50);
    }
    assert_eq!(
        driver.connection.error(),
        Some(Error::Fault(Fault::Trip(Trip::QueuedControl)))
    );
}

#[test]
fn nothing_is_looked_at_while_the_output_is_full() {
    let mut driver = Driver::with(|limits| {
        limits.h2_max_send_buffer = 1_000;
        limits.h2_max_queued_control = 100_000;
    });
    let pings = frame(Kind::PING, 0, 0, &[0; 8]).repeat(100);
    assert_eq!(driver.receive(&pings), [Seen::Held]);
    assert!(driver.output.len() < 1_000 + 17);
    assert!(!driver.connection.wants_input(driver.output.len()));
    assert!(!driver.input.is_empty());
    let before = driver.got().len();
    assert_eq!(driver.receive(b""), []);
    assert_eq!(before + driver.got().len(), 100);
}

/// Section 6.5.3: "If the sender of a SETTINGS frame does not receive an acknowledgment within a reasonable amount of time, it MAY
/// issue a connection error of type SETTINGS_TIMEOUT."
#[test]
fn settings_are_acknowledged_in_time() {
    let mut driver = Driver::silent(|_| {});
    driver.ask("GET").unwrap();
    driver.receive(settings(&[]));
    driver.got();
    let due = driver.connection.deadline().unwrap();
    assert_eq!(due, Moment::ZERO + Duration::from_secs(15));
    driver.now = due;
    driver.turn(|connection, turn| connection.handle_timeout(turn));
    assert_eq!(
        driver.receive(b""),
        [Seen::Failed(Error::Fault(Fault::SettingsTimeout))]
    );
    assert!(matches!(
        driver.got()[..],
        [Got::GoAway(0, E::SETTINGS_TIMEOUT, _)]
    ));
}

#[test]
fn a_server_that_never_begins_is_not_waited_for() {
    let mut driver = Driver::silent(|limits| limits.header_timeout = Duration::from_secs(7));
    driver.receive(b"");
    driver.now = Moment::ZERO + Duration::from_secs(7);
    driver.turn(|connection, turn| connection.handle_timeout(turn));
    assert!(driver.connection.is_over());
}

#[test]
fn a_frame_once_begun_is_to_be_complete_in_time() {
    let mut driver = Driver::asking(&["GET"]);
    assert_eq!(
        driver.connection.deadline(),
        None,
        "how long an answer takes is the driver's"
    );
    for bytes in [
        &b"\0\0"[..],
        &frame(Kind::HEADERS, 0, 1, OK),
        b"\0\0\x05\0\0\0\0\0",
    ] {
        let mut driver = Driver::asking(&["GET"]);
        driver.receive(bytes);
        let due = driver.connection.deadline().unwrap();
        driver.now = due;
        driver.turn(|connection, turn| connection.handle_timeout(turn));
        assert_eq!(driver.connection.error(), Some(Trip::HeaderTimeout.into()));
    }
    // A body may come as slowly as the driver lets it.
    driver.receive([headers(1, false, OK), data(1, false, b"abc")[..10].to_vec()].concat());
    assert_eq!(driver.connection.deadline(), None);
}

/// Section 6.7: PING "for determining whether an idle connection is still functional".
#[test]
fn silence_is_asked_about_and_then_ended() {
    let mut driver = Driver::with(|limits| {
        limits.h2_ping_interval = Some(Duration::from_secs(30));
    });
    driver.ask("GET").unwrap();
    driver.got();
    let wait = |driver: &mut Driver| {
        driver.now = driver.connection.deadline().unwrap();
        driver.turn(|connection, turn| connection.handle_timeout(turn));
        driver.got()
    };
    assert_eq!(wait(&mut driver), [Got::Ping(false, *b"lannerup")]);
    assert_eq!(driver.now, Moment::ZERO + Duration::from_secs(30));
    driver.receive(frame(Kind::PING, ACK, 0, b"lannerup"));
    // What came in the meantime is a sign of life as well.
    driver.now += Duration::from_secs(20);
    driver.receive(headers(1, false, OK));
    assert_eq!(wait(&mut driver), []);
    assert_eq!(wait(&mut driver), [Got::Ping(false, *b"lannerup")]);
    assert!(matches!(wait(&mut driver)[..], [Got::GoAway(..)]));
    assert_eq!(driver.connection.error(), Some(Trip::PingTimeout.into()));
}

/// Streams that we gave up are remembered so that what is on its way does no harm; not without end.
#[test]
fn a_thousand_streams_may_be_given_up_at_once() {
    let mut driver = Driver::with(|limits| limits.h2_max_streams = 1_000);
    for _ in 0..1_000 {
        let key = driver.ask("GET").unwrap();
        driver.turn(|connection, turn| connection.reset(key, turn, E::CANCEL));
        driver.output.clear();
        driver.connection.handle_output(100, 0);
    }
    for number in 0..900 {
        let bytes = [
            headers(2 * number + 1, false, OK),
            reset_frame(2 * number + 1),
        ]
        .concat();
        driver.now += Duration::from_millis(10);
        assert_eq!(driver.receive(bytes), [], "{number}");
    }
}

fn reset_frame(stream: u32) -> Vec<u8> {
    super::driver::reset(stream, E::CANCEL)
}

#[test]
fn names_are_told_apart() {
    assert_eq!(
        Error::Fault(Fault::Trip(Trip::Continuations)).name(),
        Trip::Continuations.name()
    );
    assert_eq!(Error::ConnectionReset.code(), None);
    assert_eq!(Reset::Unprocessed.name(), "unprocessed");
    assert_eq!(Reset::Peer(E::CANCEL).name(), "CANCEL");
    assert_eq!(Reset::Peer(E(99)).name(), "peer");
}
