//! Status lines and fields (RFC 9112 sections 2.2, 2.3, 4 and 5), and the bounds on them.

use super::driver::{Driver, Seen, answers, answers_to, short};
use lanner_limits::{Moment, Trip};
use lanner_protocol::Misbehaviour as M;
use lanner_protocol::client::Response;
use lanner_protocol::client::http1::{Error, Event};
use std::time::Duration;

const BODILESS: &str = "Content-Length: 0\r\n\r\n";

/// Section 4: `status-line = HTTP-version SP status-code SP [ reason-phrase ]`, the phrase of HTAB, SP, visible ASCII and
/// obs-text. The space before a phrase that is not there is often left out.
#[test]
fn a_status_line_is_version_code_and_perhaps_a_phrase() {
    for (line, status, reason) in [
        ("HTTP/1.1 200 OK", 200, "OK"),
        ("HTTP/1.1 404 Not Found", 404, "Not Found"),
        ("HTTP/1.1 500 ", 500, ""),
        ("HTTP/1.1 503", 503, ""),
        ("HTTP/1.1 599  two\tspaces ", 599, " two\tspaces "),
        ("HTTP/1.1 200 d\u{e9}j\u{e0} vu", 200, "d\u{e9}j\u{e0} vu"),
        ("HTTP/1.0 201 Created", 201, "Created"),
    ] {
        let seen = answers(&["GET"], format!("{line}\r\n{BODILESS}"));
        let Some(Seen::Response {
            status: got,
            reason: phrase,
            ..
        }) = seen.first()
        else {
            panic!("{line}: {seen:?}")
        };
        assert_eq!((*got, phrase.as_str()), (status, reason), "{line}");
    }
}

#[test]
fn what_is_no_status_line_is_an_error() {
    for (line, error) in [
        ("SSH-2.0-OpenSSH", Error::NotHttp),
        ("\u{15}\u{3}\u{3}\0\u{2}\u{2}F", Error::NotHttp),
        ("http/1.1 200 OK", Error::NotHttp),
        (" HTTP/1.1 200 OK", Error::NotHttp),
        ("HTTP/1.2 200 OK", Error::Version),
        ("HTTP/2.0 200 OK", Error::Version),
        ("HTTP/0.9 200 OK", Error::Version),
        ("HTTP/1.1", Error::StatusLine),
        ("HTTP/1.1 ", Error::StatusLine),
        ("HTTP/11 200 OK", Error::StatusLine),
        ("HTTP/1.1  200 OK", Error::StatusLine),
        ("HTTP/1.1\t200 OK", Error::StatusLine),
        ("HTTP/1.1 20 OK", Error::StatusLine),
        ("HTTP/1.1 2000 OK", Error::StatusLine),
        ("HTTP/1.1 2x0 OK", Error::StatusLine),
        ("HTTP/1.1 +20 OK", Error::StatusLine),
        // RFC 9110 section 15: "values outside the range 100..599 are invalid".
        ("HTTP/1.1 099 OK", Error::StatusCode),
        ("HTTP/1.1 000 OK", Error::StatusCode),
        ("HTTP/1.1 600 OK", Error::StatusCode),
        ("HTTP/1.1 999 OK", Error::StatusCode),
        ("HTTP/1.1 200 O\0K", Error::Message(M::ControlByte)),
        ("HTTP/1.1 200 O\u{7f}K", Error::Message(M::ControlByte)),
        ("HTTP/1.1 200 O\rK", Error::Message(M::BareCarriageReturn)),
        ("HTTP/1.1 200 OK\nX: y", Error::Message(M::BareLineFeed)),
    ] {
        let seen = answers(&["GET"], format!("{line}\r\nA: b\r\n{BODILESS}"));
        assert_eq!(seen, [Seen::Failed(error)], "{line:?}");
    }
}

/// Section 2.2: a bare CR or LF, and white space before the first field, are refused; section 5.1 and 5.2: so is white space
/// before a colon, and a fold, which a gateway may answer with 502 instead of mending it.
#[test]
fn fields_that_break_the_grammar_are_errors() {
    for (lines, error) in [
        ("A: b\nC: d\r\n", M::BareLineFeed),
        ("A: b\rC: d\r\n", M::BareCarriageReturn),
        (" A: b\r\n", M::SpaceBeforeFirstField),
        ("A: b\r\n c\r\n", M::ObsoleteFold),
        ("A : b\r\n", M::SpaceBeforeColon),
        ("A\r\n", M::MissingColon),
        (": b\r\n", M::InvalidFieldName),
        ("A(: b\r\n", M::InvalidFieldName),
        ("A\u{e9}: b\r\n", M::InvalidFieldName),
        ("A: b\0\r\n", M::ControlByte),
        ("A: b\u{1b}\r\n", M::ControlByte),
        // The fault of the earlier byte is told, not that of the earlier line.
        ("A\r\nB: \u{1}\r\n", M::ControlByte),
    ] {
        let seen = answers(&["GET"], format!("HTTP/1.1 200 OK\r\n{lines}{BODILESS}"));
        assert_eq!(seen, [Seen::Failed(error.into())], "{lines:?}");
    }
}

#[test]
fn fields_come_in_order_with_their_values_trimmed() {
    let seen = answers(
        &["GET"],
        "HTTP/1.1 200 OK\r\nB:1\r\na: \t 2 3 \t\r\nB:\r\nContent-Length: 0\r\n\r\n",
    );
    let Some(Seen::Response { fields, .. }) = seen.first() else {
        panic!("{seen:?}")
    };
    let fields: Vec<_> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        fields,
        [("B", "1"), ("a", "2 3"), ("B", ""), ("Content-Length", "0")]
    );
}

/// Section 2.2 speaks of servers; a server that ends a body with one line end too many is no worse than such a client.
#[test]
fn two_empty_lines_before_a_response_are_passed_over() {
    let response = format!("HTTP/1.1 200 OK\r\n{BODILESS}");
    assert_eq!(
        short(&answers(&["GET"], format!("\r\n\r\n{response}"))),
        "200:. closed"
    );
    for front in ["\r\n\r\n\r\n", "\n", "\r\r\n"] {
        let seen = answers(&["GET"], format!("{front}{response}"));
        assert!(
            matches!(seen[..], [Seen::Failed(Error::Message(_))]),
            "{seen:?}"
        );
    }
}

#[test]
fn a_head_is_bounded_in_its_line_its_bytes_and_its_fields() {
    let driver = || {
        let mut driver = Driver::with(|limits| {
            limits.max_request_line = 64;
            limits.max_header_bytes = 256;
            limits.max_header_count = 5;
        });
        driver.ask("GET").unwrap();
        driver
    };
    let phrase = |bytes: usize| format!("HTTP/1.1 200 {}\r\n{BODILESS}", "x".repeat(bytes));
    assert_eq!(short(&answers_to(driver, phrase(49))), "200:. closed");
    assert_eq!(
        answers_to(driver, phrase(52)),
        [Seen::Failed(Trip::RequestLine.into())]
    );
    let value = |bytes: usize| format!("HTTP/1.1 200 OK\r\nx: {}\r\n{BODILESS}", "y".repeat(bytes));
    assert_eq!(short(&answers_to(driver, value(230))), "200:. closed");
    assert_eq!(
        answers_to(driver, value(256)),
        [Seen::Failed(Trip::HeaderBytes.into())]
    );
    let many = |count: usize| format!("HTTP/1.1 200 OK\r\n{}{BODILESS}", "x: y\r\n".repeat(count));
    assert_eq!(short(&answers_to(driver, many(4))), "200:. closed");
    assert_eq!(
        answers_to(driver, many(5)),
        [Seen::Failed(Trip::HeaderCount.into())]
    );
}

/// RFC 9110 section 15.2: "A client MUST be able to parse one or more 1xx responses received prior to a final response, even if
/// the client does not expect one."
#[test]
fn informational_responses_come_before_the_final_one() {
    let bytes = format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
         HTTP/1.1 199 \r\n\r\nHTTP/1.1 200 OK\r\n{BODILESS}"
    );
    assert_eq!(short(&answers(&["GET"], bytes)), "100 103 199 200:. closed");
}

#[test]
fn informational_responses_do_not_come_without_end() {
    let mut driver = Driver::asking(&["GET", "GET"]);
    let hundred = "HTTP/1.1 102 Processing\r\n\r\n".repeat(100);
    assert_eq!(driver.receive(&hundred).len(), 100);
    assert_eq!(
        short(&driver.receive(format!("HTTP/1.1 200 OK\r\n{BODILESS}"))),
        "200:."
    );
    // Each response may have as many.
    assert_eq!(driver.receive(&hundred).len(), 100);
    let seen = driver.receive("HTTP/1.1 102 Processing\r\n\r\n");
    assert_eq!(seen, [Seen::Failed(Error::InformationalFlood)]);
}

#[test]
fn a_head_once_begun_is_to_be_complete_in_time() {
    let mut driver = Driver::asking(&["GET"]);
    driver.receive("");
    assert_eq!(
        driver.connection.deadline(),
        None,
        "how long an answer takes is the driver's"
    );
    driver.receive("HT");
    let due = driver.connection.deadline().unwrap();
    assert_eq!(due, Moment::ZERO + Duration::from_secs(15));
    driver.now = Moment::ZERO + Duration::from_secs(14);
    driver.receive("TP/1.1 200 O");
    assert_eq!(
        driver.connection.deadline(),
        Some(due),
        "more bytes do not put it off"
    );
    driver.connection.handle_timeout(driver.now);
    assert!(!driver.connection.is_over());
    driver.connection.handle_timeout(due);
    assert_eq!(
        driver.receive(""),
        [Seen::Failed(Trip::HeaderTimeout.into())]
    );
    assert_eq!(driver.connection.deadline(), None);

    let mut trailers = Driver::asking(&["GET"]);
    trailers.receive("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    assert_eq!(trailers.connection.deadline(), None);
    trailers.receive("0\r\nx");
    assert_eq!(trailers.connection.deadline(), Some(due));
    trailers.receive(": y\r\n\r\n");
    assert_eq!(trailers.connection.deadline(), None);
}

#[test]
fn fields_need_not_be_kept_and_are_judged_all_the_same() {
    let mut driver = Driver::asking(&["GET", "GET"]);
    driver.response = Response::without_fields();
    let seen = driver.receive("HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nab");
    assert_eq!(short(&seen), "200:ab.");
    assert_eq!(driver.response.fields, []);
    assert_eq!(driver.response.content_length, Some(2));
    let seen = driver.receive("HTTP/1.1 200 OK\r\nA(: b\r\n\r\n");
    assert_eq!(seen, [Seen::Failed(M::InvalidFieldName.into())]);
}

#[test]
fn every_error_has_a_name_and_those_of_the_server_a_section() {
    for error in [
        Error::NotHttp,
        Error::Version,
        Error::StatusLine,
        Error::StatusCode,
        Error::Unsolicited,
        Error::SwitchUnasked,
        Error::EndInHead,
        Error::EndInBody,
    ] {
        let section = error.section().unwrap();
        assert_eq!(error.to_string(), format!("{} ({section})", error.name()));
    }
    for misbehaviour in M::ALL {
        let error = Error::from(misbehaviour);
        assert!(error.section().unwrap().starts_with("RFC 91"));
        assert_eq!(error.name(), misbehaviour.name());
    }
    assert_eq!(Error::Unanswered.section(), None);
    assert_eq!(
        Error::Bound(Trip::HeaderBytes).name(),
        Trip::HeaderBytes.name()
    );
}

#[test]
fn a_head_in_pieces_is_not_looked_at_again_and_again() {
    // A megabyte of one head in single bytes would take minutes if each byte cost a look at all before it.
    let mut driver = Driver::with(|limits| limits.max_header_bytes = 1 << 20);
    driver.ask("GET").unwrap();
    let bytes = format!(
        "HTTP/1.1 200 OK\r\nx: {}\r\n{BODILESS}",
        "y".repeat(900_000)
    );
    let mut events = 0;
    for end in 1..=bytes.len() {
        let mut turn = lanner_protocol::client::Turn {
            now: driver.now,
            output: &mut driver.output,
        };
        let input = &bytes.as_bytes()[..end];
        let step = driver
            .connection
            .poll(&mut turn, input, &mut driver.response);
        events += usize::from(step.event != Event::More);
    }
    assert_eq!(events, 1);
}
