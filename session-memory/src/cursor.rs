//! Where a walk goes on.

use std::hash::BuildHasher;

use session_core::{Cursor, SessionId, StoreError, StoreErrorKind, Subject};

use crate::primitives::HashKeys;

const TAG_LEN: usize = 8;

/// Makes and reads the cursors of one kind of walk.
///
/// A cursor is the last id, followed by a keyed hash of the id and of what is walked over. So a cursor of
/// another store, of another walk or of another subject is refused, as is anything made up.
pub(crate) struct Cursors<'a> {
    keys: &'a HashKeys,
    walk: Option<&'a Subject>,
}

impl<'a> Cursors<'a> {
    /// Of the walk over the sessions of `subject`.
    pub(crate) const fn of_subject(keys: &'a HashKeys, subject: &'a Subject) -> Self {
        Self { keys, walk: Some(subject) }
    }

    /// Of the walk over everything.
    pub(crate) const fn of_everything(keys: &'a HashKeys) -> Self {
        Self { keys, walk: None }
    }

    pub(crate) fn after(&self, id: &SessionId) -> Cursor {
        let bytes = [&id.as_bytes()[..], &self.tag(id)].concat();
        Cursor::from_bytes(&bytes).expect("24 bytes are a cursor")
    }

    /// The id after which the walk goes on, `None` without a cursor.
    pub(crate) fn read(&self, cursor: Option<&Cursor>) -> Result<Option<SessionId>, StoreError> {
        cursor
            .map(|cursor| {
                self.id_of(cursor.as_bytes())
                    .ok_or_else(|| StoreError::new(StoreErrorKind::InvalidCursor, "page"))
            })
            .transpose()
    }

    fn id_of(&self, bytes: &[u8]) -> Option<SessionId> {
        let (id, tag) = bytes.split_at_checked(SessionId::LEN)?;
        let id = SessionId::try_from(id).ok()?;
        (self.tag(&id) == *tag).then_some(id)
    }

    fn tag(&self, id: &SessionId) -> [u8; TAG_LEN] {
        self.keys.hash_one(("cursor", self.walk.map(Subject::as_bytes), id)).to_be_bytes()
    }
}
