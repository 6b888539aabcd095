//! From code to text.
//!
//! Thirteen bits are looked up at once, which settles two letters in most cases, one of any that is common in the others.
//! The rare longer codes are found by comparing with the end of each length's range.

use super::super::fault::Fault;
use super::{BITS_MAX, CODES, Code, END_OF_STRING, SORTED};

/// How many bits are looked up at once. With twelve, a tenth more look-ups are needed; with fourteen, the tables no longer
/// leave room for anything else in a cache of the first level.
const LOOKUP_BITS: u32 = 13;
const LOOKUPS_COUNT: usize = 1 << LOOKUP_BITS;

/// How many look-ups there are in a turn: what one reading of a word has bits for. Up to 7 of its 64 belong to the byte in
/// which the turn before ended.
const LOOKUPS_IN_TURN: u32 = 4;
const _: () = assert!(LOOKUPS_IN_TURN * LOOKUP_BITS <= 64 - 7);

/// How many symbols a look-up gives at most.
const SYMBOLS_MAX: usize = 2;

/// What does not fill a byte (RFC 7541 section 5.2).
const PADDING_BITS_MAX: usize = 7;

/// How many bytes are gathered before they are appended to the text. Most values are shorter.
const BATCH_LEN: usize = 128;

/// What a batch must have room for when a turn begins: more than it gives, as far as the compiler can tell, so that no
/// place is checked within it.
const TURN_LEN_MAX: usize = 16;

/// The symbols that the next bits begin with; the second means nothing if there is one only.
static SYMBOLS_AHEAD: [[u8; SYMBOLS_MAX]; LOOKUPS_COUNT] = AHEAD.0;

/// How many bits these symbols have, and in the two high bits how many symbols they are. 0 where the first code is longer
/// than a look-up.
static STEPS: [u8; LOOKUPS_COUNT] = AHEAD.1;

/// The bits of a step; four steps together do not reach beyond them.
const STEP_BITS: u32 = 0x3f;
const _: () = assert!(LOOKUPS_IN_TURN * LOOKUP_BITS <= STEP_BITS);

/// Where the number of symbols stands in a step.
const STEP_COUNT_SHIFT: u32 = 6;

const AHEAD: ([[u8; SYMBOLS_MAX]; LOOKUPS_COUNT], [u8; LOOKUPS_COUNT]) = {
    let mut symbols = [[0; SYMBOLS_MAX]; LOOKUPS_COUNT];
    let mut steps = [0; LOOKUPS_COUNT];
    let mut rank = 0;
    while CODES[SORTED[rank] as usize].bits <= LOOKUP_BITS {
        let first = CODES[SORTED[rank] as usize];
        let spare = LOOKUP_BITS - first.bits;
        let start = (first.code as usize) << spare;
        let mut at = start;
        while at < start + (1 << spare) {
            symbols[at][0] = SORTED[rank] as u8;
            steps[at] = first.bits as u8 | 1 << STEP_COUNT_SHIFT;
            at += 1;
        }
        let mut next = 0;
        while CODES[SORTED[next] as usize].bits <= spare {
            let second = CODES[SORTED[next] as usize];
            let spare = spare - second.bits;
            let start = start + ((second.code as usize) << spare);
            let mut at = start;
            while at < start + (1 << spare) {
                symbols[at][1] = SORTED[next] as u8;
                steps[at] = (first.bits + second.bits) as u8 | 2 << STEP_COUNT_SHIFT;
                at += 1;
            }
            next += 1;
        }
        rank += 1;
    }
    (symbols, steps)
};

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

/// The codes by their length; lengths that none has are empty ranges.
static RANGES: [Range; BITS_MAX as usize + 1] = {
    let mut ranges = [Range {
        end: 0,
        first: 0,
        start: 0,
    }; BITS_MAX as usize + 1];
    let mut rank = 0;
    while rank < SORTED.len() {
        let Code { code, bits } = CODES[SORTED[rank] as usize];
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

/// All symbols in the order of their codes.
static SYMBOLS: [u16; 257] = SORTED;

/// Appends the bytes that `source` stands for to `text`, if they are no more than `room`. How many they are is told in any
/// case, and what is wrong with the code is found.
pub(in super::super) fn decode(
    source: &[u8],
    room: usize,
    text: &mut Vec<u8>,
) -> Result<usize, Fault> {
    let start = text.len();
    // Of the source, in bits. Beyond its end there are ones without an end, which are no symbol that a look-up finds.
    let mut place = 0;
    // Of the text, all batches before this one.
    let mut len = 0;
    let mut batch = [0; BATCH_LEN];
    let mut count = 0;
    loop {
        let mut window = window_at(source, place);
        let mut step = 0;
        let mut steps = 0;
        for _ in 0..LOOKUPS_IN_TURN {
            let ahead = (window >> (64 - LOOKUP_BITS)) as usize;
            step = u32::from(STEPS[ahead]);
            batch[count..count + SYMBOLS_MAX].copy_from_slice(&SYMBOLS_AHEAD[ahead]);
            count += (step >> STEP_COUNT_SHIFT) as usize;
            window <<= step & STEP_BITS;
            steps += step;
        }
        place += (steps & STEP_BITS) as usize;
        if step == 0 {
            let Some((symbol, bits)) = long_symbol_at(source, place)? else {
                break;
            };
            batch[count] = symbol;
            count += 1;
            place += bits as usize;
        }
        if count > BATCH_LEN - TURN_LEN_MAX {
            len += count;
            put(&batch[..count], start, len, room, text);
            count = 0;
        }
    }
    len += count;
    put(&batch[..count], start, len, room, text);
    Ok(len)
}

/// Appends a batch to the text from `start` on, which has `len` bytes with it, or ought to: it has none if that is too many.
#[inline]
fn put(batch: &[u8], start: usize, len: usize, room: usize, text: &mut Vec<u8>) {
    if len <= room {
        text.extend_from_slice(batch);
    } else {
        text.truncate(start);
    }
}

/// The bits from `place` on in the high ones; 57 of them at least are what they should be.
#[inline]
fn window_at(source: &[u8], place: usize) -> u64 {
    let (byte, bit) = (place / 8, place % 8);
    let word = match source.get(byte..byte + 8).and_then(<[u8]>::first_chunk) {
        Some(word) => u64::from_be_bytes(*word),
        None => last_word(source, byte),
    };
    word << bit
}

/// The last bytes, fewer than eight, with ones behind them.
#[inline(never)]
fn last_word(source: &[u8], byte: usize) -> u64 {
    let left = source.len().saturating_sub(byte) as u32;
    let word = match source.last_chunk() {
        Some(word) => u64::from_be_bytes(*word),
        None => whole_word(source),
    };
    !(!word).unbounded_shl(64 - 8 * left)
}

/// All bytes, fewer than eight, in the low ones.
#[inline]
fn whole_word(source: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (source.first_chunk(), source.last_chunk()) {
        // Those in the middle are in both.
        let first = u64::from(u32::from_be_bytes(*first));
        return first << (8 * (source.len() - 4)) | u64::from(u32::from_be_bytes(*last));
    }
    source
        .iter()
        .fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// The symbol at a place where none of those is that a look-up finds, with the number of its bits, or none if there is only
/// padding.
#[inline(never)]
fn long_symbol_at(source: &[u8], place: usize) -> Result<Option<(u8, u32)>, Fault> {
    let Some(left) = (8 * source.len()).checked_sub(place) else {
        // The last symbol took ones from beyond the end.
        return Err(Fault::HuffmanPaddingNotOnes);
    };
    let window = window_at(source, place) >> 32;
    let all_ones = window >> (32 - BITS_MAX) == (1 << BITS_MAX) - 1;
    if left <= PADDING_BITS_MAX && all_ones {
        return Ok(None);
    }
    let (symbol, bits) = symbol_of(window);
    if bits as usize > left {
        // The ones beyond the end are among its bits.
        Err(if all_ones {
            Fault::HuffmanPaddingLong
        } else {
            Fault::HuffmanPaddingNotOnes
        })
    } else if symbol == END_OF_STRING {
        Err(Fault::HuffmanEndOfString)
    } else {
        Ok(Some((symbol as u8, bits)))
    }
}

/// The symbol with whose code the 32 bits of `window` begin, if that is longer than a look-up, and its number of bits.
fn symbol_of(window: u64) -> (u16, u32) {
    for bits in LOOKUP_BITS + 1..=BITS_MAX {
        let range = &RANGES[bits as usize];
        if window < range.end {
            let rank = range.start + ((window >> (32 - bits)) as u32 - range.first);
            return (SYMBOLS[rank as usize], bits);
        }
    }
    // Not reached, for the last range ends at 2^32; and if it were, it would be refused.
    (END_OF_STRING, BITS_MAX)
}
