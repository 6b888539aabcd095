//! What is sent (RFC 9112 sections 3, 6.1 and 6.2; RFC 9110).

use super::driver::Driver;
use bytes::Bytes;
use lanner_protocol::client::http1::Prepared;
use lanner_protocol::client::{InvalidRequest, Request, SendError};
use lanner_protocol::{BodyLength, Fields};

fn fields(lines: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in lines {
        fields.append(name, value).unwrap();
    }
    fields
}

#[test]
fn a_request_is_its_line_host_and_fields() {
    let mut driver = Driver::new();
    let fields = fields(&[("accept", "*/*"), ("X", "y")]);
    driver
        .request(&Request::new(b"GET", b"example.com:81", b"/a?b", &fields))
        .unwrap();
    assert_eq!(
        driver.sent(),
        "GET /a?b HTTP/1.1\r\nhost: example.com:81\r\naccept: */*\r\nX: y\r\n\r\n"
    );
}

/// RFC 9112 section 6.3: "A user agent that sends a request that contains a message body MUST send either a valid
/// Content-Length header field or use the chunked transfer coding."
#[test]
fn a_body_is_announced_by_its_length_or_chunked() {
    let fields = Fields::new();
    for (length, head, body) in [
        (BodyLength::Known(5), "content-length: 5", "abcde"),
        (
            BodyLength::Unknown,
            "transfer-encoding: chunked",
            "2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n",
        ),
    ] {
        let mut driver = Driver::new();
        let request = Request {
            body: Some(length),
            ..Request::new(b"POST", b"a", b"/", &fields)
        };
        driver.request(&request).unwrap();
        assert_eq!(
            driver.ask("GET"),
            Err(SendError::NotNow),
            "the body comes first"
        );
        for piece in ["ab", "", "cde"] {
            driver
                .turn(|connection, turn| connection.send(turn, piece.into()))
                .unwrap();
        }
        driver
            .turn(|connection, turn| connection.finish(turn, None))
            .unwrap();
        assert_eq!(
            driver.sent(),
            format!("POST / HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n{body}")
        );
        driver.ask("GET").unwrap();
    }
}

#[test]
fn trailers_go_behind_the_last_chunk() {
    let mut driver = Driver::new();
    let none = Fields::new();
    let request = Request {
        body: Some(BodyLength::Unknown),
        ..Request::new(b"POST", b"a", b"/", &none)
    };
    driver.request(&request).unwrap();
    driver.sent();
    let trailers = fields(&[("x-sum", "1")]);
    driver
        .turn(|connection, turn| connection.finish(turn, Some(&trailers)))
        .unwrap();
    assert_eq!(driver.sent(), "0\r\nx-sum: 1\r\n\r\n");
}

/// RFC 9112 section 6.2: what is announced is what is sent; else the server would take the next request for the rest.
#[test]
fn a_body_of_another_length_ends_the_connection() {
    let fields = Fields::new();
    let request = Request {
        body: Some(BodyLength::Known(3)),
        ..Request::new(b"POST", b"a", b"/", &fields)
    };
    let mut driver = Driver::new();
    driver.request(&request).unwrap();
    let sent = driver.turn(|connection, turn| connection.send(turn, "four".into()));
    assert_eq!(sent, Err(SendError::TooManyBytes));
    assert!(driver.connection.is_over());
    let mut driver = Driver::new();
    driver.request(&request).unwrap();
    driver
        .turn(|connection, turn| connection.send(turn, "ab".into()))
        .unwrap();
    let sent = driver.turn(|connection, turn| connection.finish(turn, None));
    assert_eq!(sent, Err(SendError::TooFewBytes));
    assert!(driver.connection.is_over() && !driver.connection.is_reusable());
    let sent = driver.turn(|connection, turn| connection.send(turn, "c".into()));
    assert_eq!(sent, Err(SendError::Closed));
}

/// RFC 9112 section 6.1: "A client MUST NOT send a request containing Transfer-Encoding unless it knows the server will handle
/// HTTP/1.1 requests (or later minor revisions); such knowledge might be in the form of specific user configuration or by
/// remembering the version of a prior received response."
#[test]
fn a_server_of_http_1_0_is_sent_no_chunks() {
    let mut driver = Driver::asking(&["GET"]);
    driver.receive("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n");
    assert!(driver.connection.is_http10());
    let fields = Fields::new();
    let request = Request {
        body: Some(BodyLength::Unknown),
        ..Request::new(b"POST", b"a", b"/", &fields)
    };
    assert_eq!(
        driver.request(&request),
        Err(InvalidRequest::ChunkedToHttp10.into())
    );
    assert!(driver.connection.is_reusable());
}

/// RFC 9110 section 10.1.1: "A client MUST NOT generate a 100-continue expectation in a request that does not include content."
#[test]
fn an_expectation_goes_with_a_body_only() {
    let fields = Fields::new();
    let request = Request {
        body: Some(BodyLength::Known(2)),
        expect_continue: true,
        ..Request::new(b"PUT", b"a", b"/", &fields)
    };
    let mut driver = Driver::new();
    driver.request(&request).unwrap();
    assert_eq!(
        driver.sent(),
        "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
    );
    for body in [None, Some(BodyLength::Known(0))] {
        let request = Request { body, ..request };
        assert_eq!(
            Driver::new().request(&request),
            Err(InvalidRequest::ExpectWithoutBody.into())
        );
    }
}

/// Nothing that a server might read in two ways is sent: request splitting ends here.
#[test]
fn what_is_no_request_is_not_sent() {
    use InvalidRequest as I;
    let none = Fields::new();
    let valid = Request::new(b"GET", b"a", b"/", &none);
    for (request, error) in [
        (
            Request {
                method: b"",
                ..valid
            },
            I::Method,
        ),
        (
            Request {
                method: b"G T",
                ..valid
            },
            I::Method,
        ),
        (
            Request {
                method: b"GET\r\n",
                ..valid
            },
            I::Method,
        ),
        (
            Request {
                target: b"",
                ..valid
            },
            I::Target,
        ),
        (
            Request {
                target: b"/ HTTP/1.1\r\nX: y",
                ..valid
            },
            I::Target,
        ),
        (
            Request {
                target: b"/\t",
                ..valid
            },
            I::Target,
        ),
        (
            Request {
                target: b"/\xc3\xa9",
                ..valid
            },
            I::Target,
        ),
        (
            Request {
                authority: b"",
                ..valid
            },
            I::Authority,
        ),
        (
            Request {
                authority: b"a\r\nX: y",
                ..valid
            },
            I::Authority,
        ),
        (
            Request {
                authority: b"a/b",
                ..valid
            },
            I::Authority,
        ),
        (
            Request {
                authority: b"user@a",
                ..valid
            },
            I::Authority,
        ),
        (
            Request {
                upgrade: Some("a\r\nb"),
                ..valid
            },
            I::Upgrade,
        ),
        (
            Request {
                upgrade: Some(""),
                ..valid
            },
            I::Upgrade,
        ),
        (
            Request {
                upgrade: Some("a"),
                body: Some(BodyLength::Unknown),
                ..valid
            },
            I::UpgradeWithBody,
        ),
        (
            Request {
                fields: &fields(&[("Host", "b")]),
                ..valid
            },
            I::Field,
        ),
        (
            Request {
                fields: &fields(&[("expect", "x")]),
                ..valid
            },
            I::Field,
        ),
    ] {
        let mut driver = Driver::new();
        assert_eq!(driver.request(&request), Err(error.into()));
        let body = Bytes::from_static(if request.body.is_some() { b"x" } else { b"" });
        assert_eq!(Prepared::new(&request, body).err(), Some(error));
        assert_eq!(driver.sent(), "");
        assert!(driver.connection.is_reusable(), "nothing has happened");
    }
}

#[test]
fn a_prepared_request_is_the_same_bytes_each_time() {
    let fields = fields(&[("accept", "*/*")]);
    let get = Prepared::new(&Request::new(b"GET", b"a", b"/", &fields), Bytes::new()).unwrap();
    let head = Prepared::new(&Request::new(b"HEAD", b"a", b"/", &fields), Bytes::new()).unwrap();
    let post = Request::new(b"POST", b"a", b"/", &fields);
    let short = Prepared::new(&post, Bytes::from_static(b"abc")).unwrap();
    let long = Prepared::new(&post, vec![b'x'; 10_000].into()).unwrap();
    let empty = Request {
        body: Some(BodyLength::Unknown),
        ..post
    };
    let empty = Prepared::new(&empty, Bytes::new()).unwrap();
    let mut driver = Driver::new();
    let mut bytes = 0;
    for request in [&get, &head, &short, &long, &empty] {
        driver
            .turn(|connection, turn| connection.send_prepared(turn, request))
            .unwrap();
        bytes += request.wire_bytes();
    }
    let sent = driver.sent();
    assert_eq!(sent.len(), bytes);
    let requests: Vec<&str> = sent
        .split(" HTTP/1.1\r\nhost: a\r\naccept: */*\r\n")
        .collect();
    assert_eq!(requests[0], "GET /");
    assert_eq!(requests[1], "\r\nHEAD /");
    assert_eq!(requests[2], "\r\nPOST /");
    assert_eq!(requests[3], "content-length: 3\r\n\r\nabcPOST /");
    assert!(requests[4].starts_with("content-length: 10000\r\n\r\nxxx"));
    assert_eq!(requests[5], "content-length: 0\r\n\r\n");
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
    driver.receive(format!("{answer}a{answer}{answer}b{answer}c{answer}d"));
    assert!(
        driver.connection.is_reusable(),
        "the second one's has no body"
    );
}
