//! The server's stop in every state, and connections closed to make room.

use crate::driver::{App, Peer, Stand, request, secs};
use lanner_limits::Trip;
use lanner_protocol::{BodyLength, EndReason};

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const HELLO: App = App::AtOnce("hello");

fn stop(peer: &mut Peer) {
    peer.http.announce_close();
    peer.turn();
    peer.http.handle_stop(peer.now);
    peer.turn();
}

fn ended(peer: &Peer, stand: Stand, reason: EndReason) {
    assert_eq!((peer.stand(), peer.end_reason()), (stand, Some(reason)));
}

#[test]
fn an_idle_connection_is_closed() {
    let mut peer = Peer::new(HELLO);
    peer.send(GET).wait(secs(1));
    stop(&mut peer);
    ended(&peer, Stand::Closed, EndReason::ServerStopped);
}

#[test]
fn a_connection_accepted_a_moment_ago_may_still_send_its_request() {
    let mut peer = Peer::new(HELLO);
    stop(&mut peer);
    assert_eq!((peer.stand(), peer.due_in()), (Stand::Open, Some(secs(1))));
    peer.send(GET);
    assert!(peer.only().announces_close());
    ended(&peer, Stand::Lingering, EndReason::Announced);

    let mut peer = Peer::new(HELLO);
    stop(&mut peer);
    peer.wait(secs(1));
    ended(&peer, Stand::Closed, EndReason::ServerStopped);
    assert!(peer.wire.is_empty());
}

#[test]
fn a_head_under_way_is_still_answered() {
    for before in ["", GET] {
        let mut peer = Peer::new(HELLO);
        peer.send(before).send("GET /b HTTP");
        stop(&mut peer);
        assert_eq!(peer.stand(), Stand::Open);
        peer.wait(secs(10)).send("/1.1\r\nHost: a\r\n\r\n");
        assert!(peer.answers().last().unwrap().announces_close());
        ended(&peer, Stand::Lingering, EndReason::Announced);
    }
}

#[test]
fn a_body_under_way_is_still_answered() {
    let mut peer = Peer::new(App::Collect);
    peer.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
    stop(&mut peer);
    peer.send("lo");
    let answer = peer.only();
    assert_eq!((answer.text(), answer.announces_close()), ("hello", true));
}

#[test]
fn an_app_at_work_still_answers() {
    let mut peer = Peer::new(App::Manual);
    peer.send(GET);
    stop(&mut peer);
    peer.wait(secs(20));
    peer.answer(200, "late");
    assert!(peer.only().announces_close());
    ended(&peer, Stand::Lingering, EndReason::Announced);
}

#[test]
fn an_answer_that_streams_ends_first() {
    let mut peer = Peer::new(App::Manual);
    peer.send(GET);
    peer.begin(200, BodyLength::Unknown, false);
    peer.piece(b"one").unwrap();
    peer.turn();
    stop(&mut peer);
    assert_eq!(peer.stand(), Stand::Open);
    peer.piece(b"two").unwrap();
    peer.finish(None).unwrap();
    peer.turn();
    assert_eq!(peer.only().text(), "onetwo");
    assert_eq!(peer.stand(), Stand::Lingering);
}

#[test]
fn an_answer_that_is_still_being_taken_is_not_cut() {
    let mut peer = Peer::new(App::Manual);
    peer.room = 100;
    peer.send(GET);
    peer.answer(200, vec![b'x'; 10_000]);
    stop(&mut peer);
    assert_eq!(peer.stand(), Stand::Flushing);
    peer.take(usize::MAX);
    assert_eq!(peer.only().body.len(), 10_000);
    ended(&peer, Stand::Lingering, EndReason::ServerStopped);
}

#[test]
fn a_body_being_drained_is_drained_and_then_the_connection_closes() {
    let mut peer = Peer::new(HELLO);
    peer.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    stop(&mut peer);
    assert_eq!(peer.stand(), Stand::Open);
    peer.send("hello");
    ended(&peer, Stand::Lingering, EndReason::ServerStopped);
}

/// The answer under way could not announce the close any more, so its client had every right to pipeline.
#[test]
fn a_request_behind_an_answer_that_streams_is_still_answered() {
    let mut peer = Peer::new(App::Manual);
    peer.send(GET);
    peer.begin(200, BodyLength::Unknown, false);
    peer.turn();
    peer.send(GET.repeat(2));
    stop(&mut peer);
    peer.finish(None).unwrap();
    peer.turn();
    peer.answer(200, "last");
    let answers = peer.answers();
    assert_eq!(answers.len(), 2);
    assert!(!answers[0].announces_close() && answers[1].announces_close());
    ended(&peer, Stand::Lingering, EndReason::Announced);
}

#[test]
fn a_request_behind_a_drained_body_is_still_answered() {
    let mut peer = Peer::new(HELLO);
    peer.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    stop(&mut peer);
    peer.send("hello".to_owned() + GET);
    assert_eq!(peer.statuses(), [200, 200]);
    assert!(peer.answers()[1].announces_close());
}

#[test]
fn what_is_left_at_the_deadline_is_cut_in_every_state() {
    let states: [fn(&mut Peer); 7] = [
        |_| {},
        |peer| {
            peer.send("GET");
        },
        |peer| {
            peer.send(GET);
        },
        |peer| {
            peer.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
            peer.want_body();
        },
        |peer| {
            peer.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
            peer.answer(200, "draining");
        },
        |peer| {
            peer.room = 0;
            peer.send("nonsense\r\n\r\n");
        },
        |peer| {
            peer.send("nonsense\r\n\r\n");
        },
    ];
    for (index, prepare) in states.into_iter().enumerate() {
        let mut peer = Peer::new(App::Manual);
        prepare(&mut peer);
        stop(&mut peer);
        peer.http.handle_stop_deadline();
        peer.turn();
        assert_eq!(peer.stand(), Stand::Reset, "state {index}");
        assert_eq!(peer.due_in(), None);
        assert!(!peer.http.in_exchange());
    }
}

#[test]
fn an_idle_or_lingering_connection_makes_room() {
    let mut peer = Peer::new(HELLO);
    peer.send(GET);
    assert!(peer.http.idle_since().is_some());
    peer.http.shed();
    peer.turn();
    ended(&peer, Stand::Closed, EndReason::Shed);
    assert_eq!(peer.trips, [Trip::IdleShed]);

    let mut peer = Peer::new(HELLO);
    peer.send("nonsense\r\n\r\n");
    assert!(peer.http.is_lingering());
    peer.http.shed();
    peer.turn();
    assert_eq!(peer.stand(), Stand::Closed);
    assert_eq!(peer.trips, [Trip::LingerShed]);
}

#[test]
fn only_a_connection_that_does_nothing_counts_as_idle() {
    let mut peer = Peer::new(App::Manual);
    assert_eq!(peer.http.idle_since(), Some(peer.now));
    peer.wait(secs(1)).send("GET /a");
    assert_eq!(peer.http.idle_since(), None);
    peer.send(" HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.told, [request("GET /a")]);
    assert_eq!(peer.http.idle_since(), None);
    peer.room = 10;
    peer.answer(200, "x");
    assert_eq!(peer.http.idle_since(), None, "the answer is not out yet");
    peer.wait(secs(1)).take(usize::MAX);
    assert_eq!(peer.http.idle_since(), Some(peer.now));
}
