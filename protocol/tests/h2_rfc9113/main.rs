//! RFC 9113, a test for each MUST that a server can be held to. The sentence above a test is the rule in our own words.
#![allow(clippy::unwrap_used)]

mod client;
mod frames;
mod messages;
mod peer;
mod start;
mod streams;
#[path = "../h2/wire.rs"]
#[allow(dead_code)]
mod wire;
