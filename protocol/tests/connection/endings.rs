//! The client's end and its reset, in every state.

use crate::driver::{App, Peer, Stand, Told, converse, early_eof, request, secs};
use lanner_protocol::{BodyLength, EndReason};

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
const CHUNKED: &str = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

fn closed(peer: &Peer, reason: EndReason) {
    assert_eq!(
        (peer.stand(), peer.end_reason()),
        (Stand::Closed, Some(reason))
    );
}

#[test]
fn an_end_before_and_between_requests_is_the_usual_end() {
    let mut peer = Peer::new(App::AtOnce("x"));
    peer.end();
    closed(&peer, EndReason::PeerClosed);
    let mut peer = Peer::new(App::AtOnce("x"));
    peer.send(GET).end();
    assert_eq!(peer.statuses(), [200]);
    closed(&peer, EndReason::PeerClosed);
}

#[test]
fn an_end_within_a_head_closes() {
    let mut peer = Peer::new(App::AtOnce("x"));
    peer.send("GET / HTT").end();
    assert!(peer.wire.is_empty());
    closed(&peer, EndReason::ConnectionReset);
}

#[test]
fn a_half_close_behind_a_complete_request_still_gets_its_answer() {
    let mut peer = Peer::new(App::Manual);
    peer.send(GET).end();
    assert_eq!(peer.stand(), Stand::Open);
    assert!(!peer.http.wants_input(0), "there is nothing left to read");
    peer.wait(secs(60));
    peer.answer(200, "for you");
    assert_eq!(peer.only().text(), "for you");
    closed(&peer, EndReason::PeerClosed);
}

#[test]
fn a_half_close_behind_pipelined_requests_gets_all_answers() {
    let mut peer = Peer::new(App::Manual);
    peer.send(GET.repeat(3)).end();
    for _ in 0..3 {
        assert_eq!(peer.stand(), Stand::Open);
        peer.answer(200, "one");
    }
    assert_eq!(peer.statuses(), [200; 3]);
    closed(&peer, EndReason::PeerClosed);
}

#[test]
fn a_half_close_does_not_cut_an_answer_that_is_taken_slowly() {
    let mut peer = Peer::new(App::Manual);
    peer.room = 100;
    peer.send(GET).end();
    peer.answer(200, vec![b'x'; 50_000]);
    assert_eq!(peer.stand(), Stand::Flushing);
    for _ in 0..100 {
        peer.wait(secs(1)).take(500);
    }
    peer.take(usize::MAX);
    assert_eq!(peer.only().body.len(), 50_000);
    closed(&peer, EndReason::PeerClosed);
}

#[test]
fn an_end_within_a_body_fails_the_read_and_is_answered_400() {
    for body in [
        POST.to_owned(),
        POST.to_owned() + "hel",
        CHUNKED.to_owned(),
        CHUNKED.to_owned() + "5\r\nhel",
        CHUNKED.to_owned() + "5\r\nhello",
        CHUNKED.to_owned() + "5\r\nhello\r\n0\r\n",
        CHUNKED.to_owned() + "5\r\nhello\r\n0\r\nx: y\r\n",
    ] {
        let mut peer = Peer::new(App::Collect);
        peer.send(&body).end();
        assert_eq!(peer.told.last(), Some(&early_eof()), "{body:?}");
        let answer = peer.only();
        assert_eq!((answer.status, answer.announces_close()), (400, true));
        closed(&peer, EndReason::UnexpectedEndOfRequestContent);
    }
}

#[test]
fn an_end_within_a_body_is_told_when_the_app_reads_that_far() {
    for (body, rest) in [
        (POST.to_owned() + "hel", "hel"),
        (CHUNKED.to_owned() + "3\r\nhel\r\n0\r\nx: y", "hel"),
    ] {
        let mut peer = Peer::new(App::Manual);
        peer.send(&body).end();
        assert_eq!(peer.told, [request("POST /a")]);
        peer.want_body();
        assert_eq!(
            peer.told.last(),
            Some(&Told::Body(rest.into())),
            "what was sent counts"
        );
        peer.want_body();
        assert_eq!(peer.told.last(), Some(&early_eof()), "{body:?}");
        peer.answer(200, "the engine's answer wins");
        assert_eq!(peer.only().status, 400);
    }
}

#[test]
fn an_end_behind_a_complete_body_is_no_failure() {
    let peer = converse(|| Peer::new(App::Collect), POST.to_owned() + "hello");
    assert_eq!(peer.only().text(), "hello");
    let mut peer = Peer::new(App::Manual);
    peer.send(POST.to_owned() + "hello").end();
    peer.want_body();
    assert_eq!(peer.told.last(), Some(&Told::End(vec![])));
    peer.answer(200, "ok");
    assert_eq!(peer.only().text(), "ok");
    closed(&peer, EndReason::PeerClosed);
}

#[test]
fn an_end_while_a_body_is_drained_closes_behind_the_answer() {
    let mut peer = Peer::new(App::AtOnce("unread"));
    peer.room = 0;
    peer.send(POST.to_owned() + "hel").end();
    assert_eq!(peer.stand(), Stand::Flushing);
    peer.take(usize::MAX);
    assert_eq!(peer.only().text(), "unread");
    closed(&peer, EndReason::UnexpectedEndOfRequestContent);
}

#[test]
fn an_end_while_an_answer_streams_lets_it_end() {
    let mut peer = Peer::new(App::Manual);
    peer.send(GET);
    peer.begin(200, BodyLength::Unknown, false);
    peer.piece(b"one").unwrap();
    peer.end();
    assert_eq!(peer.stand(), Stand::Open);
    peer.piece(b"two").unwrap();
    peer.finish(None).unwrap();
    peer.turn();
    assert_eq!(peer.only().text(), "onetwo");
    closed(&peer, EndReason::PeerClosed);
}

#[test]
fn a_reset_ends_everything_at_once() {
    let states: [(&str, EndReason); 6] = [
        ("", EndReason::PeerClosed),
        ("GET", EndReason::ConnectionReset),
        (GET, EndReason::ConnectionReset),
        (POST, EndReason::ConnectionReset),
        (CHUNKED, EndReason::ConnectionReset),
        (
            "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
            EndReason::InvalidHttpVersion,
        ),
    ];
    for (sent, reason) in states {
        let mut peer = Peer::new(App::Manual);
        peer.send(sent).reset();
        assert!(!peer.http.in_exchange());
        assert_eq!(peer.due_in(), None);
        closed(&peer, reason);
    }
}

#[test]
fn after_the_end_nothing_has_an_effect() {
    let mut peer = Peer::new(App::Manual);
    peer.send(GET).reset();
    let sent = peer.wire.len();
    peer.send(GET).end().wait(secs(1_000));
    peer.want_body();
    assert_eq!(peer.wire.len(), sent);
    assert_eq!(peer.told, [request("GET /a")]);
    closed(&peer, EndReason::ConnectionReset);
}
