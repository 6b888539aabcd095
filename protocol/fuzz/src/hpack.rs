//! Field blocks: the protocol has an entry of its own, which sees more than others may.

/// Reads blocks, and writes again what was read.
pub fn run(input: &[u8]) {
    lanner_protocol::hpack::fuzz(input);
}
