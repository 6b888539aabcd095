//! Heads of HTTP/1.1: found by the scan, however they are cut, and then parsed.

use crate::script::limits;
use lanner_limits::Limits;
use lanner_protocol::scan::{HeadEnd, HeadScan};
use lanner_protocol::{Head, Refusal};

/// The first byte says where the rest is cut.
///
/// # Panics
/// If the verdict depends on the cut, or a head that is let through holds what none may hold.
pub fn run(input: &[u8]) {
    let Some((cut, input)) = input.split_first() else {
        return;
    };
    let limits = limits();
    let cut = usize::from(*cut).min(input.len());
    let whole = scan(input, [input.len()], &limits);
    assert_eq!(
        scan(input, [cut, input.len()], &limits),
        whole,
        "cut at {cut}"
    );
    assert_eq!(scan(input, 1..=input.len(), &limits), whole, "byte by byte");
    // The way that most heads go, without a scan: it lets through what the scan lets through.
    let mut head = Head::default();
    if let Some(front) = HeadScan::default().first_look(input, &limits)
        && let Ok(Some(len)) = head.parse_front(front, &limits)
    {
        let expected = HeadEnd {
            start: 0,
            end: len,
            folded: false,
        };
        assert_eq!(whole, Ok(Some(expected)));
    }
    let Ok(Some(end)) = whole else {
        return;
    };
    let bytes = &input[end.start..end.end];
    assert_eq!(head.parse(bytes, &limits), Ok(()));
    assert!(!head.method_span.slice(bytes).is_empty());
    assert!(head.fields.len() <= limits.max_header_count);
    for (name, value) in head.iter(bytes) {
        let is_name = |byte: u8| byte.is_ascii_graphic() && byte != b':';
        assert!(!name.is_empty() && name.bytes().all(is_name));
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
}

/// Gives the input up to each of these ends, and parses the head that is found.
fn scan(
    input: &[u8],
    ends: impl IntoIterator<Item = usize>,
    limits: &Limits,
) -> Result<Option<HeadEnd>, Refusal> {
    let mut scan = HeadScan::default();
    for end in ends {
        if let Some(found) = scan.advance(&input[..end], limits)? {
            Head::default().parse(&input[found.start..found.end], limits)?;
            return Ok(Some(found));
        }
    }
    Ok(None)
}
