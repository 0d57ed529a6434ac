//! Long answers in bounded pieces.

use std::fmt;
use std::num::NonZeroU16;

use data_encoding::BASE64URL_NOPAD;

use crate::error::{StoreError, StoreErrorKind};
use crate::realm::Subject;

/// Which piece of a listing to read next.
#[derive(Debug, Clone)]
pub struct PageRequest {
    limit: NonZeroU16,
    after: Option<Cursor>,
}

impl PageRequest {
    /// The largest page. A higher limit is lowered to it.
    pub const MAX_LIMIT: u16 = 1_000;

    /// The first page, of at most `limit` entries. Zero is raised to one.
    #[must_use]
    pub fn first(limit: u16) -> Self {
        let limit = NonZeroU16::new(limit.min(Self::MAX_LIMIT)).unwrap_or(NonZeroU16::MIN);
        Self { limit, after: None }
    }

    /// The page that follows the one which returned `cursor`.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// At most this many entries.
    #[must_use]
    pub fn limit(&self) -> usize {
        usize::from(self.limit.get())
    }

    /// Where to go on; `None` for the first page.
    #[must_use]
    pub const fn cursor(&self) -> Option<&Cursor> {
        self.after.as_ref()
    }
}

/// A piece of a listing.
#[derive(Debug, Clone)]
#[allow(
    clippy::exhaustive_structs,
    reason = "a page has entries and a continuation, and adapters build it"
)]
pub struct Page<T> {
    /// The entries: at most as many as asked for, possibly none although more follow.
    pub items: Vec<T>,
    /// Where to go on; `None` after the last page.
    pub next: Option<Cursor>,
}

/// Where a listing goes on: opaque, made by the store that returns it, at most 1,024 bytes.
///
/// Its text form is safe in a URL, for paged admin screens. A cursor that a store did not make is
/// answered with the error [`InvalidCursor`](crate::StoreErrorKind::InvalidCursor).
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor(Box<[u8]>);

impl Cursor {
    /// The longest cursor in bytes.
    pub const MAX_LEN: usize = 1_024;

    /// The cursor with these bytes. For adapters.
    ///
    /// # Errors
    ///
    /// [`InvalidCursorText`] for no bytes, or more than 1,024.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidCursorText> {
        match bytes.len() {
            1..=Self::MAX_LEN => Ok(Self(bytes.into())),
            _ => Err(InvalidCursorText),
        }
    }

    /// A cursor to `position` in a listing of `namespace`, for adapters: sealed with a checksum, so that
    /// [`unseal`](Self::unseal) refuses it in any other listing. The checksum (FNV-1a) finds mistakes; it is no
    /// secret, and need not be, since a cursor gives nothing that its bearer could not ask for anyway.
    ///
    /// # Errors
    ///
    /// [`InvalidCursor`](StoreErrorKind::InvalidCursor) for a position of more than 1,015 bytes.
    pub fn seal(
        listing: Listing<'_>,
        namespace: &[u8],
        position: &[u8],
    ) -> Result<Self, StoreError> {
        let sum = checksum(listing, namespace, position);
        let bytes = [&[listing.kind()], position, &sum[..]].concat();
        Self::from_bytes(&bytes).map_err(|_| of_no_listing())
    }

    /// The position that was sealed for this listing of this namespace.
    ///
    /// # Errors
    ///
    /// [`InvalidCursor`](StoreErrorKind::InvalidCursor) for a cursor of another one, and for what is no cursor.
    pub fn unseal(&self, listing: Listing<'_>, namespace: &[u8]) -> Result<&[u8], StoreError> {
        let (kind, rest) = self.0.split_first().ok_or_else(of_no_listing)?;
        let (position, sum) = rest.split_last_chunk::<8>().ok_or_else(of_no_listing)?;
        if *kind == listing.kind() && *sum == checksum(listing, namespace, position) {
            Ok(position)
        } else {
            Err(of_no_listing())
        }
    }

    /// The bytes, for the adapter that made it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads the text form.
    ///
    /// # Errors
    ///
    /// [`InvalidCursorText`] for anything that is not a cursor's text.
    pub fn parse(text: &str) -> Result<Self, InvalidCursorText> {
        if text.len() > BASE64URL_NOPAD.encode_len(Self::MAX_LEN) {
            return Err(InvalidCursorText);
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| InvalidCursorText)?;
        Self::from_bytes(&bytes)
    }
}

/// What a cursor goes on in, for adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the two listings of a store")]
pub enum Listing<'a> {
    /// The sessions of a subject.
    Of(&'a Subject),
    /// All sessions.
    All,
}

impl Listing<'_> {
    const fn kind(self) -> u8 {
        match self {
            Self::Of(_) => b'i',
            Self::All => b's',
        }
    }
}

fn checksum(listing: Listing<'_>, namespace: &[u8], position: &[u8]) -> [u8; 8] {
    let listed = match listing {
        Listing::Of(subject) => subject.as_bytes(),
        Listing::All => &[],
    };
    let parts = [&[listing.kind()], position, namespace, &[0], listed];
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.into_iter().flatten() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash.to_be_bytes()
}

fn of_no_listing() -> StoreError {
    StoreError::new(StoreErrorKind::InvalidCursor, "the cursor belongs to no listing of this store")
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&BASE64URL_NOPAD.encode_display(&self.0), f)
    }
}

/// A cursor may hold parts of keys, so its bytes are not shown.
impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({} bytes)", self.0.len())
    }
}

/// Not the text of a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a page cursor")]
pub struct InvalidCursorText;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_brought_into_range() {
        assert_eq!(PageRequest::first(0).limit(), 1);
        assert_eq!(PageRequest::first(u16::MAX).limit(), 1_000);
    }

    fn subject(name: &str) -> Subject {
        Subject::new(&crate::Realm::default(), name).unwrap()
    }

    #[test]
    fn a_position_comes_back_in_its_own_listing_only() {
        let (alice, bob) = (subject("alice"), subject("bob"));
        for position in [&b""[..], &[0; 8], &[0xff; 1_015]] {
            for listing in [Listing::Of(&alice), Listing::All] {
                let cursor = Cursor::seal(listing, b"here", position).unwrap();
                assert_eq!(cursor.unseal(listing, b"here").unwrap(), position);
                assert!(cursor.unseal(listing, b"there").is_err());
                assert!(cursor.unseal(Listing::Of(&bob), b"here").is_err());
                let other =
                    if listing == Listing::All { Listing::Of(&alice) } else { Listing::All };
                assert!(cursor.unseal(other, b"here").is_err());
            }
        }
        let error = Cursor::seal(Listing::All, b"here", &[7; 1_016]).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::InvalidCursor);
    }

    #[test]
    fn a_damaged_cursor_is_refused() {
        let sealed = Cursor::seal(Listing::All, b"here", b"position").unwrap();
        let whole = sealed.as_bytes();
        let opened = |bytes: &[u8]| {
            let cursor = Cursor::from_bytes(bytes).unwrap();
            cursor.unseal(Listing::All, b"here").map(<[u8]>::to_vec).map_err(|error| error.kind())
        };
        for at in 0..whole.len() {
            let mut damaged = whole.to_vec();
            damaged[at] ^= 1;
            assert_eq!(opened(&damaged), Err(StoreErrorKind::InvalidCursor));
            if at > 0 {
                assert_eq!(opened(&whole[..at]), Err(StoreErrorKind::InvalidCursor));
            }
        }
        assert_eq!(opened(&[whole, &[0]].concat()), Err(StoreErrorKind::InvalidCursor));
        assert_eq!(opened(whole), Ok(b"position".to_vec()));
    }

    #[test]
    fn cursor_text_round_trips_and_rubbish_is_refused() {
        let cursor = Cursor::from_bytes(&[0, 255, 7]).unwrap();
        assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
        for bad in ["", "é", "A", "====", &"A".repeat(100_000)] {
            assert_eq!(Cursor::parse(bad), Err(InvalidCursorText));
        }
    }
}
