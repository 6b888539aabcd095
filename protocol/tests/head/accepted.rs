//! What must be understood, and how.

use lanner_limits::UnderscoreHeaders;
use lanner_protocol::Method;
use lanner_protocol::framing::Framing;
use lanner_protocol::head::Version;
use lanner_protocol::target::TargetForm;

use crate::driver::{limits, parsed, parsed_under, with_lines};

#[test]
fn a_browsers_request_is_taken_apart() {
    let head = parsed(
        "GET /search?q=falcon HTTP/1.1\r\nHost: example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
         Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nAccept-Language: de,en-US;q=0.7\r\n\
         Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nCookie: a=b; c=d\r\n\r\n",
    );
    assert_eq!(head.head.method, Method::Get);
    assert_eq!(head.head.method_span.str(&head.bytes), "GET");
    assert_eq!(head.head.version, Version::Http11);
    assert_eq!(head.head.target.form, TargetForm::Origin);
    assert_eq!(head.path(), "/search");
    assert_eq!(head.head.target.query_text(&head.bytes), Some("q=falcon"));
    assert_eq!(head.host(), "example.com");
    assert_eq!(head.head.framing, Framing::None);
    assert!(head.head.keep_alive && !head.head.expect_continue && head.head.upgrade.is_none());
    assert_eq!(head.head.fields.len(), 7);
    assert_eq!(head.field("accept-language"), Some(&b"de,en-US;q=0.7"[..]));
    assert_eq!(head.field("cookie"), Some(&b"a=b; c=d"[..]));
    assert_eq!(head.field("accept-languag"), None);
    assert_eq!(head.field(""), None);
}

#[test]
fn fields_keep_their_order_their_case_and_their_bytes() {
    let head = parsed(b"GET / HTTP/1.1\r\nHOST:a\r\nX-One: 1\r\nx-one:\t 2 \t\r\nEmpty:\r\nBlank: \t \r\nHigh: \xff\x80\r\n\r\n");
    let fields: Vec<_> = head.head.iter(&head.bytes).collect();
    assert_eq!(
        fields,
        [
            ("HOST", &b"a"[..]),
            ("X-One", b"1"),
            ("x-one", b"2"),
            ("Empty", b""),
            ("Blank", b""),
            ("High", b"\xff\x80"),
        ]
    );
    assert_eq!(head.field("x-one"), Some(&b"1"[..]), "the first of several");
    assert_eq!(head.field("empty"), Some(&b""[..]));
}

#[test]
fn any_token_is_a_method() {
    for (token, method) in [
        ("DELETE", Method::Delete),
        ("PATCH", Method::Patch),
        ("PRIX", Method::Other),
        ("P", Method::Other),
    ] {
        let head = parsed(format!("{token} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(head.head.method, method);
        assert_eq!(head.head.method_span.str(&head.bytes), token);
    }
    let odd = parsed("!#$%&'*+-.^_`|~09Az / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(odd.head.method, Method::Other);
    assert_eq!(odd.head.method_span.str(&odd.bytes), "!#$%&'*+-.^_`|~09Az");
}

#[test]
fn pri_that_diverges_from_the_preface_is_a_method_like_any_other() {
    for rest in [
        "I / HTTP/1.1",
        "I * HTTP/1.1",
        "OPFIND / HTTP/1.1",
        "INT / HTTP/1.1",
    ] {
        let input = format!("PR{rest}\r\nHost: a\r\n\r\n");
        if rest.starts_with("I *") {
            continue; // The asterisk is for OPTIONS only; `refused` has it.
        }
        assert_eq!(parsed(input).head.method, Method::Other, "{rest}");
    }
}

#[test]
fn up_to_two_empty_lines_before_the_request_line_are_skipped() {
    for lead in ["\r\n", "\r\n\r\n"] {
        let head = parsed(format!("{lead}GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(head.end, lead.len() + head.bytes.len());
    }
}

#[test]
fn bytes_behind_the_head_are_left_alone() {
    let head = parsed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nh\0\n\r\nGET");
    assert_eq!(head.head.framing, Framing::Length(5));
    assert_eq!(head.end, head.bytes.len());
}

#[test]
fn keep_alive_follows_version_and_connection() {
    for (version, connection, keep) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: CLOSE\r\n", false),
        ("1.1", "Connection: keep-alive, Close\r\n", false),
        ("1.1", "Connection: x,, close ,\r\n", false),
        (
            "1.1",
            "Connection: keep-alive\r\nConnection: close\r\n",
            false,
        ),
        ("1.1", "Connection: closed\r\n", true),
        ("1.1", "Connection: x-close\r\n", true),
        ("1.1", "Connection: close x\r\n", true),
        ("1.1", "Connection:\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: foo, keep-alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Proxy-Connection: keep-alive\r\n", false),
    ] {
        let head = parsed(format!(
            "GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n"
        ));
        assert_eq!(head.head.keep_alive, keep, "{version} {connection:?}");
    }
}

#[test]
fn expect_counts_only_where_a_1_1_client_announces_a_body() {
    for (version, lines, expects) in [
        ("1.1", "Expect: 100-continue\r\nContent-Length: 1\r\n", true),
        (
            "1.1",
            "Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n",
            true,
        ),
        (
            "1.1",
            "Expect: 100-continue, 100-continue\r\nContent-Length: 1\r\n",
            true,
        ),
        ("1.1", "Expect: 100-continue\r\n", false),
        (
            "1.1",
            "Expect: 100-continue\r\nContent-Length: 0\r\n",
            false,
        ),
        ("1.1", "Expect:\r\nContent-Length: 1\r\n", false),
        (
            "1.0",
            "Expect: 100-continue\r\nContent-Length: 1\r\n",
            false,
        ),
        (
            "1.0",
            "Expect: something-else\r\nContent-Length: 1\r\n",
            false,
        ),
    ] {
        let head = parsed(format!("POST / HTTP/{version}\r\nHost: a\r\n{lines}\r\n"));
        assert_eq!(head.head.expect_continue, expects, "{version} {lines:?}");
    }
}

#[test]
fn upgrade_counts_only_with_the_connection_option_and_another_offer_than_h2c() {
    for (version, lines, offered) in [
        (
            "1.1",
            "Connection: Upgrade\r\nUpgrade: websocket\r\n",
            Some("websocket"),
        ),
        (
            "1.1",
            "Connection: keep-alive, upgrade\r\nUpgrade: h2c, websocket\r\n",
            Some("h2c, websocket"),
        ),
        (
            "1.1",
            "Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
            Some("websocket"),
        ),
        ("1.1", "Upgrade: websocket\r\n", None),
        ("1.1", "Connection: upgrade\r\n", None),
        ("1.1", "Connection: upgrade\r\nUpgrade: h2c\r\n", None),
        (
            "1.1",
            "Connection: upgrade, HTTP2-Settings\r\nUpgrade: H2C\r\n",
            None,
        ),
        ("1.1", "Connection: upgrade\r\nUpgrade:\r\n", None),
        ("1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n", None),
    ] {
        let head = parsed(format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n"));
        assert_eq!(
            head.head.upgrade.map(|span| span.str(&head.bytes)),
            offered,
            "{version} {lines:?}"
        );
    }
}

#[test]
fn the_host_comes_from_the_absolute_form_or_from_host() {
    for (input, host) in [
        ("GET / HTTP/1.1\r\nHost: A.com:81\r\n\r\n", "A.com:81"),
        ("GET http://a.com/ HTTP/1.1\r\nHost: A.COM\r\n\r\n", "a.com"),
        (
            "GET http://a.com:80/ HTTP/1.1\r\nHost: a.com\r\n\r\n",
            "a.com:80",
        ),
        ("GET http://a.com/ HTTP/1.0\r\n\r\n", "a.com"),
        ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", "a"),
        ("GET / HTTP/1.0\r\n\r\n", ""),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "a"),
        ("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n", ""),
    ] {
        assert_eq!(parsed(input).host(), host, "{input}");
    }
}

#[test]
fn an_https_target_is_taken_without_tls_where_that_is_configured() {
    let input = "GET https://a.com/ HTTP/1.1\r\nHost: a.com:443\r\n\r\n";
    let mut trusting = limits();
    trusting.allow_scheme_mismatch = true;
    assert_eq!(parsed_under(input, &trusting).host(), "a.com");
}

#[test]
fn dot_segments_are_gone_before_anyone_routes() {
    let head = parsed("GET /static/%2e%2e/admin?x=/../ HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(head.path(), "/admin");
    assert_eq!(
        head.head.target.path.str(&head.bytes),
        "/static/%2e%2e/admin"
    );
    assert_eq!(head.head.target.query_text(&head.bytes), Some("x=/../"));
}

#[test]
fn one_head_serves_request_after_request() {
    let limits = limits();
    let mut head = lanner_protocol::Head::default();
    let first = b"POST /a/../b?c HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    head.parse(first, &limits).unwrap();
    assert!(head.upgrade.is_some() && head.expect_continue && !head.keep_alive);
    assert_eq!(head.target.normalised.as_deref(), Some("/b"));
    let room = head.fields.capacity();
    let second = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    head.parse(second, &limits).unwrap();
    let mut fresh = lanner_protocol::Head::default();
    fresh.parse(second, &limits).unwrap();
    assert_eq!(head, fresh, "nothing of the first request is left");
    assert_eq!(head.fields.capacity(), room, "the memory is kept");
}

#[test]
fn underscores_are_passed_on_or_dropped_as_configured() {
    let input = with_lines("X_Real: 1\r\nOther: 2\r\nTransfer_Encoding: chunked\r\n");
    let allowing = parsed(&input);
    assert_eq!(allowing.field("x_real"), Some(&b"1"[..]));
    assert_eq!(
        allowing.head.framing,
        Framing::None,
        "an underscore is no hyphen"
    );
    let mut dropping = limits();
    dropping.underscore_headers = UnderscoreHeaders::Drop;
    let head = parsed_under(&input, &dropping);
    assert_eq!(
        head.head
            .iter(&head.bytes)
            .map(|(name, _)| name)
            .collect::<Vec<_>>(),
        ["Host", "Other"]
    );
}

#[test]
fn more_fields_than_usual_are_still_fields() {
    let mut limits = limits();
    limits.max_header_count = 1000;
    for count in [63, 64, 65, 100, 999] {
        let lines: String = (0..count - 1)
            .map(|index| format!("X{index}: {index}\r\n"))
            .collect();
        let input = with_lines(&lines);
        let mut head = lanner_protocol::Head::default();
        head.parse(input.as_bytes(), &limits).unwrap();
        assert_eq!(head.fields.len(), count);
        let last = format!("x{}", count - 2);
        assert_eq!(
            head.field(input.as_bytes(), &last),
            Some(&last.as_bytes()[1..])
        );
    }
}

#[test]
fn relaxed_reading_takes_bare_line_feeds_and_joins_folds() {
    let mut relaxed = limits();
    relaxed.h1_strict = false;
    let head = parsed_under("\nGET / HTTP/1.1\nHost: a\r\nX: 1\n\n", &relaxed);
    assert_eq!((head.host(), head.field("x")), ("a", Some(&b"1"[..])));
    let head = parsed_under(
        "GET / HTTP/1.1\r\nX: 1\r\n 2\r\n\t 3\n 4\r\nHost: a\r\n\r\n",
        &relaxed,
    );
    assert_eq!(head.field("x"), Some(&b"1   2  \t 3  4"[..]));
    assert_eq!(head.head.fields.len(), 2);
    let head = parsed_under("GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", &relaxed);
    assert_eq!(head.host(), "a");
    let head = parsed_under(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
        &relaxed,
    );
    assert_eq!(head.head.framing, Framing::Chunked, "a fold hides nothing");
}
