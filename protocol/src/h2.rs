//! HTTP/2 (RFC 9113): what its frames are, and the arithmetic that a connection keeps for them.
//!
//! - [`frame`]: bytes to frames and back, and everything that can be wrong with a single frame;
//! - [`settings`]: what each side announced, and what follows from it;
//! - [`window`]: flow control, both ways;
//! - [`priority`]: whose turn it is to send (RFC 9218);
//! - [`flood`]: budgets for what is legal frame by frame and an attack a thousand times;
//! - [`error_code`]: what a peer is told.
//!
//! All of it is plain values that know nothing of one another; which frame may come in which state is for whoever puts
//! them together.

pub mod error_code;
pub mod flood;
pub mod frame;
pub mod priority;
pub mod settings;
pub mod window;
