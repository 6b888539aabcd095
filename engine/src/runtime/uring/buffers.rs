//! The buffers that the kernel receives into, of its own choice: a table in memory shared with it, on which we offer
//! leases of the worker's pool and from which it takes them in order.
//!
//! Who may touch what:
//! - A buffer on offer belongs to the kernel. Its lease lies here, nobody shares it and nobody looks into it.
//! - A completion that names the buffer gives it to the driver ([`Buffers::take`]), and the kernel forgets it.
//! - Afterwards it is offered again ([`Buffers::give_back`]), or another one in its place if a request still holds it.
//! - The table itself is read by the kernel at any time while it is registered.
//!
//! What belongs to the kernel is never freed: whoever drops [`Buffers`] or a [`Table`] too early leaks them.

use crate::lease::{Lease, Pool};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// The size of a buffer. A request with its head fits, so do sixteen pipelined ones; what one receive brings of an
/// upload is bounded by it.
pub(super) const BUFFER_BYTES: usize = 16 * 1024;

/// Buffers on offer at first, and at most: their number doubles each time the kernel found none. One wait fills one for each
/// client that sent a request, and up to 33 for one that sent a long body behind it.
const OFFERED_FIRST: u16 = 64;
const OFFERED_MAX: u16 = 512;

/// The table's length, a power of two as the kernel wants it.
pub(super) const TABLE_ENTRIES: u16 = OFFERED_MAX;

/// One place of the table, as the kernel reads it (`struct io_uring_buf`).
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) address: u64,
    pub(super) length: u32,
    pub(super) id: u16,
    /// In the first entry the table's tail, else unused.
    tail: u16,
}

/// Where in the first entry the tail stands.
const TAIL_OFFSET: usize = std::mem::offset_of!(Entry, tail);

/// The kernel wants the table to begin a page; no page of Linux is larger.
const PAGE_BYTES_MAX: usize = 64 * 1024;

/// The table that is shared with the kernel.
pub(super) struct Table {
    base: NonNull<Entry>,
    /// How many entries have been written so far.
    tail: u16,
    /// The kernel may read it.
    pub(super) registered: bool,
}

// SAFETY: the table's memory is its own, and nobody else of this process has a pointer to it. The kernel reads it
// whatever thread it is on.
unsafe impl Send for Table {}

impl Table {
    pub(super) fn new() -> Self {
        let layout = Self::layout();
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(base) = NonNull::new(memory.cast()) else {
            handle_alloc_error(layout)
        };
        Self {
            base,
            tail: 0,
            registered: false,
        }
    }

    fn layout() -> Layout {
        let bytes = usize::from(TABLE_ENTRIES) * size_of::<Entry>();
        Layout::from_size_align(bytes, PAGE_BYTES_MAX).expect("a few pages fit into memory")
    }

    /// Where it begins, for the kernel.
    pub(super) fn address(&self) -> NonNull<Entry> {
        self.base
    }

    /// Adds a buffer. The caller does not touch it until the kernel has given it back.
    fn offer(&mut self, id: u16, buffer: &mut [u8]) {
        let entry = Entry {
            address: buffer.as_mut_ptr() as u64,
            length: u32::try_from(buffer.len()).unwrap_or(u32::MAX),
            id,
            tail: 0,
        };
        let index = usize::from(self.tail % TABLE_ENTRIES);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the index is within the table. The kernel reads entries before the tail only, and this one is there
        // again only after the store below: no more buffers are on offer than the table has entries. All fields but the
        // tail are written, which is the kernel's to read at any time where the entry is the first.
        unsafe {
            let place = self.base.as_ptr().add(index);
            (&raw mut (*place).address).write(entry.address);
            (&raw mut (*place).length).write(entry.length);
            (&raw mut (*place).id).write(entry.id);
            self.shared_tail().store(self.tail, Ordering::Release);
        }
    }

    /// The tail that both sides see.
    ///
    /// # Safety
    /// To be used while the table is there.
    pub(super) unsafe fn shared_tail<'a>(&self) -> &'a AtomicU16 {
        // SAFETY: the field lies within the table's first entry and is aligned; all accesses to it are atomic.
        unsafe { AtomicU16::from_ptr(self.base.as_ptr().byte_add(TAIL_OFFSET).cast()) }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if !self.registered {
            // SAFETY: it was allocated with this layout, and the kernel does not know of it any more.
            unsafe { dealloc(self.base.as_ptr().cast(), Self::layout()) }
        }
    }
}

/// The buffers of one worker.
pub(super) struct Buffers {
    /// By the number that the kernel knows a buffer by; empty while the driver has it.
    slots: Vec<Option<Lease>>,
    pool: Pool,
}

impl Buffers {
    /// Offers the first buffers.
    pub(super) fn new(table: &mut Table, pool: Pool) -> Self {
        let mut buffers = Self {
            slots: Vec::new(),
            pool,
        };
        buffers.offer_more(table, OFFERED_FIRST);
        buffers
    }

    /// The kernel found no buffer: offers twice as many from now on.
    pub(super) fn grow(&mut self, table: &mut Table) {
        let count = self.slots.len() as u16;
        self.offer_more(table, count.min(OFFERED_MAX - count));
    }

    fn offer_more(&mut self, table: &mut Table, count: u16) {
        for _ in 0..count {
            let id = self.slots.len() as u16;
            self.slots.push(None);
            self.offer(table, id, None);
        }
        self.pool.keep_for_reading(self.slots.len());
    }

    /// Puts a buffer into an empty slot and offers it, or a fresh one if this cannot be written to.
    fn offer(&mut self, table: &mut Table, id: u16, lease: Option<Lease>) {
        let unshared = lease.filter(|lease| !lease.is_shared());
        let mut lease = unshared.unwrap_or_else(|| self.pool.take_for_reading(BUFFER_BYTES));
        if let Some(bytes) = lease.bytes_mut() {
            table.offer(id, bytes);
        }
        self.slots[usize::from(id)] = Some(lease);
    }

    /// Takes a buffer that the kernel has filled.
    ///
    /// # Errors
    /// If it is not on offer: the kernel, or the driver, has lost count.
    pub(super) fn take(&mut self, id: u16) -> io::Result<Lease> {
        let slot = self.slots.get_mut(usize::from(id));
        slot.and_then(Option::take).ok_or_else(|| {
            io::Error::other(format!(
                "the kernel filled buffer {id}, which it did not have"
            ))
        })
    }

    /// Offers a buffer again that [`Buffers::take`] gave, or another one if somebody still holds it.
    pub(super) fn give_back(&mut self, table: &mut Table, id: u16, lease: Lease) {
        self.offer(table, id, Some(lease));
    }

    /// Takes everything back from the kernel, which does not know the table any more.
    pub(super) fn retire(&mut self, table: &Table) {
        if !table.registered {
            self.slots.clear();
            self.pool.keep_for_reading(0);
        }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // The kernel may still write into these.
        self.slots.drain(..).for_each(std::mem::forget);
    }
}
