//! Requests with which other servers were fooled, one test per family. What they had in common: two parties read the same
//! bytes as different requests. Here each of them ends the connection.

use lanner_protocol::Misbehaviour::{self, *};
use lanner_protocol::framing::Framing;

use crate::driver::{misbehaves, parsed, with_lines};

/// A POST with these field lines, and what an attacker would append.
fn post(lines: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: a.com\r\n{lines}\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a.com\r\n\r\n"
    )
}

fn all_misbehave(cases: &[(&str, Misbehaviour)]) {
    for (lines, fault) in cases {
        assert_eq!(misbehaves(post(lines)), *fault, "{lines:?}");
    }
}

#[test]
fn cve_2005_2088_apache_both_framings_at_once() {
    all_misbehave(&[
        (
            "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
            TransferEncodingWithContentLength,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
            TransferEncodingWithContentLength,
        ),
        (
            "transfer-encoding: Chunked\r\nX: y\r\ncontent-length: 0\r\n",
            TransferEncodingWithContentLength,
        ),
    ]);
}

#[test]
fn cve_2019_16869_netty_and_cve_2021_22959_node_space_before_the_colon() {
    all_misbehave(&[
        (
            "Content-Length: 6\r\nTransfer-Encoding : chunked\r\n",
            SpaceBeforeColon,
        ),
        ("Transfer-Encoding\t: chunked\r\n", SpaceBeforeColon),
        ("Content-Length : 6\r\n", SpaceBeforeColon),
    ]);
}

#[test]
fn cve_2019_20444_netty_a_field_line_without_a_colon() {
    all_misbehave(&[
        ("Transfer-Encoding\r\nContent-Length: 6\r\n", MissingColon),
        ("Transfer-Encoding chunked\r\n", MissingColon),
    ]);
}

#[test]
fn cve_2019_20445_netty_and_cve_2020_8287_node_the_same_field_twice() {
    all_misbehave(&[
        (
            "Content-Length: 6\r\nContent-Length: 5\r\n",
            ContentLengthConflict,
        ),
        (
            "Content-Length: 6\r\nContent-Length: 6\r\n",
            ContentLengthConflict,
        ),
        ("Content-Length: 6, 6\r\n", ContentLengthConflict),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            ChunkedNotLast,
        ),
        (
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
            UnknownTransferCoding,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            ChunkedRepeated,
        ),
    ]);
}

#[test]
fn cve_2018_7159_node_and_cve_2022_24761_waitress_numbers_that_are_none() {
    for value in [
        "1 6",
        "+6",
        "-6",
        "0x6",
        "6_0",
        "6.0",
        "6e0",
        "\u{ff16}",
        "",
        "18446744073709551622",
    ] {
        let fault = misbehaves(post(&format!("Content-Length: {value}\r\n")));
        assert_eq!(fault, ContentLengthInvalid, "{value:?}");
    }
}

#[test]
fn cve_2019_18277_haproxy_and_cve_2022_1705_go_codings_that_only_look_like_chunked() {
    all_misbehave(&[
        ("Transfer-Encoding: \x0bchunked\r\n", ControlByte),
        ("Transfer-Encoding: chunked\x0c\r\n", ControlByte),
        ("Transfer-Encoding: xchunked\r\n", ChunkedNotLast),
        ("Transfer-Encoding: chunked-x\r\n", ChunkedNotLast),
        (
            "Transfer-Encoding: \"chunked\"\r\n",
            TransferEncodingInvalid,
        ),
        (
            "Transfer-Encoding: chunked chunked\r\n",
            TransferEncodingInvalid,
        ),
        ("Transfer-Encoding:\r\n", TransferEncodingInvalid),
        ("Transfer-Encoding: , chunked\r\n", TransferEncodingInvalid),
    ]);
}

#[test]
fn cve_2021_33037_tomcat_chunked_elsewhere_than_last_or_in_http_1_0() {
    all_misbehave(&[
        ("Transfer-Encoding: chunked, identity\r\n", ChunkedNotLast),
        ("Transfer-Encoding: chunked, gzip\r\n", ChunkedNotLast),
        ("Transfer-Encoding: identity\r\n", ChunkedNotLast),
        ("Transfer-Encoding: chunked;q=0.5\r\n", ChunkedParameters),
    ]);
    let old = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(misbehaves(old), TransferEncodingOnHttp10);
}

#[test]
fn cve_2019_16785_waitress_a_line_ended_by_line_feed_alone() {
    all_misbehave(&[
        ("X: y\nTransfer-Encoding: chunked\r\n", BareLineFeed),
        ("Content-Length: 6\nX: y\r\n", BareLineFeed),
        ("X: y\n", BareLineFeed),
    ]);
}

#[test]
fn cve_2023_30589_node_a_line_ended_by_carriage_return_alone() {
    all_misbehave(&[
        ("X: y\rTransfer-Encoding: chunked\r\n", BareCarriageReturn),
        ("X: y\r\rTransfer-Encoding: chunked\r\n", BareCarriageReturn),
        ("\rTransfer-Encoding: chunked\r\n", BareCarriageReturn),
    ]);
}

#[test]
fn cve_2022_32215_node_a_transfer_encoding_over_two_lines() {
    all_misbehave(&[
        ("Transfer-Encoding:\r\n chunked\r\n", ObsoleteFold),
        ("Transfer-Encoding: x\r\n\tchunked\r\n", ObsoleteFold),
        ("X: y\r\n Content-Length: 6\r\n", ObsoleteFold),
    ]);
}

#[test]
fn cve_2019_9900_envoy_a_nul_in_a_value() {
    all_misbehave(&[
        ("X: a\0b\r\n", ControlByte),
        ("Transfer-Encoding: chunked\0\r\n", ControlByte),
        ("X\0: a\r\n", ControlByte),
    ]);
}

#[test]
fn cve_2021_43797_netty_control_bytes_around_a_name() {
    all_misbehave(&[
        ("\x01Transfer-Encoding: chunked\r\n", ControlByte),
        ("Transfer-Encoding\x1f: chunked\r\n", ControlByte),
        ("Transfer-Encoding\u{a0}: chunked\r\n", InvalidFieldName),
        ("[Transfer-Encoding]: chunked\r\n", InvalidFieldName),
    ]);
}

#[test]
fn cve_2016_8743_apache_generous_white_space_in_the_request_line() {
    for line in [
        "GET\t/ HTTP/1.1",
        "GET / HTTP/1.1\t",
        "GET  / HTTP/1.1",
        "GET /\u{b}HTTP/1.1",
        "GET / x HTTP/1.1",
        " GET / HTTP/1.1",
    ] {
        let fault = misbehaves(format!("{line}\r\nHost: a\r\n\r\n"));
        assert_eq!(fault.answer().0, 400, "{line:?}: {fault:?}");
    }
}

#[test]
fn cve_2016_6816_tomcat_characters_that_no_target_has() {
    for character in ['"', '<', '>', '\\', '^', '{', '}', '`', '\u{80}', 'ü'] {
        let in_path = misbehaves(format!("GET /a{character}b HTTP/1.1\r\nHost: a\r\n\r\n"));
        let in_query = misbehaves(format!("GET /a?b{character} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(
            (in_path, in_query),
            (InvalidTarget, InvalidTarget),
            "{character:?}"
        );
    }
}

#[test]
fn cve_2019_9901_envoy_and_cve_2021_41773_apache_paths_that_climb() {
    for (target, path) in [
        ("/public/../admin", "/admin"),
        ("/public/%2e%2e/admin", "/admin"),
        ("/public/.%2E/admin", "/admin"),
        ("/cgi-bin/.%2e/.%2e/.%2e/etc/passwd", "/etc/passwd"),
        ("/../../../etc/passwd", "/etc/passwd"),
        ("http://a.com/public/../admin", "/admin"),
    ] {
        assert_eq!(
            parsed(format!("GET {target} HTTP/1.1\r\nHost: a.com\r\n\r\n")).path(),
            path,
            "{target}"
        );
    }
}

#[test]
fn cve_2020_5902_big_ip_dot_segments_with_parameters() {
    for target in [
        "/tmui/login.jsp/..;/tmui/x",
        "/a/..%3b/b",
        "/a/%2e%2e;x/b",
        "/a/.;/b",
    ] {
        assert_eq!(
            misbehaves(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")),
            ForbiddenPath,
            "{target}"
        );
    }
}

#[test]
fn cve_2021_40346_haproxy_a_long_name_is_not_cut_into_a_known_one() {
    for len in [256, 270, 512, 65_536 - 256] {
        let mut limits = crate::driver::limits();
        limits.max_header_bytes = 1 << 20;
        let name = format!("Content-Length{}", "a".repeat(len));
        let input = with_lines(&format!("{name}: 60\r\n"));
        let mut head = lanner_protocol::Head::default();
        head.parse(input.as_bytes(), &limits).unwrap();
        assert_eq!(head.framing, Framing::None, "{len}");
        assert_eq!(head.fields[1].name.str(input.as_bytes()), name);
    }
}

#[test]
fn cve_2015_0219_django_an_underscore_is_never_a_hyphen() {
    let head = parsed(with_lines(
        "Transfer_Encoding: chunked\r\nContent_Length: 9\r\nUpgrade_: x\r\n",
    ));
    assert_eq!(head.head.framing, Framing::None);
}

#[test]
fn a_second_request_in_a_first_ones_value_stays_a_value() {
    let head = parsed(with_lines("X: GET /admin HTTP/1.1\r\n"));
    assert_eq!(head.field("x"), Some(&b"GET /admin HTTP/1.1"[..]));
}

#[test]
fn h2c_smuggling_the_offer_is_not_passed_on() {
    let head = parsed(with_lines(
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    ));
    assert_eq!(head.head.upgrade, None);
}
