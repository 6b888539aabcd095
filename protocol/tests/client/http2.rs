//! HTTP/2.

mod bodies;
mod bounds;
mod driver;
mod frames;
mod leaving;
mod requests;
mod responses;
