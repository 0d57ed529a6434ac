//! The way in that an adapter gives to the suite.

use std::sync::Arc;

use async_trait::async_trait;
use session_core::{SessionId, SessionStore};

use crate::Result;
use crate::endpoint::Endpoint;
use crate::profile::Profile;
use crate::space::Space;

/// The way in to an adapter: how to start its backend, and how to open a store on it.
///
/// A fixture supplies facts and a way in, never an assertion.
pub trait Fixture: Send + Sync + Sized + 'static {
    /// The store under test.
    type Store: SessionStore;

    /// What the suite has to know about it.
    const PROFILE: Profile;

    /// Starts the backend, or finds it. Called at most once in a process, and never to list the rules.
    ///
    /// What the fixture owns is dropped after the last rule, so a server or container can end in `Drop`.
    fn start() -> impl Future<Output = Result<Self>> + Send;

    /// Opens a store on the namespace `space`, with connections of its own, as another server would.
    ///
    /// Called several times with the same space; the handles must see each other's writes.
    fn open(&self, space: &Space) -> impl Future<Output = Result<Self::Store>> + Send;

    /// Opens a store as [`open`](Self::open) does, but with a single connection to the backend, or the
    /// smallest pool that there can be. On it a call that keeps its connection, or spoils it, is missed by all
    /// that follow.
    ///
    /// One line where a pool has a size. Leave it out where there is nothing to make smaller.
    fn open_narrow(&self, space: &Space) -> impl Future<Output = Result<Self::Store>> + Send {
        self.open(space)
    }

    /// The backend that is really in use: its endpoint, with product and version. It stands in what a run
    /// prints, and without its address in [reports](crate::report).
    ///
    /// Where nothing is said, a volatile store is in this process, and another one's backend is unnamed.
    fn backend(&self) -> Endpoint {
        if Self::PROFILE.is_volatile() { Endpoint::in_process() } else { Endpoint::unnamed() }
    }

    /// How many records are physically present in the namespace, those that are over included, index
    /// entries not. `None` when the fixture cannot tell; some rules then look less closely.
    fn physical_rows(&self, space: &Space) -> impl Future<Output = Result<Option<u64>>> + Send {
        let _ = space;
        async { Ok(None) }
    }

    /// Damages the stored record `id` beneath the adapter, so that no record can be made of it: say, by
    /// writing a few bytes of rubbish under its key. `None` when the fixture cannot do that, and rule
    /// X04 does not apply.
    fn corrupt(
        &self,
        space: &Space,
        id: &SessionId,
    ) -> impl Future<Output = Result<Option<()>>> + Send {
        let _ = (space, id);
        async { Ok(None) }
    }

    /// Everything that the backend holds of the namespace, as raw bytes: keys, values, index entries.
    /// `None` when the fixture cannot tell; rule Y01 then looks only at what it gave to the store.
    fn stored(&self, space: &Space) -> impl Future<Output = Result<Option<Vec<Vec<u8>>>>> + Send {
        let _ = space;
        async { Ok(None) }
    }

    /// The rules that this adapter is known to break, each with a reason. They are run all the same, and
    /// one that passes is a failure until it is taken off the list.
    #[must_use]
    fn known_failures() -> &'static [KnownFailure] {
        &[]
    }
}

/// A rule that an adapter is known to break.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "written as a literal by authors of adapters")]
pub struct KnownFailure {
    /// The number of the rule, say `"X04"`.
    pub rule: &'static str,
    /// Why, best with a link.
    pub because: &'static str,
}

/// A fixture whose type has been forgotten, so that rules are compiled once and not once per adapter.
#[async_trait]
pub(crate) trait AnyFixture: Send + Sync {
    async fn open(&self, space: &Space) -> Result<Arc<dyn SessionStore>>;
    async fn open_narrow(&self, space: &Space) -> Result<Arc<dyn SessionStore>>;
    async fn physical_rows(&self, space: &Space) -> Result<Option<u64>>;
    async fn corrupt(&self, space: &Space, id: &SessionId) -> Result<Option<()>>;
    async fn stored(&self, space: &Space) -> Result<Option<Vec<Vec<u8>>>>;
    fn backend(&self) -> Endpoint;
}

#[async_trait]
impl<F: Fixture> AnyFixture for F {
    async fn open(&self, space: &Space) -> Result<Arc<dyn SessionStore>> {
        Ok(Arc::new(Fixture::open(self, space).await?))
    }

    async fn open_narrow(&self, space: &Space) -> Result<Arc<dyn SessionStore>> {
        Ok(Arc::new(Fixture::open_narrow(self, space).await?))
    }

    async fn physical_rows(&self, space: &Space) -> Result<Option<u64>> {
        Fixture::physical_rows(self, space).await
    }

    async fn corrupt(&self, space: &Space, id: &SessionId) -> Result<Option<()>> {
        Fixture::corrupt(self, space, id).await
    }

    async fn stored(&self, space: &Space) -> Result<Option<Vec<Vec<u8>>>> {
        Fixture::stored(self, space).await
    }

    fn backend(&self) -> Endpoint {
        Fixture::backend(self)
    }
}
