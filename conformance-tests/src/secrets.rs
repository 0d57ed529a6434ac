//! The secrets of one run of a rule, and where they must not be.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use session_core::{Record, SecretHash, SessionId, TokenText};

use crate::rng::entropy;
use crate::search::Search;
use crate::verdict::{Checked, Stop};
use crate::watch::{Leak, Scope, Watch, watch};

/// Collects what clients are given and what the store is given, and keeps watch over what is logged.
pub(crate) struct Secrets {
    watched: Result<(&'static Watch, Scope), &'static str>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    tokens: Search<&'static str>,
    handed: Vec<Record>,
    hashes: Vec<SecretHash>,
    guards_any: bool,
}

impl Secrets {
    /// Keeps watch over the crate `adapter` at every level, as over our own.
    pub(crate) fn new(adapter: &str) -> Arc<Self> {
        let watched = watch().map(|watch| {
            watch.own_crate(adapter);
            (watch, watch.scope())
        });
        Arc::new(Self { watched, inner: Mutex::default() })
    }

    /// A client was given this token.
    pub(crate) fn issued(&self, token: &TokenText) {
        /// The first digit that depends on the secret alone.
        const SECRET_TEXT: usize = 24;

        let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).unwrap_or_default();
        let text = &token.as_bytes()[SECRET_TEXT..];
        let secret = bytes.get(SessionId::LEN..).unwrap_or_default();
        for (secret, what) in [(text, "the text of a token"), (secret, "the secret of a token")] {
            self.lock().tokens.add(secret, &what);
            self.guard(secret, what);
        }
    }

    /// The store was given this record.
    pub(crate) fn handed(&self, record: &Record) {
        let mut inner = self.lock();
        let previous = record.previous().map(|previous| previous.hash);
        let hashes = [Some(*record.secret_hash()), previous];
        let new: Vec<_> =
            hashes.into_iter().flatten().filter(|hash| !inner.hashes.contains(hash)).collect();
        inner.hashes.extend(&new);
        inner.handed.push(record.clone());
        drop(inner);
        for hash in new {
            self.guard(hash.as_bytes(), "the hash of a secret");
        }
    }

    /// A text that nothing else contains, to be put into payloads.
    pub(crate) fn canary(&self) -> String {
        let canary = format!("canary{:016x}{:016x}", entropy(), entropy());
        self.guard(canary.as_bytes(), "a value of a session");
        canary
    }

    /// The records that the store was given, in their order.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.lock().handed.clone()
    }

    /// Fails when a secret was given to the store, or was logged.
    pub(crate) fn are_kept(&self) -> Checked {
        self.records().iter().try_for_each(|record| self.are_not_in_record(record))?;
        match self.logged().first() {
            None => Ok(()),
            Some(Leak { what, place }) => {
                Err(Stop::failed(format!("{what} was logged at {place}; see rule Y02")))
            }
        }
    }

    /// Fails when a token or its secret is in these bytes.
    pub(crate) fn are_not_in(&self, bytes: &[u8], place: &str) -> Checked {
        match self.lock().tokens.find(bytes).first() {
            None => Ok(()),
            Some(what) => Err(Stop::failed(format!("{what} is in {place}; see rule Y01"))),
        }
    }

    pub(crate) fn are_not_in_record(&self, record: &Record) -> Checked {
        let parts = record.clone().into_parts();
        self.are_not_in(parts.id.as_bytes(), "an id")?;
        self.are_not_in(parts.revision.as_bytes(), "a revision")?;
        self.are_not_in(parts.secret_hash.as_bytes(), "a stored hash")?;
        if let Some(previous) = parts.previous {
            self.are_not_in(previous.hash.as_bytes(), "a stored hash")?;
        }
        if let Some(subject) = parts.subject {
            self.are_not_in(subject.as_bytes(), "a subject")?;
        }
        if let Some(tag) = parts.credential_tag {
            self.are_not_in(tag.as_bytes(), "a credential tag")?;
        }
        self.are_not_in(&parts.payload, "a payload")
    }

    /// What was logged since the last time this was asked.
    pub(crate) fn logged(&self) -> Vec<Leak> {
        self.watched.map_or_else(|_| Vec::new(), |(watch, scope)| watch.take(scope))
    }

    /// Stops the rule when what is logged goes elsewhere.
    pub(crate) fn need_watch(&self) -> Checked {
        self.watched.map(drop).map_err(Stop::not_applicable)
    }

    fn guard(&self, secret: &[u8], what: &'static str) {
        if let Ok((watch, scope)) = self.watched {
            self.lock().guards_any = true;
            watch.guard(scope, secret, what);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        // To forget a scope is a walk over the secrets of all, and most rules have none.
        if let (Ok((watch, scope)), true) = (self.watched, self.lock().guards_any) {
            watch.close(scope);
        }
    }
}
