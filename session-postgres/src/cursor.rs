//! Cursors: the id behind which a listing goes on.

use session_core::{Cursor, Listing, SessionId, StoreError, StoreErrorKind};

use crate::names::Names;

/// The bytes of the id behind which a listing goes on.
pub(crate) type Position = [u8; SessionId::LEN];

pub(crate) fn seal(
    listing: Listing<'_>,
    names: &Names,
    position: &Position,
) -> Result<Cursor, StoreError> {
    Cursor::seal(listing, &namespace(names), position)
}

pub(crate) fn unseal(
    listing: Listing<'_>,
    names: &Names,
    cursor: &Cursor,
) -> Result<Position, StoreError> {
    let position = cursor.unseal(listing, &namespace(names))?;
    position
        .try_into()
        .map_err(|_| StoreError::new(StoreErrorKind::InvalidCursor, "the cursor holds no id"))
}

fn namespace(names: &Names) -> Vec<u8> {
    [names.schema().as_bytes(), &[0], names.table().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_core::{Realm, Subject};

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
