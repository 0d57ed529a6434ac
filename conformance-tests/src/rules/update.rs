//! Chapter "Update".

use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Authentication, Change, CredentialTag, MAX_PAYLOAD_LEN, Record, SessionStore, StoreErrorKind,
    TouchOutcome, UpdateOutcome,
};

use crate::cx::{Cx, at_most};
use crate::fresh::BEYOND_BACKENDS;
use crate::race::race;
use crate::verdict::{Checked, Stop, ensure, ensure_eq, ensure_error};

async fn stored(cx: &Cx) -> Checked<Record> {
    let record = cx.fresh().record();
    cx.create(&record).await?;
    Ok(record)
}

/// Applies the change on the second handle and answers with the new record.
async fn applied(cx: &Cx, change: Change) -> Checked<Record> {
    let answer = cx.other().update(&change, cx.now()).await?;
    ensure_eq!(answer, UpdateOutcome::Updated, "updating from the stored revision");
    Ok(change.record().clone())
}

pub(crate) async fn expected_revision_replaces_the_content(cx: &Cx) -> Checked {
    let record = stored(cx).await?;
    let first = applied(cx, record.change(cx.revision()).payload("first")).await?;
    cx.expect(&first).await?;
    let seen = cx.load(record.id()).await?.ok_or_else(|| Stop::failed("no record"))?;
    let second = applied(cx, seen.change(cx.revision()).payload("second")).await?;
    cx.expect(&second).await?;
    cx.expect_rows(1).await
}

pub(crate) async fn other_revision_conflicts(cx: &Cx) -> Checked {
    let record = stored(cx).await?;
    let stale = record.change(cx.revision()).payload("b=2").expires_at(cx.after(7_200_000));
    let current = applied(cx, record.change(cx.revision()).payload("a=1")).await?;
    let newer = applied(cx, current.change(cx.revision()).payload("a=3")).await?;
    // Behind by one and by two, and one that never was.
    let behind = current.change(cx.revision()).payload("c=4");
    let mut parts = newer.clone().into_parts();
    parts.revision = cx.revision();
    let unknown = Record::from_parts(parts).change(cx.revision()).payload("d=5");
    for change in [&stale, &behind, &unknown] {
        for handle in cx.both() {
            let answer = handle.update(change, cx.now()).await?;
            ensure_eq!(answer, UpdateOutcome::Conflict, "updating from another revision");
        }
        cx.expect(&newer).await?;
    }
    Ok(())
}

pub(crate) async fn unknown_id_is_missing(cx: &Cx) -> Checked {
    let never = cx.fresh().record();
    let deleted = stored(cx).await?;
    cx.store().delete(deleted.id(), cx.now()).await?;
    for record in [&never, &deleted] {
        for handle in cx.both() {
            let change = record.change(cx.revision()).payload("late");
            let answer = handle.update(&change, cx.now()).await?;
            ensure_eq!(answer, UpdateOutcome::Missing, "updating what is not there");
            cx.expect_none(record.id()).await?;
        }
    }
    if let Some(purge) = cx.store().purger() {
        let purged = cx.fresh().idle(1_000).record();
        cx.create(&purged).await?;
        let change = purged.change(cx.revision()).expires_at(cx.after(3_600_000));
        purge.purge(at_most(100), purged.ends_at()).await?;
        let answer = cx.other().update(&change, cx.now()).await?;
        ensure_eq!(answer, UpdateOutcome::Missing, "updating a purged record");
        cx.expect_none(purged.id()).await?;
    }
    // The index entry of a login that came too late leads nowhere.
    if cx.store().subject_index().is_some() {
        let alice = cx.subject("alice")?;
        let login = deleted.change(cx.revision()).login(alice.clone(), deleted.deadline());
        let login = login.map_err(|error| Stop::failed(error.to_string()))?;
        let answer = cx.store().update(&login, cx.now()).await?;
        ensure_eq!(answer, UpdateOutcome::Missing, "logging in what is not there");
        cx.expect_list(&alice, &[]).await?;
    }
    cx.expect_rows(0).await
}

pub(crate) async fn over_record_is_not_revived(cx: &Cx) -> Checked {
    let by_idle = cx.fresh().idle(1_000).record();
    let by_deadline = cx.fresh().absolute(1_000).record();
    for record in [&by_idle, &by_deadline] {
        cx.create(record).await?;
        cx.expect(record).await?;
    }
    cx.advance(1_000);
    for record in [&by_idle, &by_deadline] {
        for handle in cx.both() {
            let change = record.change(cx.revision()).expires_at(cx.after(3_600_000));
            let answer = handle.update(&change, cx.now()).await?;
            ensure_eq!(answer, UpdateOutcome::Missing, "updating a record that is over");
        }
        cx.expect_none(record.id()).await?;
        // Nor was it written for a server whose clock is behind.
        let before = record.ends_at().minus(Duration::from_millis(1));
        if let Some(seen) = cx.load_at(record.id(), before).await? {
            ensure_eq!(&seen, record, "a refused update left the record as it was");
        }
    }
    let alice = cx.subject("alice")?;
    let login = by_deadline.change(cx.revision()).login(alice, cx.after(3_600_000));
    let login = login.map_err(|error| Stop::failed(error.to_string()))?;
    let answer = cx.other().update(&login, cx.now()).await?;
    ensure_eq!(answer, UpdateOutcome::Missing, "logging in a session that is over");
    cx.expect_none(by_deadline.id()).await
}

pub(crate) async fn payload_shrinks_and_grows(cx: &Cx) -> Checked {
    let mut record = stored(cx).await?;
    for length in [0, 1, 100_000, 7, 4_096, 0, 65_536, 255, 256, 2] {
        let mut payload = vec![0; length];
        cx.rng().fill(&mut payload);
        record = applied(cx, record.change(cx.revision()).payload(payload)).await?;
        cx.expect(&record).await?;
    }
    Ok(())
}

pub(crate) async fn payload_limit_is_exact(cx: &Cx) -> Checked {
    let record = stored(cx).await?;
    let mut payload = vec![0; MAX_PAYLOAD_LEN];
    cx.rng().fill(&mut payload);
    let largest = applied(cx, record.change(cx.revision()).payload(payload.clone())).await?;
    cx.expect(&largest).await?;
    payload.push(0);
    for payload in [payload, vec![0; BEYOND_BACKENDS]] {
        let length = payload.len();
        for current in [&largest, &stored(cx).await?] {
            let change = current.change(cx.revision()).payload(payload.clone());
            for handle in cx.both() {
                let answer = handle.update(&change, cx.now()).await;
                ensure_error!(answer, StoreErrorKind::TooLarge, "updating with {length} bytes");
            }
            cx.expect(current).await?;
        }
    }
    Ok(())
}

pub(crate) async fn idle_deadline_never_moves_back(cx: &Cx) -> Checked {
    // A touch between load and update: the later of the two times holds, whichever it is.
    for (touched, given, holds) in [
        (5_000_000, 4_000_000, 5_000_000),
        (4_000_000, 5_000_000, 5_000_000),
        (5_000_000, 5_000_000, 5_000_000),
    ] {
        let record = stored(cx).await?;
        let change = record.change(cx.revision()).expires_at(cx.after(given)).payload("new");
        let answer = cx.other().touch(record.id(), cx.after(touched), cx.now()).await?;
        ensure_eq!(answer, TouchOutcome::Touched, "touching a live record");
        let mut expected = applied(cx, change).await?.into_parts();
        expected.expires_at = cx.after(holds);
        cx.expect(&Record::from_parts(expected)).await?;
    }
    // An update that does not speak of the time keeps it.
    let record = stored(cx).await?;
    let updated = applied(cx, record.change(cx.revision()).expires_at(cx.after(1))).await?;
    ensure_eq!(updated.expires_at(), record.expires_at(), "the time in the change itself");
    cx.expect(&updated).await
}

pub(crate) async fn deadline_is_stored_as_given(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let record = stored(cx).await?;
    let lowered = applied(cx, record.change(cx.revision()).lower_deadline(cx.after(9_000))).await?;
    cx.expect(&lowered).await?;
    ensure_eq!(lowered.deadline(), cx.after(9_000), "the lowered deadline");
    cx.expect_none_at(record.id(), cx.after(9_000)).await?;

    let login = |record: &Record, deadline| {
        let change = record.change(cx.revision()).login(alice.clone(), deadline);
        change.map_err(|error| Stop::failed(error.to_string()))
    };
    let raised = applied(cx, login(&lowered, cx.after(3_000_000))?).await?;
    cx.expect(&raised).await?;
    cx.expect_at(&raised, cx.after(2_999_999)).await?;
    let again = applied(cx, login(&raised, cx.after(3_500_000))?).await?;
    cx.expect(&again).await?;
    let lower = applied(cx, login(&again, cx.after(2_000_000))?).await?;
    cx.expect(&lower).await?;
    cx.expect_none_at(record.id(), cx.after(2_000_000)).await?;

    // Lowered to now, the session is over, and another login is too late.
    let ended = applied(cx, lower.change(cx.revision()).lower_deadline(cx.now())).await?;
    cx.expect_none(record.id()).await?;
    let answer = cx.store().update(&login(&ended, cx.after(3_000_000))?, cx.now()).await?;
    ensure_eq!(answer, UpdateOutcome::Missing, "raising the deadline of a session that is over");
    cx.expect_none(record.id()).await
}

pub(crate) async fn all_fields_change_together(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let record = stored(cx).await?;
    let tag = |length: u8| CredentialTag::new(&vec![length; usize::from(length)]).ok();
    let everything = record
        .change(cx.revision())
        .payload("everything")
        .rotate(cx.hash(), cx.after(30_000))
        .authentication(Authentication { at: cx.now(), level: 2 })
        .credential_tag(tag(32))
        .expires_at(cx.after(7_200_000))
        .login(alice, cx.after(50_000_000))
        .map_err(|error| Stop::failed(error.to_string()))?;
    let full = applied(cx, everything).await?;
    cx.expect(&full).await?;

    let rotated = applied(cx, full.change(cx.revision()).rotate(cx.hash(), cx.now())).await?;
    cx.expect(&rotated).await?;
    let other_tag = rotated.change(cx.revision()).credential_tag(tag(1)).payload("");
    let other_tag = applied(cx, other_tag).await?;
    cx.expect(&other_tag).await?;
    let no_tag = applied(cx, other_tag.change(cx.revision()).credential_tag(None)).await?;
    cx.expect(&no_tag).await?;
    let level = Authentication { at: cx.after(1), level: u8::MAX };
    let elevated = applied(cx, no_tag.change(cx.revision()).authentication(level)).await?;
    cx.expect(&elevated).await
}

pub(crate) async fn same_update_twice_is_updated_twice(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let record = stored(cx).await?;
    let change = record.change(cx.revision()).payload("once");
    let login = record.change(cx.revision()).login(alice.clone(), record.deadline());
    let login = login.map_err(|error| Stop::failed(error.to_string()))?;
    let updated = applied(cx, change.clone()).await?;
    for handle in cx.both() {
        let answer = handle.update(&change, cx.now()).await?;
        ensure_eq!(answer, UpdateOutcome::Updated, "the same update once more");
        cx.expect(&updated).await?;
    }
    // A touch in between does not hide that it is our own write, and is not undone.
    let later = cx.after(9_000_000);
    cx.store().touch(record.id(), later, cx.now()).await?;
    let answer = cx.store().update(&change, cx.now()).await?;
    ensure_eq!(answer, UpdateOutcome::Updated, "the same update after a touch");
    let mut touched = updated.clone().into_parts();
    touched.expires_at = later;
    let touched = Record::from_parts(touched);
    cx.expect(&touched).await?;
    // Another write in between does: neither the expected nor our own revision is there.
    let answer = cx.store().update(&login, cx.now()).await?;
    ensure_eq!(answer, UpdateOutcome::Conflict, "a rival update from the same revision");
    let newest = applied(cx, touched.change(cx.revision()).payload("newest")).await?;
    let answer = cx.store().update(&change, cx.now()).await?;
    ensure_eq!(answer, UpdateOutcome::Conflict, "the same update after another one");
    cx.expect(&newest).await?;
    // A login sent again writes its index entry again, and finds its own revision.
    let login = newest.change(cx.revision()).login(alice.clone(), newest.deadline());
    let login = login.map_err(|error| Stop::failed(error.to_string()))?;
    let logged_in = applied(cx, login.clone()).await?;
    let answer = cx.store().update(&login, cx.now()).await?;
    ensure_eq!(answer, UpdateOutcome::Updated, "the same login once more");
    cx.expect(&logged_in).await?;
    if cx.store().subject_index().is_some() {
        cx.expect_list(&alice, &[&logged_in]).await?;
    }
    // After a delete it is no excuse.
    cx.store().delete(record.id(), cx.now()).await?;
    let answer = cx.other().update(&login, cx.now()).await?;
    ensure_eq!(answer, UpdateOutcome::Missing, "the same update after a delete");
    cx.expect_none(record.id()).await
}

pub(crate) async fn touch_is_no_conflict(cx: &Cx) -> Checked {
    let record = stored(cx).await?;
    let change = record.change(cx.revision()).payload("new");
    for step in 1..=3 {
        let answer = cx.other().touch(record.id(), cx.after(3_600_000 + step), cx.now()).await?;
        ensure_eq!(answer, TouchOutcome::Touched, "touching a live record");
    }
    let answer = cx.store().update(&change, cx.now()).await?;
    ensure_eq!(answer, UpdateOutcome::Updated, "updating after a touch of another handle");
    let seen = cx.load(record.id()).await?.ok_or_else(|| Stop::failed("no record"))?;
    ensure_eq!(seen.payload().as_ref(), b"new", "the payload");
    ensure_eq!(seen.expires_at(), cx.after(3_600_003), "the idle deadline of the last touch");
    Ok(())
}

pub(crate) async fn earlier_life_conflicts(cx: &Cx) -> Checked {
    let first = stored(cx).await?;
    let late = first.change(cx.revision()).payload("of an earlier life");
    ensure!(cx.other().delete(first.id(), cx.now()).await?, "deleting a live record is `true`");
    let second = cx.fresh().id(*first.id()).record();
    cx.create(&second).await?;
    for handle in cx.both() {
        let answer = handle.update(&late, cx.now()).await?;
        ensure_eq!(answer, UpdateOutcome::Conflict, "updating with a revision of an earlier life");
    }
    cx.expect(&second).await
}

pub(crate) async fn concurrent_updates_have_one_winner(cx: &Cx) -> Checked {
    let handles = cx.handles(4).await?;
    for round in 0..cx.rounds(40) {
        let record = stored(cx).await?;
        let rivals: Vec<_> = (0..16)
            .map(|rival| record.change(cx.revision()).payload(format!("rival {rival}")))
            .collect();
        let now = cx.now();
        let answers = race(rivals.iter().zip(handles.iter().cycle()).map(|(rival, handle)| {
            let (rival, handle) = (rival.clone(), Arc::clone(handle));
            async move { handle.update(&rival, now).await }
        }))
        .await?;
        let mut winners = Vec::new();
        for (answer, rival) in answers.into_iter().zip(&rivals) {
            match answer? {
                UpdateOutcome::Updated => winners.push(rival),
                UpdateOutcome::Conflict => {}
                UpdateOutcome::Missing => {
                    return Err(Stop::failed(format!("round {round}: a live record is missing")));
                }
            }
        }
        ensure_eq!(winners.len(), 1, "round {round}: updates that answered `Updated`");
        cx.expect(winners[0].record()).await?;
    }
    Ok(())
}

pub(crate) async fn no_increment_is_lost(cx: &Cx) -> Checked {
    let handles = cx.handles(4).await?;
    let each = cx.rounds(6);
    let record = cx.fresh().payload("0").record();
    cx.create(&record).await?;
    let now = cx.now();
    let results = race(handles.iter().cycle().take(16).map(|handle| {
        let (handle, id, mut rng) = (Arc::clone(handle), *record.id(), cx.rng());
        async move {
            for _ in 0..each {
                let mut tries = 0;
                loop {
                    tries += 1;
                    ensure!(tries < 10_000, "no progress in 10,000 tries to update");
                    let seen = handle.load(&id, now).await?;
                    let seen = seen.ok_or_else(|| Stop::failed("the record is missing"))?;
                    let count = number(&seen)? + 1;
                    let revision = session_core::Revision::from_bytes(rng.bytes());
                    let change = seen.change(revision).payload(count.to_string());
                    match handle.update(&change, now).await? {
                        UpdateOutcome::Updated => break,
                        UpdateOutcome::Conflict => {}
                        UpdateOutcome::Missing => {
                            return Err(Stop::failed("a live record is missing"));
                        }
                    }
                }
            }
            Ok(())
        }
    }))
    .await?;
    results.into_iter().collect::<Checked>()?;
    let seen = cx.load(record.id()).await?.ok_or_else(|| Stop::failed("no record"))?;
    ensure_eq!(number(&seen)?, 16 * each as u64, "increments that were kept");
    Ok(())
}

fn number(record: &Record) -> Checked<u64> {
    std::str::from_utf8(record.payload())
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Stop::failed("the payload is not the number that was written"))
}
