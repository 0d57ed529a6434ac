//! Chapter "Expiry".

use std::time::Duration;

use session_core::{Count, Record, SessionStore, Timestamp, TouchOutcome, UpdateOutcome};

use crate::cx::{Cx, at_most, list_all, scan_all};
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Visible one millisecond before its end and not at it, for reads and for writes.
async fn ends_exactly(cx: &Cx, record: &Record) -> Checked {
    let end = record.ends_at();
    let before = end.minus(MILLISECOND);
    cx.expect_at(record, before).await?;
    for at in [end, end.plus(MILLISECOND), end.plus(Duration::from_secs(86_400))] {
        cx.expect_none_at(record.id(), at).await?;
    }
    for handle in cx.both() {
        let answer = handle.touch(record.id(), end, end).await?;
        ensure_eq!(answer, TouchOutcome::Missing, "touching at the end");
        let change = record.change(cx.revision());
        let answer = handle.update(&change, end).await?;
        ensure_eq!(answer, UpdateOutcome::Missing, "updating at the end");
    }
    let answer = cx.other().touch(record.id(), record.expires_at(), before).await?;
    ensure_eq!(answer, TouchOutcome::Touched, "touching one millisecond before the end");
    let change = record.change(cx.revision());
    let answer = cx.store().update(&change, before).await?;
    ensure_eq!(answer, UpdateOutcome::Updated, "updating one millisecond before the end");
    cx.expect_at(change.record(), before).await?;
    cx.expect_none_at(record.id(), end).await?;
    ensure!(
        cx.other().delete(record.id(), before).await?,
        "deleting one millisecond before the end is `true`"
    );
    Ok(())
}

pub(crate) async fn idle_deadline_is_exact(cx: &Cx) -> Checked {
    for millis in [1, 2, 999, 1_000, 1_001, 59_999, 3_600_000] {
        let record = cx.fresh().idle(millis).record();
        cx.create(&record).await?;
        ends_exactly(cx, &record).await?;
        let record = cx.fresh().idle(millis).record();
        cx.create(&record).await?;
        let deleted = cx.store().delete(record.id(), record.ends_at()).await?;
        ensure!(!deleted, "deleting at the end is `false`");
    }
    Ok(())
}

pub(crate) async fn absolute_deadline_is_exact(cx: &Cx) -> Checked {
    for (idle, absolute) in [(3_600_000, 1_001), (1_001, 1_001), (1_002, 1_001)] {
        let record = cx.fresh().idle(idle).absolute(absolute).record();
        cx.create(&record).await?;
        ends_exactly(cx, &record).await?;
    }
    let record = cx.fresh().expires_at(Timestamp::MAX).absolute(1_500).record();
    cx.create(&record).await?;
    ends_exactly(cx, &record).await
}

pub(crate) async fn ends_of_the_range_are_exact(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let forever = cx
        .fresh()
        .full(&alice)
        .created_at(Timestamp::MIN)
        .expires_at(Timestamp::MAX)
        .deadline(Timestamp::MAX)
        .authentication(Timestamp::MIN, 0)
        .previous(Timestamp::MAX)
        .record();
    cx.create(&forever).await?;
    cx.expect(&forever).await?;
    cx.expect_at(&forever, Timestamp::MAX.minus(MILLISECOND)).await?;
    cx.expect_none_at(forever.id(), Timestamp::MAX).await?;
    cx.expect_at(&forever, Timestamp::MIN).await?;

    let last_but_one = Timestamp::MAX.minus(MILLISECOND);
    let almost = cx.fresh().deadline(Timestamp::MAX).expires_at(last_but_one).record();
    cx.create(&almost).await?;
    cx.expect_at(&almost, last_but_one.minus(MILLISECOND)).await?;
    cx.expect_none_at(almost.id(), last_but_one).await?;
    let answer = cx.other().touch(almost.id(), Timestamp::MAX, cx.now()).await?;
    ensure_eq!(answer, TouchOutcome::Touched, "touching to the end of the range");
    let seen = cx.load_at(almost.id(), last_but_one).await?;
    let seen = seen.ok_or_else(|| Stop::failed("the touched session is not visible"))?;
    ensure_eq!(seen.expires_at(), Timestamp::MAX, "the touched idle deadline");

    let change = forever.change(cx.revision()).rotate(cx.hash(), Timestamp::MIN).payload("new");
    let answer = cx.other().update(&change, cx.now()).await?;
    ensure_eq!(answer, UpdateOutcome::Updated, "updating a session without an end");
    cx.expect_at(change.record(), last_but_one).await?;
    if cx.store().subject_index().is_some() {
        cx.expect_list(&alice, &[&forever]).await?;
    }
    ensure!(cx.store().delete(forever.id(), cx.now()).await?, "the session without an end is gone");
    cx.expect_none(forever.id()).await
}

pub(crate) async fn milliseconds_are_kept(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    // Anchored at a whole second, so that every residue is met.
    let second = Timestamp::from_millis(cx.now().as_millis() / 1_000 * 1_000 + 10_000);
    for millis in [0, 1, 2, 4, 9, 10, 99, 100, 123, 500, 501, 998, 999] {
        let at = |seconds: u64| second.plus(Duration::from_millis(seconds * 1_000 + millis));
        let record = cx
            .fresh()
            .full(&alice)
            .created_at(at(0))
            .expires_at(at(60))
            .deadline(at(120))
            .authentication(at(1), 1)
            .previous(at(2))
            .record();
        cx.create(&record).await?;
        cx.expect(&record).await?;
        cx.expect_at(&record, at(60).minus(MILLISECOND)).await?;
        cx.expect_none_at(record.id(), at(60)).await?;
        let answer = cx.other().touch(record.id(), at(70), cx.now()).await?;
        ensure_eq!(answer, TouchOutcome::Touched, "touching a live record");
        cx.expect_none_at(record.id(), at(70)).await?;
        let seen = cx.load_at(record.id(), at(70).minus(MILLISECOND)).await?;
        let seen = seen.ok_or_else(|| Stop::failed("a touched session ends too early"))?;
        ensure_eq!(seen.expires_at(), at(70), "the touched idle deadline");
        let change = seen.change(cx.revision()).expires_at(at(80)).lower_deadline(at(90));
        let answer = cx.store().update(&change, cx.now()).await?;
        ensure_eq!(answer, UpdateOutcome::Updated, "updating from the stored revision");
        cx.expect(change.record()).await?;
        cx.expect_none_at(record.id(), at(80)).await?;
    }
    Ok(())
}

pub(crate) async fn over_records_are_not_listed(cx: &Cx) -> Checked {
    let (index, inspect) = (cx.store().subject_index().is_some(), cx.store().inspect().is_some());
    if !index && !inspect {
        return Err(Stop::not_applicable("the adapter claims neither SubjectIndex nor Inspect"));
    }
    let alice = cx.subject("alice")?;
    let live = cx.fresh().subject(&alice).record();
    let by_idle = cx.fresh().subject(&alice).idle(1_000).record();
    let by_deadline = cx.fresh().subject(&alice).absolute(1_000).record();
    let past = cx.fresh().subject(&alice).idle(0).record();
    cx.create_all(&[live.clone(), by_idle.clone(), by_deadline.clone(), past]).await?;
    for (at, expected) in [
        (cx.after(999), vec![&live, &by_idle, &by_deadline]),
        (cx.after(1_000), vec![&live]),
        (live.ends_at(), vec![]),
    ] {
        let mut ids: Vec<_> = expected.iter().map(|record| *record.id()).collect();
        ids.sort_unstable();
        for handle in cx.both() {
            if index {
                let seen = list_all(handle, &alice, 100, at).await?;
                let seen: Vec<_> = seen.iter().map(|summary| summary.id).collect();
                ensure_eq!(seen, ids, "the sessions of the subject at {at:?}");
            }
            if let Some(inspect) = handle.inspect() {
                let seen = scan_all(handle, 100, at).await?;
                let seen: Vec<_> = seen.iter().map(|summary| summary.id).collect();
                ensure_eq!(seen, ids, "all sessions at {at:?}");
                if let Count::Exact(count) = inspect.count(at).await? {
                    ensure_eq!(count, ids.len() as u64, "the number of sessions at {at:?}");
                }
            }
        }
    }
    Ok(())
}

pub(crate) async fn clock_ahead_destroys_nothing(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let margin = cx.store().margin();
    let ahead = cx.now().plus(margin).minus(MILLISECOND);
    let record = cx.fresh().full(&alice).idle(1_000).absolute(2_000).record();
    let anonymous = cx.fresh().idle(1_000).record();
    for record in [&record, &anonymous] {
        cx.create(record).await?;
    }
    // Another server, whose clock is ahead, does everything that a server does by itself.
    let hasty = cx.other();
    for record in [&record, &anonymous] {
        ensure!(hasty.load(record.id(), ahead).await?.is_none(), "over by that clock");
        let later = ahead.plus(Duration::from_secs(3_600));
        let answer = hasty.touch(record.id(), later, ahead).await?;
        ensure_eq!(answer, TouchOutcome::Missing, "touching what is over by that clock");
        let change = record.change(cx.revision()).expires_at(later).payload("hasty");
        let answer = hasty.update(&change, ahead).await?;
        ensure_eq!(answer, UpdateOutcome::Missing, "updating what is over by that clock");
    }
    for _ in 0..3 {
        let login = cx.fresh().subject(&alice).created_at(ahead).idle(3_600_000).record();
        hasty.create(&login, ahead).await?;
        if cx.store().subject_index().is_some() {
            let seen = list_all(hasty, &alice, 10, ahead).await?;
            ensure!(seen.iter().all(|seen| seen.id != *record.id()), "over by that clock");
        }
        if let Some(inspect) = hasty.inspect() {
            scan_all(hasty, 10, ahead).await?;
            inspect.count(ahead).await?;
        }
        if let Some(purge) = hasty.purger() {
            purge.purge(at_most(1_000), ahead.minus(margin)).await?;
        }
    }
    for record in [&record, &anonymous] {
        cx.expect(record).await?;
    }
    if cx.store().subject_index().is_some() {
        let seen = cx.list(&alice).await?;
        ensure!(
            seen.iter().any(|seen| seen.id == *record.id()),
            "with the right clock the session is listed"
        );
    }
    let until = record.expires_at().plus(Duration::from_millis(500));
    let answer = cx.store().touch(record.id(), until, cx.now()).await?;
    ensure_eq!(answer, TouchOutcome::Touched, "touching with the right clock");
    Ok(())
}

pub(crate) async fn margin_is_longer_than_a_minute(cx: &Cx) -> Checked {
    for handle in cx.both() {
        let margin = handle.margin();
        ensure!(margin > Duration::from_secs(60), "the margin is {margin:?}");
    }
    Ok(())
}
