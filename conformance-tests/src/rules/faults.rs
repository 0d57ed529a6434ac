//! Chapter "Faults": what a store says when the network between it and its backend fails.
//!
//! Each call has a handle of its own behind a proxy, and a fault strikes one of its round trips: the first,
//! then the second, until the call needs no more. What is true is read through handles that go around the
//! proxy. A call is made once with a fault that passes, so that an adapter may try again, and once with one
//! that stays.

use std::fmt;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use session_core::{StoreError, StoreErrorKind};
use tokio::time::{Instant, sleep, timeout};

pub(crate) use super::dropped::dropped_calls_mix_up_no_replies;
pub(crate) use super::held::held_round_trips_leave_an_order;
pub(crate) use super::resent::sends_of_one_call_leave_an_order;
pub(crate) use super::waiting::{late_replies_reach_nobody, waiting_for_a_connection_ends_in_time};
use crate::cx::{Cx, Line};
use crate::net::{Answer, Call, Claim, Fault, Proxy, Span, Verb};
use crate::sample::everything_about;
use crate::search::Search;
use crate::verdict::{Checked, Stop, chain, ensure};

/// The round trip of a call at which a fault strikes last. Calls with more are not looked at any further.
pub(super) const MOST_TRIPS: u64 = 4;
/// Calls that are under way at the same time, each with connections of its own.
const AT_ONCE: usize = 16;
/// After this time with a network in order again, calls succeed.
pub(super) const RECOVERY: Duration = Duration::from_secs(5);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

const CUTS: [Fault; 4] = [Fault::LoseRequest, Fault::CutRequest, Fault::LoseReply, Fault::CutReply];
const SPANS: [Span; 2] = [Span::Once, Span::ForGood];

pub(crate) async fn lost_is_never_an_answer(cx: &Cx) -> Checked {
    let verbs = verbs(cx).await?;
    let mut troubles = vec![(Fault::Refuse, Span::ForGood)];
    troubles.extend(CUTS.iter().flat_map(|fault| SPANS.map(|span| (*fault, span))));
    for incident in incidents(cx, &verbs, &troubles).await? {
        incident.is_answered_with_the_truth()?;
    }
    Ok(())
}

pub(crate) async fn every_call_ends_in_time(cx: &Cx) -> Checked {
    let faults = [Fault::Hang, Fault::Silence, Fault::Trickle, Fault::Refuse];
    let verbs = verbs(cx).await?;
    let cases =
        faults.iter().flat_map(|fault| verbs.iter().map(|verb| ends_in_time(cx, *fault, *verb)));
    some_at_once(cases.collect()).await.map(drop)
}

/// Once on a connection that is there, and once when a new one may be needed.
async fn ends_in_time(cx: &Cx, fault: Fault, verb: Verb) -> Checked {
    let line = cx.line().await?;
    let calls = [prepare(cx, verb).await?, prepare(cx, verb).await?];
    line.proxy.strike(fault, 1, Span::ForGood).await?;
    for call in calls {
        let incident = Incident::of(cx, &line, call, (fault, Span::ForGood), 1).await?;
        incident.is_answered_with_the_truth()?;
    }
    Ok(())
}

pub(crate) async fn lost_reply_of_a_write_is_unknown(cx: &Cx) -> Checked {
    let verbs: Vec<_> = verbs(cx).await?.into_iter().filter(|verb| verb.writes()).collect();
    let faults =
        [Fault::LoseReply, Fault::CutReply, Fault::Silence, Fault::LoseRequest, Fault::CutRequest];
    let mut troubles = vec![(Fault::Refuse, Span::ForGood), (Fault::Hang, Span::ForGood)];
    troubles.extend(faults.iter().flat_map(|fault| SPANS.map(|span| (*fault, span))));
    for incident in incidents(cx, &verbs, &troubles).await? {
        incident.says_whether_it_is_unknown()?;
    }
    Ok(())
}

pub(crate) async fn calls_succeed_when_the_server_is_back(cx: &Cx) -> Checked {
    let faults = [
        Fault::Refuse,
        Fault::LoseRequest,
        Fault::CutRequest,
        Fault::LoseReply,
        Fault::CutReply,
        Fault::Hang,
        Fault::Silence,
        Fault::Trickle,
    ];
    try_join_all(faults.map(|fault| recovers(cx, fault))).await?;
    Ok(())
}

async fn recovers(cx: &Cx, fault: Fault) -> Checked {
    let line = cx.line().await?;
    line.proxy.strike(fault, 1, Span::ForGood).await?;
    for verb in [Verb::Load, Verb::Update, Verb::Load] {
        let call = prepare(cx, verb).await?;
        let _ = timeout(cx.profile().longest_call(), call.make(&line.store)).await;
    }
    line.proxy.heal().await?;
    // Walks are as many such round trips as there are sessions, in whatever time that takes.
    for verb in Verb::of(&*line.store).into_iter().filter(|verb| !verb.walks()) {
        let back = succeeds(cx, &line, verb, Instant::now() + RECOVERY).await;
        back.map_err(|stop| stop.about(&format!("after {fault:?}")))?;
    }
    Ok(())
}

/// Calls until one succeeds, as it must by `end`.
pub(super) async fn succeeds(cx: &Cx, line: &Line, verb: Verb, end: Instant) -> Checked {
    loop {
        let call = prepare(cx, verb).await?;
        let answer = tokio::time::timeout_at(end, call.make(&line.store)).await;
        let trouble = match answer {
            Ok(Ok(answer)) if call.claim(&answer) != Claim::Wrong => return Ok(()),
            Ok(Ok(answer)) => format!("{answer:?}"),
            Ok(Err(error)) => chain(&error),
            Err(_) => "no answer".to_owned(),
        };
        ensure!(
            Instant::now() < end,
            "{} does not succeed {RECOVERY:?} after the fault was over: {trouble}",
            verb.name()
        );
        sleep(PAUSE).await;
    }
}

pub(crate) async fn create_is_sent_once(cx: &Cx) -> Checked {
    cx.line().await?;
    let faults = [Fault::LoseRequest, Fault::LoseReply, Fault::CutReply, Fault::Silence];
    let troubles: Vec<_> =
        faults.iter().flat_map(|fault| SPANS.map(|span| (*fault, span))).collect();
    for incident in incidents(cx, &[Verb::Create, Verb::CreateFor], &troubles).await? {
        ensure!(incident.sends <= 1, "{incident}: the record was sent {} times", incident.sends);
        incident.is_answered_with_the_truth()?;
    }
    Ok(())
}

pub(crate) async fn no_error_shows_a_secret(cx: &Cx) -> Checked {
    let verbs = verbs(cx).await?;
    let mut troubles = vec![
        (Fault::Refuse, Span::ForGood),
        (Fault::Hang, Span::ForGood),
        (Fault::Silence, Span::ForGood),
        (Fault::Trickle, Span::ForGood),
    ];
    troubles.extend(CUTS.map(|fault| (fault, Span::ForGood)));
    let mut errors = 0;
    for incident in incidents(cx, &verbs, &troubles).await? {
        if let Some(Err(error)) = &incident.answer {
            errors += 1;
            let shown = everything_about(error);
            incident.call_secrets().are_not_in(&shown).map_err(|stop| incident.about(stop))?;
        }
    }
    ensure!(errors > 0, "no fault made an error");

    // Opening a handle is where addresses and passwords are at hand.
    for fault in [Fault::Refuse, Fault::LoseRequest, Fault::LoseReply, Fault::CutReply] {
        let line = cx.line().await?;
        line.proxy.strike(fault, 1, Span::ForGood).await?;
        if let Err(error) = cx.open_through(&line.proxy).await {
            Secrets::of_servers(&line.proxy).are_not_in(&everything_about(error.as_ref()))?;
        }
    }
    Ok(())
}

/// The calls of this store; not applicable without a network.
pub(super) async fn verbs(cx: &Cx) -> Checked<Vec<Verb>> {
    let line = cx.line().await?;
    Ok(Verb::of(&*line.store))
}

pub(super) async fn prepare(cx: &Cx, verb: Verb) -> Checked<Call> {
    let canary = format!("canary-{:016x}", cx.rng().next());
    Call::prepare(cx, verb, &canary).await
}

/// Every trouble for every call, at each of its round trips.
async fn incidents(cx: &Cx, verbs: &[Verb], troubles: &[(Fault, Span)]) -> Checked<Vec<Incident>> {
    let sweeps =
        troubles.iter().flat_map(|trouble| verbs.iter().map(|verb| sweep(cx, *trouble, *verb)));
    Ok(some_at_once(sweeps.collect()).await?.into_iter().flatten().collect())
}

/// Runs all of these, [`AT_ONCE`] at a time: each begins as soon as one of those before it has ended, since most
/// end soon and some only when their time is over.
pub(super) async fn some_at_once<T>(
    cases: Vec<impl Future<Output = Checked<T>>>,
) -> Checked<Vec<T>> {
    stream::iter(cases).buffer_unordered(AT_ONCE).try_collect().await
}

async fn sweep(cx: &Cx, trouble: (Fault, Span), verb: Verb) -> Checked<Vec<Incident>> {
    let (fault, span) = trouble;
    let last = if verb.walks() || fault == Fault::Refuse { 1 } else { MOST_TRIPS };
    let mut found = Vec::new();
    for trip in 1..=last {
        let line = cx.line().await?;
        let call = prepare(cx, verb).await?;
        // Its end, since the subject begins as the payload does and may be sent alone.
        let payload = call.record.payload();
        line.proxy.look_for(&payload[payload.len() / 2..]);
        line.proxy.strike(fault, trip, span).await?;
        let incident = Incident::of(cx, &line, call, trouble, trip).await?;
        if fault != Fault::Refuse && line.proxy.struck() == 0 {
            ensure!(trip > 1, "{} was answered without a round trip", verb.name());
            break;
        }
        found.push(incident);
    }
    Ok(found)
}

/// A call that something happened to.
pub(super) struct Incident {
    call: Call,
    fault: Fault,
    span: Span,
    trip: u64,
    /// `None` when there was none in time.
    answer: Option<Result<Answer, StoreError>>,
    /// Whether the call was applied.
    applied: bool,
    /// How often its record was sent.
    sends: u64,
    secrets: Secrets,
    limit: Duration,
}

impl Incident {
    pub(super) async fn of(
        cx: &Cx,
        line: &Line,
        call: Call,
        (fault, span): (Fault, Span),
        trip: u64,
    ) -> Checked<Self> {
        let limit = cx.profile().longest_call();
        let answer = timeout(limit, call.make(&line.store)).await.ok();
        let applied = call.is_applied(cx).await?;
        let sends = line.proxy.sightings();
        let secrets = Secrets::of(&call, &line.proxy);
        Ok(Self { call, fault, span, trip, answer, applied, sends, secrets, limit })
    }

    fn about(&self, stop: Stop) -> Stop {
        stop.about(&self.to_string())
    }

    fn call_secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// What was answered, if anything was.
    fn in_time(&self) -> Checked<&Result<Answer, StoreError>> {
        let late = || Stop::failed(format!("{self}: did not end in {:?}", self.limit));
        self.answer.as_ref().ok_or_else(late)
    }

    /// Whether the client may have got a whole reply all the same: after trying again, or slowly, or to the
    /// round trips before.
    fn may_have_a_reply(&self) -> bool {
        self.span == Span::Once || self.trip > 1 || self.fault == Fault::Trickle
    }

    /// An error, or an answer that the client can know and that is right.
    pub(super) fn is_answered_with_the_truth(&self) -> Checked {
        let Ok(answer) = self.in_time()? else { return Ok(()) };
        ensure!(self.may_have_a_reply(), "{self}: answered {answer:?}, although no reply arrived");
        let right = match self.call.claim(answer) {
            Claim::Seen => true,
            Claim::Applied => self.applied,
            // Sent again, a delete finds nothing. That the session is gone is the promise.
            Claim::Wrong => {
                let first_send_arrived =
                    matches!(self.fault, Fault::LoseReply | Fault::CutReply | Fault::Silence);
                self.call.verb.is_delete() && self.applied && first_send_arrived
            }
        };
        let state = if self.applied { "it was applied" } else { "it was not applied" };
        ensure!(right, "{self}: answered {answer:?}; {state}");
        Ok(())
    }

    /// An error that says no more than the client can know.
    fn says_whether_it_is_unknown(&self) -> Checked {
        let Err(error) = self.in_time()? else { return self.is_answered_with_the_truth() };
        let unchanged = error.is_retryable() && !self.applied;
        ensure!(
            unchanged || error.kind() == StoreErrorKind::OutcomeUnknown,
            "{self}: the error is {:?}, {}",
            error.kind(),
            if self.applied { "and the write was applied" } else { "which does not say so" }
        );
        ensure!(
            self.call.verb != Verb::DeleteAll || !self.applied || error.deleted().is_some(),
            "{self}: the error does not say that the call was partial"
        );
        Ok(())
    }
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = match self.span {
            Span::Once => "once",
            Span::ForGood => "for good",
        };
        let Self { fault, trip, .. } = self;
        write!(f, "{} with {fault:?} at round trip {trip}, {span}", self.call.verb.name())
    }
}

/// What no error may show.
struct Secrets {
    search: Search<&'static str>,
    passwords: Vec<String>,
}

impl Secrets {
    /// Of a call and its servers.
    fn of(call: &Call, proxy: &Proxy) -> Self {
        let mut secrets = Self::of_servers(proxy);
        let search = &mut secrets.search;
        for record in [&call.record, call.change.record()] {
            search.add(record.payload(), &"a payload");
            search.add(record.secret_hash().as_bytes(), &"a hash");
            if let Some(previous) = record.previous() {
                search.add(previous.hash.as_bytes(), &"a hash");
            }
            if let Some(tag) = record.credential_tag() {
                search.add(tag.as_bytes(), &"a credential tag");
            }
        }
        search.add(call.subject.as_bytes(), &"the name of a subject");
        secrets
    }

    fn of_servers(proxy: &Proxy) -> Self {
        Self { search: Search::default(), passwords: proxy.known_passwords() }
    }

    fn are_not_in(&self, shown: &str) -> Checked {
        if let Some(what) = self.search.find(shown.as_bytes()).first() {
            return Err(Stop::failed(format!("an error shows {what}")));
        }
        let password = self.passwords.iter().any(|password| shown.contains(password));
        ensure!(!password, "an error shows a password");
        Ok(())
    }
}
