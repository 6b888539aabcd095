//! Which response belongs to which request, and whether a connection can be used again (RFC 9112 section 9).

use super::driver::{Driver, Seen, answers, short};
use lanner_protocol::client::http1::{Error, IN_FLIGHT_MAX};
use lanner_protocol::client::{Request, SendError};
use lanner_protocol::{BodyLength, Fields};

const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Section 9.2: "A client that has more than one outstanding request on a connection MUST maintain a list of outstanding
/// requests in the order sent and MUST correctly associate each received response message on that connection to the first
/// outstanding request that has not yet received a final (non-1xx) response."
#[test]
fn responses_belong_to_requests_in_their_order() {
    let long = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
    // Only the second was a HEAD, so only its response has no body.
    let bytes = format!("{long}abc{long}HTTP/1.1 100 C\r\n\r\n{long}def{EMPTY}");
    assert_eq!(
        short(&answers(&["GET", "HEAD", "GET", "GET"], bytes)),
        "200:abc. 200:. 100 200:def. 200:. closed"
    );
}

/// Section 9.2: "If a client receives data on a connection that does not have outstanding requests, the client MUST NOT
/// consider that data to be a valid response; the client SHOULD close the connection, since message delimitation is now
/// ambiguous, unless the data consists only of one or more CRLF (which can be discarded per Section 2.2)."
#[test]
fn what_nobody_asked_for_is_no_response() {
    assert_eq!(short(&answers(&[], EMPTY)), "unsolicited");
    assert_eq!(
        short(&answers(&["GET"], format!("{EMPTY}{EMPTY}"))),
        "200:. unsolicited"
    );
    assert_eq!(
        short(&answers(
            &["HEAD"],
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"
        )),
        "200:. unsolicited"
    );
    assert_eq!(
        short(&answers(&["GET"], format!("{EMPTY}\r\n\r\n"))),
        "200:. closed"
    );
    assert_eq!(
        short(&answers(&["GET"], format!("{EMPTY}\r\n\r\n\r\n"))),
        "200:. unsolicited"
    );
    assert_eq!(
        short(&answers(&["GET"], format!("{EMPTY}\n"))),
        "200:. unsolicited"
    );
    assert_eq!(
        short(&answers(&["GET"], format!("{EMPTY}\r"))),
        "200:. unsolicited"
    );
    let mut driver = Driver::asking(&["GET"]);
    driver.receive(EMPTY);
    driver.receive("HTTP/1.1 408 Request Timeout\r\n\r\n");
    assert!(!driver.connection.is_reusable() && !driver.connection.may_request());
    assert_eq!(driver.ask("GET"), Err(SendError::NotNow));
}

/// Section 9.3: "If the 'close' connection option is present, the connection will not persist after the current response; else,
/// if the received protocol is HTTP/1.1 (or later), the connection will persist after the current response; else, if the
/// received protocol is HTTP/1.0, the 'keep-alive' connection option is present, (...) the connection will persist; otherwise,
/// the connection will close after the current response."
#[test]
fn whether_a_connection_persists_is_said_by_version_and_connection() {
    for (version, connection, persists) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "connection: x, CLOSE\r\n", false),
        ("1.1", "Connection: x\r\nConnection: y,close ,\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let mut driver = Driver::asking(&["GET"]);
        let head = format!("HTTP/{version} 200 OK\r\n{connection}Content-Length: 1\r\n\r\n");
        driver.receive(head);
        assert_eq!(
            driver.connection.may_request(),
            persists,
            "{version} {connection}"
        );
        assert!(!driver.connection.is_reusable() && !driver.connection.is_over());
        driver.receive("a");
        assert_eq!(
            driver.connection.is_reusable(),
            persists,
            "{version} {connection}"
        );
        assert_eq!(driver.connection.is_over(), !persists);
        assert_eq!(driver.connection.error(), None);
    }
}

/// Section 9.6: "A client that receives a 'close' connection option MUST cease sending requests on that connection and close the
/// connection after reading the response message containing the 'close' connection option; if additional pipelined requests
/// had been sent on the connection, the client SHOULD NOT assume that they will be processed by the server."
#[test]
fn nothing_is_sent_or_read_behind_a_close() {
    let last = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab";
    assert_eq!(
        short(&answers(
            &["GET", "GET", "GET"],
            format!("{EMPTY}{last}{EMPTY}")
        )),
        "200:. 200:ab. closed"
    );
    let mut driver = Driver::asking(&["GET", "GET", "GET"]);
    driver.receive(format!("{EMPTY}{last}"));
    assert!(driver.connection.is_over());
    assert_eq!(driver.connection.unanswered(), 1);
    assert_eq!(driver.ask("GET"), Err(SendError::NotNow));
}

/// Section 9.6: "A client that sends a 'close' connection option MUST NOT send further requests on that connection (after the
/// one containing the 'close')".
#[test]
fn nothing_is_sent_behind_our_own_close() {
    let mut driver = Driver::asking(&["GET"]);
    let fields = Fields::new();
    let request = Request {
        close: true,
        ..Request::new(b"GET", b"a", b"/", &fields)
    };
    driver.request(&request).unwrap();
    assert!(driver.sent().ends_with("\r\nconnection: close\r\n\r\n"));
    assert_eq!(driver.ask("GET"), Err(SendError::NotNow));
    assert_eq!(short(&driver.receive(EMPTY)), "200:.");
    assert!(
        !driver.connection.is_over(),
        "the last one is still to come"
    );
    assert_eq!(short(&driver.receive(EMPTY)), "200:. closed");
    assert!(
        driver.connection.is_over(),
        "whatever the server says about it"
    );
}

#[test]
fn a_server_that_closes_between_responses_leaves_the_rest_unanswered() {
    assert_eq!(short(&answers(&["GET", "GET"], EMPTY)), "200:. unanswered");
    let mut idle = Driver::asking(&["GET"]);
    idle.receive(EMPTY);
    assert!(idle.connection.is_reusable());
    assert_eq!(idle.eof(), [Seen::Closed]);
    assert!(!idle.connection.is_reusable());
    assert_eq!(idle.connection.error(), None);
    let mut driver = Driver::asking(&["GET", "GET"]);
    driver.receive(EMPTY);
    driver.eof();
    assert_eq!(driver.connection.unanswered(), 1);
}

#[test]
fn a_close_that_was_seen_stops_requests_before_it_is_polled() {
    let mut driver = Driver::asking(&["GET"]);
    driver.receive(EMPTY);
    driver.connection.handle_eof();
    assert_eq!(driver.ask("GET"), Err(SendError::NotNow));
}

/// RFC 9110 section 7.8: 101 is an answer to an offer; what follows it is the new protocol.
#[test]
fn a_switch_is_for_those_who_offered_it() {
    let switching =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n";
    assert_eq!(short(&answers(&["GET"], switching)), "switch_unasked");
    let fields = Fields::new();
    let request = Request {
        upgrade: Some("echo"),
        ..Request::new(b"GET", b"a", b"/", &fields)
    };
    let mut driver = Driver::new();
    driver.request(&request).unwrap();
    assert_eq!(
        driver.sent(),
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n"
    );
    assert_eq!(
        driver.ask("GET"),
        Err(SendError::NotNow),
        "it might be read as the new protocol"
    );
    assert_eq!(
        short(&driver.receive(format!("{switching}\r\nraw"))),
        "101>\r\nraw"
    );
    assert!(driver.connection.is_tunnel());
    driver
        .turn(|connection, turn| connection.send(turn, "back".into()))
        .unwrap();
    assert_eq!(driver.sent(), "back");
    assert_eq!(short(&driver.eof()), ". closed");

    let mut declined = Driver::new();
    declined.request(&request).unwrap();
    assert_eq!(
        short(&declined.receive(format!("HTTP/1.1 100 C\r\n\r\n{EMPTY}"))),
        "100 200:."
    );
    assert!(declined.connection.is_reusable());
}

/// RFC 9112 section 9.3: "A client MUST read the entire response message body if it intends to reuse the same connection for a
/// subsequent request." So does whoever was answered before its own body was sent.
#[test]
fn a_connection_is_reused_when_both_bodies_are_done() {
    let mut driver = Driver::new();
    let fields = Fields::new();
    let request = Request {
        body: Some(BodyLength::Known(4)),
        ..Request::new(b"POST", b"a", b"/", &fields)
    };
    driver.request(&request).unwrap();
    assert_eq!(
        short(&driver.receive("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")),
        "413:."
    );
    assert!(!driver.connection.is_reusable() && !driver.connection.may_request());
    assert!(driver.connection.sends_body());
    driver
        .turn(|connection, turn| connection.send(turn, "abcd".into()))
        .unwrap();
    driver
        .turn(|connection, turn| connection.finish(turn, None))
        .unwrap();
    assert!(driver.connection.is_reusable());
}

#[test]
fn so_many_may_be_in_flight_and_no_more() {
    let mut driver = Driver::new();
    for _ in 0..IN_FLIGHT_MAX {
        driver.ask("GET").unwrap();
    }
    assert_eq!(driver.ask("GET"), Err(SendError::NotNow));
    driver.receive(EMPTY);
    driver.ask("GET").unwrap();
    assert_eq!(driver.connection.unanswered(), IN_FLIGHT_MAX);
    assert_eq!(driver.connection.responses(), 1);
}

#[test]
fn an_error_is_told_until_the_connection_is_dropped() {
    let mut driver = Driver::asking(&["GET"]);
    assert_eq!(driver.receive("x"), [Seen::Failed(Error::NotHttp)]);
    assert_eq!(driver.receive(EMPTY), [Seen::Failed(Error::NotHttp)]);
    assert_eq!(driver.eof(), [Seen::Failed(Error::NotHttp)]);
    driver.connection.handle_reset();
    assert_eq!(driver.connection.error(), Some(Error::NotHttp));
}
