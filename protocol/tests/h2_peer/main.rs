//! The `h2` crate as the client of our server half, in memory: whatever requests and answers there are, however the bytes
//! between them are cut, and whoever gives up in between, what arrives is what was sent, both ways.
#![allow(clippy::unwrap_used)]

mod client;
mod exchange;
mod properties;
mod server;
mod wire;
