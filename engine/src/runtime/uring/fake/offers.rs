//! The fake kernel's half of the memory that it shares with the driver: the table it takes buffers from, and the bytes
//! that it is given to send.

use crate::runtime::uring::buffers::{BUFFER_BYTES, Entry, TABLE_ENTRIES, Table};
use crate::runtime::uring::sending::Slice;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

/// What the first and the last bytes of a buffer on offer are, for as long as it is.
const PATTERN: u8 = 0xa5;
const PATTERN_BYTES: usize = 64;

/// Buffers on offer, in their order.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// Entries looked at so far.
    head: u16,
    seen: VecDeque<Buffer>,
}

/// A buffer that the kernel has.
#[derive(Debug)]
pub(super) struct Buffer {
    id: u16,
    start: *mut u8,
    length: usize,
}

impl Offers {
    /// Looks at what has been offered. Returns how many there are now.
    pub(super) fn look(&mut self, table: &Table) -> usize {
        let base = table.address().as_ptr();
        // SAFETY: the tail is part of the table, which is there for as long as `table` is.
        let tail = unsafe { table.shared_tail() }.load(Ordering::Acquire);
        while self.head != tail {
            let index = usize::from(self.head % TABLE_ENTRIES);
            // SAFETY: the index is within the table, and the entry stands before the tail: it was written.
            let entry: Entry = unsafe { base.add(index).read() };
            self.head = self.head.wrapping_add(1);
            let buffer = Buffer {
                id: entry.id,
                start: entry.address as *mut u8,
                length: entry.length as usize,
            };
            assert_eq!(buffer.length, BUFFER_BYTES);
            assert!(
                self.seen.iter().all(|seen| seen.id != buffer.id),
                "buffer {} is offered twice",
                buffer.id
            );
            buffer.write_pattern();
            self.seen.push_back(buffer);
        }
        self.seen.len()
    }

    /// Takes the next one.
    pub(super) fn take(&mut self, table: &Table) -> Option<Buffer> {
        self.look(table);
        let buffer = self.seen.pop_front()?;
        buffer.check_pattern();
        Some(buffer)
    }
}

impl Buffer {
    pub(super) fn id(&self) -> u16 {
        self.id
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn fill(&mut self, bytes: &[u8]) {
        self.write(0, bytes);
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.length);
        // SAFETY: whoever offers a buffer says that it has that many bytes, and leaves them to us.
        unsafe {
            let place = self.start.add(at);
            place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
    }

    fn write_pattern(&self) {
        self.write(0, &[PATTERN; PATTERN_BYTES]);
        self.write(self.length - PATTERN_BYTES, &[PATTERN; PATTERN_BYTES]);
    }

    fn check_pattern(&self) {
        for at in [0, self.length - PATTERN_BYTES] {
            // SAFETY: as for writing.
            let bytes = unsafe { std::slice::from_raw_parts(self.start.add(at), PATTERN_BYTES) };
            assert!(
                bytes.iter().all(|byte| *byte == PATTERN),
                "somebody wrote to buffer {} while it was on offer",
                self.id
            );
        }
    }
}

/// The bytes that a send is about.
pub(super) fn read(slices: &[Slice]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for slice in slices {
        // SAFETY: whoever sends a slice says that so many bytes stand there until the send has completed.
        bytes.extend_from_slice(unsafe {
            std::slice::from_raw_parts(slice.start(), slice.length())
        });
    }
    assert!(!bytes.is_empty(), "there is nothing to send");
    bytes
}
