//! The built-in apps, byte by byte: the welcome app's paths and the mirror's.

use crate::program::{Answer, Serving, installed};
use std::io::{Read as _, Write as _};
use std::process::Stdio;

#[test]
fn the_page_says_what_runs() {
    let server = Serving::start(&[], &[("LANNER_WORKERS", "1"), ("LANNER_DRIVER", "epoll")]);
    let page = server.request("GET", "/");
    assert_eq!(
        (page.status(), page.field("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    for part in [
        env!("CARGO_PKG_VERSION"),
        "epoll",
        "<dd>1</dd>",
        &format!("http://{}", server.address),
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
}

#[test]
fn hello_is_plain_text_and_head_says_the_same_without_a_body() {
    let server = Serving::start(&[], &[]);
    let get = server.request("GET", "/hello");
    assert_eq!((get.status(), get.body.as_str()), (200, "Hello, World!"));
    assert_eq!(get.field("content-type"), Some("text/plain; charset=utf-8"));
    let head = server.request("HEAD", "/hello");
    assert_eq!(
        (
            head.status(),
            head.body.as_str(),
            head.field("content-length")
        ),
        (200, "", Some("13"))
    );
}

/// Heap allocations of a whole run in which so many requests came on one connection, as valgrind counts them.
fn allocations(requests: usize) -> Option<u64> {
    let mut valgrind = installed("valgrind")?;
    let lanner = env!("CARGO_BIN_EXE_lanner");
    valgrind.args([
        "--leak-check=no",
        lanner,
        "--set",
        "workers=1",
        "--set",
        "driver=epoll",
    ]);
    valgrind.env("LANNER_LISTEN", "http://127.0.0.1:0");
    let server = Serving::launch(valgrind.stdout(Stdio::null()));
    let mut connection = server.connect();
    for number in 0..requests {
        let request =
            format!("GET /hello?{number} HTTP/1.1\r\nHost: x\r\nUser-Agent: test\r\n\r\n");
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"Hello, World!") {
            let mut buffer = [0; 512];
            let count = connection.read(&mut buffer).unwrap();
            assert!(count > 0, "{answer:?}");
            answer.extend_from_slice(&buffer[..count]);
        }
    }
    drop(connection);
    let (_, said) = server.process.stop();
    let usage = said
        .lines()
        .find_map(|line| line.split_once("total heap usage: "))
        .unwrap_or_else(|| panic!("{said}"))
        .1;
    usage
        .split(' ')
        .next()
        .unwrap()
        .replace(',', "")
        .parse()
        .ok()
}

#[test]
fn hello_allocates_nothing_once_the_connection_is_warm() {
    let (Some(few), Some(many)) = (allocations(50), allocations(1_050)) else {
        return;
    };
    // The second run may take a second longer, and a timer or a log line with it; a thousand requests must not show.
    assert!(
        many < few + 20,
        "{few} allocations with 50 requests, {many} with 1050"
    );
}

#[test]
fn unknown_paths_are_404_and_methods_that_do_nothing_405() {
    let server = Serving::start(&[], &[]);
    for path in ["/nothing", "/hello/", "/bytes", "/echo/x"] {
        assert_eq!(server.request("GET", path).status(), 404, "{path}");
    }
    for (method, path) in [
        ("POST", "/"),
        ("DELETE", "/hello"),
        ("BREW", "/hello"),
        ("PUT", "/bytes/5"),
    ] {
        let answer = server.request(method, path);
        assert_eq!(
            (answer.status(), answer.field("allow")),
            (405, Some("GET, HEAD")),
            "{method} {path}"
        );
    }
    assert_eq!(server.request("OPTIONS", "*").status(), 204);
}

#[test]
fn status_answers_with_any_final_status() {
    let server = Serving::start(&[], &[]);
    for code in [200, 201, 204, 205, 299, 304, 404, 418, 503, 599] {
        assert_eq!(
            server.request("GET", &format!("/status/{code}")).status(),
            code
        );
    }
    for wrong in ["100", "101", "199", "600", "99999", "", "ok"] {
        let answer = server.request("GET", &format!("/status/{wrong}"));
        assert_eq!(answer.status(), 400, "{wrong}");
        assert!(answer.body.contains("from 200 to 599"), "{}", answer.body);
    }
}

#[test]
fn bytes_sends_exactly_so_many_and_head_announces_them() {
    let server = Serving::start(&[], &[]);
    for count in [0, 1, 65_535, 1_000_003] {
        let answer = server.request("GET", &format!("/bytes/{count}"));
        assert_eq!(answer.body.len(), count);
        assert_eq!(
            answer.field("content-length"),
            Some(count.to_string().as_str())
        );
    }
    let most = server.request("HEAD", "/bytes/1099511627776");
    assert_eq!(
        (most.status(), most.field("content-length")),
        (200, Some("1099511627776"))
    );
    for wrong in ["1099511627777", "99999999999999999999999", "-1", "1k", ""] {
        assert_eq!(
            server.request("GET", &format!("/bytes/{wrong}")).status(),
            400,
            "{wrong}"
        );
    }
}

#[test]
fn a_long_answer_to_a_client_that_reads_late_stays_out_of_memory() {
    let server = Serving::start(&[], &[]);
    let resident = || {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", server.process.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap()
            .to_owned();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    server.request("GET", "/bytes/1000000");
    let before = resident();
    let mut connection = server.connect();
    connection
        .write_all(b"GET /bytes/300000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut sum = 0;
    loop {
        match connection.read(&mut buffer).unwrap() {
            0 => break,
            count => sum += count,
        }
    }
    assert!(sum > 300_000_000);
    let grown = resident() - before;
    assert!(grown < 4_096, "{grown} KiB more for one response of 300 MB");
}

#[test]
fn echo_answers_while_the_body_is_still_coming() {
    let server = Serving::start(&[], &[]);
    let mut connection = server.connect();
    let head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/x-tale\r\nContent-Length: 8\r\nConnection: close\r\n\r\n";
    connection
        .write_all(format!("{head}once").as_bytes())
        .unwrap();
    let mut text = String::new();
    let mut buffer = [0; 1024];
    while !text.ends_with("once") {
        let count = connection.read(&mut buffer).unwrap();
        assert!(count > 0, "{text}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    connection.write_all(b"more").unwrap();
    connection.read_to_string(&mut text).unwrap();
    let answer = Answer::new(text);
    assert_eq!((answer.status(), answer.body.as_str()), (200, "oncemore"));
    assert_eq!(answer.field("content-type"), Some("text/x-tale"));
    assert_eq!(answer.field("content-length"), Some("8"));
}

#[test]
fn echo_of_a_chunked_body_is_chunked_and_of_none_is_empty() {
    let server = Serving::start(&[], &[]);
    let chunked = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let answer = Answer::new(server.exchange(chunked));
    assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    assert_eq!(answer.body, "3\r\nabc\r\n0\r\n\r\n");
    let empty = server.request("POST", "/echo");
    assert_eq!(
        (
            empty.status(),
            empty.body.as_str(),
            empty.field("content-length")
        ),
        (200, "", Some("0"))
    );
}

#[test]
fn echo_lets_a_client_that_waits_for_100_begin() {
    let server = Serving::start(&[], &[]);
    let mut connection = server.connect();
    let head = "PUT /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n";
    connection.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; 25];
    connection.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    connection.write_all(b"yes").unwrap();
    let mut text = String::new();
    connection.read_to_string(&mut text).unwrap();
    assert_eq!(Answer::new(text).body, "yes");
}

#[test]
fn headers_shows_the_request_as_received() {
    let server = Serving::start(&[], &[]);
    let answer = Answer::new(server.exchange(
        "GET /headers?q=1 HTTP/1.1\r\nhost: X:1\r\nX-One:  two words \r\nx-one: again\r\nConnection: close\r\n\r\n",
    ));
    let expected =
        "GET /headers?q=1\nhost: X:1\nX-One: two words\nx-one: again\nConnection: close\n";
    assert_eq!(answer.body, expected);
    assert_eq!(
        answer.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
}

#[test]
fn the_mirror_answers_every_method_on_every_path_with_what_it_received() {
    let server = Serving::start(&["mirror"], &[]);
    for (method, target) in [
        ("GET", "/"),
        ("DELETE", "/a/b?c"),
        ("BREW", "/hello"),
        ("OPTIONS", "*"),
        ("GET", "/bytes/none"),
        ("TRACE", "/x"),
    ] {
        let answer = server.request(method, target);
        assert_eq!(answer.status(), 200, "{method} {target}");
        assert_eq!(
            answer.body,
            format!("{method} {target}\nHost: x\nConnection: close\n")
        );
    }
    assert_eq!(server.request("HEAD", "/").status(), 200);
    assert_eq!(server.request("GET", "/status/503").status(), 503);
    assert_eq!(server.request("GET", "/bytes/7").body.len(), 7);
}

#[test]
fn the_mirror_reads_bodies_so_that_the_connection_lives_on() {
    let server = Serving::start(&["mirror"], &[]);
    let body = "x".repeat(600_000);
    let first = format!(
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let text = server.exchange(&format!("{first}POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nback"));
    assert!(
        text.contains("\r\n\r\nPOST /a\nHost: x\nContent-Length: 600000\n"),
        "{text}"
    );
    assert!(text.ends_with("\r\n\r\nback"), "{text}");
}
