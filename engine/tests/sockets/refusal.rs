//! Requests that are turned away: the client must be able to read why, and the connection ends.

use crate::app;
use crate::server::serve;
use lanner::{Count, EndReason, Trip};

/// Bytes that are refused, and with what.
const REFUSED: &[(&str, u16, EndReason)] = &[
    (
        "GET / HTTP/1.1\nhost: test\n\n",
        400,
        EndReason::InvalidRequestHeaders,
    ),
    (
        "GET  / HTTP/1.1\r\nhost: test\r\n\r\n",
        400,
        EndReason::InvalidRequestLine,
    ),
    (
        "GET / HTTP/1.1\r\n\r\n",
        400,
        EndReason::InvalidRequestHeaders,
    ),
    (
        "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        400,
        EndReason::InvalidRequestHeaders,
    ),
    (
        "GET / HTTP/1.1\r\nhost : a\r\n\r\n",
        400,
        EndReason::InvalidRequestHeaders,
    ),
    (
        "GET / HTTP/1.1\r\nhost: a\r\n folded: b\r\n\r\n",
        400,
        EndReason::InvalidRequestHeaders,
    ),
    (
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        400,
        EndReason::InvalidRequestHeaders,
    ),
    (
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\n",
        400,
        EndReason::InvalidRequestHeaders,
    ),
    (
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        501,
        EndReason::InvalidRequestHeaders,
    ),
    (
        "GET / HTTP/2.0\r\nhost: a\r\n\r\n",
        505,
        EndReason::InvalidHttpVersion,
    ),
    (
        "\x16\x03\x01\x02\x00\x01\x00\x01",
        400,
        EndReason::TlsNotSupported,
    ),
    (
        "GET http://a/ HTTP/1.1\r\nhost: b\r\n\r\n",
        400,
        EndReason::InvalidRequestHeaders,
    ),
];

on_every_driver! {
    fn what_is_not_http_is_answered_and_closed(on) {
        let server = serve(on, |_| {}, app::hello);
        for (bytes, status, reason) in REFUSED {
            let before = server.counters().ended(*reason);
            let mut client = server.connect();
            let answer = client.send(bytes).answer();
            assert_eq!((answer.status, answer.closes()), (*status, true), "{bytes:?}");
            assert!(answer.text().starts_with(&status.to_string()), "{bytes:?}");
            client.expect_end();
            drop(client);
            server.until(bytes, |counters| counters.ended(*reason) == before + 1);
        }
        assert_eq!(server.counters().count(Count::Requests), 0);
    }

    fn connect_and_unknown_expectations_are_refused(on) {
        let server = serve(on, |_| {}, app::hello);
        for (bytes, status) in [
            ("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n", 501),
            ("POST / HTTP/1.1\r\nhost: a\r\nexpect: tea\r\ncontent-length: 1\r\n\r\n", 417),
        ] {
            let mut client = server.connect();
            assert_eq!(client.send(bytes).answer().status, status, "{bytes:?}");
            client.expect_end();
        }
    }

    fn requests_before_a_bad_one_are_answered(on) {
        let server = serve(on, |_| {}, app::target);
        let mut client = server.connect();
        client.ask("/1").ask("/2").send("nonsense\r\n\r\n").ask("/3");
        assert_eq!(client.answer().text(), "/1");
        assert_eq!(client.answer().text(), "/2");
        assert_eq!(client.answer().status, 400);
        client.expect_end();
        assert_eq!(server.counters().count(Count::Requests), 2);
    }

    fn a_target_that_is_too_long_is_414(on) {
        let server = serve(on, |_| {}, app::hello);
        let mut client = server.connect();
        client.send(format!("GET /{} HTTP/1.1\r\nhost: test\r\n\r\n", "x".repeat(9_000)));
        assert_eq!(client.answer().status, 414);
        client.expect_end();
        server.until_hits(Trip::RequestLine, 1);
    }

    fn fields_beyond_their_bounds_are_431(on) {
        let server = serve(on, |_| {}, app::hello);
        let many: String = (0..101).map(|number| format!("x-{number}: y\r\n")).collect();
        let large = format!("x: {}\r\n", "y".repeat(33_000));
        for (fields, trip) in [(many, Trip::HeaderCount), (large, Trip::HeaderBytes)] {
            let mut client = server.connect();
            client.send(format!("GET / HTTP/1.1\r\nhost: test\r\n{fields}\r\n"));
            let answer = client.answer();
            assert_eq!((answer.status, answer.closes()), (431, true));
            client.expect_end();
            server.until_hits(trip, 1);
        }
    }

    fn a_413_arrives_although_the_client_still_sends_ten_megabytes(on) {
        let server = serve(on, |limits| limits.max_request_body = Some(1_000_000), app::sum);
        let mut client = server.connect();
        client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 10000000\r\n\r\n");
        client.send(vec![b'x'; 10_000_000]);
        let answer = client.answer();
        assert_eq!((answer.status, answer.closes()), (413, true));
        assert!(answer.text().contains("max_request_body"), "{}", answer.text());
        client.expect_end();
        assert_eq!(server.counters().count(Count::Requests), 1);
        drop(client);
        server.until("the reason", |counters| {
            counters.ended(EndReason::MaxRequestBodySizeExceeded) == 1
                && counters.hits(Trip::RequestBody) == 1
        });
    }

    fn a_400_arrives_although_the_client_still_sends_ten_megabytes(on) {
        let server = serve(on, |_| {}, app::sum);
        let mut client = server.connect();
        client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 1, 2\r\n\r\n");
        client.send(vec![b'x'; 10_000_000]);
        assert_eq!(client.answer().status, 400);
        client.expect_end();
    }

    fn a_bad_chunk_fails_the_read_and_answers_400(on) {
        let server = serve(on, |_| {}, app::sum);
        for bad in ["zz\r\n", "3\r\nabcd\r\n", "3;a\nb\r\nabc\r\n", "11111111111111111\r\n"] {
            let mut client = server.connect();
            client.send("POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n");
            client.send(bad);
            let answer = client.answer();
            assert_eq!((answer.status, answer.closes()), (400, true), "{bad:?}");
            client.expect_end();
        }
        server.until("the reason", |counters| counters.ended(EndReason::InvalidRequestBody) == 4);
    }

    fn chunk_extensions_are_bounded(on) {
        let server = serve(on, |_| {}, app::sum);
        let mut client = server.connect();
        client.send("POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n");
        let chunk = format!("1;x={}\r\na\r\n", "y".repeat(1000));
        client.send(chunk.repeat(20));
        assert_eq!(client.answer().status, 400);
        client.expect_end();
        server.until_hits(Trip::ChunkExtensions, 1);
    }

    fn trailers_are_bounded_like_heads(on) {
        let server = serve(on, |_| {}, app::sum);
        let mut client = server.connect();
        client.send("POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n0\r\n");
        client.send((0..101).map(|number| format!("x-{number}: y\r\n")).collect::<String>());
        client.send("\r\n");
        assert_eq!(client.answer().status, 431);
        client.expect_end();
        server.until_hits(Trip::HeaderCount, 1);
    }

    fn a_host_that_is_not_served_here_is_421(on) {
        let server = lanner::Server::builder()
            .set("listen", "http://127.0.0.1:0")
            .set("workers", "1")
            .set("driver", &on.to_string())
            .set("allowed_hosts", "example.test")
            .start(|_| app::hello)
            .unwrap();
        let address = server.handle().addresses()[0].tcp().unwrap();
        let mut client = crate::client::Client::connect(address);
        client.send("GET / HTTP/1.1\r\nhost: example.test:80\r\n\r\n");
        assert_eq!(client.answer().status, 200);
        assert_eq!(client.get("/").status, 421);
        server.handle().stop();
        drop(client);
        server.join().unwrap();
    }
}
