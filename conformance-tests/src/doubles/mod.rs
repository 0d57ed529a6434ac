//! Stores for tests of whatever uses a store: middleware, helpers, applications.
//!
//! Each wraps a real store and forwards every call to it, with one thing added: [`SpyStore`] keeps a log,
//! [`ScriptedStore`] fails as it is told, [`SlowStore`] takes its time. They nest.
//!
//! ```
//! use std::sync::Arc;
//!
//! use conformance_tests::doubles::{Op, SpyStore};
//! use session_core::Sessions;
//! use session_memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let spy = Arc::new(SpyStore::new(Arc::new(MemoryStore::new())));
//! let sessions = Sessions::builder(Arc::clone(&spy)).build()?;
//! let mut request = sessions.open(None).await?;
//! request.data_mut().insert("theme", "dark")?;
//! let _ = sessions.commit(&mut request).await?;
//! assert_eq!(spy.take_calls(), [Op::Create], "one call for a new session");
//! # Ok(()) }
//! ```

mod forward;
mod held;
mod scripted;
mod slow;
mod spy;

pub use held::HeldStore;
pub use scripted::{Fault, ScriptedStore};
pub use slow::SlowStore;
pub use spy::SpyStore;

/// An operation of a store or of its index by subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Op {
    /// [`SessionStore::create`](session_core::SessionStore::create)
    Create,
    /// [`SessionStore::load`](session_core::SessionStore::load)
    Load,
    /// [`SessionStore::update`](session_core::SessionStore::update)
    Update,
    /// [`SessionStore::touch`](session_core::SessionStore::touch)
    Touch,
    /// [`SessionStore::delete`](session_core::SessionStore::delete)
    Delete,
    /// [`SubjectIndex::list`](session_core::SubjectIndex::list)
    List,
    /// [`SubjectIndex::delete_all`](session_core::SubjectIndex::delete_all)
    DeleteAll,
    /// [`SubjectIndex::delete_one`](session_core::SubjectIndex::delete_one)
    DeleteOne,
}
