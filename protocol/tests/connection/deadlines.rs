//! Each timeout, to the nanosecond.

use crate::driver::{App, Peer, Stand, Told, millis, secs};
use lanner_limits::Trip;
use lanner_protocol::{BodyLength, EndReason};
use std::time::Duration;

const INSTANT: Duration = Duration::from_nanos(1);
const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const HELLO: App = App::AtOnce("hello");

/// Checks that the connection stands a nanosecond before `after` and is over then.
fn is_over_after(peer: &mut Peer, after: Duration, stand: Stand, reason: EndReason) {
    assert_eq!(peer.due_in(), Some(after));
    peer.wait(after - INSTANT);
    assert_eq!(peer.stand(), Stand::Open);
    peer.wait(INSTANT);
    assert_eq!((peer.stand(), peer.end_reason()), (stand, Some(reason)));
}

#[test]
fn without_a_first_byte_the_connection_is_closed_without_a_word() {
    let mut peer = Peer::new(HELLO);
    is_over_after(
        &mut peer,
        secs(15),
        Stand::Closed,
        EndReason::FirstByteTimeout,
    );
    assert!(peer.wire.is_empty());
    assert_eq!(peer.trips, [Trip::FirstByteTimeout]);
}

#[test]
fn the_head_has_its_time_from_its_first_byte_however_it_trickles() {
    let mut peer = Peer::new(HELLO);
    peer.wait(secs(14)).send("G");
    for byte in ["E", "T", " ", "/"] {
        peer.wait(secs(3)).send(byte);
    }
    is_over_after(
        &mut peer,
        secs(3),
        Stand::Lingering,
        EndReason::RequestHeadersTimeout,
    );
    peer.assert_refused(408, EndReason::RequestHeadersTimeout);
    assert_eq!(peer.trips, [Trip::HeaderTimeout]);
}

#[test]
fn half_a_head_of_a_head_request_is_answered_without_a_body() {
    let mut peer = Peer::new(HELLO);
    peer.send(GET).send("HEAD /a HTTP/1.1\r\nHo").wait(secs(15));
    let wire = String::from_utf8_lossy(&peer.wire).into_owned();
    let (_, refusal) = wire.split_once("hello").unwrap();
    assert!(
        refusal.starts_with("HTTP/1.1 408 ") && refusal.ends_with("\r\n\r\n"),
        "{wire}"
    );
    // Of this answer, not of all on the connection.
    assert_eq!(peer.http.body_bytes_sent(), 0);
}

#[test]
fn a_later_head_has_the_same_time() {
    let mut peer = Peer::new(HELLO);
    peer.send(GET).wait(secs(70)).send("GET");
    is_over_after(
        &mut peer,
        secs(15),
        Stand::Lingering,
        EndReason::RequestHeadersTimeout,
    );
    assert_eq!(peer.statuses(), [200, 408]);
}

#[test]
fn a_partial_preface_of_http_2_has_no_more_time_than_a_head() {
    let mut peer = Peer::new(HELLO);
    peer.send("PRI * HT");
    is_over_after(
        &mut peer,
        secs(15),
        Stand::Lingering,
        EndReason::RequestHeadersTimeout,
    );
}

#[test]
fn an_idle_connection_is_closed_at_the_keep_alive_timeout() {
    let mut peer = Peer::new(HELLO);
    peer.send(GET).wait(secs(40)).send(GET);
    is_over_after(
        &mut peer,
        secs(75),
        Stand::Closed,
        EndReason::KeepAliveTimeout,
    );
    assert_eq!(peer.statuses(), [200, 200]);
}

/// The time for the next request begins when the client has the answer to the last one.
#[test]
fn a_client_that_takes_its_answer_slowly_but_fast_enough_is_not_idle() {
    let mut peer = Peer::new(App::Manual);
    peer.room = 0;
    peer.send(GET);
    peer.answer(200, vec![b'x'; 100_000]);
    for _ in 0..200 {
        peer.wait(secs(1)).take(500);
        assert_eq!(peer.http.idle_since(), None);
    }
    assert_eq!(peer.stand(), Stand::Open);
    peer.take(usize::MAX);
    assert_eq!(peer.only().body.len(), 100_000);
    assert_eq!(peer.http.idle_since(), Some(peer.now));
    is_over_after(
        &mut peer,
        secs(75),
        Stand::Closed,
        EndReason::KeepAliveTimeout,
    );
}

#[test]
fn trailers_have_the_time_of_a_head_from_the_last_chunk_on() {
    let mut peer = Peer::with(App::Collect, |limits| limits.min_body_rate = None);
    peer.send(
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    );
    peer.wait(secs(10)).send("x: ");
    assert_eq!(peer.due_in(), Some(secs(5)));
    peer.wait(secs(5) - INSTANT);
    assert_eq!(peer.stand(), Stand::Open);
    peer.wait(INSTANT);
    assert_eq!(
        peer.told.last(),
        Some(&Told::Failed(Trip::HeaderTimeout.into()))
    );
    peer.assert_refused(408, EndReason::RequestHeadersTimeout);
}

#[test]
fn trailers_in_time_disarm_that_deadline() {
    let mut peer = Peer::new(App::Collect);
    peer.send(
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    );
    peer.wait(secs(4)).send("\r\n");
    assert_eq!(
        (peer.only().text(), peer.due_in()),
        ("hello", Some(secs(75)))
    );
}

#[test]
fn an_app_that_takes_too_long_is_answered_for() {
    let mut peer = Peer::with(App::Manual, |limits| {
        limits.request_timeout = Some(secs(30));
    });
    peer.wait(secs(5)).send(GET);
    is_over_after(
        &mut peer,
        secs(30),
        Stand::Lingering,
        EndReason::RequestTimeout,
    );
    peer.assert_refused(504, EndReason::RequestTimeout);
    assert!(!peer.http.in_exchange());
}

#[test]
fn an_answer_that_takes_too_long_is_cut() {
    let mut peer = Peer::with(App::Manual, |limits| {
        limits.request_timeout = Some(secs(30));
    });
    peer.send(GET);
    peer.begin(200, BodyLength::Unknown, false);
    peer.turn();
    is_over_after(&mut peer, secs(30), Stand::Reset, EndReason::RequestTimeout);
    assert_eq!(peer.trips, [Trip::RequestTimeout]);
}

#[test]
fn the_request_timeout_ends_with_the_exchange() {
    let mut peer = Peer::with(App::Manual, |limits| {
        limits.request_timeout = Some(secs(30));
    });
    peer.send(GET).wait(secs(29));
    peer.answer(200, "just in time");
    peer.wait(secs(74));
    assert_eq!(peer.stand(), Stand::Open);
}

#[test]
fn a_request_that_waits_in_the_queue_has_the_queues_time_and_then_its_own() {
    let with = || {
        let mut peer = Peer::with(App::Manual, |limits| {
            limits.request_timeout = Some(secs(30));
        });
        peer.send(GET);
        peer.http.handle_queued(peer.now, secs(2));
        peer
    };
    let mut peer = with();
    peer.wait(secs(2));
    assert_eq!(peer.only().status, 503);
    assert_eq!(peer.trips, [Trip::QueueTimeout]);
    // Nothing was wrong with the request: the connection goes on.
    assert_eq!((peer.stand(), peer.due_in()), (Stand::Open, Some(secs(75))));
    let mut peer = with();
    peer.wait(secs(1));
    peer.http.handle_dequeued(peer.now);
    is_over_after(
        &mut peer,
        secs(30),
        Stand::Lingering,
        EndReason::RequestTimeout,
    );
}

#[test]
fn nothing_times_out_while_only_the_app_is_waited_for() {
    let mut peer = Peer::new(App::Manual);
    peer.send(GET);
    assert_eq!(peer.due_in(), None);
    peer.wait(secs(100_000));
    peer.answer(200, "at last");
    assert_eq!(peer.only().text(), "at last");
}

#[test]
fn an_aged_connection_that_is_idle_is_closed() {
    let mut peer = Peer::with(HELLO, |limits| limits.max_connection_age = Some(secs(100)));
    for _ in 0..8 {
        peer.send(GET).wait(secs(10));
    }
    assert_eq!(peer.stand(), Stand::Open);
    peer.wait(secs(30));
    assert_eq!(
        (peer.stand(), peer.end_reason()),
        (Stand::Closed, Some(EndReason::MaxConnectionAge))
    );
    assert_eq!(peer.trips, [Trip::MaxConnectionAge]);
}

#[test]
fn an_aged_connection_that_is_busy_announces_the_close_and_has_its_grace() {
    let aged = || {
        let mut peer = Peer::with(App::Manual, |limits| {
            limits.max_connection_age = Some(secs(100));
        });
        peer.wait(secs(10)).send(GET).wait(secs(101));
        assert_eq!(peer.stand(), Stand::Open);
        peer
    };
    let mut peer = aged();
    peer.answer(200, "last");
    assert!(peer.only().announces_close());
    assert_eq!(peer.stand(), Stand::Lingering);
    let mut peer = aged();
    peer.wait(secs(30));
    assert_eq!(
        (peer.stand(), peer.end_reason()),
        (Stand::Reset, Some(EndReason::MaxConnectionAge))
    );
}

#[test]
fn a_connection_that_aged_while_a_body_was_drained_takes_no_further_request() {
    let mut peer = Peer::with(HELLO, |limits| limits.max_connection_age = Some(secs(100)));
    // Ten seconds of jitter may come off.
    peer.wait(secs(10)).send(GET);
    let due = loop {
        match peer.due_in() {
            Some(due) if due < secs(75) => break due,
            _ => {
                peer.wait(secs(1)).send(GET);
            }
        }
    };
    peer.wait(due - millis(1));
    peer.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    peer.wait(millis(2));
    assert_eq!(peer.stand(), Stand::Open);
    peer.send("hello");
    assert_eq!(
        (peer.stand(), peer.end_reason()),
        (Stand::Lingering, Some(EndReason::MaxConnectionAge))
    );
}

#[test]
fn ages_are_spread_by_a_tenth_in_both_directions() {
    let mut ages: Vec<Duration> = (0..1_000)
        .map(|seed| {
            let mut limits = crate::driver::limits();
            limits.max_connection_age = Some(secs(1_000));
            limits.first_byte_timeout = secs(10_000);
            Peer::seeded(HELLO, limits, seed).due_in().unwrap()
        })
        .collect();
    ages.sort_unstable();
    assert!(ages[0] >= secs(900) && ages[999] <= secs(1_100));
    assert!(
        ages[100] < secs(930) && ages[900] > secs(1_070),
        "not spread"
    );
}
