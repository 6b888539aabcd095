//! The fuzzer's way into `hpack`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lanner_protocol_fuzz::hpack::run(input));
