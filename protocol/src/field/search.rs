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
    let (lanes, rest) = text.as_chunks::<LANES>();
    for (index, bytes) in lanes.iter().enumerate() {
        let bytes = u8x16::new(*bytes);
        let found = bytes.simd_le(u8x16::splat(LEAST - 1)) | bytes.simd_eq(u8x16::splat(DELETE));
        let marks = found.to_bitmask();
        if marks != 0 {
            return Some(index * LANES + marks.trailing_zeros() as usize);
        }
    }
    let at = first_less_or_delete_by_words::<LEAST>(rest)?;
    Some(lanes.len() * LANES + at)
}

#[inline]
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

/// How many bytes at the front of `text` are letters, digits and hyphens, of which nearly every field name consists. Where
/// fewer than 16 bytes are left it may give less, down to nothing.
#[inline]
pub(crate) fn leading_plain(text: &[u8]) -> usize {
    let (lanes, _) = text.as_chunks::<LANES>();
    for (index, bytes) in lanes.iter().enumerate() {
        let bytes = u8x16::new(*bytes);
        // Setting this bit makes letters lower-case, and letters of no other byte.
        let letters = (bytes | u8x16::splat(0x20)) - u8x16::splat(b'a');
        let digits = bytes - u8x16::splat(b'0');
        let plain = letters.simd_lt(u8x16::splat(26))
            | digits.simd_lt(u8x16::splat(10))
            | bytes.simd_eq(u8x16::splat(b'-'));
        let marks = plain.to_bitmask();
        if marks != 0xffff {
            return index * LANES + marks.trailing_ones() as usize;
        }
    }
    lanes.len() * LANES
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

    #[test]
    fn plain_bytes_are_told_apart_from_all_others_at_every_place() {
        for at in 0..48 {
            for byte in 0..=255u8 {
                let mut text = [b'z'; 64];
                text[at] = byte;
                let is_plain = byte.is_ascii_alphanumeric() || byte == b'-';
                let wanted = if is_plain { 64 } else { at };
                assert_eq!(leading_plain(&text), wanted, "{byte:#04x} at {at}");
            }
        }
    }

    #[test]
    fn fewer_plain_bytes_may_be_found_at_the_end_of_a_text_but_never_more() {
        for len in 0..40 {
            assert_eq!(leading_plain(&vec![b'a'; len]), len / 16 * 16);
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
