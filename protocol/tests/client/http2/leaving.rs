//! How a connection ends (RFC 9113 sections 5.4, 6.4, 6.8 and 8.7).

use super::driver::{Driver, Got, OK, Seen, data, go_away, headers, reset};
use lanner_protocol::client::SendError;
use lanner_protocol::client::http2::{Error, Reset};
use lanner_protocol::h2::error_code::ErrorCode as E;

/// Section 6.8: "Receivers of a GOAWAY frame MUST NOT open additional streams on the connection"; requests on streams above the
/// last one "can be safely retried using a new connection". Streams up to it go on.
#[test]
fn a_goaway_sends_back_what_was_not_looked_at() {
    let mut driver = Driver::asking(&["GET"; 4]);
    assert_eq!(
        driver.receive(go_away(3, E::NO_ERROR)),
        [
            Seen::GoAway(E::NO_ERROR),
            Seen::Reset(5, Reset::Unprocessed),
            Seen::Reset(7, Reset::Unprocessed),
        ]
    );
    assert!(Reset::Unprocessed.is_retryable());
    assert_eq!(driver.ask("GET"), Err(SendError::NotNow));
    assert_eq!(driver.got(), [], "they need no RST_STREAM");
    driver.respond(1);
    assert!(!driver.connection.is_over());
    let seen = driver.respond(3);
    assert_eq!(seen.last(), Some(&Seen::Closed));
    assert_eq!(driver.got(), [Got::GoAway(0, E::NO_ERROR, String::new())]);
    assert_eq!(driver.connection.error(), None);
}

/// Section 6.8: a server that shuts down gracefully sends 2^31-1 first, and then the last stream; "Endpoints MUST NOT increase the
/// value they send in the last stream identifier".
#[test]
fn a_goaway_in_two_steps_counts_by_the_lower() {
    let mut driver = Driver::asking(&["GET"; 3]);
    assert_eq!(
        driver.receive(go_away((1 << 31) - 1, E::NO_ERROR)),
        [Seen::GoAway(E::NO_ERROR)]
    );
    assert_eq!(driver.connection.streams(), 3);
    let seen = driver.receive(go_away(3, E::NO_ERROR));
    assert_eq!(seen[1..], [Seen::Reset(5, Reset::Unprocessed)]);
    assert_eq!(driver.receive(go_away(5, E::NO_ERROR)).len(), 1);
    assert_eq!(
        driver.receive(go_away(0, E::INTERNAL_ERROR)),
        [
            Seen::GoAway(E::INTERNAL_ERROR),
            Seen::Reset(1, Reset::Unprocessed),
            Seen::Reset(3, Reset::Unprocessed),
            Seen::Closed,
        ]
    );
}

#[test]
fn an_idle_connection_is_over_with_a_goaway() {
    let mut driver = Driver::new();
    let seen = driver.receive(go_away(0, E::NO_ERROR));
    assert_eq!(seen, [Seen::GoAway(E::NO_ERROR), Seen::Closed]);
}

/// Section 8.7: "The REFUSED_STREAM error code can be included in a RST_STREAM frame to indicate that the stream is being closed
/// prior to any processing having occurred. Any request that was sent on the reset stream can be safely retried."
#[test]
fn only_what_was_refused_may_be_tried_again() {
    let mut driver = Driver::asking(&["GET"; 3]);
    let codes = [E::REFUSED_STREAM, E::CANCEL, E(0x1234)];
    for (stream, code) in [1, 3, 5].into_iter().zip(codes) {
        let seen = driver.receive(reset(stream, code));
        let [Seen::Reset(same, reason)] = seen[..] else {
            panic!("{seen:?}")
        };
        assert_eq!((same, reason), (stream, Reset::Peer(code)));
        assert_eq!(reason.is_retryable(), code == E::REFUSED_STREAM);
    }
    // Section 5.4.2: no RST_STREAM in answer to one.
    assert_eq!(driver.got(), []);
    assert_eq!(driver.connection.streams(), 0);
}

#[test]
fn a_stream_that_is_given_up_is_gone_at_once() {
    let mut driver = Driver::asking(&["GET"]);
    let key = driver.key(1);
    driver.turn(|connection, turn| connection.reset(key, turn, E::CANCEL));
    driver.turn(|connection, turn| connection.reset(key, turn, E::CANCEL));
    assert_eq!(driver.got(), [Got::Reset(1, E::CANCEL)]);
    assert!(!driver.connection.is_open(key) && driver.connection.may_request());
}

#[test]
fn whoever_leaves_still_gets_its_answers() {
    let mut driver = Driver::asking(&["GET", "GET"]);
    driver.turn(|connection, turn| connection.leave(turn));
    assert_eq!(driver.ask("GET"), Err(SendError::NotNow));
    driver.respond(1);
    assert_eq!(driver.got(), []);
    let bytes = [headers(3, false, OK), data(3, true, b"last")].concat();
    let seen = driver.receive(bytes);
    assert_eq!(
        seen[1..],
        [
            Seen::Data(3, b"last".to_vec()),
            Seen::End(3, Vec::new()),
            Seen::Closed,
        ]
    );
    assert_eq!(driver.got(), [Got::GoAway(0, E::NO_ERROR, String::new())]);
    let mut idle = Driver::silent(|_| {});
    idle.turn(|connection, turn| connection.leave(turn));
    assert!(idle.connection.is_over() && idle.got().is_empty());
}

#[test]
fn a_close_within_streams_is_a_failure_and_one_between_is_not() {
    let mut driver = Driver::asking(&["GET"]);
    assert_eq!(driver.eof(), [Seen::Failed(Error::EndInStreams)]);
    let mut driver = Driver::asking(&["GET"]);
    driver.respond(1);
    assert_eq!(driver.eof(), [Seen::Closed]);
    assert_eq!(driver.connection.error(), None);
    let mut driver = Driver::asking(&["GET"]);
    driver.connection.handle_reset();
    assert_eq!(driver.receive(b""), [Seen::Failed(Error::ConnectionReset)]);
    assert_eq!(driver.got(), []);
    let mut idle = Driver::new();
    idle.connection.handle_reset();
    assert_eq!(idle.receive(b""), [Seen::Closed]);
}

#[test]
fn what_came_before_the_close_counts() {
    let mut driver = Driver::asking(&["GET"]);
    driver.connection.handle_eof();
    assert_eq!(driver.ask("GET"), Err(SendError::NotNow));
    let seen = driver.receive([headers(1, false, OK), data(1, true, b"all")].concat());
    assert_eq!(
        seen[1..],
        [
            Seen::Data(1, b"all".to_vec()),
            Seen::End(1, Vec::new()),
            Seen::Closed,
        ]
    );
}
