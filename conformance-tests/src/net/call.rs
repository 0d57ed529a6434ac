//! A call of a store whose answer can be checked.

use std::sync::Arc;

use session_core::{
    Change, Count, CreateOutcome, PageRequest, Record, SessionId, SessionStore, SessionSummary,
    StoreError, Subject, Timestamp, TouchOutcome, UpdateOutcome,
};

use crate::cx::{Cx, at_most, index_of};
use crate::fresh::differences;
use crate::verdict::{Checked, Stop};

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Creates an anonymous session.
    Create,
    /// Creates a session that belongs to a subject.
    CreateFor,
    Load,
    /// Replaces payload and secret.
    Update,
    /// Sets the subject of an anonymous session.
    Login,
    Touch,
    Delete,
    List,
    DeleteAll,
    DeleteOne,
    Scan,
    Count,
    Purge,
}

impl Verb {
    const ALL: [Self; 13] = [
        Self::Create,
        Self::CreateFor,
        Self::Load,
        Self::Update,
        Self::Login,
        Self::Touch,
        Self::Delete,
        Self::List,
        Self::DeleteAll,
        Self::DeleteOne,
        Self::Scan,
        Self::Count,
        Self::Purge,
    ];

    /// Those that a store with these optional traits has.
    pub(crate) fn of(store: &dyn SessionStore) -> Vec<Self> {
        let index = store.subject_index().is_some();
        let inspect = store.inspect().is_some();
        let purge = store.purger().is_some();
        let has = |verb: &Self| match verb {
            Self::List | Self::DeleteAll | Self::DeleteOne => index,
            Self::Scan | Self::Count => inspect,
            Self::Purge => purge,
            _ => true,
        };
        Self::ALL.into_iter().filter(has).collect()
    }

    /// The name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::CreateFor => "create with a subject",
            Self::Load => "load",
            Self::Update => "update",
            Self::Login => "update that logs in",
            Self::Touch => "touch",
            Self::Delete => "delete",
            Self::List => "list",
            Self::DeleteAll => "delete_all",
            Self::DeleteOne => "delete_one",
            Self::Scan => "scan",
            Self::Count => "count",
            Self::Purge => "purge",
        }
    }

    pub(crate) const fn is_create(self) -> bool {
        matches!(self, Self::Create | Self::CreateFor)
    }

    pub(crate) const fn is_delete(self) -> bool {
        matches!(self, Self::Delete | Self::DeleteAll | Self::DeleteOne)
    }

    /// Whether it changes the session that it is about.
    pub(crate) const fn writes(self) -> bool {
        !matches!(self, Self::Load | Self::List | Self::Scan | Self::Count | Self::Purge)
    }

    /// Whether it looks at the sessions of everybody, which may take many round trips.
    pub(crate) const fn walks(self) -> bool {
        matches!(self, Self::Scan | Self::Count | Self::Purge)
    }
}

/// A call about one session, with everything that it needs.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) verb: Verb,
    pub(crate) id: SessionId,
    pub(crate) subject: Subject,
    /// For creates.
    pub(crate) record: Record,
    /// For updates.
    pub(crate) change: Change,
    /// For touches.
    pub(crate) until: Timestamp,
    pub(crate) now: Timestamp,
    /// The session as it is before the call and after it, if nobody else does anything.
    before: Option<Record>,
    after: Option<Record>,
}

/// What a call answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Create(CreateOutcome),
    Load(Option<Record>),
    Update(UpdateOutcome),
    Touch(TouchOutcome),
    /// How many, or whether one.
    Delete(u64),
    List(Vec<SessionSummary>),
    Count(Count),
    Purge(u64),
}

/// What an answer says about a session that was there, with nobody else at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A write was applied.
    Applied,
    /// The session was seen as it is, or the answer says nothing about it.
    Seen,
    /// Neither: with nobody else at work the answer is wrong.
    Wrong,
}

impl Call {
    /// A call about a session of its own, which is stored first if the call needs one. `canary` is a part of
    /// the payloads and of the subject's name.
    pub(crate) async fn prepare(cx: &Cx, verb: Verb, canary: &str) -> Checked<Self> {
        let call = Self::about(
            cx,
            verb,
            &cx.subject(&format!("{canary} {:016x}", cx.rng().next()))?,
            canary,
        )?;
        if let Some(record) = &call.before {
            cx.create(record).await?;
        }
        Ok(call)
    }

    fn about(cx: &Cx, verb: Verb, subject: &Subject, canary: &str) -> Checked<Self> {
        let fresh = cx.fresh().payload(format!("{canary} as it was"));
        let record = match verb {
            Verb::Create | Verb::Login => fresh.record(),
            _ => fresh.full(subject).record(),
        };
        Self::on(cx, verb, &record, subject, canary)
    }

    /// A call about this session, which nobody has stored yet.
    pub(crate) fn on(
        cx: &Cx,
        verb: Verb,
        record: &Record,
        subject: &Subject,
        canary: &str,
    ) -> Checked<Self> {
        let now = cx.now();
        let until = cx.after(7_200_000);
        let mut change = record
            .change(cx.revision())
            .payload(format!("{canary} as it shall be"))
            .rotate(cx.hash(), now);
        if verb == Verb::Login {
            change = change
                .login(subject.clone(), cx.after(50_000_000))
                .map_err(|error| Stop::failed(error.to_string()))?;
        }
        let touched = || {
            let mut parts = record.clone().into_parts();
            parts.expires_at = until;
            Record::from_parts(parts)
        };
        let stored = || Some(record.clone());
        let (before, after) = match verb {
            Verb::Create | Verb::CreateFor => (None, stored()),
            Verb::Update | Verb::Login => (stored(), Some(change.record().clone())),
            Verb::Touch => (stored(), Some(touched())),
            Verb::Delete | Verb::DeleteAll | Verb::DeleteOne => (stored(), None),
            Verb::Load | Verb::List | Verb::Scan | Verb::Count | Verb::Purge => {
                (stored(), stored())
            }
        };
        let (id, subject, record) = (*record.id(), subject.clone(), record.clone());
        Ok(Self { verb, id, subject, record, change, until, now, before, after })
    }

    /// Makes the call.
    pub(crate) async fn make(&self, store: &Arc<dyn SessionStore>) -> Result<Answer, StoreError> {
        let Self { id, subject, now, .. } = self;
        let page = PageRequest::first(100);
        let index = || index_of(store).map_err(|_| missing_trait());
        let inspect = || store.inspect().ok_or_else(missing_trait);
        Ok(match self.verb {
            Verb::Create | Verb::CreateFor => {
                Answer::Create(store.create(&self.record, *now).await?)
            }
            Verb::Load => Answer::Load(store.load(id, *now).await?),
            Verb::Update | Verb::Login => Answer::Update(store.update(&self.change, *now).await?),
            Verb::Touch => Answer::Touch(store.touch(id, self.until, *now).await?),
            Verb::Delete => Answer::Delete(u64::from(store.delete(id, *now).await?)),
            Verb::List => Answer::List(index()?.list(subject, &page, *now).await?.items),
            Verb::DeleteAll => Answer::Delete(index()?.delete_all(subject, None, *now).await?),
            Verb::DeleteOne => {
                Answer::Delete(u64::from(index()?.delete_one(subject, id, *now).await?))
            }
            Verb::Scan => Answer::List(inspect()?.scan(&page, *now).await?.items),
            Verb::Count => Answer::Count(inspect()?.count(*now).await?),
            Verb::Purge => {
                let purger = store.purger().ok_or_else(missing_trait)?;
                let cutoff = now.minus(store.margin());
                Answer::Purge(purger.purge(at_most(10), cutoff).await?.removed)
            }
        })
    }

    /// What this answer says.
    pub(crate) fn claim(&self, answer: &Answer) -> Claim {
        let applied = match answer {
            Answer::Create(outcome) => *outcome == CreateOutcome::Created,
            Answer::Update(outcome) => *outcome == UpdateOutcome::Updated,
            Answer::Touch(outcome) => *outcome == TouchOutcome::Touched,
            Answer::Delete(count) => *count == 1,
            Answer::Load(found) => return seen_if(found.as_ref() == self.before.as_ref()),
            // A page of a scan need not have this one.
            Answer::List(_) if self.verb == Verb::Scan => return Claim::Seen,
            Answer::List(listed) => return seen_if(listed.iter().any(|s| s.id == self.id)),
            Answer::Count(Count::Exact(count)) => return seen_if(*count > 0),
            Answer::Count(Count::Estimate(_)) => return Claim::Seen,
            // Nothing is over in a namespace of live sessions.
            Answer::Purge(removed) => return seen_if(*removed == 0),
        };
        if applied { Claim::Applied } else { Claim::Wrong }
    }

    /// Whether the call has been applied, as handles see it whose network is in order.
    ///
    /// What was sent may arrive between the looks of the two handles, once. Handles that still differ when they look
    /// again are broken.
    pub(crate) async fn is_applied(&self, cx: &Cx) -> Checked<bool> {
        let seen = match cx.load_at(&self.id, self.now).await {
            Err(Stop::Failed(_)) => cx.load_at(&self.id, self.now).await?,
            settled => settled?,
        };
        self.judge(seen.as_ref())
    }

    /// Whether this is the session after the call. What is neither the session before nor the session after
    /// fails the rule.
    pub(crate) fn judge(&self, seen: Option<&Record>) -> Checked<bool> {
        let is = |expected: &Option<Record>| match (seen, expected) {
            (None, None) => true,
            (Some(seen), Some(expected)) => differences(seen, expected).is_empty(),
            _ => false,
        };
        if self.verb.writes() && is(&self.after) {
            return Ok(true);
        }
        if is(&self.before) {
            return Ok(false);
        }
        Err(Stop::failed(format!(
            "after {}: the session is neither as it was nor as it shall be: {seen:?}",
            self.verb.name()
        )))
    }
}

fn seen_if(right: bool) -> Claim {
    if right { Claim::Seen } else { Claim::Wrong }
}

fn missing_trait() -> StoreError {
    StoreError::new(session_core::StoreErrorKind::Config, "the store has no such trait any more")
}
