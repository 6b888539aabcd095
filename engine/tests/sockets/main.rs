//! The engine over real sockets: servers in this process, and clients that write bytes and read bytes.
//!
//! What depends on bytes and moments alone is tested in `lanner_protocol` with made-up time; here is what only a
//! kernel, threads and an app can show. Every test runs on every driver (`drivers.rs` has the list), waits for events
//! instead of sleeping, and ends by proving that no connection was left open (`server.rs`).
#![allow(clippy::unwrap_used)]

#[macro_use]
mod drivers;
#[macro_use]
mod way;

mod abort;
mod activation;
mod agent;
mod app;
mod body;
mod cap;
mod child;
mod churn;
mod client;
mod conversations;
mod exchange;
mod inflight;
mod listener;
mod load;
mod log;
mod network;
mod outgoing;
mod panic;
mod refusal;
mod relaxed;
mod response;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod secure;
mod server;
mod spread;
mod stop;
mod task;
mod timeout;
mod unix;
mod upgrade;
#[path = "../../../protocol/tests/h2/wire.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "tests of the protocol need more of it"
)]
mod wire;
mod worker;
