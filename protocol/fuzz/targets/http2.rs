//! The fuzzer's way into `http2`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lanner_protocol_fuzz::http2::run(input));
