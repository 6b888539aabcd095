//! The fuzzer's way into `chunked`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lanner_protocol_fuzz::chunked::run(input));
