//! Any `SessionStore` as a contestant.

use std::hint::black_box;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use session_core::{
    BoxError, Change, CreateOutcome, Record, SessionId, SessionStore, Timestamp, TouchOutcome,
    UpdateOutcome,
};

use crate::backend::{Batch, Contestant, Op, Standing};
use crate::payload;
use crate::sessions::{Source, Work};

/// A store with the payload that it gets to hold.
pub(crate) struct StoreContestant {
    name: String,
    standing: Standing,
    store: Arc<dyn SessionStore>,
    payload: Bytes,
    now: Timestamp,
}

impl Contestant for StoreContestant {
    fn name(&self) -> &str {
        &self.name
    }

    fn standing(&self) -> Standing {
        self.standing
    }

    fn prepare(&self, op: Op, works: &[Work]) -> Box<dyn Batch> {
        let ids = works.iter().map(|work| work.session.id);
        let calls = match op {
            Op::Load => Calls::Load(ids.collect()),
            Op::Delete => Calls::Delete(ids.collect()),
            Op::Create | Op::CreateWithSubject => Calls::Create(
                works
                    .iter()
                    .map(|work| work.session.record(self.now, payload::copy(&self.payload)))
                    .collect(),
            ),
            Op::Update => Calls::Update(works.iter().map(|work| self.change(work)).collect()),
            Op::Touch => Calls::Touch(ids.zip(works.iter().map(|work| work.expires_at)).collect()),
        };
        Box::new(StoreBatch { store: Arc::clone(&self.store), now: self.now, calls })
    }
}

impl StoreContestant {
    pub(crate) fn new(
        name: impl Into<String>,
        standing: Standing,
        store: impl SessionStore + 'static,
        payload: &Bytes,
    ) -> Result<Self, BoxError> {
        let (name, store, payload) = (name.into(), Arc::new(store), payload.clone());
        Ok(Self { name, standing, store, payload, now: Source::new(0)?.now })
    }

    fn change(&self, work: &Work) -> Change {
        let loaded = work.session.record(self.now, Bytes::new());
        loaded
            .change(work.next_revision)
            .payload(payload::changed(&self.payload, work.expires_at.as_millis()))
            .expires_at(work.expires_at)
    }
}

enum Calls {
    Load(Vec<SessionId>),
    Create(Vec<Record>),
    Update(Vec<Change>),
    Touch(Vec<(SessionId, Timestamp)>),
    Delete(Vec<SessionId>),
}

struct StoreBatch {
    store: Arc<dyn SessionStore>,
    now: Timestamp,
    calls: Calls,
}

#[async_trait]
impl Batch for StoreBatch {
    async fn run(&mut self) -> Result<(), BoxError> {
        let (store, now) = (&*self.store, self.now);
        match &self.calls {
            Calls::Load(ids) => {
                for id in ids {
                    black_box(store.load(id, now).await?.ok_or("a session is missing")?);
                }
            }
            Calls::Create(records) => {
                for record in records {
                    expect(store.create(record, now).await? == CreateOutcome::Created)?;
                }
            }
            Calls::Update(changes) => {
                for change in changes {
                    expect(store.update(change, now).await? == UpdateOutcome::Updated)?;
                }
            }
            Calls::Touch(touches) => {
                for (id, expires_at) in touches {
                    expect(store.touch(id, *expires_at, now).await? == TouchOutcome::Touched)?;
                }
            }
            Calls::Delete(ids) => {
                for id in ids {
                    expect(store.delete(id, now).await?)?;
                }
            }
        }
        Ok(())
    }
}

fn expect(done: bool) -> Result<(), BoxError> {
    if done { Ok(()) } else { Err("a store refused what it should have done".into()) }
}
