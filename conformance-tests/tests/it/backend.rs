//! What the broken stores keep, and the way in to it.

use std::collections::{BTreeMap, HashMap, HashSet, btree_map};
use std::sync::{Arc, Mutex};

use conformance_tests::{Fixture, Profile, Space};
use session_core::{Record, SessionId, Subject, Timestamp};

use crate::defects::Defect;
use crate::store::TestStore;

/// Namespace and id; the order is that of pages.
pub(crate) type Key = (String, SessionId);

#[derive(Clone)]
pub(crate) enum Row {
    Good(Record),
    Rubbish(Option<Subject>),
}

#[derive(Default)]
pub(crate) struct Data {
    pub(crate) rows: BTreeMap<Key, Row>,
    pub(crate) deleted: HashSet<Key>,
    pub(crate) updated: HashSet<Key>,
    /// Rows that are no records, under names of their own.
    pub(crate) leftovers: HashSet<Key>,
    pub(crate) entries: HashMap<(String, Subject), Vec<SessionId>>,
    pub(crate) first_deadlines: HashMap<Key, Timestamp>,
}

impl Data {
    /// The rows of the namespaces from this one on.
    pub(crate) fn rows_from(&self, name: &str) -> btree_map::Range<'_, Key, Row> {
        let mut first = [0; SessionId::LEN];
        first[SessionId::LEN - 1] = 1;
        self.rows.range((name.to_owned(), SessionId::from_bytes(first).unwrap())..)
    }
}

/// All namespaces, and the one thing that is wrong with the store.
pub(crate) struct Backend {
    data: Arc<Mutex<Data>>,
    defect: Option<Defect>,
}

impl Backend {
    pub(crate) fn new(defect: Option<Defect>) -> Self {
        Self { data: Arc::default(), defect }
    }
}

impl Fixture for Backend {
    type Store = TestStore;
    const PROFILE: Profile = Profile::new("the store of these tests");

    async fn start() -> conformance_tests::Result<Self> {
        Ok(Self::new(None))
    }

    async fn open(&self, space: &Space) -> conformance_tests::Result<TestStore> {
        let data = match self.defect {
            Some(Defect::HandlesAreApart) => Arc::default(),
            _ => Arc::clone(&self.data),
        };
        Ok(TestStore::new(data, space.name(), self.defect))
    }

    async fn open_narrow(&self, space: &Space) -> conformance_tests::Result<TestStore> {
        Ok(self.open(space).await?.narrow())
    }

    async fn physical_rows(&self, space: &Space) -> conformance_tests::Result<Option<u64>> {
        let data = self.data.lock().unwrap();
        let rows = data.rows_from(space.name()).take_while(|((name, _), _)| name == space.name());
        let leftovers = data.leftovers.iter().filter(|(name, _)| name == space.name());
        let rows = rows.count() + leftovers.count();
        Ok((self.defect != Some(Defect::HandlesAreApart)).then_some(rows as u64))
    }

    async fn corrupt(
        &self,
        space: &Space,
        id: &SessionId,
    ) -> conformance_tests::Result<Option<()>> {
        let mut data = self.data.lock().unwrap();
        if let Some(row) = data.rows.get_mut(&(space.name().to_owned(), *id)) {
            let subject = match row {
                Row::Good(record) => record.subject().cloned(),
                Row::Rubbish(subject) => subject.clone(),
            };
            *row = Row::Rubbish(subject);
        }
        Ok(Some(()))
    }

    async fn stored(&self, space: &Space) -> conformance_tests::Result<Option<Vec<Vec<u8>>>> {
        let data = self.data.lock().unwrap();
        let mut blobs = Vec::new();
        let rows = data.rows_from(space.name()).take_while(|((name, _), _)| name == space.name());
        for ((_, id), row) in rows {
            let Row::Good(record) = row else { continue };
            blobs.push(id.as_bytes().to_vec());
            if self.defect != Some(Defect::DumpHasOnlyKeys) {
                blobs.push(record.secret_hash().as_bytes().to_vec());
                blobs.push(record.payload().to_vec());
            }
        }
        Ok((self.defect != Some(Defect::HandlesAreApart)).then_some(blobs))
    }
}
