//! Chapter "Concurrency".

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use session_core::{
    CreateOutcome, Record, Revision, SessionId, SessionStore, StoreError, Subject, Timestamp,
    UpdateOutcome,
};

pub(crate) use super::dropped::dropped_calls_keep_no_connection;
use super::subject_index::lists;
use crate::cx::{Cx, index_of, list_all, same};
use crate::fresh::{Fresh, random_id};
use crate::history::{Recorder, check, render};
use crate::race::{poll_at_most, race};
use crate::rng::Rng;
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

/// Histories in a run, clients in a history, operations of a client.
const HISTORIES: usize = 300;
const CLIENTS: usize = 5;
const OPERATIONS: usize = 8;
/// Histories that are made at the same time.
const AT_ONCE: usize = 12;

pub(crate) async fn histories_are_linearizable(cx: &Cx) -> Checked {
    let handles = cx.handles(CLIENTS).await?;
    let subject = cx.subject("alice")?;
    let base = cx.now();
    for _ in 0..cx.rounds(HISTORIES / AT_ONCE) {
        let histories =
            (0..AT_ONCE).map(|_| one_history(&handles, cx.rng(), subject.clone(), base));
        try_join_all(histories).await?;
    }
    Ok(())
}

/// Lets all clients loose on a new id, then looks for an order of what they saw.
async fn one_history(
    handles: &[Arc<dyn SessionStore>],
    mut rng: Rng,
    subject: Subject,
    base: Timestamp,
) -> Checked {
    let recorder = Recorder::new();
    let id = random_id(&mut rng);
    let clients = handles.iter().enumerate().map(|(number, handle)| {
        let client = Client {
            number,
            store: Arc::clone(handle),
            recorder: Arc::clone(&recorder),
            rng: rng.fork(),
            id,
            subject: subject.clone(),
            base,
            seen: None,
        };
        client.run()
    });
    for ended in race(clients).await? {
        ended?;
    }
    let history = recorder.history();
    check(&history).map_err(|stuck| {
        let timeline = render(&history, &stuck, base.as_millis());
        Stop::failed(format!("no order explains this history\n{timeline}"))
    })
}

/// One of several that use the same session at the same time.
struct Client {
    number: usize,
    store: Arc<dyn SessionStore>,
    recorder: Arc<Recorder>,
    rng: Rng,
    id: SessionId,
    subject: Subject,
    base: Timestamp,
    /// The record as this client saw it last; it may be long out of date.
    seen: Option<Record>,
}

impl Client {
    async fn run(mut self) -> Result<(), StoreError> {
        for _ in 0..OPERATIONS {
            // A store that answers without waiting would else see one client after the other.
            if self.rng.one_in(2) {
                tokio::task::yield_now().await;
            }
            self.operate().await?;
        }
        Ok(())
    }

    async fn operate(&mut self) -> Result<(), StoreError> {
        // Clocks and lives are close enough together that no store may have reclaimed anything.
        let now = self.rng.pick(&[0, 0, 0, 30_000, 50_000]);
        let now = self.base.plus(Duration::from_millis(now));
        match (self.rng.below(100), self.seen.take()) {
            (0..18, seen) => {
                let record = self.fresh();
                self.recorder.create(self.number, &*self.store, &record, now).await?;
                self.seen = Some(if self.rng.one_in(4) { seen.unwrap_or(record) } else { record });
            }
            (18..55, Some(seen)) => {
                let change = seen.change(Revision::from_bytes(self.rng.bytes()));
                let mut change = change
                    .payload(format!("by {}: {}", self.number, self.rng.next()))
                    .expires_at(self.later());
                if self.rng.one_in(4) {
                    let until = self.later();
                    change = change
                        .login(self.subject.clone(), until)
                        .unwrap_or_else(|_| seen.change(Revision::from_bytes(self.rng.bytes())));
                }
                self.recorder.update(self.number, &*self.store, &change, now).await?;
                let keep = self.rng.one_in(3);
                self.seen = Some(if keep { seen } else { change.record().clone() });
            }
            (55..68, seen) => {
                let until = self.later();
                self.recorder.touch(self.number, &*self.store, &self.id, until, now).await?;
                self.seen = seen;
            }
            (68..82, seen) => {
                self.recorder.delete(self.number, &*self.store, &self.id, now).await?;
                self.seen = seen;
            }
            (_, seen) => {
                let found = self.recorder.load(self.number, &*self.store, &self.id, now).await?;
                self.seen = found.or(seen);
            }
        }
        Ok(())
    }

    fn fresh(&mut self) -> Record {
        let fresh = Fresh::new(self.rng.fork(), self.base).id(self.id);
        fresh.expires_at(self.later()).deadline(self.later()).record()
    }

    fn later(&mut self) -> Timestamp {
        let millis = self.rng.pick(&[20_000, 40_000, 60_000]);
        self.base.plus(Duration::from_millis(millis))
    }
}

/// More polls than any call needs.
const MOST_POLLS: u32 = 1_000;

pub(crate) async fn dropped_calls_leave_order(cx: &Cx) -> Checked {
    dropped_creates(cx).await?;
    dropped_updates(cx).await?;
    dropped_touches_and_deletes(cx).await?;
    if cx.store().subject_index().is_some() {
        dropped_delete_all(cx).await?;
    }
    // Whatever was dropped, the same handle goes on as if nothing had been.
    for _ in 0..20 {
        let record = cx.fresh().record();
        cx.create(&record).await?;
        let change = record.change(cx.revision()).payload("as ever");
        let answer = cx.store().update(&change, cx.now()).await?;
        ensure_eq!(answer, UpdateOutcome::Updated, "updating after many dropped calls");
        cx.expect(change.record()).await?;
        ensure!(cx.store().delete(record.id(), cx.now()).await?, "deleting after dropped calls");
    }
    Ok(())
}

async fn dropped_creates(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    for polls in 0..MOST_POLLS {
        let record = cx.fresh().full(&alice).record();
        let ended = poll_at_most(cx.store().create(&record, cx.now()), polls).await;
        if let Some(seen) = cx.other().load(record.id(), cx.now()).await? {
            same(&seen, &record, "after a dropped create")?;
            if cx.other().subject_index().is_some() {
                let listed = lists(cx.other(), &alice, &record, cx.now()).await?;
                ensure!(listed, "a dropped create left a session that is not listed");
            }
        }
        if let Some(answer) = ended {
            ensure_eq!(answer?, CreateOutcome::Created, "the create that was left alone");
            return cx.expect(&record).await;
        }
    }
    Err(Stop::failed(format!("a create was not ready after {MOST_POLLS} polls")))
}

async fn dropped_updates(cx: &Cx) -> Checked {
    let bob = cx.subject("bob")?;
    for polls in 0..MOST_POLLS {
        let record = cx.fresh().record();
        cx.create(&record).await?;
        let change = record.change(cx.revision()).payload("new").rotate(cx.hash(), cx.now());
        let login = change.login(bob.clone(), cx.after(50_000_000));
        let login = login.map_err(|error| Stop::failed(error.to_string()))?;
        let ended = poll_at_most(cx.store().update(&login, cx.now()), polls).await;
        let seen = cx.other().load(record.id(), cx.now()).await?;
        let seen = seen.ok_or_else(|| Stop::failed("a dropped update lost the record"))?;
        if seen.revision() == record.revision() {
            same(&seen, &record, "after a dropped update that was not applied")?;
        } else {
            same(&seen, login.record(), "after a dropped update that was applied")?;
            if cx.other().subject_index().is_some() {
                let listed = lists(cx.other(), &bob, &record, cx.now()).await?;
                ensure!(listed, "a dropped login left a session that is not listed");
            }
        }
        // Sent again, it is applied, or finds its own revision.
        let again = cx.store().update(&login, cx.now()).await?;
        ensure_eq!(again, UpdateOutcome::Updated, "the dropped update sent again");
        cx.expect(login.record()).await?;
        if ended.is_some() {
            return Ok(());
        }
    }
    Err(Stop::failed(format!("an update was not ready after {MOST_POLLS} polls")))
}

async fn dropped_touches_and_deletes(cx: &Cx) -> Checked {
    for polls in 0..MOST_POLLS {
        let record = cx.fresh().record();
        cx.create(&record).await?;
        let until = cx.after(7_200_000);
        let touched =
            poll_at_most(cx.store().touch(record.id(), until, cx.now()), polls).await.is_some();
        let seen = cx.other().load(record.id(), cx.now()).await?;
        let seen = seen.ok_or_else(|| Stop::failed("a dropped touch lost the record"))?;
        let mut expected = record.clone().into_parts();
        if seen.expires_at() != record.expires_at() {
            expected.expires_at = until;
        }
        same(&seen, &Record::from_parts(expected), "after a dropped touch")?;

        let deleted = poll_at_most(cx.store().delete(record.id(), cx.now()), polls).await;
        if let Some(seen) = cx.other().load(record.id(), cx.now()).await? {
            ensure!(deleted.is_none(), "a delete that returned left the record");
            ensure_eq!(seen.revision(), record.revision(), "after a dropped delete");
        }
        cx.other().delete(record.id(), cx.now()).await?;
        cx.expect_none(record.id()).await?;
        let loaded = poll_at_most(cx.store().load(record.id(), cx.now()), polls).await.is_some();
        if touched && deleted.is_some() && loaded {
            return Ok(());
        }
    }
    Err(Stop::failed(format!("a touch or delete was not ready after {MOST_POLLS} polls")))
}

async fn dropped_delete_all(cx: &Cx) -> Checked {
    for polls in 0..MOST_POLLS {
        let carol = cx.subject(&format!("carol {polls}"))?;
        let records: Vec<_> = (0..5).map(|_| cx.fresh().subject(&carol).record()).collect();
        cx.create_all(&records).await?;
        let index = index_of(cx.store())?;
        let ended = poll_at_most(index.delete_all(&carol, None, cx.now()), polls).await;
        // The list first: what is live afterwards was live then, so it had to be listed.
        let listed = list_all(cx.other(), &carol, 100, cx.now()).await?;
        for record in &records {
            if let Some(seen) = cx.other().load(record.id(), cx.now()).await? {
                same(&seen, record, "after a dropped `delete_all`")?;
                let listed = listed.iter().any(|summary| summary.id == *record.id());
                ensure!(listed, "a dropped `delete_all` left a session that is not listed");
                ensure!(ended.is_none(), "a `delete_all` that returned left a session");
            }
        }
        index_of(cx.other())?.delete_all(&carol, None, cx.now()).await?;
        for record in &records {
            cx.expect_none(record.id()).await?;
        }
        if let Some(answer) = ended {
            ensure_eq!(answer?, 5, "sessions deleted by the call that was left alone");
            return Ok(());
        }
    }
    Err(Stop::failed(format!("`delete_all` was not ready after {MOST_POLLS} polls")))
}
