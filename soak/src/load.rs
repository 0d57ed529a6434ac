//! Load for a long time, with an outage in the middle.

use std::time::Duration;

use conformance_tests::load::{Load, Running as Traffic};
use tokio::time::Instant;

use crate::Outcome;
use crate::backend::Running;
use crate::kills::RECOVERY;
use crate::memory_use::{Memory, resident};
use crate::meter::{LOOK_EVERY, Meter, is_stopped, sleep};

/// The longest outage.
const OUTAGE: Duration = Duration::from_secs(60);
/// What a busy machine may take on top.
const SLACK: Duration = Duration::from_secs(30);
/// Sessions that are used at the same time.
const AT_ONCE: usize = 64;

pub(crate) async fn run(running: &Running, length: Duration, seed: u64, meter: &Meter) -> Outcome {
    let outage = OUTAGE.min(length / 4);
    let load = Load::new(seed).at_once(AT_ONCE).longest_outage(outage + SLACK);
    let load = load.start(running.handles(3).await?);
    let begun = Instant::now();
    let watch = async |until| most_memory(&load, begun, (until, length), meter).await;

    let before = watch(length.saturating_sub(outage) / 2).await;
    let (stopped, during) =
        tokio::join!(running.pause_for(outage), watch(begun.elapsed() + outage));
    stopped?;
    let resumed = Instant::now();
    load.succeeds_within(RECOVERY).await?;
    let back = resumed.elapsed();
    let after = watch(length).await;

    let progress = load.end().await?;
    if is_stopped() {
        return Ok(format!(
            "{:.0?}, {} histories, {} calls, broken off",
            begun.elapsed(),
            progress.histories,
            progress.calls
        ));
    }
    let memory = Memory { before, during, after };
    memory.is_flat()?;
    Ok(format!(
        "{:.0?} with {outage:.0?} of outage, {} histories, {} calls, {} refused, {} unknown; memory {memory}; back after \
         {back:.1?}, longest call {:.1?}",
        begun.elapsed(),
        progress.histories,
        progress.calls,
        progress.refused,
        progress.unknown,
        progress.longest_call
    ))
}

/// The most bytes that this process takes until the run is this old.
async fn most_memory(
    load: &Traffic,
    begun: Instant,
    (until, length): (Duration, Duration),
    meter: &Meter,
) -> u64 {
    let mut most = 0;
    while begun.elapsed() < until && !is_stopped() && load.failure().is_none() {
        most = most.max(resident().unwrap_or_default());
        let calls = load.progress().calls;
        meter.show(begun.elapsed().as_secs(), length.as_secs(), &format!("seconds, {calls} calls"));
        sleep(LOOK_EVERY).await;
    }
    most
}
