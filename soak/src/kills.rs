//! The server killed again and again while clients write.

use std::time::Duration;

use conformance_tests::load::Load;
use tokio::time::{Instant, timeout};

use crate::Outcome;
use crate::backend::{Backend, seed};
use crate::meter::{Meter, is_stopped, sleep};

/// From the moment that the server is back.
pub(crate) const RECOVERY: Duration = Duration::from_secs(5);

pub(crate) async fn run(backend: Backend, count: u64, meter: &Meter) -> Outcome {
    let running = backend.start().await?;
    let seed = seed();
    let load = Load::new(seed).start(running.handles(3).await?);
    let (mut kills, mut longest) = (0, Duration::ZERO);
    while kills < count && !is_stopped() && load.failure().is_none() {
        // At another moment each time.
        sleep(Duration::from_millis(60 + kills * 37 % 140)).await;
        running.kill_and_restart().await?;
        kills += 1;
        let back = Instant::now();
        if timeout(RECOVERY, load.succeeds()).await.is_err() && load.failure().is_none() {
            return Err(format!("no call succeeds {RECOVERY:?} after kill {kills}").into());
        }
        longest = longest.max(back.elapsed());
        let seen = load.progress();
        meter.show(kills, count, &format!("kills, {} histories", seen.histories));
    }
    let seen = load.end().await?;
    Ok(format!(
        "{kills} kills, {} histories, {} calls, {} refused, {} unknown; back after {longest:.1?} at most, longest call {:.1?}, seed {seed:#x}",
        seen.histories, seen.calls, seen.refused, seen.unknown, seen.longest_call
    ))
}
