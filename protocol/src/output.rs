//! What waits to be written to one peer: small pieces copied together, large ones kept as shared `Bytes` between them.
//!
//! A driver lends one [`Output`] to every connection in turn; only a connection whose socket took less than was
//! offered keeps one of its own. The bound is the producer's: the engine stops polling a body while
//! [`Output::len`] is at `LANNER_RESPONSE_BUFFER`.

use bytes::Bytes;
use std::collections::VecDeque;

/// From this size on a body piece is queued by reference; below it, copying is cheaper than another iovec.
/// (Measured on loopback: a 2 KiB copy costs less than the kernel's handling of one more segment.)
const SHARED_BYTES_MIN: usize = 4096;

/// Sent bytes at the front of the buffer are dropped once they are this many, so that a stream which never quite
/// drains cannot grow it.
const COMPACT_BYTES_MIN: usize = 16 * 1024;

/// How much is copied together into one lent buffer where pieces stand between: enough for a head and the body behind
/// it to leave as full segments, little beside what the kernel itself copies.
const GATHERED_BYTES_MAX: usize = 16 * 1024;

/// A queue of bytes to write.
///
/// Invariant: `sent <= buffer.len()`; the `at` of the pieces ascend and lie in `sent..=buffer.len()`;
/// `shared_bytes` is the sum of the pieces' lengths; `lent_bytes` left the queue with [`Output::lend`] and stand
/// before everything in it.
#[derive(Debug, Default)]
pub struct Output {
    buffer: Vec<u8>,
    /// Index into `buffer` of the first byte not yet sent.
    sent: usize,
    /// Pieces that stand between the buffer's bytes.
    pieces: VecDeque<Piece>,
    shared_bytes: usize,
    /// Bytes that a driver owns and has not reported as sent.
    lent_bytes: usize,
}

/// Bytes taken out of a queue by a driver that must own what it writes.
#[derive(Debug)]
pub enum Lent {
    /// Memory that [`Output::lend`] was given, or the queue's own.
    Buffer(Vec<u8>),
    /// A large piece of a body, by reference.
    Shared(Bytes),
}

#[derive(Debug)]
struct Piece {
    /// Index into `buffer` before which this piece is sent.
    at: usize,
    bytes: Bytes,
}

impl Output {
    /// An empty queue; allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes queued or lent, and not yet sent.
    pub fn len(&self) -> usize {
        self.buffer.len() - self.sent + self.shared_bytes + self.lent_bytes
    }

    /// Whether nothing is left to send.
    pub fn is_empty(&self) -> bool {
        self.is_drained() && self.lent_bytes == 0
    }

    /// Whether nothing stands in the queue itself; what is lent may still be on its way.
    pub fn is_drained(&self) -> bool {
        self.sent == self.buffer.len() && self.pieces.is_empty()
    }

    /// The buffer at whose end small pieces are encoded.
    #[inline]
    pub fn tail(&mut self) -> &mut Vec<u8> {
        if self.sent >= COMPACT_BYTES_MIN {
            self.compact();
        }
        &mut self.buffer
    }

    /// Queues a copy of `bytes`.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        self.tail().extend_from_slice(bytes);
    }

    /// Queues `bytes`, by reference where that is cheaper than a copy.
    #[inline(always)]
    pub fn push_shared(&mut self, bytes: Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            self.tail().extend_from_slice(&bytes);
        } else {
            self.push_piece(bytes);
        }
    }

    fn push_piece(&mut self, bytes: Bytes) {
        self.shared_bytes += bytes.len();
        let at = self.tail().len();
        self.pieces.push_back(Piece { at, bytes });
    }

    /// All unsent bytes when they are contiguous: the common case, one plain write.
    pub fn contiguous(&self) -> Option<&[u8]> {
        self.pieces.is_empty().then(|| &self.buffer[self.sent..])
    }

    /// The unsent bytes in order, as slices for a vectored write. None is empty.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(self.sent).chain(self.pieces.iter().map(|piece| piece.at));
        let ends = self
            .pieces
            .iter()
            .map(|piece| piece.at)
            .chain([self.buffer.len()]);
        let shared = self
            .pieces
            .iter()
            .map(|piece| &piece.bytes[..])
            .chain([&[][..]]);
        starts
            .zip(ends)
            .zip(shared)
            .flat_map(|((start, end), shared)| [&self.buffer[start..end], shared])
            .filter(|slice| !slice.is_empty())
    }

    /// Takes the next unsent bytes out of the queue. They count as unsent until [`Output::advance`] is told of them;
    /// nothing more is lent before. `spare` is empty memory to put them in, or to queue in from now on.
    pub fn lend(&mut self, mut spare: Vec<u8>) -> Option<Lent> {
        if self.lent_bytes > 0 || self.is_drained() {
            return None;
        }
        if self.pieces.is_empty() && self.sent == 0 {
            std::mem::swap(&mut self.buffer, &mut spare);
            self.lent_bytes = spare.len();
            return Some(Lent::Buffer(spare));
        }
        if self
            .pieces
            .front()
            .is_some_and(|piece| piece.at == self.sent)
            && let Some(piece) = self.pieces.pop_front()
        {
            self.shared_bytes -= piece.bytes.len();
            self.lent_bytes = piece.bytes.len();
            return Some(Lent::Shared(piece.bytes));
        }
        let wanted = self.slices().scan(GATHERED_BYTES_MAX, |room, slice| {
            let part = &slice[..slice.len().min(*room)];
            *room -= part.len();
            (!part.is_empty()).then_some(part)
        });
        wanted.for_each(|part| spare.extend_from_slice(part));
        self.advance(spare.len());
        self.lent_bytes = spare.len();
        Some(Lent::Buffer(spare))
    }

    /// Like [`Output::lend`] for all unsent bytes at once: they move to `to`, which is empty, and its memory comes here
    /// to queue in from now on. Returns whether there were any to lend.
    pub fn lend_all(&mut self, to: &mut Self) -> bool {
        if self.lent_bytes > 0 || self.is_drained() {
            return false;
        }
        debug_assert!(to.is_empty() && to.buffer.is_empty());
        std::mem::swap(self, to);
        self.lent_bytes = to.len();
        true
    }

    /// Takes over the memory of a queue that is drained, or keeps its own if that is larger. To be called on a drained
    /// queue.
    pub fn reclaim(&mut self, from: &mut Self) {
        debug_assert!(self.is_drained() && from.is_drained());
        if self.buffer.capacity() < from.buffer.capacity() {
            std::mem::swap(&mut self.buffer, &mut from.buffer);
        }
        if self.pieces.capacity() < from.pieces.capacity() {
            std::mem::swap(&mut self.pieces, &mut from.pieces);
        }
        (from.buffer, from.pieces) = (Vec::new(), VecDeque::new());
        (self.sent, from.sent) = (0, 0);
        self.buffer.clear();
    }

    /// Notes that the first `count` unsent bytes went out.
    pub fn advance(&mut self, mut count: usize) {
        let lent = self.lent_bytes.min(count);
        self.lent_bytes -= lent;
        count -= lent;
        while let Some(piece) = self.pieces.front_mut() {
            let before = piece.at - self.sent;
            if count < before {
                self.sent += count;
                return;
            }
            count -= before;
            self.sent = piece.at;
            if count < piece.bytes.len() {
                bytes::Buf::advance(&mut piece.bytes, count);
                self.shared_bytes -= count;
                return;
            }
            count -= piece.bytes.len();
            self.shared_bytes -= piece.bytes.len();
            self.pieces.pop_front();
        }
        self.sent = self.buffer.len().min(self.sent + count);
        if self.sent == self.buffer.len() {
            self.clear();
        }
    }

    /// Moves the first `count` unsent bytes to the end of another queue; what is here by reference goes by reference.
    pub(crate) fn move_to(&mut self, mut count: usize, to: &mut Self) {
        while count > 0 {
            let before = self
                .pieces
                .front()
                .map_or(self.buffer.len(), |piece| piece.at);
            let small = count.min(before - self.sent);
            if small > 0 {
                to.push(&self.buffer[self.sent..self.sent + small]);
                self.advance(small);
                count -= small;
            } else if let Some(piece) = self.pieces.front() {
                let large = count.min(piece.bytes.len());
                to.push_shared(piece.bytes.slice(..large));
                self.advance(large);
                count -= large;
            } else {
                return;
            }
        }
    }

    /// Forgets everything in the queue, keeping the buffer's memory.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.sent = 0;
        self.pieces.clear();
        self.shared_bytes = 0;
    }

    /// Forgets everything, what is lent included: none of it will arrive.
    pub fn abandon(&mut self) {
        self.clear();
        self.lent_bytes = 0;
    }

    /// Gives back memory beyond `bytes_max`, for a queue that is kept for reuse.
    pub fn shrink_to(&mut self, bytes_max: usize) {
        if self.buffer.capacity() > bytes_max {
            self.buffer.shrink_to(bytes_max);
        }
        if self.pieces.capacity() > 64 {
            self.pieces.shrink_to(64);
        }
    }

    fn compact(&mut self) {
        self.buffer.drain(..self.sent);
        for piece in &mut self.pieces {
            piece.at -= self.sent;
        }
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn unsent(output: &Output) -> Vec<u8> {
        output.slices().collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_new_queue_is_empty_and_contiguous() {
        let output = Output::new();
        assert!(output.is_empty());
        assert_eq!(output.contiguous(), Some(&[][..]));
        assert_eq!(output.slices().count(), 0);
    }

    #[test]
    fn a_queue_that_never_drains_does_not_keep_what_was_sent() {
        let mut output = Output::new();
        output.push(b"x");
        for _ in 0..10_000 {
            output.push(&[b'y'; 1000]);
            output.advance(1000);
        }
        assert_eq!(output.len(), 1);
        assert!(output.buffer.capacity() < 4 * COMPACT_BYTES_MIN);
    }

    proptest! {
        #[test]
        fn every_order_of_pushes_and_sends_keeps_the_bytes_in_order(
            steps in prop::collection::vec((0usize..3, 0usize..12_000), 1..60)
        ) {
            let mut output = Output::new();
            let mut model: Vec<u8> = Vec::new();
            let mut next = 0u8;
            for (kind, size) in steps {
                if kind == 2 {
                    let count = size.min(model.len());
                    output.advance(count);
                    model.drain(..count);
                } else {
                    let bytes: Vec<u8> = (0..size).map(|_| { next = next.wrapping_add(1); next }).collect();
                    model.extend_from_slice(&bytes);
                    if kind == 0 { output.push(&bytes) } else { output.push_shared(bytes.into()) }
                }
                prop_assert_eq!(output.len(), model.len());
                prop_assert_eq!(output.is_empty(), model.is_empty());
                prop_assert_eq!(unsent(&output), model.clone());
                if let Some(whole) = output.contiguous() { prop_assert_eq!(whole, &model[..]); }
            }
        }

        #[test]
        fn what_is_lent_comes_in_order_and_counts_until_it_is_sent(
            steps in prop::collection::vec((0usize..4, 0usize..40_000), 1..60)
        ) {
            let mut output = Output::new();
            let (mut pushed, mut taken, mut sent) = (Vec::new(), Vec::new(), 0);
            let mut next = 0u8;
            for (kind, size) in steps {
                match kind {
                    0 | 1 => {
                        let bytes: Vec<u8> = (0..size).map(|_| { next = next.wrapping_add(1); next }).collect();
                        pushed.extend_from_slice(&bytes);
                        if kind == 0 { output.push(&bytes) } else { output.push_shared(bytes.into()) }
                    }
                    2 => {
                        let before = taken.len();
                        match output.lend(Vec::new()) {
                            Some(Lent::Buffer(bytes)) => taken.extend_from_slice(&bytes),
                            Some(Lent::Shared(bytes)) => taken.extend_from_slice(&bytes),
                            None => prop_assert!(sent < taken.len() || taken.len() == pushed.len()),
                        }
                        prop_assert!(before == sent || before == taken.len(), "two are lent at once");
                    }
                    _ => {
                        let count = size.min(taken.len() - sent);
                        output.advance(count);
                        sent += count;
                    }
                }
                prop_assert_eq!(output.len(), pushed.len() - sent);
                prop_assert_eq!(output.is_empty(), pushed.len() == sent);
                prop_assert_eq!(output.is_drained(), pushed.len() == taken.len());
                prop_assert_eq!(&taken[..], &pushed[..taken.len()]);
                prop_assert_eq!(&unsent(&output)[..], &pushed[taken.len()..]);
            }
        }
    }

    #[test]
    fn everything_can_be_lent_at_once_memory_for_memory() {
        let (mut output, mut lent) = (Output::new(), Output::new());
        lent.push(&[b'y'; 2000]);
        lent.clear();
        output.push(b"head");
        output.push_shared(vec![b'x'; 100_000].into());
        output.push(b"tail");
        output.advance(2);
        assert!(output.lend_all(&mut lent));
        assert_eq!((output.len(), lent.len()), (100_006, 100_006));
        assert!(output.is_drained() && output.buffer.capacity() >= 2000);
        assert_eq!(lent.slices().count(), 3);
        output.push(b"behind");
        let mut second = Output::new();
        assert!(!output.lend_all(&mut second), "one at a time");
        lent.advance(50_000);
        output.advance(50_000);
        assert_eq!((output.len(), lent.len()), (50_012, 50_006));
        output.advance(50_006);
        assert!(output.lend_all(&mut second));
        assert_eq!(unsent(&second), b"behind");
        assert!(!output.lend_all(&mut lent));
    }

    #[test]
    fn a_large_body_leaves_by_reference_behind_its_head() {
        let mut output = Output::new();
        output.push(b"head");
        output.push_shared(vec![b'x'; 100_000].into());
        let Some(Lent::Buffer(first)) = output.lend(Vec::new()) else {
            panic!("the head is copied")
        };
        assert_eq!(first.len(), GATHERED_BYTES_MAX);
        assert!(output.lend(Vec::new()).is_none(), "one at a time");
        output.advance(first.len());
        let Some(Lent::Shared(rest)) = output.lend(Vec::new()) else {
            panic!("the rest is shared")
        };
        assert_eq!(first.len() + rest.len(), 100_004);
    }

    #[test]
    fn memory_is_handed_over_and_what_is_lent_stays_counted() {
        let (mut output, mut spare) = (Output::new(), Output::new());
        output.push(&[b'x'; 1000]);
        let lent = output.lend(Vec::with_capacity(500));
        assert!(matches!(lent, Some(Lent::Buffer(bytes)) if bytes.len() == 1000));
        spare.reclaim(&mut output);
        assert_eq!(
            (spare.buffer.capacity(), output.buffer.capacity()),
            (500, 0)
        );
        assert_eq!((output.len(), spare.len()), (1000, 0));
        output.abandon();
        assert!(output.is_empty());
    }
}
