//! Histories of concurrent calls, each of which must have an order.

use conformance_tests::load::Load;

use crate::Outcome;
use crate::backend::{Backend, seed};
use crate::meter::{LOOK_EVERY, Meter, is_stopped, sleep};

pub(crate) async fn run(backend: Backend, count: u64, meter: &Meter) -> Outcome {
    let running = backend.start().await?;
    let seed = seed();
    let load = Load::new(seed).undisturbed().at_once(12).histories(count);
    let load = load.start(running.handles(5).await?);
    loop {
        let seen = load.progress();
        meter.show(seen.histories, count, &format!("histories, {} calls", seen.calls));
        if is_stopped() {
            return Ok(format!("{} histories, broken off", seen.histories));
        }
        if seen.histories >= count || load.failure().is_some() {
            break;
        }
        sleep(LOOK_EVERY).await;
    }
    let seen = load.end().await?;
    Ok(format!("{} histories, {} calls, each has an order, seed {seed:#x}", seen.histories, seen.calls))
}
