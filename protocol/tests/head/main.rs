//! Heads as they come off the wire: scanned, then parsed, each input whole, at every split point and byte by byte.

#![allow(clippy::unwrap_used)]

mod accepted;
mod driver;
mod properties;
mod refused;
mod smuggling;
mod tokens;
