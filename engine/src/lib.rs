//! An HTTP edge server engine for Linux.
//!
//! One thread per CPU, each with its own listeners, connections, timers and app; nothing is shared on the way of a
//! request. What a client may cost is bounded before the app is called, and every bound can be tuned.
//!
//! ```no_run
//! use lanner::{Error, Request, Response, Server};
//!
//! async fn hello(_request: Request) -> Result<Response, Error> {
//!     Ok(Response::text("Hello, World!"))
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let server = Server::builder().set("listen", "http://127.0.0.1:8080").start(|_worker| hello)?;
//!     println!("serving on {:?}", server.handle().addresses());
//!     Ok(server.join()?)
//! }
//! ```
//!
//! A request's way through the files: `runtime` accepts and reads; `worker` finds the connection; `connection` asks
//! `lanner_protocol` what the bytes mean, hands the head to `exchange`, which calls the [`App`], and queues the answer;
//! `runtime` writes.

mod access_log;
mod admission;
mod app;
mod blocking;
mod body;
mod caught;
mod clock;
mod connection;
mod context;
mod control;
mod counters;
mod date;
mod exchange;
mod input;
mod lease;
mod link;
mod listener;
mod machine;
mod outgoing;
mod ready;
mod request;
mod response;
mod runtime;
mod server;
mod shared;
mod shedding;
#[cfg(test)]
mod simulation;
mod slab;
mod sleep;
mod stopping;
mod task;
#[cfg_attr(
    not(any(feature = "aws-lc-rs", feature = "ring")),
    path = "tls/absent.rs"
)]
mod tls;
mod upgrade;
mod waiter;
mod watchdog;
mod worker;

pub use app::{App, BoxApp, Error};
pub use blocking::{Blocking, BlockingError, blocking};
pub use body::{Body, BodyError, Chunk};
pub use counters::{Count, Counters};
pub use lanner_limits::{Limits, MinRate, Trip};
pub use lanner_protocol::{
    ContentType, EndReason, Fields, InvalidField, Method, Misbehaviour, Overrides, Refusal, Status,
};
pub use listener::BoundAddress;
pub use machine::{machine, raise_descriptor_limit};
pub use outgoing::{Outgoing, connect};
pub use request::{ConnectionInfo, Request, RequestView, TooLate};
pub use response::{BodyStream, Response};
pub use server::{Builder, Server, ServerHandle, ServerInfo, StartError, WorkerInfo};
pub use sleep::{Sleep, sleep};
pub use stopping::{is_stopping, stopping};
pub use task::{JoinHandle, TaskPanicked, spawn_local};
pub use tls::{Alpn, DevelopmentCertificate, TlsInfo};
pub use upgrade::Upgraded;
