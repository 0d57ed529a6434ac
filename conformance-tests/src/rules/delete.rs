//! Chapter "Delete".

use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Record, Revision, SessionStore, StoreError, Timestamp, TouchOutcome, UpdateOutcome,
};

use crate::cx::Cx;
use crate::race::race;
use crate::rng::Rng;
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

pub(crate) async fn live_record_is_deleted_once(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    for record in [
        cx.fresh().record(),
        cx.fresh().full(&alice).record(),
        cx.fresh().expires_at(Timestamp::MAX).deadline(Timestamp::MAX).record(),
    ] {
        cx.create(&record).await?;
        ensure!(cx.other().delete(record.id(), cx.now()).await?, "the first delete is `true`");
        for handle in cx.both() {
            let again = handle.delete(record.id(), cx.now()).await?;
            ensure!(!again, "every further delete is `false`");
        }
        cx.expect_none(record.id()).await?;
    }
    cx.expect_rows(0).await
}

pub(crate) async fn unknown_id_is_false(cx: &Cx) -> Checked {
    let bystander = cx.fresh().record();
    cx.create(&bystander).await?;
    for _ in 0..5 {
        let id = cx.id();
        for handle in cx.both() {
            for _ in 0..3 {
                ensure!(!handle.delete(&id, cx.now()).await?, "deleting an unknown id is `false`");
            }
        }
    }
    cx.expect(&bystander).await?;
    cx.expect_rows(1).await
}

pub(crate) async fn session_is_gone_on_every_handle(cx: &Cx) -> Checked {
    let handles = cx.handles(4).await?;
    let alice = cx.subject("alice")?;
    for deleter in &handles {
        let record = cx.fresh().full(&alice).record();
        cx.create(&record).await?;
        // Every handle has seen it before.
        for handle in &handles {
            ensure!(handle.load(record.id(), cx.now()).await?.is_some(), "the record is there");
        }
        ensure!(deleter.delete(record.id(), cx.now()).await?, "deleting a live record is `true`");
        for handle in &handles {
            ensure!(handle.load(record.id(), cx.now()).await?.is_none(), "the record is gone");
        }
        if cx.store().subject_index().is_some() {
            cx.expect_list(&alice, &[]).await?;
        }
    }
    cx.expect_rows(0).await
}

pub(crate) async fn over_record_is_false_and_gone(cx: &Cx) -> Checked {
    let by_idle = cx.fresh().idle(1_000).record();
    let by_deadline = cx.fresh().absolute(1_000).record();
    for record in [&by_idle, &by_deadline] {
        cx.create(record).await?;
    }
    cx.advance(1_000);
    for record in [&by_idle, &by_deadline] {
        ensure!(
            !cx.other().delete(record.id(), cx.now()).await?,
            "deleting a record that is over is `false`"
        );
        cx.expect_none(record.id()).await?;
        // Gone also for a server whose clock is behind.
        let before = record.ends_at().minus(Duration::from_millis(1));
        cx.expect_none_at(record.id(), before).await?;
        let fresh = cx.fresh().id(*record.id()).record();
        cx.create(&fresh).await?;
        cx.expect(&fresh).await?;
    }
    cx.expect_rows(2).await
}

pub(crate) async fn nothing_brings_it_back(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let record = cx.fresh().full(&alice).record();
    cx.create(&record).await?;
    // What a slow request had in its hands before the logout.
    let whole = record.change(cx.revision()).payload("late").expires_at(cx.after(7_200_000));
    let nothing_but_time = record.change(cx.revision()).expires_at(cx.after(7_200_000));
    let rotation = record.change(cx.revision()).rotate(cx.hash(), cx.after(30_000));
    let login = record.change(cx.revision()).login(alice.clone(), cx.after(90_000_000));
    let login = login.map_err(|error| Stop::failed(error.to_string()))?;
    ensure!(cx.store().delete(record.id(), cx.now()).await?, "deleting a live record is `true`");
    for handle in cx.both() {
        for change in [&whole, &nothing_but_time, &rotation, &login] {
            let answer = handle.update(change, cx.now()).await?;
            ensure_eq!(answer, UpdateOutcome::Missing, "updating after a delete");
            cx.expect_none(record.id()).await?;
        }
        let answer = handle.touch(record.id(), cx.after(7_200_000), cx.now()).await?;
        ensure_eq!(answer, TouchOutcome::Missing, "touching after a delete");
        cx.expect_none(record.id()).await?;
    }
    if cx.store().subject_index().is_some() {
        cx.expect_list(&alice, &[]).await?;
    }
    if let Some(inspect) = cx.store().inspect() {
        let page = inspect.scan(&session_core::PageRequest::first(100), cx.now()).await?;
        ensure!(page.items.is_empty(), "a scan sees something of a deleted session");
    }
    cx.expect_rows(0).await
}

pub(crate) async fn concurrent_deletes_have_one_winner(cx: &Cx) -> Checked {
    let handles = cx.handles(4).await?;
    for round in 0..cx.rounds(40) {
        let record = cx.fresh().record();
        cx.create(&record).await?;
        let now = cx.now();
        let answers = race(handles.iter().cycle().take(16).map(|handle| {
            let (handle, id) = (Arc::clone(handle), *record.id());
            async move { handle.delete(&id, now).await }
        }))
        .await?;
        let mut winners = 0;
        for answer in answers {
            winners += usize::from(answer?);
        }
        ensure_eq!(winners, 1, "round {round}: deletes that answered `true`");
        cx.expect_none(record.id()).await?;
    }
    Ok(())
}

pub(crate) async fn delete_wins_over_writers(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let handles = cx.handles(4).await?;
    for round in 0..cx.rounds(40) {
        let record =
            if round % 2 == 0 { cx.fresh().record() } else { cx.fresh().full(&alice).record() };
        cx.create(&record).await?;
        let now = cx.now();
        let until = cx.after(7_200_000);
        let contenders = handles.iter().cycle().take(16).enumerate().map(|(place, handle)| {
            let (handle, record, rng) = (Arc::clone(handle), record.clone(), cx.rng());
            async move {
                match place {
                    0 => handle.delete(record.id(), now).await.map(usize::from),
                    1..=8 => write_on(&*handle, record, rng, until, now).await.map(|()| 0),
                    _ => touch_on(&*handle, &record, until, now).await.map(|()| 0),
                }
            }
        });
        let mut deleted = 0;
        for answer in race(contenders).await? {
            deleted += answer?;
        }
        ensure_eq!(deleted, 1, "round {round}: the delete found the live record");
        cx.expect_none(record.id()).await?;
        let answer = cx.other().touch(record.id(), until, now).await?;
        ensure_eq!(answer, TouchOutcome::Missing, "touching after a delete");
    }
    if cx.store().subject_index().is_some() {
        cx.expect_list(&alice, &[]).await?;
    }
    cx.expect_rows(0).await
}

/// How often a writer goes on without hearing that the record is missing.
const MOST_WRITES: usize = 400;

/// Updates again and again, from what is stored, until the record is missing.
async fn write_on(
    store: &dyn SessionStore,
    mut seen: Record,
    mut rng: Rng,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    for _ in 0..MOST_WRITES {
        let change = seen.change(Revision::from_bytes(rng.bytes())).expires_at(until).payload("w");
        match store.update(&change, now).await? {
            UpdateOutcome::Updated => seen = change.record().clone(),
            UpdateOutcome::Conflict => match store.load(seen.id(), now).await? {
                Some(newer) => seen = newer,
                None => return Ok(()),
            },
            UpdateOutcome::Missing => return Ok(()),
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Touches again and again until the record is missing.
async fn touch_on(
    store: &dyn SessionStore,
    record: &Record,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    for _ in 0..MOST_WRITES {
        if store.touch(record.id(), until, now).await? == TouchOutcome::Missing {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}
