//! Many records that are over, removed in bounded batches beside traffic.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use session_core::{
    Bytes, Clock, OsRandom, Realm, Record, RecordParts, Revision, SecretHash, SessionStore,
    SessionToken, SystemClock, Timestamp,
};

use crate::Outcome;
use crate::backend::Running;
use crate::meter::{Meter, is_stopped};

const BATCH: NonZeroU32 = NonZeroU32::new(1_000).expect("not zero");

pub(crate) async fn run(running: &Running, count: u64, meter: &Meter) -> Outcome {
    let store = running.open().await?;
    let purger = store.purger().ok_or("this backend expires records by itself")?;
    let now = SystemClock.now();
    let long_ago = now.minus(Duration::from_secs(7_200));
    for number in 0..count {
        if is_stopped() {
            return Ok(format!("{number} records written, broken off"));
        }
        // By the clock of that time, so that nothing is over yet.
        let _ = store.create(&record(long_ago)?, long_ago).await?;
        if number.is_multiple_of(1_000) {
            meter.show(number, count, "records written");
        }
    }
    let live = record(now)?;
    let _ = store.create(&live, now).await?;
    let (mut removed, mut batches) = (0, 0_u64);
    let (mut longest, mut longest_load) = (Duration::ZERO, Duration::ZERO);
    loop {
        let begun = Instant::now();
        let batch = purger.purge(BATCH, now.minus(store.margin())).await?;
        longest = longest.max(begun.elapsed());
        if batch.removed > u64::from(BATCH.get()) {
            return Err(format!("a batch removed {} records", batch.removed).into());
        }
        removed += batch.removed;
        batches += 1;
        // Traffic goes on meanwhile.
        let begun = Instant::now();
        if store.load(live.id(), now).await?.is_none() {
            return Err("a live session is gone".into());
        }
        longest_load = longest_load.max(begun.elapsed());
        meter.show(removed, count, "records purged");
        if !batch.more || is_stopped() {
            break;
        }
    }
    if removed != count && !is_stopped() {
        return Err(format!("{removed} of {count} records were removed").into());
    }
    Ok(format!(
        "{removed} records in {batches} batches of at most {BATCH}, the longest in {longest:.1?}, the longest load between them in {longest_load:.1?}"
    ))
}

/// A session that lasts an hour from `begun`.
fn record(begun: Timestamp) -> conformance_tests::Result<Record> {
    let token = SessionToken::random(&OsRandom)?;
    Ok(Record::from_parts(RecordParts {
        id: token.id(),
        revision: Revision::random(&OsRandom)?,
        secret_hash: SecretHash::of(&token, &Realm::default()),
        previous: None,
        subject: None,
        created_at: begun,
        expires_at: begun.plus(Duration::from_secs(3_600)),
        deadline: begun.plus(Duration::from_secs(3_600)),
        authentication: None,
        credential_tag: None,
        payload: Bytes::from_static(b"over"),
    }))
}
