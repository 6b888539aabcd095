//! The fuzzer's way into `http1`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lanner_protocol_fuzz::http1::run(input));
