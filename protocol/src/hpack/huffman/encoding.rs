//! From text to code.

use super::{CODES, Code, LENGTHS};

/// The code of every symbol.
static CODES_BY_SYMBOL: [Code; 257] = CODES;

static LENGTHS_BY_BYTE: [u8; 257] = LENGTHS;

/// Bits on their way out, and how many; fewer than 32 between two symbols.
#[derive(Default)]
struct Pending {
    bits: u64,
    count: u32,
}

/// How many bytes the code for `text` has.
#[inline]
pub(in super::super) fn encoded_len(text: &[u8]) -> usize {
    let bits: usize = text
        .iter()
        .map(|&byte| usize::from(LENGTHS_BY_BYTE[usize::from(byte)]))
        .sum();
    bits.div_ceil(8)
}

/// Appends the code for `text`, padded to whole bytes with ones.
#[inline]
pub(in super::super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    let mut pending = Pending::default();
    for &byte in text {
        let Code { code, bits } = CODES_BY_SYMBOL[usize::from(byte)];
        pending.bits = pending.bits << bits | u64::from(code);
        pending.count += bits;
        if pending.count >= 32 {
            pending.count -= 32;
            let word = (pending.bits >> pending.count) as u32;
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
    let len = out.len() + pending.count.div_ceil(8) as usize;
    let word = padded(pending.bits, pending.count);
    // All bytes at once, and then those of them taken back that are padding only: a copy of a varying length costs more.
    out.extend_from_slice(&((word >> 32) as u32).to_be_bytes());
    out.truncate(len);
}

/// The low `count` bits in the high ones, with ones behind them.
#[inline]
fn padded(bits: u64, count: u32) -> u64 {
    !(!bits).unbounded_shl(64 - count)
}

/// Numbers below this have ten digits at most, and a digit has six bits at most: a word is enough for them.
const SHORT_NUMBER_END: u64 = 10_000_000_000;

/// Appends a number as a string: the length, then the code of its decimal digits, which is never longer than they are.
#[inline]
pub(in super::super) fn encode_number(number: u64, out: &mut Vec<u8>) {
    if number >= SHORT_NUMBER_END {
        return encode_long_number(number, out);
    }
    let mut pending = Pending::default();
    let mut put = |digits: Code| {
        pending.bits |= u64::from(digits.code) << pending.count;
        pending.count += digits.bits;
    };
    // From the last digit on.
    let mut left = number;
    while left >= 10 {
        put(DIGIT_PAIRS[(left % 100) as usize]);
        left /= 100;
    }
    if left > 0 || number == 0 {
        put(CODES_BY_SYMBOL[usize::from(b'0' + left as u8)]);
    }
    let len = pending.count.div_ceil(8);
    let word = padded(pending.bits, pending.count);
    out.push(0x80 | len as u8);
    let end = out.len() + len as usize;
    out.extend_from_slice(&word.to_be_bytes());
    out.truncate(end);
}

/// The code of every two digits.
static DIGIT_PAIRS: [Code; 100] = {
    let mut pairs = [Code { code: 0, bits: 0 }; 100];
    let mut number = 0;
    while number < pairs.len() {
        let (first, second) = (
            CODES[b'0' as usize + number / 10],
            CODES[b'0' as usize + number % 10],
        );
        pairs[number] = Code {
            code: first.code << second.bits | second.code,
            bits: first.bits + second.bits,
        };
        number += 1;
    }
    pairs
};

#[cold]
fn encode_long_number(number: u64, out: &mut Vec<u8>) {
    let digits = number.to_string();
    out.push(0x80 | encoded_len(digits.as_bytes()) as u8);
    encode(digits.as_bytes(), out);
}
