//! Chunked bodies as they come off the wire: each input whole, at every split point and byte by byte; and what we send,
//! read back.

#![allow(clippy::unwrap_used)]

mod accepted;
mod driver;
mod properties;
mod refused;
