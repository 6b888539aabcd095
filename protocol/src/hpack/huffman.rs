//! The Huffman code for strings (RFC 7541 section 5.2 and appendix B).
//!
//! The code is canonical: among the symbols of one length codes go up with the symbol, and each length continues where the
//! one before ended. So the list of lengths is the whole of appendix B, and all tables are made from it at compile time.

mod decoding;
mod encoding;

pub(super) use decoding::decode;
pub(super) use encoding::{encode, encode_number, encoded_len};

/// How many bits each byte's code has; the last is the end-of-string symbol's.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
     6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,
     5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
    13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
     7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
    15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
     6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The longest code, and with it the fewest bits in which any symbol can be told.
const BITS_MAX: u32 = 30;

/// What stands for no byte.
const END_OF_STRING: u16 = 256;

/// A symbol's code in its low `bits`.
#[derive(Clone, Copy)]
struct Code {
    code: u32,
    bits: u32,
}

/// All symbols in the order of their codes.
const SORTED: [u16; 257] = {
    let mut sorted = [0; 257];
    let mut count = 0;
    let mut bits = 0;
    while bits <= BITS_MAX as u8 {
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] == bits {
                sorted[count] = symbol as u16;
                count += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    sorted
};

/// The code of every symbol.
const CODES: [Code; 257] = {
    let mut codes = [Code { code: 0, bits: 0 }; 257];
    let mut next: u64 = 0;
    let mut before = 0;
    let mut rank = 0;
    while rank < SORTED.len() {
        let symbol = SORTED[rank] as usize;
        let bits = LENGTHS[symbol] as u32;
        next <<= bits - before;
        codes[symbol] = Code {
            code: next as u32,
            bits,
        };
        next += 1;
        before = bits;
        rank += 1;
    }
    // A complete code ends with all ones.
    assert!(next == 1 << BITS_MAX);
    codes
};

#[cfg(test)]
mod tests {
    use super::super::fault::Fault;
    use super::*;

    fn encoded(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(text, &mut out);
        assert_eq!(out.len(), encoded_len(text));
        out
    }

    fn decoded(source: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut text = b"kept".to_vec();
        let len = decode(source, usize::MAX, &mut text)?;
        assert!(text.starts_with(b"kept"));
        assert_eq!(text.len(), 4 + len);
        let decoded = text.split_off(4);
        for room in [len, len.saturating_sub(1), len / 2, 0] {
            assert_eq!(decode(source, room, &mut text), Ok(len));
            assert_eq!(text.len(), if len <= room { 4 + len } else { 4 });
            text.truncate(4);
        }
        Ok(decoded)
    }

    /// Bits written as text, filled up with ones.
    fn bits(text: &str) -> Vec<u8> {
        let mut bits: Vec<u8> = text
            .bytes()
            .filter(|bit| matches!(bit, b'0' | b'1'))
            .map(|bit| bit - b'0')
            .collect();
        bits.resize(bits.len().next_multiple_of(8), 1);
        bits.chunks(8)
            .map(|byte| byte.iter().fold(0, |whole, bit| whole << 1 | bit))
            .collect()
    }

    #[test]
    fn codes_are_those_of_appendix_b_at_both_ends_of_every_length() {
        for (symbol, code, bits) in [
            (b'0', 0x0, 5),
            (b't', 0x9, 5),
            (b' ', 0x14, 6),
            (b'u', 0x2d, 6),
            (b':', 0x5c, 7),
            (b'z', 0x7b, 7),
            (b'&', 0xf8, 8),
            (b'Z', 0xfd, 8),
            (b'!', 0x3f8, 10),
            (b'?', 0x3fc, 10),
            (b'\'', 0x7fa, 11),
            (b'|', 0x7fc, 11),
            (b'#', 0xffa, 12),
            (b'>', 0xffb, 12),
            (0, 0x1ff8, 13),
            (b'~', 0x1ffd, 13),
            (b'^', 0x3ffc, 14),
            (b'}', 0x3ffd, 14),
            (b'<', 0x7ffc, 15),
            (b'{', 0x7ffe, 15),
            (b'\\', 0x7fff0, 19),
            (208, 0x7fff2, 19),
            (128, 0xfffe6, 20),
            (226, 0xfffed, 20),
            (9, 0xffffea, 24),
            (127, 0xffffffc, 28),
            (249, 0xffffffe, 28),
            (10, 0x3ffffffc, 30),
            (22, 0x3ffffffe, 30),
        ] {
            let found = CODES[usize::from(symbol)];
            assert_eq!((found.code, found.bits), (code, bits), "{symbol}");
        }
        let end = CODES[usize::from(END_OF_STRING)];
        assert_eq!((end.code, end.bits), (0x3fff_ffff, 30));
    }

    #[test]
    fn every_byte_is_read_as_it_was_written_beside_every_other_and_at_every_offset() {
        for first in 0..=255 {
            assert_eq!(decoded(&encoded(&[first])), Ok(vec![first]));
            for second in 0..=255 {
                let text = [first, second, first, first, second];
                assert_eq!(decoded(&encoded(&text)), Ok(text.to_vec()));
            }
            for offset in 0..24 {
                let mut text = vec![b'a'; offset];
                text.extend([first; 12]);
                text.extend(vec![b'&'; offset]);
                assert_eq!(decoded(&encoded(&text)), Ok(text));
            }
        }
        assert_eq!(decoded(b""), Ok(Vec::new()));
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        assert_eq!(decoded(&encoded(&all)), Ok(all));
    }

    #[test]
    fn padding_is_at_most_seven_ones() {
        for letters in 0..12 {
            // Each `a` is 00011.
            let text = "00011".repeat(letters);
            let spare = (8 - text.len() % 8) % 8;
            assert_eq!(decoded(&bits(&text)), Ok(vec![b'a'; letters]));
            for more in 1..=2 {
                let long = bits(&format!("{text}{}", "1".repeat(spare + 8 * more)));
                assert_eq!(decoded(&long), Err(Fault::HuffmanPaddingLong));
            }
            if spare > 0 {
                for zero in 0..spare {
                    let mut padding = vec![b'1'; spare];
                    padding[zero] = b'0';
                    let padding = String::from_utf8_lossy(&padding).into_owned();
                    let source = bits(&format!("{text}{padding}"));
                    // Five bits and more may be a letter of their own.
                    assert!(
                        decoded(&source) == Err(Fault::HuffmanPaddingNotOnes)
                            || decoded(&source).is_ok_and(|text| text.len() == letters + 1),
                        "{letters} {padding}"
                    );
                }
            }
        }
        assert_eq!(decoded(&[0xfe]), Err(Fault::HuffmanPaddingNotOnes));
        assert_eq!(decoded(&[0xff]), Err(Fault::HuffmanPaddingLong));
    }

    #[test]
    fn the_end_of_string_symbol_is_refused_wherever_it_stands() {
        for letters in 0..20 {
            for behind in ["", "00011", "00011000110001100011000110001100011"] {
                let text = "00011".repeat(letters);
                let source = bits(&format!("{text}{}{behind}", "1".repeat(30)));
                assert_eq!(decoded(&source), Err(Fault::HuffmanEndOfString));
            }
        }
    }

    #[test]
    fn a_code_cut_off_is_refused() {
        for symbol in 0..=255u8 {
            let whole = encoded(&[symbol]);
            for cut in 1..whole.len() {
                let fault = decoded(&whole[..cut]).expect_err("cut");
                assert!(matches!(
                    fault,
                    Fault::HuffmanPaddingLong | Fault::HuffmanPaddingNotOnes
                ));
            }
        }
    }
}
