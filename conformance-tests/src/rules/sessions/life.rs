//! The end of a session, and what keeps it alive.

use std::time::Duration;

use serde_json::json;
use session_core::{CommitOutcome, Lifetimes, Opened, Record, Session, StoreErrorKind};

use crate::cx::Cx;
use crate::in_flight::InFlight;
use crate::people::{
    Browser, Site, data_of, expect_client_told_nothing, expect_refused, lifetimes, record_of, write,
};
use crate::spy::Op;
use crate::verdict::{Checked, ensure, ensure_eq};

// K12

pub(crate) async fn ended_session_stays_ended(cx: &Cx) -> Checked {
    let set = lifetimes(1_000, 1_500)?;
    let site = Site::with(cx, |builder| builder.anonymous_lifetimes(set).lifetimes(set))?;
    for end in [End::Logout, End::Idle, End::Absolute] {
        let mut user = site.user("alice", json!({ "seed": 0 })).await?;
        if matches!(end, End::Absolute) {
            cx.advance(900_000);
            user.put(&site.one, json!({ "seed": 1 })).await?;
        }
        let mut late = InFlight::of(&site, &user).await?;
        match end {
            End::Logout => {
                let mut request = user.visit(&site.two).await?;
                ensure!(site.two.destroy(&mut request).await?, "a live session was destroyed");
                cx.advance(200_000);
            }
            End::Idle => cx.advance(1_000_000),
            End::Absolute => cx.advance(600_000),
        }
        late.are_refused(&site, CommitOutcome::Missing).await?;
        // This one would write a touch by now, unless its idle time ends with the deadline anyway.
        let touches = late.reading.expires_at() < late.reading.deadline();
        let outcome = if touches { CommitOutcome::Missing } else { CommitOutcome::Unchanged };
        expect_refused(&site.one, &mut late.reading, outcome).await?;
        site.expect_stranger(&user, Opened::Unknown).await?;
        cx.expect_none(&user.id()?).await?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum End {
    Logout,
    Idle,
    Absolute,
}

// K13

pub(crate) async fn deadlines_end_the_session(cx: &Cx) -> Checked {
    lifetimes_that_make_no_sense_are_refused()?;
    let (anonymous, user) = (lifetimes(1_000, 5_000)?, lifetimes(2_000, 7_000)?);
    let site = Site::with(cx, |builder| builder.anonymous_lifetimes(anonymous).lifetimes(user))?;
    let alice = site.user("alice", json!({ "n": 0 })).await?;
    let visitor = site.visitor(json!({ "n": 0 })).await?;
    unused_session_ends(cx, &site, &visitor, 1_000).await?;
    unused_session_ends(cx, &site, &alice, 1_000).await?;

    let visitor = site.visitor(json!({ "n": 0 })).await?;
    used_session_ends(cx, &site, visitor, &anonymous).await?;
    let alice = site.user("alice", json!({ "n": 0 })).await?;
    used_session_ends(cx, &site, alice, &user).await
}

fn lifetimes_that_make_no_sense_are_refused() -> Checked {
    const MILLISECOND: Duration = Duration::from_millis(1);
    const HOUR: Duration = Duration::from_secs(3_600);
    let longest = Lifetimes::MAX_ABSOLUTE;
    for (idle, absolute) in [
        (Duration::ZERO, HOUR),
        (MILLISECOND, HOUR),
        (HOUR + MILLISECOND, HOUR),
        (HOUR, longest + MILLISECOND),
        (HOUR, Duration::MAX),
        (Duration::MAX, Duration::MAX),
    ] {
        ensure!(Lifetimes::new(idle, absolute).is_err(), "{idle:?} and {absolute:?} were accepted");
    }
    ensure!(Lifetimes::new(HOUR, HOUR).is_ok(), "idle and absolute may be equal");
    ensure!(
        Lifetimes::new(Lifetimes::MIN_IDLE, longest).is_ok(),
        "the ends of the range are allowed"
    );
    Ok(())
}

/// `seconds` after now its idle deadline ends the session, to the millisecond.
async fn unused_session_ends(cx: &Cx, site: &Site, browser: &Browser, seconds: u64) -> Checked {
    cx.advance(seconds * 1_000 - 1);
    let seen = site.expect(browser, json!({ "n": 0 })).await?;
    ensure_eq!(seen.expires_at(), Some(cx.after(1)), "the idle deadline of an unused session");
    cx.advance(1);
    site.expect_stranger(browser, Opened::Unknown).await
}

/// However it is used, the session ends at its deadline, to the millisecond.
async fn used_session_ends(
    cx: &Cx,
    site: &Site,
    mut browser: Browser,
    lifetimes: &Lifetimes,
) -> Checked {
    let end = cx.now().plus(lifetimes.absolute());
    let mut uses = 0;
    while cx.now().plus(lifetimes.idle() / 2) < end {
        cx.clock().advance(lifetimes.idle() / 2);
        uses += 1;
        let seen = use_in_some_way(site, &mut browser, uses).await?;
        ensure_eq!(seen.deadline(), Some(end), "the deadline after use {uses}");
        ensure!(seen.expires_at() <= Some(end), "the idle deadline is beyond the deadline");
        let least = cx.now().plus(lifetimes.idle() * 9 / 10).min(end);
        let record = record_of(cx, &browser).await?;
        ensure!(record.expires_at() >= least, "use {uses} did not extend the session");
    }
    cx.clock().advance(end.since(cx.now()).saturating_sub(Duration::from_millis(1)));
    let last = browser.visit(&site.one).await?;
    ensure_eq!(last.opened(), Opened::Live, "one millisecond before the deadline");
    // Not even a write at the last moment extends it.
    browser.put(&site.two, json!({ "n": "last" })).await?;
    site.expect(&browser, json!({ "n": "last" })).await?;
    cx.advance(1);
    site.expect_stranger(&browser, Opened::Unknown).await?;
    cx.expect_none(&browser.id()?).await
}

async fn use_in_some_way(site: &Site, browser: &mut Browser, number: usize) -> Checked<Session> {
    let server = site.server(number);
    let mut request = browser.visit(server).await?;
    match number % 4 {
        0 => write(&mut request, json!({ "n": number }))?,
        1 => {}
        2 => request.rotate(),
        _ if request.subject().is_some() => {
            let outcome = server.elevate(&mut request, 2).await?;
            ensure_eq!(outcome, CommitOutcome::Saved, "an elevation");
        }
        _ => {}
    }
    let outcome = browser.leave(server, &mut request).await?;
    let lived = matches!(outcome, CommitOutcome::Saved | CommitOutcome::Unchanged);
    ensure!(lived, "use {number} was answered with {outcome:?}");
    Ok(request)
}

// K14

pub(crate) async fn touches_are_few_and_enough(cx: &Cx) -> Checked {
    const IDLE: u64 = 1_000;
    const STEP: u64 = 10;
    const STEPS: usize = 300;

    let set = lifetimes(IDLE, 100 * IDLE)?;
    let site = Site::with(cx, |builder| builder.anonymous_lifetimes(set))?;
    let visitor = site.visitor(json!({ "n": 0 })).await?;
    let before = record_of(cx, &visitor).await?;
    let writes = site.writes();
    let mut last_touch = None;
    for step in 0..STEPS {
        cx.advance(STEP * 1_000);
        let touches = site.calls(Op::Touch);
        read_only_request(&site, &visitor, step).await?;
        if site.calls(Op::Touch) > touches {
            ensure_eq!(site.calls(Op::Touch) - touches, 1, "touches of one request");
            let rounding = u64::try_from(set.idle().as_millis()).unwrap_or_default() / 20;
            let gap = last_touch.map_or(u64::MAX, |last| cx.now().as_millis() / rounding - last);
            ensure!(gap >= 2, "two touches within a tenth of the idle time");
            last_touch = Some(cx.now().as_millis() / rounding);
        }
    }
    let touches = site.calls(Op::Touch);
    ensure!(touches <= 31, "{touches} touches in three times the idle time");
    ensure!(touches >= 20, "{touches} touches in three times the idle time are too few");
    ensure_eq!(
        site.writes() - writes,
        touches,
        "read-only requests write touches and nothing else"
    );
    expect_only_touched(cx, &visitor, &before).await?;

    // After the last use it lives on for its idle time, but for the tenth.
    cx.advance(IDLE * 900 - 1);
    site.expect(&visitor, json!({ "n": 0 })).await?;
    cx.advance(IDLE * 100 + 1);
    site.expect_stranger(&visitor, Opened::Unknown).await?;
    a_failed_touch_fails_nothing(cx, &site).await
}

async fn read_only_request(site: &Site, visitor: &Browser, number: usize) -> Checked {
    let server = site.server(number);
    let mut request = visitor.visit(server).await?;
    ensure_eq!(data_of(&request)?, json!({ "n": 0 }), "the data of a session in use");
    let outcome = server.commit(&mut request).await?;
    ensure_eq!(outcome, CommitOutcome::Unchanged, "a request that only read");
    expect_client_told_nothing(&request)
}

async fn expect_only_touched(cx: &Cx, visitor: &Browser, before: &Record) -> Checked {
    let touched = record_of(cx, visitor).await?;
    ensure!(touched.expires_at() > before.expires_at(), "the touches moved nothing");
    let mut expected = before.clone().into_parts();
    expected.expires_at = touched.expires_at();
    cx.expect(&Record::from_parts(expected)).await
}

async fn a_failed_touch_fails_nothing(cx: &Cx, site: &Site) -> Checked {
    let visitor = site.visitor(json!({ "n": 0 })).await?;
    cx.advance(500_000);
    site.spies[0].refuse(Op::Touch, StoreErrorKind::Unavailable);
    let before = site.calls(Op::Touch);
    read_only_request(site, &visitor, 0).await?;
    ensure_eq!(site.calls(Op::Touch) - before, 1, "the touch that failed");
    read_only_request(site, &visitor, 0).await?;
    ensure_eq!(site.calls(Op::Touch) - before, 2, "the next request tries again");
    cx.advance(500_000);
    site.expect(&visitor, json!({ "n": 0 })).await?;
    Ok(())
}
