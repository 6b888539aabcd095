//! The fuzzer's way into `client1`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lanner_protocol_fuzz::client1::run(input));
