//! Load for a long time, with an outage in the middle.

use std::time::Duration;

use conformance_tests::load::Load;
use tokio::time::{Instant, timeout};

use crate::Outcome;
use crate::backend::{Backend, seed};
use crate::kills::RECOVERY;
use crate::memory_use::resident;
use crate::meter::{LOOK_EVERY, Meter, is_stopped, sleep};

/// The longest outage.
const OUTAGE: Duration = Duration::from_secs(60);
/// Sessions that are used at the same time.
const AT_ONCE: usize = 64;
/// What the process may take more during an outage than before.
const FLAT: u64 = 32 << 20;

pub(crate) async fn run(backend: Backend, length: Duration, meter: &Meter) -> Outcome {
    let running = backend.start().await?;
    let seed = seed();
    let load = Load::new(seed).at_once(AT_ONCE).start(running.handles(3).await?);
    let outage = OUTAGE.min(length / 4);
    let begun = Instant::now();
    let watch = async |until: Duration| {
        let mut most = 0;
        while begun.elapsed() < until && !is_stopped() && load.failure().is_none() {
            most = most.max(resident().unwrap_or_default());
            let calls = load.progress().calls;
            let done = begun.elapsed().as_secs();
            meter.show(done, length.as_secs(), &format!("seconds, {calls} calls"));
            sleep(LOOK_EVERY).await;
        }
        most
    };
    let before = watch((length - outage) / 2).await;
    let until = begun.elapsed() + outage;
    let (stopped, during) = tokio::join!(running.pause_for(outage), watch(until));
    stopped?;
    let back = Instant::now();
    if timeout(RECOVERY, load.succeeds()).await.is_err() && load.failure().is_none() {
        return Err(format!("no call succeeds {RECOVERY:?} after the outage").into());
    }
    let back = back.elapsed();
    let after = watch(length).await;
    let seen = load.end().await?;
    if during > before + FLAT {
        return Err(format!("memory grew from {before} to {during} bytes in the outage").into());
    }
    let mib = |bytes: u64| bytes >> 20;
    Ok(format!(
        "{:.0?} with {outage:.0?} of outage, {} histories, {} calls, {} refused, {} unknown; memory {} MiB before, {} MiB \
         during, {} MiB after; back after {back:.1?}, longest call {:.1?}, seed {seed:#x}",
        begun.elapsed(),
        seen.histories,
        seen.calls,
        seen.refused,
        seen.unknown,
        mib(before),
        mib(during),
        mib(after),
        seen.longest_call
    ))
}
