//! What the shell asks of monoio: reads and writes, each with the memory it owns until it has completed, tasks and time.

use crate::runtime::tasks::{self, Outcome, Piece, Tasks};
use monoio::buf::IoBuf;
use monoio::io::{
    AsyncWriteRent, CancelHandle, CancelableAsyncReadRent, Canceller, OwnedReadHalf,
    OwnedWriteHalf, Splitable,
};
use monoio::net::UnixStream;
use monoio::time::Sleep;
use rustix::fd::{BorrowedFd, OwnedFd};
use std::io;
use std::time::Duration;

/// monoio's tasks, on either of its drivers.
pub(super) struct MonoioTasks;

impl Tasks for MonoioTasks {
    type Reader = OwnedReadHalf<UnixStream>;
    type Writer = OwnedWriteHalf<UnixStream>;
    type Canceller = Canceller;
    type Sleep = Sleep;
    type Watched = UnixStream;

    /// An operation in flight keeps the socket, and is waited for.
    const KEEPS_SOCKETS: bool = false;

    fn adopt(socket: OwnedFd) -> io::Result<(Self::Reader, Self::Writer)> {
        // The thinnest stream: receive, send and poll on a descriptor, which is all that TCP needs as well.
        UnixStream::from_std(socket.into()).map(Splitable::into_split)
    }

    fn close(reader: Self::Reader, writer: Self::Writer) {
        // Dropping the writing half alone would shut down the sending side, and a reset would come after what looks
        // like the end.
        drop(reader.reunite(writer));
    }

    /// Known fault of monoio 0.2.4: its epoll driver learns that a socket is empty only from a read that fails, one for
    /// each request.
    async fn read(
        mut reader: Self::Reader,
        buffer: Vec<u8>,
        handle: CancelHandle,
    ) -> (Self::Reader, Outcome<Vec<u8>>) {
        let outcome = reader.cancelable_read(buffer, handle).await;
        (reader, outcome)
    }

    async fn write(mut writer: Self::Writer, piece: Piece) -> (Self::Writer, Outcome<Piece>) {
        let outcome = writer.write(piece).await;
        (writer, outcome)
    }

    fn watch(epoll: BorrowedFd<'_>) -> io::Result<UnixStream> {
        // A stream only in name: all that is asked of it is whether it is readable.
        UnixStream::from_std(epoll.try_clone_to_owned()?.into())
    }

    async fn readable(watched: &UnixStream) {
        let _ = watched.readable(false).await;
    }

    fn watch_can_be_dropped() -> bool {
        monoio::utils::is_legacy()
    }

    fn sleep(duration: Duration) -> Sleep {
        monoio::time::sleep(duration)
    }

    fn spawn(task: impl Future<Output = ()> + 'static) {
        monoio::spawn(task);
    }

    fn spawning_hurries() -> bool {
        // With a task in its queue, the epoll driver asks for events without waiting for any.
        monoio::utils::is_legacy()
    }
}

impl tasks::Canceller for Canceller {
    type Handle = CancelHandle;

    fn handle(&self) -> CancelHandle {
        Self::handle(self)
    }

    fn cancel(&mut self) {
        // On the epoll driver this wakes the very task that runs: once, not for ever.
        *self = Self::cancel(std::mem::take(self));
    }
}

// SAFETY: the bytes lie on the heap (or are static), behind a `Vec` or `Bytes` that nobody changes while the kernel has
// the piece: monoio owns it until then. Moving the piece moves the pointer to them, not the bytes. All bytes of `rest`
// are initialised, and the pointer and the length are those of the same slice.
unsafe impl IoBuf for Piece {
    fn read_ptr(&self) -> *const u8 {
        self.rest().as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.rest().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_protocol::Lent;

    #[test]
    fn the_kernel_is_given_what_is_left_of_a_piece() {
        let mut piece = Piece::new(Lent::Buffer(b"hello".to_vec()));
        assert!(piece.advance(2));
        assert_eq!(piece.bytes_init(), 3);
        assert!(std::ptr::eq(piece.read_ptr(), piece.rest().as_ptr()));
    }
}
