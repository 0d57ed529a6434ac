//! Tenants, and the users of a tenant.

use std::fmt;
use std::sync::Arc;

/// The name of a tenant or application: 0 to 63 bytes, empty by default.
///
/// A token is worthless in another realm, and subjects of different realms never meet, even on one
/// backend.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Realm(Option<Arc<str>>);

impl Realm {
    /// The longest realm in bytes.
    pub const MAX_LEN: usize = 63;

    /// The realm with this name.
    ///
    /// # Errors
    ///
    /// [`InvalidRealm`] for a name of more than 63 bytes or with a NUL in it.
    pub fn new(name: &str) -> Result<Self, InvalidRealm> {
        if !Self::accepts(name) {
            return Err(InvalidRealm);
        }
        Ok(Self((!name.is_empty()).then(|| name.into())))
    }

    fn accepts(name: &str) -> bool {
        name.len() <= Self::MAX_LEN && !name.contains('\0')
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.as_str().as_bytes()
    }

    #[allow(clippy::cast_possible_truncation, reason = "at most 63, by construction")]
    pub(crate) fn len_byte(&self) -> u8 {
        self.as_str().len() as u8
    }
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Realm({:?})", self.as_str())
    }
}

/// Not a realm: more than 63 bytes, or with a NUL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a realm has at most 63 bytes and no NUL")]
pub struct InvalidRealm;

/// The user that a session belongs to, in one realm.
///
/// Stored, indexed and compared as exactly the bytes of [`Subject::as_bytes`]: length of the realm
/// (one byte) ‖ realm ‖ name. The name is opaque UTF-8 without NUL, 1 to 191 bytes; two Unicode forms of one
/// name are two subjects. A record gets its subject once and never another.
///
/// `Debug` does not show the name, since it is often an e-mail address.
///
/// ```
/// use session_core::{Realm, Subject};
///
/// let alice = Subject::new(&Realm::default(), "alice")?;
/// assert_eq!(alice.name(), "alice");
/// assert_ne!(alice, Subject::new(&Realm::new("tenant-7")?, "alice")?);
/// assert!(Subject::new(&Realm::default(), "").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(Arc<[u8]>);

impl Subject {
    /// The longest name in bytes.
    pub const MAX_NAME_LEN: usize = 191;

    /// The longest subject in bytes, realm included.
    pub const MAX_LEN: usize = 1 + Realm::MAX_LEN + Self::MAX_NAME_LEN;

    /// The user `name` of `realm`.
    ///
    /// # Errors
    ///
    /// [`InvalidSubject`] for an empty name, one of more than 191 bytes, or one with a NUL.
    pub fn new(realm: &Realm, name: &str) -> Result<Self, InvalidSubject> {
        if !is_name(name) {
            return Err(InvalidSubject);
        }
        let bytes = [&[realm.len_byte()], realm.as_bytes(), name.as_bytes()].concat();
        Ok(Self(bytes.into()))
    }

    /// The subject with these bytes, as an adapter read them.
    ///
    /// # Errors
    ///
    /// [`InvalidSubject`] for bytes that [`Subject::new`] cannot have made.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidSubject> {
        let (realm, name) = split(bytes).ok_or(InvalidSubject)?;
        if !Realm::accepts(realm) || !is_name(name) {
            return Err(InvalidSubject);
        }
        Ok(Self(bytes.into()))
    }

    /// The bytes that adapters store, index and compare.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The realm of the user.
    #[must_use]
    pub fn realm(&self) -> &str {
        split(&self.0).map_or("", |(realm, _)| realm)
    }

    /// The name of the user within the realm.
    #[must_use]
    pub fn name(&self) -> &str {
        split(&self.0).map_or("", |(_, name)| name)
    }
}

fn is_name(name: &str) -> bool {
    (1..=Subject::MAX_NAME_LEN).contains(&name.len()) && !name.contains('\0')
}

fn split(bytes: &[u8]) -> Option<(&str, &str)> {
    let (length, rest) = bytes.split_first()?;
    let (realm, name) = rest.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(realm).ok()?, std::str::from_utf8(name).ok()?))
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("realm", &self.realm()).finish_non_exhaustive()
    }
}

/// Not a subject: empty, more than 191 bytes, not UTF-8, or with a NUL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a subject name has 1 to 191 bytes of UTF-8 and no NUL")]
pub struct InvalidSubject;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realms_cannot_be_shifted_into_names() {
        let tenant = Realm::new("ab").unwrap();
        let other = Realm::new("a").unwrap();
        assert_ne!(Subject::new(&tenant, "c").unwrap(), Subject::new(&other, "bc").unwrap());
    }

    #[test]
    fn bytes_round_trip_and_foreign_bytes_are_refused() {
        let realm = Realm::new("tenant").unwrap();
        for name in ["a", "é", "e\u{301}", ":{}*", "\u{1f600}", &"x".repeat(191)] {
            let subject = Subject::new(&realm, name).unwrap();
            assert_eq!(Subject::from_bytes(subject.as_bytes()).unwrap(), subject);
            assert_eq!((subject.realm(), subject.name()), ("tenant", name));
        }
        for bytes in [&b""[..], b"\0", b"\x05ab", b"\0a\0b", b"\0\xff", &[0; 300], &[64; 200]] {
            assert_eq!(Subject::from_bytes(bytes), Err(InvalidSubject));
        }
    }

    #[test]
    fn limits_hold_on_both_sides() {
        let realm = Realm::new(&"r".repeat(63)).unwrap();
        assert_eq!(Realm::new(&"r".repeat(64)), Err(InvalidRealm));
        let longest = Subject::new(&realm, &"n".repeat(191)).unwrap();
        assert_eq!(longest.as_bytes().len(), Subject::MAX_LEN);
        assert_eq!(Subject::new(&realm, &"n".repeat(192)), Err(InvalidSubject));
        assert_eq!(Subject::new(&realm, "a\0b"), Err(InvalidSubject));
    }

    #[test]
    fn debug_hides_the_name() {
        let subject = Subject::new(&Realm::default(), "alice@example.org").unwrap();
        assert!(!format!("{subject:?}").contains("alice"));
    }
}
