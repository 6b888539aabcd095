//! RFC 9113, a test for each MUST that a server can be held to. The sentence above a test is the rule in our own words.
//!
//! Here the server is in process. The tests of `lanner` run the same cases through sockets, against a server of their own or
//! any other that runs the suite's app (`client.rs` says what that does; `engine/examples/rfc9113.rs` is one):
//! `H2_TARGET=127.0.0.1:8080 cargo test -p lanner --test http2 rfc9113`.
//!
//! What the RFC says that a server MUST, and no case holds it to:
//! - 3.1, 3.2 and 9.2, `h2` over TLS and never `h2c`; versions, compression, renegotiation and cipher suites of TLS: what is
//!   below HTTP/2 cannot be seen from here; they are tested with TLS.
//! - 3.4, 5.1 and 6.6, what follows from a push or a reserved stream: a server that never pushes has none of these states, and
//!   each case fails at the first PUSH_PROMISE.
//! - 5.1, frames behind the server's RST_STREAM are ignored for some time only: how long is the server's choice. That they are
//!   ignored, and counted, is tested.
//! - 5.2.2, reading goes on so that WINDOW_UPDATE is seen while a stream is blocked: there is no telling a server that does not
//!   read from one that is slow, but for the cases in which windows open again.
//! - 6.5.3, the sender of SETTINGS may end a connection whose peer never acknowledges them: not a MUST, and a matter of time;
//!   the tests beside these do it with a clock of their own.
//! - 6.8, the last stream of a second GOAWAY is not above that of the first, and field blocks and DATA behind a GOAWAY are still
//!   decoded and counted: needs a server that leaves at our bidding; `../h2/leaving.rs`.
//! - 6.9.3, what a server must bear that makes its own windows smaller: ours does not.
//! - 8.1, 8.1.1 and 8.3, what makes an answer malformed, and what intermediaries must do: of clients and of proxies. That our
//!   own answers are none of that is held against each of them.
//! - 8.7, REFUSED_STREAM only for what was not looked at: what a server has done cannot be seen; `../h2/floods.rs` asks the
//!   connection.
#![allow(clippy::unwrap_used)]

mod client;
mod frames;
mod messages;
mod peer;
mod start;
mod streams;
#[path = "../h2/wire.rs"]
#[allow(dead_code)]
mod wire;
