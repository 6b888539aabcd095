//! The generator against servers in this process: every answer counts once, moments are kept, and whatever a server does wrong
//! is said, with what was measured until then.

#![allow(clippy::unwrap_used)]

mod answers;
mod canned;
mod certificate;
mod command;
mod interruption;
mod openings;
mod pace;
mod serving;
mod silence;
mod trouble;
