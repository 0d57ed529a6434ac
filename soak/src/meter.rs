//! How far a run is: a bar on a terminal, a line now and then elsewhere. And Ctrl-C.

use std::io::{IsTerminal as _, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::backend::Backend;
use crate::options::Run;

static STOPPED: AtomicBool = AtomicBool::new(false);

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(15);
/// How often a run looks at how far it is.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(200);

/// From now on Ctrl-C lets the run that is under way end early. A second one ends the process.
pub(crate) fn stop_on_ctrl_c() {
    tokio::spawn(async {
        while tokio::signal::ctrl_c().await.is_ok() {
            if STOPPED.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        }
    });
}

pub(crate) fn is_stopped() -> bool {
    STOPPED.load(Ordering::Relaxed)
}

/// Sleeps, unless Ctrl-C comes.
pub(crate) async fn sleep(time: Duration) {
    let end = Instant::now() + time;
    while !is_stopped() && Instant::now() < end {
        tokio::time::sleep(LOOK_EVERY.min(end - Instant::now())).await;
    }
}

#[derive(Clone)]
pub(crate) struct Meter {
    name: String,
    bar: ProgressBar,
    said: Option<Arc<Mutex<Instant>>>,
}

impl Meter {
    pub(crate) fn new(run: Run, backend: Option<Backend>) -> Self {
        let on = backend.map(|backend| format!(" on {}", backend.name()));
        let name = format!("{}{}", run.name(), on.unwrap_or_default());
        let bar = ProgressBar::new(0);
        if let Ok(style) =
            ProgressStyle::with_template("{prefix:<20} {wide_bar} {pos}/{len} {eta_precise} {msg}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(name.clone());
        let said = (!stderr().is_terminal()).then(|| Arc::new(Mutex::new(Instant::now())));
        if said.is_some() {
            eprintln!("{name}: begins");
        }
        Self { name, bar, said }
    }

    pub(crate) fn show(&self, done: u64, all: u64, text: &str) {
        self.bar.set_length(all);
        self.bar.set_position(done);
        self.bar.set_message(text.to_owned());
        let Some(said) = &self.said else { return };
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() >= LINE_EVERY {
            *said = Instant::now();
            eprintln!("{}: {done} of {all} {text}", self.name);
        }
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
