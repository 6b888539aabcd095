//! `floor-ring [ADDRESS:]PORT`: what the sockets alone cost under io_uring. One enter a turn, multishot accept and recv, one send
//! in flight per connection; it parses nothing and bounds nothing. Not a server for anything but comparisons.
//! A descriptor's number is its key: it is closed when no operation on it is left, so no completion meets another connection.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, cqueue, opcode, squeue};

use crate::answers::{Answers, Debt};

mod answers;

/// Provided buffers. Their size is no power of two, or their beginnings would share places in the cache.
const BUFFERS: u16 = 256;
const BUFFER_BYTES: usize = 8 * 1024 + 64;

/// Kinds of operation, in the upper half of the user data; the lower half is the descriptor.
const ACCEPT: u64 = 0;
const RECV: u64 = 1 << 32;
const SEND: u64 = 2 << 32;

#[derive(Clone, Copy, Default)]
struct Connection {
    debt: Debt,
    receiving: bool,
    sending: bool,
    /// The peer's end was read.
    over: bool,
}

fn main() -> io::Result<()> {
    let (answers, listener) = (Answers::with(""), answers::listener()?);
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun();
    let mut ring: IoUring = builder.setup_cqsize(32 * 1024).build(2048)?;
    // The kernel wants the ring of buffers in a page of its own.
    let pages = Vec::leak(vec![0_u8; 2 * 4096]).as_mut_ptr();
    let entries: *mut BufRingEntry = pages.wrapping_add(pages.align_offset(4096)).cast();
    let bytes = Vec::leak(vec![0_u8; usize::from(BUFFERS) * BUFFER_BYTES]).as_mut_ptr();
    for buffer in 0..BUFFERS {
        // SAFETY: within the page.
        let entry = unsafe { &mut *entries.add(buffer.into()) };
        entry.set_addr(bytes.wrapping_add(usize::from(buffer) * BUFFER_BYTES) as u64);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(buffer);
    }
    let (submitter, at) = (ring.submitter(), entries as u64);
    // SAFETY: neither is ever freed. The tail is aligned, and both sides access it atomically.
    let tail = unsafe {
        submitter.register_buf_ring_with_flags(at, BUFFERS, 0, 0)?;
        AtomicU16::from_ptr(BufRingEntry::tail(entries).cast_mut())
    };
    tail.store(BUFFERS, Ordering::Release);
    let accept = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build();
    let mut to_begin = vec![accept.clone()];
    let (mut connections, mut completions) = (Vec::<Connection>::new(), Vec::new());
    loop {
        for entry in to_begin.drain(..) {
            // SAFETY: what a send points to, the row of answers, is never freed; a descriptor is only a number.
            while unsafe { ring.submission().push(&entry) }.is_err() {
                ring.submit()?;
            }
        }
        match ring.submit_and_wait(1) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => completions.extend(ring.completion()),
        }
        for completion in completions.drain(..) {
            let (key, flags) = (completion.user_data(), completion.flags());
            let (kind, mut index) = (key >> 32 << 32, key as u32 as usize);
            let count = usize::try_from(completion.result());
            if kind == ACCEPT {
                if !cqueue::more(flags) {
                    to_begin.push(accept.clone());
                }
                // It fails for a connection that is lost already, or for want of a descriptor.
                let Ok(accepted) = count else { continue };
                index = accepted;
                connections.resize(connections.len().max(index + 1), Connection::default());
                connections[index] = Connection::default();
            }
            let connection = &mut connections[index];
            if let (Some(buffer), Ok(count)) = (cqueue::buffer_select(flags), count) {
                let start = usize::from(buffer) * BUFFER_BYTES;
                // SAFETY: filled so far, and left alone until the tail moves, for buffers come back in their order.
                let bytes = unsafe { std::slice::from_raw_parts(bytes.add(start), count) };
                answers.count(&mut connection.debt, bytes);
                tail.fetch_add(1, Ordering::Release);
            }
            if kind == RECV {
                // After an error, such as want of a buffer, it begins anew.
                (connection.receiving, connection.over) = (cqueue::more(flags), count == Ok(0));
            } else if kind == SEND {
                // After an error no debt is left, and a recv tells of the end.
                connection.debt.bytes = count.map_or(0, |sent| connection.debt.bytes - sent);
                connection.sending = false;
            }
            connection.go_on(index, &answers, &mut to_begin);
        }
    }
}

impl Connection {
    fn go_on(&mut self, index: usize, answers: &Answers, to_begin: &mut Vec<squeue::Entry>) {
        let (fd, key) = (Fd(index as i32), index as u64);
        if !self.receiving && !self.over {
            self.receiving = true;
            let recv = opcode::RecvMulti::new(fd, 0).build();
            to_begin.push(recv.user_data(RECV | key));
        }
        if !self.sending && self.debt.bytes > 0 {
            self.sending = true;
            let bytes = answers.next(self.debt);
            let send = opcode::Send::new(fd, bytes.as_ptr(), bytes.len() as u32).build();
            to_begin.push(send.user_data(SEND | key));
        }
        if self.over && !self.sending && !self.receiving {
            let close = opcode::Close::new(fd).build();
            to_begin.push(close.flags(squeue::Flags::SKIP_SUCCESS));
        }
    }
}
