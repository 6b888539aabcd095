//! The client's halves, driven with bytes and a made-up clock: against what the RFCs say, against our own server's halves,
//! against another crate's opinion, and against anything at all.

#![allow(clippy::unwrap_used)]

mod http1;
mod http2;
