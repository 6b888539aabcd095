//! What happens when the other side takes its time: real timers with small knobs. Lower bounds are exact, upper ones
//! generous, for the machine may be busy.

use crate::agent::Agent;
use crate::app::{self, Gate};
use crate::client::streams::Streams;
use crate::client::{Client, End};
use crate::response::{PIECE, Plenty};
use crate::server::serve;
use crate::way::Way;
use crate::wire::{self, Got};
use lanner::{BodyError, Count, EndReason, MinRate, Request, Response, Trip};
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::{END_STREAM, Kind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the tests set a timeout to.
const SHORT: Duration = Duration::from_millis(150);
/// By when it must have been noticed.
const LATE: Duration = Duration::from_secs(4);

const CHUNKED: &str = "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";

/// Expects that something takes `SHORT`, or a little longer.
#[track_caller]
fn takes_short<T>(began: Instant, what: impl FnOnce() -> T) -> T {
    let outcome = what();
    let took = began.elapsed();
    assert!((SHORT..LATE).contains(&took), "took {took:?}");
    outcome
}

in_both_versions! {
    fn a_body_of_which_nothing_comes_is_answered_408(way) {
        let (sender, errors) = std::sync::mpsc::channel();
        let server = way.serve(|limits| limits.min_body_rate_grace = SHORT, move |mut request: Request| {
            let sender = sender.clone();
            async move {
                let outcome = request.body().collect().await;
                sender.send(outcome.clone()).unwrap();
                Ok(Response::bytes(lanner::ContentType::TEXT, outcome?))
            }
        });
        let mut agent = way.agent(&server);
        let began = Instant::now();
        let request = agent.begin("/", &[("content-length", "10")]);
        let answer = takes_short(began, || agent.answer(request));
        assert_eq!((answer.status, answer.closes()), (408, way.is_http1()));
        assert_eq!(errors.recv().unwrap(), Err(BodyError::Trip(Trip::MinBodyRate)));
        server.until_hits(Trip::MinBodyRate, 1);
        let request = agent.post("/", b"at once");
        assert_eq!(agent.answer(request).text(), "at once");
    }

    fn an_app_that_is_slow_to_read_never_costs_its_client_the_request(way) {
        let change = |limits: &mut lanner::Limits| {
            limits.min_body_rate = Some(1_000_000);
            limits.min_body_rate_grace = Duration::from_millis(40);
        };
        let server = way.serve(change, |mut request: Request| async move {
            let mut read = 0;
            loop {
                lanner::sleep(Duration::from_millis(60)).await;
                match request.body().chunk().await {
                    Some(chunk) => read += chunk?.len(),
                    None => return Ok(Response::text(read.to_string())),
                }
            }
        });
        let mut agent = way.agent(&server);
        let request = agent.post("/", &[b'x'; 100_000]);
        assert_eq!(agent.answer(request).text(), "100000");
        assert_eq!(server.counters().hits(Trip::MinBodyRate), 0);
    }

    fn an_app_may_lift_the_body_rate_of_one_request(way) {
        let server = way.serve(|limits| limits.min_body_rate_grace = SHORT, |request: Request| async move {
            match request.path() {
                "/patient" => request.set_min_body_rate(None)?,
                _ => request.set_min_body_rate(Some(MinRate {
                    bytes_per_second: 1000,
                    grace: SHORT / 2,
                }))?,
            }
            app::sum(request).await
        });
        let mut agent = way.agent(&server);
        let begin = |agent: &mut Agent, path| {
            let request = agent.begin(path, &[("content-length", "3")]);
            agent.put(request, b"ab");
            request
        };
        let patient = begin(&mut agent, "/patient");
        // Two graces pass one after the other.
        for _ in 0..2 {
            let other = begin(&mut agent, "/");
            assert_eq!(agent.answer(other).status, 408);
        }
        assert!(agent.hears_nothing(patient));
        agent.put(patient, b"c");
        agent.finish(patient);
        assert_eq!(agent.answer(patient).text(), "3 294");
    }

    fn an_idle_connection_is_closed(way) {
        let server = way.serve(|limits| limits.keepalive_timeout = SHORT, app::hello);
        let mut agent = way.agent(&server);
        for _ in 0..2 {
            assert_eq!(agent.get("/").status, 200);
        }
        let began = Instant::now();
        takes_short(began - Duration::from_millis(5), || agent.expect_end());
        server.until("counted", |counters| counters.ended(EndReason::KeepAliveTimeout) == 1);
        server.until_hits(Trip::KeepaliveTimeout, 1);
    }

    fn an_answer_that_takes_too_long_is_a_504(way) {
        let gate = Gate::default();
        let waiting = gate.clone();
        let server = way.serve(|limits| limits.request_timeout = Some(SHORT), move |request: Request| {
            let gate = waiting.clone();
            async move {
                if request.path() == "/slow" {
                    gate.pass().await;
                }
                Ok(Response::text("in time"))
            }
        });
        let mut agent = way.agent(&server);
        assert_eq!(agent.get("/").text(), "in time");
        let began = Instant::now();
        let answer = takes_short(began, || agent.get("/slow"));
        assert_eq!((answer.status, answer.closes()), (504, way.is_http1()));
        server.until_hits(Trip::RequestTimeout, 1);
        assert_eq!(agent.get("/").text(), "in time");
    }

    fn a_stream_beyond_the_request_timeout_is_reset(way) {
        let server = way.serve(|limits| limits.request_timeout = Some(SHORT), app::echo);
        let mut agent = way.agent(&server);
        let began = Instant::now();
        let request = agent.begin("/", &[]);
        agent.put(request, b"abc");
        let head = agent.head(request);
        assert_eq!((head.status, &agent.piece(request)[..]), (200, &b"abc"[..]));
        let cut = takes_short(began, || agent.cut_behind(request, head));
        let (end, code) = match way.is_http1() {
            true => (Some(End::Reset), None),
            false => (None, Some(ErrorCode::CANCEL)),
        };
        assert_eq!((cut.end, cut.code), (end, code));
        assert_eq!(agent.get("/").status, 200);
    }

    fn an_old_connection_is_closed_when_idle(way) {
        let server = way.serve(|limits| limits.max_connection_age = Some(SHORT), app::hello);
        let began = Instant::now();
        let mut agent = way.agent(&server);
        assert_eq!(agent.get("/").status, 200);
        agent.expect_end();
        // Give or take a tenth.
        assert!(began.elapsed() >= SHORT * 9 / 10);
        // The server waits for its client's end of what it has left.
        drop(agent);
        server.until("counted", |counters| counters.ended(EndReason::MaxConnectionAge) == 1);
    }

    fn an_old_connection_ends_after_the_exchange_it_is_in(way) {
        let gate = Gate::default();
        let waiting = gate.clone();
        let server = way.serve(|limits| limits.max_connection_age = Some(SHORT), move |_: Request| {
            let gate = waiting.clone();
            async move {
                // Well past the age.
                lanner::sleep(SHORT * 2).await;
                gate.pass().await;
                Ok(Response::text("late"))
            }
        });
        let mut agent = way.agent(&server);
        let request = agent.ask("/");
        gate.until_arrived(1);
        gate.open();
        let answer = agent.answer(request);
        assert_eq!((answer.status, answer.closes()), (200, way.is_http1()));
        agent.expect_end();
    }

    fn an_old_connection_that_does_not_end_is_reset(way) {
        let change = |limits: &mut lanner::Limits| {
            limits.max_connection_age = Some(SHORT);
            limits.max_connection_age_grace = SHORT;
        };
        let server = way.serve(change, |_: Request| {
            std::future::pending::<Result<Response, lanner::Error>>()
        });
        let began = Instant::now();
        let mut agent = way.agent(&server);
        agent.ask("/");
        assert_eq!(takes_short(began, || agent.rest()), [End::Reset]);
        server.until_hits(Trip::MaxConnectionAge, 1);
    }
}

/// A field block of which the rest does not come.
fn half_a_block(streams: &mut Streams, stream: u32) {
    let block = streams.wire.block(&[("x-half", "a block")]);
    streams.send(&wire::frame(Kind::HEADERS, END_STREAM, stream, &block));
}

on_every_driver! {
    fn a_field_block_of_http2_that_does_not_end_takes_its_connection_with_it(driver) {
        let way = Way::http2(driver);
        let server = way.serve(|limits| limits.header_timeout = SHORT, app::sum);
        // Of a request, and of trailers.
        for has_begun in [false, true] {
            let mut agent = way.agent(&server);
            let stream = match has_begun {
                false => agent.streams().request("GET", "/", &[], true).0,
                true => {
                    let request = agent.begin("/", &[]);
                    agent.put(request, b"a");
                    agent.stream(request)
                }
            };
            let began = Instant::now();
            half_a_block(agent.streams(), stream);
            let (rest, end) = takes_short(began, || agent.streams().rest());
            let told = rest.iter().any(|got| matches!(got, Got::GoAway { debug, .. } if debug == "header_timeout"));
            assert!(told && end == End::Closed, "{end:?} after {rest:?}");
        }
        server.until_hits(Trip::HeaderTimeout, 2);
    }

    fn a_preface_of_http2_that_does_not_end_has_the_time_of_a_head(driver) {
        let server = serve(driver, |limits| limits.header_timeout = SHORT, app::hello);
        for preface in ["P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
            let mut client = server.connect();
            let began = Instant::now();
            client.send(preface);
            takes_short(began, || client.rest());
        }
        server.until_hits(Trip::HeaderTimeout, 2);
    }

    fn a_body_of_http2_that_nobody_reads_must_come_in_time(driver) {
        let way = Way::http2(driver);
        let server = way.serve(|limits| limits.body_drain_timeout = SHORT, app::hello);
        let mut agent = way.agent(&server);
        let began = Instant::now();
        let request = agent.begin("/", &[("content-length", "100")]);
        agent.put(request, b"half");
        assert_eq!(agent.answer(request).status, 200);
        let stream = agent.stream(request);
        let stopped = takes_short(began, || agent.streams().next_of(stream));
        assert_eq!(stopped, Got::Reset(stream, ErrorCode::NO_ERROR));
        server.until_hits(Trip::BodyDrainTimeout, 1);
        assert_eq!(agent.get("/").status, 200);
    }

    fn a_stream_whose_window_stays_shut_is_reset_and_the_others_go_on(driver) {
        let way = Way::http2(driver);
        let change = |limits: &mut lanner::Limits| {
            limits.min_response_rate = Some(1 << 30);
            limits.min_response_rate_grace = SHORT;
        };
        let server = way.serve(change, |request: Request| async move {
            let left = request.path()[1..].parse()?;
            Ok(Response::stream(None, Plenty { left, taken: Arc::default() }))
        });
        let socket = way.socket(server.connect());
        let mut streams = Streams::with_window(socket, way.scheme(), 1_000);
        let began = Instant::now();
        let stream = streams.ask("GET", "/100000", &[], true);
        let (mut answer, _) = streams.head(stream);
        let outcome = takes_short(began, || streams.content(stream, &mut answer));
        assert_eq!((outcome, answer.body.len()), (Err(ErrorCode::CANCEL), 1_000));
        server.until_hits(Trip::MinResponseRate, 1);
        let stream = streams.ask("GET", "/1000", &[], true);
        let (mut answer, _) = streams.head(stream);
        assert_eq!(streams.content(stream, &mut answer), Ok(()));
        assert_eq!(answer.body.len(), 1_000);
    }
}

on_every_driver! {
    fn a_connection_that_says_nothing_is_closed(on) {
        let server = serve(on, |limits| limits.first_byte_timeout = SHORT, app::hello);
        let began = Instant::now();
        let mut client = server.connect();
        takes_short(began, || client.expect_end());
        server.until("counted", |counters| {
            counters.hits(Trip::FirstByteTimeout) == 1 && counters.ended(EndReason::FirstByteTimeout) == 1
        });
    }

    fn a_head_that_does_not_end_is_answered_408(on) {
        let server = serve(on, |limits| limits.header_timeout = SHORT, app::hello);
        let mut client = server.connect();
        let began = Instant::now();
        client.send("GET / HTTP/1.1\r\nhost: te");
        let answer = takes_short(began, || client.answer());
        assert_eq!((answer.status, answer.closes()), (408, true));
        client.expect_end();
        server.until_hits(Trip::HeaderTimeout, 1);
    }

    fn bytes_that_trickle_do_not_extend_a_heads_time(on) {
        let server = serve(on, |limits| limits.header_timeout = SHORT, app::hello);
        let mut client = server.connect();
        let began = Instant::now();
        client.stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        client.send("GET / HTTP/1.1\r\nhost: test\r\nx: ");
        // A byte each time nothing was heard for 10 ms.
        while client.stream.peek(&mut [0]).is_err() {
            client.send("y");
            assert!(began.elapsed() < LATE);
        }
        assert!(began.elapsed() >= SHORT);
        assert_eq!(client.answer().status, 408);
    }

    fn a_second_head_has_its_time_from_its_first_byte(on) {
        let server = serve(on, |limits| limits.header_timeout = SHORT, app::hello);
        let mut client = server.connect();
        assert_eq!(client.get("/").status, 200);
        let began = Instant::now();
        client.send("G");
        assert_eq!(takes_short(began, || client.answer()).status, 408);
    }

    fn trailers_have_the_time_of_a_head(on) {
        let server = serve(on, |limits| limits.header_timeout = SHORT, app::sum);
        let mut client = server.connect();
        client.send(CHUNKED).send("1\r\na\r\n0\r\nx-tra");
        let began = Instant::now();
        assert_eq!(takes_short(began - Duration::from_millis(5), || client.answer()).status, 408);
        client.expect_end();
        server.until_hits(Trip::HeaderTimeout, 1);
    }

    fn a_body_that_trickles_is_answered_408(on) {
        let change = |limits: &mut lanner::Limits| {
            limits.min_body_rate = Some(100_000);
            limits.min_body_rate_grace = SHORT;
        };
        let server = serve(on, change, app::sum);
        let mut client = server.connect();
        client.stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let began = Instant::now();
        client.send(CHUNKED);
        while client.stream.peek(&mut [0]).is_err() {
            client.send("1\r\na\r\n");
            assert!(began.elapsed() < LATE);
        }
        assert!(began.elapsed() >= SHORT);
        assert_eq!(client.answer().status, 408);
    }

    fn a_client_that_does_not_take_its_answer_is_reset(on) {
        let change = |limits: &mut lanner::Limits| {
            limits.min_response_rate = Some(1 << 30);
            limits.min_response_rate_grace = SHORT;
        };
        let server = serve(on, change, |_: Request| async {
            let taken = Arc::default();
            Ok(Response::stream(None, Plenty { left: 1 << 30, taken }))
        });
        let mut client = Client::with_small_window(server.address());
        client.ask("/");
        server.until("cut", |counters| counters.ended(EndReason::MinResponseDataRate) == 1);
        server.until_hits(Trip::MinResponseRate, 1);
        assert_eq!(client.rest().1, End::Reset);
    }

    fn a_client_that_keeps_taking_its_answer_is_not_reset(on) {
        let change = |limits: &mut lanner::Limits| {
            limits.min_response_rate = Some(64 << 10);
            limits.min_response_rate_grace = SHORT;
        };
        let whole = 32 * PIECE;
        let server = serve(on, change, move |_: Request| async move {
            let taken = Arc::default();
            Ok(Response::stream(Some(whole as u64), Plenty { left: whole, taken }))
        });
        let mut client = Client::with_small_window(server.address());
        client.ask("/");
        client.head();
        // Longer than the grace in all, and so much faster than the rate that a busy machine does not matter.
        let began = Instant::now();
        for piece in 0..32 {
            client.take(PIECE);
            let due = began + Duration::from_millis(15) * piece;
            while let left @ 1.. = due.saturating_duration_since(Instant::now()).as_micros() {
                std::thread::park_timeout(Duration::from_micros(left as u64));
            }
        }
        assert_eq!(server.counters().hits(Trip::MinResponseRate), 0);
    }

    fn a_body_that_nobody_reads_must_come_in_time(on) {
        let server = serve(on, |limits| limits.body_drain_timeout = SHORT, app::hello);
        let mut client = server.connect();
        let began = Instant::now();
        client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\nhalf");
        assert_eq!(client.answer().status, 200);
        takes_short(began, || client.rest());
        server.until("counted", |counters| counters.ended(EndReason::BodyDrain) == 1);
        server.until_hits(Trip::BodyDrainTimeout, 1);
    }

    fn a_client_that_never_closes_is_not_waited_for_for_ever(on) {
        let server = serve(on, |limits| limits.body_drain_timeout = SHORT, app::hello);
        let mut client = server.connect();
        client.send("nonsense\r\n\r\n");
        assert_eq!(client.answer().status, 400);
        // Our end is shut, the client's is not.
        client.expect_end();
        assert_eq!(server.counters().open(), 1);
        server.until_open(0);
    }

    fn a_connection_has_its_share_of_requests(on) {
        let server = serve(on, |limits| limits.max_requests_per_connection = Some(3), app::target);
        let mut client = server.connect();
        assert!(!client.get("/1").closes());
        client.ask("/2").ask("/3").ask("/4");
        assert!(!client.answer().closes());
        let last = client.answer();
        assert_eq!((last.text(), last.closes()), ("/3", true));
        client.expect_end();
        server.until_hits(Trip::MaxRequestsPerConnection, 1);
        assert_eq!(server.counters().count(Count::Requests), 3);
    }
}
