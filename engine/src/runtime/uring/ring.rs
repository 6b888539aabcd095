//! The real kernel: an io_uring. All that is unsafe about it is here, beside the table in `buffers.rs`.
//!
//! A ring belongs to one thread, the one that enables it. The memory that operations name stays valid because of the
//! types that it is in: what is received into lies in `Buffers`, what is sent in a `Sending`, and both are leaked
//! rather than freed while the kernel has them. Nothing else is named by address but the headers of messages, and
//! those are the kernel's only until it has taken the entry from the queue (IORING_FEAT_SUBMIT_STABLE).

use super::buffers::{TABLE_ENTRIES, Table};
use super::kernel::{Completion, Kernel, Kind, Operation, Token};
use super::sending::Slice;
use crate::listener::{Listening, Newcomer};
use crate::runtime::delivery;
use io_uring::{IoUring, Probe, cqueue, opcode, squeue, types};
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::time::Duration;

/// Slices of one message.
pub(super) const SLICES_MAX: usize = 16;

/// The buffers' group: there is one.
const GROUP: u16 = 0;

/// From `linux/io_uring.h`, which the crate keeps to itself.
const ENTER_GETEVENTS: u32 = 1;
const ENTER_EXT_ARG: u32 = 1 << 3;

/// The size of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entries {
    /// Operations queued at once; more are submitted in between.
    pub(super) submission: u32,
    /// Completions; what does not fit is kept by the kernel and costs more.
    pub(super) completion: u32,
}

impl fmt::Display for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} entries", self.submission, self.completion)
    }
}

/// A ring and the table of its buffers.
pub(super) struct Ring {
    ring: IoUring,
    table: Table,
    messages: Messages,
    /// What the kernel was too busy to take; almost always empty.
    backlog: VecDeque<squeue::Entry>,
}

impl Ring {
    /// Makes a ring that is not enabled yet, so that it can be made on one thread and belong to another.
    pub(super) fn new(entries: Entries) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        // Completions are worked off when the worker enters the kernel anyway, not by interrupting it: 28 % less CPU
        // per request at 64 connections. DEFER_TASKRUN needs SINGLE_ISSUER.
        builder
            .setup_r_disabled()
            .setup_single_issuer()
            .setup_coop_taskrun()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_clamp()
            .setup_cqsize(entries.completion)
            .dontfork();
        let ring = builder
            .build(entries.submission)
            .map_err(|error| while_doing("io_uring_setup", &error))?;
        let mut ring = Self {
            ring,
            table: Table::new(),
            messages: Messages::default(),
            backlog: VecDeque::new(),
        };
        ring.check_features()?;
        ring.register_table()?;
        Ok(ring)
    }

    fn check_features(&self) -> io::Result<()> {
        let parameters = self.ring.params();
        let features = [
            ("NODROP", parameters.is_feature_nodrop()),
            ("EXT_ARG", parameters.is_feature_ext_arg()),
            ("SUBMIT_STABLE", parameters.is_feature_submit_stable()),
            ("FAST_POLL", parameters.is_feature_fast_poll()),
            ("CQE_SKIP", parameters.is_feature_skip_cqe_on_success()),
        ];
        let mut probe = Probe::new();
        self.ring
            .submitter()
            .register_probe(&mut probe)
            .map_err(|error| while_doing("asking for its operations", &error))?;
        let operations = [
            ("ACCEPT", opcode::Accept::CODE),
            ("POLL_ADD", opcode::PollAdd::CODE),
            ("RECV", opcode::Recv::CODE),
            ("SEND", opcode::Send::CODE),
            ("SENDMSG", opcode::SendMsg::CODE),
            ("ASYNC_CANCEL", opcode::AsyncCancel::CODE),
        ];
        let operations = operations.map(|(name, code)| (name, probe.is_supported(code)));
        match features.iter().chain(&operations).find(|(_, there)| !there) {
            None => Ok(()),
            Some((name, _)) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("the kernel's io_uring has no {name}"),
            )),
        }
    }

    fn register_table(&mut self) -> io::Result<()> {
        let address = self.table.address().as_ptr() as u64;
        // SAFETY: the table has that many entries, and from now on it is not freed unless it has been unregistered.
        let registered = unsafe {
            self.ring
                .submitter()
                .register_buf_ring_with_flags(address, TABLE_ENTRIES, GROUP, 0)
        };
        registered.map_err(|error| while_doing("registering its buffers", &error))?;
        self.table.registered = true;
        Ok(())
    }

    /// Makes the ring the current thread's.
    pub(super) fn enable(&self) -> io::Result<()> {
        self.ring
            .submitter()
            .register_enable_rings()
            .map_err(|error| while_doing("enabling the ring", &error))
    }

    fn build(&mut self, operation: Operation<'_, OwnedFd>) -> squeue::Entry {
        match operation {
            Operation::Accept(listener) => opcode::AcceptMulti::new(raw(&listener))
                .flags(libc::SOCK_CLOEXEC)
                .build(),
            Operation::Poll {
                descriptor,
                exclusive,
            } => {
                let exclusive = if exclusive { libc::EPOLLEXCLUSIVE } else { 0 };
                opcode::PollAdd::new(raw(&descriptor), (libc::POLLIN as u32) | exclusive as u32)
                    .build()
            }
            Operation::Receive(socket) => opcode::RecvMulti::new(raw(socket), GROUP).build(),
            // As much as the buffer holds.
            Operation::ReceiveOnce(socket) => {
                opcode::Recv::new(raw(socket), std::ptr::null_mut(), 0)
                    .buf_group(GROUP)
                    .build()
                    .flags(squeue::Flags::BUFFER_SELECT)
            }
            Operation::Send(socket, slices) => self.build_send(raw(socket), slices),
            // An error and the end of both directions are reported in any case.
            Operation::Watch(socket) => opcode::PollAdd::new(raw(socket), 0).multi(true).build(),
            // That it succeeded is told by the other one's completion.
            Operation::Cancel(token) => opcode::AsyncCancel::new(token.to_bits())
                .build()
                .flags(squeue::Flags::SKIP_SUCCESS),
        }
    }

    fn build_send(&mut self, socket: types::Fd, slices: &[Slice]) -> squeue::Entry {
        if slices.len() > 1
            && let Some(message) = self.messages.write(slices)
        {
            let flags = libc::MSG_NOSIGNAL as u32;
            return opcode::SendMsg::new(socket, message).flags(flags).build();
        }
        // The rest follows when this is out.
        let (start, length) = slices.first().map_or((std::ptr::null(), 0), |slice| {
            (slice.start(), slice.length())
        });
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        opcode::Send::new(socket, start, length)
            .flags(libc::MSG_NOSIGNAL)
            .build()
    }

    fn try_queue(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: the entry names descriptors, which stay open by the driver's care, and memory, which stays valid as
        // the file's comment says.
        unsafe { self.ring.submission().push(entry).is_ok() }
    }

    /// Queues what the kernel was too busy for, as far as it fits.
    fn queue_backlog(&mut self) {
        while let Some(entry) = self.backlog.pop_front() {
            if !self.try_queue(&entry) {
                self.backlog.push_front(entry);
                return;
            }
        }
    }

    /// One system call: begins what is queued, has completions worked off, and waits for `want` of them.
    fn call(&mut self, want: u32, wait_max: Option<Duration>) -> io::Result<()> {
        let queued = self.ring.submission().len();
        let queued = u32::try_from(queued).unwrap_or(u32::MAX);
        let timespec;
        let mut arguments = types::SubmitArgs::new();
        if let Some(wait_max) = wait_max {
            timespec = types::Timespec::from(wait_max);
            arguments = arguments.timespec(&timespec);
        }
        // SAFETY: with EXT_ARG the argument is what `SubmitArgs` is made of, and it lives for as long as the call.
        let called = unsafe {
            self.ring.submitter().enter(
                queued,
                want,
                ENTER_GETEVENTS | ENTER_EXT_ARG,
                Some(&arguments),
            )
        };
        if self.backlog.is_empty() && self.ring.submission().is_empty() {
            self.messages.clear();
        }
        match called.map_err(|error| Errno::from_io_error(&error)) {
            // Neither was anything lost: what is queued stays so.
            Ok(_) | Err(Some(Errno::TIME | Errno::INTR | Errno::AGAIN | Errno::BUSY)) => Ok(()),
            Err(Some(errno)) => Err(while_doing("io_uring_enter", &errno.into())),
            Err(None) => Err(io::Error::other("io_uring_enter failed without a reason")),
        }
    }

    /// Has the kernel forget the table. Nothing is being received any more.
    pub(super) fn unregister_table(&mut self) {
        if self.ring.submitter().unregister_buf_ring(GROUP).is_ok() {
            self.table.registered = false;
        }
    }
}

impl Kernel for Ring {
    type Socket = OwnedFd;

    fn push(&mut self, operation: Operation<'_, OwnedFd>, token: Token) {
        let entry = self.build(operation).user_data(token.to_bits());
        if self.backlog.is_empty() && self.try_queue(&entry) {
            return;
        }
        self.backlog.push_back(entry);
        // What goes wrong here goes wrong again with the turn's own call, and is told there.
        let _ = self.call(0, None);
        self.queue_backlog();
    }

    fn enter(&mut self, wait_max: Option<Duration>) -> io::Result<()> {
        self.queue_backlog();
        let want = u32::from(wait_max != Some(Duration::ZERO) && self.backlog.is_empty());
        self.call(want, wait_max)
    }

    fn take_completions(&mut self, into: &mut Vec<Completion<OwnedFd>>) {
        into.extend(self.ring.completion().map(|entry| complete(&entry)));
    }

    fn is_drained(&mut self) -> bool {
        self.ring.completion().is_empty() && !self.ring.submission().cq_overflow()
    }

    fn table(&mut self) -> &mut Table {
        &mut self.table
    }

    fn adopt(&mut self, descriptor: OwnedFd) -> OwnedFd {
        // The ring waits in our stead, which it may refuse to do for a socket that is not to be waited for.
        let _ = rustix::io::ioctl_fionbio(&descriptor, false);
        descriptor
    }

    fn introduce(&self, socket: &OwnedFd, listening: &Listening) -> Option<Newcomer> {
        listening.newcomer_of(socket)
    }

    fn is_quiet(&self, socket: &OwnedFd) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        rustix::net::recv(socket, &mut [0u8], flags) == Err(Errno::AGAIN)
    }

    fn is_delivered(&self, socket: &OwnedFd) -> bool {
        delivery::is_over(socket)
    }

    fn say_at_once(&self, socket: &OwnedFd, bytes: &[u8]) {
        delivery::say_at_once(socket, bytes);
    }

    fn shut_down(&self, socket: &OwnedFd) {
        let _ = rustix::net::shutdown(socket, Shutdown::Write);
    }

    fn reset_on_close(&self, socket: &OwnedFd) {
        // RFC 9293 section 3.10.4: closing with a zero linger sends a reset.
        let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
    }
}

fn raw(descriptor: &impl AsFd) -> types::Fd {
    types::Fd(descriptor.as_fd().as_raw_fd())
}

pub(super) fn while_doing(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

fn complete(entry: &cqueue::Entry) -> Completion<OwnedFd> {
    let token = Token::from_bits(entry.user_data());
    let flags = entry.flags();
    let result = match u32::try_from(entry.result()) {
        Ok(result) => Ok(result),
        Err(_) => Err(Errno::from_raw_os_error(entry.result().wrapping_neg())),
    };
    let socket = match result {
        // SAFETY: the kernel has just opened this descriptor for us and tells it to nobody else.
        Ok(_) if token.kind() == Kind::Accept => unsafe {
            Some(OwnedFd::from_raw_fd(entry.result()))
        },
        _ => None,
    };
    Completion {
        token,
        result,
        more: cqueue::more(flags),
        buffer: cqueue::buffer_select(flags),
        socket,
    }
}

/// The headers of messages that are queued. They stay where they are, and are used again once the kernel has taken
/// everything from the queue: it has made copies then.
#[derive(Default)]
struct Messages {
    /// Never more than there was room for at first.
    all: Vec<Message>,
    used: usize,
}

struct Message {
    header: libc::msghdr,
    slices: [libc::iovec; SLICES_MAX],
}

// SAFETY: the pointers in a header are for the kernel, and they are written anew for each use.
unsafe impl Send for Messages {}

impl Messages {
    /// Messages that are queued at once; they are long, and several of them fill the sockets' buffers. Beyond, what
    /// would be one message leaves in parts.
    const MAX: usize = 64;

    /// A header for these slices, if one is left.
    fn write(&mut self, slices: &[Slice]) -> Option<*const libc::msghdr> {
        if self.used == self.all.len() {
            if self.used == Self::MAX {
                return None;
            }
            self.all.reserve_exact(Self::MAX - self.all.len());
            self.all.push(Message {
                // SAFETY: these are plain numbers and pointers, for which zero is a value.
                header: unsafe { std::mem::zeroed() },
                slices: [libc::iovec {
                    iov_base: std::ptr::null_mut(),
                    iov_len: 0,
                }; SLICES_MAX],
            });
        }
        let message = &mut self.all[self.used];
        self.used += 1;
        for (place, slice) in message.slices.iter_mut().zip(slices) {
            // A message that is sent is only read.
            place.iov_base = slice.start().cast_mut().cast();
            place.iov_len = slice.length();
        }
        message.header.msg_iov = message.slices.as_mut_ptr();
        message.header.msg_iovlen = slices.len().min(SLICES_MAX) as _;
        Some(&raw const message.header)
    }

    fn clear(&mut self) {
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::uring::sending::{Sending, Slices};

    #[test]
    fn headers_stay_where_they_are_until_all_are_free_again() {
        let mut sending = Sending::default();
        sending.output().push(b"head");
        sending.output().push_shared(vec![b'x'; 10_000].into());
        let slices: Slices = sending.begin();
        let mut messages = Messages::default();
        let headers: Vec<_> = std::iter::from_fn(|| messages.write(slices.as_slice())).collect();
        assert_eq!(headers.len(), Messages::MAX);
        for (header, message) in headers.iter().zip(&messages.all) {
            assert!(std::ptr::eq(*header, &raw const message.header));
            assert!(std::ptr::eq(
                message.header.msg_iov,
                message.slices.as_ptr()
            ));
            assert_eq!(message.header.msg_iovlen, 2);
            assert_eq!(message.slices[1].iov_len, 10_000);
        }
        messages.clear();
        assert_eq!(messages.write(slices.as_slice()), headers.first().copied());
        sending.end(10_004);
    }
}
