//! The client's half of HTTP: what the load generator sends with, and the reverse proxy.
//!
//! As pure as the server's half: bytes and moments go in; events, bytes and one next deadline come out. A driver owns one
//! [`http1::Connection`] or [`http2::Connection`] per server that it is connected to; the two have the same verbs, and their
//! modules give the order of calls. Connecting, pooling, trying again, and how long a server may take to answer are the
//! driver's.
//!
//! Nothing that a server sends is trusted more than what a client sends: codecs, bounds and the strictness about where a
//! message ends are those of the server's half, under the same `Limits`.

#[doc(hidden)]
pub mod fuzz;
pub mod http1;
pub mod http2;
mod request;
mod response;
mod send_error;

pub use request::{InvalidRequest, Request};
pub use response::{Body, Response};
pub use send_error::SendError;

use crate::output::Output;
use lanner_limits::Moment;

/// How many informational responses may come before one final response. Each costs us a head and earns the server nothing; a
/// server that says every 20 s that it still works needs so many in half an hour.
pub(crate) const INFORMATIONAL_MAX: u16 = 100;

/// What one call may use: the moment it happens at, and where bytes for the server go.
#[derive(Debug)]
pub struct Turn<'a> {
    /// Now, read once for the whole turn.
    pub now: Moment,
    /// Where bytes for the server are queued.
    pub output: &'a mut Output,
}
