//! The rules of the contract. A namespace is a store, and a handle is a clone of it.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use conformance_tests::{Fixture, Profile, Result, Space, Suite};
use session_memory::MemoryStore;

#[derive(Default)]
struct Memory(Mutex<HashMap<String, MemoryStore>>);

impl Memory {
    fn store(&self, space: &Space) -> MemoryStore {
        let mut stores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stores.entry(space.name().to_owned()).or_default().clone()
    }
}

impl Fixture for Memory {
    type Store = MemoryStore;
    const PROFILE: Profile =
        Profile::new("session-memory").version(env!("CARGO_PKG_VERSION")).volatile();

    async fn start() -> Result<Self> {
        Ok(Self::default())
    }

    async fn open(&self, space: &Space) -> Result<MemoryStore> {
        Ok(self.store(space))
    }

    async fn physical_rows(&self, space: &Space) -> Result<Option<u64>> {
        Ok(Some(self.store(space).stored_sessions()))
    }
}

fn main() -> ExitCode {
    Suite::<Memory>::new().subject_index().inspect().purge().main()
}
