//! Entries for fuzzers: one module for each, with a function `run` that takes any bytes and panics if anything does not hold
//! that must hold whatever a peer sends.
#![forbid(unsafe_code)]

pub mod chunked;
pub mod client1;
pub mod client2;
pub mod frames;
pub mod head;
pub mod hpack;
pub mod http1;
pub mod http2;
mod script;
mod world;
