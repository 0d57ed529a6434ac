//! What a store keeps of a session.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::{Revision, SessionId};
use crate::realm::Subject;
use crate::timestamp::Timestamp;
use crate::token::SecretHash;

/// The largest payload in bytes (256 KiB), header of the payload included.
///
/// Every store accepts this much and answers
/// [`TooLarge`](crate::StoreErrorKind::TooLarge) to more, with the old record intact.
pub const MAX_PAYLOAD_LEN: usize = 262_144;

/// One stored session.
///
/// Adapters take it apart with the accessors and put it together with [`Record::from_parts`]. A loaded
/// record is changed in one way only, through [`Record::change`], so that its id and its time of
/// creation cannot change.
///
/// A clone costs a few reference counts; payload, subject and credential tag are shared.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    parts: RecordParts,
}

/// The fields of a [`Record`], for adapters.
///
/// Deliberately exhaustive: a new field is something that every adapter has to store, so it shall not
/// compile before it does.
#[derive(Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "see above")]
pub struct RecordParts {
    /// The public handle; the key.
    pub id: SessionId,
    /// The token of this content.
    pub revision: Revision,
    /// The hash of the current secret.
    pub secret_hash: SecretHash,
    /// The hash of the one secret before it.
    pub previous: Option<PreviousSecret>,
    /// The user, once logged in.
    pub subject: Option<Subject>,
    /// When the session was created.
    pub created_at: Timestamp,
    /// The idle deadline.
    pub expires_at: Timestamp,
    /// The absolute deadline.
    pub deadline: Timestamp,
    /// When and how strongly the user authenticated.
    pub authentication: Option<Authentication>,
    /// The version of the credential that was used.
    pub credential_tag: Option<CredentialTag>,
    /// The application's data, encoded.
    pub payload: Bytes,
}

impl Record {
    /// The record with these fields.
    ///
    /// Any combination of times is a record, also one that is already over: the times are checked
    /// when it is read, see [`Record::is_live`].
    #[must_use]
    pub const fn from_parts(parts: RecordParts) -> Self {
        Self { parts }
    }

    /// The fields.
    #[must_use]
    pub fn into_parts(self) -> RecordParts {
        self.parts
    }

    /// Whether a store may take this payload. Adapters ask before they send anything.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](StoreErrorKind::TooLarge) for more than [`MAX_PAYLOAD_LEN`] bytes.
    pub fn check_payload(&self) -> Result<(), StoreError> {
        if self.parts.payload.len() > MAX_PAYLOAD_LEN {
            let text = "the payload has more than 262,144 bytes";
            return Err(StoreError::new(StoreErrorKind::TooLarge, text));
        }
        Ok(())
    }

    /// The public handle.
    #[must_use]
    pub const fn id(&self) -> &SessionId {
        &self.parts.id
    }

    /// The token of this content.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.parts.revision
    }

    /// The hash of the current secret.
    #[must_use]
    pub const fn secret_hash(&self) -> &SecretHash {
        &self.parts.secret_hash
    }

    /// The hash of the one secret before the current one.
    #[must_use]
    pub const fn previous(&self) -> Option<&PreviousSecret> {
        self.parts.previous.as_ref()
    }

    /// The user that the session belongs to. `None` before login.
    #[must_use]
    pub const fn subject(&self) -> Option<&Subject> {
        self.parts.subject.as_ref()
    }

    /// When the session was created. Never changes.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        self.parts.created_at
    }

    /// The idle deadline. Only ever moves forward.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.parts.expires_at
    }

    /// The absolute deadline. Raised by a login only.
    #[must_use]
    pub const fn deadline(&self) -> Timestamp {
        self.parts.deadline
    }

    /// When and how strongly the user authenticated.
    #[must_use]
    pub const fn authentication(&self) -> Option<Authentication> {
        self.parts.authentication
    }

    /// The version of the credential that was used, where the application stores one.
    #[must_use]
    pub const fn credential_tag(&self) -> Option<&CredentialTag> {
        self.parts.credential_tag.as_ref()
    }

    /// The application's data, encoded. Opaque to adapters.
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.parts.payload
    }

    /// Whether the session is visible at `now`: before its idle and before its absolute deadline.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.ends_at()
    }

    /// The first moment at which the session is over.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.parts.expires_at.min(self.parts.deadline)
    }

    /// The record without hashes and payload, for listings.
    #[must_use]
    pub fn summary(&self) -> SessionSummary {
        SessionSummary {
            id: self.parts.id,
            subject: self.parts.subject.clone(),
            created_at: self.parts.created_at,
            expires_at: self.parts.expires_at,
            deadline: self.parts.deadline,
            authentication: self.parts.authentication,
        }
    }

    /// Starts a change of this record. `revision` is the new revision; it must be a fresh one.
    #[must_use]
    pub fn change(&self, revision: Revision) -> Change {
        let mut next = self.clone();
        next.parts.revision = revision;
        Change { expected: self.revision(), writes_index_entry: false, next }
    }
}

/// Shows neither hashes nor payload nor the name of the user.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.fmt(f)
    }
}

impl fmt::Debug for RecordParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id)
            .field("revision", &self.revision)
            .field("subject", &self.subject)
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .field("deadline", &self.deadline)
            .field("authentication", &self.authentication)
            .field("payload_len", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// The hash of the secret before the current one, kept to tell *superseded* from *unknown*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "part of what every adapter stores")]
pub struct PreviousSecret {
    /// The hash.
    pub hash: SecretHash,
    /// Until when the secret is still accepted. For a rotation without grace, the time of the rotation.
    pub grace_until: Timestamp,
}

/// When and how strongly a user authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "part of what every adapter stores")]
pub struct Authentication {
    /// The time of the last authentication.
    pub at: Timestamp,
    /// The level, in the application's own terms; higher is stronger.
    pub level: u8,
}

/// The version of the credential that a session was opened with: 1 to 32 opaque bytes, say a hash of the
/// password's version.
///
/// Stored by [`login`](crate::Sessions::login) and handed out by `open`, for applications that compare
/// it. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialTag(Arc<[u8]>);

impl CredentialTag {
    /// The longest tag in bytes.
    pub const MAX_LEN: usize = 32;

    /// The tag with these bytes.
    ///
    /// # Errors
    ///
    /// [`InvalidCredentialTag`] for no bytes at all, or more than 32.
    pub fn new(bytes: &[u8]) -> Result<Self, InvalidCredentialTag> {
        match bytes.len() {
            1..=Self::MAX_LEN => Ok(Self(bytes.into())),
            _ => Err(InvalidCredentialTag),
        }
    }

    /// The tag as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for CredentialTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialTag(..)")
    }
}

/// Not a credential tag: empty, or more than 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a credential tag has 1 to 32 bytes")]
pub struct InvalidCredentialTag;

/// A session as listings show it: no hash, no payload.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionSummary {
    /// The public handle.
    pub id: SessionId,
    /// The user that the session belongs to.
    pub subject: Option<Subject>,
    /// When the session was created.
    pub created_at: Timestamp,
    /// The idle deadline.
    pub expires_at: Timestamp,
    /// The absolute deadline.
    pub deadline: Timestamp,
    /// When and how strongly the user authenticated.
    pub authentication: Option<Authentication>,
}

impl SessionSummary {
    /// A summary from the fields that a listing reads.
    ///
    /// Adapters that read whole records use [`Record::summary`].
    #[must_use]
    pub const fn new(
        id: SessionId,
        subject: Option<Subject>,
        created_at: Timestamp,
        expires_at: Timestamp,
        deadline: Timestamp,
        authentication: Option<Authentication>,
    ) -> Self {
        Self { id, subject, created_at, expires_at, deadline, authentication }
    }

    /// Whether the session is visible at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at && now < self.deadline
    }
}

/// What an [`update`](crate::SessionStore::update) carries: the content that a loaded record shall
/// have from now on.
///
/// Built with [`Record::change`] only, so that id and time of creation cannot change and the
/// adapter knows whether an index entry has to be written first.
///
/// ```
/// use session_core::{OsRandom, Record, Revision};
///
/// fn store_other_data(record: &Record) -> Result<session_core::Change, Box<dyn std::error::Error>> {
///     let change = record.change(Revision::random(&OsRandom)?).payload("new data");
///     assert_eq!(change.expected(), record.revision());
///     assert!(!change.writes_index_entry());
///     Ok(change)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    expected: Revision,
    writes_index_entry: bool,
    next: Record,
}

impl Change {
    /// Replaces the payload.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.next.parts.payload = payload.into();
        self
    }

    /// Moves the idle deadline. It never moves back: an earlier time changes nothing, neither here nor in
    /// the store.
    #[must_use]
    pub fn expires_at(mut self, expires_at: Timestamp) -> Self {
        self.next.parts.expires_at = self.next.parts.expires_at.max(expires_at);
        self
    }

    /// Lowers the absolute deadline. A later time changes nothing: only a login raises it.
    #[must_use]
    pub fn lower_deadline(mut self, deadline: Timestamp) -> Self {
        self.next.parts.deadline = self.next.parts.deadline.min(deadline);
        self
    }

    /// Makes `hash` the current secret and the one so far the previous, accepted until `grace_until`.
    #[must_use]
    pub fn rotate(mut self, hash: SecretHash, grace_until: Timestamp) -> Self {
        self.next.parts.previous =
            Some(PreviousSecret { hash: self.next.parts.secret_hash, grace_until });
        self.next.parts.secret_hash = hash;
        self
    }

    /// Records that the user authenticated again or more strongly.
    #[must_use]
    pub const fn authentication(mut self, authentication: Authentication) -> Self {
        self.next.parts.authentication = Some(authentication);
        self
    }

    /// Replaces the credential tag.
    #[must_use]
    pub fn credential_tag(mut self, tag: Option<CredentialTag>) -> Self {
        self.next.parts.credential_tag = tag;
        self
    }

    /// Records a login: sets the subject, and the absolute deadline in whichever direction.
    ///
    /// # Errors
    ///
    /// [`SubjectChanged`] when the record has another subject already.
    pub fn login(mut self, subject: Subject, deadline: Timestamp) -> Result<Self, SubjectChanged> {
        match &self.next.parts.subject {
            Some(present) if *present != subject => return Err(SubjectChanged),
            Some(_) => self.writes_index_entry |= deadline > self.next.parts.deadline,
            None => self.writes_index_entry = true,
        }
        self.next.parts.subject = Some(subject);
        self.next.parts.deadline = deadline;
        Ok(self)
    }

    /// The id of the session.
    #[must_use]
    pub const fn id(&self) -> &SessionId {
        self.next.id()
    }

    /// The revision that the stored record must have for the change to be applied.
    #[must_use]
    pub const fn expected(&self) -> Revision {
        self.expected
    }

    /// The record as it shall be stored. Of its `expires_at` and the stored one, the later holds.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.next
    }

    /// Whether an adapter whose index is apart from the record has to write an index entry first:
    /// exactly when the subject is set, or the deadline of a record with a subject is raised.
    #[must_use]
    pub const fn writes_index_entry(&self) -> bool {
        self.writes_index_entry
    }
}

/// The record belongs to another subject. Another user is another session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session belongs to another subject")]
pub struct SubjectChanged;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;
    use crate::realm::Realm;
    use crate::token::SessionToken;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn record() -> Record {
        let token = SessionToken::random(&OsRandom).unwrap();
        Record::from_parts(RecordParts {
            id: token.id(),
            revision: Revision::random(&OsRandom).unwrap(),
            secret_hash: SecretHash::of(&token, &Realm::default()),
            previous: None,
            subject: None,
            created_at: at(10),
            expires_at: at(100),
            deadline: at(200),
            authentication: None,
            credential_tag: Some(CredentialTag::new(b"canary-tag").unwrap()),
            payload: Bytes::from_static(b"canary-payload"),
        })
    }

    fn next() -> Revision {
        Revision::random(&OsRandom).unwrap()
    }

    #[test]
    fn the_limit_of_a_payload_is_exact() {
        let with = |length: usize| {
            let payload = Bytes::from(vec![0; length]);
            Record::from_parts(RecordParts { payload, ..record().into_parts() })
        };
        assert!(with(MAX_PAYLOAD_LEN).check_payload().is_ok());
        let error = with(MAX_PAYLOAD_LEN + 1).check_payload().unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    }

    #[test]
    fn a_record_lives_until_the_earlier_of_its_two_ends() {
        let record = record();
        assert!(record.is_live(at(99)));
        assert!(!record.is_live(at(100)));
        let change = record.change(next()).expires_at(at(500));
        assert!(change.record().is_live(at(199)));
        assert!(!change.record().is_live(at(200)));
    }

    #[test]
    fn a_change_keeps_what_must_not_change() {
        let record = record();
        let revision = next();
        let change =
            record.change(revision).expires_at(at(50)).lower_deadline(at(300)).payload("x");
        assert_eq!(change.expected(), record.revision());
        assert_eq!(change.record().revision(), revision);
        assert_eq!(change.record().expires_at(), at(100), "never back");
        assert_eq!(change.record().deadline(), at(200), "never raised without login");
        assert_eq!(change.record().created_at(), record.created_at());
        assert_eq!(change.id(), record.id());
    }

    #[test]
    fn the_index_entry_is_written_exactly_for_a_new_subject_or_a_raised_deadline() {
        let alice = Subject::new(&Realm::default(), "alice").unwrap();
        let bob = Subject::new(&Realm::default(), "bob").unwrap();
        let first = record().change(next()).login(alice.clone(), at(150)).unwrap();
        assert!(first.writes_index_entry(), "subject set, even with an earlier deadline");

        let known = first.record();
        assert!(!known.change(next()).payload("x").writes_index_entry());
        let same = known.change(next()).login(alice.clone(), at(150)).unwrap();
        assert!(!same.writes_index_entry());
        let raised = known.change(next()).login(alice, at(151)).unwrap();
        assert!(raised.writes_index_entry());
        assert_eq!(known.change(next()).login(bob, at(150)), Err(SubjectChanged));
    }

    #[test]
    fn rotation_keeps_the_hash_of_one_secret_before() {
        let record = record();
        let second = SecretHash::from_bytes([2; 32]);
        let third = SecretHash::from_bytes([3; 32]);
        let once = record.change(next()).rotate(second, at(20));
        let previous = once.record().previous().unwrap();
        assert_eq!(previous.hash, *record.secret_hash());
        assert_eq!(previous.grace_until, at(20));
        let twice = once.record().change(next()).rotate(third, at(30));
        assert_eq!(twice.record().previous().unwrap().hash, second);
        assert_eq!(*twice.record().secret_hash(), third);
    }

    #[test]
    fn debug_shows_no_payload_and_no_tag() {
        let record = record();
        let shown = format!("{record:?} {:?}", record.change(next()));
        assert!(shown.contains(&record.id().to_string()));
        assert!(!shown.contains("canary"));
    }
}
