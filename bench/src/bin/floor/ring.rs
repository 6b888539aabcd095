//! `floor-ring PORT [close]`: what the sockets alone cost under io_uring. One enter a turn, multishot accept and recv, a ring of
//! provided buffers that are filled bit by bit (Linux 6.12), one send in flight per connection with what is asked meanwhile
//! behind it; it parses nothing and bounds nothing. Not a server for anything but comparisons.
//!
//! A descriptor's number is its key: it is closed when no operation on it is left, so no completion meets another connection.

use std::io;
use std::os::fd::AsRawFd;

use io_uring::cqueue::{buffer_more, buffer_select, more};
use io_uring::opcode::{AcceptMulti, Close, Recv, RecvMulti, Send};
use io_uring::squeue::{Entry, Flags, SubmissionQueue};
use io_uring::types::Fd;
use io_uring::{IoUring, Submitter};
use rustix::io::Errno;
use rustix::net::SendFlags;

use crate::answers::{Debt, Floor};
use crate::buffers::{BUFFER_BYTES, Buffers, GROUP};

mod answers;
mod buffers;

/// Kinds of operation, in the upper half of the user data; the lower half is the descriptor.
const ACCEPT: u64 = 0;
const RECV: u64 = 1 << 32;
const SEND: u64 = 2 << 32;
const CLOSE: u64 = 3 << 32;

#[derive(Clone, Copy, Default)]
struct Connection {
    debt: Debt,
    receiving: bool,
    sending: bool,
    /// The last send found no room, so the next one waits for it.
    full: bool,
    /// The peer's end was read, or the connection failed, which ends the debt too, or all that was to be said on it was.
    over: bool,
}

struct Ring<'a> {
    submitter: Submitter<'a>,
    submissions: SubmissionQueue<'a>,
    floor: Floor,
    connections: Vec<Connection>,
    /// Connections that have something sent when the turn is over, and then wait for its completion.
    due: Vec<usize>,
}

fn main() -> io::Result<()> {
    let (floor, listener) = Floor::start()?;
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_coop_taskrun();
    builder.setup_defer_taskrun().setup_submit_all();
    let mut ring: IoUring = builder.setup_cqsize(32 * 1024).build(2048)?;
    let (mut submitter, submissions, mut completions) = ring.split();
    submitter.register_ring_fd()?;
    let mut buffers = Buffers::register(&submitter)?;
    let mut ring = Ring {
        submitter,
        submissions,
        floor,
        connections: Vec::new(),
        due: Vec::new(),
    };
    let accept = AcceptMulti::new(Fd(listener.as_raw_fd())).build();
    let accept = accept.user_data(ACCEPT);
    ring.push(&accept)?;
    loop {
        // First the kernel is told how far we have read: while it thinks that something is left it does not wait.
        completions.sync();
        match ring.enter() {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => completions.sync(),
        }
        for completion in &mut completions {
            let (user_data, flags) = (completion.user_data(), completion.flags());
            let (kind, index) = (user_data >> 32 << 32, user_data as u32 as usize);
            if let Some(buffer) = buffer_select(flags) {
                let count = usize::try_from(completion.result()).unwrap_or_default();
                let debt = &mut ring.connections[index].debt;
                ring.floor.count(debt, buffers.take(buffer, count));
                if !buffer_more(flags) {
                    buffers.offer(buffer);
                }
            }
            if kind == ACCEPT {
                ring.accepted(completion.result())?;
                if !more(flags) {
                    ring.push(&accept)?;
                }
            } else if kind != CLOSE {
                ring.complete(kind, index, completion.result(), more(flags))?;
            }
        }
        buffers.publish();
    }
}

impl Ring<'_> {
    fn push(&mut self, entry: &Entry) -> io::Result<()> {
        // SAFETY: all that operations point to, the row of answers, is never freed; descriptors are only numbers to the ring.
        while unsafe { self.submissions.push(entry) }.is_err() {
            self.submissions.sync();
            self.submitter.submit()?;
            self.submissions.sync();
        }
        Ok(())
    }

    /// Submits, and waits for one completion besides those that are there at once.
    fn enter(&mut self) -> io::Result<usize> {
        let mut immediate = 0;
        while let Some(index) = self.due.pop() {
            let connection = &self.connections[index];
            let bytes = self.floor.next(connection.debt);
            let mut flags = SendFlags::NOSIGNAL;
            // A send that waits for no room is complete when it is submitted. We need not hear of it at once if it pays all and
            // no close hangs on it.
            let pays_all = !connection.full && bytes.len() == connection.debt.bytes;
            if pays_all && connection.receiving && !connection.over {
                flags |= SendFlags::DONTWAIT;
                immediate += 1;
            }
            let entry = Send::new(Fd(index as i32), bytes.as_ptr(), bytes.len() as u32);
            let entry = entry.flags(flags.bits() as i32).build();
            self.push(&entry.user_data(SEND | index as u64))?;
        }
        self.submissions.sync();
        self.submitter.submit_and_wait(1 + immediate)
    }

    /// An accept fails for a connection that is lost already, or for want of a descriptor, and then is tried until there is one.
    fn accepted(&mut self, result: i32) -> io::Result<()> {
        let Ok(index) = usize::try_from(result) else {
            return Ok(());
        };
        let count = self.connections.len().max(index + 1);
        self.connections.resize(count, Connection::default());
        self.connections[index] = Connection::default();
        self.receive(index)
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        self.connections[index].receiving = true;
        let fd = Fd(index as i32);
        // Where one request is all, a recv that goes on would have to be cancelled before the close.
        let entry = match self.floor.closes {
            false => RecvMulti::new(fd, GROUP).build(),
            true => Recv::new(fd, std::ptr::null_mut(), BUFFER_BYTES as u32)
                .buf_group(GROUP)
                .build()
                .flags(Flags::BUFFER_SELECT),
        };
        self.push(&entry.user_data(RECV | index as u64))
    }

    /// Takes what a recv or a send has come to; what is owed then goes out at the end of the turn, and what is over is closed.
    fn complete(&mut self, kind: u64, index: usize, result: i32, goes_on: bool) -> io::Result<()> {
        let connection = &mut self.connections[index];
        if kind == SEND {
            (connection.sending, connection.full) = (false, result < 0);
            let sent = usize::try_from(result).unwrap_or_default();
            connection.debt.bytes = connection.debt.bytes.saturating_sub(sent);
            connection.over |= self.floor.closes && connection.debt.bytes == 0;
        } else {
            connection.receiving = goes_on;
            connection.over |= result == 0;
        }
        let later = [Errno::NOBUFS, Errno::AGAIN].map(|errno| -errno.raw_os_error());
        if result < 0 && !later.contains(&result) {
            (connection.over, connection.debt.bytes) = (true, 0);
        }
        let has_all = connection.over || self.floor.closes && connection.debt.bytes > 0;
        if !connection.receiving && !has_all {
            self.receive(index)?;
        }
        let connection = &mut self.connections[index];
        if connection.debt.bytes > 0 && !connection.sending {
            connection.sending = true;
            self.due.push(index);
        }
        if connection.over && !connection.sending && !connection.receiving {
            let close = Close::new(Fd(index as i32)).build();
            // Nothing can be done about one that fails, and nothing else is told.
            return self.push(&close.flags(Flags::SKIP_SUCCESS).user_data(CLOSE));
        }
        Ok(())
    }
}
