//! What is kept of a record beside its id and its two ends: one piece of memory.

use bytes::Bytes;
use session_core::{
    Authentication, CredentialTag, PreviousSecret, Record, RecordParts, Revision, SecretHash,
    SessionId, Subject, Timestamp,
};
use triomphe::{Arc, ThinArc};

use crate::u48::U48;

/// Revision, hashes, subject and payload of a record in one allocation.
///
/// Handed out by reference count: a record that was loaded shares the payload, and keeps the whole alive.
#[derive(Clone)]
pub(crate) struct Body(ThinArc<Head, u8>);

/// The fields of fixed length. Behind them stand the bytes of subject, credential tag, previous secret and
/// payload, in this order.
struct Head {
    revision: Revision,
    secret_hash: SecretHash,
    created_at: U48,
    authentication: Option<(U48, u8)>,
    /// Which writing of its index entry the record relies on. Means nothing without a subject.
    stamp: U48,
    /// None if zero: a subject has at least two bytes, a tag one.
    subject_len: u8,
    tag_len: u8,
    has_previous: bool,
}

/// Of a hash and the end of its grace.
const PREVIOUS_LEN: usize = SecretHash::LEN + U48::LEN;

/// Up to this length the bytes behind the head are put together on the stack.
const ON_STACK: usize = 1024;

impl Body {
    /// What a body takes on the heap, without the bytes behind the head: these, a reference count and a length.
    pub(crate) const OVERHEAD: usize = size_of::<Head>() + 2 * size_of::<usize>();

    pub(crate) fn new(record: &Record, stamp: U48) -> Self {
        let subject = record.subject().map_or(&[][..], Subject::as_bytes);
        let tag = record.credential_tag().map_or(&[][..], CredentialTag::as_bytes);
        let previous = record.previous().map(previous_bytes);
        let head = Head {
            revision: record.revision(),
            secret_hash: *record.secret_hash(),
            created_at: record.created_at().into(),
            authentication: record.authentication().map(|it| (it.at.into(), it.level)),
            stamp,
            subject_len: short_len(subject),
            tag_len: short_len(tag),
            has_previous: previous.is_some(),
        };
        let previous = previous.as_ref().map_or(&[][..], |bytes| &bytes[..]);
        Self::joined(head, [subject, tag, previous, record.payload()])
    }

    fn joined(head: Head, parts: [&[u8]; 4]) -> Self {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if len == parts[3].len() {
            return Self(ThinArc::from_header_and_slice(head, parts[3]));
        }
        if len > ON_STACK {
            return Self(ThinArc::from_header_and_slice(head, &parts.concat()));
        }
        let mut bytes = [0; ON_STACK];
        let mut rest = &mut bytes[..];
        for part in parts {
            let (beginning, behind) = rest.split_at_mut(part.len());
            beginning.copy_from_slice(part);
            rest = behind;
        }
        Self(ThinArc::from_header_and_slice(head, &bytes[..len]))
    }

    pub(crate) fn revision(&self) -> Revision {
        self.head().revision
    }

    pub(crate) fn stamp(&self) -> U48 {
        self.head().stamp
    }

    /// Copies the body if it is shared.
    pub(crate) fn set_stamp(&mut self, stamp: U48) {
        let is_set = self.0.with_arc_mut(|arc| {
            Arc::get_mut(arc).map(|body| body.header_mut().stamp = stamp).is_some()
        });
        if !is_set {
            let head = Head { stamp, ..*self.head() };
            *self = Self(ThinArc::from_header_and_slice(head, &self.0.slice));
        }
    }

    /// The bytes of the subject.
    pub(crate) fn subject(&self) -> Option<&[u8]> {
        let len = usize::from(self.head().subject_len);
        (len > 0).then(|| &self.0.slice[..len])
    }

    /// How many bytes stand behind the head.
    pub(crate) fn len(&self) -> usize {
        self.0.slice.len()
    }

    pub(crate) fn created_at(&self) -> Timestamp {
        self.head().created_at.timestamp()
    }

    pub(crate) fn authentication(&self) -> Option<Authentication> {
        let (at, level) = self.head().authentication?;
        Some(Authentication { at: at.timestamp(), level })
    }

    pub(crate) fn owned_subject(&self) -> Option<Subject> {
        self.subject().map(|bytes| Subject::from_bytes(bytes).expect("these bytes are a subject's"))
    }

    /// The record that this is the body of.
    pub(crate) fn into_record(
        self,
        id: SessionId,
        expires_at: Timestamp,
        deadline: Timestamp,
    ) -> Record {
        let head = self.head();
        Record::from_parts(RecordParts {
            id,
            revision: head.revision,
            secret_hash: head.secret_hash,
            previous: self.previous(),
            subject: self.owned_subject(),
            created_at: self.created_at(),
            expires_at,
            deadline,
            authentication: self.authentication(),
            credential_tag: self.tag(),
            payload: Bytes::from_owner(Payload(self)),
        })
    }

    fn tag(&self) -> Option<CredentialTag> {
        let bytes = &self.0.slice[self.tag_at()..self.previous_at()];
        (!bytes.is_empty()).then(|| CredentialTag::new(bytes).expect("these bytes are a tag's"))
    }

    fn previous(&self) -> Option<PreviousSecret> {
        let bytes = &self.0.slice[self.previous_at()..self.payload_at()];
        let (hash, grace_until) = bytes.split_first_chunk()?;
        let grace_until = U48::from_bytes(*grace_until.first_chunk()?).timestamp();
        Some(PreviousSecret { hash: SecretHash::from_bytes(*hash), grace_until })
    }

    fn tag_at(&self) -> usize {
        usize::from(self.head().subject_len)
    }

    fn previous_at(&self) -> usize {
        self.tag_at() + usize::from(self.head().tag_len)
    }

    fn payload_at(&self) -> usize {
        self.previous_at() + if self.head().has_previous { PREVIOUS_LEN } else { 0 }
    }

    fn head(&self) -> &Head {
        &self.0.header.header
    }
}

/// The payload of a body, for a record that was loaded.
struct Payload(Body);

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        &self.0.0.slice[self.0.payload_at()..]
    }
}

fn previous_bytes(previous: &PreviousSecret) -> [u8; PREVIOUS_LEN] {
    let mut bytes = [0; PREVIOUS_LEN];
    let (hash, grace_until) = bytes.split_at_mut(SecretHash::LEN);
    hash.copy_from_slice(previous.hash.as_bytes());
    grace_until.copy_from_slice(U48::from(previous.grace_until).as_bytes());
    bytes
}

/// Of a subject or a tag, which have at most 255 bytes.
fn short_len(bytes: &[u8]) -> u8 {
    u8::try_from(bytes.len()).expect("at most 255 bytes")
}
