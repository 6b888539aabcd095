//! The fuzzer's way into `client2`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lanner_protocol_fuzz::client2::run(input));
