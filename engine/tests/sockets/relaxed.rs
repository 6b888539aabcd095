//! `LANNER_H1_STRICT=false`: lines that end in LF alone and fields that go on in the next line are let pass, for very old
//! clients. Nothing else is: whatever tells one request from the next, or a body's chunks apart, is refused as ever.

use crate::client::Client;
use crate::server::{Fixture, serve};
use lanner::{Count, Request, Response, Trip};
use lanner_limits::Driver;
use std::fmt::Write as _;

/// What an attacker appends, in the hope that it is taken for a request of somebody else.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";

/// Heads that only relaxed reading takes, and what an app then sees: target and fields, one a line.
const RELAXED: &[(&str, &str)] = &[
    // Line feeds alone: everywhere, or in one place.
    ("GET /1 HTTP/1.1\nhost: a\n\n", "/1\nhost=a\n"),
    (
        "GET /2 HTTP/1.1\nhost: a\r\nx: y\r\n\r\n",
        "/2\nhost=a\nx=y\n",
    ),
    (
        "GET /3 HTTP/1.1\r\nhost: a\nx: y\r\n\r\n",
        "/3\nhost=a\nx=y\n",
    ),
    (
        "GET /4 HTTP/1.1\r\nhost: a\r\nx: y\r\n\n",
        "/4\nhost=a\nx=y\n",
    ),
    (
        "GET /5 HTTP/1.1\nhost:a\nx:\ny: \n\n",
        "/5\nhost=a\nx=\ny=\n",
    ),
    // Before a request, where two empty lines are skipped.
    ("\nGET /6 HTTP/1.1\r\nhost: a\r\n\r\n", "/6\nhost=a\n"),
    ("\r\n\nGET /7 HTTP/1.1\r\nhost: a\r\n\r\n", "/7\nhost=a\n"),
    // Folds: every byte of a line end is a space (RFC 9112 section 5.2), and no app sees a line end.
    (
        "GET /8 HTTP/1.1\r\nhost: a\r\nx: y\r\n z\r\n\r\n",
        "/8\nhost=a\nx=y   z\n",
    ),
    (
        "GET /9 HTTP/1.1\r\nhost: a\r\nx: y\n\tz\r\n\r\n",
        "/9\nhost=a\nx=y \\tz\n",
    ),
    (
        "GET /10 HTTP/1.1\nhost: a\nx: y\n z\n  w\nv: u\n\n",
        "/10\nhost=a\nx=y  z   w\nv=u\n",
    ),
    (
        "GET /11 HTTP/1.1\r\nhost: a\r\nx:\r\n \r\n\ty\r\n\r\n",
        "/11\nhost=a\nx=y\n",
    ),
    (
        "GET /12 HTTP/1.1\r\nhost: a\r\nx: y\r\n \r\n\r\n",
        "/12\nhost=a\nx=y\n",
    ),
    // What looks like another field, or like the end and another request, is still this field's value.
    (
        "GET /13 HTTP/1.1\r\nhost: a\r\nx: y\r\n content-length: 5\r\n\r\n",
        "/13\nhost=a\nx=y   content-length: 5\n",
    ),
    (
        "GET /14 HTTP/1.1\r\nhost: a\r\nx: y\n \n GET /smuggled HTTP/1.1\n\n",
        "/14\nhost=a\nx=y    GET /smuggled HTTP/1.1\n",
    ),
];

/// Heads that are refused whatever the setting. Each is followed by [`SMUGGLED`].
const NEVER: &[(&str, u16)] = &[
    // Both framings, on lines of either kind, and with one of them hidden in a fold.
    (
        "POST / HTTP/1.1\nhost: a\ncontent-length: 5\ntransfer-encoding: chunked\n\n",
        400,
    ),
    (
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\ncontent-length: 5\r\n\r\n",
        400,
    ),
    (
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\r\n chunked\r\ncontent-length: 5\r\n\r\n",
        400,
    ),
    // A fold in a field that frames the message, or says whom it is for.
    (
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\r\n chunked\r\n\r\n",
        400,
    ),
    (
        "POST / HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\n\t\r\n\r\n",
        400,
    ),
    ("POST / HTTP/1.1\r\nhost: a\r\nContent-Length:\n 5\n\n", 400),
    ("GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", 400),
    (
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length:\n 5\r\ntransfer-encoding:\n chunked\r\n\r\n",
        400,
    ),
    // A length that is two, or none.
    (
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\ncontent-length: 5\r\n\r\n",
        400,
    ),
    (
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5,\r\n 5\r\n\r\n",
        400,
    ),
    (
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n 0\r\n\r\n",
        400,
    ),
    (
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +\r\n 5\r\n\r\n",
        400,
    ),
    (
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length:\r\n \r\n\r\n",
        400,
    ),
    // Codings that we do not have, or that are not what they seem.
    (
        "POST / HTTP/1.1\nhost: a\ntransfer-encoding: gzip,\n chunked\n\n",
        400,
    ),
    (
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n , identity\r\n\r\n",
        400,
    ),
    (
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chu\r\n nked\r\n\r\n",
        400,
    ),
    (
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\ntransfer-encoding: chunked\r\n\r\n",
        400,
    ),
    (
        "POST / HTTP/1.0\nhost: a\ntransfer-encoding: chunked\n\n",
        400,
    ),
    // Space before the colon, put there by the client or by the joining of lines.
    ("POST / HTTP/1.1\nhost: a\ncontent-length : 5\n\n", 400),
    (
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length\r\n : 5\r\n\r\n",
        400,
    ),
    (
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding\n\t: chunked\r\n\r\n",
        400,
    ),
    // Hosts.
    ("GET / HTTP/1.1\nhost: a\nhost: a\n\n", 400),
    ("GET / HTTP/1.1\nx: y\n\n", 400),
    ("GET / HTTP/1.1\r\nhost: a\r\n b\r\n\r\n", 400),
    ("GET http://a/ HTTP/1.1\nhost: b\n\n", 400),
    // A fold of nothing: in the request line, and before the first field.
    ("GET / HTTP/1.1\r\n host: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\n\thost: a\n\n", 400),
    ("GET /\r\n HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n \r\nhost: a\r\n\r\n", 400),
    // An empty line is the end even where the next begins with white space.
    ("GET / HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n", 400),
    (
        "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n \r\nGET /smuggled HTTP/1.1\r\n\r\n",
        400,
    ),
    // A CR alone never ends a line, and no control byte is let pass.
    ("GET / HTTP/1.1\rhost: a\r\r", 400),
    (
        "GET / HTTP/1.1\nhost: a\nx: y\rtransfer-encoding: chunked\n\n",
        400,
    ),
    ("GET / HTTP/1.1\nhost: a\nx: y\r\r\n\n", 400),
    ("GET / HTTP/1.1\nhost: a\n\r\r\n", 400),
    ("\rGET / HTTP/1.1\nhost: a\n\n", 400),
    ("GET / HTTP/1.1\nhost: a\nx: \0\n\n", 400),
    ("GET / HTTP/1.1\nhost: a\nx: y\n\x0b z\n\n", 400),
    ("GET / HTTP/1.1\nhost: a\nx\x0c: y\n\n", 400),
    // Request lines.
    ("\n\n\nGET / HTTP/1.1\nhost: a\n\n", 400),
    ("GET /\n\n", 400),
    ("GET  / HTTP/1.1\nhost: a\n\n", 400),
    ("GET / HTTP/1.1 \nhost: a\n\n", 400),
    ("GET / HTTP/2.0\nhost: a\n\n", 505),
    ("PRI * HTTP/2.0\n\nSM\n\n", 505),
    (" GET / HTTP/1.1\nhost: a\n\n", 400),
];

/// Chunked bodies that are refused whatever the setting.
const CHUNKED_NEVER: &[&str] = &[
    "5\nhello\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\r\nhello\r\n0\n\r\n",
    "5\r\nhello\r\n0\r\n\n",
    "5\r\n hello\r\n0\r\n\r\n",
    "5;a=b\nhello\r\n0\r\n\r\n",
    "5;a\r\n =b\r\nhello\r\n0\r\n\r\n",
    "5\rhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\nx: y\n\r\n",
    "5\r\nhello\r\n0\r\nx: y\r\n z\r\n\r\n",
    "5\r\nhello\r\n0\r\nx: y\n z\n\n",
    "5\r\nhello\r\n0\r\n x: y\r\n\r\n",
    "5\r\nhello\r\n0\r\nx : y\r\n\r\n",
];

/// A server on which lines are read as loosely as they can be, with an app that says all it sees.
fn relaxed(on: Driver) -> Fixture {
    serve(on, |limits| limits.h1_strict = false, seen)
}

async fn seen(mut request: Request) -> Result<Response, lanner::Error> {
    let mut text = format!("{}\n", request.target());
    for (name, value) in request.fields() {
        let _ = writeln!(text, "{name}={}", value.escape_ascii());
    }
    let body = request.body().collect().await?;
    text.push_str(&String::from_utf8_lossy(&body));
    Ok(Response::text(text))
}

/// How a client's bytes are cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Whole,
    /// One write for each.
    Bytes,
}

const CUTS: [Cut; 2] = [Cut::Whole, Cut::Bytes];

fn send(client: &mut Client, bytes: &str, cut: Cut) {
    let length = match cut {
        Cut::Whole => bytes.len(),
        Cut::Bytes => 1,
    };
    for piece in bytes.as_bytes().chunks(length) {
        client.send(piece);
    }
}

/// Expects this answer, and nothing behind it but the end.
#[track_caller]
fn expect_refusal(client: &mut Client, status: u16, why: &str) {
    let answer = client.answer();
    assert_eq!((answer.status, answer.closes()), (status, true), "{why}");
    client.expect_end();
}

on_every_driver! {
    fn bare_line_feeds_and_folds_pass_and_mean_what_they_say(on) {
        let server = relaxed(on);
        for cut in CUTS {
            for (bytes, expected) in RELAXED {
                let mut client = server.connect();
                send(&mut client, bytes, cut);
                let answer = client.answer();
                assert_eq!((answer.status, answer.text()), (200, *expected), "{cut:?} {bytes:?}");
                // The connection stands where it should: the next request is the next request.
                assert_eq!(client.get("/next").text(), "/next\nhost=test\n", "{cut:?} {bytes:?}");
            }
        }
    }

    fn a_refusal_of_a_head_request_has_no_body_behind_an_empty_line_either(on) {
        let server = relaxed(on);
        for before in ["", "\r\n", "\n", "\n\r\n"] {
            let mut client = server.connect();
            client.send(format!("{before}HEAD / HTTP/1.1\nx: \0"));
            assert_eq!(client.head().status, 400, "{before:?}");
            client.expect_end();
        }
    }

    fn all_of_it_is_refused_where_reading_is_strict(on) {
        let server = serve(on, |_| {}, seen);
        for (bytes, _) in RELAXED {
            let mut client = server.connect();
            client.send(bytes).send(SMUGGLED);
            expect_refusal(&mut client, 400, bytes);
        }
        assert_eq!(server.counters().count(Count::Requests), 0);
    }

    fn relaxed_requests_are_pipelined_like_any_other(on) {
        let server = relaxed(on);
        for cut in CUTS {
            let mut client = server.connect();
            let all: String = RELAXED.iter().map(|(bytes, _)| *bytes).collect();
            send(&mut client, &all, cut);
            for (bytes, expected) in RELAXED {
                assert_eq!(client.answer().text(), *expected, "{cut:?} {bytes:?}");
            }
        }
        server.until("as many requests", |counters| {
            counters.count(Count::Requests) == (CUTS.len() * RELAXED.len()) as u64
        });
    }

    fn what_frames_a_request_is_never_relaxed(on) {
        let server = relaxed(on);
        for cut in CUTS {
            for (bytes, status) in NEVER {
                let mut client = server.connect();
                send(&mut client, bytes, cut);
                client.send(SMUGGLED);
                expect_refusal(&mut client, *status, &format!("{cut:?} {bytes:?}"));
            }
        }
        assert_eq!(server.counters().count(Count::Requests), 0);
    }

    fn what_frames_a_chunk_is_never_relaxed(on) {
        let server = relaxed(on);
        for cut in CUTS {
            for body in CHUNKED_NEVER {
                let mut client = server.connect();
                client.send("POST /chunked HTTP/1.1\nhost: a\ntransfer-encoding: chunked\n\n");
                send(&mut client, body, cut);
                client.send(SMUGGLED);
                expect_refusal(&mut client, 400, &format!("{cut:?} {body:?}"));
            }
        }
        // The heads were fine, and nothing behind them was taken for another.
        let heads = (CUTS.len() * CHUNKED_NEVER.len()) as u64;
        assert_eq!(server.counters().count(Count::Requests), heads);
    }

    fn a_fold_as_long_as_a_head_may_be_arrives_whole(on) {
        let server = relaxed(on);
        // Longer than what is read at once, so that the head is put together from several reads.
        let folded = "y\r\n ".repeat(7_000);
        let joined = "y   ".repeat(7_000);
        let mut client = server.connect();
        client.send(format!("GET /long HTTP/1.1\r\nhost: a\r\nx: {folded}\r\n\r\n"));
        let expected = format!("/long\nhost=a\nx={}\n", joined.trim_end());
        let answer = client.answer();
        assert!(answer.text() == expected, "{} bytes for {}", answer.body.len(), expected.len());
        assert_eq!(client.get("/next").status, 200);
    }

    fn bounds_hold_for_relaxed_lines_too(on) {
        let server = relaxed(on);
        let many: String = (0..100).map(|number| format!("x-{number}: y\n")).collect();
        let cases = [
            (format!("GET / HTTP/1.1\nhost: a\n{many}\n"), 431, Trip::HeaderCount, 1),
            (format!("GET / HTTP/1.1\nhost: a\nx: {}", "y\n ".repeat(20_000)), 431, Trip::HeaderBytes, 1),
            (format!("GET / HTTP/1.1\nhost: a\nx: y{}", "\n ".repeat(20_000)), 431, Trip::HeaderBytes, 2),
            (format!("GET /{} HTTP/1.1\n", "x".repeat(9_000)), 414, Trip::RequestLine, 1),
        ];
        for (bytes, status, trip, hits) in cases {
            let mut client = server.connect();
            client.send(bytes);
            expect_refusal(&mut client, status, trip.name());
            server.until_hits(trip, hits);
        }
        assert_eq!(server.counters().count(Count::Requests), 0);
    }

    fn a_fold_that_does_not_end_has_a_heads_time(on) {
        let timeout = std::time::Duration::from_millis(150);
        let change = |limits: &mut lanner::Limits| {
            limits.h1_strict = false;
            limits.header_timeout = timeout;
        };
        let server = serve(on, change, seen);
        let mut client = server.connect();
        let began = std::time::Instant::now();
        client.stream.set_read_timeout(Some(std::time::Duration::from_millis(10))).unwrap();
        client.send("GET / HTTP/1.1\nhost: a\nx: y");
        // Another line of the same field each time nothing was heard for 10 ms.
        while client.stream.peek(&mut [0]).is_err() {
            client.send("\n y");
            assert!(began.elapsed() < crate::server::PATIENCE);
        }
        assert!(began.elapsed() >= timeout);
        assert_eq!(client.answer().status, 408);
        server.until_hits(Trip::HeaderTimeout, 1);
    }
}
