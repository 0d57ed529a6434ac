//! What is specific to this store. The rules of the contract are tested by `tests/conformance.rs`.

mod bounds;
mod expiry;
mod handles;
mod index;
mod inspect;
mod purge_task;
mod races;
mod records;
mod shards;

use session_core::{
    Authentication, Bytes, Change, CredentialTag, OsRandom, PreviousSecret, Realm, Record,
    RecordParts, Revision, SecretHash, SessionToken, Subject, Timestamp,
};

use crate::{MemoryStore, MemoryStoreBuilder};

/// A time far enough from zero for a margin to be subtracted.
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const MINUTE: u64 = 60_000;
const MARGIN: u64 = 5 * MINUTE;

fn after(millis: u64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + millis)
}

/// An anonymous session that is idle for 10 minutes and lives for 20.
fn parts() -> RecordParts {
    let token = SessionToken::random(&OsRandom).unwrap();
    RecordParts {
        id: token.id(),
        revision: revision(),
        secret_hash: SecretHash::of(&token, &Realm::default()),
        previous: None,
        subject: None,
        created_at: NOW,
        expires_at: after(10 * MINUTE),
        deadline: after(20 * MINUTE),
        authentication: None,
        credential_tag: None,
        payload: Bytes::from_static(b"canary-payload"),
    }
}

fn anonymous() -> Record {
    Record::from_parts(parts())
}

fn with_payload(len: usize) -> Record {
    Record::from_parts(RecordParts { payload: vec![7; len].into(), ..parts() })
}

fn of(subject: &Subject) -> Record {
    Record::from_parts(RecordParts { subject: Some(subject.clone()), ..parts() })
}

/// A session with every optional field.
fn complete(subject: &Subject) -> Record {
    Record::from_parts(RecordParts {
        subject: Some(subject.clone()),
        previous: Some(PreviousSecret {
            hash: SecretHash::from_bytes([9; 32]),
            grace_until: after(30_000),
        }),
        authentication: Some(Authentication { at: NOW, level: 2 }),
        credential_tag: Some(CredentialTag::new(b"canary-tag").unwrap()),
        ..parts()
    })
}

fn user(name: &str) -> Subject {
    Subject::new(&Realm::default(), name).unwrap()
}

fn revision() -> Revision {
    Revision::random(&OsRandom).unwrap()
}

fn change(record: &Record) -> Change {
    record.change(revision())
}

fn login(record: &Record, subject: &Subject) -> Change {
    change(record).login(subject.clone(), after(60 * MINUTE)).unwrap()
}

fn bounded(sessions: u64, bytes: u64) -> MemoryStore {
    MemoryStore::builder().max_sessions(sessions).max_bytes(bytes).build().unwrap()
}

const ENOUGH: u64 = MemoryStoreBuilder::MIN_MAX_BYTES;
