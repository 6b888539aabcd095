//! The cases of RFC 9113 through sockets, on epoll.
#![allow(clippy::duplicate_mod, reason = "once for each driver")]

#[path = "../../../protocol/tests/h2_rfc9113/client.rs"]
mod client;
#[path = "../../../protocol/tests/h2_rfc9113/frames.rs"]
mod frames;
#[path = "../../../protocol/tests/h2_rfc9113/messages.rs"]
mod messages;
#[path = "../../../protocol/tests/h2_rfc9113/start.rs"]
mod start;
#[path = "../../../protocol/tests/h2_rfc9113/streams.rs"]
mod streams;
#[path = "../../../protocol/tests/h2/wire.rs"]
#[allow(dead_code)]
mod wire;

peers_on!(lanner_limits::Driver::Epoll);
