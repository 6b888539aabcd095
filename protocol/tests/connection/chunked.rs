//! The chunked coding in both directions, trailers included, as an app sees it.

use crate::driver::{App, Peer, Stand, Told, converse, request};
use lanner_limits::Trip;
use lanner_protocol::{BodyLength, EndReason, Fields, Misbehaviour, Refusal};

fn chunked(body: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

#[test]
fn a_body_comes_out_of_its_chunks_with_its_trailers() {
    let input = chunked("5\r\nhello\r\n7;a=b\r\n, world\r\n0\r\nX-Sum: 12\r\nx-other: y\r\n\r\n");
    let peer = converse(|| Peer::new(App::Collect), input);
    let fields = [("X-Sum", "12"), ("x-other", "y")];
    assert_eq!(
        peer.told,
        [
            request("POST /a"),
            Told::Body(b"hello, world".to_vec()),
            Told::End(
                fields
                    .map(|(name, value)| (name.into(), value.into()))
                    .to_vec()
            ),
        ]
    );
    assert_eq!(peer.only().text(), "hello, world");
    assert_eq!(peer.stand(), Stand::Open);
}

#[test]
fn an_echo_returns_chunks_and_trailers() {
    let mut peer = Peer::new(App::Echo);
    peer.send(chunked("5\r\nhello\r\n"));
    assert_eq!(peer.answers()[0].text(), "hello");
    peer.send("1\r\n!\r\n0\r\nx-sum: 6\r\n\r\n");
    let answer = peer.only();
    assert_eq!(answer.text(), "hello!");
    assert_eq!(answer.trailers, [("x-sum".into(), "6".into())]);
    assert_eq!(peer.stand(), Stand::Open);
}

#[test]
fn an_empty_piece_does_not_end_an_answer() {
    let mut peer = Peer::new(App::Manual);
    peer.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    peer.begin(200, BodyLength::Unknown, false);
    peer.piece(b"").unwrap();
    peer.piece(b"x").unwrap();
    peer.piece(b"").unwrap();
    peer.turn();
    assert!(!peer.answers()[0].whole);
    peer.finish(None).unwrap();
    peer.turn();
    assert_eq!(peer.only().text(), "x");
}

#[test]
fn large_and_small_pieces_keep_their_order() {
    let mut peer = Peer::new(App::Manual);
    peer.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    peer.begin(200, BodyLength::Unknown, false);
    let mut expected = Vec::new();
    for (index, len) in [1, 5_000, 20, 4_096, 4_095, 70_000].into_iter().enumerate() {
        let piece = vec![b'a' + index as u8; len];
        expected.extend_from_slice(&piece);
        peer.piece(&piece).unwrap();
    }
    peer.finish(None).unwrap();
    peer.turn();
    assert_eq!(peer.only().body, expected);
}

#[test]
fn trailers_go_nowhere_where_the_framing_has_no_place_for_them() {
    let mut trailers = Fields::new();
    trailers.append("x-sum", "5").unwrap();
    let mut peer = Peer::new(App::Manual);
    peer.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    peer.begin(200, BodyLength::Known(5), false);
    peer.piece(b"hello").unwrap();
    peer.finish(Some(&trailers)).unwrap();
    peer.turn();
    assert_eq!((peer.only().text(), peer.stand()), ("hello", Stand::Open));
}

#[test]
fn broken_chunks_fail_the_read_and_are_answered_400() {
    use Misbehaviour as M;
    for (body, fault) in [
        ("x\r\n", M::InvalidChunkSize),
        ("-5\r\nhello\r\n", M::InvalidChunkSize),
        ("0x5\r\nhello\r\n", M::InvalidChunkSize),
        (" 5\r\nhello\r\n", M::InvalidChunkSize),
        ("5 \r\nhello\r\n", M::InvalidChunkSize),
        ("\r\n5\r\nhello\r\n", M::InvalidChunkSize),
        ("00000000000000005\r\n", M::InvalidChunkSize),
        ("5\nhello\r\n", M::InvalidChunkTerminator),
        ("5\rhello\r\n", M::InvalidChunkTerminator),
        ("5\r\nhello!\r\n", M::InvalidChunkTerminator),
        ("5\r\nhello\n", M::InvalidChunkTerminator),
        ("5;a\nhello\r\n", M::InvalidChunkExtension),
        ("0\r\nX : y\r\n\r\n", M::InvalidTrailer),
        ("0\r\nContent-Length: 5\r\n\r\n", M::ForbiddenTrailer),
    ] {
        let peer = converse(
            || Peer::new(App::Collect),
            chunked(body) + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        );
        assert!(
            peer.told.contains(&Told::Failed(fault.into())),
            "{body:?}: {:?}",
            peer.told
        );
        assert_eq!(peer.http.requests(), 1, "{body:?}");
        peer.assert_refused(400, Refusal::from(fault).into());
    }
}

#[test]
fn broken_chunks_that_nobody_reads_end_the_connection_behind_the_answer() {
    for body in ["5\r\nhello!\r\n", "0\r\nContent-Length: 5\r\n", "0\r\n"] {
        let peer = converse(
            || Peer::new(App::AtOnce("unread")),
            chunked(body) + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        );
        assert_eq!(
            (peer.only().text(), peer.http.requests()),
            ("unread", 1),
            "{body:?}"
        );
        assert_eq!(
            (peer.stand(), peer.end_reason()),
            (Stand::Lingering, Some(EndReason::InvalidRequestBody))
        );
    }
}

#[test]
fn endless_extensions_and_trailers_are_bounded() {
    let line = format!("5;{}\r\nhello\r\n", "a".repeat(5_000));
    for (body, trip, status) in [
        (line, Trip::ChunkLine, 400),
        (
            "1;aaaaaaaaaa\r\nx\r\n".repeat(2_000),
            Trip::ChunkExtensions,
            400,
        ),
        (
            format!("0\r\nx: {}\r\n\r\n", "a".repeat(40_000)),
            Trip::HeaderBytes,
            431,
        ),
        (
            format!("0\r\n{}\r\n", "x: y\r\n".repeat(101)),
            Trip::HeaderCount,
            431,
        ),
    ] {
        for step in [1, 1_000, usize::MAX] {
            let mut peer = Peer::new(App::Collect);
            for piece in chunked(&body).as_bytes().chunks(step) {
                peer.send(piece);
            }
            assert_eq!(peer.trips, [trip]);
            peer.assert_refused(status, trip.into());
        }
    }
}

#[test]
fn an_echo_of_a_broken_body_is_cut_so_that_nobody_takes_it_for_the_whole() {
    let mut peer = Peer::new(App::Echo);
    peer.send(chunked("5\r\nhello\r\n")).send("x");
    assert!(!peer.answers()[0].whole);
    assert_eq!(
        (peer.stand(), peer.end_reason()),
        (Stand::Reset, Some(EndReason::ErrorAfterStartingResponse))
    );
}
