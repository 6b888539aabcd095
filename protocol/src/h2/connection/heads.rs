//! Heads of answers that were written a moment ago. Most answers of a connection begin with one of a few heads, and while
//! nothing goes into the encoder's table, a head that came to nothing but indices comes to the same ones again: it is compared,
//! and its field block copied, without its fields being looked for one by one.
//!
//! That costs 60 instructions and 3 for each 16 bytes of fields; writing five fields that are all in the table costs 700.

use crate::fields::Fields;
use crate::hpack::EncoderState;
use crate::status::Status;
use crate::words;

/// How many heads are kept. Where two share a place, both are written anew.
const HEADS_KEPT: usize = 4;

/// A longer field block has more in it than indices, some of which may go into the table when they come again.
const BLOCK_BYTES_MAX: usize = 16;

/// The fields of an app that has more of them are not kept: memory of idle connections.
const LINES_BYTES_MAX: usize = 256;

/// The heads that a connection wrote last.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// None before the first is kept.
    kept: Vec<Kept>,
}

/// A head, and the field block that it came to. As it was made, it is no head's, for no status is 0.
#[derive(Clone, Debug)]
struct Kept {
    status: u16,
    date: [u8; 29],
    fixed: &'static str,
    lines: Vec<u8>,
    state: EncoderState,
    block: [u8; BLOCK_BYTES_MAX],
    block_len: usize,
}

impl Heads {
    /// Appends the field block of a head that was kept, if there is one and the encoder is as it was then.
    #[inline]
    pub(super) fn repeat(
        &self,
        status: Status,
        date: &[u8; 29],
        fields: &Fields,
        state: EncoderState,
        out: &mut Vec<u8>,
    ) -> bool {
        let (fixed, lines) = fields.parts();
        let Some(kept) = self.kept.get(place(fixed, lines)) else {
            return false;
        };
        let is_same = kept.state == state
            && kept.status == status.code()
            && std::ptr::eq(kept.fixed, fixed)
            && words::same(&kept.lines, lines)
            && words::same(&kept.date, date);
        if is_same {
            // All of it at once, which is one move, and then what is too much taken back.
            let end = out.len() + kept.block_len;
            out.extend_from_slice(&kept.block);
            out.truncate(end);
        }
        is_same
    }

    /// Keeps a head that came to `block`, unless something else than indices is in it.
    pub(super) fn keep(
        &mut self,
        status: Status,
        date: &[u8; 29],
        fields: &Fields,
        state: EncoderState,
        block: &[u8],
    ) {
        let (fixed, lines) = fields.parts();
        if block.len() > BLOCK_BYTES_MAX || lines.len() > LINES_BYTES_MAX {
            return;
        }
        if self.kept.is_empty() {
            self.kept = vec![Kept::none(state); HEADS_KEPT];
        }
        let kept = &mut self.kept[place(fixed, lines)];
        kept.lines.clear();
        kept.lines.extend_from_slice(lines);
        kept.block[..block.len()].copy_from_slice(block);
        kept.block_len = block.len();
        kept.status = status.code();
        kept.date = *date;
        kept.fixed = fixed;
        kept.state = state;
    }

    /// Gives its memory back, and with it what it knows.
    pub(super) fn release_memory(&mut self) {
        *self = Heads::default();
    }
}

/// Where a head with these fields is kept: fields that differ mostly differ in length.
#[inline]
fn place(fixed: &str, lines: &[u8]) -> usize {
    (fixed.len() + lines.len()) % HEADS_KEPT
}

impl Kept {
    fn none(state: EncoderState) -> Kept {
        Kept {
            status: 0,
            date: [0; 29],
            fixed: "",
            lines: Vec::new(),
            state,
            block: [0; BLOCK_BYTES_MAX],
            block_len: 0,
        }
    }
}
