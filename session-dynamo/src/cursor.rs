//! Cursors: the key behind which a listing goes on.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use session_core::{Cursor, Listing, StoreError, StoreErrorKind};

use crate::names::{IdForm, Names};

/// The cursor behind the item with this key attribute.
pub(crate) fn after(
    last: &AttributeValue,
    listing: Listing<'_>,
    names: &Names,
) -> Result<Cursor, StoreError> {
    let key: &[u8] = match last {
        AttributeValue::B(bytes) => bytes.as_ref(),
        AttributeValue::S(text) => text.as_bytes(),
        _ => return Err(foreign_key()),
    };
    Cursor::seal(listing, names.sessions.as_bytes(), key).map_err(|_| foreign_key())
}

/// The key attribute of the item behind which a listing goes on.
pub(crate) fn read(
    cursor: &Cursor,
    listing: Listing<'_>,
    names: &Names,
) -> Result<AttributeValue, StoreError> {
    let key = cursor.unseal(listing, names.sessions.as_bytes())?;
    if key.is_empty() {
        return Err(invalid());
    }
    match names.id_form {
        IdForm::Binary => Ok(AttributeValue::B(Blob::new(key))),
        IdForm::Text => {
            let text = str::from_utf8(key).map_err(|_| invalid())?;
            Ok(AttributeValue::S(text.to_owned()))
        }
    }
}

fn invalid() -> StoreError {
    StoreError::new(StoreErrorKind::InvalidCursor, "the cursor holds no key")
}

fn foreign_key() -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, "the table has an item that no store of ours wrote")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::tests::names;
    use session_core::{Realm, SessionId, Subject};

    fn subject(name: &str) -> Subject {
        Subject::new(&Realm::default(), name).unwrap()
    }

    #[test]
    fn positions_come_back() {
        let id = SessionId::from_bytes([0xfe; 16]).unwrap();
        let alice = subject("alice");
        for id_form in [IdForm::Binary, IdForm::Text] {
            let names = Names { id_form, ..names() };
            for listing in [Listing::All, Listing::Of(&alice)] {
                let key = names.id_value(&id);
                let cursor = after(&key, listing, &names).unwrap();
                assert_eq!(read(&cursor, listing, &names).unwrap(), key);
            }
        }
    }

    #[test]
    fn a_cursor_of_something_else_is_refused() {
        let names = names();
        let (alice, bob) = (subject("alice"), subject("bob"));
        let key = names.id_value(&SessionId::from_bytes([1; 16]).unwrap());
        let cursor = after(&key, Listing::Of(&alice), &names).unwrap();
        let other = Names { sessions: "others".into(), ..names.clone() };
        assert!(read(&cursor, Listing::Of(&alice), &other).is_err());
        assert!(read(&cursor, Listing::Of(&bob), &names).is_err());
        assert!(read(&cursor, Listing::All, &names).is_err());
        for length in 1..cursor.as_bytes().len() {
            let cut = Cursor::from_bytes(&cursor.as_bytes()[..length]).unwrap();
            assert!(read(&cut, Listing::Of(&alice), &names).is_err());
            let mut flipped = cursor.as_bytes().to_vec();
            flipped[length] ^= 1;
            let flipped = Cursor::from_bytes(&flipped).unwrap();
            let error = read(&flipped, Listing::Of(&alice), &names).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::InvalidCursor);
        }
    }

    #[test]
    fn a_key_that_is_too_long_for_a_cursor_is_corrupt() {
        let key = AttributeValue::B(Blob::new(vec![7; 2_000]));
        let error = after(&key, Listing::All, &names()).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    }
}
