//! The shell around a worker on runtimes of tasks, the same on each: one task per connection (`served`) carries bytes
//! between its socket and the worker, and the main future (`hub`) does everything else once a turn. What a runtime has
//! to supply is [`Tasks`]; its faults are worked around where that is implemented, or here where they shape the shell.

mod hub;
mod piece;
mod served;
mod shell;

pub(super) use hub::Hub;
pub(super) use piece::Piece;

use rustix::fd::{BorrowedFd, OwnedFd};
use std::io;
use std::time::Duration;

/// The result of an operation, and the memory it used.
pub(super) type Outcome<B> = (io::Result<usize>, B);

/// A runtime that polls tasks on the current thread.
pub(super) trait Tasks: 'static {
    /// The two directions of a socket. Each goes with the operation that is in flight on it.
    type Reader: 'static;
    type Writer: 'static;

    /// Gives up reads.
    type Canceller: Canceller;

    /// Ends after a while.
    type Sleep: Future<Output = ()>;

    /// A descriptor that is waited for.
    type Watched: 'static;

    /// Whether a socket can outlive its descriptor for a moment because of what the runtime waits for by itself: then
    /// its end must be said on the wire first.
    const KEEPS_SOCKETS: bool;

    /// Takes a connection's socket, whose descriptor stays the same.
    fn adopt(socket: OwnedFd) -> io::Result<(Self::Reader, Self::Writer)>;

    /// Closes a socket on which nothing is in flight.
    fn close(reader: Self::Reader, writer: Self::Writer);

    /// Reads into the buffer's capacity from its start, and sets its length to what was read.
    fn read(
        reader: Self::Reader,
        buffer: Vec<u8>,
        handle: <Self::Canceller as Canceller>::Handle,
    ) -> impl Future<Output = (Self::Reader, Outcome<Vec<u8>>)> + 'static;

    fn write(
        writer: Self::Writer,
        piece: Piece,
    ) -> impl Future<Output = (Self::Writer, Outcome<Piece>)> + 'static;

    /// Waits for an epoll of ours.
    fn watch(epoll: BorrowedFd<'_>) -> io::Result<Self::Watched>;

    /// Ends once there are events.
    fn readable(watched: &Self::Watched) -> impl Future<Output = ()>;

    /// Whether a wait for an epoll may be dropped when the runtime ends.
    fn watch_can_be_dropped() -> bool;

    fn sleep(duration: Duration) -> Self::Sleep;

    /// Has a task run after those that are about to.
    fn spawn(task: impl Future<Output = ()> + 'static);

    /// Whether a wait in which a new task is about to run ends at once. If not, the epoll that is watched must have an
    /// event.
    fn spawning_hurries() -> bool;
}

/// Gives up reads.
pub(super) trait Canceller: Default {
    /// What a read is given, to be given up by.
    type Handle;

    fn handle(&self) -> Self::Handle;

    /// Has the read complete: with `ECANCELED`, unless it has something else to say.
    fn cancel(&mut self);
}
