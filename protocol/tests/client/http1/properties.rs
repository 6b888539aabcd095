//! Anything at all, in any pieces; and another crate's opinion of what a head says.

use super::driver::{Driver, Seen, joined};
use lanner_protocol::client::fuzz::fuzz_http1;
use proptest::prelude::*;

/// Pieces of responses, sound and broken.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\n",
        "X: y\r\n",
        "X : y\r\n",
        "\r\n",
        "\n",
        "\r",
        "HT",
        "3\r\nabc\r\n",
        "3;x=y\r\nab",
        "0\r\n\r\n",
        "0\r\nX: y\r\n\r\n",
        "0\r\nContent-Length: 1\r\n\r\n",
        "abc",
    ]);
    prop_oneof![
        8 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..20),
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(fragment(), 0..8).prop_map(|pieces| pieces.concat())
}

/// Everything that the bytes mean in these pieces.
fn meaning(methods: &[&str], bytes: &[u8], cuts: &[usize]) -> Vec<Seen> {
    let mut driver = Driver::with(|limits| {
        limits.max_header_bytes = 200;
        limits.max_request_line = 40;
        limits.max_header_count = 6;
    });
    for method in methods {
        driver.ask(method).ok();
    }
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let (mut seen, mut from) = (Vec::new(), 0);
    for cut in cuts.into_iter().chain([bytes.len()]) {
        seen.extend(driver.receive(&bytes[from..cut]));
        from = cut;
    }
    seen.extend(driver.eof());
    joined(seen)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn however_it_is_split_it_means_the_same(
        methods in prop::collection::vec(prop::sample::select(vec!["GET", "HEAD", "CONNECT"]), 0..5),
        bytes in stream(), cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let whole = meaning(&methods, &bytes, &[]);
        prop_assert_eq!(&meaning(&methods, &bytes, &cuts), &whole);
        let all: Vec<usize> = (0..=bytes.len()).collect();
        prop_assert_eq!(&meaning(&methods, &bytes, &all), &whole);
        prop_assert!(matches!(whole.last(), Some(Seen::Closed | Seen::Failed(_))));
    }

    #[test]
    fn whatever_comes_the_bounds_hold(front in any::<[u8; 2]>(), bytes in stream()) {
        fuzz_http1(&[&front[..], &bytes].concat());
    }

    #[test]
    fn random_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_http1(&bytes);
        fuzz_http1(&[&[4, 3][..], b"HTTP/1.1 200 ", &bytes[..]].concat());
        fuzz_http1(&[&[4, 1][..], b"HTTP/1.1 200 OK\r\n", &bytes[..]].concat());
    }

    /// Whatever is taken for a response's head, `httparse` takes apart in the same places.
    #[test]
    fn another_crate_finds_the_same_in_every_head_that_is_taken(
        code in 100..600u16, reason in "[ -~\t]{0,20}",
        lines in prop::collection::vec(("[!#-'*+.^_`|~0-9A-Za-z-]{1,12}", "[ \t]{0,2}", "[!-~\u{80}-\u{ff}]([ -~\t]{0,12}[!-~])?", "[ \t]{0,2}"), 0..8),
        broken in prop::option::weighted(0.3, (any::<usize>(), any::<u8>())),
    ) {
        let mut bytes = format!("HTTP/1.1 {code} {reason}\r\n").into_bytes();
        for (name, before, value, after) in &lines {
            bytes.extend_from_slice(format!("{name}:{before}{value}{after}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        if let Some((at, byte)) = broken {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let mut driver = Driver::asking(&["HEAD", "GET"]);
        let seen = driver.receive(&bytes);
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut theirs = httparse::Response::new(&mut headers);
        let parsed = theirs.parse(&bytes);
        match seen.first() {
            Some(Seen::Response { status, reason, fields, .. }) => {
                // A broken byte may have ended the head earlier: then what stands behind it was judged too, and is not theirs.
                prop_assert!(matches!(parsed, Ok(httparse::Status::Complete(_))), "{parsed:?}");
                prop_assert_eq!(Some(*status), theirs.code);
                // The broken byte may be the version's last.
                prop_assert_eq!(theirs.version, Some(u8::from(bytes[7] == b'1')));
                // It gives no phrase that holds obs-text.
                if reason.is_ascii() {
                    prop_assert_eq!(Some(reason.as_str()), theirs.reason);
                }
                let same = theirs.headers.iter().map(|header| {
                    (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned())
                });
                prop_assert!(same.eq(fields.iter().cloned()));
            }
            // What we refuse of these is broken, or says what no such response may say; what they refuse, we do.
            Some(Seen::Informational(status)) => prop_assert_eq!(Some(*status), theirs.code),
            _ => prop_assert!(broken.is_some() || code == 101 || lines.iter().any(|(name, ..)| {
                ["content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str())
            }), "{seen:?}"),
        }
    }
}
