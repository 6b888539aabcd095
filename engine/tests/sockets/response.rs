//! What an app may answer: streams, trailers, errors, and answers that cannot be sent as they are.

use crate::agent::Cut;
use crate::app;
use crate::client::End;
use crate::server::{serve, until};
use crate::way::Way;
use bytes::Bytes;
use http_body::Frame;
use lanner::{EndReason, Error, Request, Response, Status};
use lanner_protocol::h2::error_code::ErrorCode;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

/// A body of given frames.
pub(crate) struct Pieces(VecDeque<Result<Frame<Bytes>, Error>>);

impl Pieces {
    pub(crate) fn of<const N: usize>(pieces: [&'static str; N]) -> Self {
        let frames = pieces.map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))));
        Self(frames.into())
    }

    fn with_trailer(mut self, name: &'static str, value: &str) -> Self {
        let mut frame = Frame::trailers(Default::default());
        if let Some(trailers) = frame.trailers_mut() {
            trailers.insert(name, value.parse().unwrap());
        }
        self.0.push_back(Ok(frame));
        self
    }

    fn failing(mut self) -> Self {
        self.0
            .push_back(Err(std::io::Error::other("the disk is gone").into()));
        self
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(self.0.pop_front())
    }
}

/// A body of so many bytes in pieces of 64 KiB, which counts what was taken of it.
pub(crate) struct Plenty {
    pub(crate) left: usize,
    pub(crate) taken: Arc<AtomicUsize>,
}

/// One piece of [`Plenty`].
pub(crate) const PIECE: usize = 65_536;

impl http_body::Body for Plenty {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let len = self.left.min(PIECE);
        self.left -= len;
        self.taken.fetch_add(len, Ordering::Relaxed);
        // Memory of its own, so that what is held can be seen.
        let piece = (len > 0).then(|| Ok(Frame::data(Bytes::from(vec![b'x'; len]))));
        Poll::Ready(piece)
    }
}

in_every_way! {
    fn a_stream_of_unknown_length_ends_with_its_last_piece(way) {
        let server = way.serve(|_| {}, |_: Request| async {
            Ok(Response::stream(None, Pieces::of(["Hello, ", "", "World!"])))
        });
        let mut agent = way.agent(&server);
        for _ in 0..2 {
            let answer = agent.get("/");
            let coding = way.is_http1().then_some("chunked");
            assert_eq!((answer.field("transfer-encoding"), answer.field("content-length")), (coding, None));
            assert_eq!(answer.text(), "Hello, World!");
            assert!(answer.trailers.is_empty());
        }
    }

    fn trailers_follow_a_body_of_unknown_length(way) {
        let server = way.serve(|_| {}, |_: Request| async {
            Ok(Response::stream(None, Pieces::of(["data"]).with_trailer("x-checksum", "42")))
        });
        let mut agent = way.agent(&server);
        for _ in 0..2 {
            let answer = agent.get("/");
            assert_eq!(answer.text(), "data");
            assert_eq!(answer.trailers, [("x-checksum".to_owned(), "42".to_owned())]);
        }
    }

    fn head_is_answered_without_a_body(way) {
        let server = way.serve(|_| {}, |request: Request| async move {
            match request.path() {
                "/stream" => Ok(Response::stream(None, Pieces::of(["12345"]).with_trailer("x", "y"))),
                "/sized" => Ok(Response::stream(Some(5), Pieces::of(["12345"]))),
                _ => Ok(Response::text("Hello, World!")),
            }
        });
        let mut agent = way.agent(&server);
        for (path, length) in [("/", Some("13")), ("/stream", None), ("/sized", Some("5"))] {
            let request = agent.request("HEAD", path, &[], true);
            let answer = agent.answer(request);
            assert_eq!((answer.status, answer.field("content-length")), (200, length), "{path}");
            let coding = (way.is_http1() && length.is_none()).then_some("chunked");
            assert_eq!(answer.field("transfer-encoding"), coding, "{path}");
            assert!(answer.body.is_empty() && answer.trailers.is_empty(), "{answer:?}");
        }
        assert_eq!(agent.get("/").text(), "Hello, World!");
        assert_eq!(server.counters().count(lanner::Count::Accepted), 1);
    }
}

in_both_versions! {
    fn a_stream_of_known_length_announces_it(way) {
        let server = way.serve(|_| {}, |_: Request| async {
            Ok(Response::stream(Some(13), Pieces::of(["Hello, ", "World!"])))
        });
        let mut agent = way.agent(&server);
        for _ in 0..2 {
            let answer = agent.get("/");
            assert_eq!(answer.field("content-length"), Some("13"));
            assert_eq!(answer.text(), "Hello, World!");
        }
    }

    fn statuses_without_content_carry_none(way) {
        let server = way.serve(|_| {}, |request: Request| async move {
            let code = request.path()[1..].parse()?;
            Ok(Response::text("not to be sent").with_status(Status::new(code).unwrap()))
        });
        let mut agent = way.agent(&server);
        for path in ["/204", "/304"] {
            let answer = agent.get(path);
            assert_eq!((&answer.status.to_string()[..], answer.text()), (&path[1..], ""));
            assert_eq!((answer.field("content-length"), answer.field("transfer-encoding")), (None, None));
        }
        assert_eq!(agent.get("/205").text(), "");
        assert_eq!(agent.get("/200").text(), "not to be sent");
        assert_eq!(server.counters().count(lanner::Count::Accepted), 1);
    }

    fn a_body_longer_than_announced_is_cut_short(way) {
        let server = way.serve(|_| {}, |request: Request| async move {
            if request.path() == "/fine" {
                return Ok(Response::text("fine"));
            }
            Ok(Response::stream(Some(3), Pieces::of(["12", "34"])))
        });
        let mut agent = way.agent(&server);
        let request = agent.ask("/");
        is_cut(way, &agent.cut(request), b"12");
        assert_eq!(agent.get("/fine").text(), "fine");
        if way.is_http1() {
            server.until("the reason", |counters| {
                counters.ended(EndReason::ResponseContentLengthMismatch) == 1
            });
        }
    }

    fn a_body_shorter_than_announced_is_cut_short(way) {
        let server = way.serve(|_| {}, |request: Request| async move {
            if request.path() == "/fine" {
                return Ok(Response::text("fine"));
            }
            Ok(Response::stream(Some(5), Pieces::of(["12", "34"])))
        });
        let mut agent = way.agent(&server);
        let request = agent.ask("/");
        is_cut(way, &agent.cut(request), b"1234");
        assert_eq!(agent.get("/fine").text(), "fine");
        if way.is_http1() {
            server.until("the reason", |counters| {
                counters.ended(EndReason::ResponseContentLengthMismatch) == 1
            });
        }
    }

    fn an_app_that_fails_within_its_answer_leaves_it_without_an_end(way) {
        let server = way.serve(|_| {}, |request: Request| async move {
            if request.path() == "/whole" {
                return Ok(Response::text("whole"));
            }
            Ok(Response::stream(None, Pieces::of(["begun"]).failing()))
        });
        let mut agent = way.agent(&server);
        let request = agent.ask("/");
        is_cut(way, &agent.cut(request), b"begun");
        assert_eq!(agent.get("/whole").text(), "whole");
    }

    fn an_app_may_reset_instead_of_answering(way) {
        let server = way.serve(|_| {}, |request: Request| async move {
            match request.path() {
                "/fine" => Ok(Response::text("fine")),
                _ => Ok(Response::reset()),
            }
        });
        let mut agent = way.agent(&server);
        let request = agent.ask("/");
        let cut = agent.cut(request);
        let (end, code) = match way.is_http1() {
            true => (Some(End::Reset), None),
            false => (None, Some(ErrorCode::CANCEL)),
        };
        assert_eq!((cut.status, cut.end, cut.code), (None, end, code));
        assert_eq!(agent.get("/fine").text(), "fine");
    }
}

/// An answer that was begun, of which so much came.
#[track_caller]
fn is_cut(way: Way, cut: &Cut, came: &[u8]) {
    let (end, code) = match way.is_http1() {
        true => (Some(End::Closed), None),
        false => (None, Some(ErrorCode::INTERNAL_ERROR)),
    };
    assert_eq!((cut.status, cut.end, cut.code), (Some(200), end, code));
    assert_eq!(cut.body, came);
}

on_every_driver! {
    fn a_client_of_http2_that_takes_a_long_answer_is_answered_beside_it(driver) {
        for way in Way::both_of_http2(driver) {
            let server = way.serve(|_| {}, |request: Request| async move {
                if request.path() == "/beside" {
                    return Ok(Response::text("beside"));
                }
                // More than can come before the others are asked for.
                Ok(Response::stream(None, Plenty { left: usize::MAX, taken: Arc::default() }))
            });
            let mut agent = way.agent(&server);
            let long = agent.ask("/");
            agent.head(long);
            for _ in 0..100 {
                agent.piece(long);
            }
            for _ in 0..3 {
                assert_eq!(agent.get("/beside").text(), "beside");
            }
            agent.give_up(long);
            agent.streams().settle();
            assert_eq!(agent.get("/beside").text(), "beside");
        }
    }

    fn an_app_that_fails_within_its_answer_leaves_it_without_an_end_and_those_before_it_whole(on) {
        let server = serve(on, |_| {}, |request: Request| async move {
            if request.path() == "/whole" {
                return Ok(Response::text("whole"));
            }
            Ok(Response::stream(None, Pieces::of(["begun"]).failing()))
        });
        let mut client = server.connect();
        client.send("GET /whole HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(client.answer().text(), "whole");
        let (bytes, end) = client.rest();
        assert_eq!(end, End::Closed);
        assert!(bytes.ends_with(b"\r\n\r\n5\r\nbegun\r\n"));
        // HTTP/1.0 has no other way to see that the answer is not whole.
        assert_eq!(server.connect().send("GET / HTTP/1.0\r\n\r\n").rest().1, End::Reset);
        server.until("the reason", |counters| {
            counters.ended(EndReason::ErrorAfterStartingResponse) == 2
        });
    }

    fn an_error_is_a_500_that_tells_the_client_nothing(on) {
        let server = serve(on, |_| {}, |request: Request| async move {
            match request.path() {
                "/status" => Err(Error::with_status(Status::new(409).unwrap(), "secret")),
                path => {
                    let number: u32 = path[1..].parse()?;
                    Ok(Response::text(number.to_string()))
                }
            }
        });
        let mut client = server.connect();
        let answer = client.get("/secret");
        assert_eq!(answer.status, 500);
        assert!(!answer.text().contains("invalid digit"), "{}", answer.text());
        let answer = client.get("/status");
        assert_eq!(answer.status, 409);
        assert!(!answer.text().contains("secret"), "{}", answer.text());
        // Neither was a reason to close.
        assert_eq!(client.get("/17").text(), "17");
    }

    fn a_field_that_would_split_the_answer_is_refused_at_construction(on) {
        let server = serve(on, |_| {}, |request: Request| async move {
            let value = request.query().unwrap_or_default().replace('+', "\r\n");
            Ok(Response::text("ok").with_field("x-value", value)?)
        });
        let mut client = server.connect();
        assert_eq!(client.get("/?plain").field("x-value"), Some("plain"));
        let answer = client.get("/?a+set-cookie:b");
        assert_eq!((answer.status, answer.field("set-cookie")), (500, None));
    }

    fn an_app_cannot_meddle_with_the_framing(on) {
        let server = serve(on, |_| {}, |request: Request| async move {
            let name = request.path()[1..].to_owned();
            Ok(Response::text("ok").with_field(&name, "1")?)
        });
        let mut client = server.connect();
        for name in ["Content-Length", "transfer-encoding", "Connection", "date"] {
            assert_eq!(client.get(&format!("/{name}")).status, 500, "{name}");
        }
        assert_eq!(client.get("/x-own").status, 200);
    }

    fn an_interim_status_cannot_be_a_final_answer(on) {
        let server = serve(on, |_| {}, |_: Request| async {
            Ok(Response::text("no").with_status(Status::CONTINUE))
        });
        let mut client = server.connect();
        assert_eq!(client.get("/").status, 500);
        assert_eq!(client.get("/").status, 500);
    }

    fn a_stream_is_not_produced_faster_than_it_is_read(on) {
        let taken = Arc::new(AtomicUsize::new(0));
        let counting = taken.clone();
        let whole = 256 << 20;
        let server = serve(on, |_| {}, move |_: Request| {
            let taken = counting.clone();
            async move { Ok(Response::stream(Some(whole as u64), Plenty { left: whole, taken })) }
        });
        let mut client = crate::client::Client::with_small_window(server.address());
        client.ask("/");
        until(|| taken.load(Ordering::Relaxed) > 0, || "the stream begins".into());
        // Served while the other one is stuck.
        let mut other = server.connect();
        other.send("HEAD / HTTP/1.1\r\nhost: test\r\n\r\n");
        other.head();
        // Our buffer, the piece that crosses its bound, and what the kernel holds unsent or in flight.
        let bound = (64 << 10) + PIECE + (8 << 20);
        assert!(taken.load(Ordering::Relaxed) < bound, "{taken:?}");
        client.head();
        client.take(1 << 20);
        assert!(taken.load(Ordering::Relaxed) < bound + (1 << 20), "{taken:?}");
        client.reset();
        server.until_open(1);
    }

    fn a_large_whole_body_arrives_whole(on) {
        let body = Bytes::from((0..20_000_000u32).map(|i| (i % 251) as u8).collect::<Vec<_>>());
        let expected = body.clone();
        let server = serve(on, |_| {}, move |_: Request| {
            let body = body.clone();
            async move { Ok(Response::bytes(lanner::ContentType::TEXT, body)) }
        });
        let mut client = server.connect();
        for _ in 0..2 {
            assert!(client.get("/").body == expected);
        }
    }

    fn the_server_field_is_sent_if_asked_for(on) {
        let server = serve(on, |limits| limits.server_header = Some("falcon".into()), app::hello);
        assert_eq!(server.connect().get("/").field("server"), Some("falcon"));
        let server = serve(on, |_| {}, app::hello);
        assert_eq!(server.connect().get("/").field("server"), None);
    }
}
