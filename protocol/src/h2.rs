//! HTTP/2 (RFC 9113): what its frames are, and the arithmetic that a connection keeps for them.
//!
//! - [`window`]: flow control, both ways;
//! - [`flood`]: budgets for what is legal frame by frame and an attack a thousand times.
//!
//! All of it is plain values that know nothing of one another; which frame may come in which state is for whoever puts
//! them together.

pub mod flood;
pub mod window;
