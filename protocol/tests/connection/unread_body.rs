//! Bodies that the app did not read: drained within bounds, or the connection ends so that the answer can be read.

use crate::driver::{App, Peer, Stand, converse, millis, secs};
use lanner_limits::Trip;
use lanner_protocol::EndReason;

fn posting(length: usize) -> String {
    format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

const IGNORE: App = App::AtOnce("ignored");
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_short_rest_is_drained_and_the_connection_goes_on() {
    let chunked = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\n";
    for input in [posting(5) + "hello", chunked.to_owned()] {
        let peer = converse(|| Peer::new(IGNORE), input + NEXT);
        assert_eq!(peer.statuses(), [200, 200]);
        assert!(!peer.answers()[0].announces_close());
        assert_eq!((peer.http.requests(), peer.stand()), (2, Stand::Open));
    }
}

#[test]
fn a_length_over_the_bound_closes_at_once_with_linger() {
    let mut peer = Peer::new(IGNORE);
    peer.send(posting((256 << 10) + 1));
    assert!(peer.only().announces_close());
    assert_eq!(
        (peer.stand(), peer.end_reason()),
        (Stand::Lingering, Some(EndReason::Announced))
    );
    let mut peer = Peer::new(IGNORE);
    peer.send(posting(256 << 10));
    assert!(!peer.only().announces_close());
    peer.send(vec![b'x'; 256 << 10]).send(NEXT);
    assert_eq!(
        (peer.statuses(), peer.stand()),
        (vec![200, 200], Stand::Open)
    );
}

#[test]
fn chunks_without_end_are_drained_up_to_the_bound() {
    let mut peer = Peer::new(IGNORE);
    peer.send("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(!peer.only().announces_close());
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
    let mut sent = 0;
    while peer.stand() == Stand::Open {
        peer.send(&chunk);
        sent += 4096;
        assert!(sent <= (256 << 10) + 4096, "drained without a bound");
    }
    assert!(sent >= 250 << 10);
    assert_eq!(peer.trips, [Trip::BodyDrainMax]);
    assert_eq!(
        (peer.stand(), peer.end_reason()),
        (Stand::Lingering, Some(EndReason::BodyDrain))
    );
}

#[test]
fn a_rest_that_does_not_come_ends_the_connection_at_the_drain_timeout() {
    let mut peer = Peer::new(IGNORE);
    peer.send(posting(5));
    assert_eq!(peer.due_in(), Some(secs(5)));
    peer.wait(secs(5) - millis(1)).send("hell");
    assert_eq!(peer.stand(), Stand::Open);
    peer.wait(millis(1));
    assert_eq!(peer.trips, [Trip::BodyDrainTimeout]);
    assert_eq!(
        (peer.stand(), peer.end_reason()),
        (Stand::Closed, Some(EndReason::BodyDrain))
    );
}

#[test]
fn the_drain_timeout_does_not_cut_an_answer_that_is_still_being_taken() {
    let mut peer = Peer::new(App::Manual);
    peer.room = 10;
    peer.send(posting(5));
    peer.answer(200, vec![b'x'; 10_000]);
    peer.wait(secs(6));
    assert_eq!(peer.stand(), Stand::Flushing);
    peer.take(usize::MAX);
    assert_eq!(
        (peer.only().body.len(), peer.stand()),
        (10_000, Stand::Closed)
    );
}

#[test]
fn after_the_drain_the_keep_alive_timeout_begins() {
    let mut peer = Peer::new(IGNORE);
    peer.send(posting(5)).wait(secs(2)).send("hello");
    assert_eq!(peer.due_in(), Some(secs(75)));
    assert_eq!(peer.http.idle_since(), Some(peer.now));
}

#[test]
fn a_lingering_connection_reads_away_what_comes_until_its_end_or_the_timeout() {
    let mut peer = Peer::new(IGNORE);
    peer.send(posting(1 << 20));
    assert!(peer.http.is_lingering());
    for _ in 0..10 {
        assert!(peer.http.wants_input(0));
        peer.send(vec![b'x'; 10_000]);
        assert_eq!(peer.buffered(), 0);
    }
    assert_eq!(peer.due_in(), Some(secs(5)));
    peer.end();
    assert_eq!(peer.stand(), Stand::Closed);

    let mut peer = Peer::new(IGNORE);
    peer.send(posting(1 << 20)).wait(secs(5) - millis(1));
    assert_eq!(peer.stand(), Stand::Lingering);
    peer.wait(millis(1));
    assert_eq!(
        (peer.stand(), peer.end_reason()),
        (Stand::Closed, Some(EndReason::Announced))
    );
}

#[test]
fn a_client_that_ended_before_the_linger_is_not_lingered_for() {
    let mut peer = Peer::new(IGNORE);
    peer.room = 0;
    peer.send(posting(1 << 20)).end();
    assert_eq!(peer.stand(), Stand::Flushing);
    peer.take(usize::MAX);
    assert_eq!(peer.stand(), Stand::Closed);
    assert_eq!(peer.only().text(), "ignored");
}

#[test]
fn while_an_answer_goes_out_before_the_close_input_is_read_away() {
    let mut peer = Peer::new(IGNORE);
    peer.room = 0;
    peer.send(posting(1 << 20));
    assert_eq!(peer.stand(), Stand::Flushing);
    assert!(peer.http.wants_input(0));
    peer.send(vec![b'x'; 10_000]);
    assert_eq!(peer.buffered(), 0);
}
