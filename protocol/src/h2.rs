//! HTTP/2 (RFC 9113): the server's half of a connection, what its frames are, and the arithmetic that it keeps for them.
//!
//! - [`Connection`]: the state machine, which puts all that follows together;
//! - [`frame`]: bytes to frames and back, and everything that can be wrong with a single frame;
//! - [`settings`]: what each side announced, and what follows from it;
//! - [`window`]: flow control, both ways;
//! - [`priority`]: whose turn it is to send (RFC 9218);
//! - [`flood`]: budgets for what is legal frame by frame and an attack a thousand times;
//! - [`error_code`]: what a peer is told;
//! - `reader`, `terms`, `streams` and [`Fault`]: what is the same for a server's half and a client's (`crate::client::http2`).
//!
//! All but the first are plain values that know little of one another; which frame may come in which state is the connection's
//! to say.

mod connection;
pub mod error_code;
mod fault;
pub mod flood;
pub mod frame;
mod output_rate;
pub mod priority;
pub(crate) mod reader;
pub(crate) mod request;
pub mod settings;
mod stream;
pub(crate) mod streams;
pub(crate) mod terms;
mod trips;
pub mod window;

pub use connection::{Connection, Event, Offence, Step};
pub use fault::Fault;
pub use request::Malformed;
pub use stream::{Reset, StreamKey};
