//! What a rule asked the store, and what it was told.

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write as _};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use session_core::{
    Change, Count, CreateOutcome, Inspect, Page, PageRequest, Purge, Purged, Record, Revision,
    SessionId, SessionStore, SessionSummary, StoreError, Subject, SubjectIndex, Timestamp,
    TouchOutcome, UpdateOutcome, async_trait,
};

use crate::verdict::chain;

/// How many calls are kept.
const KEPT: usize = 64;

/// The last calls of a rule on all its handles, with ids, revisions and subjects as labels.
pub(crate) struct Transcript {
    start: Timestamp,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    labels: HashMap<Vec<u8>, String>,
    counts: HashMap<&'static str, u32>,
    calls: VecDeque<Call>,
    forgotten: u64,
}

struct Call {
    handle: u32,
    text: String,
    answer: Option<String>,
    begun: Instant,
    took: Duration,
}

impl Transcript {
    /// An empty transcript whose times are shown relative to `start`.
    pub(crate) fn new(start: Timestamp) -> Self {
        Self { start, inner: Mutex::default() }
    }

    /// A store whose calls are written down here.
    pub(crate) fn record(
        self: &Arc<Self>,
        inner: Arc<dyn SessionStore>,
        handle: u32,
    ) -> Arc<dyn SessionStore> {
        Arc::new(Recorded { inner, handle, transcript: Arc::clone(self) })
    }

    /// `text` with ids and revisions as labels and times relative to the start of the rule.
    pub(crate) fn labelled(&self, text: &str) -> String {
        let text = Self::replace(text, "SessionId(", |inside| {
            let id: SessionId = inside.parse().ok()?;
            Some(self.id(&id))
        });
        let text = Self::replace(&text, "Revision(", |inside| {
            let bits = u64::from_str_radix(inside, 16).ok()?;
            Some(self.revision(Revision::from_bytes(bits.to_be_bytes())))
        });
        Self::replace(&text, "Timestamp(", |inside| {
            let millis = inside.strip_suffix(" ms")?.parse().ok()?;
            Some(self.time(Timestamp::from_millis(millis)))
        })
    }

    /// `text` with labels for the ids that stand in it without being marked as such, in an error's text say.
    pub(crate) fn without_ids(&self, text: &str) -> String {
        let inner = self.lock();
        let ids = inner.labels.iter().filter_map(|(key, label)| {
            let id = SessionId::try_from(key.strip_prefix(b"id")?).ok()?;
            Some((id.to_string(), label))
        });
        ids.fold(text.to_owned(), |text, (id, label)| text.replace(&id, label))
    }

    fn replace(text: &str, opening: &str, label: impl Fn(&str) -> Option<String>) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(opening) {
            let inside = at + opening.len();
            let Some(length) = rest[inside..].find(')') else { break };
            shown.push_str(&rest[..at]);
            match label(&rest[inside..inside + length]) {
                Some(label) => shown.push_str(&label),
                None => shown.push_str(&rest[at..=inside + length]),
            }
            rest = &rest[inside + length + 1..];
        }
        shown.push_str(rest);
        shown
    }

    fn id(&self, id: &SessionId) -> String {
        self.label("id", id.as_bytes())
    }

    fn revision(&self, revision: Revision) -> String {
        self.label("rev", revision.as_bytes())
    }

    fn subject(&self, subject: &Subject) -> String {
        self.label("subject", subject.as_bytes())
    }

    fn time(&self, time: Timestamp) -> String {
        match time {
            Timestamp::MIN => "the epoch".to_owned(),
            Timestamp::MAX => "the end of time".to_owned(),
            _ if time < self.start => format!("-{} ms", self.start.since(time).as_millis()),
            _ => format!("+{} ms", time.since(self.start).as_millis()),
        }
    }

    fn label(&self, kind: &'static str, bytes: &[u8]) -> String {
        let mut inner = self.lock();
        let key = [kind.as_bytes(), bytes].concat();
        if let Some(label) = inner.labels.get(&key) {
            return label.clone();
        }
        let count = inner.counts.entry(kind).or_default();
        *count += 1;
        let label = format!("{kind}#{count}");
        inner.labels.insert(key, label.clone());
        label
    }

    fn begin(&self, handle: u32, text: String) -> u64 {
        let mut inner = self.lock();
        if inner.calls.len() == KEPT {
            inner.calls.pop_front();
            inner.forgotten += 1;
        }
        inner.calls.push_back(Call {
            handle,
            text,
            answer: None,
            begun: Instant::now(),
            took: Duration::ZERO,
        });
        inner.forgotten + inner.calls.len() as u64 - 1
    }

    fn end(&self, number: u64, answer: String) {
        let mut inner = self.lock();
        let Some(position) = number.checked_sub(inner.forgotten) else { return };
        let call = usize::try_from(position).ok().and_then(|at| inner.calls.get_mut(at));
        if let Some(call) = call {
            call.took = call.begun.elapsed();
            call.answer = Some(answer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line for each call.
impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        for (number, call) in (inner.forgotten + 1..).zip(&inner.calls) {
            write!(f, "\n  {number:>5}  handle {}  {}", call.handle, call.text)?;
            match &call.answer {
                Some(answer) => write!(f, " -> {answer}  [{} µs]", call.took.as_micros())?,
                None => write!(f, " -> no answer")?,
            }
        }
        Ok(())
    }
}

/// A store that writes its calls into a transcript, and does nothing else.
struct Recorded {
    inner: Arc<dyn SessionStore>,
    handle: u32,
    transcript: Arc<Transcript>,
}

impl Recorded {
    async fn note<T>(
        &self,
        text: String,
        answer: impl Fn(&T) -> String,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let number = self.transcript.begin(self.handle, text);
        let result = call.await;
        let shown = match &result {
            Ok(value) => answer(value),
            Err(error) => format!("error {:?}: {}", error.kind(), chain(error)),
        };
        self.transcript.end(number, shown);
        result
    }

    fn show(&self, record: &Record) -> String {
        let t = &self.transcript;
        let mut text = format!(
            "{} {} idle {} deadline {}",
            t.id(record.id()),
            t.revision(record.revision()),
            t.time(record.expires_at()),
            t.time(record.deadline()),
        );
        if let Some(subject) = record.subject() {
            let _ = write!(text, " {}", t.subject(subject));
        }
        let _ = write!(text, " payload of {} bytes", record.payload().len());
        text
    }

    fn show_page(&self, page: &Page<SessionSummary>) -> String {
        let ids: Vec<_> = page.items.iter().map(|item| self.transcript.id(&item.id)).collect();
        let more = if page.next.is_some() { ", more" } else { "" };
        format!("[{}]{more}", ids.join(" "))
    }

    fn show_request(page: &PageRequest) -> String {
        let place = if page.cursor().is_some() { "next" } else { "first" };
        format!("{place} {}", page.limit())
    }
}

/// What the store under test shows, and nothing of ours.
impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for Recorded {
    async fn create(&self, record: &Record, now: Timestamp) -> Result<CreateOutcome, StoreError> {
        let text = format!("create({}) at {}", self.show(record), self.transcript.time(now));
        self.note(text, |a| format!("{a:?}"), self.inner.create(record, now)).await
    }

    async fn load(&self, id: &SessionId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let text = format!("load({}) at {}", self.transcript.id(id), self.transcript.time(now));
        let answer = |found: &Option<Record>| match found {
            Some(record) => self.show(record),
            None => "None".to_owned(),
        };
        self.note(text, answer, self.inner.load(id, now)).await
    }

    async fn update(&self, change: &Change, now: Timestamp) -> Result<UpdateOutcome, StoreError> {
        let t = &self.transcript;
        let expected = t.revision(change.expected());
        let text =
            format!("update({expected} to {}) at {}", self.show(change.record()), t.time(now));
        self.note(text, |a| format!("{a:?}"), self.inner.update(change, now)).await
    }

    async fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<TouchOutcome, StoreError> {
        let t = &self.transcript;
        let text = format!("touch({} to {}) at {}", t.id(id), t.time(expires_at), t.time(now));
        self.note(text, |a| format!("{a:?}"), self.inner.touch(id, expires_at, now)).await
    }

    async fn delete(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        let text = format!("delete({}) at {}", self.transcript.id(id), self.transcript.time(now));
        self.note(text, ToString::to_string, self.inner.delete(id, now)).await
    }

    fn margin(&self) -> Duration {
        self.inner.margin()
    }

    fn subject_index(&self) -> Option<&dyn SubjectIndex> {
        self.inner.subject_index().map(|_| self as _)
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        self.inner.inspect().map(|_| self as _)
    }

    fn purger(&self) -> Option<&dyn Purge> {
        self.inner.purger().map(|_| self as _)
    }
}

/// Handed out only where the store under test has the trait.
const PRESENT: &str = "the store answered with this trait when it was asked before";

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SubjectIndex for Recorded {
    async fn list(
        &self,
        subject: &Subject,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let t = &self.transcript;
        let request = Self::show_request(page);
        let text = format!("list({}, {request}) at {}", t.subject(subject), t.time(now));
        let index = self.inner.subject_index().expect(PRESENT);
        self.note(text, |page| self.show_page(page), index.list(subject, page, now)).await
    }

    async fn delete_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let t = &self.transcript;
        let except_label = except.map_or_else(String::new, |id| format!(" except {}", t.id(id)));
        let text = format!("delete_all({}{except_label}) at {}", t.subject(subject), t.time(now));
        let index = self.inner.subject_index().expect(PRESENT);
        self.note(text, ToString::to_string, index.delete_all(subject, except, now)).await
    }

    async fn delete_one(
        &self,
        subject: &Subject,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let t = &self.transcript;
        let text = format!("delete_one({}, {}) at {}", t.subject(subject), t.id(id), t.time(now));
        let index = self.inner.subject_index().expect(PRESENT);
        self.note(text, ToString::to_string, index.delete_one(subject, id, now)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Inspect for Recorded {
    async fn scan(
        &self,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let text = format!("scan({}) at {}", Self::show_request(page), self.transcript.time(now));
        let inspect = self.inner.inspect().expect(PRESENT);
        self.note(text, |page| self.show_page(page), inspect.scan(page, now)).await
    }

    async fn count(&self, now: Timestamp) -> Result<Count, StoreError> {
        let text = format!("count() at {}", self.transcript.time(now));
        let inspect = self.inner.inspect().expect(PRESENT);
        self.note(text, |count| format!("{count:?}"), inspect.count(now)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Purge for Recorded {
    async fn purge(&self, limit: NonZeroU32, cutoff: Timestamp) -> Result<Purged, StoreError> {
        let text = format!("purge({limit}, {})", self.transcript.time(cutoff));
        let purge = self.inner.purger().expect(PRESENT);
        self.note(text, |purged| format!("{purged:?}"), purge.purge(limit, cutoff)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_revisions_and_times_become_labels() {
        let transcript = Transcript::new(Timestamp::from_millis(1_000));
        let id = SessionId::from_bytes([7; 16]).unwrap();
        let revision = Revision::from_bytes([9; 8]);
        let times = (Timestamp::from_millis(900), Timestamp::from_millis(1_500), Timestamp::MAX);
        let shown =
            transcript.labelled(&format!("{id:?} {revision:?} {id:?} {times:?} Revision(x)"));
        assert_eq!(shown, "id#1 rev#1 id#1 (-100 ms, +500 ms, the end of time) Revision(x)");
        assert_eq!(transcript.without_ids(&format!("decode {id}")), "decode id#1");
    }

    #[test]
    fn the_last_calls_are_kept_and_a_late_answer_finds_its_call() {
        let transcript = Transcript::new(Timestamp::MIN);
        let first = transcript.begin(1, "first".to_owned());
        for number in 2..=64 {
            transcript.begin(1, format!("call {number}"));
        }
        transcript.end(first, "late".to_owned());
        assert!(transcript.to_string().contains("first -> late"));
        transcript.begin(2, "one more".to_owned());
        transcript.end(first, "too late".to_owned());
        let shown = transcript.to_string();
        assert!(!shown.contains("first"));
        assert!(shown.contains("     2  handle 1  call 2 -> no answer"), "{shown}");
        assert_eq!(shown.trim().lines().count(), 64);
    }
}
