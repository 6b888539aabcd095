//! Input memory: buffers that a worker reads into and that requests keep alive by reference.
//!
//! A worker reads every connection into one large buffer. What is consumed within the turn costs no memory at all. A
//! request that lives across turns holds a [`Lease`], and the worker takes another buffer; so that slow requests
//! cannot pin all of them, [`Pool::share`] copies pieces out once too many buffers are out. What a
//! connection has received and not consumed (half a head, say) moves to the smallest buffer that holds it.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::rc::{Rc, Weak};

/// The size of the buffer a worker reads into. Larger buffers do not read faster on loopback or at 10 Gb/s, and this
/// one still fits the second-level cache.
pub(crate) const READ_BYTES: usize = 32 * 1024;

/// The smallest buffer: the fields of a usual request on HTTP/2.
const SMALLEST_BYTES: usize = 256;

/// Sizes kept for reuse: 256 and 512 bytes, 1, 2, 4, 8, 16, 32 and 64 KiB. Larger ones are given back to the allocator.
const CLASSES: usize = 9;

/// How many bytes of free buffers of each size a worker keeps; beyond that they go back to the allocator.
const FREE_BYTES_PER_CLASS_MAX: usize = 1024 * 1024;

/// How many buffers that were read into may be out on lease before pieces are copied instead: half a megabyte of them.
/// Those that a driver keeps come on top.
const READ_LEASES_MAX: usize = 16;

/// One worker's buffers.
#[derive(Clone, Default)]
pub(crate) struct Pool {
    inner: Rc<PoolInner>,
}

#[derive(Default)]
struct PoolInner {
    state: RefCell<PoolState>,
}

#[derive(Default)]
struct PoolState {
    free: [Vec<Rc<Buffer>>; CLASSES],
    /// Buffers to read into that exist outside the free list.
    read_leases: usize,
    /// Those of them that a driver keeps.
    read_kept: usize,
}

struct Buffer {
    bytes: Box<[u8]>,
    /// It counts among `read_leases`.
    for_reading: bool,
    pool: Weak<PoolInner>,
}

/// Shared ownership of one buffer; the last one to go gives it back to its pool.
#[derive(Clone)]
pub(crate) struct Lease {
    buffer: Rc<Buffer>,
}

/// A part of a buffer, which it keeps alive.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    lease: Lease,
    start: usize,
    len: usize,
}

impl Pool {
    /// A buffer of at least `bytes_min`, with whatever it held before.
    pub(crate) fn take(&self, bytes_min: usize) -> Lease {
        self.take_for(bytes_min, false)
    }

    /// A buffer of at least `bytes_min` for the kernel to write into.
    pub(crate) fn take_for_reading(&self, bytes_min: usize) -> Lease {
        self.inner.state.borrow_mut().read_leases += 1;
        self.take_for(bytes_min, true)
    }

    /// Takes note of how many buffers a driver keeps for reading, whether requests hold others or not.
    pub(crate) fn keep_for_reading(&self, count: usize) {
        self.inner.state.borrow_mut().read_kept = count;
    }

    fn take_for(&self, bytes_min: usize, for_reading: bool) -> Lease {
        let bytes = bytes_min.next_power_of_two().max(SMALLEST_BYTES);
        let mut state = self.inner.state.borrow_mut();
        let mut reused = class_of(bytes).and_then(|class| state.free[class].pop());
        // Nobody else holds what stands in the free list.
        if let Some(buffer) = reused.as_mut().and_then(Rc::get_mut) {
            buffer.for_reading = for_reading;
        }
        let buffer = reused.unwrap_or_else(|| self.buffer_of(vec![0; bytes].into(), for_reading));
        Lease { buffer }
    }

    fn buffer_of(&self, bytes: Box<[u8]>, for_reading: bool) -> Rc<Buffer> {
        Rc::new(Buffer {
            bytes,
            for_reading,
            pool: Rc::downgrade(&self.inner),
        })
    }

    /// Buffers to read into that are out.
    #[cfg(test)]
    pub(crate) fn read_leases(&self) -> usize {
        self.inner.state.borrow().read_leases
    }

    /// The bytes of `lease` at `range`: in the same buffer, or copied when so many are out that the worker's own reading
    /// would suffer. Whoever holds many pieces of a few bytes then, holds about so many bytes: small copies fit exactly.
    #[inline(always)]
    pub(crate) fn share(&self, lease: &Lease, range: Range<usize>) -> Piece {
        if lease.is_for_reading() && self.is_scarce() {
            let bytes = &lease.bytes()[range];
            if bytes.len() >= SMALLEST_BYTES {
                return self.copy(bytes);
            }
            return Piece {
                lease: Lease {
                    buffer: self.buffer_of(bytes.into(), false),
                },
                start: 0,
                len: bytes.len(),
            };
        }
        Piece {
            lease: lease.clone(),
            start: range.start,
            len: range.len(),
        }
    }

    fn is_scarce(&self) -> bool {
        let state = self.inner.state.borrow();
        state.read_leases > READ_LEASES_MAX + state.read_kept
    }

    /// A copy of `bytes`.
    pub(crate) fn copy(&self, bytes: &[u8]) -> Piece {
        let mut lease = self.take(bytes.len());
        if let Some(room) = lease.bytes_mut() {
            room[..bytes.len()].copy_from_slice(bytes);
        }
        Piece {
            lease,
            start: 0,
            len: bytes.len(),
        }
    }
}

impl PoolInner {
    fn give_back(&self, buffer: Rc<Buffer>) {
        let bytes = buffer.bytes.len();
        let mut state = self.state.borrow_mut();
        state.read_leases -= usize::from(buffer.for_reading);
        if let Some(class) = class_of(bytes)
            && state.free[class].len() < FREE_BYTES_PER_CLASS_MAX / bytes
        {
            state.free[class].push(buffer);
        }
    }
}

fn class_of(bytes: usize) -> Option<usize> {
    let class = (bytes / SMALLEST_BYTES).trailing_zeros() as usize;
    (class < CLASSES).then_some(class)
}

impl Lease {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer.bytes
    }

    /// The bytes to write into, if nobody else holds the buffer.
    pub(crate) fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        Rc::get_mut(&mut self.buffer).map(|buffer| &mut buffer.bytes[..])
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.bytes.len()
    }

    fn is_for_reading(&self) -> bool {
        self.buffer.for_reading
    }

    pub(crate) fn is_shared(&self) -> bool {
        Rc::strong_count(&self.buffer) > 1
    }
}

impl Piece {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.lease.bytes()[self.start..self.start + self.len]
    }

    /// The bytes to write into, if nobody else holds the buffer.
    pub(crate) fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        let part = self.start..self.start + self.len;
        self.lease.bytes_mut().map(|bytes| &mut bytes[part])
    }

    /// The buffer, of which the first `len` bytes are the piece's, and `len`; none if it does not begin with them.
    pub(crate) fn into_front(self) -> Option<(Lease, usize)> {
        (self.start == 0).then_some((self.lease, self.len))
    }
}

impl Drop for Lease {
    #[inline]
    fn drop(&mut self) {
        if !self.is_shared() {
            self.give_back();
        }
    }
}

impl Lease {
    /// Gives the buffer to its pool, if that is still there. It is the pool's alone once this lease is gone.
    fn give_back(&self) {
        if let Some(pool) = self.buffer.pool.upgrade() {
            pool.give_back(self.buffer.clone());
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn free(pool: &Pool) -> Vec<usize> {
        pool.inner
            .state
            .borrow()
            .free
            .iter()
            .map(Vec::len)
            .collect()
    }

    #[test]
    fn a_buffer_comes_back_when_its_last_lease_goes() {
        let pool = Pool::default();
        let lease = pool.take_for_reading(READ_BYTES);
        let other = lease.clone();
        drop(lease);
        assert_eq!(free(&pool).iter().sum::<usize>(), 0);
        assert_eq!(other.len(), READ_BYTES);
        drop(other);
        assert_eq!(free(&pool)[7], 1);
        assert_eq!(pool.inner.state.borrow().read_leases, 0);
    }

    #[test]
    fn a_shared_buffer_cannot_be_written() {
        let pool = Pool::default();
        let mut lease = pool.take(1);
        assert!(lease.bytes_mut().is_some());
        let other = lease.clone();
        assert!(lease.is_shared() && lease.bytes_mut().is_none());
        drop(other);
        assert!(lease.bytes_mut().is_some());
    }

    #[test]
    fn beyond_a_quarter_of_the_pool_pieces_are_copied() {
        let pool = Pool::default();
        let held: Vec<Lease> = (0..READ_LEASES_MAX)
            .map(|_| pool.take_for_reading(READ_BYTES))
            .collect();
        let same = pool.share(&held[0], 10..20);
        assert_eq!((same.lease.len(), same.start), (READ_BYTES, 10));
        let mut last = pool.take_for_reading(READ_BYTES);
        last.bytes_mut().unwrap()[10..20].copy_from_slice(b"0123456789");
        let copy = pool.share(&last, 10..20);
        assert_eq!((copy.lease.len(), copy.start), (10, 0));
        assert_eq!(copy.bytes(), b"0123456789");
        // What a driver keeps anyway is not what requests hold.
        pool.keep_for_reading(1);
        assert_eq!(pool.share(&last, 10..20).lease.len(), READ_BYTES);
        // Nor does it matter how large a buffer is that nobody reads into.
        let other = pool.take(READ_BYTES);
        pool.keep_for_reading(0);
        assert_eq!(pool.share(&other, 0..1).lease.len(), READ_BYTES);
    }

    #[test]
    fn what_is_kept_for_reuse_is_bounded() {
        let pool = Pool::default();
        let many: Vec<Lease> = (0..100).map(|_| pool.take(READ_BYTES)).collect();
        drop(many);
        assert_eq!(free(&pool)[7], FREE_BYTES_PER_CLASS_MAX / READ_BYTES);
        drop(pool.take(10_000_000));
        assert_eq!(
            free(&pool).iter().sum::<usize>(),
            FREE_BYTES_PER_CLASS_MAX / READ_BYTES
        );
    }

    #[test]
    fn a_lease_may_outlive_its_pool() {
        let lease = Pool::default().take(5);
        assert_eq!(lease.len(), SMALLEST_BYTES);
    }
}
