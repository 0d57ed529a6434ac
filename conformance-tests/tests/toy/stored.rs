//! What is in the file of a session: JSON, with bytes as lists of numbers.

use serde::{Deserialize, Serialize};
use session_core::{
    Authentication, CredentialTag, PreviousSecret, Record, RecordParts, Revision, SecretHash,
    SessionId, StoreError, StoreErrorKind, Subject, Timestamp,
};

/// Everything but the id, which is the name of the file. Times are in milliseconds.
#[derive(Serialize, Deserialize)]
struct Stored {
    revision: i64,
    secret_hash: [u8; SecretHash::LEN],
    previous: Option<([u8; SecretHash::LEN], i64)>,
    subject: Option<Vec<u8>>,
    created_at: i64,
    expires_at: i64,
    deadline: i64,
    authentication: Option<(i64, u8)>,
    credential_tag: Option<Vec<u8>>,
    payload: Vec<u8>,
}

/// The bytes of the file.
pub(crate) fn encode(record: &Record) -> Vec<u8> {
    let previous = record.previous().map(|it| (*it.hash.as_bytes(), millis(it.grace_until)));
    let stored = Stored {
        revision: record.revision().as_i64(),
        secret_hash: *record.secret_hash().as_bytes(),
        previous,
        subject: record.subject().map(|subject| subject.as_bytes().to_vec()),
        created_at: millis(record.created_at()),
        expires_at: millis(record.expires_at()),
        deadline: millis(record.deadline()),
        authentication: record.authentication().map(|it| (millis(it.at), it.level)),
        credential_tag: record.credential_tag().map(|tag| tag.as_bytes().to_vec()),
        payload: record.payload().to_vec(),
    };
    serde_json::to_vec(&stored).expect("numbers and lists of numbers are JSON")
}

/// The record in these bytes, or the error `Corrupt`.
///
/// The error has no source: that of the JSON reader may quote what it read, and so a hash or a payload.
pub(crate) fn decode(id: &SessionId, bytes: &[u8]) -> Result<Record, StoreError> {
    serde_json::from_slice(bytes)
        .ok()
        .and_then(|stored| parts(*id, stored))
        .map(Record::from_parts)
        .ok_or_else(|| StoreError::new(StoreErrorKind::Corrupt, format!("decode session {id}")))
}

/// `None` when a field has a value that is none.
fn parts(id: SessionId, stored: Stored) -> Option<RecordParts> {
    Some(RecordParts {
        id,
        revision: Revision::from_i64(stored.revision),
        secret_hash: SecretHash::from_bytes(stored.secret_hash),
        previous: match stored.previous {
            Some((hash, until)) => Some(PreviousSecret {
                hash: SecretHash::from_bytes(hash),
                grace_until: Timestamp::from_stored_millis(until)?,
            }),
            None => None,
        },
        subject: match stored.subject {
            Some(bytes) => Some(Subject::from_bytes(&bytes).ok()?),
            None => None,
        },
        created_at: Timestamp::from_stored_millis(stored.created_at)?,
        expires_at: Timestamp::from_stored_millis(stored.expires_at)?,
        deadline: Timestamp::from_stored_millis(stored.deadline)?,
        authentication: match stored.authentication {
            Some((at, level)) => {
                Some(Authentication { at: Timestamp::from_stored_millis(at)?, level })
            }
            None => None,
        },
        credential_tag: match stored.credential_tag {
            Some(bytes) => Some(CredentialTag::new(&bytes).ok()?),
            None => None,
        },
        payload: stored.payload.into(),
    })
}

fn millis(time: Timestamp) -> i64 {
    time.as_millis().cast_signed()
}
