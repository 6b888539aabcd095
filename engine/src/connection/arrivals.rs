//! What of a request's body has come on its stream before the app asked for it. On HTTP/2 that cannot wait in the socket,
//! where it would hold up the other streams; the stream's window bounds it (`LANNER_H2_STREAM_WINDOW`).
//!
//! Pieces are put together, so that many small frames do not hold a buffer each.

use crate::body::{BodyError, Chunk};
use crate::lease::{Lease, Pool};
use lanner_protocol::Fields;
use std::collections::VecDeque;

/// The largest buffer that pieces are put together in.
const BUFFER_BYTES_MAX: usize = 16 * 1024;

/// How a body ended.
pub(super) enum End {
    /// It is whole.
    Whole(Option<Fields>),
    /// The rest will not come.
    Failed(BodyError),
}

/// See the file's comment.
#[derive(Default)]
pub(super) struct Arrivals {
    held: VecDeque<Held>,
    end: Option<End>,
}

/// The first `len` bytes of a buffer.
struct Held {
    lease: Lease,
    len: usize,
}

/// What the app gets next.
pub(super) enum Next {
    /// Nothing has come.
    Nothing,
    /// A piece; `last` if the body ends with it.
    Piece { chunk: Chunk, last: bool },
    /// The end.
    End(End),
}

impl Arrivals {
    pub(super) fn add(&mut self, mut bytes: &[u8], pool: &Pool) {
        while !bytes.is_empty() {
            let total = self.held.iter().map(|held| held.len).sum::<usize>();
            let Some(held) = self.held.back_mut().filter(|held| held.has_room()) else {
                let size = (2 * total).min(BUFFER_BYTES_MAX).max(bytes.len());
                let lease = pool.take(size);
                self.held.push_back(Held { lease, len: 0 });
                continue;
            };
            bytes = held.fill(bytes);
        }
    }

    pub(super) fn end(&mut self, end: End) {
        self.end = Some(end);
    }

    /// Takes what the app gets next.
    pub(super) fn take(&mut self, pool: &Pool) -> Next {
        if let Some(Held { lease, len }) = self.held.pop_front() {
            let last = self.held.is_empty() && matches!(self.end, Some(End::Whole(None)));
            return Next::Piece {
                chunk: Chunk(pool.share(&lease, 0..len)),
                last,
            };
        }
        self.end.take().map_or(Next::Nothing, Next::End)
    }
}

impl Held {
    fn has_room(&self) -> bool {
        self.len < self.lease.len()
    }

    /// Takes as many of the bytes as fit, and returns the others.
    fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let start = self.len;
        // Nobody shares a buffer before it is taken.
        let room = self.lease.bytes_mut().unwrap_or_default();
        let count = bytes.len().min(room.len() - start);
        room[start..start + count].copy_from_slice(&bytes[..count]);
        self.len += count;
        &bytes[count..]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]

    use super::*;

    fn taken(arrivals: &mut Arrivals, pool: &Pool) -> (Vec<u8>, usize) {
        let (mut bytes, mut pieces) = (Vec::new(), 0);
        while let Next::Piece { chunk, .. } = arrivals.take(pool) {
            bytes.extend_from_slice(&chunk);
            pieces += 1;
        }
        (bytes, pieces)
    }

    #[test]
    fn small_pieces_come_out_as_few_large_ones() {
        let (pool, mut arrivals) = (Pool::default(), Arrivals::default());
        let sent: Vec<u8> = (0..200_000u32).map(|at| at as u8).collect();
        for piece in sent.chunks(7) {
            arrivals.add(piece, &pool);
        }
        let (bytes, pieces) = taken(&mut arrivals, &pool);
        assert_eq!(bytes, sent);
        assert!(pieces < 20, "{pieces}");
    }

    #[test]
    fn the_end_comes_with_the_last_piece_unless_there_are_trailers() {
        let pool = Pool::default();
        let mut arrivals = Arrivals::default();
        arrivals.add(b"all", &pool);
        arrivals.end(End::Whole(None));
        assert!(matches!(
            arrivals.take(&pool),
            Next::Piece { last: true, .. }
        ));
        let mut arrivals = Arrivals::default();
        arrivals.add(b"all", &pool);
        arrivals.end(End::Whole(Some(Fields::new())));
        assert!(matches!(
            arrivals.take(&pool),
            Next::Piece { last: false, .. }
        ));
        assert!(matches!(
            arrivals.take(&pool),
            Next::End(End::Whole(Some(_)))
        ));
        assert!(matches!(arrivals.take(&pool), Next::Nothing));
    }
}
