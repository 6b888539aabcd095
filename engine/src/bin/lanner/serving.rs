//! A server's life in this process: start, what is said about it, stop by signal, and the account at the end.

use crate::failure::Failure;
use crate::logging;
use crate::report;
use crate::signals::Waiting;
use lanner::{App, Count, EndReason, Server, ServerHandle, WorkerInfo};
use lanner_limits::Resolved;
use tracing_subscriber::filter::LevelFilter;

/// Serves until a signal stops it.
pub(crate) fn serve<A: App>(
    resolved: Resolved,
    log: LevelFilter,
    factory: impl Fn(&WorkerInfo) -> A + Send + Sync + 'static,
) -> Result<(), Failure> {
    logging::start(log).map_err(|error| Failure::System("cannot start the log", error))?;
    for notice in &resolved.notices {
        tracing::warn!("{notice}");
    }
    warn_of_short_backlog(resolved.limits.tcp_backlog);
    let signals = Waiting::begin()?;
    let caps = report::caps(&resolved.limits);
    let server = Server::builder()
        .limits(resolved.limits)
        .start(factory)
        .map_err(Failure::Start)?;
    let handle = server.handle();
    announce(&handle, &caps);
    signals.steer(handle.clone())?;
    let outcome = server.join();
    account(&handle);
    outcome.map_err(|error| Failure::System("the server could not go on", error))
}

/// The kernel cuts what listen(2) is told without a word.
fn warn_of_short_backlog(wanted: u32) {
    let path = "/proc/sys/net/core/somaxconn";
    let most = std::fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse::<u32>().ok());
    if let Some(most) = most.filter(|most| *most < wanted) {
        tracing::warn!(
            "net.core.somaxconn={most} cuts LANNER_TCP_BACKLOG={wanted}; `sysctl` raises it"
        );
    }
}

fn announce(server: &ServerHandle, caps: &str) {
    let info = server.info();
    tracing::info!(
        "lanner {}, {} {}, driver {}: {}",
        env!("CARGO_PKG_VERSION"),
        info.workers,
        if info.workers == 1 {
            "worker"
        } else {
            "workers"
        },
        info.driver,
        info.driver_reason
    );
    tracing::info!("{caps}");
    for address in server.addresses() {
        tracing::info!("listening on {address}");
    }
}

/// What a person wants to know of a server that is gone: whether somebody was cut, and whether limits were at work.
fn account(server: &ServerHandle) {
    let counters = server.counters();
    let cut = counters.ended(EndReason::AppShutdownTimeout);
    let (requests, accepted) = (
        counters.count(Count::Requests),
        counters.count(Count::Accepted),
    );
    let summary = format!("stopped after {requests} requests on {accepted} connections");
    match cut {
        0 => tracing::info!("{summary}; none was cut"),
        _ => tracing::warn!("{summary}; cut before their end: {cut}"),
    }
    for (name, value) in counters.named() {
        tracing::debug!("{name} {value}");
    }
}
