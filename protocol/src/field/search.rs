//! Finds the first byte of a kind: the one that ends a line, a value, a target, a name.
//!
//! What is searched is a few dozen bytes long: calling and setting up a search made for longer texts, such as `memchr`,
//! would cost more than the search itself.

use wide::u8x16;

/// Bytes looked at together.
const LANES: usize = 16;
const WORD: usize = size_of::<u64>();
const LOW_BITS: u64 = u64::from_ne_bytes([0x01; WORD]);
const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; WORD]);

const DELETE: u8 = 0x7f;

/// The place of the first control byte, HTAB among them.
#[inline]
pub(crate) fn first_control(text: &[u8]) -> Option<usize> {
    first_less_or_delete::<b' '>(text)
}

/// The place of the first space or control byte.
#[inline]
pub(crate) fn first_space_or_control(text: &[u8]) -> Option<usize> {
    first_less_or_delete::<b'!'>(text)
}

/// The place of the first byte that is less than `LEAST`, or DEL: 11 instructions for 16 bytes, 10 for 8 of the rest.
#[inline]
fn first_less_or_delete<const LEAST: u8>(text: &[u8]) -> Option<usize> {
    let mut rest = text;
    while let Some((bytes, behind)) = rest.split_first_chunk() {
        let bytes = u8x16::new(*bytes);
        let found = bytes.simd_le(u8x16::splat(LEAST - 1)) | bytes.simd_eq(u8x16::splat(DELETE));
        let marks = found.to_bitmask();
        if marks != 0 {
            return Some(text.len() - rest.len() + marks.trailing_zeros() as usize);
        }
        rest = behind;
    }
    let at = first_less_or_delete_by_words::<LEAST>(rest)?;
    Some(text.len() - rest.len() + at)
}

// In line it would take so many registers from who tokenises a head that the heads of browsers cost 170 instructions more.
#[inline(never)]
fn first_less_or_delete_by_words<const LEAST: u8>(text: &[u8]) -> Option<usize> {
    let (words, rest) = text.as_chunks::<WORD>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let marks = (less(word, LEAST) | less(word ^ repeat(DELETE), 1)) & !word & HIGH_BITS;
        if marks != 0 {
            return Some(index * WORD + marks.trailing_zeros() as usize / 8);
        }
    }
    let at = rest
        .iter()
        .position(|&byte| byte < LEAST || byte == DELETE)?;
    Some(words.len() * WORD + at)
}

const fn repeat(byte: u8) -> u64 {
    LOW_BITS * byte as u64
}

/// Sets the high bit of every byte that is less than `least`, among bytes without a high bit. A borrow may set it in bytes
/// above such a one too, never in one below.
#[inline]
fn less(word: u64, least: u8) -> u64 {
    word.wrapping_sub(repeat(least))
}

/// How many bytes at the front of `text` are letters, digits and hyphens, of which nearly every field name consists. This and
/// those below may give less where fewer than 16 bytes are left, down to nothing.
#[inline]
pub(crate) fn leading_plain(text: &[u8]) -> usize {
    leading_lanes(text, plain)
}

/// How many bytes at the front of `text` are plain, slashes or underscores: of a path, what needs no closer look.
#[inline]
pub(crate) fn leading_of_path(text: &[u8]) -> usize {
    leading_lanes(text, |bytes| {
        letters(bytes)
            | within::<b'/', b'9'>(bytes)
            | bytes.simd_eq(u8x16::splat(b'-'))
            | bytes.simd_eq(u8x16::splat(b'_'))
    })
}

/// How many bytes at the front of `text` are those that most queries consist of, and that every query may have.
#[inline]
pub(crate) fn leading_of_query(text: &[u8]) -> usize {
    leading_lanes(text, |bytes| {
        letters(bytes)
            | within::<b'$', b';'>(bytes)
            | bytes.simd_eq(u8x16::splat(b'='))
            | bytes.simd_eq(u8x16::splat(b'_'))
    })
}

/// Bytes of a host and its port by kind: a bit for each, the lowest for the first. What follows the host may be marked too.
#[derive(Clone, Copy)]
pub(crate) struct HostMarks {
    /// Letters, digits and hyphens.
    pub(crate) plain: u32,
    pub(crate) dots: u32,
    pub(crate) digits: u32,
}

impl HostMarks {
    /// Marks the first `len` bytes of `text`; none if there are more than fit, or too few bytes behind them to look at 16
    /// together.
    #[inline]
    pub(crate) fn of(text: &[u8], len: usize) -> Option<HostMarks> {
        let (first, rest) = text.split_first_chunk()?;
        let marks = Self::of_lanes(*first);
        if len <= LANES {
            return Some(marks);
        }
        let second = Self::of_lanes(*rest.first_chunk()?);
        (len <= 2 * LANES).then_some(HostMarks {
            plain: marks.plain | second.plain << LANES,
            dots: marks.dots | second.dots << LANES,
            digits: marks.digits | second.digits << LANES,
        })
    }

    #[inline]
    fn of_lanes(bytes: [u8; LANES]) -> HostMarks {
        let bytes = u8x16::new(bytes);
        HostMarks {
            plain: plain(bytes).to_bitmask(),
            dots: bytes.simd_eq(u8x16::splat(b'.')).to_bitmask(),
            digits: within::<b'0', b'9'>(bytes).to_bitmask(),
        }
    }
}

/// How many bytes at the front of `text` are wanted, as far as there are 16 together.
#[inline]
fn leading_lanes(text: &[u8], is_wanted: impl Fn(u8x16) -> u8x16) -> usize {
    let mut rest = text;
    while let Some((bytes, behind)) = rest.split_first_chunk() {
        let marks = is_wanted(u8x16::new(*bytes)).to_bitmask();
        if marks != 0xffff {
            return text.len() - rest.len() + marks.trailing_ones() as usize;
        }
        rest = behind;
    }
    text.len() - rest.len()
}

#[inline]
fn plain(bytes: u8x16) -> u8x16 {
    letters(bytes) | within::<b'0', b'9'>(bytes) | bytes.simd_eq(u8x16::splat(b'-'))
}

#[inline]
fn letters(bytes: u8x16) -> u8x16 {
    // Setting this bit makes letters lower-case, and letters of no other byte.
    within::<b'a', b'z'>(bytes | u8x16::splat(0x20))
}

#[inline]
fn within<const FIRST: u8, const LAST: u8>(bytes: u8x16) -> u8x16 {
    (bytes - u8x16::splat(FIRST)).simd_le(u8x16::splat(LAST - FIRST))
}

/// How many bytes at the front of `text` are in the table. The compiler unrolls the search of an array: 4 instructions a
/// byte rather than 8.
#[inline]
pub(crate) fn leading(text: &[u8], table: &[bool; 256]) -> usize {
    let (eights, rest) = text.as_chunks::<8>();
    for (index, eight) in eights.iter().enumerate() {
        if let Some(at) = eight.iter().position(|&byte| !table[byte as usize]) {
            return index * 8 + at;
        }
    }
    let at = rest.iter().position(|&byte| !table[byte as usize]);
    at.map_or(text.len(), |at| eights.len() * 8 + at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Search {
        is_wanted: fn(&u8) -> bool,
        first: fn(&[u8]) -> Option<usize>,
    }

    const SEARCHES: [Search; 2] = [
        Search {
            is_wanted: u8::is_ascii_control,
            first: first_control,
        },
        Search {
            is_wanted: |byte| byte.is_ascii_control() || *byte == b' ',
            first: first_space_or_control,
        },
    ];

    #[test]
    fn every_byte_is_told_apart_at_every_place() {
        for Search { is_wanted, first } in SEARCHES {
            for at in 0..40 {
                for byte in 0..=255u8 {
                    for around in [b'a', b'~', 0x80, 0x8a, 0xff] {
                        let mut text = [around; 40];
                        text[at] = byte;
                        let wanted = is_wanted(&byte).then_some(at);
                        assert_eq!(first(&text), wanted, "{byte:#04x} at {at}");
                    }
                }
            }
        }
    }

    fn is_plain(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || byte == b'-'
    }

    fn is_of_path(byte: u8) -> bool {
        is_plain(byte) || matches!(byte, b'/' | b'_')
    }

    fn is_of_query(byte: u8) -> bool {
        is_of_path(byte) || b"$%&'()*+,.:;=".contains(&byte)
    }

    struct Run {
        is_wanted: fn(u8) -> bool,
        leading: fn(&[u8]) -> usize,
    }

    const RUNS: [Run; 3] = [
        Run {
            is_wanted: is_plain,
            leading: leading_plain,
        },
        Run {
            is_wanted: is_of_path,
            leading: leading_of_path,
        },
        Run {
            is_wanted: is_of_query,
            leading: leading_of_query,
        },
    ];

    #[test]
    fn a_run_ends_at_the_first_byte_of_another_kind_wherever_it_stands() {
        for Run { is_wanted, leading } in RUNS {
            for at in 0..48 {
                for byte in 0..=255u8 {
                    let mut text = [b'z'; 64];
                    text[at] = byte;
                    let wanted = if is_wanted(byte) { 64 } else { at };
                    assert_eq!(leading(&text), wanted, "{byte:#04x} at {at}");
                }
            }
        }
    }

    #[test]
    fn fewer_bytes_of_a_kind_may_be_found_at_the_end_of_a_text_but_never_more() {
        for Run { leading, .. } in RUNS {
            for len in 0..40 {
                assert_eq!(leading(&vec![b'a'; len]), len / 16 * 16);
            }
        }
    }

    #[test]
    fn the_bytes_of_a_host_are_marked_by_kind() {
        for at in 0..32 {
            for byte in 0..=255u8 {
                let mut text = [b'/'; 32];
                text[at] = byte;
                let marks = HostMarks::of(&text, 32).expect("twice 16");
                let bit = |is: bool| u32::from(is) << at;
                assert_eq!(marks.plain, bit(is_plain(byte)), "{byte:#04x} at {at}");
                assert_eq!(marks.dots, bit(byte == b'.'), "{byte:#04x} at {at}");
                let is_digit = byte.is_ascii_digit();
                assert_eq!(marks.digits, bit(is_digit), "{byte:#04x} at {at}");
            }
        }
    }

    #[test]
    fn a_host_too_long_or_too_near_the_end_is_not_marked() {
        for (text_len, len, marked) in [
            (16, 3, true),
            (15, 3, false),
            (16, 16, true),
            (32, 17, true),
            (31, 17, false),
            (80, 32, true),
            (80, 33, false),
        ] {
            let marks = HostMarks::of(&vec![b'a'; text_len], len);
            assert_eq!(marks.is_some(), marked, "{len} of {text_len}");
        }
    }

    #[test]
    fn a_run_ends_at_the_first_byte_outside_the_table() {
        let mut table = [false; 256];
        table[b'a' as usize] = true;
        for len in 0..40 {
            assert_eq!(leading(&vec![b'a'; len], &table), len);
            for at in 0..len {
                let mut text = vec![b'a'; len];
                text[at] = b'b';
                assert_eq!(leading(&text, &table), at);
            }
        }
    }

    fn near_the_borders() -> impl Strategy<Value = u8> {
        prop_oneof![
            any::<u8>(),
            prop::sample::select(
                b"\x00\x01\t\n\x0b\r\x1f !\x7e\x7f\x80\x8a\x8b\x9f\xa0\xfe\xff".to_vec()
            ),
        ]
    }

    proptest! {
        #[test]
        fn the_first_of_several_is_found(text in prop::collection::vec(near_the_borders(), 0..50)) {
            for Search { is_wanted, first } in SEARCHES {
                prop_assert_eq!(first(&text), text.iter().position(is_wanted));
            }
        }
    }
}
