//! `floor-ring-close [ADDRESS:]PORT`: what new connections alone cost under io_uring. Each is accepted, read until a head ends,
//! answered and closed, the last two in one chain; it parses nothing and bounds nothing. Not a server for anything but
//! comparisons. A descriptor's number is its key: it is closed by the last operation on it.

use std::io;
use std::os::fd::AsRawFd;

use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode, squeue};

use crate::answers::{Answers, Debt};

mod answers;

/// One read takes at most this.
const READ_BYTES: usize = 4096;

/// `MSG_WAITALL`: a send that falls short goes on.
const WAITALL: i32 = 0x100;

/// Kinds of operation, in the upper half of the user data; the lower half is the descriptor.
const ACCEPT: u64 = 0;
const RECV: u64 = 1 << 32;
const SEND: u64 = 2 << 32;

/// What the connections of one descriptor's number have, one after the other.
struct Place {
    debt: Debt,
    /// Never freed, for a recv may be under way.
    bytes: *mut u8,
}

fn main() -> io::Result<()> {
    let answers = Answers::with("connection: close\r\n");
    let listener = answers::listener()?;
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun();
    let mut ring: IoUring = builder.setup_cqsize(32 * 1024).build(2048)?;
    let accept = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build();
    let mut to_begin = vec![accept.clone()];
    let (mut places, mut completions) = (Vec::<Place>::new(), Vec::new());
    loop {
        for entry in to_begin.drain(..) {
            // SAFETY: neither the row of answers nor a place's bytes are ever freed, and a place has one recv at most, when
            // nobody looks at its bytes; a descriptor is only a number.
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
            let (kind, index) = (key >> 32 << 32, key as u32 as usize);
            let count = usize::try_from(completion.result());
            match (kind, count) {
                (ACCEPT, Ok(accepted)) => {
                    places.resize_with(places.len().max(accepted + 1), Place::new);
                    places[accepted].debt = Debt::default();
                    to_begin.push(places[accepted].recv(accepted));
                }
                // It failed for a connection that is lost already, or for want of a descriptor.
                (ACCEPT, Err(_)) => {}
                (RECV, Ok(count @ 1..)) => {
                    let place = &mut places[index];
                    // SAFETY: the recv has filled so much, and the next one is not begun.
                    let bytes = unsafe { std::slice::from_raw_parts(place.bytes, count) };
                    answers.count(&mut place.debt, bytes);
                    match place.debt.bytes {
                        0 => to_begin.push(place.recv(index)),
                        _ => {
                            to_begin.extend([answer(index, answers.next(place.debt)), close(index)])
                        }
                    }
                }
                // The peer is gone, or a send failed, and with it the close behind it.
                _ => to_begin.push(close(index)),
            }
            if kind == ACCEPT && !cqueue::more(flags) {
                to_begin.push(accept.clone());
            }
        }
    }
}

impl Place {
    fn new() -> Self {
        let bytes = Vec::leak(vec![0; READ_BYTES]).as_mut_ptr();
        let debt = Debt::default();
        Self { debt, bytes }
    }

    fn recv(&self, index: usize) -> squeue::Entry {
        let recv = opcode::Recv::new(Fd(index as i32), self.bytes, READ_BYTES as u32).build();
        recv.user_data(RECV | index as u64)
    }
}

/// Sends all of it. Its completion is told of only if it fails; otherwise the next operation begins.
fn answer(index: usize, bytes: &'static [u8]) -> squeue::Entry {
    let send = opcode::Send::new(Fd(index as i32), bytes.as_ptr(), bytes.len() as u32);
    let flags = squeue::Flags::IO_LINK | squeue::Flags::SKIP_SUCCESS;
    let send = send.flags(WAITALL).build().flags(flags);
    send.user_data(SEND | index as u64)
}

fn close(index: usize) -> squeue::Entry {
    let close = opcode::Close::new(Fd(index as i32)).build();
    close.flags(squeue::Flags::SKIP_SUCCESS)
}
