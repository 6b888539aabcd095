//! The fuzzer's way into `frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lanner_protocol_fuzz::frames::run(input));
