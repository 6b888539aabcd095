//! The seam between the driver and the kernel: what the driver can ask for, and how it is answered. `ring.rs` has the
//! real kernel behind it, `fake.rs` one that does everything that a real one may.

use super::buffers::Table;
use super::sending::Slice;
use crate::listener::{Listening, Newcomer};
use crate::slab::Key;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::io;
use std::time::Duration;

/// What completes. Every operation carries one of these, and so does each of its completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Connections of a listener; its place is the listener's number.
    Accept,
    /// A listener that has a connection, likewise.
    Knock,
    /// Bytes of a connection's client, each time in a buffer of the kernel's choice.
    Receive,
    /// Bytes to a connection's client.
    Send,
    /// The end of a connection that nothing is received from.
    Watch,
    /// Somebody wrote to the worker's eventfd.
    Wake,
    /// The epoll of outgoing sockets has news.
    Reactor,
    /// An operation was cancelled, or not: it completes by itself.
    Cancel,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Accept,
        Self::Knock,
        Self::Receive,
        Self::Send,
        Self::Watch,
        Self::Wake,
        Self::Reactor,
        Self::Cancel,
    ];
}

/// The name of an operation: what it is, and the place in the driver's slab that it is for. The place's generation is
/// part of it, so that a completion which comes late never reaches whoever has the place then.
///
/// As bits: the generation (32), the kind (8), the index (24).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Token(u64);

impl Token {
    /// How many places can be told apart.
    pub(super) const PLACES_MAX: u32 = 1 << 24;
    const KIND_SHIFT: u32 = 24;

    pub(super) fn new(kind: Kind, place: Key) -> Self {
        debug_assert!(place.index < Self::PLACES_MAX);
        Self(place.to_bits() | (kind as u64) << Self::KIND_SHIFT)
    }

    /// For an operation that is for no place of the slab.
    pub(super) fn numbered(kind: Kind, number: usize) -> Self {
        Self::new(kind, Key::from_bits(number as u64))
    }

    pub(super) fn kind(self) -> Kind {
        let kind = (self.0 >> Self::KIND_SHIFT) as u8;
        Kind::ALL[usize::from(kind) % Kind::ALL.len()]
    }

    pub(super) fn place(self) -> Key {
        Key::from_bits(self.0 & !(0xff << Self::KIND_SHIFT))
    }

    pub(super) fn number(self) -> usize {
        self.place().index as usize
    }

    pub(super) fn to_bits(self) -> u64 {
        self.0
    }

    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of {:?}", self.kind(), self.place())
    }
}

/// What the kernel is asked to do. Descriptors must stay open until the operation has completed, which is the
/// driver's duty; memory stays what it must be because of the types that it is in (`Slice`, `Table`).
#[derive(Debug)]
pub(super) enum Operation<'a, S> {
    /// Accepts connections, one after the other, until it is cancelled or fails.
    Accept(BorrowedFd<'a>),
    /// Completes when something can be read, once. An exclusive one is not told what another waiter was told.
    Poll {
        descriptor: BorrowedFd<'a>,
        exclusive: bool,
    },
    /// Receives into buffers of the table, one after the other, until it is cancelled, fails or the client ends.
    Receive(&'a S),
    /// Receives into one buffer of the table.
    ReceiveOnce(&'a S),
    /// Sends these bytes, or fewer.
    Send(&'a S, &'a [Slice]),
    /// Completes each time the connection's state changes, until it is cancelled.
    Watch(&'a S),
    /// Ends the operation of that name; it completes, with an error if it was not faster.
    Cancel(Token),
}

/// An answer.
#[derive(Debug)]
pub(super) struct Completion<S> {
    pub(super) token: Token,
    /// Bytes, or the events of a poll.
    pub(super) result: Result<u32, Errno>,
    /// The operation goes on: there will be other completions of it.
    pub(super) more: bool,
    /// The buffer that was filled. It belongs to the driver now.
    pub(super) buffer: Option<u16>,
    /// The connection that was accepted.
    pub(super) socket: Option<S>,
}

/// A kernel.
pub(super) trait Kernel {
    /// A connection's socket, which is closed when it is dropped.
    type Socket;

    /// Queues an operation, which begins no later than with the next [`Kernel::enter`].
    fn push(&mut self, operation: Operation<'_, Self::Socket>, token: Token);

    /// Begins what was queued and waits for a completion, at most for as long as is said.
    fn enter(&mut self, wait_max: Option<Duration>) -> io::Result<()>;

    /// Takes what has completed.
    fn take_completions(&mut self, into: &mut Vec<Completion<Self::Socket>>);

    /// Whether all that has completed so far has been taken.
    fn is_drained(&mut self) -> bool;

    /// The table from which the kernel takes buffers.
    fn table(&mut self) -> &mut Table;

    // What goes through no ring.

    /// Makes a socket that was accepted without a ring one that is driven with it.
    fn adopt(&mut self, descriptor: OwnedFd) -> Self::Socket;

    /// Who is at the other end; `None` if nobody is any more.
    fn introduce(&self, socket: &Self::Socket, listening: &Listening) -> Option<Newcomer>;

    /// Whether nothing has come on the socket that was not received yet.
    fn is_quiet(&self, socket: &Self::Socket) -> bool;

    /// Whether the client has received all that was sent to it, and sent nothing that was not received.
    fn is_delivered(&self, socket: &Self::Socket) -> bool;

    /// Sends what may be sent before a close, if there is room for it.
    fn say_at_once(&self, socket: &Self::Socket, bytes: &[u8]);

    /// Ends the sending side.
    fn shut_down(&self, socket: &Self::Socket);

    /// Has the socket end with a reset when it is closed.
    fn reset_on_close(&self, socket: &Self::Socket);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Slab;

    #[test]
    fn a_token_says_what_it_was_made_of() {
        let mut slab = Slab::new();
        for _ in 0..3 {
            let key = slab.insert_with(|_| ());
            slab.remove(key);
        }
        let key = slab.insert_with(|_| ());
        for kind in Kind::ALL {
            let token = Token::from_bits(Token::new(kind, key).to_bits());
            assert_eq!((token.kind(), token.place()), (kind, key));
            let token = Token::numbered(kind, Token::PLACES_MAX as usize - 1);
            assert_eq!((token.kind(), token.number()), (kind, 0x00ff_ffff));
        }
    }
}
