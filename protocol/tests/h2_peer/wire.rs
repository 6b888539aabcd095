//! Two queues of bytes, and the client's end of them. How much goes at once is decided by a number that changes each time.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Default)]
pub(crate) struct Queues {
    pub(crate) to_server: Vec<u8>,
    pub(crate) to_client: Vec<u8>,
    cuts: u64,
}

impl Queues {
    /// How many of so many bytes go this time: at least one, and all of them now and then.
    pub(crate) fn cut(&mut self, bytes: usize) -> usize {
        // xorshift: any sequence will do.
        self.cuts ^= self.cuts << 13;
        self.cuts ^= self.cuts >> 7;
        self.cuts ^= self.cuts << 17;
        match self.cuts % 4 {
            0 => bytes,
            1 => bytes.min(1 + (self.cuts >> 8) as usize % 16),
            _ => bytes.min(1 + (self.cuts >> 8) as usize % 20_000),
        }
    }
}

/// The client's end. Whoever finds nothing to read is asked again anyway, so nobody is woken.
#[derive(Clone)]
pub(crate) struct Wire(pub(crate) Rc<RefCell<Queues>>);

impl Wire {
    pub(crate) fn new(seed: u64) -> Self {
        let queues = Queues {
            cuts: seed | 1,
            ..Queues::default()
        };
        Self(Rc::new(RefCell::new(queues)))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut queues = self.0.borrow_mut();
        let there = queues.to_client.len().min(buffer.remaining());
        if there == 0 {
            return Poll::Pending;
        }
        let count = queues.cut(there);
        buffer.put_slice(&queues.to_client[..count]);
        queues.to_client.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut queues = self.0.borrow_mut();
        let count = queues.cut(bytes.len());
        queues.to_server.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
