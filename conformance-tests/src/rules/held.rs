//! The hold sweep: two calls about one session, where the second happens between two round trips of the first.
//!
//! All pairs are tried, those that look at everybody's sessions included. There is one session at a time, so
//! what these have to see is known exactly.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, join, select};
use session_core::{Count, CreateOutcome, Record, SessionStore, TouchOutcome, UpdateOutcome};
use tokio::time::timeout;

use super::subject_index::lists;
use crate::cx::{Cx, Line, scan_all};
use crate::fresh::differences;
use crate::net::{Answer, Call, Fault, Span, Verb};
use crate::verdict::{Checked, ensure};

/// More round trips than a call about one session needs.
const MOST_TRIPS: u64 = 16;

/// The round trips of a walk at which it is held: of the first pieces, which are like all others.
const MOST_TRIPS_OF_A_WALK: u64 = 3;

/// Entries of a page: more than there are sessions.
const PAGE: u16 = 1_000;

/// After this time the second call is taken to wait for the first, which then goes on.
const BLOCKED: Duration = Duration::from_millis(300);

pub(crate) async fn held_round_trips_leave_an_order(cx: &Cx) -> Checked {
    let line = cx.line().await?;
    let verbs = Verb::of(&*line.store);
    for first in &verbs {
        for second in &verbs {
            let swept = sweep(cx, &line, *first, *second).await;
            let what = format!("{} beside a held {}", second.name(), first.name());
            swept.map_err(|stop| stop.about(&what))?;
        }
    }
    Ok(())
}

/// Holds the first call at each of its round trips.
async fn sweep(cx: &Cx, line: &Line, first: Verb, second: Verb) -> Checked {
    let last = if first.walks() { MOST_TRIPS_OF_A_WALK } else { MOST_TRIPS };
    for trip in 1..=last {
        let pair = Pair::new(cx, first, second).await?;
        line.proxy.strike(Fault::HoldRequest, trip, Span::Once).await?;
        let was_held = pair
            .meet(cx, line)
            .await
            .map_err(|stop| stop.about(&format!("held at round trip {trip}")))?;
        if !was_held {
            return Ok(());
        }
    }
    ensure!(first.walks(), "more than {MOST_TRIPS} round trips");
    Ok(())
}

/// Two calls about one session.
pub(super) struct Pair {
    pub(super) first: Call,
    pub(super) second: Call,
    /// The session at the beginning.
    pub(super) start: Option<Record>,
}

impl Pair {
    pub(super) async fn new(cx: &Cx, first: Verb, second: Verb) -> Checked<Self> {
        let subject = cx.subject(&format!("alice {:016x}", cx.rng().next()))?;
        let verbs = [first, second];
        let anonymous = cx.fresh().record();
        let full = cx.fresh().id(*anonymous.id()).full(&subject).record();
        // A login is of an anonymous session; all else is of one that belongs to the subject.
        let stored = if verbs.contains(&Verb::Login) || verbs == [Verb::Create; 2] {
            &anonymous
        } else {
            &full
        };
        let created = verbs.iter().any(|verb| verb.is_create());
        let call = |verb: Verb| {
            let record = match verb {
                Verb::Create => &anonymous,
                Verb::CreateFor => &full,
                // Of what is stored, or of what the other call creates.
                _ if verbs.contains(&Verb::Create) => &anonymous,
                _ if verbs.contains(&Verb::CreateFor) && verb != Verb::Login => &full,
                _ => stored,
            };
            Call::on(cx, verb, record, &subject, "a word")
        };
        let (first, second) = (call(first)?, call(second)?);
        let start = (!created).then(|| stored.clone());
        if let Some(record) = &start {
            cx.create(record).await?;
        }
        Ok(Self { first, second, start })
    }

    /// Lets the second call happen while the first is held. `false` if the first ended without being held.
    async fn meet(&self, cx: &Cx, line: &Line) -> Checked<bool> {
        let making = pin!(make(&self.first, &line.store));
        let held = pin!(line.proxy.held());
        let making = match select(making, held).await {
            Either::Left((answer, _)) => {
                answer?;
                line.proxy.heal().await?;
                cx.other().delete(&self.first.id, cx.now()).await?;
                return Ok(false);
            }
            Either::Right(((), making)) => making,
        };
        let mut second = pin!(make(&self.second, cx.other()));
        let early = timeout(BLOCKED, &mut second).await.ok();
        line.proxy.heal().await?;
        let (first, second) = if let Some(second) = early {
            (making.await?, second?)
        } else {
            let (first, second) = join(making, second).await;
            (first?, second?)
        };
        self.has_an_order(cx, &first, &second).await?;
        cx.other().delete(&self.first.id, cx.now()).await?;
        Ok(true)
    }

    /// Whether one after the other, in either order, gives these answers and this end.
    async fn has_an_order(&self, cx: &Cx, first: &Answer, second: &Answer) -> Checked {
        let end = cx.load(&self.first.id).await?;
        let orders = [
            [(&self.first, first), (&self.second, second)],
            [(&self.second, second), (&self.first, first)],
        ];
        let explained = orders.iter().any(|order| {
            let mut state = self.start.clone();
            let all = order.iter().all(|(call, answer)| step(&mut state, call, Some(answer)));
            all && equal(state.as_ref(), end.as_ref())
        });
        ensure!(
            explained,
            "no order explains {first:?} and {second:?} with this session at the end: {end:?}"
        );
        if cx.other().subject_index().is_some() {
            let subject = &self.first.subject;
            let belongs = end.as_ref().is_some_and(|record| record.subject() == Some(subject));
            let probe = end.as_ref().unwrap_or(&self.first.record);
            let listed = lists(cx.other(), subject, probe, cx.now()).await?;
            ensure!(listed == belongs, "at the end the session is listed: {listed}, not {belongs}");
        }
        Ok(())
    }
}

/// Makes the call; a scan with all its pages.
async fn make(call: &Call, store: &Arc<dyn SessionStore>) -> Checked<Answer> {
    match call.verb {
        Verb::Scan => Ok(Answer::List(scan_all(store, PAGE, call.now).await?)),
        _ => Ok(call.make(store).await?),
    }
}

/// What the call does to the session when nobody else is there. `false` if the answer is another one; without an
/// answer, whatever it was.
pub(super) fn step(state: &mut Option<Record>, call: &Call, answer: Option<&Answer>) -> bool {
    let expected = match call.verb {
        Verb::Create | Verb::CreateFor if state.is_some() => Answer::Create(CreateOutcome::Exists),
        Verb::Create | Verb::CreateFor => {
            *state = Some(call.record.clone());
            Answer::Create(CreateOutcome::Created)
        }
        Verb::Update | Verb::Login => Answer::Update(update(state, call)),
        Verb::Touch => Answer::Touch(match state {
            Some(record) => {
                *record = with_expiry(record, call.until);
                TouchOutcome::Touched
            }
            None => TouchOutcome::Missing,
        }),
        Verb::Delete => Answer::Delete(u64::from(state.take().is_some())),
        Verb::DeleteAll | Verb::DeleteOne => {
            Answer::Delete(u64::from(state.take_if(|record| belongs(record, call)).is_some()))
        }
        Verb::Load => {
            return answer.is_none_or(
                |answer| matches!(answer, Answer::Load(seen) if equal(seen.as_ref(), state.as_ref())),
            );
        }
        Verb::List | Verb::Scan => {
            let there = state.as_ref();
            let there =
                there.is_some_and(|record| call.verb == Verb::Scan || belongs(record, call));
            let names = |answer: &Answer| match answer {
                Answer::List(seen) => seen.iter().any(|summary| summary.id == call.id) == there,
                _ => false,
            };
            return answer.is_none_or(names);
        }
        Verb::Count => match answer {
            Some(Answer::Count(Count::Exact(_))) => {
                Answer::Count(Count::Exact(u64::from(state.is_some())))
            }
            _ => return true,
        },
        // What is live is not over.
        Verb::Purge => Answer::Purge(0),
    };
    answer.is_none_or(|answer| *answer == expected)
}

fn update(state: &mut Option<Record>, call: &Call) -> UpdateOutcome {
    match state {
        None => UpdateOutcome::Missing,
        Some(record) if record.revision() == call.change.expected() => {
            *record = with_expiry(call.change.record(), record.expires_at());
            UpdateOutcome::Updated
        }
        Some(_) => UpdateOutcome::Conflict,
    }
}

fn with_expiry(record: &Record, expires_at: session_core::Timestamp) -> Record {
    let mut parts = record.clone().into_parts();
    parts.expires_at = parts.expires_at.max(expires_at);
    Record::from_parts(parts)
}

fn belongs(record: &Record, call: &Call) -> bool {
    record.subject() == Some(&call.subject)
}

pub(super) fn equal(one: Option<&Record>, other: Option<&Record>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => differences(one, other).is_empty(),
        _ => false,
    }
}
