//! Records for tests.

use std::time::Duration;

use session_core::{
    Authentication, Bytes, CredentialTag, PreviousSecret, Record, RecordParts, Revision,
    SecretHash, SessionId, Subject, Timestamp,
};

use crate::rng::Rng;

/// More bytes than any backend takes in one record, and little more than nothing to who looks at the last three
/// bytes of the length alone.
pub(crate) const BEYOND_BACKENDS: usize = (1 << 24) + 1;

/// Builds a new record: everything random that is random in earnest, an hour of idle and a day of absolute
/// life, no optional field, and a short payload, unless said otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Fresh {
    parts: RecordParts,
    rng: Rng,
}

impl Fresh {
    pub(crate) fn new(mut rng: Rng, now: Timestamp) -> Self {
        let parts = RecordParts {
            id: random_id(&mut rng),
            revision: Revision::from_bytes(rng.bytes()),
            secret_hash: SecretHash::from_bytes(rng.bytes()),
            previous: None,
            subject: None,
            created_at: now,
            expires_at: now.plus(Duration::from_secs(3_600)),
            deadline: now.plus(Duration::from_secs(86_400)),
            authentication: None,
            credential_tag: None,
            payload: Bytes::from(format!("payload {:016x}", rng.next())),
        };
        Self { parts, rng }
    }

    /// With this id instead of a new one.
    pub(crate) fn id(mut self, id: SessionId) -> Self {
        self.parts.id = id;
        self
    }

    pub(crate) fn subject(mut self, subject: &Subject) -> Self {
        self.parts.subject = Some(subject.clone());
        self
    }

    pub(crate) fn payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.parts.payload = payload.into();
        self
    }

    /// Idle deadline this long after the creation.
    pub(crate) fn idle(mut self, millis: u64) -> Self {
        self.parts.expires_at = self.parts.created_at.plus(Duration::from_millis(millis));
        self
    }

    /// Absolute deadline this long after the creation.
    pub(crate) fn absolute(mut self, millis: u64) -> Self {
        self.parts.deadline = self.parts.created_at.plus(Duration::from_millis(millis));
        self
    }

    pub(crate) fn expires_at(mut self, at: Timestamp) -> Self {
        self.parts.expires_at = at;
        self
    }

    pub(crate) fn deadline(mut self, at: Timestamp) -> Self {
        self.parts.deadline = at;
        self
    }

    pub(crate) fn created_at(mut self, at: Timestamp) -> Self {
        self.parts.created_at = at;
        self
    }

    pub(crate) fn previous(mut self, grace_until: Timestamp) -> Self {
        let hash = SecretHash::from_bytes(self.rng.bytes());
        self.parts.previous = Some(PreviousSecret { hash, grace_until });
        self
    }

    pub(crate) fn authentication(mut self, at: Timestamp, level: u8) -> Self {
        self.parts.authentication = Some(Authentication { at, level });
        self
    }

    pub(crate) fn credential_tag(mut self, length: usize) -> Self {
        let mut bytes = vec![0; length];
        self.rng.fill(&mut bytes);
        self.parts.credential_tag = CredentialTag::new(&bytes).ok();
        self
    }

    /// With every optional field present.
    pub(crate) fn full(self, subject: &Subject) -> Self {
        let now = self.parts.created_at;
        self.subject(subject)
            .previous(now.plus(Duration::from_secs(30)))
            .authentication(now, 3)
            .credential_tag(CredentialTag::MAX_LEN)
    }

    pub(crate) fn record(self) -> Record {
        Record::from_parts(self.parts)
    }
}

pub(crate) fn random_id(rng: &mut Rng) -> SessionId {
    loop {
        if let Ok(id) = SessionId::from_bytes(rng.bytes()) {
            return id;
        }
    }
}

/// Every way in which two records differ, one line each; empty when they are equal.
pub(crate) fn differences(actual: &Record, expected: &Record) -> Vec<String> {
    let (a, e) = (actual.clone().into_parts(), expected.clone().into_parts());
    let mut found = Vec::new();
    let mut shown = |field: &str, actual: &dyn std::fmt::Debug, expected: &dyn std::fmt::Debug| {
        found.push(format!("{field}: expected {expected:?}, got {actual:?}"));
    };
    if a.id != e.id {
        shown("id", &a.id, &e.id);
    }
    if a.revision != e.revision {
        shown("revision", &a.revision, &e.revision);
    }
    if a.created_at != e.created_at {
        shown("created_at", &a.created_at, &e.created_at);
    }
    if a.expires_at != e.expires_at {
        shown("expires_at", &a.expires_at, &e.expires_at);
    }
    if a.deadline != e.deadline {
        shown("deadline", &a.deadline, &e.deadline);
    }
    if a.authentication != e.authentication {
        shown("authentication", &a.authentication, &e.authentication);
    }
    let grace = |p: &Option<PreviousSecret>| p.map(|p| p.grace_until);
    if grace(&a.previous) != grace(&e.previous) {
        shown("previous.grace_until", &grace(&a.previous), &grace(&e.previous));
    }
    // Of these only that they differ is said: what they are must not be shown.
    if a.subject != e.subject {
        found.push("subject: another one".to_owned());
    }
    if a.secret_hash != e.secret_hash {
        found.push("secret_hash: another one".to_owned());
    }
    if a.previous.map(|p| p.hash) != e.previous.map(|p| p.hash) {
        found.push("previous.hash: another one".to_owned());
    }
    if a.credential_tag != e.credential_tag {
        found.push("credential_tag: another one".to_owned());
    }
    if a.payload != e.payload {
        let same = a.payload.iter().zip(&e.payload).take_while(|(a, e)| a == e).count();
        let (actual, expected) = (a.payload.len(), e.payload.len());
        found.push(format!(
            "payload: expected {expected} bytes, got {actual}; the first {same} are equal"
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_compared() {
        let now = Timestamp::from_millis(1_000_000);
        let subject = Subject::new(&session_core::Realm::default(), "alice").unwrap();
        let record = Fresh::new(Rng::new(1), now).full(&subject).record();
        assert_eq!(differences(&record, &record), Vec::<String>::new());
        let other = Fresh::new(Rng::new(2), now.plus(Duration::from_secs(1))).payload("x").record();
        let found = differences(&other, &record);
        assert_eq!(found.len(), 12, "{found:#?}");
        assert!(!format!("{found:?}").contains("alice"));
    }
}
