//! HTTP/2.

mod bodies;
mod bounds;
#[path = "../h2/bytes.rs"]
mod bytes;
mod driver;
mod frames;
mod leaving;
mod properties;
mod requests;
mod responses;
mod with_server;
