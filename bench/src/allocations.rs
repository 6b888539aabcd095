//! Heap allocations per request, counted by an allocator that a program of ours installs as its global one:
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: lanner_bench::allocations::Counting = lanner_bench::allocations::Counting;
//! ```
//!
//! It counts on threads that asked for it, each into a ledger of its own, so servers in one process do not disturb
//! each other. They do not depend on optimisation.

use crate::app;
use crate::endpoint::Endpoint;
use crate::load::Load;
use crate::obstacle::Obstacle;
use crate::scenario::Scenario;
use lanner::{App, BoundAddress, Server};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// The system's allocator, counted.
#[derive(Debug)]
pub struct Counting;

thread_local! {
    /// Where this thread's allocations are counted. Without a destructor, so that it can be used at any time.
    static LEDGER: Cell<Option<&'static AtomicU64>> = const { Cell::new(None) };
}

fn count() {
    if let Some(ledger) = LEDGER.get() {
        ledger.fetch_add(1, Ordering::SeqCst);
    }
}

// SAFETY: every call goes to the system's allocator with its arguments as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Mixes gone through before anything counts: buffers and slots have their size then.
const WARM_CYCLES: u64 = 2;

/// Mixes that count.
const CYCLES: u64 = 4;

/// Counts what a request of the scenario costs the worker on our own epoll driver.
///
/// # Errors
/// If the server fails, or this program has not installed [`Counting`].
pub fn measure(scenario: Scenario) -> Result<f64, Obstacle> {
    measure_app(scenario, || app::answer)
}

/// Counts as [`measure`] does, with another app.
///
/// # Errors
/// As [`measure`].
pub fn measure_app<A: App>(
    scenario: Scenario,
    app: impl Fn() -> A + Send + Sync + 'static,
) -> Result<f64, Obstacle> {
    let ledger: &'static AtomicU64 = Box::leak(Box::default());
    let failed = |error: lanner::StartError| Obstacle::Failure(error.to_string());
    let endpoint = Endpoint::of(scenario).map_err(Obstacle::failed("the certificate"))?;
    let settings = endpoint.settings();
    let settings = settings.map_err(Obstacle::failed("the certificate"))?;
    let server = settings
        .iter()
        .fold(Server::builder(), |builder, (name, value)| {
            builder.set(name, value)
        })
        .set("driver", "epoll")
        .start(move |_worker| {
            LEDGER.set(Some(ledger));
            // Proof that somebody counts.
            drop(black_box(Box::new(0)));
            app()
        })
        .map_err(failed)?;
    let handle = server.handle();
    let counted = match handle.addresses().iter().find_map(BoundAddress::tcp) {
        _ if ledger.load(Ordering::SeqCst) == 0 => Err(Obstacle::Failure(
            "this program does not use the counting allocator".into(),
        )),
        None => Err(Obstacle::Failure("the server has no address".into())),
        Some(address) => count_load(&endpoint, address, ledger),
    };
    handle.stop();
    server.join().map_err(Obstacle::failed("the server"))?;
    counted
}

fn count_load(
    endpoint: &Endpoint,
    address: SocketAddr,
    ledger: &AtomicU64,
) -> Result<f64, Obstacle> {
    let failed = || Obstacle::failed("the load");
    let mut load = Load::connect(endpoint, address).map_err(failed())?;
    load.run(WARM_CYCLES).map_err(failed())?;
    let before = ledger.load(Ordering::SeqCst);
    load.run(CYCLES).map_err(failed())?;
    let after = ledger.load(Ordering::SeqCst);
    Ok((after - before) as f64 / (CYCLES * endpoint.scenario().cycle()) as f64)
}
