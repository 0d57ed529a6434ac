//! Cursors: where a listing goes on. Sealed with a checksum over the namespace and what is listed, so that a
//! cursor of another listing, another store or nobody's is refused.

use session_core::{Cursor, SessionId, StoreError, StoreErrorKind, Subject};

use crate::names::Names;

const INDEX: u8 = b'i';
const SCAN: u8 = b's';

/// The bytes of the id behind which a listing goes on.
pub(crate) type Position = [u8; SessionId::LEN];

/// What is listed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Listing<'a> {
    /// The sessions of a subject.
    Of(&'a Subject),
    /// All.
    All,
}

pub(crate) fn seal(
    listing: Listing<'_>,
    names: &Names,
    position: &Position,
) -> Result<Cursor, StoreError> {
    let sum = checksum(listing, names, position);
    Cursor::from_bytes(&[&[listing.kind()], &position[..], &sum].concat()).map_err(|_| invalid())
}

pub(crate) fn unseal(
    listing: Listing<'_>,
    names: &Names,
    cursor: &Cursor,
) -> Result<Position, StoreError> {
    let (kind, rest) = cursor.as_bytes().split_first().ok_or_else(invalid)?;
    let (position, sum) = rest.split_first_chunk().ok_or_else(invalid)?;
    if *kind == listing.kind() && *sum == checksum(listing, names, position) {
        Ok(*position)
    } else {
        Err(invalid())
    }
}

impl Listing<'_> {
    const fn kind(self) -> u8 {
        match self {
            Self::Of(_) => INDEX,
            Self::All => SCAN,
        }
    }
}

/// FNV-1a. It finds mistakes; a cursor gives nothing that its bearer could not ask for anyway.
fn checksum(listing: Listing<'_>, names: &Names, position: &Position) -> [u8; 8] {
    let subject = match listing {
        Listing::Of(subject) => subject.as_bytes(),
        Listing::All => &[],
    };
    let place = [names.schema().as_bytes(), &[0], names.table().as_bytes(), &[0]].concat();
    let parts = [&[listing.kind()], &position[..], &place, subject];
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

    #[test]
    fn positions_come_back() {
        let names = Names::new("s", "t").unwrap();
        let alice = subject("alice");
        for listing in [Listing::Of(&alice), Listing::All] {
            for position in [[0; 16], [7; 16], [255; 16]] {
                let cursor = seal(listing, &names, &position).unwrap();
                assert_eq!(unseal(listing, &names, &cursor).unwrap(), position);
            }
        }
    }

    #[test]
    fn a_cursor_of_something_else_is_refused() {
        let names = Names::new("s", "t").unwrap();
        let (alice, bob) = (subject("alice"), subject("bob"));
        let cursor = seal(Listing::Of(&alice), &names, &[1; 16]).unwrap();
        let other = Names::new("s", "u").unwrap();
        assert!(unseal(Listing::Of(&alice), &other, &cursor).is_err());
        assert!(unseal(Listing::Of(&bob), &names, &cursor).is_err());
        assert!(unseal(Listing::All, &names, &cursor).is_err());
        let whole = cursor.as_bytes();
        for length in 1..whole.len() {
            let cut = Cursor::from_bytes(&whole[..length]).unwrap();
            assert!(unseal(Listing::Of(&alice), &names, &cut).is_err());
            let mut flipped = whole.to_vec();
            flipped[length] ^= 1;
            let flipped = Cursor::from_bytes(&flipped).unwrap();
            let error = unseal(Listing::Of(&alice), &names, &flipped).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::InvalidCursor);
        }
        let longer = Cursor::from_bytes(&[whole, &[0]].concat()).unwrap();
        assert!(unseal(Listing::Of(&alice), &names, &longer).is_err());
    }
}
