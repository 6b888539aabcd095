//! Another backend, to compare ourselves with: glommio, which has io_uring and nothing else. The shell is the one for
//! all runtimes of tasks.
//!
//! Known faults of glommio 0.9 that nothing can be done about here: it sets none of the ring's flags that make one cheap
//! (DEFER_TASKRUN and its kin), drives three rings where one would do, and keeps a thread for blocking calls beside each
//! worker, which nobody uses. It frees a task without dropping what its header holds, so the eventfd of an executor that
//! has run one stays open for as long as the process lives (DataDog/glommio issue 448, mended in no release): one for
//! each worker of each server that was started, and one for each probe. An executor that is dropped frees the eight
//! bytes that a read of that eventfd, still in flight, would write to: nobody writes to the eventfd here, for no waker
//! leaves its thread (see the hub) and nothing is asked of the thread for blocking calls.

mod tasks;

use super::Setup;
use super::tasks::Hub;
use crate::exchange::Dispatch;
use glommio::{GlommioError, LocalExecutor, LocalExecutorBuilder, Placement, PoolPlacement};
use rustix::process::Resource;
use std::io;
use std::mem::ManuallyDrop;
use tasks::GlommioTasks;

/// What glommio insists on being allowed to lock, whatever its rings take.
const LOCKED_BYTES: u64 = 512 * 1024;

/// Runs a worker until it has stopped.
pub(super) fn run<D: Dispatch>(setup: Setup<D>, started: impl FnOnce()) -> io::Result<()> {
    let hub = Hub::<_, GlommioTasks>::new(setup)?;
    // After an error or a panic, tasks may be left that hold what belongs to the worker's thread: they are leaked with
    // the executor rather than dropped in whatever state they are in.
    let executor = ManuallyDrop::new(executor()?);
    executor.run(hub.run(started))?;
    drop(ManuallyDrop::into_inner(executor));
    Ok(())
}

/// Whether every one of `workers` can have its rings, all at once.
///
/// # Errors
/// Why they cannot.
pub(super) fn probe(workers: usize) -> io::Result<()> {
    may_lock(rustix::process::getrlimit(Resource::Memlock).current)?;
    // On a thread of its own: whoever starts a server may itself run on glommio, which cannot be nested.
    let probing = std::thread::Builder::new()
        .name("lanner-probe".into())
        .spawn(move || {
            let executors: Vec<_> = (0..workers).map(|_| executor()).collect::<Result<_, _>>()?;
            match executors.first() {
                Some(executor) => executor.run(tasks::echo()),
                None => Ok(()),
            }
        })?;
    // It panics where a ring can be made but not entered.
    let probed = probing
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("its probe panicked")));
    probed.map_err(|error| {
        let told = format!("glommio has io_uring only, which cannot be used: {error}");
        io::Error::new(error.kind(), told)
    })
}

/// Whether glommio is content with how much memory may be locked (`None` is any amount).
fn may_lock(allowed: Option<u64>) -> io::Result<()> {
    match allowed {
        Some(allowed) if allowed < LOCKED_BYTES => {
            let told = format!(
                "glommio needs {LOCKED_BYTES} bytes of locked memory for each worker (RLIMIT_MEMLOCK), and {allowed} \
                 are allowed"
            );
            Err(io::Error::new(io::ErrorKind::OutOfMemory, told))
        }
        _ => Ok(()),
    }
}

/// Makes one worker's executor on the current thread.
fn executor() -> io::Result<LocalExecutor> {
    let builder = LocalExecutorBuilder::new(Placement::Unbound)
        // Registered buffers, which sockets do not use: as few as it can do with.
        .io_memory(0)
        // One thread is the least.
        .blocking_thread_pool_placement(PoolPlacement::Unbound(1));
    builder.make().map_err(|error| match error {
        GlommioError::IoError(error) => error,
        other => io::Error::other(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rustix::io::Errno;
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

    #[test]
    fn too_little_memory_to_lock_is_named_with_its_bound() {
        let told = may_lock(Some(64 << 10)).unwrap_err().to_string();
        assert!(
            told.contains("RLIMIT_MEMLOCK") && told.contains("65536"),
            "{told}"
        );
        assert!(may_lock(Some(LOCKED_BYTES)).is_ok() && may_lock(None).is_ok());
    }

    #[test]
    fn where_rings_are_forbidden_the_probe_says_why() {
        for errno in [Errno::PERM, Errno::NOSYS] {
            let refused = SeccompAction::Errno(errno.raw_os_error().unsigned_abs());
            let rules = [(libc::SYS_io_uring_setup, Vec::new())].into();
            let architecture = std::env::consts::ARCH.try_into().unwrap();
            let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, architecture);
            let program = BpfProgram::try_from(filter.unwrap()).unwrap();
            // The filter holds for a thread, and for those that it starts.
            let probing = std::thread::spawn(move || {
                seccompiler::apply_filter(&program).unwrap();
                probe(2)
            });
            let told = probing.join().unwrap().unwrap_err().to_string();
            let reason = io::Error::from(errno).to_string();
            assert!(
                told.contains("io_uring") && told.contains(&reason),
                "{told}"
            );
        }
    }

    #[test]
    fn an_executor_that_passes_the_probe_can_be_made_at_once() {
        match probe(2) {
            Ok(()) => drop(executor().unwrap()),
            Err(error) => eprintln!("skipped: no rings here: {error}"),
        }
    }

    #[test]
    fn a_probe_may_run_within_somebody_elses_glommio() {
        match executor() {
            Ok(outer) => outer.run(async { probe(1) }).unwrap(),
            Err(error) => eprintln!("skipped: no rings here: {error}"),
        }
    }
}
