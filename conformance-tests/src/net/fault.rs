//! What shall happen to which round trip.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::search::Search;

/// What can happen to a round trip, or to all that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nobody listens any more, and the connections that are open are closed.
    Refuse,
    /// The request is swallowed and the connection closed.
    LoseRequest,
    /// Half of the first bytes of the request arrive, then the connection is closed.
    CutRequest,
    /// The request arrives. Its reply is swallowed and the connection closed.
    LoseReply,
    /// The request arrives. Half of the first bytes of its reply pass, then the connection is closed.
    CutReply,
    /// The request is kept for good, and the connection stays open.
    Hang,
    /// The request arrives. Its reply is kept for good, and the connection stays open.
    Silence,
    /// The request arrives. Its reply comes byte by byte, with pauses.
    Trickle,
    /// The request arrives after this time.
    Delay(Duration),
    /// The request is kept until the fault is taken away.
    HoldRequest,
    /// The request arrives. Its reply is kept until the fault is taken away.
    HoldReply,
}

/// How long a fault lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "it passes, or it stays")]
pub enum Span {
    /// It strikes one round trip; those that follow are in order.
    Once,
    /// It strikes every round trip until it is taken away, those of new connections included.
    ForGood,
}

/// What the links of a proxy have in common: the fault, and what has been seen.
#[derive(Debug)]
pub(crate) struct Control {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    fault: Option<(Fault, Span)>,
    /// The round trip with which the fault begins.
    first: u64,
    /// What comes after a fault that strikes once is held.
    holds_next: bool,
    trips: u64,
    connections: u64,
    struck: u64,
    lost: bool,
    held: u64,
    /// How often what was held has been let go.
    releases: u64,
    needle: Option<Search<()>>,
    sightings: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("fault", &self.fault)
            .field("trips", &self.trips)
            .field("struck", &self.struck)
            .finish_non_exhaustive()
    }
}

impl Control {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// Sets the fault for the round trip `trip` from now, the next one being 1, and forgets what was seen.
    pub(super) fn arm(&self, fault: Fault, trip: u64, span: Span) {
        self.change(|state| {
            state.fault = Some((fault, span));
            state.first = state.trips + trip;
            (state.holds_next, state.lost) = (false, false);
            (state.struck, state.held, state.sightings) = (0, 0, 0);
        });
    }

    /// Loses the reply to the next round trip, and holds the first one that begins afterwards. What begins while the
    /// server still works on the first one, such as a driver's look at the server, is let through.
    pub(super) fn lose_reply_then_hold(&self) {
        self.arm(Fault::LoseReply, 1, Span::Once);
        self.change(|state| state.holds_next = true);
    }

    /// A reply has been lost.
    pub(super) fn lost(&self) {
        self.lock().lost = true;
    }

    /// Takes the fault away and lets go what is held.
    pub(super) fn disarm(&self) {
        self.change(|state| {
            state.fault = None;
            state.releases += 1;
        });
    }

    /// Counts the bursts of clients that contain `needle` from now on.
    pub(super) fn look_for(&self, needle: &[u8]) {
        let mut search = Search::default();
        search.add(needle, &());
        self.change(|state| {
            state.needle = Some(search);
            state.sightings = 0;
        });
    }

    pub(super) fn connected(&self) {
        self.lock().connections += 1;
    }

    pub(super) fn connections(&self) -> u64 {
        self.lock().connections
    }

    pub(super) fn trips(&self) -> u64 {
        self.lock().trips
    }

    pub(super) fn struck(&self) -> u64 {
        self.lock().struck
    }

    pub(super) fn sightings(&self) -> u64 {
        self.lock().sightings
    }

    /// Waits until something is held.
    pub(super) async fn held(&self) {
        self.wait_until(|state| state.held > 0).await;
    }

    /// A client has begun a round trip. Answers with what shall happen to it.
    pub(super) fn begin_trip(&self) -> Option<Fault> {
        let mut state = self.lock();
        state.trips += 1;
        let (fault, span) = state.fault?;
        if state.holds_next && state.lost {
            state.holds_next = false;
            return Some(Fault::HoldRequest);
        }
        let strikes = match span {
            Span::Once => state.trips == state.first,
            Span::ForGood => state.trips >= state.first,
        };
        if strikes {
            state.struck += 1;
        }
        strikes.then_some(fault)
    }

    /// Whether these bytes of a client contain what is looked for.
    pub(super) fn contains_needle(&self, bytes: &[u8]) -> bool {
        let state = self.lock();
        state.needle.as_ref().is_some_and(|needle| !needle.find(bytes).is_empty())
    }

    pub(super) fn sighted(&self) {
        self.lock().sightings += 1;
    }

    /// Waits until the fault is taken away; not at all, if that has happened since it struck.
    pub(super) async fn released(&self) {
        let mut before = None;
        self.change(|state| {
            if state.fault.is_some() {
                state.held += 1;
                before = Some(state.releases);
            }
        });
        if let Some(before) = before {
            self.wait_until(|state| state.releases > before).await;
        }
    }

    /// Whether the fault is still there.
    pub(super) fn is_armed(&self) -> bool {
        self.lock().fault.is_some()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.send_replace(());
    }

    async fn wait_until(&self, condition: impl Fn(&State) -> bool) {
        let mut changed = self.changed.subscribe();
        while !condition(&self.lock()) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
