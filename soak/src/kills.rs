//! The server killed again and again while clients write.

use std::time::Duration;

use conformance_tests::load::Load;
use tokio::time::Instant;

use crate::Outcome;
use crate::backend::Running;
use crate::meter::{Meter, is_stopped, sleep};

/// From the moment that the server is back.
pub(crate) const RECOVERY: Duration = Duration::from_secs(5);

pub(crate) async fn run(running: &Running, count: u64, seed: u64, meter: &Meter) -> Outcome {
    let load = Load::new(seed).start(running.handles(3).await?);
    let (mut kills, mut longest) = (0, Duration::ZERO);
    while kills < count && !is_stopped() && load.failure().is_none() {
        // At another moment each time.
        sleep(Duration::from_millis(60 + kills * 37 % 140)).await;
        running.kill_and_restart().await?;
        kills += 1;
        let back = Instant::now();
        let recovered = load.succeeds_within(RECOVERY).await;
        recovered.map_err(|error| format!("after kill {kills}: {error}"))?;
        longest = longest.max(back.elapsed());
        let progress = load.progress();
        meter.show(kills, count, &format!("kills, {} histories", progress.histories));
    }
    let progress = load.end().await?;
    Ok(format!(
        "{kills} kills, {} histories, {} calls, {} refused, {} unknown; back after {longest:.1?} at most, longest call {:.1?}",
        progress.histories,
        progress.calls,
        progress.refused,
        progress.unknown,
        progress.longest_call
    ))
}
