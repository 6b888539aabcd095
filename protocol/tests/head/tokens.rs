//! Another tokeniser as oracle: what `Head` takes apart, `httparse` takes apart in the same places.

use httparse::{EMPTY_HEADER, Request, Status};
use lanner_protocol::head::Version;
use proptest::prelude::*;

use crate::driver::{Outcome, Parsed, feed, limits};

/// Checks a head that was accepted against `httparse`'s opinion of it.
fn assert_same_tokens(parsed: &Parsed) {
    let Parsed { head, bytes, .. } = parsed;
    let mut headers = [EMPTY_HEADER; 100];
    let mut request = Request::new(&mut headers);
    let shown = bytes.escape_ascii();
    assert_eq!(
        request.parse(bytes),
        Ok(Status::Complete(bytes.len())),
        "{shown}"
    );
    assert_eq!(request.method, Some(head.method_span.str(bytes)), "{shown}");
    assert_eq!(request.path, Some(head.target.whole.str(bytes)), "{shown}");
    let version = match head.version {
        Version::Http10 => 0,
        Version::Http11 => 1,
        Version::Http2 => panic!("{shown}"),
    };
    assert_eq!(request.version, Some(version), "{shown}");
    let theirs = request
        .headers
        .iter()
        .map(|header| (header.name, header.value));
    assert!(theirs.eq(head.iter(bytes)), "{shown}");
}

/// One field line, sound or nearly so: names and values of every length around the sizes of the words and blocks that the
/// searches go by, white space wherever there may be some.
fn field_line() -> impl Strategy<Value = Vec<u8>> {
    (
        "[!#-'*+.^_`|~0-9A-Za-z-]{1,20}",
        "[ \t]{0,3}",
        prop::collection::vec(
            prop_oneof![30 => 0x20..0x7fu8, 3 => 0x80..=0xffu8, 1 => Just(b'\t')],
            0..70,
        ),
        "[ \t]{0,3}",
    )
        .prop_map(|(name, before, value, after)| {
            [
                name.as_bytes(),
                b":",
                before.as_bytes(),
                &value,
                after.as_bytes(),
                b"\r\n",
            ]
            .concat()
        })
        .prop_filter("lines that the server itself reads", |line| {
            let known: [&[u8]; 6] = [
                b"host:",
                b"expect:",
                b"upgrade:",
                b"connection:",
                b"content-length:",
                b"transfer-encoding:",
            ];
            !known
                .iter()
                .any(|name| line.to_ascii_lowercase().starts_with(name))
        })
}

fn sound_head() -> impl Strategy<Value = Vec<u8>> {
    (
        "[A-Z]{1,12}",
        "/[a-z0-9/]{0,40}(\\?[a-z=&]{0,40})?",
        0..=1u8,
        prop::collection::vec(field_line(), 0..8),
    )
        .prop_filter("refused for their own reasons", |(method, ..)| {
            method != "CONNECT"
        })
        .prop_map(|(method, target, version, lines)| {
            let mut head =
                format!("{method} {target} HTTP/1.{version}\r\nHost: a\r\n").into_bytes();
            head.extend(lines.concat());
            head.extend(b"\r\n");
            head
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_sound_head_has_the_tokens_that_httparse_sees(head in sound_head()) {
        match feed(&head, [head.len()], &limits()) {
            Outcome::Parsed(parsed) => {
                assert_eq!(parsed.end, head.len());
                assert_same_tokens(&parsed);
            }
            other => panic!("{other:?}: {}", head.escape_ascii()),
        }
    }

    #[test]
    fn what_httparse_refuses_is_refused_after_any_change_of_one_byte(
        mut head in sound_head(),
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), prop::sample::select(b"\0\t\n\r :\x1f\x7f\x80".to_vec())],
    ) {
        let at = at.index(head.len());
        head[at] = byte;
        if let Outcome::Parsed(parsed) = feed(&head, [head.len()], &limits()) {
            assert_same_tokens(&parsed);
        }
    }
}
