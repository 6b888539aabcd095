//! `LANNER_MAX_REQUEST_BODY`: judged by length before the app is called, and while reading where there is none.

use crate::driver::{App, Peer, Stand, Told, converse, request};
use lanner_limits::Trip;
use lanner_protocol::{EndReason, Overrides};

fn small(app: App) -> Peer {
    Peer::with(app, |limits| limits.max_request_body = Some(5))
}

const SIX: &str = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n";

#[test]
fn an_announced_length_over_the_limit_is_413_before_a_byte_is_read() {
    let peer = converse(|| small(App::Collect), SIX.to_owned() + "sixsix");
    assert_eq!(peer.told, [request("POST /a")]);
    assert_eq!(peer.trips, [Trip::RequestBody]);
    peer.assert_refused(413, EndReason::MaxRequestBodySizeExceeded);
    assert!(!peer.http.in_exchange());
}

#[test]
fn a_length_of_exactly_the_limit_is_accepted() {
    let input = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let peer = converse(|| small(App::Collect), input);
    assert_eq!((peer.only().text(), peer.stand()), ("hello", Stand::Open));
}

#[test]
fn a_chunked_body_is_413_while_reading() {
    let input = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n3\r\nlo!\r\n0\r\n\r\n";
    let mut peer = small(App::Collect);
    peer.send(input);
    assert_eq!(
        peer.told.last(),
        Some(&Told::Failed(Trip::RequestBody.into()))
    );
    assert_eq!(peer.trips, [Trip::RequestBody]);
    // The engine's 413 wins over the 500 that the app made of it.
    peer.assert_refused(413, EndReason::MaxRequestBodySizeExceeded);
}

#[test]
fn a_chunked_body_of_exactly_the_limit_is_accepted() {
    let input = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    let peer = converse(|| small(App::Collect), input);
    assert_eq!((peer.only().text(), peer.stand()), ("hello", Stand::Open));
}

#[test]
fn a_route_may_raise_its_limit_or_lift_it() {
    for max_body in [Some(6), None] {
        let peer = converse(
            || {
                let mut peer = small(App::Collect);
                peer.overrides = Overrides {
                    max_body: Some(max_body),
                    ..Overrides::default()
                };
                peer
            },
            SIX.to_owned() + "sixsix",
        );
        assert_eq!((peer.only().text(), peer.stand()), ("sixsix", Stand::Open));
    }
}

#[test]
fn a_route_may_lower_its_limit() {
    let mut peer = Peer::new(App::Collect);
    peer.overrides.max_body = Some(Some(5));
    peer.send(SIX);
    peer.assert_refused(413, EndReason::MaxRequestBodySizeExceeded);
}

#[test]
fn without_a_limit_any_length_is_accepted() {
    let mut peer = Peer::with(App::Manual, |limits| limits.max_request_body = None);
    peer.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n");
    assert!(peer.http.awaits_response() && peer.http.body_open());
}

#[test]
fn what_nobody_asked_for_is_read_ahead_only_up_to_the_buffer() {
    let mut peer = Peer::new(App::Manual);
    peer.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    assert!(peer.http.wants_input(0) && peer.http.wants_input((256 << 10) - 1));
    assert!(!peer.http.wants_input(256 << 10));
    peer.want_body();
    assert!(peer.http.wants_input(256 << 10));
}
