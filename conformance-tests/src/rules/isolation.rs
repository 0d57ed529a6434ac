//! Chapter "Isolation".

use std::sync::Arc;

use session_core::{
    Count, CreateOutcome, Record, SessionStore, Subject, TouchOutcome, UpdateOutcome,
};

use crate::cx::{Cx, at_most, index_of, list_all, scan_all};
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

pub(crate) async fn namespaces_do_not_meet(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    // Names that begin alike are where prefixes and patterns go wrong.
    for suffix in ["0", "_", "_a"] {
        let twin = cx.open_in(&cx.twin(suffix)).await?;
        let here: Vec<_> = (0..4).map(|_| cx.fresh().subject(&alice).record()).collect();
        let there: Vec<_> =
            here.iter().map(|record| cx.fresh().id(*record.id()).full(&alice).record()).collect();
        cx.create_all(&here).await?;
        for record in &there {
            let answer = twin.create(record, cx.now()).await?;
            ensure_eq!(answer, CreateOutcome::Created, "the same id in another namespace");
        }
        let there = Twin { store: twin, records: there, subject: alice.clone() };
        for record in &here {
            cx.expect(record).await?;
        }
        there.untouched(cx, "create").await?;
        let change = here[0].change(cx.revision()).payload("changed");
        let answer = cx.store().update(&change, cx.now()).await?;
        ensure_eq!(answer, UpdateOutcome::Updated, "updating from the stored revision");
        there.untouched(cx, "update").await?;
        let foreign = there.records[1].change(cx.revision()).payload("foreign");
        let answer = cx.store().update(&foreign, cx.now()).await?;
        ensure_eq!(answer, UpdateOutcome::Conflict, "a revision of another namespace");
        let answer = cx.store().touch(here[0].id(), cx.after(9_000_000), cx.now()).await?;
        ensure_eq!(answer, TouchOutcome::Touched, "touching a live record");
        there.untouched(cx, "touch").await?;
        ensure!(cx.store().delete(here[0].id(), cx.now()).await?, "deleting a live record");
        there.untouched(cx, "delete").await?;
        if let Some(index) = cx.store().subject_index() {
            let one = index.delete_one(&alice, here[1].id(), cx.now()).await?;
            ensure!(one, "deleting one of the subject's sessions");
            let all = index.delete_all(&alice, None, cx.now()).await?;
            ensure_eq!(all, 2, "the sessions of the subject that were left");
            there.untouched(cx, "delete_all").await?;
        }
        if let Some(purge) = cx.store().purger() {
            let over = cx.fresh().id(*there.records[2].id()).idle(0).record();
            cx.store().delete(over.id(), cx.now()).await?;
            cx.create(&over).await?;
            purge.purge(at_most(1_000), cx.now()).await?;
            there.untouched(cx, "purge").await?;
        }
        for record in &here {
            cx.store().delete(record.id(), cx.now()).await?;
        }
        there.untouched(cx, "everything").await?;
        // And the other way round: nothing of theirs is seen from here.
        cx.expect_none(there.records[3].id()).await?;
        if cx.store().subject_index().is_some() {
            cx.expect_list(&alice, &[]).await?;
        }
        if cx.store().inspect().is_some() {
            let seen = scan_all(cx.store(), 10, cx.now()).await?.len();
            ensure_eq!(seen, 0, "sessions that are seen in the empty namespace");
        }
    }
    Ok(())
}

/// Another namespace, and what must be in it.
struct Twin {
    store: Arc<dyn SessionStore>,
    records: Vec<Record>,
    subject: Subject,
}

impl Twin {
    async fn untouched(&self, cx: &Cx, what: &str) -> Checked {
        let expected = self.records.len();
        for record in &self.records {
            let seen = self.store.load(record.id(), cx.now()).await?;
            ensure_eq!(seen.as_ref(), Some(record), "the other namespace after {what}");
        }
        if self.store.subject_index().is_some() {
            let seen = list_all(&self.store, &self.subject, 3, cx.now()).await?.len();
            ensure_eq!(seen, expected, "sessions of the subject there after {what}");
        }
        if let Some(inspect) = self.store.inspect() {
            let seen = scan_all(&self.store, 3, cx.now()).await?.len();
            ensure_eq!(seen, expected, "sessions in all there after {what}");
            if let Count::Exact(count) = inspect.count(cx.now()).await? {
                ensure_eq!(count, expected as u64, "the number there after {what}");
            }
        }
        Ok(())
    }
}

pub(crate) async fn two_handles_are_one_store(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let (one, two) = (cx.store(), cx.other());
    let record = cx.fresh().subject(&alice).idle(10_000).record();
    ensure_eq!(one.create(&record, cx.now()).await?, CreateOutcome::Created, "on the first handle");
    ensure_eq!(two.create(&record, cx.now()).await?, CreateOutcome::Exists, "on the second handle");
    let change = record.change(cx.revision()).payload("by the second");
    ensure_eq!(two.update(&change, cx.now()).await?, UpdateOutcome::Updated, "on the second");
    let stale = record.change(cx.revision()).payload("by the first");
    ensure_eq!(one.update(&stale, cx.now()).await?, UpdateOutcome::Conflict, "on the first");
    let until = cx.after(20_000);
    ensure_eq!(one.touch(record.id(), until, cx.now()).await?, TouchOutcome::Touched, "touch");
    let seen = two.load(record.id(), cx.after(19_999)).await?;
    let seen = seen.ok_or_else(|| Stop::failed("the touch is not seen by the other handle"))?;
    ensure_eq!(seen.payload().as_ref(), b"by the second", "the payload");
    if cx.store().subject_index().is_some() {
        let listed = index_of(two)?.delete_all(&alice, None, cx.now()).await?;
        ensure_eq!(listed, 1, "sessions that the second handle finds and deletes");
        ensure!(one.load(record.id(), cx.now()).await?.is_none(), "it is gone on the first");
        cx.create(&record).await?;
    }
    ensure!(two.delete(record.id(), cx.now()).await?, "the second handle deletes it");
    ensure!(!one.delete(record.id(), cx.now()).await?, "the first finds it gone");
    ensure_eq!(
        one.touch(record.id(), until, cx.now()).await?,
        TouchOutcome::Missing,
        "the first finds it gone"
    );
    cx.expect_rows(0).await
}

pub(crate) async fn records_outlive_their_handles(cx: &Cx) -> Checked {
    if cx.profile().is_volatile() {
        return Err(Stop::not_applicable("the records live in this process, by its profile"));
    }
    let alice = cx.subject("alice")?;
    let space = cx.twin("_kept");
    let records: Vec<Record> = (0..5).map(|_| cx.fresh().full(&alice).record()).collect();
    let first = cx.open_in(&space).await?;
    for record in &records {
        let answer = first.create(record, cx.now()).await?;
        ensure_eq!(answer, CreateOutcome::Created, "creating under a new id");
    }
    let change = records[0].change(cx.revision()).payload("changed");
    first.update(&change, cx.now()).await?;
    first.delete(records[1].id(), cx.now()).await?;
    drop(first);
    let second = cx.open_in(&space).await?;
    let seen = second.load(records[0].id(), cx.now()).await?;
    ensure_eq!(seen.as_ref(), Some(change.record()), "the updated record");
    ensure!(second.load(records[1].id(), cx.now()).await?.is_none(), "the deleted one is gone");
    for record in &records[2..] {
        let seen = second.load(record.id(), cx.now()).await?;
        ensure_eq!(seen.as_ref(), Some(record), "a record that was left alone");
    }
    if second.subject_index().is_some() {
        let listed = list_all(&second, &alice, 10, cx.now()).await?.len();
        ensure_eq!(listed, 4, "sessions of the subject");
    }
    Ok(())
}
