//! Request bodies: how they reach the app, and the bounds that an app may move.

use crate::agent::Agent;
use crate::app::{self, Gate};
use crate::client::{Client, End};
use crate::server::{PATIENCE, serve};
use crate::way::Way;
use crate::wire::Got;
use bytes::Bytes;
use http_body::Frame;
use lanner::{
    App, BodyError, Count, EndReason, Error, Misbehaviour, Overrides, Request, RequestView,
    Response, Trip,
};
use lanner_protocol::h2::error_code::ErrorCode;
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

in_every_way! {
    fn a_sized_upload_reaches_the_app_whole(way) {
        let server = way.serve(|_| {}, app::sum);
        let mut agent = way.agent(&server);
        for length in [0usize, 1, 32_768, 1_000_000] {
            let request = agent.post("/", &vec![2; length]);
            assert_eq!(agent.answer(request).text(), format!("{length} {}", length * 2));
        }
    }

    fn an_upload_of_unknown_length_reaches_the_app_whole(way) {
        let server = way.serve(|_| {}, app::sum);
        let mut agent = way.agent(&server);
        for _ in 0..2 {
            let request = agent.begin("/", &[]);
            for length in 256..600 {
                agent.put(request, &vec![1; length]);
            }
            agent.finish(request);
            assert_eq!(agent.answer(request).text(), "147060 147060");
        }
    }

    fn an_upload_can_be_sent_back_while_it_comes(way) {
        let server = way.serve(|_| {}, app::echo);
        let mut agent = way.agent(&server);
        let request = agent.begin("/", &[]);
        // Each piece comes back before the next one is sent.
        agent.put(request, b"one");
        let head = agent.head(request);
        assert_eq!(head.field("content-length"), None);
        assert_eq!(agent.piece(request), b"one");
        agent.put(request, b"two");
        assert_eq!(agent.piece(request), b"two");
        agent.finish(request);
        assert_eq!(agent.content(request, head).text(), "");
        assert_eq!(agent.get("/").text(), "");
    }

    fn megabytes_go_both_ways_at_once_and_others_go_on(way) {
        let server = way.serve(|_| {}, app::echo);
        let mut agent = way.agent(&server);
        let body: Vec<u8> = (0..3_000_000).map(|at| (at % 253) as u8).collect();
        let half = agent.begin("/", &[]);
        agent.put(half, b"begun");
        let request = agent.post("/", &body);
        assert!(agent.answer(request).body == body, "another body");
        agent.put(half, b" and ended");
        agent.finish(half);
        assert_eq!(agent.answer(half).text(), "begun and ended");
    }

    fn trailers_come_back_behind_an_echoed_body(way) {
        let server = way.serve(|_| {}, app::echo);
        let mut agent = way.agent(&server);
        // HTTP/2 has small letters only.
        let name = if way.is_http1() { "X-Sum" } else { "x-sum" };
        let request = agent.begin("/", &[]);
        agent.put(request, b"abc");
        agent.finish_with(request, &[(name, "294"), (name, "295")]);
        let answer = agent.answer(request);
        assert_eq!(answer.text(), "abc");
        let expected = ["294", "295"].map(|value| ("x-sum".to_owned(), value.to_owned()));
        assert_eq!(answer.trailers, expected);
        assert_eq!(agent.get("/").text(), "");
    }

    fn trailers_reach_the_app_after_the_body(way) {
        let server = way.serve(|_| {}, |mut request: Request| async move {
            let body = request.body();
            assert!(body.take_trailers().is_none() && !body.is_end());
            let whole = body.collect().await?;
            assert!(body.is_end());
            let trailers = body.take_trailers().unwrap();
            let sum = trailers.first("x-sum").unwrap().to_vec();
            assert_eq!(body.chunk().await.map(|_| ()), None);
            Ok(Response::text([&whole[..], b" ", &sum[..]].concat()))
        });
        let mut agent = way.agent(&server);
        for (body, sum) in [("abc", "294"), ("", "0")] {
            let request = agent.begin("/", &[]);
            agent.put(request, body.as_bytes());
            agent.finish_with(request, &[("x-sum", sum)]);
            assert_eq!(agent.answer(request).text(), format!("{body} {sum}"));
        }
    }

    fn a_hundred_is_sent_when_the_app_reads_and_not_before(way) {
        let gate = Gate::default();
        let waiting = gate.clone();
        let server = way.serve(|_| {}, move |request: Request| {
            let gate = waiting.clone();
            async move {
                gate.pass().await;
                app::sum(request).await
            }
        });
        let mut agent = way.agent(&server);
        let expects = [("content-length", "3"), ("expect", "100-continue")];
        let request = agent.begin("/", &expects);
        gate.until_arrived(1);
        assert!(agent.hears_nothing(request));
        gate.open();
        assert_eq!(agent.answer(request).status, 100);
        agent.put(request, b"abc");
        agent.finish(request);
        let answer = agent.answer(request);
        assert_eq!((answer.status, answer.text(), answer.closes()), (200, "3 294", false));
        assert_eq!(agent.get("/").text(), "0 0");
    }

    fn an_announced_length_over_the_limit_never_reaches_the_app(way) {
        let server = way.serve(|limits| limits.max_request_body = Some(10), |request: Request| async move {
            assert_eq!(request.field_str("content-length"), Some("10"), "not to be called");
            app::sum(request).await
        });
        let mut agent = way.agent(&server);
        let request = agent.begin("/", &[("content-length", "11"), ("expect", "100-continue")]);
        let answer = agent.answer(request);
        assert_eq!((answer.status, answer.closes()), (413, way.is_http1()));
        assert!(answer.text().contains("max_request_body"), "{}", answer.text());
        let request = agent.post("/", b"0123456789");
        assert_eq!(agent.answer(request).text(), "10 525");
        server.until_hits(Trip::RequestBody, 1);
    }

    fn a_body_of_unknown_length_over_the_limit_fails_the_read(way) {
        let server = way.serve(|limits| limits.max_request_body = Some(10), app::sum);
        let mut agent = way.agent(&server);
        let other = agent.begin("/", &[]);
        agent.put(other, b"a");
        let request = agent.begin("/", &[]);
        agent.put(request, b"0123456789");
        agent.put(request, b"0");
        let answer = agent.answer(request);
        assert_eq!((answer.status, answer.closes()), (413, way.is_http1()));
        server.until_hits(Trip::RequestBody, 1);
        if way.is_http1() {
            server.until("the reason", |counters| {
                counters.ended(EndReason::MaxRequestBodySizeExceeded) == 1
            });
        }
        // Nobody else is concerned.
        agent.put(other, b"b");
        agent.finish(other);
        assert_eq!(agent.answer(other).text(), "2 195");
    }

    fn a_limit_lowered_below_the_announced_length_is_413(way) {
        let server = way.serve(|_| {}, |request: Request| async move {
            request.set_max_body(Some(5))?;
            app::sum(request).await
        });
        let mut agent = way.agent(&server);
        for (body, status) in [("012345", 413), ("01234", 200), ("", 200)] {
            let request = agent.post("/", body.as_bytes());
            assert_eq!(agent.answer(request).status, status, "{body}");
        }
        server.until_hits(Trip::RequestBody, 1);
    }

    fn a_limit_that_is_lowered_late_counts_what_has_come(way) {
        for announced in [true, false] {
            let gate = Gate::default();
            let waiting = gate.clone();
            let server = way.serve(|_| {}, move |request: Request| {
                let gate = waiting.clone();
                async move {
                    gate.pass().await;
                    request.set_max_body(Some(5))?;
                    app::sum(request).await
                }
            });
            let mut agent = way.agent(&server);
            let upload = |agent: &mut Agent, body: &[u8]| {
                let length = body.len().to_string();
                let announces = [("content-length", &length[..])];
                let request = agent.begin("/", if announced { &announces } else { &[] });
                agent.put(request, body);
                agent.finish(request);
                request
            };
            let long = upload(&mut agent, b"012345");
            let short = upload(&mut agent, b"01234");
            let begun = agent.begin("/", &[]);
            agent.put(begun, b"0123");
            gate.until_arrived(3);
            assert!(agent.hears_nothing(long) && agent.hears_nothing(short));
            assert!(agent.hears_nothing(begun));
            gate.open();
            assert_eq!(agent.answer(long).status, 413, "announced: {announced}");
            assert_eq!(agent.answer(short).text(), "5 250");
            agent.put(begun, b"45");
            assert_eq!(agent.answer(begun).status, 413);
            server.until_hits(Trip::RequestBody, 2);
        }
    }

    fn a_short_body_that_nobody_reads_keeps_the_connection(way) {
        let server = way.serve(|_| {}, app::target);
        let mut agent = way.agent(&server);
        let request = agent.post("/", &[b'x'; 100]);
        assert_eq!(agent.answer(request).text(), "/");
        assert_eq!(agent.get("/next").text(), "/next");
        // The answer comes before the body has.
        let request = agent.begin("/", &[("content-length", "100000")]);
        assert_eq!(agent.answer(request).text(), "/");
        agent.put(request, &[b'x'; 100_000]);
        agent.finish(request);
        assert_eq!(agent.get("/next").text(), "/next");
        let request = agent.begin("/", &[]);
        agent.put(request, b"abc");
        agent.finish_with(request, &[("x", "y")]);
        assert_eq!(agent.answer(request).text(), "/");
        assert_eq!(agent.get("/last").text(), "/last");
        assert_eq!(server.counters().count(Count::Accepted), 1);
    }
}

in_both_versions! {
    fn limits_cannot_be_changed_while_the_answer_is_sent(way) {
        let server = way.serve(|_| {}, |request: Request| async move {
            let mut request = Some(request);
            Ok(Response::stream(None, Produced(move || {
                let request = request.take()?;
                assert_eq!(request.set_max_body(None), Err(lanner::TooLate));
                assert_eq!(request.set_min_response_rate(None), Err(lanner::TooLate));
                Some("too late".into())
            })))
        });
        assert_eq!(way.agent(&server).get("/").text(), "too late");
    }

    fn a_trailer_that_would_frame_the_request_is_refused(way) {
        let server = way.serve(|_| {}, app::sum);
        let mut agent = way.agent(&server);
        let request = agent.begin("/", &[]);
        agent.finish_with(request, &[("content-length", "5")]);
        let answer = agent.answer(request);
        assert_eq!((answer.status, answer.closes()), (400, way.is_http1()));
        assert_eq!(agent.get("/").text(), "0 0");
    }

    fn an_answer_in_place_of_the_hundred_ends_the_exchange(way) {
        let server = way.serve(|_| {}, app::hello);
        let mut agent = way.agent(&server);
        let request = agent.begin("/", &[("content-length", "3"), ("expect", "100-continue")]);
        let answer = agent.answer(request);
        // On HTTP/1.1 nobody could tell the body, should it still come, from another request.
        assert_eq!((answer.status, answer.closes()), (200, way.is_http1()));
        assert_eq!(agent.get("/").text(), "Hello, World!");
    }

    fn the_engines_status_wins_over_the_apps_when_the_body_failed(way) {
        let server = way.serve(|limits| limits.max_request_body = Some(10), |mut request: Request| async move {
            match request.body().collect().await {
                Err(BodyError::Trip(Trip::RequestBody)) => Ok(Response::text("all is well")),
                other => panic!("{other:?}"),
            }
        });
        let mut agent = way.agent(&server);
        let request = agent.begin("/", &[]);
        agent.put(request, b"0123456789a");
        agent.finish(request);
        assert_eq!(agent.answer(request).status, 413);
    }

    fn admit_raises_the_limit_of_one_route(way) {
        let server = way.serve(|limits| limits.max_request_body = Some(10), Uploads);
        let mut agent = way.agent(&server);
        let request = agent.post("/large", &[1; 100_000]);
        assert_eq!(agent.answer(request).text(), "100000 100000");
        let request = agent.begin("/", &[("content-length", "11")]);
        assert_eq!(agent.answer(request).status, 413);
    }

    fn the_limit_can_be_moved_until_the_first_read(way) {
        let server = way.serve(|limits| limits.max_request_body = Some(10), |mut request: Request| async move {
            request.set_max_body(Some(20))?;
            let mut read = 0;
            while let Some(chunk) = request.body().chunk().await {
                read += chunk?.len();
                assert_eq!(request.set_max_body(None), Err(lanner::TooLate));
                assert_eq!(request.set_min_body_rate(None), Err(lanner::TooLate));
            }
            Ok(Response::text(read.to_string()))
        });
        let mut agent = way.agent(&server);
        for (body, status) in [("0123456789abcdefghij", 200), ("0123456789abcdefghijk", 413)] {
            let request = agent.begin("/", &[]);
            agent.put(request, body.as_bytes());
            agent.finish(request);
            assert_eq!(agent.answer(request).status, status, "{body}");
        }
    }

    fn a_limit_moved_holds_for_a_body_that_is_read_while_the_answer_is_sent(way) {
        let server = way.serve(|limits| limits.max_request_body = Some(10), |request: Request| async move {
            request.set_max_body(Some(20))?;
            app::echo(request).await
        });
        let mut agent = way.agent(&server);
        let request = agent.begin("/", &[]);
        agent.put(request, b"0123456789abcdefghij");
        agent.finish(request);
        assert_eq!(agent.answer(request).text(), "0123456789abcdefghij");
        let request = agent.begin("/", &[]);
        agent.put(request, b"0123456789");
        // Part of the answer is out already.
        let head = agent.head(request);
        assert_eq!((head.status, agent.piece(request).len()), (200, 10));
        agent.put(request, b"0123456789a");
        let cut = agent.cut_behind(request, head);
        assert_eq!(cut.body, b"");
        assert_eq!(agent.get("/").text(), "");
    }

    fn a_long_body_that_nobody_reads_is_stopped_behind_the_answer(way) {
        let soon = |limits: &mut lanner::Limits| limits.body_drain_timeout = Duration::from_millis(100);
        let usual = |_: &mut lanner::Limits| {};
        let known: (&[_], fn(&mut _)) = (&[("content-length", "1000000")], soon);
        // Without an announced length it shows only on the way.
        let unknown: (&[_], fn(&mut _)) = (&[], usual);
        for ((fields, change), trip) in [(known, Trip::BodyDrainTimeout), (unknown, Trip::BodyDrainMax)] {
            let server = way.serve(change, app::target);
            let mut agent = way.agent(&server);
            let request = agent.begin("/", fields);
            agent.put(request, &[b'x'; 1_000_000]);
            let answer = agent.head(request);
            assert_eq!(answer.status, 200);
            if way.is_http1() {
                assert_eq!(agent.rest(), [End::Closed]);
                continue;
            }
            assert_eq!(agent.content(request, answer).text(), "/");
            let stream = agent.stream(request);
            assert_eq!(agent.streams().next_of(stream), Got::Reset(stream, ErrorCode::NO_ERROR));
            server.until_hits(trip, 1);
            // The others go on, and have the whole window of the connection.
            assert_eq!(agent.get("/next").text(), "/next");
            let other = agent.post("/", &[b'x'; 200_000]);
            assert_eq!(agent.answer(other).text(), "/");
            assert_eq!(server.counters().count(Count::Accepted), 1);
        }
    }

    fn a_body_outlives_the_handler_that_read_its_first_piece(way) {
        let server = way.serve(|_| {}, |mut request: Request| async move {
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
        let mut agent = way.agent(&server);
        let request = agent.begin("/", &[]);
        agent.put(request, b"a");
        server.until("dispatched", |counters| counters.count(Count::Requests) == 1);
        agent.put(request, b"b");
        agent.put(request, b"c");
        agent.finish(request);
        assert_eq!(agent.answer(request).text(), "abc");
    }
}

on_every_driver! {
    fn an_app_that_does_not_read_holds_back_its_stream_and_no_other(driver) {
        let way = Way::http2(driver);
        let gate = Gate::default();
        let waiting = gate.clone();
        let change = |limits: &mut lanner::Limits| limits.max_request_body = None;
        let server = way.serve(change, move |request: Request| {
            let gate = waiting.clone();
            async move {
                if request.path() == "/held" {
                    gate.pass().await;
                }
                app::sum(request).await
            }
        });
        let mut agent = way.agent(&server);
        let held = agent.begin("/held", &[]);
        let stream = agent.stream(held);
        let mut sent = 0;
        while let room @ 1.. = agent.streams().room(stream) {
            agent.put(held, &vec![1; room as usize]);
            sent += room as usize;
            assert!(sent <= 1 << 20, "nothing holds the client back");
        }
        gate.until_arrived(1);
        // The others share what is left of the connection's window, and give it back.
        for _ in 0..3 {
            let other = agent.post("/", &[1; 1_000_000]);
            assert_eq!(agent.answer(other).text(), "1000000 1000000");
        }
        assert!(agent.hears_nothing(held));
        gate.open();
        agent.put(held, &[1; 3_000_000]);
        agent.finish(held);
        let whole = sent + 3_000_000;
        assert_eq!(agent.answer(held).text(), format!("{whole} {whole}"));
    }

    fn a_client_that_ends_its_side_loses_the_requests_whose_bodies_are_not_whole(driver) {
        let way = Way::http2(driver);
        let gate = Gate::default();
        let waiting = gate.clone();
        let server = way.serve(|_| {}, move |request: Request| {
            let gate = waiting.clone();
            async move {
                let answer = app::sum(request).await?;
                gate.pass().await;
                Ok(answer)
            }
        });
        let mut agent = way.agent(&server);
        let half = agent.begin("/", &[("content-length", "10")]);
        agent.put(half, b"half");
        let whole = agent.post("/", b"whole");
        gate.until_arrived(1);
        agent.streams().line.stream.tcp().shutdown(std::net::Shutdown::Write).unwrap();
        let cut = agent.cut(half);
        assert_eq!((cut.status, cut.code), (None, Some(ErrorCode::CANCEL)));
        gate.open();
        assert_eq!(agent.answer(whole).text(), "5 543");
        agent.expect_end();
    }
}

on_every_driver! {
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

    fn content_that_is_there_already_needs_no_permission(on) {
        let server = serve(on, |_| {}, app::sum);
        let mut client = server.connect();
        client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\nabc");
        assert_eq!(client.answer().status, 200);
    }

    fn requests_behind_a_short_body_that_nobody_reads_are_answered(on) {
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
}
