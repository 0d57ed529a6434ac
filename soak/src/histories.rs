//! Histories of concurrent calls, each of which must have an order.

use conformance_tests::load::Load;

use crate::Outcome;
use crate::backend::Running;
use crate::meter::{LOOK_EVERY, Meter, is_stopped, sleep};

pub(crate) async fn run(running: &Running, count: u64, seed: u64, meter: &Meter) -> Outcome {
    let load = Load::new(seed).undisturbed().at_once(12).histories(count);
    let load = load.start(running.handles(5).await?);
    loop {
        let progress = load.progress();
        meter.show(progress.histories, count, &format!("histories, {} calls", progress.calls));
        if is_stopped() {
            return Ok(format!("{} histories, broken off", progress.histories));
        }
        if progress.histories >= count || load.failure().is_some() {
            break;
        }
        sleep(LOOK_EVERY).await;
    }
    let progress = load.end().await?;
    Ok(format!("{} histories, {} calls, each has an order", progress.histories, progress.calls))
}
