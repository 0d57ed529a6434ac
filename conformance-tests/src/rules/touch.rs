//! Chapter "Touch".

use std::time::Duration;

use session_core::{Record, SessionStore, Timestamp, TouchOutcome, UpdateOutcome};

use crate::cx::{Cx, at_most};
use crate::race::race;
use crate::verdict::{Checked, Stop, ensure_eq};

fn with_idle_deadline(record: &Record, expires_at: Timestamp) -> Record {
    let mut parts = record.clone().into_parts();
    parts.expires_at = expires_at;
    Record::from_parts(parts)
}

pub(crate) async fn idle_deadline_moves_forward(cx: &Cx) -> Checked {
    let record = cx.fresh().idle(10_000).record();
    cx.create(&record).await?;
    for step in 1..=5 {
        cx.advance(9_000);
        let until = cx.after(10_000);
        let handle = cx.both()[step % 2];
        let answer = handle.touch(record.id(), until, cx.now()).await?;
        ensure_eq!(answer, TouchOutcome::Touched, "touching a live record");
        let touched = with_idle_deadline(&record, until);
        cx.expect(&touched).await?;
        cx.expect_at(&touched, until.minus(Duration::from_millis(1))).await?;
        cx.expect_none_at(record.id(), until).await?;
    }
    Ok(())
}

pub(crate) async fn idle_deadline_never_moves_back(cx: &Cx) -> Checked {
    let record = cx.fresh().idle(10_000).record();
    cx.create(&record).await?;
    for (given, holds) in [
        (Timestamp::MIN, record.expires_at()),
        (cx.now(), record.expires_at()),
        (cx.after(9_999), record.expires_at()),
        (cx.after(10_000), record.expires_at()),
        (cx.after(60_000), cx.after(60_000)),
        (cx.after(30_000), cx.after(60_000)),
        (cx.after(60_001), cx.after(60_001)),
        (cx.after(60_000), cx.after(60_001)),
    ] {
        let answer = cx.other().touch(record.id(), given, cx.now()).await?;
        ensure_eq!(answer, TouchOutcome::Touched, "touching a live record with an earlier time");
        cx.expect(&with_idle_deadline(&record, holds)).await?;
    }
    // All at once, in any order: the latest holds.
    let handles = cx.handles(4).await?;
    for _ in 0..cx.rounds(10) {
        let record = cx.fresh().idle(10_000).record();
        cx.create(&record).await?;
        let now = cx.now();
        let times: Vec<_> = (1..=16).map(|step| cx.after(10_000 + step * 1_000)).collect();
        let answers = race(times.iter().zip(handles.iter().cycle()).map(|(time, handle)| {
            let (handle, id, time) = (handle.clone(), *record.id(), *time);
            async move { handle.touch(&id, time, now).await }
        }))
        .await?;
        for answer in answers {
            ensure_eq!(answer?, TouchOutcome::Touched, "touching a live record");
        }
        cx.expect(&with_idle_deadline(&record, cx.after(26_000))).await?;
    }
    Ok(())
}

pub(crate) async fn everything_else_stays(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    for record in [
        cx.fresh().record(),
        cx.fresh().full(&alice).record(),
        cx.fresh().full(&alice).payload("").record(),
        cx.fresh().payload(vec![7; 100_000]).record(),
    ] {
        cx.create(&record).await?;
        // A touch by someone who loaded before another wrote must not bring the old data back.
        cx.expect(&record).await?;
        let change = record.change(cx.revision()).payload("written by another");
        let answer = cx.store().update(&change, cx.now()).await?;
        ensure_eq!(answer, UpdateOutcome::Updated, "updating from the stored revision");
        let answer = cx.other().touch(record.id(), cx.after(5_000_000), cx.now()).await?;
        ensure_eq!(answer, TouchOutcome::Touched, "touching a live record");
        let touched = with_idle_deadline(change.record(), cx.after(5_000_000));
        cx.expect(&touched).await?;
        // The revision is still the one to update from.
        let next = touched.change(cx.revision()).payload("and again");
        let answer = cx.other().update(&next, cx.now()).await?;
        ensure_eq!(answer, UpdateOutcome::Updated, "updating from the stored revision");
        cx.expect(next.record()).await?;
    }
    Ok(())
}

pub(crate) async fn unknown_id_is_missing(cx: &Cx) -> Checked {
    let never = cx.fresh().record();
    let deleted = cx.fresh().record();
    cx.create(&deleted).await?;
    cx.store().delete(deleted.id(), cx.now()).await?;
    for record in [&never, &deleted] {
        for handle in cx.both() {
            let answer = handle.touch(record.id(), cx.after(3_600_000), cx.now()).await?;
            ensure_eq!(answer, TouchOutcome::Missing, "touching what is not there");
            cx.expect_none(record.id()).await?;
        }
    }
    if let Some(purge) = cx.store().purger() {
        let purged = cx.fresh().idle(1_000).record();
        cx.create(&purged).await?;
        purge.purge(at_most(100), purged.ends_at()).await?;
        let answer = cx.other().touch(purged.id(), cx.after(3_600_000), cx.now()).await?;
        ensure_eq!(answer, TouchOutcome::Missing, "touching a purged record");
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
            let answer = handle.touch(record.id(), cx.after(3_600_000), cx.now()).await?;
            ensure_eq!(answer, TouchOutcome::Missing, "touching a record that is over");
        }
        cx.expect_none(record.id()).await?;
        cx.advance(1);
        cx.expect_none(record.id()).await?;
    }
    Ok(())
}

pub(crate) async fn deadline_caps_the_life(cx: &Cx) -> Checked {
    let record = cx.fresh().idle(1_000).absolute(5_000).record();
    cx.create(&record).await?;
    for given in [cx.after(5_000), cx.after(5_001), cx.after(3_600_000), Timestamp::MAX] {
        let answer = cx.other().touch(record.id(), given, cx.now()).await?;
        ensure_eq!(answer, TouchOutcome::Touched, "touching a live record");
        let seen = cx.load(record.id()).await?.ok_or_else(|| Stop::failed("no record"))?;
        ensure_eq!(seen.deadline(), record.deadline(), "the absolute deadline");
        cx.expect_at(&seen, cx.after(4_999)).await?;
        cx.expect_none_at(record.id(), cx.after(5_000)).await?;
    }
    cx.advance(5_000);
    let answer = cx.store().touch(record.id(), cx.after(1_000), cx.now()).await?;
    ensure_eq!(answer, TouchOutcome::Missing, "touching at the absolute deadline");
    cx.expect_none(record.id()).await
}
