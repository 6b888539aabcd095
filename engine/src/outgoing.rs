//! Connections that an app opens from its worker, on whatever backend the worker runs.

use crate::context::Context as Worker;
use crate::runtime::Source;
use rustix::fd::AsFd;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::rc::Rc;

/// Opens a TCP connection. There is no time limit: race it with [`crate::sleep`] where one is wanted.
///
/// # Errors
/// Whatever the system says of the attempt.
///
/// # Panics
/// When called outside a worker's thread.
pub async fn connect(address: SocketAddr) -> io::Result<Outgoing> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM.nonblocking().cloexec(),
        Some(socket2::Protocol::TCP),
    )?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error)
            if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    let worker = Worker::current();
    let stream = TcpStream::from(socket);
    let (index, source) = worker.reactor.watch(stream.as_fd())?;
    let outgoing = Outgoing {
        stream,
        source,
        index,
        worker,
    };
    std::future::poll_fn(|context| {
        outgoing.source.poll_write(context, || {
            if let Some(error) = outgoing.stream.take_error()? {
                return Err(error);
            }
            // Writable without an error and without a peer: not connected yet.
            match outgoing.stream.peer_addr() {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    Err(io::ErrorKind::WouldBlock.into())
                }
                connected => connected.map(drop),
            }
        })
    })
    .await?;
    Ok(outgoing)
}

/// A connection opened by [`connect`]. Dropping it closes it.
pub struct Outgoing {
    stream: TcpStream,
    source: Rc<Source>,
    index: usize,
    worker: Rc<Worker>,
}

impl Outgoing {
    /// Reads what has come, at least a byte; 0 is the end.
    ///
    /// # Errors
    /// Whatever the system says.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        std::future::poll_fn(|context| {
            self.source
                .poll_read(context, || (&self.stream).read(buffer))
        })
        .await
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// Whatever the system says; how much was written is unknown then.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = std::future::poll_fn(|context| {
                self.source
                    .poll_write(context, || (&self.stream).write(bytes))
            })
            .await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Ends the sending side.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.worker.reactor.forget(self.index, self.stream.as_fd());
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Outgoing").field(&self.stream).finish()
    }
}
