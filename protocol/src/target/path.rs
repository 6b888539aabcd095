//! The strict path policy: which paths are refused because servers and apps read them differently, and how dot segments are
//! resolved, once, before anybody routes by the path.
//!
//! Escapes other than those of dots stay as they are: `%2F` and `%5C` are data here, and `%252e` is what an app that
//! decodes twice would have to answer for.

use crate::misbehaviour::Misbehaviour;

/// Whether a segment begins with a dot, plain. Without that and without an escape a path is fine as it is: `/app.js` is.
pub(super) fn has_dot_after_slash(path: &[u8]) -> bool {
    path.windows(2).any(|pair| pair == b"/.")
}

/// Judges a path whose characters are known to be RFC 3986's. Gives it with its dot segments resolved, or `None` if it has
/// none.
///
/// # Errors
/// `ForbiddenPath` for an escape that is not `%` and two hexadecimal digits, for `%00`, and for a dot segment with a
/// parameter (`..;`, which Tomcat resolves and others do not).
pub(super) fn normalise(path: &[u8]) -> Result<Option<String>, Misbehaviour> {
    check_escapes(path)?;
    let mut dotted = false;
    for segment in segments(path) {
        dotted |= match leading_dots(segment) {
            (1 | 2, []) => true,
            (1 | 2, rest) if begins_parameter(rest) => return Err(Misbehaviour::ForbiddenPath),
            _ => false,
        };
    }
    Ok(dotted.then(|| resolve(path)))
}

fn check_escapes(path: &[u8]) -> Result<(), Misbehaviour> {
    let mut rest = path;
    while let Some(at) = memchr::memchr(b'%', rest) {
        match rest[at + 1..] {
            [b'0', b'0', ..] => return Err(Misbehaviour::ForbiddenPath),
            [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = &rest[at + 3..]
            }
            _ => return Err(Misbehaviour::ForbiddenPath),
        }
    }
    Ok(())
}

/// What stands between the slashes; the path begins with one unless it is empty.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').skip(1)
}

/// How many dots a segment begins with, plain or escaped, counted up to three, and what follows them.
fn leading_dots(mut segment: &[u8]) -> (usize, &[u8]) {
    let mut dots = 0;
    while dots < 3 {
        segment = match segment {
            [b'.', rest @ ..] => rest,
            [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            _ => break,
        };
        dots += 1;
    }
    (dots, segment)
}

fn begins_parameter(rest: &[u8]) -> bool {
    matches!(rest, [b';', ..] | [b'%', b'3', b'b' | b'B', ..])
}

/// RFC 3986 section 5.2.4. A path that climbs above the root stays at the root.
fn resolve(path: &[u8]) -> String {
    let mut resolved = Vec::with_capacity(path.len());
    let mut ends_in_dots = false;
    for segment in segments(path) {
        let (dots, rest) = leading_dots(segment);
        ends_in_dots = rest.is_empty() && matches!(dots, 1 | 2);
        if !ends_in_dots {
            resolved.push(b'/');
            resolved.extend_from_slice(segment);
        } else if dots == 2 {
            let parent_len = resolved.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
            resolved.truncate(parent_len);
        }
    }
    // `/a/..` is the directory `/`, `/a/b/.` the directory `/a/b/`.
    if ends_in_dots || resolved.is_empty() {
        resolved.push(b'/');
    }
    // The characters were checked to be ASCII; were they not, an empty path would reach nothing.
    String::from_utf8(resolved).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dot_segments_are_resolved_plain_and_escaped() {
        for (path, resolved) in [
            ("/a/b/c/./../../g", "/a/g"),
            ("/./a", "/a"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/b/../", "/a/"),
            ("/..", "/"),
            ("/../../etc/passwd", "/etc/passwd"),
            ("/a/%2e%2e/b", "/b"),
            ("/a/%2E./b", "/b"),
            ("/a/.%2e/b", "/b"),
            ("/%2e/b", "/b"),
            ("/a//../b", "/a/b"),
            ("//a/..", "//"),
            ("/static/../admin", "/admin"),
            ("/a/b%2Fc/../d", "/a/d"),
            ("/a;x=1/../b", "/b"),
        ] {
            assert_eq!(
                normalise(path.as_bytes()),
                Ok(Some(resolved.to_owned())),
                "{path}"
            );
        }
    }

    #[test]
    fn dots_that_are_no_dot_segments_stay() {
        for path in [
            "/a.b",
            "/.well-known/x",
            "/...",
            "/..a",
            "/a..",
            "/.a./b",
            "/%2e%2e%2e",
            "/.%2e.",
            "/a%20b",
            "/%252e%252e/a",
            "",
        ] {
            assert_eq!(normalise(path.as_bytes()), Ok(None), "{path}");
        }
    }

    #[test]
    fn what_others_read_differently_is_forbidden() {
        for path in [
            "/%00",
            "/a%00.html",
            "/..;/a",
            "/a/..;x=1/b",
            "/%2e%2e;/a",
            "/..%3b/a",
            "/..%3B",
            "/.;/a",
            "/%",
            "/%4",
            "/%zz",
            "/%4g",
            "/a/../%",
            "/%%30%30",
            "/%u002e",
        ] {
            assert_eq!(
                normalise(path.as_bytes()),
                Err(Misbehaviour::ForbiddenPath),
                "{path}"
            );
        }
    }

    proptest! {
        #[test]
        fn without_escape_and_dot_after_slash_a_path_is_fine_as_it_is(path in r"(/[.%;a2eE0]{0,4})*") {
            if !path.contains('%') && !has_dot_after_slash(path.as_bytes()) {
                prop_assert_eq!(normalise(path.as_bytes()), Ok(None));
            }
        }

        #[test]
        fn a_resolved_path_is_absolute_has_no_dot_segment_and_resolves_to_itself(
            path in r"(/(\.|%2e|%2E|\.\.|a|b\.c|%2f|;|))*"
        ) {
            if let Ok(resolved) = normalise(path.as_bytes()) {
                let resolved = resolved.unwrap_or(path.clone());
                prop_assert!(resolved.starts_with('/') || path.is_empty());
                prop_assert_eq!(normalise(resolved.as_bytes()), Ok(None));
                prop_assert!(resolved.len() <= path.len().max(1));
            }
        }

        #[test]
        fn resolving_agrees_with_a_stack_of_segments(path in r"(/(\.|\.\.|a|b|))+") {
            let mut stack: Vec<&str> = Vec::new();
            let mut directory = false;
            for segment in path.split('/').skip(1) {
                directory = matches!(segment, "." | "..");
                match segment {
                    "." => {}
                    ".." => drop(stack.pop()),
                    other => stack.push(other),
                }
            }
            let mut expected: String = stack.iter().map(|segment| format!("/{segment}")).collect();
            if directory || expected.is_empty() {
                expected.push('/');
            }
            let resolved = normalise(path.as_bytes()).unwrap().unwrap_or(path.clone());
            prop_assert_eq!(resolved, expected);
        }
    }
}
