//! Whether this driver can run here, found out by doing it, and the rings of all workers, made before anybody is served.
//!
//! The steps down: rings with the flags, the operations and the table of buffers that are needed, for every worker, at
//! once; smaller ones where there is not memory enough that may be locked (it is accounted per user); none.
//! A ring that was made is kept and handed to its worker, rather than made again: the kernel gives back locked memory
//! only some time after a ring was closed.

use super::buffers::Buffers;
use super::kernel::{Completion, Kernel, Kind, Operation, Token};
use super::ring::{Entries, Ring, while_doing};
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

/// How often, and how far apart, smaller rings are tried after larger ones could not all be made. The kernel gives back the
/// memory of those 20 to 36 ms after they were closed, of one as of four (Linux 6.18).
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// How many waits something may take that is carried over a ring, and how long each of them.
const WAITS_MAX: usize = 100;
const WAIT_MAX: Duration = Duration::from_millis(10);

/// The rings of a server that is about to start, one for each worker.
#[derive(Clone)]
pub(crate) struct Rings {
    rings: Arc<Mutex<Vec<Ring>>>,
    stepped_down: Option<Arc<str>>,
}

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
        made.map(
            |Made {
                 rings,
                 stepped_down,
             }| Self {
                rings: Arc::new(Mutex::new(rings)),
                stepped_down: stepped_down.map(Arc::from),
            },
        )
    }

    /// If they are smaller ones: which, and why.
    pub(in crate::runtime) fn stepped_down(&self) -> Option<&str> {
        self.stepped_down.as_deref()
    }

    /// Takes one worker's.
    pub(super) fn take(&self) -> io::Result<Ring> {
        let ring = self.all().pop();
        ring.ok_or_else(|| io::Error::other("there are more workers than rings"))
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Ring>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What could be had, rings for example.
#[derive(Debug, PartialEq, Eq)]
struct Made<T> {
    rings: Vec<T>,
    /// Which rings instead of which, and why.
    stepped_down: Option<String>,
}

fn make_all_somehow(workers: usize) -> io::Result<Made<Ring>> {
    step_down(workers, Ring::new, carry_a_byte)
}

/// Makes a large one for each worker, or else a small one. `check` is done while all of them are there, so that what it
/// needs is not theirs.
fn step_down<T>(
    workers: usize,
    make: impl Fn(Entries) -> io::Result<T>,
    check: impl Fn() -> io::Result<()>,
) -> io::Result<Made<T>> {
    let [large, small] = SIZES;
    let mut rings = Vec::new();
    let shortage = match complete(&mut rings, workers, || make(large)).and_then(|()| check()) {
        Err(error) if is_out_of_memory(&error) => error,
        made => {
            return made.map(|()| Made {
                rings,
                stepped_down: None,
            });
        }
    };
    rings.clear();
    // Those that there are already are kept: their memory would be as slow to come back as that of the large ones.
    again_and_again(|| {
        complete(&mut rings, workers, || make(small))?;
        check()
    })?;
    let stepped_down = format!("{small} instead of {large}: {shortage}");
    Ok(Made {
        rings,
        stepped_down: Some(stepped_down),
    })
}

/// Makes those that are missing.
fn complete<T>(
    rings: &mut Vec<T>,
    workers: usize,
    make: impl Fn() -> io::Result<T>,
) -> io::Result<()> {
    while rings.len() < workers {
        rings.push(make()?);
    }
    Ok(())
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
    // Service managers can forbid families of sockets that the server itself can do without.
    let listener = rustix::net::socket_with(family, kind, flags, None)
        .map_err(|errno| while_doing("making a unix socket to try it on", &errno.into()))?;
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
    use std::cell::Cell;

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

    /// A maker of rings that locks as much for each as the real one, of so many KiB in all. What large ones had comes back
    /// with the second attempt to make a small one.
    fn scarce(kibibytes: u32) -> impl Fn(Entries) -> io::Result<Entries> {
        let (left, lent, attempts) = (Cell::new(kibibytes), Cell::new(0), Cell::new(0));
        move |entries| {
            let is_large = entries == SIZES[0];
            let price = if is_large { 136 } else { 36 };
            attempts.set(attempts.get() + u32::from(!is_large));
            if attempts.get() == 2 {
                left.set(left.get() + lent.take());
            }
            if left.get() < price {
                return Err(Errno::NOMEM.into());
            }
            left.set(left.get() - price);
            if is_large {
                lent.set(lent.get() + price);
            }
            Ok(entries)
        }
    }

    #[test]
    fn all_rings_are_large_or_all_are_small_and_it_is_said() {
        let [large, small] = SIZES;
        let made = step_down(2, scarce(272), || Ok(())).unwrap();
        assert_eq!((made.rings, made.stepped_down), (vec![large; 2], None));
        for kibibytes in [271, 136, 100] {
            let made = step_down(2, scarce(kibibytes), || Ok(())).unwrap();
            assert_eq!(made.rings, [small; 2], "{kibibytes}");
            let told = made.stepped_down.unwrap();
            for part in ["256/1024", "1024/4096", "Cannot allocate memory"] {
                assert!(told.contains(part), "{told}");
            }
        }
        let error = step_down(2, scarce(60), || Ok(())).unwrap_err();
        assert!(is_out_of_memory(&error));
    }

    #[test]
    fn rings_step_down_for_want_of_memory_only() {
        let asked = Cell::new(0);
        let make = |_| {
            asked.set(asked.get() + 1);
            Err::<(), _>(io::Error::from(Errno::PERM))
        };
        assert!(step_down(2, make, || Ok(())).is_err());
        assert_eq!(asked.get(), 1);
    }

    #[test]
    fn a_check_that_wants_memory_has_rings_step_down_too() {
        let checks = Cell::new(0);
        let check = || {
            checks.set(checks.get() + 1);
            if checks.get() == 1 {
                Err(Errno::NOMEM.into())
            } else {
                Ok(())
            }
        };
        let made = step_down(1, Ok, check).unwrap();
        assert_eq!(made.rings, [SIZES[1]]);
        assert!(made.stepped_down.is_some());
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
