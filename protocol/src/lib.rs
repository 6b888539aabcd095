//! HTTP as a pure calculation: bytes and moments go in; events, bytes and one next deadline come out.
//!
//! No socket, clock, thread or file is known here; `lanner` (the engine) brings those. A driver owns one
//! [`Connection`] per client and calls, in each of its turns:
//!
//! 1. [`Connection::handle_eof`] or [`Connection::handle_reset`], if that is what reading came to; else
//!    [`Connection::poll_request`] with everything received and not yet consumed, until it says [`Event::More`],
//!    [`Event::Held`] or [`Event::Closing`], or gives the [`Event::Head`] of a request (an [`Event::FoldedHead`] goes to
//!    [`Connection::handle_unfolded`] first);
//! 2. within the exchange that begins there, the app's verbs, [`Connection::admit`], [`Connection::want_body`] and
//!    [`Connection::poll_body`], [`Connection::respond`], [`Connection::send`], [`Connection::finish`], as the app
//!    proceeds ([`Connection::handle_queued`] and [`Connection::handle_dequeued`] around the time for which a request is
//!    kept from the app);
//! 3. a write of what stands in the [`Output`], then [`Connection::handle_output`];
//! 4. [`Connection::fate`], which says whether to go on, to close, or to shut down the sending side and call
//!    [`Connection::handle_shutdown`]; and [`Connection::deadline`], the moment by which [`Connection::handle_timeout`] is
//!    due if nothing else happens.
//!
//! [`Connection::handle_stop`] tells of the server's stop, [`Connection::handle_stop_deadline`] of its end, and
//! [`Connection::shed`] makes room.

#![forbid(unsafe_code)]

pub mod chunked;
pub mod client;
mod connection;
mod end_reason;
pub mod field;
mod fields;
pub mod framing;
pub mod h2;
pub mod head;
pub mod host;
pub mod hpack;
mod method;
mod misbehaviour;
mod output;
mod receive;
mod refusal;
mod response;
pub mod scan;
mod span;
mod status;
pub mod target;
mod words;

pub use connection::{Connection, Fate, Overrides, Turn};
pub use end_reason::EndReason;
pub use fields::{ContentType, Fields, InvalidField};
pub use head::Head;
pub use method::Method;
pub use misbehaviour::Misbehaviour;
pub use output::{Lent, Output};
pub use receive::{Event, Step};
pub use refusal::Refusal;
pub use response::{BodyLength, ResponseError, ResponseHead};
pub use span::Span;
pub use status::Status;
