//! The least rates at which bodies must come and answers be taken.

use crate::driver::{App, Peer, Stand, Told, millis, secs};
use lanner_limits::{MinRate, Trip};
use lanner_protocol::{BodyLength, EndReason};

fn posting(length: usize) -> String {
    format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_body_of_which_nothing_comes_is_408_after_the_grace() {
    let mut peer = Peer::new(App::Collect);
    peer.send(posting(100));
    assert_eq!(peer.due_in(), Some(secs(5)));
    peer.wait(secs(5) - millis(1));
    assert_eq!(peer.stand(), Stand::Open);
    peer.wait(millis(1));
    assert_eq!(
        peer.told.last(),
        Some(&Told::Failed(Trip::MinBodyRate.into()))
    );
    assert_eq!(peer.trips, [Trip::MinBodyRate]);
    peer.assert_refused(408, EndReason::MinRequestBodyDataRate);
}

#[test]
fn one_byte_a_second_is_cut_at_the_grace() {
    let mut peer = Peer::new(App::Collect);
    let began = peer.now;
    peer.send(posting(100));
    while peer.stand() == Stand::Open {
        peer.wait(secs(1)).send("x");
    }
    assert_eq!(peer.now.since(began), secs(5));
    peer.assert_refused(408, EndReason::MinRequestBodyDataRate);
}

#[test]
fn an_answer_that_ends_because_the_body_was_too_slow_says_so() {
    let mut peer = Peer::new(App::Manual);
    peer.send(posting(100));
    peer.begin(200, BodyLength::Unknown, false);
    peer.want_body();
    peer.wait(secs(5));
    assert_eq!(peer.trips, [Trip::MinBodyRate]);
    // What the engine does when an app's stream ends in an error.
    peer.http.truncate(EndReason::ErrorAfterStartingResponse);
    peer.turn();
    assert_eq!(peer.end_reason(), Some(EndReason::MinRequestBodyDataRate));
}

#[test]
fn a_body_at_the_rate_is_never_cut() {
    let mut peer = Peer::new(App::Collect);
    peer.send(posting(240 * 1_000)).send([b'x'; 240]);
    for _ in 1..1_000 {
        peer.wait(millis(999)).send([b'x'; 240]);
    }
    assert_eq!(peer.only().body.len(), 240_000);
}

#[test]
fn the_average_over_the_body_so_far_counts() {
    let mut peer = Peer::new(App::Collect);
    peer.send(posting(240 * 20 + 1)).send([b'x'; 240 * 20]);
    // Twenty seconds' worth came at once.
    assert_eq!(peer.due_in(), Some(secs(20)));
    peer.wait(secs(19)).send("x");
    assert_eq!(peer.only().status, 200);
}

#[test]
fn a_server_that_does_not_read_never_punishes_the_client() {
    let mut peer = Peer::new(App::Manual);
    peer.send(posting(3));
    assert_eq!(peer.due_in(), None);
    peer.wait(secs(3_600));
    peer.want_body();
    assert_eq!(peer.due_in(), Some(secs(5)));
    peer.wait(secs(3)).send("a");
    // Three of the five seconds are used up, and an hour in which nobody reads changes nothing.
    assert_eq!(peer.due_in(), None);
    peer.wait(secs(3_600));
    peer.want_body();
    assert_eq!(peer.due_in(), Some(secs(2)));
    peer.wait(secs(1)).send("b");
    peer.want_body();
    peer.send("c");
    peer.answer(200, "done");
    assert_eq!((peer.only().text(), peer.stand()), ("done", Stand::Open));
}

#[test]
fn each_body_has_a_grace_of_its_own() {
    let mut peer = Peer::new(App::Collect);
    for _ in 0..3 {
        peer.send(posting(1)).wait(secs(4)).send("x");
    }
    assert_eq!(peer.statuses(), [200, 200, 200]);
}

#[test]
fn a_route_may_set_another_rate_or_none() {
    let mut peer = Peer::new(App::Collect);
    peer.overrides.min_body_rate = Some(Some(MinRate {
        bytes_per_second: 1,
        grace: secs(60),
    }));
    peer.send(posting(10));
    assert_eq!(peer.due_in(), Some(secs(60)));
    let mut peer = Peer::new(App::Collect);
    peer.overrides.min_body_rate = Some(None);
    peer.send(posting(10));
    assert_eq!(peer.due_in(), None);
}

#[test]
fn an_answer_that_is_not_taken_is_cut_after_the_grace() {
    let mut peer = Peer::new(App::AtOnce("hello"));
    peer.room = 10;
    peer.send(GET);
    assert_eq!(peer.due_in(), Some(secs(5)));
    peer.wait(secs(5) - millis(1));
    assert_eq!(peer.stand(), Stand::Open);
    peer.wait(millis(1));
    assert_eq!(peer.trips, [Trip::MinResponseRate]);
    assert_eq!(
        (peer.stand(), peer.end_reason()),
        (Stand::Reset, Some(EndReason::MinResponseDataRate))
    );
}

#[test]
fn a_large_answer_has_the_time_its_bytes_need_head_included() {
    let mut peer = Peer::new(App::Manual);
    peer.room = 0;
    peer.send(GET);
    peer.answer(200, vec![b'x'; 24_000]);
    let bytes = peer.unsent() as u64;
    assert!(bytes > 24_000);
    let due = peer.due_in().unwrap();
    assert_eq!(
        due.as_nanos(),
        (u128::from(bytes) * 1_000_000_000).div_ceil(240)
    );
    // Taking some of it buys no time.
    peer.wait(secs(50)).take(10_000);
    peer.wait(due - secs(50) - millis(1));
    assert_eq!(peer.stand(), Stand::Open);
    peer.wait(millis(1));
    assert_eq!(peer.stand(), Stand::Reset);
}

#[test]
fn an_answer_taken_in_time_leaves_no_deadline_behind() {
    let mut peer = Peer::new(App::AtOnce("hello"));
    peer.room = 10;
    peer.send(GET).wait(secs(4));
    peer.take(usize::MAX);
    assert_eq!(peer.due_in(), Some(secs(75)));
}

#[test]
fn an_answer_of_which_nothing_is_queued_may_take_its_time() {
    let mut peer = Peer::new(App::Manual);
    peer.send(GET);
    peer.begin(200, BodyLength::Unknown, false);
    peer.turn();
    assert_eq!(peer.due_in(), None);
    peer.wait(secs(3_600));
    peer.piece(b"event").unwrap();
    peer.turn();
    assert_eq!(peer.answers()[0].text(), "event");
}

#[test]
fn an_answer_before_the_close_is_held_to_the_rate_too() {
    let mut peer = Peer::new(App::Collect);
    peer.room = 10;
    peer.send("GET /a HTTP/3.0\r\nHost: a\r\n\r\n");
    assert_eq!(
        (peer.stand(), peer.due_in()),
        (Stand::Flushing, Some(secs(5)))
    );
    peer.wait(secs(5));
    assert_eq!(peer.stand(), Stand::Reset);
}

#[test]
fn without_a_minimum_nobody_is_cut() {
    let mut peer = Peer::with(App::AtOnce("hello"), |limits| {
        limits.min_response_rate = None;
    });
    peer.room = 10;
    peer.send(GET);
    assert_eq!(peer.due_in(), None);
    peer.wait(secs(3_600)).take(usize::MAX);
    assert_eq!(peer.only().text(), "hello");
}

#[test]
fn an_app_may_set_the_rate_for_one_answer() {
    let mut peer = Peer::new(App::AtOnce("hello"));
    peer.room = 0;
    peer.overrides.min_response_rate = Some(Some(MinRate {
        bytes_per_second: 1_000_000,
        grace: secs(60),
    }));
    peer.send(GET);
    assert_eq!(peer.due_in(), Some(secs(60)));
    peer.take(usize::MAX);
    peer.room = 0;
    peer.overrides.min_response_rate = Some(None);
    peer.send(GET);
    assert_eq!(peer.due_in(), None);
    peer.take(usize::MAX);
    peer.room = 0;
    peer.overrides.min_response_rate = None;
    peer.send(GET);
    assert_eq!(peer.due_in(), Some(secs(5)));
}
