//! HTTP/2 through sockets: the cases of RFC 9113 against a server of this process, and clients that others have made.
#![allow(clippy::unwrap_used)]

#[path = "../../examples/rfc9113.rs"]
#[allow(dead_code)]
mod app;
#[macro_use]
mod peers;
mod rfc9113_epoll;
mod rfc9113_uring;
mod socket;
