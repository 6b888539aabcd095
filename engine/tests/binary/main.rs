//! The `lanner` program as its users meet it: built, started as a process, and talked to from outside.
//!
//! `program` starts it and waits for what it says; the other files are the tests, by who does the talking: a person at
//! the command line, raw bytes on a socket, real clients, and real reverse proxies in front. What a program on this
//! machine has to be installed for is skipped where it is not, except in CI, where that is a failure.

#![allow(clippy::unwrap_used)]

mod activation;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod automatic;
mod clients;
mod commands;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod development;
mod forbidden;
mod fronts;
mod instruments;
mod program;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod secure;
mod serving;
