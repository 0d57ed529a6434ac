//! Chapter "Inspection".

use std::sync::Arc;

use session_core::{Count, SessionStore, UpdateOutcome};

use crate::cx::{Cx, scan_all, walk_and_delete};
use crate::fresh::Fresh;
use crate::race::race;
use crate::verdict::{Checked, ensure, ensure_eq};

pub(crate) async fn scan_sees_every_live_session(cx: &Cx) -> Checked {
    for handle in cx.both() {
        ensure_eq!(scan_all(handle, 10, cx.now()).await?.len(), 0, "sessions of an empty store");
    }
    let alice = cx.subject("alice")?;
    let mut records = Vec::new();
    for turn in 0..cx.rounds(1_200) {
        let fresh = cx.fresh().idle(if turn % 5 == 0 { 1_000 } else { 60_000 });
        records.push(if turn % 2 == 0 { fresh.record() } else { fresh.full(&alice).record() });
    }
    cx.create_all(&records).await?;
    for (limit, advance) in [(1_000, 0), (100, 0), (37, 1_000)] {
        cx.advance(advance);
        let mut expected: Vec<_> = records
            .iter()
            .filter(|record| record.is_live(cx.now()))
            .map(session_core::Record::summary)
            .collect();
        expected.sort_by_key(|summary| summary.id);
        let seen = scan_all(cx.other(), limit, cx.now()).await?;
        ensure_eq!(seen.len(), expected.len(), "sessions that a scan in pages of {limit} sees");
        for (seen, expected) in seen.iter().zip(&expected) {
            ensure_eq!(seen, expected, "the summary");
        }
    }
    // Pages of one entry, on a store that is small again.
    for record in &records[3.min(records.len())..] {
        cx.store().delete(record.id(), cx.now()).await?;
    }
    let expected = records.iter().take(3).filter(|record| record.is_live(cx.now())).count();
    let seen = scan_all(cx.store(), 1, cx.now()).await?;
    ensure_eq!(seen.len(), expected, "sessions that a scan in pages of one sees");
    Ok(())
}

pub(crate) async fn scan_goes_on_beside_traffic(cx: &Cx) -> Checked {
    let handles = cx.handles(4).await?;
    let stable: Vec<_> = (0..cx.rounds(200)).map(|_| cx.fresh().record()).collect();
    cx.create_all(&stable).await?;
    let now = cx.now();
    for _ in 0..cx.rounds(4) {
        let contenders = handles.iter().enumerate().map(|(place, handle)| {
            let (handle, stable, mut rng) = (Arc::clone(handle), stable.clone(), cx.rng());
            async move {
                if place == 0 {
                    let seen = scan_all(&handle, 16, now).await?;
                    for record in &stable {
                        let found = seen.binary_search_by_key(record.id(), |summary| summary.id);
                        ensure!(found.is_ok(), "a session that was live throughout is not seen");
                    }
                    return Ok(());
                }
                for _ in 0..40 {
                    let record = Fresh::new(rng.fork(), now).record();
                    handle.create(&record, now).await?;
                    let known = &stable[rng.below(stable.len())];
                    handle.touch(known.id(), known.expires_at(), now).await?;
                    handle.delete(record.id(), now).await?;
                }
                Ok(())
            }
        });
        race(contenders).await?.into_iter().collect::<Checked>()?;
    }
    let seen = scan_all(cx.store(), 1_000, cx.now()).await?;
    ensure_eq!(seen.len(), stable.len(), "sessions when all is quiet again");
    let seen = walk_and_delete(cx.other(), None, 10, cx.now()).await?;
    ensure_eq!(
        seen.len(),
        stable.len(),
        "sessions that a walk sees which deletes what it has seen"
    );
    Ok(())
}

pub(crate) async fn count_is_exact_or_says_so(cx: &Cx) -> Checked {
    let mut expected = 0;
    for turn in 0..12 {
        let record = cx.fresh().idle(if turn % 4 == 0 { 1_000 } else { 60_000 }).record();
        cx.create(&record).await?;
        match turn % 3 {
            0 => {
                let answer =
                    cx.store().update(&record.change(cx.revision()).payload("x"), cx.now()).await?;
                ensure_eq!(answer, UpdateOutcome::Updated, "updating from the stored revision");
                expected += 1;
            }
            1 => expected += 1,
            _ => {
                cx.other().delete(record.id(), cx.now()).await?;
            }
        }
        counted(cx, expected).await?;
    }
    cx.advance(1_000);
    let live = scan_all(cx.store(), 100, cx.now()).await?.len() as u64;
    ensure!(live < expected, "some of the sessions are over now");
    counted(cx, live).await
}

async fn counted(cx: &Cx, expected: u64) -> Checked {
    for handle in cx.both() {
        let Some(inspect) = handle.inspect() else { continue };
        if let Count::Exact(count) = inspect.count(cx.now()).await? {
            ensure_eq!(count, expected, "an exact number of live sessions");
        }
    }
    Ok(())
}
