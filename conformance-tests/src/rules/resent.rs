//! Calls that are sent again, when the reply to their first send was lost and others have come between the two.

use std::pin::pin;

use futures_util::future::{Either, select, try_join_all};
use session_core::{Record, StoreError};

use super::faults::verbs;
use super::held::{Pair, equal, step};
use crate::cx::{Cx, Line};
use crate::net::{Answer, Call, Verb};
use crate::verdict::{Checked, Stop, chain, ensure};

pub(crate) async fn sends_of_one_call_leave_an_order(cx: &Cx) -> Checked {
    let writes: Vec<_> = verbs(cx).await?.into_iter().filter(|verb| verb.writes()).collect();
    // Each on a network of its own, since one that lost a reply takes its time to come back.
    try_join_all(writes.iter().map(|first| each_between_two_sends(cx, *first, &writes))).await?;
    Ok(())
}

async fn each_between_two_sends(cx: &Cx, first: Verb, writes: &[Verb]) -> Checked {
    let line = cx.line().await?;
    for second in writes {
        let what = format!("{} between two sends of {}", second.name(), first.name());
        let met = meet(cx, &line, first, *second).await;
        met.map_err(|stop| stop.about(&what))?;
    }
    Ok(())
}

/// Loses the reply to the first call, lets others look and make the second call, and only then lets the first one
/// be sent again.
async fn meet(cx: &Cx, line: &Line, first: Verb, second: Verb) -> Checked {
    let pair = Pair::new(cx, first, second).await?;
    // A connection is there, so that the fault strikes the call itself.
    line.store.load(&cx.id(), cx.now()).await?;
    line.proxy.lose_reply_then_hold();
    let making = pin!(pair.first.make(&line.store));
    let held = pin!(line.proxy.held());
    let (mut answer, making) = match select(making, held).await {
        Either::Left((answer, _)) => (Some(answer), None),
        Either::Right(((), making)) => (None, Some(making)),
    };
    let seen = cx.load(&pair.first.id).await?;
    let second = pair.second.make(cx.other()).await?;
    line.proxy.heal().await?;
    if let Some(making) = making {
        answer = Some(making.await);
    }
    ensure!(line.proxy.struck() > 0, "it was answered without a round trip");
    let first = Outcome::of(answer.as_ref())?;
    let end = cx.load(&pair.first.id).await?;
    // Before the look, between the two, after the second call, or not at all.
    let explained = (0..=3).any(|place| {
        let mut state = pair.start.clone();
        for others in 0..=2 {
            if place == others && !first.happens(&mut state, &pair.first) {
                return false;
            }
            let right = match others {
                0 => equal(state.as_ref(), seen.as_ref()),
                1 => step(&mut state, &pair.second, Some(&second)),
                _ => equal(state.as_ref(), end.as_ref()),
            };
            if !right {
                return false;
            }
        }
        place <= 2 || first.need_not_happen()
    });
    ensure!(
        explained,
        "no order explains {answer:?} beside a look that showed {seen:?}, then {second:?}, with this session at \
         the end: {end:?}"
    );
    cx.other().delete(&pair.first.id, cx.now()).await?;
    Ok(())
}

/// What is known of the call that was sent again.
enum Outcome<'a> {
    Known(&'a Answer),
    Unknown,
    /// An error said that it had no effect.
    Nothing,
}

impl<'a> Outcome<'a> {
    fn of(answer: Option<&'a Result<Answer, StoreError>>) -> Checked<Self> {
        match answer {
            Some(Ok(answer)) => Ok(Self::Known(answer)),
            Some(Err(error)) if error.is_outcome_unknown() => Ok(Self::Unknown),
            Some(Err(error)) if error.is_retryable() => Ok(Self::Nothing),
            Some(Err(error)) => Err(Stop::failed(format!("the error is {}", chain(error)))),
            None => Err(Stop::failed("it did not end")),
        }
    }

    fn happens(&self, state: &mut Option<Record>, call: &Call) -> bool {
        match self {
            // Sent again, a delete finds nothing. That the session is gone is the promise.
            Self::Known(Answer::Delete(_)) | Self::Unknown => step(state, call, None),
            Self::Known(answer) => step(state, call, Some(answer)),
            Self::Nothing => false,
        }
    }

    fn need_not_happen(&self) -> bool {
        !matches!(self, Self::Known(_))
    }
}
