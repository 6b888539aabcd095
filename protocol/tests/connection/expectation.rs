//! `Expect: 100-continue` (RFC 9110 section 10.1.1).

use crate::driver::{App, Peer, Stand, Told, converse};
use lanner_protocol::{BodyLength, EndReason};

const EXPECTING: &str =
    "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

#[test]
fn the_100_is_sent_when_the_app_reads_and_only_once() {
    let mut peer = Peer::new(App::Manual);
    peer.send(EXPECTING);
    assert_eq!(peer.wire, b"");
    peer.want_body();
    assert_eq!(peer.wire, CONTINUE);
    peer.send("he");
    peer.want_body();
    peer.send("llo");
    assert_eq!(
        peer.told[1..],
        [Told::Body(b"hello".to_vec()), Told::End(vec![])]
    );
    peer.answer(200, "done");
    let wire = peer.read();
    assert_eq!((wire.continues, wire.answers[0].text()), (vec![1], "done"));
    assert_eq!(wire.answers[0].field("connection"), None);
    assert_eq!(peer.stand(), Stand::Open);
}

#[test]
fn no_100_once_body_bytes_came() {
    let mut peer = Peer::new(App::Manual);
    peer.send(EXPECTING).send("h");
    peer.want_body();
    assert_eq!(peer.wire, b"");
    peer.send("ello");
    peer.want_body();
    peer.answer(200, "done");
    assert_eq!(peer.read().continues, [0]);
    assert_eq!(peer.stand(), Stand::Open);
}

#[test]
fn no_100_to_http_1_0() {
    let mut peer = Peer::new(App::Manual);
    peer.send("POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    peer.want_body();
    assert_eq!(peer.wire, b"");
}

#[test]
fn no_100_for_a_request_without_a_body() {
    for field in ["", "Content-Length: 0\r\n"] {
        let mut peer = Peer::new(App::Collect);
        peer.send(format!(
            "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{field}\r\n"
        ));
        assert_eq!(peer.read().continues, [0]);
        assert_eq!(peer.stand(), Stand::Open);
    }
}

/// The client may now send the body or not: nobody can tell, so nothing after this answer can be trusted.
#[test]
fn a_final_answer_before_the_100_announces_the_close_and_lingers() {
    let mut peer = Peer::new(App::AtOnce("no"));
    peer.send(EXPECTING);
    let wire = peer.read();
    assert_eq!((wire.continues, wire.answers[0].status), (vec![0], 200));
    assert!(wire.answers[0].announces_close());
    assert_eq!(
        (peer.stand(), peer.end_reason()),
        (Stand::Lingering, Some(EndReason::Announced))
    );
    peer.send("hello").end();
    assert_eq!(peer.stand(), Stand::Closed);
}

#[test]
fn a_streamed_answer_begun_before_the_100_announces_the_close_too() {
    let mut peer = Peer::new(App::Manual);
    peer.send(EXPECTING);
    peer.begin(200, BodyLength::Unknown, false);
    peer.want_body();
    peer.send("hello");
    peer.piece(b"ok").unwrap();
    peer.finish(None).unwrap();
    peer.turn();
    let wire = peer.read();
    assert_eq!(
        wire.continues,
        [0],
        "no 100 after the final answer has begun"
    );
    assert!(wire.answers[0].announces_close());
    assert_eq!(peer.stand(), Stand::Lingering);
}

#[test]
fn a_413_before_the_100_never_asks_for_the_body() {
    let mut peer = Peer::with(App::Collect, |limits| limits.max_request_body = Some(4));
    peer.send(EXPECTING);
    assert_eq!(peer.read().continues, [0]);
    peer.assert_refused(413, EndReason::MaxRequestBodySizeExceeded);
}

#[test]
fn the_body_is_the_same_with_and_without_an_expectation_at_every_split() {
    let peer = converse(|| Peer::new(App::Collect), EXPECTING.to_owned() + "hello");
    assert_eq!(peer.only().text(), "hello");
    let chunked = "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-CONTINUE\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n0\r\n\r\n";
    assert_eq!(
        converse(|| Peer::new(App::Collect), chunked).only().text(),
        "hello"
    );
}

#[test]
fn an_unknown_expectation_is_417() {
    let peer = converse(
        || Peer::new(App::Collect),
        "POST /a HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nContent-Length: 5\r\n\r\n",
    );
    peer.assert_refused(417, EndReason::InvalidRequestHeaders);
}
