//! What a Redis key holds, whatever it is.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| session_redis::fuzz_decode(data));
