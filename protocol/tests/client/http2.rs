//! HTTP/2.

mod bodies;
mod bounds;
mod driver;
mod frames;
mod leaving;
mod properties;
mod requests;
mod responses;
mod with_server;
