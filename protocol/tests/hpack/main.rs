//! HPACK from outside: the examples of RFC 7541, every fault, the bounds, another implementation on the other side.

#![allow(clippy::unwrap_used)]

mod bounds;
mod examples;
mod faults;
mod indexing;
mod judged;
mod other_side;
mod properties;
mod reader;
mod sizes;
