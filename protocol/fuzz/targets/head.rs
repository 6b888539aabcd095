//! The fuzzer's way into `head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lanner_protocol_fuzz::head::run(input));
