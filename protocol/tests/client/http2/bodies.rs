//! Bodies both ways, under both windows (RFC 9113 sections 5.2, 6.1 and 6.9).

use super::driver::{Driver, Got, OK, Seen, data, frame, headers, reset, settings, window_update};
use lanner_protocol::client::SendError;
use lanner_protocol::client::http2::{Error, Reset};
use lanner_protocol::h2::Fault;
use lanner_protocol::h2::error_code::ErrorCode as E;
use lanner_protocol::h2::frame::{Kind, PADDED};
use lanner_protocol::h2::settings::Id;
use lanner_protocol::{BodyLength, Fields};

/// How many bytes of content were sent, and whether the body was ended.
fn content(got: &[Got]) -> (usize, bool) {
    let mut sum = (0, false);
    for each in got {
        if let Got::Data(_, end, bytes) = each {
            assert!(bytes.len() <= 16_384);
            sum = (sum.0 + bytes.len(), end | sum.1);
        }
    }
    sum
}

fn resumed(driver: &mut Driver) -> Vec<u32> {
    std::iter::from_fn(|| driver.connection.take_resumed())
        .map(|key| key.id())
        .collect()
}

/// Section 6.9.1: "A sender MUST NOT send a flow-controlled frame with a length that exceeds the space available in either of the
/// flow-control windows advertised by the receiver."
#[test]
fn a_body_keeps_to_the_window_of_its_stream() {
    let mut driver = Driver::new();
    driver.receive(settings(&[(Id::INITIAL_WINDOW_SIZE, 20_000)]));
    driver.post(BodyLength::Unknown);
    driver.got();
    let rest = driver.send(1, vec![b'x'; 50_000], true).unwrap();
    assert_eq!(rest.len(), 30_000);
    assert_eq!(content(&driver.got()), (20_000, false));
    assert_eq!(resumed(&mut driver), []);
    driver.receive(window_update(1, 10_000));
    assert_eq!(resumed(&mut driver), [1]);
    assert_eq!(resumed(&mut driver), [], "it is named once");
    let rest = driver.send(1, rest, true).unwrap();
    assert_eq!(
        (rest.len(), content(&driver.got())),
        (20_000, (10_000, false))
    );
    driver.receive(window_update(1, 20_000));
    assert_eq!(resumed(&mut driver), [1]);
    assert!(driver.send(1, rest, true).unwrap().is_empty());
    assert_eq!(content(&driver.got()), (20_000, true));
    assert_eq!(driver.send(1, "", true), Err(SendError::Closed));
}

#[test]
fn all_bodies_together_keep_to_the_window_of_the_connection() {
    let mut driver = Driver::new();
    driver.receive(settings(&[(Id::INITIAL_WINDOW_SIZE, 1 << 20)]));
    for stream in [1, 3, 5] {
        driver.post(BodyLength::Unknown);
        let rest = driver.send(stream, vec![b'x'; 40_000], true).unwrap();
        assert_eq!(rest.len(), [0, 14_465, 40_000][stream as usize / 2]);
    }
    assert_eq!(content(&driver.got()).0, 65_535);
    assert_eq!(resumed(&mut driver), []);
    driver.receive(window_update(3, 1_000));
    assert_eq!(resumed(&mut driver), [], "the connection's is still shut");
    driver.receive(window_update(0, 100_000));
    assert_eq!(
        resumed(&mut driver),
        [3, 5],
        "whoever waited longer comes first"
    );
    driver.send(3, vec![b'x'; 14_465], true).unwrap();
    driver.send(5, vec![b'x'; 40_000], true).unwrap();
    assert_eq!(content(&driver.got()), (54_465, true));
}

/// Section 6.9.2: "a change to SETTINGS_INITIAL_WINDOW_SIZE can cause the available space in a flow-control window to become
/// negative. A sender MUST track the negative flow-control window and MUST NOT send new flow-controlled frames until it
/// receives WINDOW_UPDATE frames that cause the flow-control window to become positive."
#[test]
fn a_window_can_be_taken_back_below_nothing() {
    let mut driver = Driver::new();
    driver.post(BodyLength::Unknown);
    driver.send(1, vec![b'x'; 60_000], false).unwrap();
    driver.got();
    driver.receive(settings(&[(Id::INITIAL_WINDOW_SIZE, 1_000)]));
    let rest = driver.send(1, "abc", false).unwrap();
    assert_eq!(rest, "abc");
    driver.receive(window_update(0, 100_000));
    driver.receive(window_update(1, 59_000));
    assert_eq!(resumed(&mut driver), [], "it is at nothing now");
    driver.receive(window_update(1, 2));
    assert_eq!(resumed(&mut driver), [1]);
    assert_eq!(driver.send(1, "abc", false).unwrap(), "c");
    driver.receive(settings(&[(Id::INITIAL_WINDOW_SIZE, 1_001)]));
    assert_eq!(resumed(&mut driver), [1]);
}

/// Section 6.9: frames without content need no window.
#[test]
fn an_end_needs_no_window() {
    let mut driver = Driver::new();
    driver.receive(settings(&[(Id::INITIAL_WINDOW_SIZE, 0)]));
    for _ in 0..3 {
        driver.post(BodyLength::Unknown);
    }
    driver.got();
    assert!(driver.send(1, "", true).unwrap().is_empty());
    let (third, fifth) = (driver.key(3), driver.key(5));
    driver
        .turn(|connection, turn| connection.finish(third, turn, None))
        .unwrap();
    let mut trailers = Fields::new();
    trailers.append("X-Sum", "1").unwrap();
    driver
        .turn(|connection, turn| connection.finish(fifth, turn, Some(&trailers)))
        .unwrap();
    let got = driver.got();
    assert_eq!(
        got[..2],
        [Got::Data(1, true, vec![]), Got::Data(3, true, vec![])]
    );
    let fields = vec![("x-sum".to_owned(), "1".to_owned())];
    let (stream, end) = (5, true);
    assert_eq!(
        got[2],
        Got::Headers {
            stream,
            end,
            fields
        }
    );
}

/// Section 6.9.1: "If a sender receives a WINDOW_UPDATE that causes a flow-control window to exceed this maximum, it MUST terminate
/// either the stream or the connection, as appropriate." Section 6.9.2: by SETTINGS, the connection.
#[test]
fn a_window_beyond_its_maximum_ends_whose_it_is() {
    let mut driver = Driver::asking(&["GET"]);
    let bytes = window_update(1, (1 << 31) - 1);
    assert_eq!(driver.reset_of(bytes), (1, Reset::Window));
    let error = (Error::Fault(Fault::WindowOverflow), E::FLOW_CONTROL_ERROR);
    assert_eq!(driver.failure(window_update(0, (1 << 31) - 1)), error);
    let mut driver = Driver::asking(&["GET"]);
    driver.receive(window_update(1, (1 << 31) - 1 - 65_535));
    let bytes = settings(&[(Id::INITIAL_WINDOW_SIZE, 65_536)]);
    assert_eq!(driver.failure(bytes), error);
}

/// Section 8.1.1: a request whose content is not as long as it says is malformed; it is not completed.
#[test]
fn a_body_of_another_length_ends_its_stream() {
    for (body, end, error) in [
        ("four", false, SendError::TooManyBytes),
        ("ab", true, SendError::TooFewBytes),
    ] {
        let mut driver = Driver::new();
        driver.post(BodyLength::Known(3));
        driver.got();
        assert_eq!(driver.send(1, body, end), Err(error));
        assert_eq!(driver.got(), [Got::Reset(1, E::INTERNAL_ERROR)]);
        assert_eq!(driver.connection.streams(), 0);
    }
    let mut driver = Driver::new();
    let key = driver.post(BodyLength::Known(3));
    driver.send(1, "ab", false).unwrap();
    let finished = driver.turn(|connection, turn| connection.finish(key, turn, None));
    assert_eq!(finished, Err(SendError::TooFewBytes));
    assert!(!driver.connection.is_over());
}

#[test]
fn what_the_socket_does_not_take_stays_with_the_driver() {
    let mut driver = Driver::with(|limits| limits.h2_max_send_buffer = 30_000);
    driver.receive(
        [
            settings(&[(Id::INITIAL_WINDOW_SIZE, 1 << 24)]),
            window_update(0, 1 << 24),
        ]
        .concat(),
    );
    driver.got();
    driver.post(BodyLength::Unknown);
    let mut rest = driver.send(1, vec![b'x'; 100_000], true).unwrap();
    let mut sent = 0;
    while !rest.is_empty() {
        assert!(driver.output.len() <= 30_000 + 16_384 + 9 + 100);
        sent += content(&driver.got()).0;
        assert_eq!(resumed(&mut driver), [1]);
        rest = driver.send(1, rest, true).unwrap();
    }
    assert_eq!(sent + content(&driver.got()).0, 100_000);
}

/// Section 6.9: "A receiver MUST treat this as a connection error of type FLOW_CONTROL_ERROR" for the connection's window, and
/// "MAY" end the stream for a stream's.
#[test]
fn a_server_keeps_to_our_windows() {
    let mut driver = Driver::with(|limits| {
        limits.h2_stream_window = 65_535;
        limits.h2_conn_window = 100_000;
    });
    driver.consumes = false;
    for _ in 0..3 {
        driver.ask("GET").unwrap();
    }
    for stream in [1, 3, 5] {
        driver.receive(headers(stream, false, OK));
    }
    let piece = data(1, false, &[0; 16_383]);
    for _ in 0..4 {
        assert_eq!(driver.receive(&piece).len(), 1);
    }
    // What one more byte costs both windows, the connection's is given back.
    assert_eq!(driver.receive(data(1, false, &[0; 3])).len(), 1);
    assert_eq!(driver.reset_of(data(1, false, b"x")), (1, Reset::Window));
    for _ in 0..2 {
        driver.receive(data(3, false, &[0; 16_383]));
    }
    let error = (Error::Fault(Fault::WindowExceeded), E::FLOW_CONTROL_ERROR);
    assert_eq!(driver.failure(data(5, false, &[0; 2_000])), error);
}

/// Credit is for what is consumed, and never lost: not by padding, not with streams that are reset, not for what nobody wants.
#[test]
fn the_whole_window_comes_back_when_everything_is_consumed() {
    let mut driver = Driver::with(|limits| limits.h2_conn_window = 65_535);
    driver.consumes = false;
    let mut owed: i64 = 0;
    let mut credit = |driver: &mut Driver| {
        for got in driver.got() {
            if let Got::WindowUpdate(0, increment) = got {
                owed -= i64::from(increment);
            }
        }
        owed
    };
    for round in 0..200u32 {
        let key = driver.ask("GET").unwrap();
        let stream = key.id();
        driver.receive(headers(stream, false, OK));
        let padded = [&[200][..], &[b'x'; 800], &[0; 200]].concat();
        driver.receive(frame(Kind::DATA, PADDED, stream, &padded));
        // Half of a frame, in whose middle the stream is reset by whom it may be.
        let long = data(stream, false, &[b'y'; 1_000]);
        driver.receive(&long[..300]);
        if round % 2 == 0 {
            driver.turn(|connection, turn| connection.reset(key, turn, E::CANCEL));
        }
        driver.receive(&long[300..]);
        driver.receive(data(stream, true, &[b'z'; 500]));
        let taken = if round % 2 == 0 { 800 + 291 } else { 2_300 };
        driver.turn(|connection, turn| connection.consumed(key, turn, taken));
        let lost = credit(&mut driver) + i64::from(round + 1) * (1_001 + 1_000 + 500);
        assert!(
            (0..32_768).contains(&lost),
            "{lost} are not given back after {round}"
        );
        driver.receive(reset(stream, E::NO_ERROR));
    }
}

#[test]
fn a_window_grows_while_the_driver_keeps_up() {
    let mut driver = Driver::asking(&["GET"]);
    driver.receive(headers(1, false, OK));
    let mut given = 0;
    for _ in 0..200 {
        driver.receive(data(1, false, &[0; 16_384]));
        for got in driver.got() {
            if let Got::WindowUpdate(1, increment) = got {
                given += increment as usize;
            }
        }
    }
    // More than what was sent: the window has become larger than the 256 KiB that it began with.
    assert!(given + (256 << 10) > 200 * 16_384 + (256 << 10), "{given}");
}

/// Section 8.1: "Clients MUST NOT discard responses as a result of receiving such a RST_STREAM": one with NO_ERROR behind a
/// complete response, by which a server stops a body that it does not need.
#[test]
fn a_server_may_stop_a_body_behind_its_answer() {
    let mut driver = Driver::new();
    driver.post(BodyLength::Unknown);
    let bytes = [
        headers(1, false, OK),
        data(1, true, b"no"),
        reset(1, E::NO_ERROR),
    ]
    .concat();
    let seen = driver.receive(bytes);
    assert_eq!(
        seen[1..],
        [
            Seen::Data(1, b"no".to_vec()),
            Seen::End(1, Vec::new()),
            Seen::Reset(1, Reset::Peer(E::NO_ERROR)),
        ]
    );
    assert_eq!(driver.send(1, "more", true), Err(SendError::Closed));
}

#[test]
fn an_end_without_content_waits_for_the_output_and_for_no_window() {
    let mut driver = Driver::with(|limits| limits.h2_max_send_buffer = 20_000);
    driver.receive(settings(&[(Id::INITIAL_WINDOW_SIZE, 20_000)]));
    driver.post(BodyLength::Unknown);
    driver.got();
    let rest = driver.send(1, vec![b'x'; 20_000], false).unwrap();
    assert!(rest.is_empty());
    // The output is full, and so is the window.
    driver.send(1, "", true).unwrap();
    assert_eq!(content(&driver.got()), (20_000, false));
    assert_eq!(resumed(&mut driver), [1]);
    driver.send(1, "", true).unwrap();
    assert_eq!(content(&driver.got()), (0, true));
}
