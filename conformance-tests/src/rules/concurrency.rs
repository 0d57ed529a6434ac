//! Chapter "Concurrency".

use std::sync::Arc;

use futures_util::future::try_join_all;
use session_core::{
    CreateOutcome, Record, SessionStore, StoreError, Subject, Timestamp, UpdateOutcome,
};

pub(crate) use super::dropped::dropped_calls_keep_no_connection;
use super::subject_index::lists;
use crate::cx::{Cx, index_of, list_all, same};
use crate::history::{Client, Sent};
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
    let (recorder, _, clients) = Client::each(Sent::Once, handles, &mut rng, &subject, base);
    let operations = clients.into_iter().map(|mut client| async move {
        for _ in 0..OPERATIONS {
            client.operate().await?;
        }
        Ok::<_, StoreError>(())
    });
    for ended in race(operations).await? {
        ended?;
    }
    recorder.expect_an_order(base)
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
