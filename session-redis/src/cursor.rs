//! Cursors: where a listing goes on.

use session_core::{Cursor, Listing, SessionId, StoreError, StoreErrorKind, Subject, Timestamp};

/// As many ids as a cursor can carry.
pub(crate) const MAX_PENDING: usize = 60;

/// A place in an index: entries are in the order of deadline and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexPosition {
    pub(crate) deadline: Timestamp,
    pub(crate) id: Option<SessionId>,
}

/// A place in the walk over all keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ScanPosition {
    /// The server's own cursor; `None` when it has come to the end.
    pub(crate) at: Option<u64>,
    /// Ids that the server has named and that did not fit on the page.
    pub(crate) pending: Vec<SessionId>,
}

pub(crate) fn index_position(
    position: IndexPosition,
    prefix: &str,
    subject: &Subject,
) -> Result<Cursor, StoreError> {
    let mut body = position.deadline.as_millis().to_be_bytes().to_vec();
    if let Some(id) = &position.id {
        body.extend_from_slice(id.as_bytes());
    }
    Cursor::seal(Listing::Of(subject), prefix.as_bytes(), &body)
}

pub(crate) fn read_index_position(
    cursor: &Cursor,
    prefix: &str,
    subject: &Subject,
) -> Result<IndexPosition, StoreError> {
    let body = cursor.unseal(Listing::Of(subject), prefix.as_bytes())?;
    let (deadline, id) = body.split_first_chunk().ok_or_else(invalid)?;
    let deadline =
        Timestamp::from_stored_millis(i64::from_be_bytes(*deadline)).ok_or_else(invalid)?;
    let id = match id {
        [] => None,
        id => Some(SessionId::try_from(id).map_err(|_| invalid())?),
    };
    Ok(IndexPosition { deadline, id })
}

pub(crate) fn scan_position(position: &ScanPosition, prefix: &str) -> Result<Cursor, StoreError> {
    let mut body = vec![u8::from(position.at.is_some())];
    body.extend_from_slice(&position.at.unwrap_or_default().to_be_bytes());
    for id in &position.pending {
        body.extend_from_slice(id.as_bytes());
    }
    Cursor::seal(Listing::All, prefix.as_bytes(), &body)
}

pub(crate) fn read_scan_position(
    cursor: &Cursor,
    prefix: &str,
) -> Result<ScanPosition, StoreError> {
    let body = cursor.unseal(Listing::All, prefix.as_bytes())?;
    let (goes_on, body) = body.split_first().ok_or_else(invalid)?;
    let (at, ids) = body.split_first_chunk().ok_or_else(invalid)?;
    let ids = ids.chunks(SessionId::LEN).map(SessionId::try_from);
    let pending = ids.collect::<Result<Vec<_>, _>>().map_err(|_| invalid())?;
    Ok(ScanPosition { at: (*goes_on == 1).then_some(u64::from_be_bytes(*at)), pending })
}

fn invalid() -> StoreError {
    StoreError::new(StoreErrorKind::InvalidCursor, "the cursor belongs to no listing of this store")
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_core::Realm;

    fn subject(name: &str) -> Subject {
        Subject::new(&Realm::default(), name).unwrap()
    }

    fn id(byte: u8) -> SessionId {
        SessionId::from_bytes([byte; 16]).unwrap()
    }

    #[test]
    fn positions_come_back() {
        for id in [None, Some(id(1))] {
            let position = IndexPosition { deadline: Timestamp::MAX, id };
            let cursor = index_position(position, "p", &subject("a")).unwrap();
            assert_eq!(read_index_position(&cursor, "p", &subject("a")).unwrap(), position);
        }
        for (at, count) in [(None, 1), (Some(0), 0), (Some(u64::MAX), MAX_PENDING)] {
            let position = ScanPosition { at, pending: vec![id(2); count] };
            let cursor = scan_position(&position, "p").unwrap();
            assert_eq!(read_scan_position(&cursor, "p").unwrap(), position);
        }
    }

    #[test]
    fn a_cursor_of_something_else_is_refused() {
        let position = IndexPosition { deadline: Timestamp::MIN, id: Some(id(1)) };
        let cursor = index_position(position, "p", &subject("a")).unwrap();
        assert!(read_index_position(&cursor, "q", &subject("a")).is_err());
        assert!(read_index_position(&cursor, "p", &subject("b")).is_err());
        assert!(read_scan_position(&cursor, "p").is_err());
        for length in 1..cursor.as_bytes().len() {
            let cut = Cursor::from_bytes(&cursor.as_bytes()[..length]).unwrap();
            assert!(read_index_position(&cut, "p", &subject("a")).is_err());
            let mut flipped = cursor.as_bytes().to_vec();
            flipped[length] ^= 1;
            let flipped = Cursor::from_bytes(&flipped).unwrap();
            let error = read_index_position(&flipped, "p", &subject("a")).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::InvalidCursor);
        }
    }
}
