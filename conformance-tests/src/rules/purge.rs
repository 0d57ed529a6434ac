//! Chapter "Purge".

use std::sync::Arc;
use std::time::Duration;

use session_core::{Purged, Record, SessionStore, Timestamp, TouchOutcome, UpdateOutcome};

use crate::cx::{Cx, at_most};
use crate::fresh::Fresh;
use crate::race::race;
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Purges in batches of `limit` until there is no more, and answers with the number of removed records.
async fn purge_all(store: &Arc<dyn SessionStore>, limit: u32, cutoff: Timestamp) -> Checked<u64> {
    /// More batches than any rule has records.
    const MOST_BATCHES: usize = 10_000;

    let purge = store.purger().ok_or_else(|| Stop::failed("the store answers no `Purge`"))?;
    let mut removed = 0;
    for _ in 0..MOST_BATCHES {
        let Purged { removed: batch, more } = purge.purge(at_most(limit), cutoff).await?;
        ensure!(batch <= u64::from(limit), "a batch of at most {limit} removed {batch} records");
        removed += batch;
        if !more {
            return Ok(removed);
        }
    }
    Err(Stop::failed(format!("there is always more after {MOST_BATCHES} batches")))
}

/// Whether the record is still there for a server whose clock is behind.
async fn is_there(cx: &Cx, record: &Record) -> Checked<bool> {
    Ok(cx.load_at(record.id(), record.ends_at().minus(MILLISECOND)).await?.is_some())
}

pub(crate) async fn exactly_what_is_over_is_removed(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let cutoff = cx.after(10_000);
    let mut removed = Vec::new();
    let mut kept = Vec::new();
    for (idle, absolute, over) in [
        (1_000, 86_400_000, true),
        (9_999, 86_400_000, true),
        (10_000, 86_400_000, true),
        (10_001, 86_400_000, false),
        (86_400_000, 1_000, true),
        (86_400_000, 10_000, true),
        (86_400_000, 10_001, false),
        (10_001, 10_001, false),
        (10_001, 10_000, true),
        (3_600_000, 86_400_000, false),
    ] {
        let record = cx.fresh().full(&alice).idle(idle).absolute(absolute).record();
        if over { removed.push(record) } else { kept.push(record) }
    }
    cx.create_all(&removed).await?;
    cx.create_all(&kept).await?;
    let early = purge_all(cx.store(), 1_000, cx.now()).await?;
    ensure_eq!(early, 0, "records removed while all of them are live");
    let count = purge_all(cx.store(), 1_000, cutoff).await?;
    ensure_eq!(count, removed.len() as u64, "records that were over at the cut-off");
    for record in &removed {
        ensure!(!is_there(cx, record).await?, "a record that was over at the cut-off is there");
    }
    for record in &kept {
        cx.expect(record).await?;
        ensure!(is_there(cx, record).await?, "a record that was not over is gone");
    }
    cx.expect_rows(kept.len() as u64).await?;
    let again = purge_all(cx.other(), 1_000, cutoff).await?;
    ensure_eq!(again, 0, "records removed by the same purge once more");
    if cx.store().subject_index().is_some() {
        cx.expect_list(&alice, &kept.iter().collect::<Vec<_>>()).await?;
    }
    Ok(())
}

pub(crate) async fn limit_is_kept(cx: &Cx) -> Checked {
    let records: Vec<_> = (0..10).map(|_| cx.fresh().idle(1_000).record()).collect();
    cx.create_all(&records).await?;
    let live = cx.fresh().record();
    cx.create(&live).await?;
    let cutoff = cx.after(1_000);
    let (mut left, limit) = (10, 3);
    for _ in 0..10 {
        let Purged { removed, more } = cx.purge()?.purge(at_most(limit), cutoff).await?;
        ensure!(removed <= u64::from(limit), "a batch of at most 3 removed {removed} records");
        left -= removed.min(left);
        ensure!(more || left == 0, "{left} records are over, and there is said to be no more");
        cx.expect_rows(left + 1).await?;
        if left == 0 {
            break;
        }
    }
    ensure_eq!(left, 0, "records that are over and were not removed by ten batches of three");
    let last = cx.purge()?.purge(at_most(3), cutoff).await?;
    ensure_eq!(last, Purged { removed: 0, more: false }, "a purge of nothing");
    cx.expect(&live).await
}

pub(crate) async fn touched_record_is_spared(cx: &Cx) -> Checked {
    let old_end = cx.after(1_000);
    let touched = cx.fresh().idle(1_000).record();
    let updated = cx.fresh().idle(1_000).record();
    let logged_in = cx.fresh().absolute(1_000).record();
    for record in [&touched, &updated, &logged_in] {
        cx.create(record).await?;
    }
    let answer = cx.other().touch(touched.id(), cx.after(60_000), cx.now()).await?;
    ensure_eq!(answer, TouchOutcome::Touched, "touching a live record");
    let change = updated.change(cx.revision()).expires_at(cx.after(60_000));
    let answer = cx.other().update(&change, cx.now()).await?;
    ensure_eq!(answer, UpdateOutcome::Updated, "updating from the stored revision");
    let login = logged_in.change(cx.revision()).login(cx.subject("alice")?, cx.after(60_000));
    let login = login.map_err(|error| Stop::failed(error.to_string()))?;
    let answer = cx.other().update(&login, cx.now()).await?;
    ensure_eq!(answer, UpdateOutcome::Updated, "updating from the stored revision");
    for cutoff in [old_end, cx.after(59_999)] {
        ensure_eq!(purge_all(cx.store(), 2, cutoff).await?, 0, "records removed though extended");
    }
    for record in [&touched, &updated, &logged_in] {
        let seen = cx.load_at(record.id(), cx.after(59_999)).await?;
        ensure!(seen.is_some(), "an extended record lives to its new end");
    }
    // At its new end it is removed; a purge that met it before has not lost sight of it.
    let removed = purge_all(cx.store(), 2, cx.after(3_600_000)).await?;
    ensure_eq!(removed, 3, "records removed at their new end");
    cx.expect_rows(0).await?;

    // A touch and a purge at one moment: who comes first decides, and both say the same.
    let handles = cx.handles(4).await?;
    for round in 0..cx.rounds(30) {
        let record = cx.fresh().idle(1_000).record();
        cx.create(&record).await?;
        let (now, end, until) = (cx.now(), record.ends_at(), cx.after(60_000));
        let contenders = handles.iter().enumerate().map(|(place, handle)| {
            let (handle, id) = (Arc::clone(handle), *record.id());
            async move {
                if place % 2 == 0 {
                    purge_all(&handle, 10, end).await?;
                    return Ok(None);
                }
                Ok(Some(handle.touch(&id, until, now).await?))
            }
        });
        let answers = race(contenders).await?.into_iter().collect::<Checked<Vec<_>>>()?;
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        let seen = cx.load_at(record.id(), end).await?;
        if answers.contains(&TouchOutcome::Touched) {
            ensure!(seen.is_some(), "round {round}: a record that was touched has been purged");
        } else {
            ensure!(seen.is_none(), "round {round}: a record is live that no touch had found");
        }
        cx.store().delete(record.id(), now).await?;
    }
    Ok(())
}

pub(crate) async fn purgers_beside_traffic(cx: &Cx) -> Checked {
    let handles = cx.handles(4).await?;
    let count = cx.rounds(600);
    let over: Vec<_> = (0..count).map(|_| cx.fresh().idle(1_000).record()).collect();
    let live: Vec<_> = (0..32).map(|_| cx.fresh().idle(5_000).record()).collect();
    cx.create_all(&over).await?;
    cx.create_all(&live).await?;
    cx.advance(1_000);
    let now = cx.now();
    let contenders = handles.iter().cycle().take(12).enumerate().map(|(place, handle)| {
        let (handle, live, mut rng) = (Arc::clone(handle), live.clone(), cx.rng());
        async move {
            if place < 3 {
                return purge_all(&handle, 50, now).await;
            }
            for step in 0..15 {
                let known = &live[(place * 15 + step) % live.len()];
                let until = now.plus(Duration::from_secs(60));
                let answer = handle.touch(known.id(), until, now).await?;
                ensure_eq!(answer, TouchOutcome::Touched, "touching a live record");
                let record = Fresh::new(rng.fork(), now).record();
                handle.create(&record, now).await?;
                let revision = session_core::Revision::from_bytes(rng.bytes());
                let answer = handle.update(&record.change(revision).payload("x"), now).await?;
                ensure_eq!(answer, UpdateOutcome::Updated, "updating a record of one's own");
                ensure!(handle.delete(record.id(), now).await?, "deleting a record of one's own");
            }
            Ok(0)
        }
    });
    let mut removed = 0;
    for answer in race(contenders).await? {
        removed += answer?;
    }
    // A purger may pass over what another holds; afterwards nothing may be left.
    removed += purge_all(cx.store(), 1_000, now).await?;
    ensure_eq!(removed, count as u64, "records that were removed, by all purgers together");
    for record in &over {
        ensure!(!is_there(cx, record).await?, "a record that was over is there");
    }
    for record in &live {
        ensure!(cx.load(record.id()).await?.is_some(), "a live record is gone");
    }
    cx.expect_rows(live.len() as u64).await
}
