//! 101 and the hand-over to another protocol.

use crate::driver::{App, Peer, Stand, Told, request, secs};
use lanner_protocol::{EndReason, ResponseError};

const OFFER: &str = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

#[test]
fn bytes_flow_both_ways_after_the_101() {
    let mut peer = Peer::new(App::Manual);
    peer.send(OFFER);
    peer.switch("echo").unwrap();
    peer.turn();
    peer.want_body();
    peer.send("ping");
    assert_eq!(peer.told, [request("GET /a"), Told::Body(b"ping".to_vec())]);
    peer.piece(b"pong").unwrap();
    peer.turn();
    let wire = peer.read();
    let answer = &wire.answers[0];
    assert_eq!(answer.status, 101);
    assert_eq!(answer.field("upgrade"), Some("echo"));
    assert_eq!(answer.field("connection"), Some("upgrade"));
    assert_eq!(wire.switched.unwrap(), b"pong");
    assert!(peer.http.is_upgraded() && peer.due_in().is_none());
}

/// CVE-2026-73548: bytes behind the offer must not reach the other protocol before the 101 is out, for an answer
/// other than 101 would make a request of them.
#[test]
fn the_clients_bytes_are_held_until_the_101_is_out() {
    let mut peer = Peer::new(App::Manual);
    peer.room = 0;
    peer.send(OFFER.to_owned() + "early");
    peer.switch("echo").unwrap();
    peer.turn();
    peer.want_body();
    assert_eq!(peer.told, [request("GET /a")]);
    peer.take(10);
    assert_eq!(
        peer.told,
        [request("GET /a")],
        "a part of the 101 is not enough"
    );
    peer.take(usize::MAX);
    assert_eq!(peer.told.last(), Some(&Told::Body(b"early".to_vec())));
}

#[test]
fn an_offer_that_is_declined_leaves_its_bytes_to_http() {
    let mut peer = Peer::new(App::AtOnce("no"));
    peer.send(OFFER.to_owned() + "GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.told, [request("GET /a"), request("GET /b")]);
    assert_eq!(
        (peer.statuses(), peer.stand()),
        (vec![200, 200], Stand::Open)
    );
}

#[test]
fn there_is_no_switch_without_an_offer() {
    for head in [
        "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n\r\n",
        "GET /a HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 5\r\n\r\n",
    ] {
        let mut peer = Peer::new(App::Manual);
        peer.send(head);
        assert_eq!(
            peer.switch("echo"),
            Err(ResponseError::InformationalStatus),
            "{head}"
        );
        peer.answer(200, "plain");
        assert_eq!(peer.only().text(), "plain");
    }
}

#[test]
fn the_clients_end_is_told_and_the_other_direction_stays_open() {
    let mut peer = Peer::new(App::Manual);
    peer.send(OFFER);
    peer.switch("echo").unwrap();
    peer.turn();
    peer.want_body();
    peer.end();
    assert_eq!(peer.told.last(), Some(&Told::End(vec![])));
    peer.piece(b"last words").unwrap();
    peer.turn();
    assert_eq!(peer.read().switched.unwrap(), b"last words");
    assert_eq!(peer.stand(), Stand::Open);
    peer.finish(None).unwrap();
    peer.turn();
    assert_eq!(
        (peer.stand(), peer.end_reason()),
        (Stand::Closed, Some(EndReason::UpgradeFinished))
    );
}

#[test]
fn an_end_that_came_before_the_101_was_out_is_told_too() {
    let mut peer = Peer::new(App::Manual);
    peer.room = 0;
    peer.send(OFFER).end();
    peer.switch("echo").unwrap();
    peer.turn();
    peer.want_body();
    assert_eq!(peer.told, [request("GET /a")]);
    peer.take(usize::MAX);
    assert_eq!(peer.told.last(), Some(&Told::End(vec![])));
}

#[test]
fn the_handlers_end_flushes_and_lingers() {
    let mut peer = Peer::new(App::Manual);
    peer.send(OFFER);
    peer.switch("echo").unwrap();
    peer.turn();
    peer.room = 2;
    peer.piece(b"last words").unwrap();
    peer.finish(None).unwrap();
    peer.turn();
    assert_eq!(peer.stand(), Stand::Flushing);
    peer.take(usize::MAX);
    assert_eq!(peer.read().switched.unwrap(), b"last words");
    assert_eq!(
        (peer.stand(), peer.due_in()),
        (Stand::Lingering, Some(secs(5)))
    );
}

#[test]
fn an_upgraded_connection_has_no_request_timeout_but_must_take_what_it_is_sent() {
    let mut peer = Peer::with(App::Manual, |limits| {
        limits.request_timeout = Some(secs(30));
    });
    peer.send(OFFER);
    peer.switch("echo").unwrap();
    peer.turn();
    peer.wait(secs(3_600));
    assert_eq!(peer.stand(), Stand::Open);
    peer.room = 0;
    peer.piece(b"unread").unwrap();
    peer.turn();
    peer.wait(secs(5));
    assert_eq!(
        (peer.stand(), peer.end_reason()),
        (Stand::Reset, Some(EndReason::MinResponseDataRate))
    );
}
