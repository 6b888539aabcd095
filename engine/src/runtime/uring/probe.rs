//! Whether this driver can run here, found out by doing it, and the rings of all workers, made before anybody is served.
//!
//! The steps down: rings with the flags, the operations and the table of buffers that are needed, for every worker, at
//! once; smaller ones where there is not memory enough that may be locked (it is accounted per user); none.
//! A ring that was made is kept and handed to its worker, rather than made again: the kernel gives back locked memory
//! only some time after a ring was closed.

use super::buffers::Buffers;
use super::kernel::{Completion, Kernel, Kind, Operation, Token};
use super::ring::{Entries, Ring};
use crate::lease::Pool;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The rings' sizes. About 136 KiB of locked memory, and 36 for where that is scarce.
const SIZES: [Entries; 2] = [
    Entries {
        submission: 1024,
        completion: 4096,
    },
    Entries {
        submission: 256,
        completion: 1024,
    },
];

/// The ring that something is carried over to see that it works.
const TRIED: Entries = Entries {
    submission: 8,
    completion: 16,
};

/// How often, and how far apart, smaller rings are tried after larger ones could not all be made.
const TRIES: u32 = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// How many waits something may take that is carried over a ring, and how long each of them.
const WAITS_MAX: usize = 100;
const WAIT_MAX: Duration = Duration::from_millis(10);

/// The rings of a server that is about to start, one for each worker.
#[derive(Clone)]
pub(crate) struct Rings(Arc<Mutex<Vec<Ring>>>);

impl fmt::Debug for Rings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rings({})", self.all().len())
    }
}

impl Rings {
    /// Makes a ring for each worker.
    ///
    /// # Errors
    /// Why there can be none.
    pub(in crate::runtime) fn make(workers: usize) -> io::Result<Self> {
        // On a thread of its own, which is gone when the rings come to their end: the kernel signals to whoever has made
        // a ring then, and somebody else's read that has a timeout would fail with EINTR.
        let making = std::thread::Builder::new()
            .name("lanner-rings".into())
            .spawn(move || make_all_somehow(workers))?;
        let made = making
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the probe panicked")));
        made.map(|rings| Self(Arc::new(Mutex::new(rings))))
    }

    /// Takes one worker's.
    pub(super) fn take(&self) -> io::Result<Ring> {
        let ring = self.all().pop();
        ring.ok_or_else(|| io::Error::other("there are more workers than rings"))
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Ring>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_all_somehow(workers: usize) -> io::Result<Vec<Ring>> {
    let [large, small] = SIZES;
    match make_all(workers, large) {
        Err(error) if is_out_of_memory(&error) => again_and_again(|| make_all(workers, small)),
        made => made,
    }
}

fn make_all(workers: usize, entries: Entries) -> io::Result<Vec<Ring>> {
    let rings = (0..workers)
        .map(|_| Ring::new(entries))
        .collect::<io::Result<Vec<_>>>()?;
    // While all of them are there, so that this one's memory is not theirs.
    carry_a_byte()?;
    Ok(rings)
}

fn again_and_again<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let between = rustix::time::Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(BETWEEN_TRIES.subsec_nanos()),
    };
    for _ in 1..TRIES {
        match attempt() {
            Err(error) if is_out_of_memory(&error) => {
                let _ = rustix::event::poll(&mut [], Some(&between));
            }
            outcome => return outcome,
        }
    }
    attempt()
}

fn is_out_of_memory(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
}

/// Has a ring do what a worker's will do: accept a connection, receive from it into a buffer of its choice, and send.
fn carry_a_byte() -> io::Result<()> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listener = rustix::net::socket_with(family, kind, flags, None)?;
    // An address of the kernel's choice, which no file stands for.
    rustix::net::bind(&listener, &SocketAddrUnix::new_unnamed())?;
    rustix::net::listen(&listener, 1)?;
    let client = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    let mut ring = Ring::new(TRIED)?;
    ring.enable()?;
    let mut trial = Trial {
        buffers: Buffers::new(ring.table(), Pool::default()),
        ring,
        completions: Vec::new(),
    };
    let outcome = trial.run(&listener, &client);
    drop((listener, client));
    outcome?;
    trial.ring.unregister_table();
    trial.buffers.retire(trial.ring.table());
    Ok(())
}

struct Trial {
    ring: Ring,
    buffers: Buffers,
    completions: Vec<Completion<OwnedFd>>,
}

impl Trial {
    fn run(&mut self, listener: &OwnedFd, client: &OwnedFd) -> io::Result<()> {
        let accept = Token::numbered(Kind::Accept, 0);
        self.ring.push(Operation::Accept(listener.as_fd()), accept);
        self.ring.enter(Some(Duration::ZERO))?;
        rustix::net::connect(client, &rustix::net::getsockname(listener)?)?;
        let accepted = self.next(Kind::Accept)?;
        let socket = accepted
            .socket
            .ok_or_else(|| failed("accept", accepted.result))?;
        let receive = Token::numbered(Kind::Receive, 0);
        self.ring.push(Operation::Receive(&socket), receive);
        self.ring.enter(Some(Duration::ZERO))?;
        rustix::io::write(client, b"7")?;
        let received = self.next(Kind::Receive)?;
        let id = received
            .buffer
            .ok_or_else(|| failed("receive", received.result))?;
        let lease = self.buffers.take(id)?;
        let echoed = (received.result, lease.bytes()[0]) == (Ok(1), b'7');
        self.buffers.give_back(self.ring.table(), id, lease);
        if !echoed {
            return Err(failed("receive", received.result));
        }
        let mut ends = vec![Kind::Accept];
        let cancel = Token::numbered(Kind::Cancel, 0);
        self.ring.push(Operation::Cancel(accept), cancel);
        if received.more {
            self.ring.push(Operation::Cancel(receive), cancel);
            ends.push(Kind::Receive);
        }
        for kind in ends {
            while self.next(kind)?.more {}
        }
        Ok(())
    }

    /// Waits for the next completion of a kind.
    fn next(&mut self, kind: Kind) -> io::Result<Completion<OwnedFd>> {
        for _ in 0..WAITS_MAX {
            let position = self
                .completions
                .iter()
                .position(|completion| completion.token.kind() == kind);
            if let Some(index) = position {
                return Ok(self.completions.remove(index));
            }
            self.ring.enter(Some(WAIT_MAX))?;
            self.ring.take_completions(&mut self.completions);
        }
        Err(io::Error::other(format!("no {kind:?} completes")))
    }
}

fn failed(what: &str, result: Result<u32, Errno>) -> io::Error {
    match result {
        Ok(count) => io::Error::other(format!("{what} brings {count}")),
        Err(errno) => io::Error::new(io::Error::from(errno).kind(), format!("{what}: {errno}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_worker_gets_a_ring_and_can_make_it_its_own() {
        let rings = match Rings::make(3) {
            Ok(rings) => rings,
            Err(error) => return eprintln!("skipped: no rings here: {error}"),
        };
        for _ in 0..3 {
            let rings = rings.clone();
            std::thread::spawn(move || rings.take().unwrap().enable().unwrap())
                .join()
                .unwrap();
        }
        assert!(rings.take().is_err());
    }

    #[test]
    fn smaller_rings_are_tried_until_memory_has_come_back() {
        let mut left = 3;
        let outcome = again_and_again(|| {
            left -= 1;
            if left > 0 {
                return Err(Errno::NOMEM.into());
            }
            Ok(left)
        });
        assert_eq!(outcome.unwrap(), 0);
        let mut attempts = 0;
        let outcome = again_and_again(|| {
            attempts += 1;
            Err::<(), _>(io::Error::from(Errno::PERM))
        });
        assert!(outcome.is_err() && attempts == 1);
    }
}
