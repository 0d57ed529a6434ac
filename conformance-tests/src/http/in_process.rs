//! Stores in this process, for suites that are not about stores.

use std::any::type_name;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use session_core::SessionStore;

use crate::Result;
use crate::fixture::Fixture;
use crate::profile::Profile;
use crate::space::Space;

/// A fixture of stores that live in this process, such as `MemoryStore`: a namespace is a store, and a handle is a
/// clone of it.
pub struct InProcess<S>(Mutex<HashMap<String, S>>);

impl<S: SessionStore + Clone + Default> Fixture for InProcess<S> {
    type Store = S;

    const PROFILE: Profile = Profile::new("in-process").volatile();

    async fn start() -> Result<Self> {
        Ok(Self::default())
    }

    async fn open(&self, space: &Space) -> Result<S> {
        let mut stores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(stores.entry(space.name().to_owned()).or_default().clone())
    }
}

impl<S> Default for InProcess<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S> fmt::Debug for InProcess<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InProcess({})", type_name::<S>())
    }
}
