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
    let padding = 64 - pending.count;
    let word = !(!pending.bits).unbounded_shl(padding);
    // Four bytes at most, in one go.
    out.extend_from_slice(&((word >> 32) as u32).to_be_bytes());
    out.truncate(len);
}
