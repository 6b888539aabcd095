//! TLS over real sockets, with rustls' client as the peer: what sessions do is tested beside them, without sockets; here is
//! what drivers, workers and certificates on disk make of it.

mod clients;
mod closing;
mod crowd;
mod exchange;
mod handshake;
mod identity;
mod names;
pub(crate) mod party;
mod reload;
