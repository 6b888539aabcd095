//! A place inside a message head: where a name, a value or a path stands, without borrowing the buffer.
//!
//! A `Span` survives lending the buffer to the kernel or moving it to another owner. What it means (a name, a value)
//! is told by whoever holds it; that it stays within the head it was made from is the holder's care.

/// Offset and length relative to the first byte of the head (or trailer section) it was made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// First byte, counted from the start of the whole.
    pub offset: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Span {
    /// The place of `part` inside `whole`. `part` must be a slice of `whole`: anything else is a programming error and
    /// yields a place whose `slice` is empty or unrelated, never an access outside `whole`.
    #[inline]
    pub fn of(whole: &[u8], part: &[u8]) -> Span {
        let offset = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        debug_assert!(offset <= whole.len() && part.len() <= whole.len() - offset);
        // Heads are bounded far below 4 GiB by the limits on request line and fields.
        Span {
            offset: offset as u32,
            len: part.len() as u32,
        }
    }

    /// The place from `start` up to, not including, `end`.
    #[inline]
    pub fn between(start: usize, end: usize) -> Span {
        debug_assert!(start <= end);
        Span {
            offset: start as u32,
            len: end.saturating_sub(start) as u32,
        }
    }

    /// One past the last byte.
    #[inline]
    pub fn end(self) -> usize {
        self.offset as usize + self.len as usize
    }

    /// Whether nothing is there.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The bytes at this place; empty if `whole` is too short to be what the span was made from.
    #[inline]
    pub fn slice(self, whole: &[u8]) -> &[u8] {
        whole
            .get(self.offset as usize..self.end())
            .unwrap_or_default()
    }

    /// The text at this place. Meant for what the parser has proven to be ASCII (method, target, host, field names);
    /// bytes that are not UTF-8, as a field value may hold, give an empty text: take `slice` for those.
    #[inline]
    pub fn str(self, whole: &[u8]) -> &str {
        str::from_utf8(self.slice(whole)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_finds_its_part_again() {
        let whole = b"GET /path HTTP/1.1";
        let span = Span::of(whole, &whole[4..9]);
        assert_eq!(span, Span { offset: 4, len: 5 });
        assert_eq!(span.slice(whole), b"/path");
        assert_eq!(span.str(whole), "/path");
        assert_eq!(span.end(), 9);
        assert_eq!(Span::between(4, 9), span);
    }

    #[test]
    fn an_empty_part_at_either_end_is_a_place_too() {
        let whole = b"abc";
        assert_eq!(Span::of(whole, &whole[3..]), Span { offset: 3, len: 0 });
        assert!(Span::of(whole, &whole[..0]).is_empty());
        assert_eq!(Span::of(whole, &whole[3..]).slice(whole), b"");
    }

    #[test]
    fn a_span_outside_the_buffer_reads_nothing_rather_than_panicking() {
        let span = Span { offset: 2, len: 5 };
        assert_eq!(span.slice(b"abc"), b"");
        assert_eq!(
            Span {
                offset: u32::MAX,
                len: u32::MAX
            }
            .slice(b"abc"),
            b""
        );
    }

    #[test]
    fn bytes_that_are_not_utf8_are_no_text() {
        let whole = b"a\xffb";
        assert_eq!(Span::between(0, 3).str(whole), "");
        assert_eq!(Span::between(0, 3).slice(whole), whole);
    }
}
