//! The server's half of an HTTP/2 connection, driven with bytes and a made-up clock.
#![allow(clippy::unwrap_used)]

mod bodies;
mod deadlines;
mod driver;
mod floods;
mod heads;
mod leaving;
mod properties;
mod requests;
mod responses;
mod splits;
mod wire;
