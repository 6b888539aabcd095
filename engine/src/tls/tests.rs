//! Whole handshakes without a socket: rustls as the client, a `Session` as the server, and bytes carried between them,
//! at every split and with everything that can be wrong.

#![allow(clippy::unwrap_used)]

mod abuse;
mod clients;
mod closing;
mod handshakes;
mod naming;
mod resumption;
