//! Watches what is logged in this process.
//!
//! The subscriber sees our own crates at every level and all others at `DEBUG`, whether they log through
//! `tracing` or through `log`, and keeps nothing: each event and span is searched as it comes.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use crate::search::Search;

/// Whose secret it is: one run of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope(u64);

/// A secret that was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leak {
    /// What it was.
    pub(crate) what: &'static str,
    /// Where it was logged: level and target, never the text.
    pub(crate) place: String,
}

pub(crate) struct Watch {
    search: RwLock<Search<(Scope, &'static str)>>,
    leaks: Mutex<Vec<(Scope, Leak)>>,
    own_crates: RwLock<BTreeSet<String>>,
    next: AtomicU64,
}

/// The watch of this process, set up by the first call.
///
/// # Errors
///
/// When somebody else receives what is logged; the text says who.
pub(crate) fn watch() -> Result<&'static Watch, &'static str> {
    static WATCH: OnceLock<Result<&'static Watch, &'static str>> = OnceLock::new();
    *WATCH.get_or_init(|| {
        let watch: &'static Watch = Box::leak(Box::new(Watch::new()));
        tracing::subscriber::set_global_default(Receiver(watch))
            .map_err(|_| "another subscriber of `tracing` is set in this process")?;
        log::set_boxed_logger(Box::new(Receiver(watch)))
            .map_err(|_| "another logger of `log` is set in this process")?;
        log::set_max_level(log::LevelFilter::Trace);
        Ok(watch)
    })
}

impl Watch {
    fn new() -> Self {
        Self {
            search: RwLock::default(),
            leaks: Mutex::default(),
            own_crates: RwLock::default(),
            next: AtomicU64::new(1),
        }
    }

    /// A scope that nobody else has.
    pub(crate) fn scope(&self) -> Scope {
        Scope(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Sees the crate with this name at every level too.
    pub(crate) fn own_crate(&self, name: &str) {
        let name = name.replace('-', "_");
        self.own_crates.write().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    /// Looks for `secret` in all that is logged from now on.
    pub(crate) fn guard(&self, scope: Scope, secret: &[u8], what: &'static str) {
        let mut search = self.search.write().unwrap_or_else(PoisonError::into_inner);
        search.add(secret, &(scope, what));
    }

    /// What was found of this scope, and forgets it.
    pub(crate) fn take(&self, scope: Scope) -> Vec<Leak> {
        let mut leaks = self.leaks.lock().unwrap_or_else(PoisonError::into_inner);
        let found = leaks.extract_if(.., |(of, _)| *of == scope);
        found.map(|(_, leak)| leak).collect()
    }

    /// Forgets the secrets of this scope.
    pub(crate) fn close(&self, scope: Scope) {
        let mut search = self.search.write().unwrap_or_else(PoisonError::into_inner);
        search.retain(|(of, _)| *of != scope);
        drop(search);
        self.take(scope);
    }

    fn is_own(&self, target: &str) -> bool {
        let name = target.split("::").next().unwrap_or(target);
        name == "session"
            || name.starts_with("session_")
            || self.own_crates.read().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    fn look(&self, level: &dyn fmt::Display, target: &str, text: &str) {
        let found =
            self.search.read().unwrap_or_else(PoisonError::into_inner).find(text.as_bytes());
        for (scope, what) in found {
            let leak = Leak { what, place: format!("{level} {target}") };
            self.leaks.lock().unwrap_or_else(PoisonError::into_inner).push((scope, leak));
        }
    }
}

struct Receiver(&'static Watch);

impl Receiver {
    fn look(&self, metadata: &Metadata<'_>, fields: impl FnOnce(&mut Text)) {
        let mut text = Text(metadata.name().to_owned());
        fields(&mut text);
        self.0.look(metadata.level(), metadata.target(), &text.0);
    }
}

impl Subscriber for Receiver {
    /// Not to be remembered: a crate may become one of our own later.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::DEBUG || self.0.is_own(metadata.target())
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.look(span.metadata(), |text| span.record(text));
        Id::from_u64(self.0.next.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut text = Text::default();
        values.record(&mut text);
        self.0.look(&"span", "", &text.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.look(event.metadata(), |text| event.record(text));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl log::Log for Receiver {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Debug || self.0.is_own(metadata.target())
    }

    fn log(&self, record: &log::Record<'_>) {
        if log::Log::enabled(self, record.metadata()) {
            self.0.look(&record.level(), record.target(), &record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// The fields of an event or span, one after another.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {field}={value}");
    }
}
