//! What `lanner-loadtest run` reports, read back as its readers would: every format, of runs that went well, that went badly and
//! that never began.
#![allow(clippy::unwrap_used)]

mod aborted;
mod browser;
mod formats;
mod interrupted;
mod program;
mod refusals;
mod server;
