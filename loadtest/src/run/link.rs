//! One connection of a run: its socket, TLS where there is any, and what is said on it.

use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use lanner_limits::Moment;
use lanner_protocol::Output;
use rustix::event::{self, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::lane::Handshake;
use super::origin::Place;
use super::ports;
use super::secure::Secure;
use super::speech::Speech;

/// Pieces given to one write.
const SLICES_MAX: usize = 16;

/// Encrypted in one go: a body may be large, and its ciphertext takes memory until it is written.
const SECURE_BYTES_MAX: usize = 64 * 1024;

/// How far a connection is.
#[derive(Debug)]
pub(super) enum Stage {
    /// It is being made since then.
    Dialling(Moment),
    /// TLS is being agreed on.
    Handshaking(Handshake),
    Open(Speech),
}

/// Whose poller tells of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watcher {
    /// That of the connections being made.
    Openings,
    /// The lane's.
    Lane,
}

/// See the file's comment.
#[derive(Debug)]
pub(super) struct Link {
    socket: Socket,
    pub(super) secure: Option<Box<Secure>>,
    pub(super) stage: Stage,
    pub(super) watcher: Option<Watcher>,
    /// What is to be said, before TLS.
    pub(super) output: Output,
    /// What of it has been told to the speech as unsent.
    told: usize,
    /// What was said to us and is not understood yet.
    pub(super) held: Vec<u8>,
    /// Whether the poller tells when there is room to write.
    pub(super) awaits_room: bool,
    /// Whether it stands among those with room for calls.
    pub(super) is_listed: bool,
    /// Calls answered on it.
    pub(super) answered: u64,
    /// What was heard is to be looked at again, though nothing new came.
    pub(super) is_held: bool,
    /// Nothing can be written any more. What the server said before is still there to be read, and behind it the end.
    pub(super) is_shut: bool,
    /// Nothing is asked on it, for there is no room: seen first then.
    pub(super) roomless: Option<Moment>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) bytes: u64,
    /// Something is left, for which the socket has no room.
    pub(super) is_blocked: bool,
}

impl Link {
    /// Begins to connect; the socket becomes writable when the outcome is known.
    pub(super) fn dial(place: &Place, now: Moment) -> io::Result<Self> {
        let (socket, address) = match place {
            Place::Tcp(address) => {
                let domain = Domain::for_address(*address);
                let kind = Type::STREAM.nonblocking();
                let socket = Socket::new(domain, kind, Some(Protocol::TCP))?;
                socket.set_tcp_nodelay(true)?;
                (socket, SockAddr::from(*address))
            }
            Place::Unix(path) => {
                let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
                (socket, SockAddr::unix(path)?)
            }
        };
        match socket.connect(&address) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) => return Err(ports::explained(error)),
        }
        Ok(Self {
            socket,
            secure: None,
            stage: Stage::Dialling(now),
            watcher: None,
            output: Output::new(),
            told: 0,
            held: Vec::new(),
            awaits_room: false,
            is_listed: false,
            answered: 0,
            is_held: false,
            is_shut: false,
            roomless: None,
        })
    }

    /// Whether the connect has come to an end: on loopback, and on a unix socket, it has when the call returns.
    pub(super) fn is_dialled(&self) -> io::Result<bool> {
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut asked = [PollFd::new(&self.socket, PollFlags::OUT)];
        Ok(event::poll(&mut asked, Some(&at_once))? > 0)
    }

    /// Whether the connect succeeded.
    pub(super) fn outcome(&self) -> io::Result<()> {
        self.socket.take_error()?.map_or(Ok(()), Err)
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    #[inline]
    pub(super) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        (&self.socket).read(into)
    }

    /// Writes what is to be said, as much as the socket takes. That the server reads no more is no error yet: it may have
    /// answered before.
    #[inline]
    pub(super) fn write(&mut self) -> Written {
        let queued = self.output.len() - self.told;
        let written = match &mut self.secure {
            None => write_plain(&self.socket, &mut self.output),
            Some(secure) => write_secure(&self.socket, secure, &mut self.output),
        };
        self.told = self.output.len();
        if let Stage::Open(speech) = &mut self.stage {
            speech.handle_output(queued, self.told);
        }
        written.unwrap_or_else(|_| {
            self.is_shut = true;
            Written {
                bytes: 0,
                is_blocked: false,
            }
        })
    }

    /// Says what TLS has to say last: why it failed.
    #[cold]
    pub(super) fn say_goodbye(&mut self) {
        if let Some(secure) = &mut self.secure {
            let _ = secure.write(&mut &self.socket);
        }
    }

    /// Whether there is something to write.
    #[inline]
    pub(super) fn has_output(&self) -> bool {
        !self.output.is_empty()
            || self
                .secure
                .as_ref()
                .is_some_and(|secure| secure.wants_write())
    }
}

fn write_plain(mut socket: &Socket, output: &mut Output) -> io::Result<Written> {
    write_on(|| {
        if output.is_empty() {
            return Ok(None);
        }
        let taken = if let Some(piece) = output.contiguous() {
            socket.write(piece)?
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut count = 0;
            for (place, slice) in slices.iter_mut().zip(output.slices()) {
                *place = IoSlice::new(slice);
                count += 1;
            }
            socket.write_vectored(&slices[..count])?
        };
        output.advance(taken);
        Ok(Some(taken))
    })
}

fn write_secure(
    mut socket: &Socket,
    secure: &mut Secure,
    output: &mut Output,
) -> io::Result<Written> {
    write_on(|| {
        // What waits in TLS goes first; there is more of it only once that is out.
        if !secure.wants_write() {
            let Some(piece) = output.slices().next() else {
                return Ok(None);
            };
            let length = piece.len().min(SECURE_BYTES_MAX);
            secure.say(&piece[..length]);
            output.advance(length);
        }
        secure.write(&mut socket).map(Some)
    })
}

/// Writes until nothing is left or the socket has no room. `write` says how much it wrote, or that there is nothing.
#[inline]
fn write_on(mut write: impl FnMut() -> io::Result<Option<usize>>) -> io::Result<Written> {
    let mut bytes = 0;
    let is_blocked = loop {
        match write() {
            Ok(Some(count)) => bytes += count as u64,
            Ok(None) => break false,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    Ok(Written { bytes, is_blocked })
}
