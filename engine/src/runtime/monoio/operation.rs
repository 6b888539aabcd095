//! What is done with a socket: a read, a write, each with the memory it owns until it has completed, and the end.

use super::piece::Piece;
use monoio::io::{
    AsyncWriteRent, CancelHandle, CancelableAsyncReadRent, OwnedReadHalf, OwnedWriteHalf,
};
use monoio::net::UnixStream;
use rustix::fd::BorrowedFd;
use rustix::net::Shutdown;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// The result of an operation, and the memory it used.
pub(super) type Outcome<B> = (io::Result<usize>, B);

/// Known fault of monoio 0.2.4: its epoll driver learns that a socket is empty only from a read that fails, one for
/// each request.
pub(super) async fn read_into(
    mut half: OwnedReadHalf<UnixStream>,
    buffer: Vec<u8>,
    handle: CancelHandle,
) -> (OwnedReadHalf<UnixStream>, Outcome<Vec<u8>>) {
    let outcome = half.cancelable_read(buffer, handle).await;
    (half, outcome)
}

pub(super) async fn write_from(
    mut half: OwnedWriteHalf<UnixStream>,
    piece: Piece,
) -> (OwnedWriteHalf<UnixStream>, Outcome<Piece>) {
    let outcome = half.write(piece).await;
    (half, outcome)
}

/// Polls an operation, if there is one, and takes it away once it has completed.
pub(super) fn poll_operation<F: Future>(
    operation: &mut Pin<&mut Option<F>>,
    context: &mut Context<'_>,
) -> Option<F::Output> {
    let Poll::Ready(output) = operation.as_mut().as_pin_mut()?.poll(context) else {
        return None;
    };
    operation.set(None);
    Some(output)
}

/// Ends a connection on the wire, so far as closing the socket does not: with a reset if the peer must not take what
/// it got for the whole, and so that operations in flight complete.
pub(super) fn end(socket: BorrowedFd<'_>, reset: bool, in_flight: bool) {
    if reset {
        // Dissolving a TCP connection sends a reset at once, without an end of the stream before it, and fails what is
        // in flight. A unix socket refuses; closing it is all there is.
        if rustix::net::connect_unspec(socket).is_err() {
            let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
        }
    }
    if in_flight {
        let _ = rustix::net::shutdown(socket, Shutdown::Both);
    }
}
