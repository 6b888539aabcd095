//! One HTTP/1.1 connection, driven by scripted peers on a made-up clock.

#![allow(clippy::unwrap_used)]

mod body_bounds;
mod chunked;
mod converse;
mod deadlines;
mod driver;
mod endings;
mod expectation;
mod messages;
mod pipelining;
mod properties;
mod rates;
mod reader;
mod splits;
mod stopping;
mod unread_body;
mod upgrade;
