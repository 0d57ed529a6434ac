//! How a record is stored: one item, with an attribute for each field.
//!
//! | attribute | type | field |
//! |---|---|---|
//! | the one named for it | `B` or `S` | id |
//! | the one named for it | `N` | seconds after which DynamoDB may remove the item |
//! | `f` | `N` | format, not there for 1 |
//! | `r` | `B`, 8 | revision |
//! | `e` | `N` | `expires_at`, milliseconds |
//! | `d` | `N` | `deadline` |
//! | `c` | `N` | `created_at` |
//! | `h` | `B`, 32 | secret hash |
//! | `s` | `B` | subject |
//! | `a`, `l` | `N`, `N` | time and level of authentication |
//! | `t` | `B` | credential tag |
//! | `p`, `g` | `B`, `N` | hash of the previous secret, end of its grace |
//! | `b` | `B`; `NULL` when empty | payload |
//!
//! The attributes `f r e d c h s` never change their meaning, whatever the format, so that every version can
//! list, touch, expire and delete what a later one wrote.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use session_core::{
    Authentication, Bytes, CredentialTag, MAX_PAYLOAD_LEN, PreviousSecret, Record, RecordParts,
    Revision, SecretHash, SessionId, SessionSummary, StoreError, StoreErrorKind, Subject,
    Timestamp,
};

pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) const FORMAT: &str = "f";
pub(crate) const REVISION: &str = "r";
pub(crate) const EXPIRES_AT: &str = "e";
pub(crate) const DEADLINE: &str = "d";
pub(crate) const CREATED_AT: &str = "c";
pub(crate) const SECRET_HASH: &str = "h";
pub(crate) const SUBJECT: &str = "s";
pub(crate) const AUTHENTICATED_AT: &str = "a";
pub(crate) const LEVEL: &str = "l";
const CREDENTIAL_TAG: &str = "t";
const PREVIOUS_HASH: &str = "p";
const GRACE_UNTIL: &str = "g";
const PAYLOAD: &str = "b";

const THIS_FORMAT: i64 = 1;

/// Why an item is not a record that this version reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Corrupt,
    UnsupportedFormat,
}

impl From<Unreadable> for StoreError {
    fn from(why: Unreadable) -> Self {
        match why {
            Unreadable::Corrupt => {
                Self::new(StoreErrorKind::Corrupt, "what is stored is not a record")
            }
            Unreadable::UnsupportedFormat => {
                Self::new(StoreErrorKind::UnsupportedFormat, "the record has a later format")
            }
        }
    }
}

/// The times that decide whether a record is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) expires_at: Timestamp,
    pub(crate) deadline: Timestamp,
}

impl Times {
    pub(crate) fn is_live(self, now: Timestamp) -> bool {
        now < self.expires_at && now < self.deadline
    }
}

/// The part of a record that every version can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) times: Times,
    pub(crate) created_at: Timestamp,
    pub(crate) subject: Option<Subject>,
    /// `None` also when the format is a later one.
    authentication: Option<Authentication>,
}

impl Head {
    pub(crate) fn into_summary(self, id: SessionId) -> SessionSummary {
        let Times { expires_at, deadline } = self.times;
        SessionSummary::new(
            id,
            self.subject,
            self.created_at,
            expires_at,
            deadline,
            self.authentication,
        )
    }
}

/// The attributes of `record`, without those whose names are configured. The caller has checked that the
/// payload is not too large.
pub(crate) fn encode(record: &Record) -> Item {
    let mut item = Item::with_capacity(16);
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put(REVISION, binary(record.revision().as_bytes()));
    put(EXPIRES_AT, time(record.expires_at()));
    put(DEADLINE, time(record.deadline()));
    put(CREATED_AT, time(record.created_at()));
    put(SECRET_HASH, binary(record.secret_hash().as_bytes()));
    if let Some(subject) = record.subject() {
        put(SUBJECT, binary(subject.as_bytes()));
    }
    if let Some(authentication) = record.authentication() {
        put(AUTHENTICATED_AT, time(authentication.at));
        put(LEVEL, AttributeValue::N(authentication.level.to_string()));
    }
    if let Some(tag) = record.credential_tag() {
        put(CREDENTIAL_TAG, binary(tag.as_bytes()));
    }
    if let Some(previous) = record.previous() {
        put(PREVIOUS_HASH, binary(previous.hash.as_bytes()));
        put(GRACE_UNTIL, time(previous.grace_until));
    }
    let payload = match record.payload().as_ref() {
        // Not every server takes an empty value, and a missing one must show.
        [] => AttributeValue::Null(true),
        bytes => binary(bytes),
    };
    put(PAYLOAD, payload);
    item
}

/// The record under `id`. Total: any item is a record, corrupt, or of a later format.
pub(crate) fn decode(id: SessionId, mut item: Item) -> Result<Record, Unreadable> {
    let head = decode_head(&item)?;
    if format(&item)? != THIS_FORMAT {
        return Err(Unreadable::UnsupportedFormat);
    }
    let payload = match item.remove(PAYLOAD) {
        Some(AttributeValue::B(bytes)) if bytes.as_ref().len() <= MAX_PAYLOAD_LEN => {
            Bytes::from(bytes.into_inner())
        }
        Some(AttributeValue::Null(true)) => Bytes::new(),
        _ => return Err(Unreadable::Corrupt),
    };
    let credential_tag = optional_bytes(&item, CREDENTIAL_TAG)?
        .map(CredentialTag::new)
        .transpose()
        .map_err(|_| Unreadable::Corrupt)?;
    let previous = match optional_bytes(&item, PREVIOUS_HASH)? {
        Some(hash) => Some(PreviousSecret {
            hash: SecretHash::from_bytes(exactly(hash)?),
            grace_until: required_time(&item, GRACE_UNTIL)?,
        }),
        None => None,
    };
    Ok(Record::from_parts(RecordParts {
        id,
        revision: decode_revision(&item)?,
        secret_hash: SecretHash::from_bytes(exactly(required_bytes(&item, SECRET_HASH)?)?),
        previous,
        subject: head.subject,
        created_at: head.created_at,
        expires_at: head.times.expires_at,
        deadline: head.times.deadline,
        authentication: head.authentication,
        credential_tag,
        payload,
    }))
}

/// The head of a record that was removed, if the whole of it could have been read.
pub(crate) fn decode_removed(id: SessionId, item: Item) -> Result<Head, Unreadable> {
    let head = decode_head(&item)?;
    match decode(id, item) {
        Ok(_) | Err(Unreadable::UnsupportedFormat) => Ok(head),
        Err(corrupt) => Err(corrupt),
    }
}

/// What a listing shows of an item of any format. Needs the attributes `f r e d c h s a l`.
pub(crate) fn decode_head(item: &Item) -> Result<Head, Unreadable> {
    decode_revision(item)?;
    exactly::<{ SecretHash::LEN }>(required_bytes(item, SECRET_HASH)?)?;
    let subject = optional_bytes(item, SUBJECT)?
        .map(Subject::from_bytes)
        .transpose()
        .map_err(|_| Unreadable::Corrupt)?;
    let authentication = match (format(item)?, item.get(AUTHENTICATED_AT), item.get(LEVEL)) {
        (THIS_FORMAT, Some(_), Some(level)) => Some(Authentication {
            at: required_time(item, AUTHENTICATED_AT)?,
            level: number(level)?.try_into().map_err(|_| Unreadable::Corrupt)?,
        }),
        (THIS_FORMAT, None, None) => None,
        (THIS_FORMAT, ..) => return Err(Unreadable::Corrupt),
        _ => None,
    };
    let created_at = required_time(item, CREATED_AT)?;
    Ok(Head { times: decode_times(item)?, created_at, subject, authentication })
}

/// Needs the attributes `e d`.
pub(crate) fn decode_times(item: &Item) -> Result<Times, Unreadable> {
    Ok(Times {
        expires_at: required_time(item, EXPIRES_AT)?,
        deadline: required_time(item, DEADLINE)?,
    })
}

/// What an update looks at. Needs the attributes `f r`.
pub(crate) fn decode_content(item: &Item) -> Result<Revision, Unreadable> {
    let revision = decode_revision(item)?;
    if format(item)? == THIS_FORMAT { Ok(revision) } else { Err(Unreadable::UnsupportedFormat) }
}

pub(crate) fn binary(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

pub(crate) fn time(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.as_millis().to_string())
}

/// Rounded up, so that nothing is removed too early.
pub(crate) fn seconds(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.as_millis().div_ceil(1_000).to_string())
}

fn format(item: &Item) -> Result<i64, Unreadable> {
    match item.get(FORMAT) {
        None => Ok(THIS_FORMAT),
        Some(value) => match number(value)? {
            later if later > THIS_FORMAT => Ok(later),
            _ => Err(Unreadable::Corrupt),
        },
    }
}

fn decode_revision(item: &Item) -> Result<Revision, Unreadable> {
    Ok(Revision::from_bytes(exactly(required_bytes(item, REVISION)?)?))
}

fn required_time(item: &Item, name: &str) -> Result<Timestamp, Unreadable> {
    let millis = number(item.get(name).ok_or(Unreadable::Corrupt)?)?;
    Timestamp::from_stored_millis(millis).ok_or(Unreadable::Corrupt)
}

fn number(value: &AttributeValue) -> Result<i64, Unreadable> {
    match value {
        AttributeValue::N(digits) => digits.parse().map_err(|_| Unreadable::Corrupt),
        _ => Err(Unreadable::Corrupt),
    }
}

fn required_bytes<'a>(item: &'a Item, name: &str) -> Result<&'a [u8], Unreadable> {
    optional_bytes(item, name)?.ok_or(Unreadable::Corrupt)
}

fn optional_bytes<'a>(item: &'a Item, name: &str) -> Result<Option<&'a [u8]>, Unreadable> {
    match item.get(name) {
        None => Ok(None),
        Some(AttributeValue::B(bytes)) => Ok(Some(bytes.as_ref())),
        Some(_) => Err(Unreadable::Corrupt),
    }
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Unreadable> {
    bytes.try_into().map_err(|_| Unreadable::Corrupt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use conformance_tests::sample;

    /// DynamoDB's limit for one item, names included.
    const MAX_ITEM_LEN: usize = 400 * 1024;

    fn id() -> SessionId {
        SessionId::from_bytes([9; 16]).unwrap()
    }

    fn records() -> Vec<Record> {
        sample::every_shape(id())
    }

    #[test]
    fn every_record_comes_back() {
        for record in records() {
            let item = encode(&record);
            let head = decode_head(&item).unwrap();
            assert_eq!(head.clone().into_summary(id()), record.summary());
            assert_eq!(decode_content(&item), Ok(record.revision()));
            assert_eq!(decode(id(), item).unwrap(), record);
        }
    }

    #[test]
    fn the_largest_record_fits_an_item() {
        let mut parts = records().pop().unwrap().into_parts();
        parts.payload = vec![7; MAX_PAYLOAD_LEN].into();
        let item = encode(&Record::from_parts(parts));
        let value_len = |value: &AttributeValue| match value {
            AttributeValue::B(bytes) => bytes.as_ref().len(),
            AttributeValue::N(digits) => digits.len(),
            other => panic!("{other:?}"),
        };
        let size: usize = item.iter().map(|(name, value)| name.len() + value_len(value)).sum();
        // The longest names, an id as text, and a number.
        assert!(size + 255 + 32 + 255 + 21 < MAX_ITEM_LEN);
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_corrupt() {
        let whole = encode(&records().pop().unwrap());
        assert_eq!(whole.len(), 12, "every attribute");
        for name in whole.keys() {
            let mut without = whole.clone();
            without.remove(name);
            let optional = [SUBJECT, CREDENTIAL_TAG, PREVIOUS_HASH].contains(&name.as_str());
            assert_eq!(decode(id(), without).is_ok(), optional, "{name}");
            let number = AttributeValue::N("1".into());
            for other in [
                AttributeValue::S("1".into()),
                AttributeValue::Bool(true),
                AttributeValue::L(vec![number.clone()]),
                AttributeValue::M(HashMap::new()),
                AttributeValue::Null(false),
                binary(b""),
                if whole[name].is_n() { binary(b"1") } else { number.clone() },
            ] {
                if name == PAYLOAD && other == binary(b"") {
                    continue;
                }
                let mut changed = whole.clone();
                changed.insert(name.clone(), other.clone());
                assert_eq!(decode(id(), changed), Err(Unreadable::Corrupt), "{name}: {other:?}");
            }
        }
        let too_long = vec![0; MAX_PAYLOAD_LEN + 1];
        for (name, bytes) in [
            (REVISION, &[0; 9][..]),
            (SECRET_HASH, &[0; 31]),
            (PREVIOUS_HASH, &[0; 33]),
            (CREDENTIAL_TAG, &[0; 33]),
            (SUBJECT, b"\x05ab"),
            (PAYLOAD, &too_long),
        ] {
            let mut changed = whole.clone();
            changed.insert(name.to_owned(), binary(bytes));
            assert_eq!(decode(id(), changed), Err(Unreadable::Corrupt), "{name}");
        }
    }

    #[test]
    fn impossible_numbers_are_corrupt_and_never_immortal() {
        let whole = encode(&records().pop().unwrap());
        for bad in ["-1", "1.5", "253402300800000", "1E+40", "NaN", "", "9999999999999999999"] {
            for name in [EXPIRES_AT, DEADLINE, CREATED_AT, AUTHENTICATED_AT, LEVEL, GRACE_UNTIL] {
                let mut changed = whole.clone();
                changed.insert(name.to_owned(), AttributeValue::N(bad.into()));
                assert_eq!(decode(id(), changed), Err(Unreadable::Corrupt), "{name} {bad}");
            }
        }
        let mut changed = whole;
        changed.insert(LEVEL.to_owned(), AttributeValue::N("256".into()));
        assert_eq!(decode(id(), changed), Err(Unreadable::Corrupt));
    }

    #[test]
    fn a_later_format_is_listed_and_not_decoded() {
        let record = records().pop().unwrap();
        let mut item = encode(&record);
        item.insert(FORMAT.to_owned(), AttributeValue::N("2".into()));
        item.insert(LEVEL.to_owned(), AttributeValue::S("high".into()));
        item.remove(PAYLOAD);
        assert_eq!(decode_content(&item), Err(Unreadable::UnsupportedFormat));
        let head = decode_head(&item).unwrap();
        assert_eq!((&head.subject, head.authentication), (&record.subject().cloned(), None));
        assert_eq!(decode(id(), item.clone()), Err(Unreadable::UnsupportedFormat));
        for bad in ["0", "1", "-2"] {
            item.insert(FORMAT.to_owned(), AttributeValue::N(bad.into()));
            assert_eq!(decode(id(), item.clone()), Err(Unreadable::Corrupt), "{bad}");
        }
    }

    #[test]
    fn seconds_are_rounded_up() {
        let seconds = |millis| seconds(Timestamp::from_millis(millis));
        assert_eq!(seconds(1_000), AttributeValue::N("1".into()));
        assert_eq!(seconds(1_001), AttributeValue::N("2".into()));
        assert_eq!(super::seconds(Timestamp::MAX), AttributeValue::N("253402300800".into()));
    }
}
