//! What a server of HTTP/1.1 may answer our client's half: the protocol has an entry of its own for that.

/// Asks, and takes the bytes for the answers.
pub fn run(input: &[u8]) {
    lanner_protocol::client::fuzz::fuzz_http1(input);
}
