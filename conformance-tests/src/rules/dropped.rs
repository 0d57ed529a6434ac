//! Calls that are dropped half-way: what they leave behind, and who is answered in their place.

use std::iter::successors;
use std::sync::Arc;

use futures_util::future::{Either, join, join_all, select, try_join_all};
use session_core::{Record, SessionStore};

use super::faults::{MOST_TRIPS, prepare};
use super::subject_index::lists;
use crate::cx::{Cx, Line, same};
use crate::net::{Call, Claim, Fault, Span, Verb};
use crate::race::poll_at_most;
use crate::rng::Rng;
use crate::rule::rules;
use crate::verdict::{Checked, Stop, ensure};

/// Up to here a call is dropped after every poll; beyond only walks go on, which repeat themselves much sooner.
const EACH_POLL: u32 = 64;
const EACH_POLL_OF_A_WALK: u32 = 8;
/// More polls than any call needs.
const MOST_POLLS: u32 = 1 << 16;
/// Rounds in which many calls are dropped at the same time, and how many.
const CROWDS: usize = 20;
const CROWD: usize = 32;

/// The rules that are run once more on a handle of which many calls were dropped. None of them looks at what
/// others have left in the namespace.
const AGAIN: &[&str] = &[
    "C01", "C02", "C04", "R01", "R02", "R04", "U01", "U02", "U05", "U07", "U09", "U10", "T02",
    "T03", "D01", "D02", "D03", "S02", "S03", "S05",
];

pub(crate) async fn dropped_calls_keep_no_connection(cx: &Cx) -> Checked {
    let store = cx.open_narrow().await?;
    let owners: Vec<_> =
        (0..2).map(|n| cx.fresh().payload(format!("of owner {n}")).record()).collect();
    cx.create_all(&owners).await?;
    for verb in Verb::of(&*store) {
        let dropped = dropped_at_each_poll(cx, &store, verb, &owners).await;
        dropped.map_err(|stop| stop.about(verb.name()))?;
    }
    for _ in 0..cx.rounds(CROWDS) {
        dropped_at_once(cx, &store).await?;
        each_gets_its_own(cx, &store, &owners).await?;
    }
    for rule in rules().iter().filter(|rule| AGAIN.contains(&rule.id())) {
        if rule.needs().is_none() || store.subject_index().is_some() {
            let again = cx.again_on(&store);
            let kept = rule.run(&again).await;
            let what = format!("rule {} after many dropped calls", rule.id());
            kept.map_err(|stop| stop.about(&what))?;
        }
    }
    Ok(())
}

async fn dropped_at_each_poll(
    cx: &Cx,
    store: &Arc<dyn SessionStore>,
    verb: Verb,
    owners: &[Record],
) -> Checked {
    let each = if verb.walks() { EACH_POLL_OF_A_WALK } else { EACH_POLL };
    let beyond = successors(Some(each), |polls| polls.checked_mul(2));
    for polls in (0..each).chain(beyond.take_while(|polls| *polls <= MOST_POLLS)) {
        let call = prepare(cx, verb).await?;
        let ended = poll_at_most(call.make(store), polls).await;
        each_gets_its_own(cx, store, owners).await?;
        nothing_is_half_done(cx, &call).await?;
        if let Some(answer) = ended {
            answer?;
            return Ok(());
        }
    }
    Err(Stop::failed(format!("not ready after {MOST_POLLS} polls")))
}

/// Calls of all kinds that wait for the same connection, some of which go away.
async fn dropped_at_once(cx: &Cx, store: &Arc<dyn SessionStore>) -> Checked {
    let verbs = Verb::of(&**store);
    let mut rng = cx.rng();
    let calls = (0..CROWD).map(|_| prepare(cx, rng.pick(&verbs)));
    let calls = try_join_all(calls.collect::<Vec<_>>()).await?;
    let polls: Vec<_> = calls.iter().map(|_| polls_in_a_crowd(&mut rng)).collect();
    let made = calls.iter().zip(polls).map(|(call, polls)| poll_at_most(call.make(store), polls));
    for (call, ended) in calls.iter().zip(join_all(made).await) {
        if let Some(answer) = ended {
            let answer = answer?;
            let right = call.claim(&answer) != Claim::Wrong;
            ensure!(right, "{} among dropped calls answers {answer:?}", call.verb.name());
        }
        nothing_is_half_done(cx, call).await?;
    }
    Ok(())
}

pub(crate) async fn dropped_calls_mix_up_no_replies(cx: &Cx) -> Checked {
    let line = cx.line().await?;
    let owners: Vec<_> =
        (0..CROWD).map(|n| cx.fresh().payload(format!("of owner {n}")).record()).collect();
    cx.create_all(&owners).await?;
    for verb in Verb::of(&*line.store) {
        let dropped = async {
            dropped_at_each_poll(cx, &line.store, verb, &owners[..2]).await?;
            for fault in [Fault::HoldRequest, Fault::HoldReply] {
                dropped_while_held(cx, &line, verb, fault, &owners[..2]).await?;
            }
            Ok(())
        };
        dropped.await.map_err(|stop: Stop| stop.about(verb.name()))?;
    }
    for _ in 0..cx.rounds(CROWDS) {
        dropped_in_a_crowd(cx, &line, &owners).await?;
    }
    // Whatever was dropped, the same handle goes on as if nothing had been.
    for verb in Verb::of(&*line.store) {
        let call = prepare(cx, verb).await?;
        let answer = call.make(&line.store).await?;
        let applied = call.is_applied(cx).await?;
        let right = call.claim(&answer) != Claim::Wrong && applied == verb.writes();
        ensure!(right, "{} after dropped calls answers {answer:?}", verb.name());
    }
    Ok(())
}

/// Drops the call while its request or its reply is on the way, then lets it go while others ask.
async fn dropped_while_held(
    cx: &Cx,
    line: &Line,
    verb: Verb,
    fault: Fault,
    owners: &[Record],
) -> Checked {
    let last = if verb.walks() { 1 } else { MOST_TRIPS };
    for trip in 1..=last {
        let call = prepare(cx, verb).await?;
        line.proxy.strike(fault, trip, Span::Once).await?;
        let held = {
            let make = Box::pin(call.make(&line.store));
            match select(make, Box::pin(line.proxy.held())).await {
                Either::Left((answer, _)) => {
                    answer?;
                    false
                }
                Either::Right(((), _)) => true,
            }
        };
        let released = async {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            line.proxy.heal().await
        };
        let (asked, healed) = join(each_gets_its_own(cx, &line.store, owners), released).await;
        asked?;
        healed?;
        nothing_is_half_done(cx, &call).await?;
        if !held {
            break;
        }
    }
    Ok(())
}

/// Many ask for their own at the same time, and some of them go away.
async fn dropped_in_a_crowd(cx: &Cx, line: &Line, owners: &[Record]) -> Checked {
    let now = cx.now();
    let mut rng = cx.rng();
    let asking = owners
        .iter()
        .map(|owner| poll_at_most(line.store.load(owner.id(), now), polls_in_a_crowd(&mut rng)));
    for (owner, answer) in owners.iter().zip(join_all(asking).await) {
        let Some(answer) = answer else { continue };
        let seen = answer?.ok_or_else(|| Stop::failed("a session is missed in a crowd"))?;
        same(&seen, owner, "what one of many was answered")?;
    }
    Ok(())
}

fn polls_in_a_crowd(rng: &mut Rng) -> u32 {
    if rng.one_in(2) { MOST_POLLS } else { rng.pick(&[0, 1, 1, 2, 2, 3, 4, 5]) }
}

/// The record is as it was or as it shall be, and when it belongs to its subject, it is listed there. The
/// call may still be on the way, so one handle looks at the record first.
async fn nothing_is_half_done(cx: &Cx, call: &Call) -> Checked {
    let seen = is_whole(cx, call).await?;
    if let Some(record) = seen.filter(|record| record.subject() == Some(&call.subject))
        && cx.other().subject_index().is_some()
    {
        let listed = lists(cx.other(), &call.subject, &record, call.now).await?;
        let gone = cx.other().load(&call.id, call.now).await?.is_none();
        ensure!(listed || gone, "a dropped {} left a session unlisted", call.verb.name());
    }
    Ok(())
}

/// Each load on the handle is answered with its own record.
pub(super) async fn each_gets_its_own(
    cx: &Cx,
    store: &Arc<dyn SessionStore>,
    owners: &[Record],
) -> Checked {
    for owner in owners {
        let seen = store.load(owner.id(), cx.now()).await?;
        let seen = seen.ok_or_else(|| Stop::failed("a session is missed on the handle"))?;
        same(&seen, owner, "what is loaded next on the handle")?;
    }
    Ok(())
}

/// The call was applied wholly or not at all. It may still be on the way, so one handle looks once.
/// Answers with the record.
pub(super) async fn is_whole(cx: &Cx, call: &Call) -> Checked<Option<Record>> {
    let seen = cx.other().load(&call.id, call.now).await?;
    call.judge(seen.as_ref())?;
    Ok(seen)
}
