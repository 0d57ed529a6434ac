//! The suite on a toy: an adapter that keeps each session in a file of its own.
//!
//! It is the example to read before writing an adapter. Everything that the contract asks for is here, all
//! optional traits included, and nothing else: the five verbs are in `store.rs`, what a folder can do for
//! them in `folder.rs`, and what is in a file in `stored.rs`. This file is the whole of what the suite needs.

mod folder;
mod store;
mod stored;

use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::{env, fs};

use conformance_tests::{Endpoint, Fixture, Profile, Result, Space, Suite};
use session_core::SessionId;

use folder::Folder;
use store::FileStore;

fn main() -> ExitCode {
    Suite::<Toy>::new().subject_index().inspect().purge().main()
}

/// A temporary folder, and in it one folder for each space.
struct Toy(PathBuf);

impl Fixture for Toy {
    type Store = FileStore;

    const PROFILE: Profile = Profile::new("toy");

    async fn start() -> Result<Self> {
        Ok(Self(env::temp_dir().join(format!("session-toy-{}", process::id()))))
    }

    async fn open(&self, space: &Space) -> Result<FileStore> {
        Ok(FileStore::open(self.0.join(space.name()))?)
    }

    fn backend(&self) -> Endpoint {
        Endpoint::in_process()
    }

    async fn physical_rows(&self, space: &Space) -> Result<Option<u64>> {
        let folder = Folder::open(self.0.join(space.name()))?;
        Ok(Some(folder.lock().await?.ids()?.len().try_into()?))
    }

    async fn corrupt(&self, space: &Space, id: &SessionId) -> Result<Option<()>> {
        Ok(Some(fs::write(self.0.join(space.name()).join(id.to_string()), "rubbish")?))
    }
}

impl Drop for Toy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("the folder {} stays: {error}", self.0.display());
        }
    }
}
