use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::{Config, ConflictPolicy, Indexed, NoIndex, Sessions};
use crate::clock::{Clock, SystemClock};
use crate::error::{StoreError, StoreErrorKind};
use crate::lifetimes::Lifetimes;
use crate::payload::Codec;
use crate::random::{OsRandom, RandomSource};
use crate::realm::Realm;
use crate::record::MAX_PAYLOAD_LEN;
use crate::store::SessionStore;

/// The configuration of [`Sessions`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct SessionsBuilder<S: SessionStore + ?Sized> {
    store: Arc<S>,
    config: Config,
}

impl<S: SessionStore + ?Sized> SessionsBuilder<S> {
    pub(super) fn new(store: Arc<S>) -> Self {
        Self {
            store,
            config: Config {
                clock: Arc::new(SystemClock),
                random: Arc::new(OsRandom),
                realm: Realm::default(),
                authenticated: Lifetimes::DEFAULT_AUTHENTICATED,
                anonymous: Lifetimes::DEFAULT_ANONYMOUS,
                anonymous_payload: 16 * 1024,
                rotation_grace: Duration::from_secs(30),
                conflict: ConflictPolicy::Merge,
                commit_within: Duration::from_secs(5),
                codec: Codec::default(),
                per_subject: None,
            },
        }
    }

    /// The lifetimes of logged-in sessions. Default: [`Lifetimes::DEFAULT_AUTHENTICATED`].
    pub fn lifetimes(mut self, lifetimes: Lifetimes) -> Self {
        self.config.authenticated = lifetimes;
        self
    }

    /// The lifetimes of anonymous sessions. Default: [`Lifetimes::DEFAULT_ANONYMOUS`]. Where their idle lifetime
    /// is longer than that of logged-in sessions, the shorter one holds.
    pub fn anonymous_lifetimes(mut self, lifetimes: Lifetimes) -> Self {
        self.config.anonymous = lifetimes;
        self
    }

    /// The largest payload of an anonymous session in bytes. Default: 16 KiB; at most
    /// [`MAX_PAYLOAD_LEN`].
    pub fn anonymous_payload(mut self, bytes: usize) -> Self {
        self.config.anonymous_payload = bytes.min(MAX_PAYLOAD_LEN);
        self
    }

    /// The tenant or application. Default: the empty realm.
    pub fn realm(mut self, realm: Realm) -> Self {
        self.config.realm = realm;
        self
    }

    /// How long the old secret stays valid after a rotation, for requests that are in flight. Default: 30
    /// seconds. Logins and elevations have none, whatever is set here.
    pub fn rotation_grace(mut self, grace: Duration) -> Self {
        self.config.rotation_grace = grace;
        self
    }

    /// What a commit does when another request committed first. Default: [`ConflictPolicy::Merge`].
    pub fn conflict_policy(mut self, policy: ConflictPolicy) -> Self {
        self.config.conflict = policy;
        self
    }

    /// How long a commit goes on merging with others' commits, beside the limit of eight tries. Default: 5
    /// seconds. The deadline of a single store call is the store's.
    pub fn commit_within(mut self, limit: Duration) -> Self {
        self.config.commit_within = limit;
        self
    }

    /// How many sessions a subject may have. After a login the oldest beyond the limit are deleted, by the
    /// time of their authentication. Concurrent logins may exceed it until the last of them has returned.
    /// Default: no limit.
    pub fn max_sessions_per_subject(mut self, limit: NonZeroU32) -> Self {
        self.config.per_subject = Some(limit);
        self
    }

    /// How new payloads are encoded; every known codec is read. Default: JSON.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.config.codec = codec;
        self
    }

    /// The clock. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.config.clock = Arc::new(clock);
        self
    }

    /// The random source. Default: [`OsRandom`]; anything else is for tests.
    pub fn random(mut self, random: impl RandomSource) -> Self {
        self.config.random = Arc::new(random);
        self
    }

    /// Sessions with an index by subject.
    ///
    /// # Errors
    ///
    /// `Config` when the store has no index; use [`build_without_index`](Self::build_without_index) then.
    pub fn build(self) -> Result<Sessions<S, Indexed>, StoreError> {
        if self.store.subject_index().is_none() {
            return Err(config_error("the store has no index by subject"));
        }
        Ok(Sessions { store: self.store, config: Arc::new(self.config), index: PhantomData })
    }

    /// Sessions without an index by subject: a type that has no `list`, `destroy_one` and `destroy_all`.
    ///
    /// # Errors
    ///
    /// `Config` when a limit per subject was set, which needs the index.
    pub fn build_without_index(self) -> Result<Sessions<S, NoIndex>, StoreError> {
        if self.config.per_subject.is_some() {
            return Err(config_error("a limit per subject needs an index by subject"));
        }
        Ok(Sessions { store: self.store, config: Arc::new(self.config), index: PhantomData })
    }
}

fn config_error(context: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Config, context)
}
