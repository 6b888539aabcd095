//! Where a response ends (RFC 9112 sections 6.1, 6.3, 7 and 8).

use super::driver::{Driver, Seen, answers, plain, short};
use lanner_protocol::Misbehaviour as M;
use lanner_protocol::client::Body;
use lanner_protocol::client::http1::Error;

/// Section 6.3, 1: "Any response to a HEAD request and any response with a 1xx (Informational), 204 (No Content), or 304 (Not
/// Modified) status code is always terminated by the first empty line after the header fields, regardless of the header fields
/// present in the message, and thus cannot contain a message body or trailer section."
#[test]
fn some_responses_end_with_their_head_whatever_it_says() {
    for (method, status) in [("HEAD", 200), ("HEAD", 404), ("GET", 204), ("GET", 304)] {
        for field in ["Content-Length: 5", "Transfer-Encoding: chunked", "X: y"] {
            let bytes = format!(
                "HTTP/1.1 {status} X\r\n{field}\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
            );
            assert_eq!(
                short(&answers(&[method, "GET"], bytes)),
                format!("{status}:. 200:ab. closed")
            );
        }
    }
    let informational = "HTTP/1.1 103 Early\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(short(&answers(&["GET"], informational)), "103 200:. closed");
}

/// Section 6.3, 2: "Any 2xx (Successful) response to a CONNECT request implies that the connection will become a tunnel
/// immediately after the empty line that concludes the header fields. A client MUST ignore any Content-Length or
/// Transfer-Encoding header fields received in such a message."
#[test]
fn a_successful_connect_is_a_tunnel_whatever_its_fields_say() {
    for field in ["Content-Length: 2", "Transfer-Encoding: chunked", "X: y"] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\nabHTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(
            short(&answers(&["CONNECT"], bytes)),
            "200>abHTTP/1.1 200 OK\r\n\r\n. closed"
        );
    }
    let refused = "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nab";
    assert_eq!(short(&answers(&["CONNECT"], refused)), "403:ab. closed");
}

/// Section 6.3, 3: a message with both "might indicate an attempt to perform request smuggling or response splitting and ought
/// to be handled as an error."
#[test]
fn transfer_encoding_with_content_length_is_an_error() {
    for fields in [
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{fields}\r\n0\r\n\r\n");
        assert_eq!(
            answers(&["GET"], bytes),
            [Seen::Failed(Error::Message(
                M::TransferEncodingWithContentLength
            ))]
        );
    }
}

/// Section 6.3, 4: "If a Transfer-Encoding header field is present and the chunked transfer coding is the final encoding, the
/// message body length is determined by reading and decoding the chunked data until the transfer coding indicates the data is
/// complete."
#[test]
fn chunks_are_read_until_the_last_one() {
    let bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nabc\r\n2;x=\"y\"\r\nde\r\n0\r\n\r\nHTTP/1.1 204 No\r\n\r\n";
    assert_eq!(
        short(&answers(&["GET", "GET"], bytes)),
        "200:abcde. 204:. closed"
    );
}

/// Section 7.1.2: trailer fields are given to whoever asked, and what must not come this late is refused (RFC 9110 section
/// 6.5.1).
#[test]
fn trailers_are_given_and_judged() {
    let bytes = |trailer: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n{trailer}\r\n\r\n"
        )
    };
    assert_eq!(
        short(&answers(&["GET"], bytes("X-Sum: 1\r\ny:  2 "))),
        "200:a.[X-Sum=1][y=2] closed"
    );
    for (trailer, error) in [
        ("Content-Length: 1", M::ForbiddenTrailer),
        ("no colon", M::InvalidTrailer),
        ("x : y", M::InvalidTrailer),
        ("x: \u{1}", M::ControlByte),
        (" x: y", M::SpaceBeforeFirstField),
        ("x: y\n z: 1", M::BareLineFeed),
    ] {
        let seen = answers(&["GET"], bytes(trailer));
        assert_eq!(seen.last(), Some(&Seen::Failed(error.into())), "{trailer}");
    }
}

/// Section 7.1: "A recipient MUST be able to parse and decode the chunked transfer coding", and what is none is refused.
#[test]
fn chunks_that_break_the_grammar_are_errors() {
    for (body, error) in [
        ("x\r\n", M::InvalidChunkSize),
        ("\r\n", M::InvalidChunkSize),
        ("-1\r\n", M::InvalidChunkSize),
        ("1 \r\na\r\n", M::InvalidChunkSize),
        // "Recipients MUST anticipate potentially large hexadecimal numerals and prevent parsing errors due to integer
        // conversion overflows".
        ("10000000000000000\r\n", M::InvalidChunkSize),
        ("1\na\r\n", M::InvalidChunkTerminator),
        ("1\r\nab\r\n", M::InvalidChunkTerminator),
        ("1;\n\r\na\r\n", M::InvalidChunkExtension),
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let seen = answers(&["GET"], bytes);
        assert_eq!(seen.last(), Some(&Seen::Failed(error.into())), "{body:?}");
    }
}

/// Section 6.3, 4: "If a Transfer-Encoding header field is present in a response and the chunked transfer coding is not the final
/// encoding, the message body length is determined by reading the connection until it is closed by the server." But we could
/// not read the coding, and had not asked for it (RFC 9110 section 10.1.4), so it is refused.
#[test]
fn codings_that_nobody_asked_for_are_errors() {
    for (value, error) in [
        ("gzip", M::ChunkedNotLast),
        ("chunked, gzip", M::ChunkedNotLast),
        ("gzip, chunked", M::UnknownTransferCoding),
        ("identity", M::ChunkedNotLast),
        ("chunked, chunked", M::ChunkedRepeated),
        ("", M::TransferEncodingInvalid),
        ("\"chunked\"", M::TransferEncodingInvalid),
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {value}\r\n\r\n0\r\n\r\n");
        assert_eq!(
            answers(&["GET"], bytes),
            [Seen::Failed(error.into())],
            "{value}"
        );
    }
}

/// Section 6.1: "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding header field MUST treat the
/// message as if the framing is faulty, even if a Content-Length is present, and close the connection after processing the
/// message."
#[test]
fn transfer_encoding_in_http_1_0_is_an_error() {
    let bytes = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(
        answers(&["GET"], bytes),
        [Seen::Failed(M::TransferEncodingOnHttp10.into())]
    );
}

/// Section 6.3, 5: "If a message is received without Transfer-Encoding and with an invalid Content-Length header field, then
/// the message framing is invalid and the recipient MUST treat it as an unrecoverable error"; "the user agent MUST close the
/// connection to the server and discard the received response". RFC 9110 section 8.6 lets lists of equal values be refused
/// too.
#[test]
fn content_length_that_is_no_single_number_is_an_error() {
    for (fields, error) in [
        (
            "Content-Length: 3\r\nContent-Length: 4\r\n",
            M::ContentLengthConflict,
        ),
        ("Content-Length: 3, 4\r\n", M::ContentLengthConflict),
        (
            "Content-Length: 3\r\nContent-Length: 3\r\n",
            M::ContentLengthConflict,
        ),
        ("Content-Length: -3\r\n", M::ContentLengthInvalid),
        ("Content-Length: +3\r\n", M::ContentLengthInvalid),
        ("Content-Length: 3x\r\n", M::ContentLengthInvalid),
        ("Content-Length:\r\n", M::ContentLengthInvalid),
        (
            "Content-Length: 18446744073709551616\r\n",
            M::ContentLengthInvalid,
        ),
    ] {
        for method in ["GET", "HEAD"] {
            let bytes = format!("HTTP/1.1 200 OK\r\n{fields}\r\nabc");
            assert_eq!(
                answers(&[method], bytes),
                [Seen::Failed(error.into())],
                "{fields:?}"
            );
        }
    }
}

/// Section 6.3, 6: "If a valid Content-Length header field is present without Transfer-Encoding, its decimal value defines the
/// expected message body length in octets. If the sender closes the connection or the recipient times out before the indicated
/// number of octets are received, the recipient MUST consider the message to be incomplete and close the connection."
#[test]
fn a_body_shorter_than_its_length_is_incomplete() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(
        short(&answers(&["GET"], format!("{head}abcde"))),
        "200:abcde. closed"
    );
    assert_eq!(
        short(&answers(&["GET"], format!("{head}abc"))),
        "200:abc end_in_body"
    );
    assert_eq!(short(&answers(&["GET"], head)), "200: end_in_body");
}

/// Section 8: "A message body that uses the chunked transfer coding is incomplete if the zero-sized chunk that terminates the
/// encoding has not been received."
#[test]
fn a_body_without_its_last_chunk_is_incomplete() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "",
        "3",
        "3\r\nab",
        "3\r\nabc\r\n",
        "3\r\nabc\r\n0\r\n",
        "3\r\nabc\r\n0\r\nx: y\r\n",
    ] {
        let seen = answers(&["GET"], format!("{head}{body}"));
        assert_eq!(
            seen.last(),
            Some(&Seen::Failed(Error::EndInBody)),
            "{body:?}"
        );
    }
}

/// Section 6.3, 8: "Otherwise, this is a response message without a declared message body length, so the message body length
/// is determined by the number of octets received prior to the server closing the connection." Section 9.8 of how the close
/// must look.
#[test]
fn a_body_without_a_length_ends_with_an_orderly_close_only() {
    let bytes = "HTTP/1.1 200 OK\r\n\r\nabc\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(
        answers(&["GET", "GET"], bytes),
        [
            plain(200, "OK", Body::UntilClose),
            Seen::Data(b"abc\r\n\r\nHTTP/1.1 200 OK\r\n\r\n".to_vec()),
            Seen::End(Vec::new()),
            Seen::Closed,
        ]
    );
    let mut driver = Driver::asking(&["GET"]);
    driver.receive("HTTP/1.1 200 OK\r\n\r\nabc");
    driver.connection.handle_reset();
    assert_eq!(driver.receive(""), [Seen::Failed(Error::ConnectionReset)]);
    let mut whole = Driver::asking(&["GET"]);
    whole.receive("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc");
    whole.connection.handle_reset();
    assert_eq!(whole.receive(""), [Seen::Closed], "it was complete before");
}

/// Section 8: "A response message's head is incomplete if the connection is closed before it"; what never began can be told
/// from what broke off.
#[test]
fn a_head_that_breaks_off_is_not_the_same_as_no_answer() {
    assert_eq!(short(&answers(&["GET"], "")), "unanswered");
    assert_eq!(short(&answers(&["GET"], "\r\n")), "unanswered");
    assert_eq!(short(&answers(&["GET"], "H")), "end_in_head");
    assert_eq!(
        short(&answers(&["GET"], "HTTP/1.1 200 OK\r\nA: b\r\n")),
        "end_in_head"
    );
    assert_eq!(
        short(&answers(&["GET"], "HTTP/1.1 103 Early\r\n\r\n")),
        "103 unanswered"
    );
}

#[test]
fn a_length_of_zero_is_no_body() {
    let bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let mut driver = Driver::asking(&["GET"]);
    let seen = driver.receive(bytes);
    assert_eq!(short(&seen), "200:.");
    assert_eq!(driver.response.content_length, Some(0));
    assert!(driver.connection.is_reusable());
}

#[test]
fn the_length_of_what_does_not_follow_is_told() {
    let mut driver = Driver::asking(&["HEAD"]);
    driver.receive("HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n");
    assert_eq!(driver.response.content_length, Some(77));
    assert_eq!(driver.response.body, Body::None);
}
