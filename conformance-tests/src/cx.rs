//! What a rule has in its hands.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use session_core::{
    Clock, CreateOutcome, Inspect, ManualClock, Page, PageRequest, Purge, Realm, Record, Revision,
    SecretHash, SessionId, SessionStore, SessionSummary, StoreError, Subject, SubjectIndex,
    Timestamp,
};

use crate::BoxError;
use crate::fixture::AnyFixture;
use crate::fresh::{Fresh, differences, random_id};
use crate::net::Proxy;
use crate::profile::Profile;
use crate::rng::{Rng, entropy};
use crate::secrets::Secrets;
use crate::space::Space;
use crate::transcript::Transcript;
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

/// A rule's own namespace, two handles that were opened on it separately, a clock, and choices.
pub(crate) struct Cx {
    fixture: Arc<dyn AnyFixture>,
    profile: Profile,
    space: Space,
    store: Arc<dyn SessionStore>,
    other: Arc<dyn SessionStore>,
    opened: Arc<AtomicU32>,
    clock: ManualClock,
    rng: Mutex<Rng>,
    effort: u32,
    transcript: Arc<Transcript>,
    secrets: Arc<Secrets>,
    round_trips: Arc<Mutex<Vec<(&'static str, u64)>>>,
    used: Used,
}

/// Whether the namespace was used before the rule began.
enum Used {
    No,
    /// It was: records are not counted, and the names of subjects end in this.
    Before(String),
}

/// A handle whose way to the backend can be disturbed.
pub(crate) struct Line {
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) proxy: Arc<Proxy>,
}

/// What a rule is run with.
pub(crate) struct Setting {
    pub(crate) fixture: Arc<dyn AnyFixture>,
    pub(crate) profile: Profile,
    pub(crate) space: Space,
    pub(crate) clock: ManualClock,
    pub(crate) transcript: Arc<Transcript>,
    pub(crate) seed: u64,
    pub(crate) effort: u32,
    pub(crate) round_trips: Arc<Mutex<Vec<(&'static str, u64)>>>,
}

impl Cx {
    pub(crate) async fn open_first(setting: Setting) -> Checked<Self> {
        let Setting { fixture, profile, space, clock, transcript, seed, effort, round_trips } =
            setting;
        let secrets = Secrets::new(profile.name());
        let store = transcript.record(fixture.open(&space).await?, 1);
        let other = transcript.record(fixture.open(&space).await?, 2);
        Ok(Self {
            fixture,
            profile,
            space,
            store,
            other,
            opened: Arc::new(AtomicU32::new(2)),
            clock,
            rng: Mutex::new(Rng::new(seed)),
            effort,
            transcript,
            secrets,
            round_trips,
            used: Used::No,
        })
    }

    /// The same namespace with `store` as the first handle, for a rule that is run once more where others
    /// have been at work.
    pub(crate) fn again_on(&self, store: &Arc<dyn SessionStore>) -> Self {
        let mut rng = self.rng();
        Self {
            fixture: Arc::clone(&self.fixture),
            profile: self.profile,
            space: self.space.clone(),
            store: Arc::clone(store),
            other: Arc::clone(&self.other),
            opened: Arc::clone(&self.opened),
            clock: self.clock.clone(),
            effort: self.effort,
            transcript: Arc::clone(&self.transcript),
            secrets: Arc::clone(&self.secrets),
            round_trips: Arc::clone(&self.round_trips),
            used: Used::Before(format!(" {:016x}", rng.next())),
            rng: Mutex::new(rng),
        }
    }

    /// The first handle.
    pub(crate) const fn store(&self) -> &Arc<dyn SessionStore> {
        &self.store
    }

    /// The second handle, as another server would have it.
    pub(crate) const fn other(&self) -> &Arc<dyn SessionStore> {
        &self.other
    }

    pub(crate) const fn both(&self) -> [&Arc<dyn SessionStore>; 2] {
        [&self.store, &self.other]
    }

    /// One more handle on the namespace of the rule.
    pub(crate) async fn open(&self) -> Checked<Arc<dyn SessionStore>> {
        self.open_in(&self.space).await
    }

    /// A handle on another namespace.
    pub(crate) async fn open_in(&self, space: &Space) -> Checked<Arc<dyn SessionStore>> {
        let number = self.next_number();
        Ok(self.transcript.record(self.fixture.open(space).await?, number))
    }

    /// One more handle, with a single connection.
    pub(crate) async fn open_narrow(&self) -> Checked<Arc<dyn SessionStore>> {
        let number = self.next_number();
        Ok(self.transcript.record(self.fixture.open_narrow(&self.space).await?, number))
    }

    /// One more handle, which reaches the backend through a proxy of its own and has done so once.
    /// Stops the rule as not applicable where there is no network to disturb.
    pub(crate) async fn line(&self) -> Checked<Line> {
        let proxy = Proxy::new();
        let store = self.open_through(&proxy).await?;
        self.line_of(store, proxy).await
    }

    /// The same with a single connection.
    pub(crate) async fn narrow_line(&self) -> Checked<Line> {
        let proxy = Proxy::new();
        let number = self.next_number();
        let store = self.fixture.open_narrow(&self.space.through(&proxy)).await?;
        self.line_of(self.transcript.record(store, number), proxy).await
    }

    async fn line_of(&self, store: Arc<dyn SessionStore>, proxy: Arc<Proxy>) -> Checked<Line> {
        if !proxy.is_used().await {
            return Err(Stop::not_applicable(
                "there is no network to disturb: the fixture asks for no address",
            ));
        }
        store.load(&self.id(), self.now()).await?;
        Ok(Line { store, proxy })
    }

    /// Opens a handle through the proxy. What goes wrong may be the proxy's doing.
    pub(crate) async fn open_through(
        &self,
        proxy: &Arc<Proxy>,
    ) -> Result<Arc<dyn SessionStore>, BoxError> {
        let number = self.next_number();
        let store = self.fixture.open(&self.space.through(proxy)).await?;
        Ok(self.transcript.record(store, number))
    }

    fn next_number(&self) -> u32 {
        self.opened.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Notes for the result how many round trips an operation takes.
    pub(crate) fn note_round_trips(&self, operation: &'static str, count: u64) {
        let mut noted = self.round_trips.lock().unwrap_or_else(PoisonError::into_inner);
        noted.push((operation, count));
    }

    /// The two handles and more, `count` in all.
    pub(crate) async fn handles(&self, count: usize) -> Checked<Vec<Arc<dyn SessionStore>>> {
        let mut handles = vec![Arc::clone(&self.store), Arc::clone(&self.other)];
        while handles.len() < count {
            handles.push(self.open().await?);
        }
        Ok(handles)
    }

    /// Another namespace, whose name begins with the name of this one.
    pub(crate) fn twin(&self, suffix: &str) -> Space {
        Space::new(format!("{}{suffix}", self.space.name()))
    }

    pub(crate) const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The clock of the rule: starts at the machine's time and moves when it is told to.
    pub(crate) const fn clock(&self) -> &ManualClock {
        &self.clock
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The time this many milliseconds from now.
    pub(crate) fn after(&self, millis: u64) -> Timestamp {
        self.now().plus(Duration::from_millis(millis))
    }

    pub(crate) fn advance(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    /// As many rounds of a race, or repetitions, as the effort of this run allows; at least one.
    pub(crate) fn rounds(&self, full: usize) -> usize {
        (full * self.effort as usize / 100).max(1)
    }

    /// A generator of its own for choices.
    pub(crate) fn rng(&self) -> Rng {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fork()
    }

    /// A new record, to be adjusted.
    pub(crate) fn fresh(&self) -> Fresh {
        Fresh::new(self.rng(), self.now())
    }

    pub(crate) fn id(&self) -> SessionId {
        random_id(&mut self.rng())
    }

    pub(crate) fn revision(&self) -> Revision {
        Revision::from_bytes(self.rng().bytes())
    }

    pub(crate) fn hash(&self) -> SecretHash {
        SecretHash::from_bytes(self.rng().bytes())
    }

    pub(crate) fn subject(&self, name: &str) -> Checked<Subject> {
        match &self.used {
            Used::No => subject_in("", name),
            Used::Before(ending) => subject_in("", &format!("{name}{ending}")),
        }
    }

    /// A new id to name something with that must not meet anything of another run.
    pub(crate) fn nonce() -> u32 {
        u32::try_from(entropy() >> 32).unwrap_or_default()
    }

    /// Stores the record, which must be possible.
    pub(crate) async fn create(&self, record: &Record) -> Checked {
        let answer = self.store.create(record, self.now()).await?;
        ensure_eq!(answer, CreateOutcome::Created, "creating under a new id");
        Ok(())
    }

    /// Stores many records.
    pub(crate) async fn create_all(&self, records: &[Record]) -> Checked {
        for batch in records.chunks(32) {
            try_join_all(batch.iter().map(|record| self.create(record))).await?;
        }
        Ok(())
    }

    /// The record as every handle sees it now; all must see the same.
    pub(crate) async fn load(&self, id: &SessionId) -> Checked<Option<Record>> {
        self.load_at(id, self.now()).await
    }

    pub(crate) async fn load_at(&self, id: &SessionId, now: Timestamp) -> Checked<Option<Record>> {
        let first = self.store.load(id, now).await?;
        let second = self.other.load(id, now).await?;
        match (&first, &second) {
            (Some(seen), Some(expected)) => same(seen, expected, "the two handles")?,
            (None, None) => {}
            _ => ensure_eq!(second, first, "the two handles see different things"),
        }
        Ok(first)
    }

    /// Every handle sees exactly this record.
    pub(crate) async fn expect(&self, expected: &Record) -> Checked {
        self.expect_at(expected, self.now()).await
    }

    pub(crate) async fn expect_at(&self, expected: &Record, now: Timestamp) -> Checked {
        match self.load_at(expected.id(), now).await? {
            Some(seen) => same(&seen, expected, "the stored record"),
            None => Err(Stop::failed(format!("the record is not visible at {now:?}"))),
        }
    }

    /// No handle sees a record.
    pub(crate) async fn expect_none(&self, id: &SessionId) -> Checked {
        self.expect_none_at(id, self.now()).await
    }

    pub(crate) async fn expect_none_at(&self, id: &SessionId, now: Timestamp) -> Checked {
        let seen = self.load_at(id, now).await?;
        ensure!(seen.is_none(), "a session is visible at {now:?} that should not be: {seen:?}");
        Ok(())
    }

    /// So many records are physically there, where the fixture can tell.
    pub(crate) async fn expect_rows(&self, expected: u64) -> Checked {
        if let Used::Before(_) = self.used {
            return Ok(());
        }
        if let Some(rows) = self.fixture.physical_rows(&self.space).await? {
            ensure_eq!(rows, expected, "records that are physically present");
        }
        Ok(())
    }

    /// Damages the stored record, or stops the rule as not applicable.
    pub(crate) async fn corrupt(&self, id: &SessionId) -> Checked {
        match self.fixture.corrupt(&self.space, id).await? {
            Some(()) => Ok(()),
            None => Err(Stop::not_applicable("the fixture cannot damage a record")),
        }
    }

    /// What must neither be stored nor logged.
    pub(crate) const fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }

    /// Everything that the backend holds of the namespace, where the fixture can tell.
    pub(crate) async fn stored(&self) -> Checked<Option<Vec<Vec<u8>>>> {
        Ok(self.fixture.stored(&self.space).await?)
    }

    /// The subject index of the first handle.
    pub(crate) fn index(&self) -> Checked<&dyn SubjectIndex> {
        index_of(&self.store)
    }

    pub(crate) fn purge(&self) -> Checked<&dyn Purge> {
        self.store.purger().ok_or_else(|| Stop::failed("the store answers no `Purge`"))
    }

    /// The subject's sessions as every handle lists them, each once, in the order of their ids.
    pub(crate) async fn list(&self, subject: &Subject) -> Checked<Vec<SessionSummary>> {
        let first = list_all(&self.store, subject, 100, self.now()).await?;
        let second = list_all(&self.other, subject, 100, self.now()).await?;
        ensure_eq!(second, first, "the two handles list different sessions");
        Ok(first)
    }

    /// Every handle lists exactly these sessions.
    pub(crate) async fn expect_list(&self, subject: &Subject, expected: &[&Record]) -> Checked {
        let seen: Vec<_> = self.list(subject).await?.iter().map(|summary| summary.id).collect();
        let mut expected: Vec<_> = expected.iter().map(|record| *record.id()).collect();
        expected.sort_unstable();
        ensure_eq!(seen, expected, "the sessions of the subject");
        Ok(())
    }
}

pub(crate) fn index_of(store: &Arc<dyn SessionStore>) -> Checked<&dyn SubjectIndex> {
    store.subject_index().ok_or_else(|| Stop::failed("the store answers no `SubjectIndex`"))
}

pub(crate) fn subject_in(realm: &str, name: &str) -> Checked<Subject> {
    let realm = Realm::new(realm).map_err(|error| Stop::failed(error.to_string()))?;
    Subject::new(&realm, name).map_err(|error| Stop::failed(error.to_string()))
}

pub(crate) const fn at_most(limit: u32) -> NonZeroU32 {
    match NonZeroU32::new(limit) {
        Some(limit) => limit,
        None => NonZeroU32::MIN,
    }
}

/// The two records are equal in every field.
#[track_caller]
pub(crate) fn same(actual: &Record, expected: &Record, what: &str) -> Checked {
    let found = differences(actual, expected);
    if found.is_empty() {
        return Ok(());
    }
    Err(Stop::failed(format!("{what}: not the same record\n  {}", found.join("\n  "))))
}

/// Walks the list of a subject in pages of `limit`; each session once, in the order of their ids.
pub(crate) async fn list_all(
    store: &Arc<dyn SessionStore>,
    subject: &Subject,
    limit: u16,
    now: Timestamp,
) -> Checked<Vec<SessionSummary>> {
    Walk::List(index_of(store)?, subject).all(limit, now).await
}

/// Walks all sessions in pages of `limit`; each session once, in the order of their ids.
pub(crate) async fn scan_all(
    store: &Arc<dyn SessionStore>,
    limit: u16,
    now: Timestamp,
) -> Checked<Vec<SessionSummary>> {
    Walk::Scan(inspect_of(store)?).all(limit, now).await
}

fn inspect_of(store: &Arc<dyn SessionStore>) -> Checked<&dyn Inspect> {
    store.inspect().ok_or_else(|| Stop::failed("the store answers no `Inspect`"))
}

/// Walks the list of a subject, or with `None` all sessions, in pages of `limit`, and deletes what each page
/// showed before it asks for the next: whoever counts places instead of marking one then passes over some.
/// Answers with the ids that were seen.
pub(crate) async fn walk_and_delete(
    store: &Arc<dyn SessionStore>,
    subject: Option<&Subject>,
    limit: u16,
    now: Timestamp,
) -> Checked<Vec<SessionId>> {
    let walk = match subject {
        Some(subject) => Walk::List(index_of(store)?, subject),
        None => Walk::Scan(inspect_of(store)?),
    };
    let mut request = PageRequest::first(limit);
    let mut seen = Vec::new();
    loop {
        let page = walk.page(&request, now).await?;
        for summary in page.items {
            store.delete(&summary.id, now).await?;
            seen.push(summary.id);
        }
        let Some(cursor) = page.next else {
            seen.sort_unstable();
            seen.dedup();
            return Ok(seen);
        };
        request = PageRequest::first(limit).after(cursor);
    }
}

enum Walk<'a> {
    List(&'a dyn SubjectIndex, &'a Subject),
    Scan(&'a dyn Inspect),
}

impl Walk<'_> {
    async fn page(
        &self,
        request: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        match self {
            Self::List(index, subject) => index.list(subject, request, now).await,
            Self::Scan(inspect) => inspect.scan(request, now).await,
        }
    }

    async fn all(&self, limit: u16, now: Timestamp) -> Checked<Vec<SessionSummary>> {
        /// Far more than any walk of a rule has; a cursor that goes in circles is found by it.
        const MOST_PAGES: usize = 20_000;

        let mut request = PageRequest::first(limit);
        let mut seen: Vec<SessionSummary> = Vec::new();
        for _ in 0..MOST_PAGES {
            let page = self.page(&request, now).await?;
            ensure!(
                page.items.len() <= request.limit(),
                "a page has at most {} entries, this one {}",
                request.limit(),
                page.items.len()
            );
            seen.extend(page.items);
            let Some(cursor) = page.next else {
                seen.sort_by_key(|summary| summary.id);
                seen.dedup_by_key(|summary| summary.id);
                return Ok(seen);
            };
            request = PageRequest::first(limit).after(cursor);
        }
        Err(Stop::failed(format!("the walk does not end: {MOST_PAGES} pages read")))
    }
}
