//! Several requests at once: answered in order, gathered in one write, ended at the right place.

use crate::driver::{App, Peer, Stand, converse, request};
use lanner_limits::Trip;
use lanner_protocol::EndReason;

fn gets(paths: &[&str]) -> String {
    paths
        .iter()
        .map(|path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .collect()
}

#[test]
fn requests_are_answered_in_order() {
    let input = gets(&["/1", "/2"])
        + "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nthree"
        + "POST /4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n"
        + &gets(&["/5"]);
    let peer = converse(|| Peer::new(App::Collect), input);
    let texts: Vec<String> = peer
        .answers()
        .iter()
        .map(|answer| answer.text().to_owned())
        .collect();
    assert_eq!(texts, ["empty", "empty", "three", "four", "empty"]);
    assert_eq!((peer.http.requests(), peer.stand()), (5, Stand::Open));
}

#[test]
fn the_next_request_waits_for_the_answer_before() {
    let mut peer = Peer::new(App::Manual);
    peer.send(gets(&["/1", "/2"]));
    assert_eq!(peer.told, [request("GET /1")]);
    assert!(peer.buffered() > 0);
    // Pipelining is slowed, never refused: what is here is enough for now.
    assert!(!peer.http.wants_input(peer.buffered()));
    peer.answer(200, "one");
    assert_eq!(peer.told, [request("GET /1"), request("GET /2")]);
    assert!(peer.http.wants_input(peer.buffered()));
    peer.answer(200, "two");
    assert_eq!(peer.statuses(), [200, 200]);
}

#[test]
fn answers_are_gathered_in_one_write() {
    let mut peer = Peer::new(App::AtOnce("x"));
    peer.room = 0;
    peer.send(gets(&["/1", "/2", "/3"]));
    assert_eq!(peer.wire.len(), 0);
    peer.room = usize::MAX;
    peer.turn();
    assert_eq!(peer.statuses(), [200, 200, 200]);
}

#[test]
fn nothing_is_answered_after_a_request_that_asked_for_the_close() {
    let input =
        "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned() + &gets(&["/2"]);
    let peer = converse(|| Peer::new(App::AtOnce("x")), input);
    assert_eq!(peer.told, [request("GET /1")]);
    assert_eq!((peer.statuses(), peer.stand()), (vec![200], Stand::Closed));
}

#[test]
fn a_bad_request_is_answered_behind_the_good_ones_and_ends_the_connection() {
    let input = gets(&["/1"]) + "GET /2 HTTP/1.1\r\nHost : a\r\n\r\n" + &gets(&["/3"]);
    let peer = converse(|| Peer::new(App::AtOnce("x")), input);
    assert_eq!(peer.statuses(), [200, 400]);
    peer.assert_refused(400, EndReason::InvalidRequestHeaders);
}

#[test]
fn the_last_request_a_connection_may_make_is_answered_with_the_close() {
    let peer = converse(
        || {
            Peer::with(App::AtOnce("x"), |limits| {
                limits.max_requests_per_connection = Some(2);
            })
        },
        gets(&["/1", "/2", "/3"]),
    );
    let answers = peer.answers();
    assert_eq!(answers.len(), 2);
    assert!(!answers[0].announces_close() && answers[1].announces_close());
    assert_eq!(peer.trips, [Trip::MaxRequestsPerConnection]);
    // The close is our wish, so a request that is on its way must not turn it into a reset.
    assert_eq!(
        (peer.stand(), peer.end_reason()),
        (Stand::Lingering, Some(EndReason::Announced))
    );
}

#[test]
fn empty_lines_between_requests_are_skipped() {
    let peer = converse(
        || Peer::new(App::AtOnce("x")),
        gets(&["/1"]) + "\r\n\r\n" + &gets(&["/2"]),
    );
    assert_eq!(peer.statuses(), [200, 200]);
}
