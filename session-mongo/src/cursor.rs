//! Cursors: the session behind which a listing goes on.

use session_core::{Cursor, Listing, SessionId, StoreError, StoreErrorKind};

/// The cursor behind the session `last`.
pub(crate) fn behind(
    last: &SessionId,
    namespace: &str,
    listing: Listing<'_>,
) -> Result<Cursor, StoreError> {
    Cursor::seal(listing, namespace.as_bytes(), last.as_bytes())
}

/// The session behind which the listing goes on.
pub(crate) fn read(
    cursor: &Cursor,
    namespace: &str,
    listing: Listing<'_>,
) -> Result<SessionId, StoreError> {
    let id = cursor.unseal(listing, namespace.as_bytes())?;
    SessionId::try_from(id)
        .map_err(|_| StoreError::new(StoreErrorKind::InvalidCursor, "the cursor names no session"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_core::{Realm, Subject};

    fn subject(name: &str) -> Subject {
        Subject::new(&Realm::default(), name).unwrap()
    }

    fn id(byte: u8) -> SessionId {
        SessionId::from_bytes([byte; 16]).unwrap()
    }

    #[test]
    fn a_position_comes_back_in_its_own_listing_only() {
        let (alice, bob) = (subject("alice"), subject("bob"));
        let cursor = behind(&id(7), "db.sessions", Listing::Of(&alice)).unwrap();
        assert_eq!(read(&cursor, "db.sessions", Listing::Of(&alice)).unwrap(), id(7));
        assert!(read(&cursor, "db.sessions", Listing::Of(&bob)).is_err());
        assert!(read(&cursor, "db.sessions", Listing::All).is_err());
        assert!(read(&cursor, "db.others", Listing::Of(&alice)).is_err());
        let cursor = behind(&id(7), "db.sessions", Listing::All).unwrap();
        assert_eq!(read(&cursor, "db.sessions", Listing::All).unwrap(), id(7));
        assert!(read(&cursor, "db.sessions", Listing::Of(&alice)).is_err());
    }

    #[test]
    fn a_damaged_cursor_is_refused() {
        let genuine = behind(&id(7), "db.sessions", Listing::All).unwrap();
        let read_bytes = |bytes: &[u8]| {
            read(&Cursor::from_bytes(bytes).unwrap(), "db.sessions", Listing::All)
                .map_err(|error| error.kind())
        };
        let bytes = genuine.as_bytes();
        for length in 1..bytes.len() {
            assert_eq!(read_bytes(&bytes[..length]), Err(StoreErrorKind::InvalidCursor));
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1;
            assert_eq!(read_bytes(&damaged), Err(StoreErrorKind::InvalidCursor));
        }
    }
}
