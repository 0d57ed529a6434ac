//! The rules of sessions over HTTP, served by axum.

mod fixture;

use std::process::ExitCode;

use conformance_tests::http::{HttpSuite, InProcess};
use fixture::Tower;
use session_memory::MemoryStore;

fn main() -> ExitCode {
    HttpSuite::<_, InProcess<MemoryStore>>::new(Tower).main()
}
