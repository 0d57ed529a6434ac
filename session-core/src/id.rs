//! The public handle of a session, and the token of its content.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;

use crate::random::{RandomSource, RandomUnavailable};

/// The public handle of a session: 128 random bits, never all zero.
///
/// It is the key of the record, and what logs, listings and admin pages show. **It authenticates
/// nobody**: for that a client must present the secret as well, see
/// [`SessionToken`](crate::SessionToken). Its text form is 32 lower-case hexadecimal digits, so that
/// nobody mistakes it for a token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; Self::LEN]);

impl SessionId {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// A new id from `random`.
    ///
    /// # Errors
    ///
    /// When the random source fails, or delivers nothing but zeros.
    pub fn random(random: &dyn RandomSource) -> Result<Self, RandomUnavailable> {
        let mut bytes = [0; Self::LEN];
        random.fill(&mut bytes)?;
        Self::from_bytes(bytes).map_err(|_| RandomUnavailable)
    }

    /// The id with these bytes.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] for sixteen zero bytes.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Result<Self, InvalidId> {
        if bytes == [0; Self::LEN] { Err(InvalidId) } else { Ok(Self(bytes)) }
    }

    /// The id as bytes, for use as a key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl TryFrom<&[u8]> for SessionId {
    type Error = InvalidId;

    fn try_from(bytes: &[u8]) -> Result<Self, InvalidId> {
        Self::from_bytes(bytes.try_into().map_err(|_| InvalidId)?)
    }
}

impl FromStr for SessionId {
    type Err = InvalidId;

    /// Reads 32 lower-case hexadecimal digits; nothing else is accepted.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut bytes = [0; Self::LEN];
        if text.len() != 2 * Self::LEN {
            return Err(InvalidId);
        }
        HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).map_err(|_| InvalidId)?;
        Self::from_bytes(bytes)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&HEXLOWER.encode_display(&self.0), f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// Not a session id: wrong length, wrong alphabet, or all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a session id")]
pub struct InvalidId;

/// An opaque token of a record's content, chosen by the writer.
///
/// 64 bits from the random source, new at every update and never repeated for an id (chance of a
/// repetition between two writes: 2^-64). Adapters compare revisions for equality and for nothing
/// else; there is no order. A writer that had to send a request twice recognises its own write by
/// the revision it chose.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision([u8; Self::LEN]);

impl Revision {
    /// Length in bytes.
    pub const LEN: usize = 8;

    /// A new revision from `random`.
    ///
    /// # Errors
    ///
    /// When the random source fails.
    pub fn random(random: &dyn RandomSource) -> Result<Self, RandomUnavailable> {
        let mut bytes = [0; Self::LEN];
        random.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The revision with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The revision as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The same bits as a signed number, for backends that have no byte strings of this length.
    #[must_use]
    pub const fn as_i64(self) -> i64 {
        i64::from_be_bytes(self.0)
    }

    /// The inverse of [`Revision::as_i64`].
    #[must_use]
    pub const fn from_i64(bits: i64) -> Self {
        Self(bits.to_be_bytes())
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({})", HEXLOWER.encode_display(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    #[derive(Debug)]
    struct Zeros;

    impl RandomSource for Zeros {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
            bytes.fill(0);
            Ok(())
        }
    }

    #[test]
    fn text_form_round_trips_and_has_one_spelling() {
        let id = SessionId::random(&OsRandom).unwrap();
        let text = id.to_string();
        assert_eq!(text.len(), 32);
        assert_eq!(text.parse::<SessionId>().unwrap(), id);
        let letters = SessionId::from_bytes([0xab; 16]).unwrap().to_string();
        assert_eq!(letters.to_uppercase().parse::<SessionId>(), Err(InvalidId));
        assert_eq!(text[1..].parse::<SessionId>(), Err(InvalidId));
        assert_eq!(format!("{text}0").parse::<SessionId>(), Err(InvalidId));
        assert_eq!("".parse::<SessionId>(), Err(InvalidId));
    }

    #[test]
    fn all_zero_ids_do_not_exist() {
        assert_eq!(SessionId::from_bytes([0; 16]), Err(InvalidId));
        assert_eq!("0".repeat(32).parse::<SessionId>(), Err(InvalidId));
        assert_eq!(SessionId::random(&Zeros), Err(RandomUnavailable));
    }

    #[test]
    fn revisions_keep_their_bits_as_numbers() {
        let revision = Revision::from_bytes([0xff, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(Revision::from_i64(revision.as_i64()), revision);
    }
}
