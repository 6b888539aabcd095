//! Owned memory for the kernel to read from and write to, and the little of it that a worker keeps for reuse.

use lanner_protocol::Lent;

/// What a connection reads into: an idle one gives it back after a moment, so this is held by those that are active.
const READ_BYTES: usize = 4 * 1024;

/// What it reads into after a read has filled the smaller one: an upload.
const READ_BYTES_LARGE: usize = 32 * 1024;

/// Buffers of each kind that are kept; and none larger than this is.
const SPARES_MAX: usize = 64;
const SPARE_BYTES_MAX: usize = 64 * 1024;

/// What remains to be written of some bytes lent from a connection's output.
#[derive(Debug)]
pub(in crate::runtime) struct Piece {
    bytes: Lent,
    written: usize,
}

impl Piece {
    pub(in crate::runtime) fn new(bytes: Lent) -> Self {
        Self { bytes, written: 0 }
    }

    /// What is to be written. It lies on the heap, or is static: it stays where it is when the piece is moved.
    pub(in crate::runtime) fn rest(&self) -> &[u8] {
        let bytes = match &self.bytes {
            Lent::Buffer(bytes) => &bytes[..],
            Lent::Shared(bytes) => &bytes[..],
        };
        &bytes[self.written..]
    }

    /// Takes note that `count` bytes were written. Returns whether some are left.
    pub(in crate::runtime) fn advance(&mut self, count: usize) -> bool {
        self.written += count.min(self.rest().len());
        !self.rest().is_empty()
    }
}

/// One worker's memory for reuse.
#[derive(Debug, Default)]
pub(super) struct Spare {
    for_reading: Vec<Vec<u8>>,
    for_writing: Vec<Vec<u8>>,
}

impl Spare {
    pub(super) fn take_for_reading(&mut self, large: bool) -> Vec<u8> {
        if large {
            return Vec::with_capacity(READ_BYTES_LARGE);
        }
        self.for_reading
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(READ_BYTES))
    }

    /// Takes back what was read into.
    pub(super) fn keep_read(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() == READ_BYTES && self.for_reading.len() < SPARES_MAX {
            self.for_reading.push(buffer);
        }
    }

    pub(super) fn take_for_writing(&mut self) -> Vec<u8> {
        self.for_writing.pop().unwrap_or_default()
    }

    /// Takes back what was written.
    pub(super) fn keep_written(&mut self, piece: Piece) {
        if let Lent::Buffer(mut buffer) = piece.bytes
            && (1..=SPARE_BYTES_MAX).contains(&buffer.capacity())
            && self.for_writing.len() < SPARES_MAX
        {
            buffer.clear();
            self.for_writing.push(buffer);
        }
    }
}

/// Whether a read of `count` bytes calls for a larger buffer next time.
pub(super) fn is_large(count: usize) -> bool {
    count >= READ_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_gives_the_kernel_what_is_left_of_it() {
        for lent in [
            Lent::Buffer(b"hello".to_vec()),
            Lent::Shared("hello".into()),
        ] {
            let mut piece = Piece::new(lent);
            assert!(piece.advance(2));
            assert_eq!(piece.rest(), b"llo");
            assert!(!piece.advance(3));
        }
    }

    #[test]
    fn what_is_kept_for_reuse_is_bounded() {
        let mut spare = Spare::default();
        for _ in 0..2 * SPARES_MAX {
            spare.keep_read(Vec::with_capacity(READ_BYTES));
            spare.keep_read(Vec::with_capacity(READ_BYTES_LARGE));
            spare.keep_written(Piece::new(Lent::Buffer(Vec::with_capacity(100))));
            spare.keep_written(Piece::new(Lent::Buffer(Vec::with_capacity(
                2 * SPARE_BYTES_MAX,
            ))));
        }
        let capacity = |kept: &[Vec<u8>]| kept.iter().map(Vec::capacity).sum::<usize>();
        assert_eq!(capacity(&spare.for_reading), SPARES_MAX * READ_BYTES);
        assert_eq!(capacity(&spare.for_writing), SPARES_MAX * 100);
    }
}
