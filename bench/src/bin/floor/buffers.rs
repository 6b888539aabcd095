//! The provided buffers of `floor-ring`, which the kernel fills bit by bit: small requests lie close together, and a large batch
//! is one completion.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::{BufRingEntry, IOU_PBUF_RING_INC};

/// Buffers, a power of two. A turn in which more is received ends some multishot recvs, which begin again. A megabyte in all
/// fits the second-level cache, which more would be driven through.
const BUFFERS: u16 = 16;
pub(crate) const BUFFER_BYTES: usize = 64 * 1024;

/// The only group of them.
pub(crate) const GROUP: u16 = 0;

/// Memory that the kernel fills while it is in the ring. What a completion tells of is ours until its buffer is offered again.
pub(crate) struct Buffers {
    ring: *mut BufRingEntry,
    tail: u16,
    bytes: *mut u8,
    /// How much of each is filled.
    taken: [usize; BUFFERS as usize],
}

impl Buffers {
    pub(crate) fn register(submitter: &Submitter<'_>) -> io::Result<Self> {
        /// The kernel wants the ring in whole pages.
        #[repr(C, align(4096))]
        struct Entries([u8; 4096]);
        const { assert!(size_of::<Entries>() >= BUFFERS as usize * size_of::<BufRingEntry>()) };
        let mut buffers = Self {
            ring: (&raw mut *Box::leak(Box::new(Entries([0; 4096])))).cast(),
            tail: 0,
            bytes: vec![0; usize::from(BUFFERS) * BUFFER_BYTES]
                .leak()
                .as_mut_ptr(),
            taken: [0; BUFFERS as usize],
        };
        let flags = IOU_PBUF_RING_INC as u16;
        // SAFETY: a zeroed page that is never freed, with room for as many entries as is said.
        unsafe {
            submitter.register_buf_ring_with_flags(buffers.ring as u64, BUFFERS, GROUP, flags)?
        };
        (0..BUFFERS).for_each(|buffer| buffers.offer(buffer));
        buffers.publish();
        Ok(buffers)
    }

    /// Puts a buffer behind the others; the kernel sees it at the next `publish`.
    pub(crate) fn offer(&mut self, buffer: u16) {
        let index = usize::from(buffer);
        self.taken[index] = 0;
        // SAFETY: both places are within, for `taken` has an item of that index. There are as many entries as buffers, so the
        // kernel has done with the entry, and does not look at it before `publish`. The setters leave the tail alone, which
        // shares the first entry's memory.
        unsafe {
            let entry = &mut *self.ring.add(usize::from(self.tail % BUFFERS));
            entry.set_addr(self.bytes.add(index * BUFFER_BYTES) as u64);
            entry.set_len(BUFFER_BYTES as u32);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    pub(crate) fn publish(&self) {
        // SAFETY: the ring is initialised, aligned and never freed, and both sides access its tail atomically.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.ring).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// What a completion added to a buffer.
    pub(crate) fn take(&mut self, buffer: u16, count: usize) -> &[u8] {
        let from = self.taken[usize::from(buffer)];
        self.taken[usize::from(buffer)] += count;
        assert!(from + count <= BUFFER_BYTES);
        // SAFETY: within the buffer by the line above. The kernel has filled this part, and writes behind it only until the
        // buffer is offered again, for which `self` must be borrowed anew.
        unsafe {
            let start = self.bytes.add(usize::from(buffer) * BUFFER_BYTES + from);
            std::slice::from_raw_parts(start, count)
        }
    }
}
