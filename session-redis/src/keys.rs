//! The names of keys.

use std::sync::Arc;

use session_core::{SessionId, StoreError, StoreErrorKind, Subject};

/// The namespace of a store: everything that it reads or writes begins with it.
///
/// | key | value |
/// |---|---|
/// | `<prefix>:s:<16 raw bytes of the id>` | the record, a string |
/// | `<prefix>:u:<bytes of the subject>` | the index of a subject, a sorted set |
/// | `<prefix>:w:<id or subject>` | a marker, only with replicas, for seconds |
#[derive(Debug, Clone)]
pub(crate) struct Prefix(Arc<str>);

impl Prefix {
    pub(crate) const DEFAULT: &str = "session";
    pub(crate) const MAX_LEN: usize = 63;

    /// No colon, so that no prefix continues another; no glob character, since `SCAN` matches by glob; no
    /// brace, since it would choose the slot in a cluster.
    pub(crate) fn new(prefix: &str) -> Result<Self, StoreError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
        if prefix.is_empty() || prefix.len() > Self::MAX_LEN || !prefix.bytes().all(allowed) {
            return Err(StoreError::new(
                StoreErrorKind::Config,
                "a prefix has 1 to 63 characters of a-z 0-9 _ . -",
            ));
        }
        Ok(Self(prefix.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn record(&self, id: &SessionId) -> Vec<u8> {
        self.key(b":s:", id.as_bytes())
    }

    pub(crate) fn index(&self, subject: &Subject) -> Vec<u8> {
        self.key(b":u:", subject.as_bytes())
    }

    pub(crate) fn marker(&self, name: &[u8]) -> Vec<u8> {
        self.key(b":w:", name)
    }

    /// Matches every record and no key of another kind. The prefix has nothing to escape.
    pub(crate) fn records_pattern(&self) -> String {
        format!("{}:s:*", self.0)
    }

    /// The id in the key of a record.
    pub(crate) fn id_in(&self, key: &[u8]) -> Option<SessionId> {
        let rest = key.strip_prefix(self.0.as_bytes())?.strip_prefix(b":s:")?;
        SessionId::try_from(rest).ok()
    }

    fn key(&self, kind: &[u8], name: &[u8]) -> Vec<u8> {
        [self.0.as_bytes(), kind, name].concat()
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_prefixes_are_accepted() {
        for good in ["session", "a", "shop-1.eu_west", &"x".repeat(63)] {
            assert!(Prefix::new(good).is_ok(), "{good}");
        }
        for bad in
            ["", "*", "a[b]", "a{b}", "a:b", "a?", "a\\", "A", "é", "a b", "a\0", &"x".repeat(64)]
        {
            assert_eq!(Prefix::new(bad).unwrap_err().kind(), StoreErrorKind::Config, "{bad}");
        }
    }

    #[test]
    fn keys_name_their_id_and_nothing_else() {
        let prefix = Prefix::new("p").unwrap();
        let id = SessionId::from_bytes([7; 16]).unwrap();
        assert_eq!(prefix.id_in(&prefix.record(&id)), Some(id));
        assert_eq!(Prefix::new("p.q").unwrap().id_in(&prefix.record(&id)), None);
        assert_eq!(prefix.id_in(&prefix.marker(id.as_bytes())), None);
        assert_eq!(prefix.id_in(b"p:s:short"), None);
        assert_eq!(prefix.id_in(&[b"p:s:".as_slice(), &[0; 16]].concat()), None);
    }
}
