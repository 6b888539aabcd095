//! HTTP/2 through sockets: the cases of RFC 9113 against a server of this process, and clients that others have made.
#![allow(clippy::unwrap_used)]

#[path = "../../examples/rfc9113.rs"]
#[allow(dead_code, reason = "its `main` starts a server of its own")]
mod app;
mod clients;
mod greeter;
#[path = "../../examples/grpc.rs"]
#[allow(dead_code, reason = "its `main` starts a server of its own")]
mod grpc;
#[macro_use]
mod peers;
#[path = "../binary/program.rs"]
#[allow(dead_code, reason = "tests of the binary need more of it")]
mod program;
mod refused;
mod rfc9113_epoll;
mod rfc9113_uring;
mod secure;
mod socket;
