//! Clients that load a server, or annoy it, in ways one can measure: each is one thread and one epoll, so that its own cost
//! is small, known, and bounded to one core. [`run`] is the load generator, whose every thread is such a one. `slowloris`
//! trickles bytes, `honest` measures what everyone else feels meanwhile, `idle` holds connections that do nothing,
//! `connect-rate` opens a connection for every request. `handshakes` and `hold` do what TLS and HTTP/2 need of that: they
//! block, on a thread each.
//!
//! The programs in `src/bin` only read their command line; what they do is here, so that tests can call it. [`compare`] runs
//! them, and other people's load generators, against several servers.
#![forbid(unsafe_code)]

pub mod answer;
pub mod arguments;
pub mod certificate;
pub mod compare;
pub mod connect_rate;
pub mod descriptors;
pub mod dial;
pub mod first_request;
pub mod handshakes;
pub mod held;
pub mod honest;
pub mod idle;
pub mod latency;
mod offer;
pub mod opening;
pub mod poller;
pub mod quantity;
pub mod report;
pub mod request;
pub mod run;
pub mod schedule;
pub mod secure;
pub mod slowloris;
pub mod spread;
