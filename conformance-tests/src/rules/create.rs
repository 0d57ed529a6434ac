//! Chapter "Create".

use std::sync::Arc;

use session_core::{
    CreateOutcome, MAX_PAYLOAD_LEN, SessionStore, StoreErrorKind, Timestamp, TouchOutcome,
    UpdateOutcome,
};

use crate::cx::Cx;
use crate::fresh::BEYOND_BACKENDS;
use crate::race::race;
use crate::verdict::{Checked, ensure, ensure_eq, ensure_error};

pub(crate) async fn created_record_is_loaded(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let plain = cx.fresh().record();
    let full = cx.fresh().full(&alice).record();
    for record in [&plain, &full] {
        cx.create(record).await?;
    }
    for record in [&plain, &full] {
        cx.expect(record).await?;
    }
    cx.expect_rows(2).await
}

pub(crate) async fn live_id_is_refused(cx: &Cx) -> Checked {
    let (alice, mallory) = (cx.subject("alice")?, cx.subject("mallory")?);
    for stored in [cx.fresh().record(), cx.fresh().full(&alice).record()] {
        cx.create(&stored).await?;
        let rival = cx.fresh().id(*stored.id()).full(&mallory).idle(7_200_000).record();
        for handle in cx.both() {
            let answer = handle.create(&rival, cx.now()).await?;
            ensure_eq!(answer, CreateOutcome::Exists, "creating under the id of a live record");
            let answer = handle.create(&stored, cx.now()).await?;
            ensure_eq!(answer, CreateOutcome::Exists, "creating the very same record again");
        }
        cx.expect(&stored).await?;
        if cx.store().subject_index().is_some() {
            cx.expect_list(&mallory, &[]).await?;
        }
    }
    Ok(())
}

pub(crate) async fn over_id_gives_no_old_data(cx: &Cx) -> Checked {
    let (alice, bob) = (cx.subject("alice")?, cx.subject("bob")?);
    let by_idle = cx.fresh().full(&alice).idle(1_000).record();
    let by_deadline = cx.fresh().full(&alice).absolute(1_000).record();
    for old in [&by_idle, &by_deadline] {
        cx.create(old).await?;
    }
    cx.advance(1_000);
    for (old, new) in [
        (&by_idle, cx.fresh().id(*by_idle.id()).record()),
        (&by_deadline, cx.fresh().id(*by_deadline.id()).full(&bob).record()),
    ] {
        match cx.other().create(&new, cx.now()).await? {
            CreateOutcome::Created => cx.expect(&new).await?,
            CreateOutcome::Exists => cx.expect_none(old.id()).await?,
        }
    }
    if cx.store().subject_index().is_some() {
        cx.expect_list(&alice, &[]).await?;
    }
    Ok(())
}

pub(crate) async fn deleted_id_is_free(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let old = cx.fresh().full(&alice).record();
    cx.create(&old).await?;
    ensure!(cx.other().delete(old.id(), cx.now()).await?, "deleting a live record is `true`");
    let new = cx.fresh().id(*old.id()).record();
    cx.create(&new).await?;
    cx.expect(&new).await?;
    if cx.store().subject_index().is_some() {
        cx.expect_list(&alice, &[]).await?;
    }
    Ok(())
}

pub(crate) async fn past_end_is_accepted_and_never_visible(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let now = cx.now();
    for record in [
        cx.fresh().subject(&alice).idle(0).record(),
        cx.fresh().subject(&alice).absolute(0).record(),
        cx.fresh().expires_at(now.minus(std::time::Duration::from_secs(86_400))).record(),
        cx.fresh().subject(&alice).expires_at(Timestamp::MIN).record(),
        cx.fresh().deadline(Timestamp::MIN).expires_at(Timestamp::MAX).record(),
    ] {
        cx.create(&record).await?;
        cx.expect_none(record.id()).await?;
        let touch = cx.other().touch(record.id(), cx.after(1_000), now).await?;
        ensure_eq!(touch, TouchOutcome::Missing, "touching a record that was over when created");
        let change = record.change(cx.revision()).expires_at(cx.after(1_000));
        let update = cx.other().update(&change, now).await?;
        ensure_eq!(update, UpdateOutcome::Missing, "updating a record that was over when created");
        cx.expect_none(record.id()).await?;
    }
    if cx.store().subject_index().is_some() {
        cx.expect_list(&alice, &[]).await?;
    }
    Ok(())
}

pub(crate) async fn concurrent_creates_have_one_winner(cx: &Cx) -> Checked {
    let handles = cx.handles(4).await?;
    for round in 0..cx.rounds(40) {
        let id = cx.id();
        let rivals: Vec<_> = (0..16).map(|_| cx.fresh().id(id).record()).collect();
        let now = cx.now();
        let answers = race(rivals.iter().zip(handles.iter().cycle()).map(|(rival, handle)| {
            let (rival, handle) = (rival.clone(), Arc::clone(handle));
            async move { handle.create(&rival, now).await }
        }))
        .await?;
        let mut winners = Vec::new();
        for (answer, rival) in answers.into_iter().zip(&rivals) {
            if answer? == CreateOutcome::Created {
                winners.push(rival);
            }
        }
        ensure_eq!(winners.len(), 1, "round {round}: creates that answered `Created`");
        cx.expect(winners[0]).await?;
        ensure!(cx.store().delete(&id, now).await?, "deleting the one record is `true`");
        cx.expect_none(&id).await?;
    }
    cx.expect_rows(0).await
}

pub(crate) async fn payload_limit_is_exact(cx: &Cx) -> Checked {
    let mut payload = vec![0; MAX_PAYLOAD_LEN];
    cx.rng().fill(&mut payload);
    let largest = cx.fresh().payload(payload.clone()).record();
    cx.create(&largest).await?;
    cx.expect(&largest).await?;

    payload.push(0xff);
    let alice = cx.subject("alice")?;
    for payload in [payload, vec![0; BEYOND_BACKENDS]] {
        let length = payload.len();
        let too_large = cx.fresh().subject(&alice).payload(payload).record();
        for handle in cx.both() {
            let answer = handle.create(&too_large, cx.now()).await;
            ensure_error!(answer, StoreErrorKind::TooLarge, "creating with {length} bytes");
        }
        cx.expect_none(too_large.id()).await?;
    }
    cx.expect_rows(1).await
}
