#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raccord::fuzzing::networks(data));
