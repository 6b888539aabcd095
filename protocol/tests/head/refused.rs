//! What must be turned away, with which reason, and when.

use lanner_limits::{Trip, UnderscoreHeaders};
use lanner_protocol::Misbehaviour::*;
use lanner_protocol::Refusal;

use crate::driver::{
    Outcome, feed, limits, limits_for_hosts, misbehaves, outcome, parsed_under, refused_under,
    with_lines,
};

#[test]
fn a_broken_request_line_is_refused_with_its_reason() {
    for (line, fault) in [
        ("GET  / HTTP/1.1", InvalidRequestLine),
        ("GET /  HTTP/1.1", InvalidRequestLine),
        ("GET / HTTP/1.1 ", InvalidRequestLine),
        ("GET / a HTTP/1.1", InvalidRequestLine),
        ("GET", InvalidRequestLine),
        ("GET /", InvalidVersion),
        ("GET / ", InvalidVersion),
        ("GET / HTTP/1", InvalidVersion),
        ("GET / HTTP/1.1x", InvalidVersion),
        ("GET / HTTP/+1.1", InvalidVersion),
        ("GET / hTTP/1.1", InvalidVersion),
        ("GET / HTTP /1.1", InvalidRequestLine),
        ("GET / HTTP/0.9", UnsupportedVersion),
        ("GET / HTTP/1.2", UnsupportedVersion),
        ("GET / HTTP/2.0", UnsupportedVersion),
        ("GET / HTTP/9.9", UnsupportedVersion),
        ("G{T / HTTP/1.1", InvalidMethod),
        ("GET\t/ HTTP/1.1", InvalidMethod),
        ("GET /\t HTTP/1.1", InvalidTarget),
        ("GET \t/ HTTP/1.1", InvalidTarget),
        ("GET * HTTP/1.1", InvalidTarget),
        ("GET a HTTP/1.1", InvalidTarget),
        ("GET /ä HTTP/1.1", InvalidTarget),
        ("GET /a#b HTTP/1.1", InvalidTarget),
        ("GET /<script> HTTP/1.1", InvalidTarget),
        ("GET /a?b={c} HTTP/1.1", InvalidTarget),
        ("GET /a\\..\\b HTTP/1.1", InvalidTarget),
        ("GET ftp://a/ HTTP/1.1", InvalidTarget),
        ("GET http://u:p@a/ HTTP/1.1", InvalidHost),
        ("GET http:///a HTTP/1.1", InvalidHost),
        ("GET /%00 HTTP/1.1", ForbiddenPath),
        ("GET /a/..;/b HTTP/1.1", ForbiddenPath),
        ("GET /% HTTP/1.1", ForbiddenPath),
        ("CONNECT a:443 HTTP/1.1", ConnectUnsupported),
        ("CONNECT / HTTP/1.1", InvalidTarget),
        ("CONNECT a HTTP/1.1", InvalidTarget),
        ("PRI * HTTP/1.1", InvalidTarget),
        ("PRI * HTTP/2.0", UnsupportedVersion),
    ] {
        assert_eq!(
            misbehaves(format!("{line}\r\nHost: a\r\n\r\n")),
            fault,
            "{line:?}"
        );
    }
}

#[test]
fn a_bad_first_byte_is_refused_without_waiting() {
    for (first, fault) in [
        (0x16u8, TlsOnCleartext),
        (b' ', InvalidMethod),
        (b'\t', InvalidMethod),
        (b'/', InvalidMethod),
        (b':', InvalidMethod),
        (0, InvalidMethod),
        (0x80, InvalidMethod),
        (b'\n', BareLineFeed),
    ] {
        assert_eq!(misbehaves([first]), fault, "{first:#04x}");
    }
    assert_eq!(
        misbehaves(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        TlsOnCleartext
    );
    assert_eq!(misbehaves(b"\r\n\x16"), TlsOnCleartext);
}

#[test]
fn the_third_empty_line_is_one_too_many() {
    assert_eq!(misbehaves("\r\n\r\n\r\n"), LeadingEmptyLines);
    assert_eq!(outcome(b"\r\n\r\n\r", &limits()), Outcome::Incomplete);
    assert_eq!(misbehaves("\rGET"), BareCarriageReturn);
    assert_eq!(misbehaves("\r\n\n"), BareLineFeed);
}

#[test]
fn the_http2_preface_is_recognised_when_complete_and_not_judged_before() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for len in 0..preface.len() {
        assert_eq!(
            outcome(&preface[..len], &limits()),
            Outcome::Incomplete,
            "{len} bytes"
        );
    }
    assert_eq!(misbehaves(preface), Http2Preface);
    assert_eq!(
        misbehaves([&preface[..], b"\0\0\0\x04\0\0\0\0\0"].concat()),
        Http2Preface
    );
    for len in 18..preface.len() {
        let diverging = [&preface[..len], b"X"].concat();
        assert_eq!(
            misbehaves(&diverging),
            UnsupportedVersion,
            "after {len} bytes"
        );
    }
}

#[test]
fn line_ends_are_crlf() {
    for (input, fault) in [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", BareLineFeed),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", BareLineFeed),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", BareLineFeed),
        ("GET / HTTP/1.1\r\nHost: a\r\n\rX", BareCarriageReturn),
        ("GET / HTTP/1.1\rHost: a\r\n\r\n", BareCarriageReturn),
        (
            "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
            BareCarriageReturn,
        ),
        ("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", BareCarriageReturn),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", BareCarriageReturn),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", BareCarriageReturn),
        ("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", BareCarriageReturn),
    ] {
        assert_eq!(misbehaves(input), fault, "{input:?}");
    }
}

#[test]
fn control_bytes_are_refused_when_they_arrive() {
    for control in (0..32u8)
        .chain([127])
        .filter(|byte| !matches!(byte, b'\t' | b'\r' | b'\n'))
    {
        for (front, back) in [
            ("GE", "T / HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("GET /", " HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("GET / HTTP/1.1", "\r\nHost: a\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHo", "st: a\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost:", "a\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: a", "\r\n\r\n"),
        ] {
            let early = [front.as_bytes(), &[control]].concat();
            assert_eq!(
                misbehaves(&early),
                ControlByte,
                "{control:#04x} after {front:?}"
            );
            assert_eq!(
                misbehaves([&early, back.as_bytes()].concat()),
                ControlByte,
                "{control:#04x} after {front:?}"
            );
        }
    }
}

#[test]
fn a_broken_field_line_is_refused_with_its_reason() {
    for (lines, fault) in [
        (" X: 1\r\n", ObsoleteFold),
        ("\tX: 1\r\n", ObsoleteFold),
        ("X: 1\r\n 2\r\n", ObsoleteFold),
        (" \r\n", ObsoleteFold),
        ("X : 1\r\n", SpaceBeforeColon),
        ("X\t: 1\r\n", SpaceBeforeColon),
        ("X Y: 1\r\n", InvalidFieldName),
        (": 1\r\n", InvalidFieldName),
        ("X(): 1\r\n", InvalidFieldName),
        ("Ä: 1\r\n", InvalidFieldName),
        ("X\r\n", MissingColon),
        ("GET / HTTP/1.1\r\n", MissingColon),
        ("GET http://a HTTP/1.1\r\n", InvalidFieldName),
    ] {
        assert_eq!(misbehaves(with_lines(lines)), fault, "{lines:?}");
    }
    assert_eq!(
        misbehaves("GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        SpaceBeforeFirstField
    );
    assert_eq!(
        misbehaves("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n"),
        SpaceBeforeFirstField
    );
}

#[test]
fn a_missing_second_or_broken_host_is_refused() {
    for (input, fault) in [
        ("GET / HTTP/1.1\r\n\r\n", MissingHost),
        ("GET / HTTP/1.1\r\nX-Host: a\r\n\r\n", MissingHost),
        ("GET http://a/ HTTP/1.1\r\n\r\n", MissingHost),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", SeveralHosts),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhost: b\r\n\r\n",
            SeveralHosts,
        ),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", SeveralHosts),
        ("GET / HTTP/1.1\r\nHost:\r\nHost:\r\n\r\n", SeveralHosts),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.0\r\nHost:\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", InvalidHost),
        ("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", HostMismatch),
        ("GET http://a/ HTTP/1.1\r\nHost: a:81\r\n\r\n", HostMismatch),
        (
            "GET https://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n",
            HostMismatch,
        ),
        ("GET http://a/ HTTP/1.1\r\nHost: b c\r\n\r\n", InvalidHost),
        ("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", SchemeMismatch),
        ("GET HTTPS://a/ HTTP/1.0\r\n\r\n", SchemeMismatch),
    ] {
        assert_eq!(misbehaves(input), fault, "{input:?}");
    }
}

#[test]
fn hosts_that_are_not_served_are_misdirected() {
    let limits = limits_for_hosts("a.com,*.b.com,[::1]");
    for host in [
        "a.com",
        "A.COM:8080",
        "a.com.",
        "x.b.com",
        "x.y.B.com:80",
        "[::1]:8080",
    ] {
        parsed_under(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), &limits);
    }
    parsed_under("GET http://a.com/ HTTP/1.0\r\n\r\n", &limits);
    for input in [
        "GET / HTTP/1.1\r\nHost: b.com\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: www.a.com\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.com.evil\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: evila.com\r\n\r\n",
        "GET http://evil/ HTTP/1.1\r\nHost: evil\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n",
    ] {
        assert_eq!(
            refused_under(input, &limits),
            Refusal::Misbehaviour(HostNotAllowed),
            "{input:?}"
        );
    }
}

#[test]
fn other_expectations_than_100_continue_fail() {
    for value in ["200-ok", "100-continue, x", "100-continued", "100", "x=y"] {
        assert_eq!(
            misbehaves(with_lines(&format!("Expect: {value}\r\n"))),
            UnknownExpectation,
            "{value}"
        );
    }
}

#[test]
fn underscores_are_refused_where_the_operator_says_so() {
    let mut rejecting = limits();
    rejecting.underscore_headers = UnderscoreHeaders::Reject;
    let refusal = refused_under(with_lines("X_Y: 1\r\n"), &rejecting);
    assert_eq!(refusal, Refusal::Misbehaviour(UnderscoreField));
    assert_eq!(
        parsed_under(with_lines("X-Y: a_b\r\n"), &rejecting).field("x-y"),
        Some(&b"a_b"[..])
    );
}

#[test]
fn relaxed_reading_relaxes_nothing_else() {
    let mut relaxed = limits();
    relaxed.h1_strict = false;
    for (input, fault) in [
        (
            "GET / HTTP/1.1\r\n Host: a\r\n\r\n".to_owned(),
            SpaceBeforeFirstField,
        ),
        (with_lines("X : 1\r\n"), SpaceBeforeColon),
        (with_lines("Host: b\r\n"), SeveralHosts),
        (
            with_lines("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"),
            TransferEncodingWithContentLength,
        ),
        (
            with_lines("Transfer-Encoding\r\n : chunked\r\n"),
            SpaceBeforeColon,
        ),
        (with_lines("X: 1\rY: 2\r\n"), BareCarriageReturn),
        (with_lines("X: 1\0\r\n"), ControlByte),
        ("\n\n\n".to_owned(), LeadingEmptyLines),
        ("GET / HTTP/1.1\n\n".to_owned(), MissingHost),
    ] {
        assert_eq!(
            refused_under(&input, &relaxed),
            Refusal::Misbehaviour(fault),
            "{input:?}"
        );
    }
}

/// The refusal, and after how many bytes it came.
fn refused_after(input: &[u8], limits: &lanner_limits::Limits) -> (Refusal, usize) {
    for len in 1..=input.len() {
        if let Outcome::Refused(refusal) = feed(input, 1..=len, limits) {
            return (refusal, len);
        }
    }
    panic!("not refused");
}

#[test]
fn the_request_line_with_its_line_end_may_be_as_long_as_the_limit_and_no_longer() {
    let mut limits = limits();
    limits.max_request_line = 40;
    let line = |len: usize| {
        let path_len = len - "GET / HTTP/1.1\r\n".len();
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(path_len))
    };
    assert_eq!(parsed_under(line(40), &limits).host(), "a");
    assert_eq!(
        refused_under(line(41), &limits),
        Refusal::Trip(Trip::RequestLine)
    );
    assert_eq!(
        refused_after(line(400).as_bytes(), &limits),
        (Refusal::Trip(Trip::RequestLine), 40)
    );
    let behind_empty_lines = format!("\r\n\r\n{}", line(40));
    assert_eq!(parsed_under(behind_empty_lines, &limits).host(), "a");
}

#[test]
fn the_fields_with_their_empty_line_may_be_as_long_as_the_limit_and_no_longer() {
    let mut limits = limits();
    limits.max_header_bytes = 60;
    let head = |len: usize| {
        let value_len = len - "Host: a\r\nX: \r\n\r\n".len();
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "x".repeat(value_len)
        )
    };
    assert_eq!(parsed_under(head(60), &limits).host(), "a");
    for len in [61, 62, 63, 64, 65, 600] {
        assert_eq!(
            refused_under(head(len), &limits),
            Refusal::Trip(Trip::HeaderBytes),
            "{len}"
        );
    }
    let request_line_len = "GET / HTTP/1.1\r\n".len();
    assert_eq!(
        refused_after(head(600).as_bytes(), &limits),
        (Refusal::Trip(Trip::HeaderBytes), request_line_len + 60)
    );
}

#[test]
fn as_many_fields_as_the_limit_and_not_one_more() {
    let mut limits = limits();
    limits.max_header_count = 3;
    assert_eq!(
        parsed_under(with_lines("A: 1\r\nB: 2\r\n"), &limits)
            .head
            .fields
            .len(),
        3
    );
    let four = with_lines("A: 1\r\nB: 2\r\nC: 3\r\n");
    assert_eq!(
        refused_under(&four, &limits),
        Refusal::Trip(Trip::HeaderCount)
    );
    let (refusal, after) = refused_after(four.as_bytes(), &limits);
    assert_eq!(
        (refusal, &four.as_bytes()[..after]),
        (
            Refusal::Trip(Trip::HeaderCount),
            &b"GET / HTTP/1.1\r\nHost: a.com\r\nA: 1\r\nB: 2\r\nC"[..]
        )
    );
    let mut head = lanner_protocol::Head::default();
    assert_eq!(
        head.parse(four.as_bytes(), &limits),
        Err(Refusal::Trip(Trip::HeaderCount)),
        "also without the scan"
    );
}

#[test]
fn more_fields_than_any_limit_are_refused_by_the_parser_too() {
    let lines: String = (0..1001).map(|index| format!("X{index}: 1\r\n")).collect();
    let mut head = lanner_protocol::Head::default();
    assert_eq!(
        head.parse(with_lines(&lines).as_bytes(), &limits()),
        Err(Refusal::Trip(Trip::HeaderCount))
    );
}

#[test]
fn of_two_faults_the_one_that_is_known_first_counts() {
    let mut limits = limits();
    limits.max_request_line = 20;
    let first = |input: &str| refused_under(input, &limits);
    assert_eq!(
        first("GET /\0aaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n"),
        Refusal::Misbehaviour(ControlByte)
    );
    assert_eq!(
        first("GET /aaaaaaaaaaaaaaaaaaaaaaaaa\0 HTTP/1.1\r\n"),
        Refusal::Trip(Trip::RequestLine)
    );
    assert_eq!(
        first("GET / HTTP/1.1\nX\0"),
        Refusal::Misbehaviour(BareLineFeed)
    );
    assert_eq!(
        first("GET / HTTP/1.1\r\nX\0\n"),
        Refusal::Misbehaviour(ControlByte)
    );
    assert_eq!(
        first("GET / HTTP/1.1\r\nX\0: 1\r\n 2"),
        Refusal::Misbehaviour(ControlByte)
    );
}

#[test]
fn incomplete_heads_are_not_judged_before_their_time() {
    for input in [
        "",
        "G",
        "GET /",
        "GET / HTTP/1.1\r",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r",
        "X",
    ] {
        assert_eq!(
            outcome(input.as_bytes(), &limits()),
            Outcome::Incomplete,
            "{input:?}"
        );
    }
}

#[test]
fn a_head_given_to_the_parser_without_its_end_is_refused_not_guessed() {
    let mut head = lanner_protocol::Head::default();
    let whole = with_lines("");
    for len in 0..whole.len() {
        assert!(
            head.parse(&whole.as_bytes()[..len], &limits()).is_err(),
            "{len}"
        );
    }
    let longer = format!("{whole}GET / HTTP/1.1\r\n");
    assert!(head.parse(longer.as_bytes(), &limits()).is_err());
    assert_eq!(
        head.parse(b"", &limits()),
        Err(Refusal::Misbehaviour(InvalidMethod))
    );
}
