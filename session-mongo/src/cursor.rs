//! Cursors: where a listing goes on. Sealed with a checksum over the namespace and what is listed, so that a
//! cursor of another listing, another store or nobody's is refused.

use session_core::{Cursor, SessionId, StoreError, StoreErrorKind, Subject};

/// What is listed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Listing<'a> {
    /// The sessions of a subject.
    Of(&'a Subject),
    /// All sessions.
    All,
}

impl Listing<'_> {
    fn parts(&self) -> (u8, &[u8]) {
        match self {
            Self::Of(subject) => (b'i', subject.as_bytes()),
            Self::All => (b's', &[]),
        }
    }
}

/// The cursor behind the session `last`.
pub(crate) fn behind(
    last: &SessionId,
    namespace: &str,
    listing: Listing<'_>,
) -> Result<Cursor, StoreError> {
    let sum = checksum(last.as_bytes(), namespace, listing);
    Cursor::from_bytes(&[last.as_bytes(), &sum[..]].concat()).map_err(|_| invalid())
}

/// The session behind which the listing goes on.
pub(crate) fn read(
    cursor: &Cursor,
    namespace: &str,
    listing: Listing<'_>,
) -> Result<SessionId, StoreError> {
    let (id, sum) = cursor.as_bytes().split_last_chunk::<8>().ok_or_else(invalid)?;
    if *sum != checksum(id, namespace, listing) {
        return Err(invalid());
    }
    SessionId::try_from(id).map_err(|_| invalid())
}

/// FNV-1a. It finds mistakes; a cursor gives nothing that its bearer could not ask for anyway.
fn checksum(id: &[u8], namespace: &str, listing: Listing<'_>) -> [u8; 8] {
    let (kind, listed) = listing.parts();
    let parts = [&[kind], id, namespace.as_bytes(), &[0], listed];
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.iter()) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash.to_be_bytes()
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
