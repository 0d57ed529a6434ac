//! The rules of sessions over HTTP, served by actix-web.

mod fixture;

use std::process::ExitCode;

use conformance_tests::http::{HttpSuite, InProcess};
use fixture::Actix;
use session_memory::MemoryStore;

fn main() -> ExitCode {
    HttpSuite::<_, InProcess<MemoryStore>>::new(Actix).main()
}
