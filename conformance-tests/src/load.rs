//! Load: many clients on many sessions, for as long as one likes, with everything written down.
//!
//! Meanwhile the server may be killed, stopped, or robbed of its network. Calls may then be refused or have an
//! unknown outcome; but each must end in time, and of each session the acknowledged calls, and those before and after
//! a crash too, must have an order in which they could have happened one by one. So an acknowledged logout
//! stays, an acknowledged write is there, and nobody is missing in the index or outlives a `delete_all`.
//!
//! ```
//! use std::sync::Arc;
//!
//! use conformance_tests::load::Load;
//! use session_core::SessionStore;
//! use session_memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> conformance_tests::Result<()> {
//! let store = MemoryStore::new();
//! let handle = || Arc::new(store.clone()) as Arc<dyn SessionStore>;
//! let load = Load::new(42).undisturbed().histories(100).start(vec![handle(), handle()]);
//! let seen = load.end().await?;
//! assert_eq!(seen.histories, 100);
//! # Ok(())
//! # }
//! ```

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::select;
use session_core::{
    Clock, PageRequest, Record, SessionStore, StoreError, StoreErrorKind, Subject, SystemClock,
    Timestamp,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::Result;
use crate::cx::subject_in;
use crate::history::{Client, Sent, is_open};
use crate::race::race;
use crate::rng::Rng;
use crate::verdict::{Checked, Stop, chain, ensure};

/// Calls of each client in one history. With the look at the end a history must fit into the checker.
const OPERATIONS: usize = 8;
/// The most clients of one session.
const MOST_CLIENTS: usize = 7;
/// What a `delete_all` of one session may consist of: a look, a delete, and another look.
const WALK: u32 = 3;
/// After a call that was refused.
const PAUSE: Duration = Duration::from_millis(10);
/// What load to make.
#[derive(Debug, Clone)]
pub struct Load {
    seed: u64,
    at_once: usize,
    longest_call: Duration,
    longest_outage: Duration,
    histories: u64,
    sent: Sent,
}

/// What has been seen so far.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Calls that have ended.
    pub calls: u64,
    /// Those of them that were refused: an error said that they had no effect.
    pub refused: u64,
    /// Those of them whose outcome is unknown or not durable.
    pub unknown: u64,
    /// Histories that have ended and have an order.
    pub histories: u64,
    /// The longest call.
    pub longest_call: Duration,
}

impl Load {
    /// A load whose choices follow from the seed, without an end.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            at_once: 8,
            longest_call: Duration::from_secs(5),
            longest_outage: Duration::from_secs(30),
            histories: u64::MAX,
            sent: Sent::Again,
        }
    }

    /// Says that nobody disturbs the server. Then no call may be refused or have an unknown outcome, and the
    /// answer of every delete is exact, which after a broken connection it need not be.
    #[must_use]
    pub const fn undisturbed(mut self) -> Self {
        self.sent = Sent::Once;
        self
    }

    /// How many sessions are used at the same time. Eight where nothing is said.
    #[must_use]
    pub const fn at_once(mut self, sessions: usize) -> Self {
        self.at_once = sessions;
        self
    }

    /// After which time every call must have ended, a `delete_all` after three times as long. Five seconds where
    /// nothing is said.
    #[must_use]
    pub const fn longest_call(mut self, longest: Duration) -> Self {
        self.longest_call = longest;
        self
    }

    /// How long the server may be away: whoever looks at the end of a history waits for so long. Half a minute where
    /// nothing is said.
    #[must_use]
    pub const fn longest_outage(mut self, longest: Duration) -> Self {
        self.longest_outage = longest;
        self
    }

    /// Ends by itself after so many histories.
    #[must_use]
    pub const fn histories(mut self, count: u64) -> Self {
        self.histories = count;
        self
    }

    /// Starts tasks on the current runtime. Every session is used by all of the handles, at most seven of
    /// them, so open each of them separately.
    ///
    /// # Panics
    ///
    /// Without a handle, and outside of a tokio runtime.
    #[must_use]
    pub fn start(self, mut handles: Vec<Arc<dyn SessionStore>>) -> Running {
        assert!(!handles.is_empty(), "a load needs a handle");
        handles.truncate(MOST_CLIENTS);
        let mut rng = Rng::new(self.seed);
        let shared = Arc::new(Shared {
            handles,
            left: AtomicU64::new(self.histories),
            load: self,
            stopped: AtomicBool::new(false),
            seen: Mutex::default(),
            succeeded: watch::Sender::new(Instant::now()),
            failure: watch::Sender::default(),
        });
        let mut tasks = JoinSet::new();
        for _ in 0..shared.load.at_once {
            tasks.spawn(Arc::clone(&shared).histories(rng.fork()));
        }
        Running { shared, tasks }
    }
}

/// A load that runs. Ends when it is dropped.
#[derive(Debug)]
pub struct Running {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Running {
    /// What has been seen so far.
    #[must_use]
    pub fn progress(&self) -> Progress {
        *self.shared.seen()
    }

    /// What is wrong, as soon as something is; the load has then come to its end.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.shared.failure.borrow().clone()
    }

    /// Waits until a call has succeeded that began later than this.
    pub async fn succeeds(&self) {
        let now = Instant::now();
        let mut succeeded = self.shared.succeeded.subscribe();
        // The sender lives as long as we do.
        let _ = succeeded.wait_for(|begun| *begun > now).await;
    }

    /// The same, for at most so long: for the time after a trouble.
    ///
    /// # Errors
    ///
    /// When no call succeeds in that time, or something else is wrong.
    pub async fn succeeds_within(&self, patience: Duration) -> Result<()> {
        let mut failure = self.shared.failure.subscribe();
        // After a failure nobody calls any more.
        let failed = pin!(async { drop(failure.wait_for(Option::is_some).await) });
        let ended = timeout(patience, select(failed, pin!(self.succeeds()))).await.is_ok();
        match (self.failure(), ended) {
            (Some(failure), _) => Err(failure.into()),
            (None, true) => Ok(()),
            (None, false) => {
                let seen = self.progress();
                Err(format!("no call succeeds {patience:?} after the trouble: {seen:?}").into())
            }
        }
    }

    /// Begins no further history, and waits for the end of those that have begun; or for the end of all, if their
    /// number was given.
    ///
    /// # Errors
    ///
    /// What the first history that has no order looks like, or what else went wrong.
    pub async fn end(mut self) -> Result<Progress> {
        if self.shared.load.histories == u64::MAX {
            self.shared.stopped.store(true, Ordering::Relaxed);
        }
        while let Some(ended) = self.tasks.join_next().await {
            ended?;
        }
        match self.failure() {
            Some(failure) => Err(failure.into()),
            None => Ok(*self.shared.seen()),
        }
    }
}

#[derive(Debug)]
struct Shared {
    load: Load,
    handles: Vec<Arc<dyn SessionStore>>,
    left: AtomicU64,
    stopped: AtomicBool,
    seen: Mutex<Progress>,
    /// When the latest call that succeeded had begun.
    succeeded: watch::Sender<Instant>,
    /// The first thing that was wrong.
    failure: watch::Sender<Option<String>>,
}

impl Shared {
    /// One history after the other.
    async fn histories(self: Arc<Self>, mut rng: Rng) {
        while !self.is_stopped() && self.take_one() {
            if let Err(Stop::Failed(failure)) = self.history(rng.fork()).await {
                self.stopped.store(true, Ordering::Relaxed);
                self.failure.send_if_modified(|first| {
                    let is_first = first.is_none();
                    first.get_or_insert_with(|| failure.to_string());
                    is_first
                });
            }
        }
    }

    fn take_one(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// All clients at once on a new session, then a look at what is left.
    async fn history(self: &Arc<Self>, mut rng: Rng) -> Checked {
        let base = SystemClock.now();
        let subject = subject_in("", &format!("load {:016x}", rng.next()))?;
        let sent = self.load.sent;
        let (recorder, id, clients) = Client::each(sent, &self.handles, &mut rng, &subject, base);
        let clients = clients.into_iter().map(|client| Arc::clone(self).operate(client));
        for ended in race(clients.collect::<Vec<_>>()).await? {
            ended?;
        }
        let store = &*self.handles[0];
        let observer = self.handles.len();
        let end = self.insist(|| recorder.load(observer, store, &id, base)).await?;
        recorder.expect_an_order(base)?;
        self.is_found_by_subject(store, end.as_ref(), &subject, base).await?;
        // A long run must not fill the server.
        self.insist(|| store.delete(&id, base)).await?;
        let unknown = recorder.history().iter().filter(|call| call.answer.is_none()).count();
        ensure!(unknown == 0 || sent == Sent::Again, "the outcome of a call is unknown");
        let mut seen = self.seen();
        seen.unknown += unknown as u64;
        seen.histories += 1;
        Ok(())
    }

    async fn operate(self: Arc<Self>, mut client: Client) -> Checked {
        let mut left = OPERATIONS;
        while left > 0 && !self.is_stopped() {
            let begun = Instant::now();
            match self.timed(1, client.operate()).await? {
                Ok(answered) => {
                    left -= 1;
                    if answered {
                        self.succeeded.send_if_modified(|latest| {
                            let newer = begun > *latest;
                            *latest = begun.max(*latest);
                            newer
                        });
                    }
                }
                // As long as the server is away.
                Err(_) => sleep(PAUSE).await,
            }
        }
        Ok(())
    }

    /// Nobody who belongs to a subject is missing in its list, or outlives a `delete_all`.
    async fn is_found_by_subject(
        &self,
        store: &dyn SessionStore,
        end: Option<&Record>,
        subject: &Subject,
        now: Timestamp,
    ) -> Checked {
        let record = end.filter(|record| record.subject() == Some(subject));
        let (Some(index), Some(record)) = (store.subject_index(), record) else {
            return Ok(());
        };
        let page = PageRequest::first(100);
        let listed = self.insist(|| index.list(subject, &page, now)).await?.items;
        let listed = listed.iter().any(|summary| summary.id == *record.id());
        ensure!(listed, "a live session is not in the list of its subject");
        self.insist_for(WALK, || index.delete_all(subject, None, now)).await?;
        let left = self.insist(|| store.load(record.id(), now)).await?;
        ensure!(left.is_none(), "a session is alive after a `delete_all` of its subject");
        Ok(())
    }

    /// Calls until an answer comes.
    async fn insist<T, F>(&self, call: impl Fn() -> F) -> Checked<T>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        self.insist_for(1, call).await
    }

    /// The same for what may take as long as so many calls.
    async fn insist_for<T, F>(&self, calls: u32, call: impl Fn() -> F) -> Checked<T>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let (begun, patience) = (Instant::now(), self.load.longest_outage);
        loop {
            match self.timed(calls, call()).await? {
                Ok(answer) => return Ok(answer),
                Err(error) => ensure!(
                    begun.elapsed() < patience,
                    "no answer in {patience:?} at the end of a history: {}",
                    chain(&error)
                ),
            }
            sleep(PAUSE).await;
        }
    }

    /// Makes what consists of so many calls, which must end in time. An error is one that a server in trouble may
    /// cause.
    async fn timed<T>(
        &self,
        calls: u32,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Checked<Result<T, StoreError>> {
        let limit = self.load.longest_call * calls;
        let begun = Instant::now();
        let ended = timeout(limit, call).await;
        let took = begun.elapsed();
        let answer = ended.map_err(|_| Stop::failed(format!("a call did not end in {limit:?}")))?;
        let mut seen = self.seen();
        seen.calls += 1;
        seen.longest_call = seen.longest_call.max(took);
        if let Err(error) = &answer {
            let trouble =
                error.is_retryable() || is_open(error) || error.kind() == StoreErrorKind::ReadOnly;
            let trouble = trouble && self.load.sent == Sent::Again;
            ensure!(trouble, "a call failed with {}", chain(error));
            seen.refused += u64::from(!is_open(error));
        }
        Ok(answer)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn seen(&self) -> MutexGuard<'_, Progress> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
