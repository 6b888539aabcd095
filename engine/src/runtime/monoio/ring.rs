//! Whether monoio's io_uring driver can run here, tried by doing it, and how its rings are made.

use monoio::io::{AsyncReadRent, AsyncWriteRent};
use monoio::net::UnixStream;
use monoio::time::TimeDriver;
use monoio::{IoUringDriver, Runtime, RuntimeBuilder};
use rustix::io::Errno;
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::net::UnixStream as Pair;
use std::time::Duration;

/// How often, and how far apart, a worker tries to make the ring that its probe could make: the kernel gives back the
/// locked memory of the probe's rings only some time after they are closed.
const TRIES: u32 = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// The size of every worker's ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ring {
    /// About 136 KiB of locked memory, which is accounted per user.
    Large,
    /// About 36 KiB, for where that is scarce.
    Small,
}

impl Ring {
    /// Entries for submission and for completion. What does not fit into the latter is kept by the kernel and costs
    /// more.
    const fn entries(self) -> (u32, u32) {
        match self {
            Self::Large => (1024, 4096),
            Self::Small => (256, 1024),
        }
    }

    /// The largest rings of which every one of `workers` can have one, all at once.
    ///
    /// # Errors
    /// Why there can be none.
    pub(in crate::runtime) fn probe(workers: usize) -> io::Result<Self> {
        // On a thread of its own: whoever starts a server may itself run on monoio, which cannot be nested.
        let probing = std::thread::Builder::new()
            .name("lanner-probe".into())
            .spawn(move || match Self::Large.try_all(workers) {
                Err(error) if is_out_of_memory(&error) => {
                    Self::Small.try_all(workers).map(|()| Self::Small)
                }
                tried => tried.map(|()| Self::Large),
            })?;
        probing
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the probe panicked")))
    }

    /// Makes that many rings at once, and does one real operation on each.
    fn try_all(self, workers: usize) -> io::Result<()> {
        let mut rings = Vec::new();
        for _ in 0..workers {
            let mut ring = ManuallyDrop::new(self.build()?);
            ring.block_on(echo())?;
            rings.push(ManuallyDrop::into_inner(ring));
        }
        Ok(())
    }

    /// Makes one worker's runtime on the current thread, to which its ring belongs from now on.
    pub(super) fn build(self) -> io::Result<Runtime<TimeDriver<IoUringDriver>>> {
        let (submission, completion) = self.entries();
        // Known fault of monoio 0.2.4: its builder takes the types of io-uring 0.6, which is why that is a dependency.
        let mut ring = monoio_io_uring::IoUring::builder();
        // Completions are worked off when the worker enters the kernel anyway, not by interrupting it: 28 % less CPU
        // per request at 64 connections. DEFER_TASKRUN needs SINGLE_ISSUER; a ring belongs to one thread here.
        ring.setup_single_issuer()
            .setup_coop_taskrun()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(completion);
        RuntimeBuilder::<IoUringDriver>::new()
            .with_entries(submission)
            .uring_builder(ring)
            .enable_timer()
            .build()
    }

    /// Like [`Ring::build`], after a probe that succeeded.
    pub(super) fn build_again(self) -> io::Result<Runtime<TimeDriver<IoUringDriver>>> {
        let between = rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(BETWEEN_TRIES.subsec_nanos()),
        };
        for _ in 1..TRIES {
            match self.build() {
                Err(error) if is_out_of_memory(&error) => {
                    let _ = rustix::event::poll(&mut [], Some(&between));
                }
                built => return built,
            }
        }
        self.build()
    }
}

fn is_out_of_memory(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NOMEM.raw_os_error())
}

/// Sends a byte to itself.
async fn echo() -> io::Result<()> {
    let (near, far) = Pair::pair()?;
    let (mut near, mut far) = (UnixStream::from_std(near)?, UnixStream::from_std(far)?);
    let (sent, byte) = near.write(vec![7]).await;
    let (received, echoed) = far.read(Vec::with_capacity(1)).await;
    if (sent?, received?) == (1, 1) && echoed == byte {
        Ok(())
    } else {
        Err(io::Error::other("the ring does not carry bytes"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_ring_that_passes_the_probe_can_be_made_again_at_once() {
        match Ring::probe(2) {
            Ok(ring) => drop(ring.build_again().unwrap()),
            Err(error) => eprintln!("skipped: no rings here: {error}"),
        }
    }

    #[test]
    fn a_probe_may_run_within_somebody_elses_monoio() {
        let mut outer = RuntimeBuilder::<monoio::LegacyDriver>::new()
            .build()
            .unwrap();
        let probed = outer.block_on(async { Ring::probe(1) });
        assert!(probed.is_ok() || Ring::Small.try_all(1).is_err());
    }
}
