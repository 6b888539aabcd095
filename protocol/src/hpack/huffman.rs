//! The Huffman code for strings (RFC 7541 section 5.2 and appendix B).
//!
//! The code is canonical: among the symbols of one length codes go up with the symbol, and each length continues where the
//! one before ended. So the list of lengths is the whole of appendix B, and the tables here are made from it at compile
//! time. Decoding looks eight bits up at once, which settles every letter and digit; the rare longer codes are found by
//! comparing with the end of each length's range.

use super::fault::Fault;

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

/// The shortest code.
const BITS_MIN: usize = 5;

/// What stands for no byte.
const END_OF_STRING: u16 = 256;

/// A symbol's code in its low `bits`.
#[derive(Clone, Copy)]
struct Code {
    code: u32,
    bits: u32,
}

/// The codes of one length, behind those of shorter ones.
#[derive(Clone, Copy)]
struct Range {
    /// The first 32-bit window, the code in its high bits, that is above all codes of this length.
    end: u64,
    /// The lowest code.
    first: u32,
    /// Where its symbol stands in `SORTED`.
    start: u32,
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
static CODES: [Code; 257] = CODES_BY_SYMBOL;

const CODES_BY_SYMBOL: [Code; 257] = {
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

/// The codes by their length; lengths that none has are empty ranges.
static RANGES: [Range; BITS_MAX as usize + 1] = {
    let mut ranges = [Range {
        end: 0,
        first: 0,
        start: 0,
    }; BITS_MAX as usize + 1];
    let mut rank = 0;
    while rank < SORTED.len() {
        let Code { code, bits } = CODES_BY_SYMBOL[SORTED[rank] as usize];
        let range = &mut ranges[bits as usize];
        if range.end == 0 {
            range.first = code;
            range.start = rank as u32;
        }
        range.end = (code as u64 + 1) << (32 - bits);
        rank += 1;
    }
    ranges
};

static SYMBOLS: [u16; 257] = SORTED;

/// For the next eight bits, the symbol with its number of bits in the high byte; 0 where the code is longer.
static SHORT: [u16; 256] = {
    let mut short = [0; 256];
    let mut symbol = 0;
    while symbol < 256 {
        let Code { code, bits } = CODES_BY_SYMBOL[symbol];
        if bits <= 8 {
            let mut low = 0;
            while low < 1 << (8 - bits) {
                short[(code << (8 - bits) | low) as usize] = (bits as u16) << 8 | symbol as u16;
                low += 1;
            }
        }
        symbol += 1;
    }
    short
};

/// The symbol whose code the high bits of `window` begin with, and its number of bits.
#[inline]
fn symbol_at(window: u64) -> (u16, u32) {
    match SHORT[(window >> 56) as usize] {
        0 => long_symbol_at(window),
        short => (short & 0xff, u32::from(short >> 8)),
    }
}

fn long_symbol_at(window: u64) -> (u16, u32) {
    let window = window >> 32;
    for bits in 10..=BITS_MAX {
        let range = &RANGES[bits as usize];
        if window < range.end {
            let rank = range.start + ((window >> (32 - bits)) as u32 - range.first);
            return (SYMBOLS[rank as usize], bits);
        }
    }
    // Not reached, for the last range ends at 2^32; and if it were, it would be refused.
    (END_OF_STRING, BITS_MAX)
}

/// Tells the bytes that `source` stands for one by one.
#[inline]
fn decode_each(source: &[u8], mut tell: impl FnMut(u8)) -> Result<(), Fault> {
    let mut rest = source;
    // The next bits, from the highest on; `held` of them count. What lies below is zeros, or bits of the byte at the front
    // of `rest`, which that byte will set again.
    let mut window: u64 = 0;
    let mut held: u32 = 0;
    while let Some(word) = rest.first_chunk::<8>() {
        window |= u64::from_be_bytes(*word) >> held;
        let taken = (63 - held) / 8;
        rest = &rest[taken as usize..];
        held += 8 * taken;
        while held >= BITS_MAX {
            let (symbol, bits) = symbol_at(window);
            if symbol == END_OF_STRING {
                return Err(Fault::HuffmanEndOfString);
            }
            tell(symbol as u8);
            window <<= bits;
            held -= bits;
        }
    }
    loop {
        while held <= 56
            && let Some((&byte, after)) = rest.split_first()
        {
            window |= u64::from(byte) << (56 - held);
            held += 8;
            rest = after;
        }
        // As if the padding never ended, so that a code which needs bits beyond the end is a longer one than are held.
        let padded = window | u64::MAX.checked_shr(held).unwrap_or(0);
        let (symbol, bits) = symbol_at(padded);
        if bits > held {
            return check_padding(padded, held);
        }
        if symbol == END_OF_STRING {
            return Err(Fault::HuffmanEndOfString);
        }
        tell(symbol as u8);
        window <<= bits;
        held -= bits;
    }
}

/// Whether the `held` bits left over, with ones behind them, are what may be left over.
fn check_padding(padded: u64, held: u32) -> Result<(), Fault> {
    if padded != u64::MAX {
        Err(Fault::HuffmanPaddingNotOnes)
    } else if held > 7 {
        Err(Fault::HuffmanPaddingLong)
    } else {
        Ok(())
    }
}

/// The most bytes that `source_len` bytes of code can stand for.
#[inline]
pub(super) fn decoded_len_max(source_len: usize) -> usize {
    source_len * 8 / BITS_MIN
}

/// How many bytes `source` stands for.
pub(super) fn decoded_len(source: &[u8]) -> Result<usize, Fault> {
    let mut len = 0;
    decode_each(source, |_| len += 1)?;
    Ok(len)
}

/// Appends the bytes that `source` stands for to `text`; they are known to be at most `len_max`.
pub(super) fn decode(source: &[u8], len_max: usize, text: &mut Vec<u8>) -> Result<(), Fault> {
    let start = text.len();
    text.resize(start + decoded_len_max(source.len()).min(len_max), 0);
    let mut len = 0;
    let places = &mut text[start..];
    let result = decode_each(source, |byte| {
        // There is a place for every byte, by the smaller of the two bounds.
        if let Some(place) = places.get_mut(len) {
            *place = byte;
        }
        len += 1;
    });
    text.truncate(start + len);
    result
}

/// How many bytes the code for `text` has.
#[inline]
pub(super) fn encoded_len(text: &[u8]) -> usize {
    let bits: usize = text
        .iter()
        .map(|&byte| usize::from(LENGTHS_BY_BYTE[usize::from(byte)]))
        .sum();
    bits.div_ceil(8)
}

static LENGTHS_BY_BYTE: [u8; 257] = LENGTHS;

/// Appends the code for `text`, padded to whole bytes with ones.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    // The low `held` bits are still to be written; fewer than 32 between two symbols.
    let mut bits_held: u64 = 0;
    let mut held: u32 = 0;
    for &byte in text {
        let Code { code, bits } = CODES[usize::from(byte)];
        bits_held = bits_held << bits | u64::from(code);
        held += bits;
        if held >= 32 {
            held -= 32;
            out.extend_from_slice(&((bits_held >> held) as u32).to_be_bytes());
        }
    }
    let padding = held.wrapping_neg() % 8;
    bits_held = bits_held << padding | ((1 << padding) - 1);
    held += padding;
    while held > 0 {
        held -= 8;
        out.push((bits_held >> held) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(text, &mut out);
        assert_eq!(out.len(), encoded_len(text));
        out
    }

    fn decoded(source: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut text = b"kept".to_vec();
        let result = decode(source, usize::MAX, &mut text);
        assert_eq!(decoded_len(source), result.map(|()| text.len() - 4));
        assert!(text.starts_with(b"kept"));
        result.map(|()| text.split_off(4))
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
