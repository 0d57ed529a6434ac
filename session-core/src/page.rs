//! Long answers in bounded pieces.

use std::fmt;
use std::num::NonZeroU16;

use data_encoding::BASE64URL_NOPAD;

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

    #[test]
    fn cursor_text_round_trips_and_rubbish_is_refused() {
        let cursor = Cursor::from_bytes(&[0, 255, 7]).unwrap();
        assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
        for bad in ["", "é", "A", "====", &"A".repeat(100_000)] {
            assert_eq!(Cursor::parse(bad), Err(InvalidCursorText));
        }
    }
}
