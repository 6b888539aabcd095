//! HTTP/1.1.

mod driver;
mod framing;
mod heads;
mod persistence;
mod properties;
mod requests;
mod with_server;

pub(crate) use driver::limits;
