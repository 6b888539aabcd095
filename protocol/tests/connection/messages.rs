//! Single messages: keep-alive, HTTP/1.0, and what HEAD, 204 and 304 leave out.

use crate::driver::{App, Peer, Stand, converse, request};
use lanner_protocol::{BodyLength, EndReason, ResponseError};

const HELLO: App = App::AtOnce("hello");

#[test]
fn http_1_1_goes_on_unless_somebody_says_close() {
    let peer = converse(|| Peer::new(HELLO), "GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.told, [request("GET /a")]);
    let answer = peer.only();
    assert_eq!((answer.status, answer.text()), (200, "hello"));
    assert_eq!(answer.field("connection"), None);
    assert_eq!((peer.stand(), peer.end_reason()), (Stand::Open, None));
}

#[test]
fn a_client_that_asks_for_the_close_gets_it_without_linger() {
    for field in [
        "Connection: close",
        "connection: Close",
        "Connection: x, close",
    ] {
        let peer = converse(
            || Peer::new(HELLO),
            format!("GET /a HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"),
        );
        assert!(peer.only().announces_close());
        assert_eq!(
            (peer.stand(), peer.end_reason()),
            (Stand::Closed, Some(EndReason::Announced))
        );
    }
}

/// RFC 9112 section 9.3.
#[test]
fn http_1_0_closes_unless_asked_to_go_on() {
    let peer = converse(|| Peer::new(HELLO), "GET /a HTTP/1.0\r\n\r\n");
    assert!(peer.only().announces_close());
    assert_eq!(peer.stand(), Stand::Closed);
    let peer = converse(
        || Peer::new(HELLO),
        "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    );
    assert_eq!(peer.only().field("connection"), Some("keep-alive"));
    assert_eq!(peer.stand(), Stand::Open);
}

#[test]
fn http_1_0_gets_no_chunks_but_a_body_ended_by_the_close() {
    let mut peer = Peer::new(App::Manual);
    peer.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    peer.begin(200, BodyLength::Unknown, false);
    peer.piece(b"one").unwrap();
    peer.piece(b"two").unwrap();
    peer.finish(None).unwrap();
    peer.turn();
    let answer = peer.only();
    assert_eq!((answer.text(), answer.announces_close()), ("onetwo", true));
    assert_eq!(answer.field("transfer-encoding"), None);
    assert_eq!(peer.stand(), Stand::Lingering);
}

/// RFC 9110 section 9.3.2; a body after the head would be taken for the next answer.
#[test]
fn head_announces_the_body_and_sends_none() {
    for length in [BodyLength::Known(5), BodyLength::Unknown] {
        let mut peer = Peer::new(App::Manual);
        peer.send("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n");
        peer.begin(200, length, false);
        assert!(!peer.http.sends_body());
        peer.piece(b"hello").unwrap();
        peer.finish(None).unwrap();
        peer.turn();
        peer.answer(200, "b");
        let answers = peer.answers();
        assert_eq!(answers.len(), 2);
        assert!(answers[0].body.is_empty());
        match length {
            BodyLength::Known(_) => assert_eq!(answers[0].field("content-length"), Some("5")),
            BodyLength::Unknown => {
                assert_eq!(answers[0].field("transfer-encoding"), Some("chunked"));
            }
        }
        assert_eq!(answers[1].text(), "b");
        assert_eq!(peer.http.body_bytes_sent(), 1);
    }
}

#[test]
fn statuses_without_content_send_none_whatever_the_app_offers() {
    for status in [204, 205, 304] {
        for length in [BodyLength::Known(5), BodyLength::Unknown] {
            let mut peer = Peer::new(App::Manual);
            peer.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
            peer.begin(status, length, false);
            peer.piece(b"hello").unwrap();
            peer.finish(None).unwrap();
            peer.turn();
            let answer = peer.only();
            assert_eq!((answer.status, answer.body.len()), (status, 0));
            assert_eq!(peer.stand(), Stand::Open);
        }
    }
}

#[test]
fn a_refused_head_request_is_answered_without_a_body() {
    let peer = converse(
        || Peer::with(App::Collect, |limits| limits.max_request_body = Some(4)),
        "HEAD /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    );
    let answer = peer.only();
    assert_eq!((answer.status, answer.announces_close()), (413, true));
    assert!(answer.body.is_empty() && peer.wire.ends_with(b"\r\n\r\n"));
}

#[test]
fn an_informational_status_is_no_final_answer() {
    let mut peer = Peer::new(App::Manual);
    peer.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        peer.begin(100, BodyLength::Known(0), true);
    }));
    assert!(refused.is_err() && peer.http.awaits_response());
    peer.answer(200, "still");
    assert_eq!(peer.only().text(), "still");
}

#[test]
fn a_body_longer_than_announced_is_cut_so_that_nobody_takes_it_for_the_whole() {
    let mut peer = Peer::new(App::Manual);
    peer.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    peer.begin(200, BodyLength::Known(4), false);
    peer.piece(b"one").unwrap();
    assert_eq!(peer.piece(b"two"), Err(ResponseError::TooManyBytes));
    assert_eq!(
        (peer.stand(), peer.end_reason()),
        (
            Stand::Flushing,
            Some(EndReason::ResponseContentLengthMismatch)
        )
    );
}

#[test]
fn a_body_shorter_than_announced_is_cut_too() {
    let mut peer = Peer::new(App::Manual);
    peer.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    peer.begin(200, BodyLength::Known(4), false);
    peer.piece(b"one").unwrap();
    assert_eq!(peer.finish(None), Err(ResponseError::TooFewBytes));
    assert_eq!(peer.stand(), Stand::Flushing);
}

#[test]
fn the_server_field_is_sent_where_one_is_set() {
    let mut peer = Peer::with(HELLO, |limits| limits.server_header = Some("lanner".into()));
    peer.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.only().field("server"), Some("lanner"));
}
