//! Another backend: monoio, on its io_uring driver where a probe says that every worker can have its ring, on its epoll
//! driver elsewhere. The shell is the one for all runtimes of tasks.

mod ring;
mod tasks;

pub(crate) use ring::Ring;

use super::Setup;
use super::tasks::Hub;
use crate::exchange::Dispatch;
use monoio::{Driver, LegacyDriver, Runtime, RuntimeBuilder};
use std::io;
use std::mem::ManuallyDrop;
use tasks::MonoioTasks;

/// Runs a worker until it has stopped: on a ring, or on monoio's epoll driver without one.
pub(super) fn run<D: Dispatch>(
    ring: Option<Ring>,
    setup: Setup<D>,
    started: impl FnOnce(),
) -> io::Result<()> {
    match ring {
        Some(ring) => block_on(ring.build_again()?, setup, started),
        None => {
            let runtime = RuntimeBuilder::<LegacyDriver>::new();
            block_on(runtime.enable_timer().build()?, setup, started)
        }
    }
}

fn block_on<D: Dispatch>(
    runtime: Runtime<impl Driver>,
    setup: Setup<D>,
    started: impl FnOnce(),
) -> io::Result<()> {
    let hub = Hub::<_, MonoioTasks>::new(setup)?;
    // Known fault of monoio 0.2.4: a runtime that is dropped with operations in flight frees the memory that the kernel
    // may still write to. After an orderly end nothing is in flight; after an error or a panic the runtime is leaked.
    let mut runtime = ManuallyDrop::new(runtime);
    runtime.block_on(hub.run(started))?;
    drop(ManuallyDrop::into_inner(runtime));
    Ok(())
}
