//! Request bodies: how they reach the app, and the bounds that an app may move.

use crate::app::{self, Gate};
use crate::client::{Client, End};
use crate::server::{PATIENCE, serve};
use bytes::Bytes;
use http_body::Frame;
use lanner::{
    App, BodyError, Count, EndReason, Error, Misbehaviour, Overrides, Request, RequestView,
    Response, Trip,
};
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

const CHUNKED: &str = "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";

fn sized(length: usize) -> String {
    format!("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n")
}

/// `/large` takes uploads of any length, the rest what the server allows.
#[derive(Clone)]
struct Uploads;

impl App for Uploads {
    async fn call(&self, request: Request) -> Result<Response, Error> {
        app::sum(request).await
    }

    fn admit(&self, head: RequestView<'_>) -> Overrides {
        let mut overrides = Overrides::default();
        if head.path() == "/large" {
            overrides.max_body = Some(None);
        }
        overrides
    }
}

/// A body whose pieces a closure makes.
struct Produced<F>(F);

impl<F: FnMut() -> Option<Bytes> + Unpin> http_body::Body for Produced<F> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready((self.0)().map(|piece| Ok(Frame::data(piece))))
    }
}

on_every_driver! {
    fn a_sized_upload_reaches_the_app_whole(on) {
        let server = serve(on, |_| {}, app::sum);
        let mut client = server.connect();
        for length in [0usize, 1, 32_768, 1_000_000] {
            client.send(sized(length)).send(vec![2; length]);
            assert_eq!(client.answer().text(), format!("{length} {}", length * 2));
        }
    }

    fn a_chunked_upload_reaches_the_app_whole(on) {
        let server = serve(on, |_| {}, app::sum);
        let mut client = server.connect();
        for _ in 0..2 {
            client.send(CHUNKED);
            for length in 1..600 {
                client.send(format!("{length:X};note=\"a;b\"\r\n")).send(vec![1; length]).send("\r\n");
            }
            client.send("0\r\n\r\n");
            assert_eq!(client.answer().text(), "179700 179700");
        }
    }

    fn an_upload_can_be_sent_back_while_it_comes(on) {
        let server = serve(on, |_| {}, app::echo);
        let mut client = server.connect();
        client.send(CHUNKED);
        // Each piece comes back before the next one is sent.
        client.send("3\r\none\r\n");
        assert_eq!(client.head().field("transfer-encoding"), Some("chunked"));
        assert_eq!(client.chunk().unwrap(), b"one");
        client.send("3\r\ntwo\r\n");
        assert_eq!(client.chunk().unwrap(), b"two");
        client.send("0\r\n\r\n");
        assert_eq!(client.chunk(), None);
        assert_eq!(client.line(), "");
        assert_eq!(client.get("/").text(), "");
    }

    fn twenty_megabytes_go_both_ways_at_once(on) {
        let server = serve(on, |_| {}, app::echo);
        let mut client = server.connect();
        let length = 20_000_000;
        let mut writer = client.stream.try_clone().unwrap();
        let sender = std::thread::spawn(move || {
            let body: Vec<u8> = (0..length).map(|i| (i % 253) as u8).collect();
            writer.write_all(sized(length).as_bytes()).unwrap();
            writer.write_all(&body).unwrap();
            body
        });
        let answer = client.answer();
        assert!(answer.body == sender.join().unwrap());
    }

    fn trailers_come_back_behind_an_echoed_body(on) {
        let server = serve(on, |_| {}, app::echo);
        let mut client = server.connect();
        client.send(CHUNKED).send("3\r\nabc\r\n0\r\nX-Sum: 294\r\nX-Sum: 295\r\n\r\n");
        client.head();
        assert_eq!(client.chunk().unwrap(), b"abc");
        assert_eq!(client.chunk(), None);
        let lines: Vec<String> = (0..3).map(|_| client.line()).collect();
        assert_eq!(lines, ["x-sum: 294", "x-sum: 295", ""]);
        assert_eq!(client.get("/").text(), "");
    }

    fn limits_cannot_be_changed_while_the_answer_is_sent(on) {
        let server = serve(on, |_| {}, |request: Request| async move {
            let mut request = Some(request);
            Ok(Response::stream(None, Produced(move || {
                let request = request.take()?;
                assert_eq!(request.set_max_body(None), Err(lanner::TooLate));
                assert_eq!(request.set_min_response_rate(None), Err(lanner::TooLate));
                Some("too late".into())
            })))
        });
        assert_eq!(server.connect().get("/").text(), "too late");
    }

    fn trailers_reach_the_app_after_the_body(on) {
        let server = serve(on, |_| {}, |mut request: Request| async move {
            let body = request.body();
            assert!(body.take_trailers().is_none() && !body.is_end());
            let whole = body.collect().await?;
            assert!(body.is_end());
            let trailers = body.take_trailers().unwrap();
            let sum = trailers.first("x-sum").unwrap().to_vec();
            assert_eq!(body.chunk().await.map(|_| ()), None);
            Ok(Response::text([&whole[..], b" ", &sum[..]].concat()))
        });
        let mut client = server.connect();
        client.send(CHUNKED).send("3\r\nabc\r\n0\r\nX-Sum: 294\r\n\r\n");
        assert_eq!(client.answer().text(), "abc 294");
        client.send(CHUNKED).send("0\r\nx-sum: 0\r\n\r\n");
        assert_eq!(client.answer().text(), " 0");
    }

    fn a_trailer_that_would_frame_the_request_is_refused(on) {
        let server = serve(on, |_| {}, app::sum);
        let mut client = server.connect();
        client.send(CHUNKED).send("0\r\ncontent-length: 5\r\n\r\n");
        assert_eq!(client.answer().status, 400);
        client.expect_end();
    }

    fn a_hundred_is_sent_when_the_app_reads_and_not_before(on) {
        let gate = Gate::default();
        let waiting = gate.clone();
        let server = serve(on, |_| {}, move |request: Request| {
            let gate = waiting.clone();
            async move {
                gate.pass().await;
                app::sum(request).await
            }
        });
        let mut client = server.connect();
        client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n");
        gate.until_arrived(1);
        assert!(client.hears_nothing());
        gate.open();
        assert_eq!(client.head().status, 100);
        let answer = client.send("abc").answer();
        assert_eq!((answer.status, answer.text(), answer.closes()), (200, "3 294", false));
        // Content that is there already needs no permission.
        client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\nabc");
        assert_eq!(client.answer().status, 200);
    }

    fn an_answer_in_place_of_the_hundred_closes_the_connection(on) {
        let server = serve(on, |_| {}, app::hello);
        let mut client = server.connect();
        client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n");
        let answer = client.answer();
        assert_eq!((answer.status, answer.closes()), (200, true));
        client.expect_end();
    }

    fn an_announced_length_over_the_limit_never_reaches_the_app(on) {
        let server = serve(on, |limits| limits.max_request_body = Some(10), Uploads);
        let mut client = server.connect();
        client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 11\r\nexpect: 100-continue\r\n\r\n");
        assert_eq!(client.answer().status, 413);
        client.expect_end();
        let mut client = server.connect();
        client.send(sized(10)).send("0123456789");
        assert_eq!(client.answer().status, 200);
    }

    fn a_chunked_body_over_the_limit_fails_the_read(on) {
        let server = serve(on, |limits| limits.max_request_body = Some(10), app::sum);
        let mut client = server.connect();
        client.send(CHUNKED).send("a\r\n0123456789\r\n");
        client.send("1\r\n0\r\n");
        let answer = client.answer();
        assert_eq!((answer.status, answer.closes()), (413, true));
        client.expect_end();
        server.until("the reason", |counters| {
            counters.ended(EndReason::MaxRequestBodySizeExceeded) == 1
        });
    }

    fn the_engines_status_wins_over_the_apps_when_the_body_failed(on) {
        let server = serve(on, |limits| limits.max_request_body = Some(10), |mut request: Request| async move {
            match request.body().collect().await {
                Err(BodyError::Trip(Trip::RequestBody)) => Ok(Response::text("all is well")),
                other => panic!("{other:?}"),
            }
        });
        let mut client = server.connect();
        client.send(CHUNKED).send("b\r\n0123456789a\r\n0\r\n\r\n");
        assert_eq!(client.answer().status, 413);
        client.expect_end();
    }

    fn admit_raises_the_limit_of_one_route(on) {
        let server = serve(on, |limits| limits.max_request_body = Some(10), Uploads);
        let mut client = server.connect();
        client.send("POST /large HTTP/1.1\r\nhost: test\r\ncontent-length: 100000\r\n\r\n");
        client.send(vec![1; 100_000]);
        assert_eq!(client.answer().text(), "100000 100000");
        assert_eq!(client.send(sized(11)).answer().status, 413);
    }

    fn the_limit_can_be_moved_until_the_first_read(on) {
        let server = serve(on, |limits| limits.max_request_body = Some(10), |mut request: Request| async move {
            request.set_max_body(Some(20))?;
            let mut read = 0;
            while let Some(chunk) = request.body().chunk().await {
                read += chunk?.len();
                assert_eq!(request.set_max_body(None), Err(lanner::TooLate));
                assert_eq!(request.set_min_body_rate(None), Err(lanner::TooLate));
            }
            Ok(Response::text(read.to_string()))
        });
        let mut client = server.connect();
        client.send(CHUNKED).send("14\r\n0123456789abcdefghij\r\n0\r\n\r\n");
        assert_eq!(client.answer().text(), "20");
        client.send(CHUNKED).send("15\r\n0123456789abcdefghijk\r\n0\r\n\r\n");
        assert_eq!(client.answer().status, 413);
    }

    fn a_limit_lowered_below_the_announced_length_is_413(on) {
        let server = serve(on, |_| {}, |request: Request| async move {
            request.set_max_body(Some(5))?;
            app::sum(request).await
        });
        let mut client = server.connect();
        client.send(sized(6)).send("012345");
        assert_eq!(client.answer().status, 413);
        client.expect_end();
        let mut client = server.connect();
        client.send(sized(5)).send("01234");
        assert_eq!(client.answer().status, 200);
    }

    fn a_limit_moved_holds_for_a_body_that_is_read_while_the_answer_is_sent(on) {
        let server = serve(on, |limits| limits.max_request_body = Some(10), |request: Request| async move {
            request.set_max_body(Some(20))?;
            app::echo(request).await
        });
        let mut client = server.connect();
        client.send(CHUNKED).send("14\r\n0123456789abcdefghij\r\n0\r\n\r\n");
        assert_eq!(client.answer().text(), "0123456789abcdefghij");
        let mut client = server.connect();
        client.send(CHUNKED).send("15\r\n0123456789abcdefghijk\r\n0\r\n\r\n");
        // Part of the answer may be out already.
        let (bytes, end) = client.rest();
        assert!(end == End::Closed && !bytes.ends_with(b"0\r\n\r\n"), "cut short");
    }

    fn a_short_body_that_nobody_reads_keeps_the_connection(on) {
        let server = serve(on, |_| {}, app::target);
        let mut client = server.connect();
        client.send(sized(100)).send(vec![b'x'; 100]).ask("/next");
        assert_eq!(client.answer().text(), "/");
        assert_eq!(client.answer().text(), "/next");
        // The answer comes before the body has.
        client.send(sized(100_000));
        assert_eq!(client.answer().text(), "/");
        client.send(vec![b'x'; 100_000]).ask("/next");
        assert_eq!(client.answer().text(), "/next");
        client.send(CHUNKED).send("3\r\nabc\r\n0\r\nx: y\r\n\r\n").ask("/last");
        assert_eq!(client.answer().text(), "/");
        assert_eq!(client.answer().text(), "/last");
    }

    fn a_long_body_that_nobody_reads_ends_the_connection_after_the_answer(on) {
        let server = serve(on, |_| {}, app::target);
        let mut client = server.connect();
        client.send(sized(1_000_000)).send(vec![b'x'; 1_000_000]);
        let answer = client.answer();
        assert_eq!((answer.text(), answer.closes()), ("/", true));
        client.expect_end();
        // Without an announced length it shows only on the way.
        let mut client = server.connect();
        client.send(CHUNKED).send("f4240\r\n").send(vec![b'x'; 1_000_000]);
        assert_eq!(client.answer().text(), "/");
        client.expect_end();
        server.until("the reason", |counters| counters.hits(Trip::BodyDrainMax) >= 1);
    }

    fn a_client_that_ends_within_its_body_is_told(on) {
        let (sender, errors) = std::sync::mpsc::channel();
        let server = serve(on, |_| {}, move |mut request: Request| {
            let sender = sender.clone();
            async move {
                let outcome = request.body().collect().await;
                sender.send(outcome.clone()).unwrap();
                outcome?;
                Ok(Response::text("whole"))
            }
        });
        for head in [sized(10), format!("{CHUNKED}a\r\n")] {
            let mut client = server.connect();
            client.send(head).send("half").finish();
            assert_eq!(client.answer().status, 400);
            client.expect_end();
            assert_eq!(
                errors.recv_timeout(PATIENCE).unwrap(),
                Err(BodyError::Misbehaviour(Misbehaviour::EarlyEof))
            );
        }
    }

    fn an_app_that_does_not_read_slows_its_client_down(on) {
        let gate = Gate::default();
        let waiting = gate.clone();
        let server = serve(on, |limits| limits.max_request_body = None, move |request: Request| {
            let gate = waiting.clone();
            async move {
                gate.pass().await;
                app::sum(request).await
            }
        });
        let client = server.connect();
        client.stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut client = Client::over(client.stream);
        let whole = 96usize << 20;
        client.send(sized(whole));
        gate.until_arrived(1);
        let (block, mut sent) = (vec![1u8; 1 << 20], 0);
        while let Ok(count) = client.stream.write(&block) {
            sent += count;
            assert!(sent < 64 << 20, "nothing holds the client back");
        }
        gate.open();
        client.stream.set_write_timeout(Some(PATIENCE)).unwrap();
        while sent < whole {
            let block = &block[..block.len().min(whole - sent)];
            client.send(block);
            sent += block.len();
        }
        assert_eq!(client.answer().text(), format!("{whole} {whole}"));
    }

    fn a_body_outlives_the_handler_that_read_its_first_piece(on) {
        let server = serve(on, |_| {}, |mut request: Request| async move {
            let first = request.body().chunk().await.unwrap()?;
            let task = lanner::spawn_local(async move {
                let mut whole = first.to_vec();
                while let Some(chunk) = request.body().chunk().await {
                    whole.extend_from_slice(&chunk.unwrap());
                }
                whole
            });
            Ok(Response::text(task.await?))
        });
        let mut client = server.connect();
        client.send(CHUNKED).send("1\r\na\r\n");
        server.until("dispatched", |counters| counters.count(Count::Requests) == 1);
        client.send("1\r\nb\r\n").send("1\r\nc\r\n0\r\n\r\n");
        assert_eq!(client.answer().text(), "abc");
    }
}
