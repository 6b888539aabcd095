//! What one request costs, in figures that do not move with the machine's mood: user-space instructions, heap
//! allocations and system calls of a real server on real loopback sockets.
//!
//! A [`scenario`] says what is asked and which answer is right; [`load`] asks it, over heads that never repeat
//! ([`heads`]). The three measurements are [`allocations`] (within this process), [`system_calls`] (under strace) and
//! [`instructions`] (under callgrind); the latter two watch the program `steady`, a [`subject`]. Each compares two
//! runs that differ in their number of requests only, so that starting, connecting and stopping cancel out. What a
//! request may cost stands in `budgets.toml` ([`budget`]); the tests check it, the program `budgets` updates it.
//!
//! Comparing servers with each other, which needs a clock, is left to `lanner-loadtest compare`. The floors, which are
//! servers that only a comparison wants, are among the programs here, for they are nobody's load.

pub mod allocations;
pub mod app;
pub mod budget;
pub mod endpoint;
pub mod field_list;
pub mod heads;
pub mod instructions;
pub mod load;
pub mod obstacle;
pub mod scenario;
pub mod subject;
pub mod system_calls;
pub mod toolchain;
