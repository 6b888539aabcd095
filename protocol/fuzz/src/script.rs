//! Input as a script: what is done next, and with how many of the bytes that follow.

use lanner_limits::{Limits, Machine};

/// What is left of the input.
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next byte as a number, or none.
    pub(crate) fn number(&mut self) -> usize {
        self.byte().map_or(0, usize::from)
    }

    /// So many bytes, or what is left.
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// The limits of a small machine.
pub(crate) fn limits() -> Limits {
    Limits::for_machine(Machine {
        nofile: 65_536,
        memory: 1 << 30,
        cpus: 1,
    })
}
