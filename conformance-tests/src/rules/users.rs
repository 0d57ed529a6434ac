//! The sessions of a user, tenants, and changes from outside.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use session_core::{
    CommitOutcome, DataError, Indexed, Lifetimes, Login, Opened, PageRequest, Realm, Record,
    SessionData, SessionError, SessionId, Subject, TokenChange,
};

use crate::cx::Cx;
use crate::in_flight::InFlight;
use crate::people::{
    Browser, Server, Site, expect_client_told_nothing, expect_refused, ids_in, ids_of, login_of,
    nothing, record_of, write,
};
use crate::race::race;
use crate::spy::Op;
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

// V01

pub(crate) async fn users_sessions_are_listed_and_destroyed(cx: &Cx) -> Checked {
    let site = Site::of_users(cx)?;
    let (alice, bob) = (cx.subject("alice")?, cx.subject("bob")?);
    let desk = site.user("alice", json!({ "on": "desk" })).await?;
    let mut phone = site.user("alice", json!({ "on": "phone" })).await?;
    let tablet = site.user("alice", json!({ "on": "tablet" })).await?;
    let of_bob = site.user("bob", nothing()).await?;
    let visitor = site.visitor(json!({ "n": 0 })).await?;
    phone.rotate(&site.two).await?;
    expect_listed(&site, &alice, &[&desk, &phone, &tablet]).await?;
    expect_listed(&site, &bob, &[&of_bob]).await?;

    // Only by its own subject, by its own id.
    for (subject, browser) in [(&bob, &desk), (&alice, &of_bob), (&alice, &visitor)] {
        let destroyed = site.two.destroy_one(subject, &browser.id()?).await?;
        ensure!(!destroyed, "a session was destroyed in the name of another user");
        ensure_eq!(browser.visit(&site.one).await?.opened(), Opened::Live, "the session");
    }
    ensure!(!site.one.destroy_one(&alice, &cx.id()).await?, "an unknown id was destroyed");
    expect_listed(&site, &alice, &[&desk, &phone, &tablet]).await?;
    ensure!(site.two.destroy_one(&alice, &phone.id()?).await?, "a live session is destroyed");
    ensure!(!site.one.destroy_one(&alice, &phone.id()?).await?, "destroyed once, not twice");
    site.expect_stranger(&phone, Opened::Unknown).await?;
    cx.expect_none(&phone.id()?).await?;
    expect_listed(&site, &alice, &[&desk, &tablet]).await?;
    site.expect(&desk, json!({ "on": "desk" })).await?;

    list_follows_the_user(cx, &site, desk, &tablet).await?;
    names_are_compared_as_bytes(cx, &site).await
}

/// A browser that another user logs in with leaves the list of the one, and enters that of the other.
async fn list_follows_the_user(
    cx: &Cx,
    site: &Site<Indexed>,
    mut desk: Browser,
    tablet: &Browser,
) -> Checked {
    let (alice, carol) = (cx.subject("alice")?, cx.subject("carol")?);
    desk.log_in(&site.one, login_of(&site.one, "carol")?).await?;
    expect_listed(site, &alice, &[tablet]).await?;
    expect_listed(site, &carol, &[&desk]).await?;
    let summary = cx.list(&carol).await?.pop().ok_or_else(|| Stop::failed("an empty list"))?;
    ensure_eq!(summary, record_of(cx, &desk).await?.summary(), "the summary");
    // Logged in again and rotated it is still one entry; logged out it is none.
    desk.log_in(&site.two, login_of(&site.two, "carol")?.level(2)).await?;
    desk.rotate(&site.one).await?;
    expect_listed(site, &carol, &[&desk]).await?;
    let mut request = desk.visit(&site.two).await?;
    site.two.destroy(&mut request).await?;
    expect_listed(site, &carol, &[]).await
}

async fn names_are_compared_as_bytes(cx: &Cx, site: &Site<Indexed>) -> Checked {
    let longest = "n".repeat(Subject::MAX_NAME_LEN);
    let names =
        [":", "{}", "*", "a:b", "😀", "é", "e\u{301}", "É", "a", "A", "a ", "%", "_", &longest];
    let mut browsers = Vec::new();
    for name in names {
        browsers.push(site.user(name, nothing()).await?);
    }
    for (name, browser) in names.iter().zip(&browsers) {
        expect_listed(site, &cx.subject(name)?, &[browser]).await?;
    }
    ensure_eq!(site.one.destroy_all(&cx.subject("*")?, None).await?, 1, "sessions of the user `*`");
    for (name, browser) in names.iter().zip(&browsers).filter(|(name, _)| **name != "*") {
        expect_listed(site, &cx.subject(name)?, &[browser]).await?;
    }
    for refused in ["", "a\0b", &"n".repeat(Subject::MAX_NAME_LEN + 1), &"n".repeat(1_048_576)] {
        ensure!(site.one.subject(refused).is_err(), "a name of {} bytes", refused.len());
    }
    Ok(())
}

/// Both servers list exactly these, in pages of any size.
async fn expect_listed(site: &Site<Indexed>, user: &Subject, browsers: &[&Browser]) -> Checked {
    for server in site.both() {
        for limit in [1, 2, 100] {
            let listed = listed(server, user, limit).await?;
            ensure_eq!(listed, ids_in(browsers)?, "the user's sessions, in pages of {limit}");
        }
    }
    Ok(())
}

async fn listed(server: &Server<Indexed>, user: &Subject, limit: u16) -> Checked<Vec<SessionId>> {
    const MOST_PAGES: usize = 1_000;

    let mut ids = Vec::new();
    let mut page = PageRequest::first(limit);
    for _ in 0..MOST_PAGES {
        let found = server.list(user, &page).await?;
        for summary in &found.items {
            ensure!(summary.subject.as_ref() == Some(user), "a session of another user is listed");
            ids.push(summary.id);
        }
        let Some(next) = found.next else {
            ids.sort_unstable();
            ids.dedup();
            return Ok(ids);
        };
        page = PageRequest::first(limit).after(next);
    }
    Err(Stop::failed("the list does not end"))
}

// V02

pub(crate) async fn all_sessions_are_destroyed(cx: &Cx) -> Checked {
    let site = Site::of_users(cx)?;
    let alice = cx.subject("alice")?;
    let bystander = site.user("bob", json!({ "n": 0 })).await?;
    let desk = site.user("alice", json!({ "on": "desk" })).await?;
    let mut phone = site.user("alice", json!({ "on": "phone" })).await?;
    let before_rotation = phone.clone();
    phone.rotate(&site.one).await?;
    let mut in_flight = InFlight::of(&site, &desk).await?;
    cx.advance(GRACE_AND_A_TOUCH);
    let of_another = bystander.visit(&site.one).await?;

    ensure_eq!(site.two.destroy_all(&alice, None).await?, 2, "sessions that were destroyed");
    for browser in [&desk, &phone, &before_rotation] {
        site.expect_stranger(browser, Opened::Unknown).await?;
        cx.expect_none(&browser.id()?).await?;
    }
    in_flight.are_refused(&site, CommitOutcome::Missing).await?;
    expect_refused(&site.two, &mut in_flight.reading, CommitOutcome::Missing).await?;
    site.expect_stranger(&desk, Opened::Unknown).await?;
    cx.expect_none(&desk.id()?).await?;
    expect_listed(&site, &alice, &[]).await?;
    ensure_eq!(site.one.destroy_all(&alice, None).await?, 0, "sessions of a user without any");
    drop(of_another);
    site.expect(&bystander, json!({ "n": 0 })).await?;

    the_excepted_one_goes_on(cx, &site).await?;
    a_wrong_exception_destroys_nothing(cx, &site).await?;
    logins_at_the_same_time_are_dead_or_listed(cx, &site).await?;
    rotation_beside_leaves_one_secret(cx, &site).await
}

/// More than a tenth of the idle time of a user, so that a request would write a touch.
const GRACE_AND_A_TOUCH: u64 = 3 * 3_600_000;

async fn the_excepted_one_goes_on(cx: &Cx, site: &Site<Indexed>) -> Checked {
    let alice = cx.subject("alice")?;
    let mut current = site.user("alice", json!({ "n": 0 })).await?;
    let others = [site.user("alice", nothing()).await?, site.user("alice", nothing()).await?];
    let stolen = current.clone();
    let mut late = stolen.visit(&site.two).await?;
    write(&mut late, json!({ "late": true }))?;

    let mut request = current.visit(&site.one).await?;
    ensure_eq!(site.one.destroy_all(&alice, Some(&mut request)).await?, 2, "the others");
    current.take_new_token(&request)?;
    ensure_eq!(current.id()?, stolen.id()?, "the id of the excepted session");
    for other in &others {
        site.expect_stranger(other, Opened::Unknown).await?;
    }
    site.expect_stranger(&stolen, Opened::Superseded).await?;
    expect_refused(&site.two, &mut late, CommitOutcome::Superseded).await?;
    let seen = site.expect(&current, json!({ "n": 0 })).await?;
    ensure_eq!(seen.subject(), Some(&alice), "the user");
    expect_listed(site, &alice, &[&current]).await?;
    current.put(&site.two, json!({ "n": 1 })).await?;
    site.expect(&current, json!({ "n": 1 })).await?;
    ensure_eq!(site.one.destroy_all(&alice, None).await?, 1, "sessions at the end");
    site.expect_stranger(&current, Opened::Unknown).await
}

async fn a_wrong_exception_destroys_nothing(cx: &Cx, site: &Site<Indexed>) -> Checked {
    let alice = cx.subject("alice")?;
    let other = site.user("alice", json!({ "n": 0 })).await?;
    let mut current = site.user("alice", json!({ "n": 1 })).await?;
    let mut superseded = current.visit(&site.one).await?;
    current.log_in(&site.two, login_of(&site.two, "alice")?).await?;
    let answer = site.one.destroy_all(&alice, Some(&mut superseded)).await;
    ensure!(matches!(answer, Err(SessionError::NotCurrent)), "a superseded exception: {answer:?}");
    expect_client_told_nothing(&superseded)?;

    let mut ended = site.user("alice", nothing()).await?;
    let mut request = ended.visit(&site.one).await?;
    ensure!(site.two.destroy_one(&alice, &ended.id()?).await?, "a live session is destroyed");
    let answer = site.one.destroy_all(&alice, Some(&mut request)).await;
    ensure!(matches!(answer, Err(SessionError::NotCurrent)), "an ended exception: {answer:?}");
    ended.take(&request);

    let bystander = site.user("bob", nothing()).await?;
    let mut request = bystander.visit(&site.two).await?;
    let answer = site.two.destroy_all(&alice, Some(&mut request)).await;
    ensure!(matches!(answer, Err(SessionError::WrongSubject)), "another's exception: {answer:?}");
    expect_client_told_nothing(&request)?;

    site.expect(&other, json!({ "n": 0 })).await?;
    site.expect(&current, json!({ "n": 1 })).await?;
    expect_listed(site, &alice, &[&other, &current]).await?;
    ensure_eq!(site.one.destroy_all(&alice, None).await?, 2, "sessions at the end");
    Ok(())
}

/// Whoever had logged in before is out. Whoever logs in beside it is out, or is in and listed.
async fn logins_at_the_same_time_are_dead_or_listed(cx: &Cx, site: &Site<Indexed>) -> Checked {
    for round in 0..cx.rounds(10) {
        let name = format!("round {round}");
        let user = cx.subject(&name)?;
        let mut before = Vec::new();
        for _ in 0..3 {
            before.push(site.user(&name, nothing()).await?);
        }
        let mut contenders: Vec<BoxFuture<'static, Checked<Option<Browser>>>> = Vec::new();
        let (server, subject) = (site.two.clone(), user.clone());
        contenders.push(
            async move {
                server.destroy_all(&subject, None).await?;
                Ok(None)
            }
            .boxed(),
        );
        for number in 0..8 {
            let (server, mut browser) = (site.server(number).clone(), site.browser());
            let login = Login::new(user.clone());
            contenders.push(
                async move {
                    browser.log_in(&server, login).await?;
                    Ok(Some(browser))
                }
                .boxed(),
            );
        }
        let beside = race(contenders).await?.into_iter().collect::<Checked<Vec<_>>>()?;
        for browser in &before {
            site.expect_stranger(browser, Opened::Unknown).await?;
        }
        expect_live_is_listed(cx, site, &user, beside.into_iter().flatten().collect()).await?;
    }
    Ok(())
}

/// Of these browsers exactly those that are let in are listed. Answers with how many.
async fn expect_live_is_listed(
    cx: &Cx,
    site: &Site<Indexed>,
    user: &Subject,
    browsers: Vec<Browser>,
) -> Checked<usize> {
    let mut live = Vec::new();
    for browser in browsers {
        if browser.visit(&site.one).await?.opened() == Opened::Live {
            live.push(browser);
        } else {
            site.expect_stranger(&browser, Opened::Unknown).await?;
            cx.expect_none(&browser.id()?).await?;
        }
    }
    let live: Vec<_> = live.iter().collect();
    ensure_eq!(
        ids_of(cx, user).await?,
        ids_in(&live)?,
        "the sessions that are listed, and that live"
    );
    Ok(live.len())
}

/// A rotation of the excepted session at the same time: it goes on, with one current secret.
async fn rotation_beside_leaves_one_secret(cx: &Cx, site: &Site<Indexed>) -> Checked {
    for round in 0..cx.rounds(10) {
        let name = format!("rotating {round}");
        let user = cx.subject(&name)?;
        let current = site.user(&name, json!({ "n": 0 })).await?;
        let other = site.user(&name, nothing()).await?;
        let contenders = (0..2).map(|number| {
            let (server, mut browser) = (site.server(number).clone(), current.clone());
            let user = user.clone();
            async move {
                let mut request = browser.visit(&server).await?;
                let all = if number == 0 {
                    server.destroy_all(&user, Some(&mut request)).await
                } else {
                    request.rotate();
                    server.commit(&mut request).await.map(|_| 0)
                };
                let set = matches!(request.token_change(), TokenChange::Set(_));
                browser.take(&request);
                Ok((all, set.then_some(browser)))
            }
        });
        let results = race(contenders).await?.into_iter().collect::<Checked<Vec<_>>>()?;
        let live = live_ones(site, results.iter().filter_map(|(_, got)| got.as_ref())).await?;
        ensure!(live >= 1, "round {round}: nobody can go on with the excepted session");
        match &results[0].0 {
            Ok(destroyed) => {
                ensure_eq!(*destroyed, 1, "round {round}: the others");
                site.expect_stranger(&other, Opened::Unknown).await?;
            }
            Err(SessionError::NotCurrent) => {
                ensure_eq!(
                    other.visit(&site.two).await?.opened(),
                    Opened::Live,
                    "the other session"
                );
            }
            Err(error) => return Err(Stop::failed(format!("round {round}: {error:?}"))),
        }
    }
    Ok(())
}

async fn live_ones<'a>(
    site: &Site<Indexed>,
    browsers: impl Iterator<Item = &'a Browser>,
) -> Checked<usize> {
    let mut live = 0;
    for browser in browsers {
        if browser.visit(&site.one).await?.opened() == Opened::Live {
            site.expect(browser, json!({ "n": 0 })).await?;
            live += 1;
        }
    }
    Ok(live)
}

// V03

pub(crate) async fn the_newest_sessions_are_kept(cx: &Cx) -> Checked {
    const LIMIT: usize = 3;

    let limit = NonZeroU32::new(3).unwrap_or(NonZeroU32::MIN);
    let site = Site::of_users_with(cx, |builder| builder.max_sessions_per_subject(limit))?;
    let alice = cx.subject("alice")?;
    let bystander = site.user("bob", json!({ "n": 0 })).await?;
    let mut logins = Vec::new();
    for number in 0..6 {
        cx.advance(1_000);
        let mut browser = site.browser();
        browser.log_in(site.server(number), login_of(&site.one, "alice")?).await?;
        logins.push(browser);
        let newest: Vec<_> = logins.iter().rev().take(LIMIT).collect();
        expect_listed(&site, &alice, &newest).await?;
        for browser in newest {
            ensure_eq!(browser.visit(&site.two).await?.opened(), Opened::Live, "a newer session");
        }
        for evicted in logins.iter().rev().skip(LIMIT) {
            site.expect_stranger(evicted, Opened::Unknown).await?;
            cx.expect_none(&evicted.id()?).await?;
        }
    }
    a_new_login_makes_an_old_session_new(cx, &site, logins).await?;
    logins_at_once_settle_below_the_limit(cx, &site).await?;
    site.expect(&bystander, json!({ "n": 0 })).await?;
    Ok(())
}

async fn a_new_login_makes_an_old_session_new(
    cx: &Cx,
    site: &Site<Indexed>,
    mut logins: Vec<Browser>,
) -> Checked {
    let (alice, mut live) = (cx.subject("alice")?, logins.split_off(3));
    cx.advance(1_000);
    live[0].log_in(&site.two, login_of(&site.two, "alice")?).await?;
    expect_listed(site, &alice, &live.iter().collect::<Vec<_>>()).await?;
    cx.advance(1_000);
    let mut browser = site.browser();
    browser.log_in(&site.one, login_of(&site.one, "alice")?).await?;
    expect_listed(site, &alice, &[&live[0], &live[2], &browser]).await?;
    site.expect_stranger(&live[1], Opened::Unknown).await
}

async fn logins_at_once_settle_below_the_limit(cx: &Cx, site: &Site<Indexed>) -> Checked {
    for round in 0..cx.rounds(5) {
        let user = cx.subject(&format!("user {round}"))?;
        let browsers = race((0..20).map(|number| {
            let (server, mut browser) = (site.server(number).clone(), site.browser());
            let login = Login::new(user.clone());
            async move {
                browser.log_in(&server, login).await?;
                Ok(browser)
            }
        }))
        .await?;
        let mut browsers = browsers.into_iter().collect::<Checked<Vec<_>>>()?;
        let live = expect_live_is_listed(cx, site, &user, browsers.clone()).await?;
        ensure!((1..=3).contains(&live), "round {round}: {live} sessions after 20 logins");

        cx.advance(1_000);
        let mut newest = site.browser();
        newest.log_in(&site.one, Login::new(user.clone())).await?;
        browsers.push(newest.clone());
        let live = expect_live_is_listed(cx, site, &user, browsers).await?;
        ensure!((1..=3).contains(&live), "round {round}: {live} sessions after one login more");
        site.expect(&newest, nothing()).await?;
    }
    Ok(())
}

// V04

pub(crate) async fn realms_do_not_meet(cx: &Cx) -> Checked {
    let site = Site::of_users(cx)?;
    // Name and realm run together differ only in where the one ends.
    let longest = "r".repeat(Realm::MAX_LEN);
    for (ours, theirs, name) in
        [("", "shop", "alice"), ("ab", "a", "c"), ("shop", &longest, "alice")]
    {
        let (ours, theirs) = (in_realm(&site, ours)?, in_realm(&site, theirs)?);
        two_realms(cx, &site, &ours, &theirs, name).await?;
    }
    Ok(())
}

fn in_realm(site: &Site<Indexed>, name: &str) -> Checked<[Server<Indexed>; 2]> {
    let realm = Realm::new(name)?;
    Ok(site.both().map(|server| server.with_realm(realm.clone())))
}

async fn two_realms(
    cx: &Cx,
    site: &Site<Indexed>,
    ours: &[Server<Indexed>; 2],
    theirs: &[Server<Indexed>; 2],
    name: &str,
) -> Checked {
    let user = ours[0].subject(name)?;
    let same_name = theirs[0].subject(name)?;
    ensure!(user != same_name, "the same name in two realms is one user");
    let run_together = format!("b{name}");
    let mut browser = site.browser();
    browser.log_in(&ours[0], Login::new(user.clone())).await?;
    browser.put(&ours[1], json!({ "n": 0 })).await?;
    let mut visitor = site.browser();
    visitor.put(&ours[0], json!({ "n": 1 })).await?;
    let mut neighbours = Vec::new();
    for neighbour in [name, &run_together] {
        let mut browser = site.browser();
        browser.log_in(&theirs[0], login_of(&theirs[0], neighbour)?).await?;
        neighbours.push(browser);
    }
    let record = record_of(cx, &browser).await?;

    for (server, other) in ours.iter().zip(theirs) {
        ensure_eq!(browser.visit(server).await?.opened(), Opened::Live, "in its own realm");
        for foreign in [&browser, &visitor] {
            let request = foreign.visit(other).await?;
            ensure_eq!(request.opened(), Opened::Unknown, "a token in another realm");
            ensure!(request.data().is_empty() && request.subject().is_none(), "it shows something");
        }
        ensure_eq!(listed(server, &user, 10).await?, ids_in(&[&browser])?, "the user's list");
        ensure_eq!(listed(other, &same_name, 10).await?, ids_in(&[&neighbours[0]])?, "the other's");
        foreign_users_are_refused(other, &user, &browser).await?;
        let outcome = other.modify(&browser.id()?, |data| data.insert("n", &666)).await?;
        ensure_eq!(outcome, CommitOutcome::Missing, "a session of another realm");
        ensure!(
            !other.destroy_one(&same_name, &browser.id()?).await?,
            "a session of another realm"
        );
    }
    cx.expect(&record).await?;
    ensure_eq!(theirs[1].destroy_all(&same_name, None).await?, 1, "sessions of the same name");
    cx.expect(&record).await?;
    ensure_eq!(neighbours[1].visit(&theirs[0]).await?.opened(), Opened::Live, "another user");
    ensure_eq!(ours[1].destroy_all(&user, None).await?, 1, "sessions of the user");
    ensure_eq!(browser.visit(&ours[0]).await?.opened(), Opened::Unknown, "a destroyed session");
    ensure_eq!(neighbours[1].visit(&theirs[1]).await?.opened(), Opened::Live, "another user");
    // Clean for the next pair of realms with the same user.
    theirs[0].destroy_one(&theirs[0].subject(&run_together)?, &neighbours[1].id()?).await?;
    Ok(())
}

async fn foreign_users_are_refused(
    server: &Server<Indexed>,
    user: &Subject,
    browser: &Browser,
) -> Checked {
    let page = PageRequest::first(10);
    let mut request = server.open(None).await?;
    let answers = [
        server.list(user, &page).await.map(drop),
        server.destroy_one(user, &browser.id()?).await.map(drop),
        server.destroy_all(user, None).await.map(drop),
        server.login(&mut request, user.clone()).await,
    ];
    for answer in answers {
        let refused = matches!(answer, Err(SessionError::WrongSubject));
        ensure!(refused, "a user of another realm: {answer:?}");
    }
    expect_client_told_nothing(&request)
}

// V05

pub(crate) async fn sessions_are_modified_by_id(cx: &Cx) -> Checked {
    let site = Site::of_users(cx)?;
    modify_changes_the_data_only(cx, &site).await?;
    modify_merges_with_requests(&site).await?;
    modify_is_refused_after_a_login(cx, &site).await?;
    ended_sessions_are_missing(cx, &site).await?;
    modifications_are_all_counted(&site).await
}

async fn modify_changes_the_data_only(cx: &Cx, site: &Site<Indexed>) -> Checked {
    for browser in [
        site.user("alice", json!({ "n": 0, "old": 1 })).await?,
        site.visitor(json!({ "n": 0, "old": 1 })).await?,
    ] {
        cx.advance(60_000);
        let before = record_of(cx, &browser).await?;
        let id = browser.id()?;
        let modification = site.two.modify(&id, |data| {
            data.insert("n", &1)?;
            data.remove("old");
            data.flash("note", "from outside")
        });
        ensure_eq!(modification.await?, CommitOutcome::Saved, "a modification");
        let mut seen = site.expect(&browser, json!({ "n": 1 })).await?;
        let flash: Vec<String> = seen.data_mut().take_flash("note")?;
        ensure_eq!(flash, ["from outside"], "the flash message");
        let after = record_of(cx, &browser).await?;
        ensure!(after.revision() != before.revision(), "the revision is the same");
        let mut expected = before.into_parts();
        expected.revision = after.revision();
        expected.payload = after.payload().clone();
        cx.expect(&Record::from_parts(expected)).await?;

        let unchanged = site.one.modify(&browser.id()?, |_| Ok(())).await?;
        ensure_eq!(unchanged, CommitOutcome::Unchanged, "a modification that changes nothing");
        let failed = site.one.modify(&browser.id()?, |data| data.insert("n", &f64::NAN)).await;
        ensure!(
            matches!(failed, Err(SessionError::Data(_))),
            "what the closure answers: {failed:?}"
        );
        let large = "x".repeat(session_core::MAX_PAYLOAD_LEN);
        let large = site.one.modify(&browser.id()?, |data| data.insert("n", &large)).await;
        ensure!(matches!(large, Err(SessionError::Limit(_))), "one that breaks a limit: {large:?}");
        cx.expect(&after).await?;
    }
    Ok(())
}

async fn modify_merges_with_requests(site: &Site<Indexed>) -> Checked {
    // It comes before the request's commit, and then after it.
    let mut browser = site.user("alice", json!({ "seed": 0 })).await?;
    let mut request = browser.visit(&site.one).await?;
    write(&mut request, json!({ "request": 1 }))?;
    let outcome = site.two.modify(&browser.id()?, |data| data.insert("outside", &1)).await?;
    ensure_eq!(outcome, CommitOutcome::Saved, "a modification");
    browser.save(&site.one, &mut request).await?;
    site.expect(&browser, json!({ "seed": 0, "request": 1, "outside": 1 })).await?;

    let runs = Arc::new(AtomicU32::new(0));
    let mut held = site.spies[1].hold(Op::Update);
    let modification = modification(site, browser.id()?, &runs);
    let modification = held.by(modification).await?;
    browser.put(&site.one, json!({ "request": 2 })).await?;
    held.release();
    ensure_eq!(modification.await?, CommitOutcome::Saved, "a modification");
    ensure_eq!(runs.load(Ordering::SeqCst), 2, "runs of the closure");
    let all = json!({ "seed": 0, "request": 2, "outside": 1, "modified": 1 });
    site.expect(&browser, all).await?;
    Ok(())
}

/// A modification by the second server that counts how often its closure runs.
fn modification(
    site: &Site<Indexed>,
    id: SessionId,
    runs: &Arc<AtomicU32>,
) -> BoxFuture<'static, Result<CommitOutcome, SessionError>> {
    let (server, runs) = (site.two.clone(), Arc::clone(runs));
    async move {
        server
            .modify(&id, |data| {
                runs.fetch_add(1, Ordering::SeqCst);
                data.insert("modified", &1)
            })
            .await
    }
    .boxed()
}

async fn modify_is_refused_after_a_login(cx: &Cx, site: &Site<Indexed>) -> Checked {
    let mut browser = site.visitor(json!({ "seed": 0 })).await?;
    let runs = Arc::new(AtomicU32::new(0));
    let mut held = site.spies[1].hold(Op::Update);
    let modification = held.by(modification(site, browser.id()?, &runs)).await?;
    browser.log_in(&site.one, login_of(&site.one, "alice")?).await?;
    let record = record_of(cx, &browser).await?;
    held.release();
    ensure_eq!(modification.await?, CommitOutcome::Superseded, "a modification after a login");
    ensure_eq!(runs.load(Ordering::SeqCst), 1, "runs of the closure");
    cx.expect(&record).await?;
    site.expect(&browser, nothing()).await?;
    Ok(())
}

async fn ended_sessions_are_missing(cx: &Cx, site: &Site<Indexed>) -> Checked {
    let destroyed = site.user("alice", nothing()).await?;
    let mut request = destroyed.visit(&site.one).await?;
    site.one.destroy(&mut request).await?;
    let over = site.visitor(json!({ "n": 0 })).await?;
    cx.clock().advance(Lifetimes::DEFAULT_ANONYMOUS.idle());
    for id in [destroyed.id()?, over.id()?, cx.id()] {
        for server in site.both() {
            let outcome = server.modify(&id, |data| data.insert("n", &1)).await?;
            ensure_eq!(outcome, CommitOutcome::Missing, "a session that is not there");
        }
        cx.expect_none(&id).await?;
    }
    Ok(())
}

async fn modifications_are_all_counted(site: &Site<Indexed>) -> Checked {
    const MODIFICATIONS: usize = 100;

    let browser = site.user("alice", json!({ "seed": 0 })).await?;
    let id = browser.id()?;
    let done = race((0..MODIFICATIONS).map(|number| {
        let server = site.server(number).clone();
        async move { count(&server, &id).await }
    }))
    .await?;
    done.into_iter().collect::<Checked>()?;
    site.expect(&browser, json!({ "seed": 0, "count": MODIFICATIONS })).await?;
    Ok(())
}

/// One modification is merged a few times only; then it is made again.
async fn count(server: &Server<Indexed>, id: &SessionId) -> Checked {
    const TRIES: usize = 200;

    for _ in 0..TRIES {
        match server.modify(id, increment).await {
            Ok(CommitOutcome::Saved) => return Ok(()),
            Err(SessionError::Conflict) => {}
            other => {
                return Err(Stop::failed(format!("a modification was answered with {other:?}")));
            }
        }
    }
    Err(Stop::failed(format!("a modification met {TRIES} conflicts")))
}

fn increment(data: &mut SessionData) -> Result<(), DataError> {
    let count = data.value("count").and_then(Value::as_u64).unwrap_or(0);
    data.insert("count", &(count + 1))
}
