//! From rows to records. What is no record is told apart, and nothing here panics.

use std::borrow::Cow;

use bytes::Bytes;
use session_core::{
    Authentication, CredentialTag, PreviousSecret, Record, RecordParts, Revision, SecretHash,
    SessionId, SessionSummary, StoreError, StoreErrorKind, Subject, Timestamp,
};
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgRow, PgValueFormat};
use sqlx::{Decode, Postgres, Row as _, Type, ValueRef as _};

use crate::error;
use crate::time::{PgTime, TIMESTAMPTZ};

/// The format of rows that this version writes.
const FORMAT: i16 = 1;

const BYTEA: Oid = Oid(17);
const INT8: Oid = Oid(20);
const INT2: Oid = Oid(21);

/// Why a row is not a record that this version reads.
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

/// The record in a row of `load.sql`.
pub(crate) fn record(id: SessionId, row: &PgRow) -> Result<Record, Unreadable> {
    let mut columns = Columns::of(row);
    columns.format()?;
    let revision = columns.revision()?;
    let secret_hash = columns.hash()?.ok_or(Unreadable::Corrupt)?;
    let previous = match (columns.hash()?, columns.time()?) {
        (Some(hash), Some(grace_until)) => Some(PreviousSecret { hash, grace_until }),
        (None, None) => None,
        _ => return Err(Unreadable::Corrupt),
    };
    let subject = columns.subject()?;
    let created_at = columns.required_time()?;
    let expires_at = columns.required_time()?;
    let deadline = columns.required_time()?;
    let authentication = columns.authentication()?;
    let credential_tag = match columns.bytes(BYTEA)? {
        Some(tag) => Some(CredentialTag::new(&tag).map_err(|_| Unreadable::Corrupt)?),
        None => None,
    };
    // NULL as well for a payload that is too large.
    let payload = columns.bytes(BYTEA)?.ok_or(Unreadable::Corrupt)?;
    Ok(Record::from_parts(RecordParts {
        id,
        revision,
        secret_hash,
        previous,
        subject,
        created_at,
        expires_at,
        deadline,
        authentication,
        credential_tag,
        payload: Bytes::from(payload.into_owned()),
    }))
}

/// The summary in a row of `{summary}`; nothing if the record cannot be read.
pub(crate) fn summary(row: &PgRow) -> Option<SessionSummary> {
    let mut columns = Columns::of(row);
    let read = |columns: &mut Columns<'_>| -> Result<SessionSummary, Unreadable> {
        let id = columns.bytes(BYTEA)?.and_then(|id| SessionId::try_from(&*id).ok());
        Ok(SessionSummary::new(
            id.ok_or(Unreadable::Corrupt)?,
            columns.subject()?,
            columns.required_time()?,
            columns.required_time()?,
            columns.required_time()?,
            columns.authentication()?,
        ))
    };
    let summary = read(&mut columns).ok()?;
    let readable: bool = columns.plain().ok()?;
    readable.then_some(summary)
}

/// Why an update did not happen, from a row of `update_refused.sql`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The record is over.
    Over,
    /// It is live, and has this revision.
    Live(Revision),
}

pub(crate) fn refused_update(row: &PgRow, now: Timestamp) -> Result<Refused, Unreadable> {
    let mut columns = Columns::of(row);
    if is_over(&mut columns, now)? {
        return Ok(Refused::Over);
    }
    columns.format()?;
    let revision = columns.revision()?;
    let readable: bool = columns.plain().map_err(|_| Unreadable::Corrupt)?;
    if readable { Ok(Refused::Live(revision)) } else { Err(Unreadable::Corrupt) }
}

/// Whether the record is over, from a row that begins with its two ends.
pub(crate) fn refused_touch(row: &PgRow, now: Timestamp) -> Result<bool, Unreadable> {
    is_over(&mut Columns::of(row), now)
}

fn is_over(columns: &mut Columns<'_>, now: Timestamp) -> Result<bool, Unreadable> {
    let (expires_at, deadline) = (columns.required_time()?, columns.required_time()?);
    Ok(now >= expires_at || now >= deadline)
}

/// The id in a column of `{summary}` or of a piece of a walk, as bytes: what follows it comes next.
pub(crate) fn position(row: &PgRow, column: usize) -> Option<Vec<u8>> {
    Columns { row, next: column }.bytes(BYTEA).ok()?.map(Cow::into_owned)
}

/// A value of a type that the statement itself makes.
pub(crate) fn plain<'r, T>(
    row: &'r PgRow,
    column: usize,
    doing: &'static str,
) -> Result<T, StoreError>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    Columns { row, next: column }.plain().map_err(|_| error::unexpected(doing))
}

/// A count.
pub(crate) fn count(row: &PgRow, column: usize, doing: &'static str) -> Result<u64, StoreError> {
    let count: i64 = plain(row, column, doing)?;
    u64::try_from(count).map_err(|_| error::unexpected(doing))
}

/// The columns of a row, one after the other.
struct Columns<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Columns<'r> {
    const fn of(row: &'r PgRow) -> Self {
        Self { row, next: 0 }
    }

    /// The bytes in which a value of this type is sent. `None` for NULL. Another type, as after a migration
    /// that went wrong, cannot be read.
    fn bytes(&mut self, of: Oid) -> Result<Option<Cow<'r, [u8]>>, Unreadable> {
        let value = self.row.try_get_raw(self.next).map_err(|_| Unreadable::Corrupt)?;
        self.next += 1;
        if value.is_null() {
            return Ok(None);
        }
        let bytes = value.as_bytes().map_err(|_| Unreadable::Corrupt)?;
        match value.format() {
            PgValueFormat::Binary if value.type_info().oid() == Some(of) => {
                Ok(Some(Cow::Borrowed(bytes)))
            }
            PgValueFormat::Binary => Err(Unreadable::Corrupt),
            PgValueFormat::Text => from_hex(bytes).map(|bytes| Some(Cow::Owned(bytes))),
        }
    }

    fn array<const N: usize>(&mut self, of: Oid) -> Result<Option<[u8; N]>, Unreadable> {
        match self.bytes(of)? {
            Some(bytes) => <[u8; N]>::try_from(&*bytes).map(Some).map_err(|_| Unreadable::Corrupt),
            None => Ok(None),
        }
    }

    fn format(&mut self) -> Result<(), Unreadable> {
        match self.small()? {
            Some(FORMAT) => Ok(()),
            Some(later) if later > FORMAT => Err(Unreadable::UnsupportedFormat),
            _ => Err(Unreadable::Corrupt),
        }
    }

    fn revision(&mut self) -> Result<Revision, Unreadable> {
        self.array(INT8)?.map(Revision::from_bytes).ok_or(Unreadable::Corrupt)
    }

    fn hash(&mut self) -> Result<Option<SecretHash>, Unreadable> {
        Ok(self.array(BYTEA)?.map(SecretHash::from_bytes))
    }

    fn time(&mut self) -> Result<Option<Timestamp>, Unreadable> {
        match self.array(TIMESTAMPTZ)? {
            Some(bytes) => {
                PgTime::from_bytes(bytes).timestamp().map(Some).ok_or(Unreadable::Corrupt)
            }
            None => Ok(None),
        }
    }

    fn required_time(&mut self) -> Result<Timestamp, Unreadable> {
        self.time()?.ok_or(Unreadable::Corrupt)
    }

    fn small(&mut self) -> Result<Option<i16>, Unreadable> {
        Ok(self.array(INT2)?.map(i16::from_be_bytes))
    }

    fn subject(&mut self) -> Result<Option<Subject>, Unreadable> {
        match self.bytes(BYTEA)? {
            Some(bytes) => Subject::from_bytes(&bytes).map(Some).map_err(|_| Unreadable::Corrupt),
            None => Ok(None),
        }
    }

    fn authentication(&mut self) -> Result<Option<Authentication>, Unreadable> {
        match (self.time()?, self.small()?.map(u8::try_from)) {
            (Some(at), Some(Ok(level))) => Ok(Some(Authentication { at, level })),
            (None, None) => Ok(None),
            _ => Err(Unreadable::Corrupt),
        }
    }

    fn plain<T>(&mut self) -> Result<T, sqlx::Error>
    where
        T: Decode<'r, Postgres> + Type<Postgres>,
    {
        let value = self.row.try_get(self.next)?;
        self.next += 1;
        Ok(value)
    }
}

/// Reads hexadecimal digits.
fn from_hex(digits: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    digits.chunks(2).map(byte).collect::<Option<_>>().ok_or(Unreadable::Corrupt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_are_read_and_nothing_else() {
        assert_eq!(from_hex(b"00fFa5").unwrap(), [0, 0xff, 0xa5]);
        assert_eq!(from_hex(b"").unwrap(), [0; 0]);
        for bad in [&b"0"[..], b"0g", b"\\x00", b"\xff\xff", b"00 "] {
            assert_eq!(from_hex(bad), Err(Unreadable::Corrupt), "{bad:?}");
        }
    }
}
