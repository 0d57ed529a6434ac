//! What applications use: sessions on top of a store.

mod builder;
mod commit;
mod create;
mod login;
mod modify;
mod open;
mod users;

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

pub use builder::SessionsBuilder;
pub use login::Login;

use crate::clock::Clock;
use crate::error::{StoreError, StoreErrorKind};
use crate::lifetimes::Lifetimes;
use crate::page::{Page, PageRequest};
use crate::payload::Codec;
use crate::random::RandomSource;
use crate::realm::{InvalidSubject, Realm, Subject};
use crate::record::{Record, SessionSummary};
use crate::store::{Count, Purged, SessionStore};
use crate::timestamp::Timestamp;

/// Sessions on a store: the type that applications hold. Clones are cheap and share everything.
///
/// A request opens its session with the client's token, changes the data, and commits:
///
/// | operation | store calls, usually |
/// |---|---|
/// | [`open`](Sessions::open) | 1, none without a well-formed token |
/// | [`commit`](Sessions::commit) | none if nothing changed, 1 if something did, 1 touch in a tenth of the idle time |
/// | [`login`](Sessions::login), [`elevate`](Sessions::elevate), [`destroy`](Sessions::destroy) | 1, at once |
///
/// `S` may be a concrete store or `dyn SessionStore`. `I` says whether the store has an index by subject:
/// without one there is no `list`, `destroy_one` and `destroy_all`.
///
/// Conflicts with other requests are merged by key, see [`SessionData`](crate::SessionData); events are
/// listed in [`events`](crate::events).
pub struct Sessions<S: SessionStore + ?Sized, I = Indexed> {
    store: Arc<S>,
    config: Arc<Config>,
    index: PhantomData<fn() -> I>,
}

/// Marks [`Sessions`] on a store with an index by subject.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Indexed;

/// Marks [`Sessions`] on a store without an index by subject.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct NoIndex;

/// What a commit does when another request committed first. Whether the request may still write at all, by
/// its token and subject, is looked at before in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ConflictPolicy {
    /// Applies the recorded changes on top of the other's, by key.
    #[default]
    Merge,
    /// Refuses with [`SessionError::Conflict`](crate::SessionError::Conflict).
    Reject,
    /// Replaces the data, and nothing but the data, by this request's view of it.
    Overwrite,
}

#[derive(Debug, Clone)]
struct Config {
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomSource>,
    realm: Realm,
    authenticated: Lifetimes,
    anonymous: Lifetimes,
    anonymous_payload: usize,
    rotation_grace: Duration,
    conflict: ConflictPolicy,
    commit_within: Duration,
    codec: Codec,
    per_subject: Option<NonZeroU32>,
}

impl Config {
    /// An anonymous session may be unused for no longer than a logged-in one: its idle deadline does not move
    /// back when it logs in.
    fn lifetimes(&self, subject: Option<&Subject>) -> Lifetimes {
        match subject {
            Some(_) => self.authenticated,
            None => self.anonymous.idle_at_most(self.authenticated.idle()),
        }
    }
}

impl<S: SessionStore + ?Sized> Sessions<S> {
    /// Starts the configuration. Every setting has a safe default.
    pub fn builder(store: Arc<S>) -> SessionsBuilder<S> {
        SessionsBuilder::new(store)
    }
}

impl<S: SessionStore, I> Sessions<S, I> {
    /// The same sessions without the type of the store, for code that works with any.
    #[must_use]
    pub fn erased(&self) -> Sessions<dyn SessionStore, I> {
        Sessions {
            store: Arc::clone(&self.store) as Arc<dyn SessionStore>,
            config: Arc::clone(&self.config),
            index: PhantomData,
        }
    }
}

impl<S: SessionStore + ?Sized, I> Sessions<S, I> {
    /// The same sessions for another tenant or application on the same store.
    #[must_use]
    pub fn with_realm(&self, realm: Realm) -> Self {
        self.with(|config| config.realm = realm)
    }

    /// The same sessions with other lifetimes, say for "remember me" or for one tenant.
    #[must_use]
    pub fn with_lifetimes(&self, authenticated: Lifetimes, anonymous: Lifetimes) -> Self {
        self.with(|config| {
            config.authenticated = authenticated;
            config.anonymous = anonymous;
        })
    }

    fn with(&self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::clone(&self.config);
        change(&mut config);
        Self { config: Arc::new(config), ..self.clone() }
    }

    /// The user `name` of this realm.
    ///
    /// # Errors
    ///
    /// [`InvalidSubject`] for an empty name, one of more than 191 bytes, or one with a NUL.
    pub fn subject(&self, name: &str) -> Result<Subject, InvalidSubject> {
        Subject::new(&self.config.realm, name)
    }

    /// When the session was last used, as far as its idle deadline shows: to within the part of the idle lifetime
    /// that passes before a touch is written, a tenth by default, and the twentieth to which touches are rounded. Where the absolute deadline caps the idle one,
    /// the session may have been used later.
    #[must_use]
    pub fn last_used(&self, session: &SessionSummary) -> Timestamp {
        let lifetimes = self.config.lifetimes(session.subject.as_ref());
        session.expires_at.minus(lifetimes.idle()).max(session.created_at)
    }

    /// The time by the configured clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.config.clock.now()
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &Arc<S> {
        &self.store
    }

    /// The live sessions of every realm, a page at a time, for administration. See
    /// [`Inspect::scan`](crate::Inspect::scan) for what it costs.
    ///
    /// # Errors
    ///
    /// `Config` when the store cannot be inspected, and whatever the store answers.
    pub async fn scan(&self, page: &PageRequest) -> Result<Page<SessionSummary>, StoreError> {
        self.inspect()?.scan(page, self.now()).await
    }

    /// How many sessions are live, in every realm.
    ///
    /// # Errors
    ///
    /// `Config` when the store cannot be inspected, and whatever the store answers.
    pub async fn count(&self) -> Result<Count, StoreError> {
        self.inspect()?.count(self.now()).await
    }

    fn inspect(&self) -> Result<&dyn crate::store::Inspect, StoreError> {
        self.store
            .inspect()
            .ok_or_else(|| StoreError::new(StoreErrorKind::Config, "the store cannot be inspected"))
    }

    /// Removes one batch of records that have been over for longer than the store's margin. `None` when the
    /// store expires records by itself. Call it again while [`Purged::more`].
    ///
    /// # Errors
    ///
    /// Whatever the store answers. Nothing is lost; a later call goes on.
    pub async fn purge(&self, limit: NonZeroU32) -> Result<Option<Purged>, StoreError> {
        let Some(purge) = self.store.purger() else { return Ok(None) };
        let cutoff = self.now().minus(self.store.margin());
        purge.purge(limit, cutoff).await.map(Some)
    }

    /// Whether `record` may be shown to this realm.
    fn is_of_this_realm(&self, record: &Record) -> bool {
        record.subject().is_none_or(|subject| subject.realm() == self.config.realm.as_str())
    }
}

impl<S: SessionStore + ?Sized, I> Clone for Sessions<S, I> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            config: Arc::clone(&self.config),
            index: PhantomData,
        }
    }
}

impl<S: SessionStore + ?Sized, I> fmt::Debug for Sessions<S, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("store", &&*self.store)
            .field("config", &self.config)
            .finish()
    }
}
