//! Calls that wait in vain: for a connection, or for a reply that comes when nobody waits for it any more.

use futures_util::future::{join, join_all, try_join_all};
use session_core::Record;
use tokio::time::{Instant, timeout};

use super::dropped::{each_gets_its_own, is_whole};
use super::faults::{Incident, RECOVERY, prepare, some_at_once, succeeds, verbs};
use crate::cx::{Cx, Line};
use crate::net::{Fault, Span, Verb};
use crate::race::poll_at_most;
use crate::verdict::{Checked, ensure};

pub(crate) async fn waiting_for_a_connection_ends_in_time(cx: &Cx) -> Checked {
    try_join_all([Fault::Hang, Fault::Silence].map(|fault| all_wait(cx, fault))).await?;
    Ok(())
}

/// More calls than there are connections, none of which is answered; a few of them go away.
async fn all_wait(cx: &Cx, fault: Fault) -> Checked {
    let line = cx.narrow_line().await?;
    let verbs = Verb::of(&*line.store);
    let mut calls = Vec::new();
    for verb in verbs.iter().chain(&verbs) {
        calls.push(prepare(cx, *verb).await?);
    }
    let leaving: Vec<_> =
        try_join_all(verbs.iter().map(|verb| prepare(cx, *verb))).await?.into_iter().collect();
    line.proxy.strike(fault, 1, Span::ForGood).await?;
    let waiting = calls
        .into_iter()
        .map(|call| Incident::of(cx, &line, call, (fault, Span::ForGood), 1))
        .collect::<Vec<_>>();
    let left = leaving.iter().zip(1..).map(|(call, polls)| {
        timeout(cx.profile().longest_call(), poll_at_most(call.make(&line.store), polls))
    });
    let (ended, left) = join(join_all(waiting), join_all(left.collect::<Vec<_>>())).await;
    for incident in ended {
        incident?.is_answered_with_the_truth()?;
    }
    ensure!(left.iter().all(Result::is_ok), "a call did not end in time with {fault:?}");

    line.proxy.heal().await?;
    let end = Instant::now() + RECOVERY;
    let back = verbs.iter().filter(|verb| !verb.walks());
    let back = back.clone().chain(back).map(|verb| succeeds(cx, &line, *verb, end));
    let back = try_join_all(back.collect::<Vec<_>>()).await;
    back.map(drop).map_err(|stop| stop.about(&format!("after {fault:?}, on a single connection")))
}

pub(crate) async fn late_replies_reach_nobody(cx: &Cx) -> Checked {
    let verbs = verbs(cx).await?;
    let owners: Vec<_> =
        (0..2).map(|n| cx.fresh().payload(format!("of owner {n}")).record()).collect();
    cx.create_all(&owners).await?;
    let owners = &owners;
    let held = [(Width::Usual, 1), (Width::Narrow, 1), (Width::Narrow, 2)];
    let cases = verbs.iter().flat_map(|verb| {
        held.map(|(width, trip)| async move {
            let late = reply_is_late(cx, *verb, width, trip, owners).await;
            late.map_err(|stop| stop.about(verb.name()))
        })
    });
    some_at_once(cases.collect()).await.map(drop)
}

/// How many connections a handle has.
#[derive(Clone, Copy)]
enum Width {
    Usual,
    Narrow,
}

/// Keeps a reply back until its call has given up, then lets it go while others ask for their own.
async fn reply_is_late(cx: &Cx, verb: Verb, width: Width, trip: u64, owners: &[Record]) -> Checked {
    let Line { store, proxy } = match width {
        Width::Usual => cx.line().await?,
        Width::Narrow => cx.narrow_line().await?,
    };
    let call = prepare(cx, verb).await?;
    proxy.strike(Fault::HoldReply, trip, Span::Once).await?;
    let limit = cx.profile().longest_call();
    let ended = timeout(limit, call.make(&store)).await;
    ensure!(ended.is_ok(), "did not end in {limit:?} while its reply was held");
    let released = async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        proxy.heal().await
    };
    let (asked, healed) = join(each_gets_its_own(cx, &store, owners), released).await;
    asked?;
    healed?;
    each_gets_its_own(cx, &store, owners).await?;
    is_whole(cx, &call).await.map(drop)
}
