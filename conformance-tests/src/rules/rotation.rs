//! Rotation, login and elevation.

use serde_json::json;
use session_core::{
    Authentication, CommitOutcome, CredentialTag, Lifetimes, Login, Opened, OsRandom, Record,
    SessionError, SessionToken, StoreErrorKind, TokenChange,
};

use crate::cx::Cx;
use crate::in_flight::InFlight;
use crate::people::{
    Browser, GRACE, SUPERSEDED_FOR, Server, Site, data_of, expect_client_told_nothing,
    expect_nothing_shown, expect_refused, login_of, nothing, record_of, write,
};
use crate::race::race;
use crate::spy::Op;
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

// O01

pub(crate) async fn old_token_opens_inside_the_grace_only(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    let mut user = site.user("alice", json!({ "n": 0, "list": [1, 2] })).await?;
    let old = user.clone();
    let mut request = user.visit(&site.one).await?;
    request.rotate();
    write(&mut request, json!({ "with it": true }))?;
    user.save(&site.one, &mut request).await?;
    user.take_new_token(&request)?;
    ensure_eq!(user.id()?, old.id()?, "the id before and after a rotation");
    ensure!(user.text()? != old.text()?, "the rotation gave the same token again");
    let data = json!({ "n": 0, "list": [1, 2], "with it": true });
    site.expect(&user, data.clone()).await?;
    site.expect(&old, data).await?;

    // Inside the grace a request is like any other, but gets no token and cannot rotate.
    for (server, key) in site.both().into_iter().zip(["one", "two"]) {
        let mut late = old.visit(server).await?;
        late.rotate();
        write(&mut late, json!({ key: "late" }))?;
        ensure_eq!(server.commit(&mut late).await?, CommitOutcome::Saved, "inside the grace");
        expect_client_told_nothing(&late)?;
    }
    let data = json!({ "n": 0, "list": [1, 2], "with it": true, "one": "late", "two": "late" });
    site.expect(&user, data.clone()).await?;
    cx.advance(GRACE - 1);
    site.expect(&old, data.clone()).await?;
    cx.advance(1);
    site.expect_stranger(&old, Opened::Superseded).await?;
    site.expect(&user, data).await?;
    only_one_secret_before_is_known(cx, &site).await
}

/// Rotated twice inside the grace: the first secret is dead at once, the second in its grace.
async fn only_one_secret_before_is_known(cx: &Cx, site: &Site) -> Checked {
    let mut visitor = site.visitor(json!({ "n": 0 })).await?;
    let first = visitor.clone();
    visitor.rotate(&site.one).await?;
    let second = visitor.clone();
    cx.advance(GRACE / 2);
    visitor.rotate(&site.two).await?;
    site.expect_stranger(&first, Opened::Superseded).await?;
    site.expect(&second, json!({ "n": 0 })).await?;
    site.expect(&visitor, json!({ "n": 0 })).await?;
    cx.advance(GRACE - 1);
    site.expect(&second, json!({ "n": 0 })).await?;
    cx.advance(1);
    site.expect_stranger(&second, Opened::Superseded).await?;
    site.expect(&visitor, json!({ "n": 0 })).await?;
    Ok(())
}

// O02

pub(crate) async fn one_of_two_rotations_wins(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    let mut user = site.user("alice", json!({ "n": 0 })).await?;
    let old = user.clone();
    let mut winner = user.visit(&site.one).await?;
    let mut other = user.visit(&site.two).await?;
    winner.rotate();
    write(&mut winner, json!({ "winner": 1 }))?;
    other.rotate();
    write(&mut other, json!({ "other": 1 }))?;
    user.save(&site.one, &mut winner).await?;
    user.take_new_token(&winner)?;
    let hash = *record_of(cx, &user).await?.secret_hash();

    ensure_eq!(site.two.commit(&mut other).await?, CommitOutcome::Saved, "the other rotation");
    expect_client_told_nothing(&other)?;
    ensure!(*record_of(cx, &user).await?.secret_hash() == hash, "a second rotation was applied");
    let data = json!({ "n": 0, "winner": 1, "other": 1 });
    site.expect(&user, data.clone()).await?;
    site.expect(&old, data).await?;
    rotations_at_once_give_one_token(cx, &site).await
}

async fn rotations_at_once_give_one_token(cx: &Cx, site: &Site) -> Checked {
    const REQUESTS: usize = 6;

    for round in 0..cx.rounds(20) {
        let old = site.visitor(json!({ "n": 0 })).await?;
        let after = race((0..REQUESTS).map(|number| {
            let (server, mut browser) = (site.server(number).clone(), old.clone());
            async move {
                let mut request = browser.visit(&server).await?;
                request.rotate();
                write(&mut request, json!({ format!("key {number}"): 1 }))?;
                browser.save(&server, &mut request).await?;
                Ok(matches!(request.token_change(), TokenChange::Set(_)).then_some(browser))
            }
        }))
        .await?;
        let after = after.into_iter().collect::<Checked<Vec<_>>>()?;
        let winners: Vec<_> = after.into_iter().flatten().collect();
        ensure_eq!(winners.len(), 1, "round {round}: requests that got a token");
        let seen = site.one.open(Some(winners[0].text()?.as_bytes())).await?;
        ensure_eq!(seen.opened(), Opened::Live, "round {round}: the new token");
        ensure_eq!(seen.data().len(), 1 + REQUESTS, "round {round}: keys that were kept");
        site.expect(&old, data_of(&seen)?).await?;
    }
    Ok(())
}

// O03

pub(crate) async fn superseded_then_unknown(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    for (grace, secured) in [(GRACE, false), (0, true)] {
        let mut user = site.user("alice", json!({ "n": 0 })).await?;
        let old = user.clone();
        let wrong = wrong_secret(&old)?;
        if secured {
            elevate(&mut user, &site.one, 2).await?;
        } else {
            user.rotate(&site.one).await?;
        }
        let record = record_of(cx, &user).await?;
        if grace > 0 {
            site.expect_stranger(&wrong, Opened::Superseded).await?;
            cx.advance(grace - 1);
            site.expect(&old, json!({ "n": 0 })).await?;
            cx.advance(1);
        }
        // At the end of the grace, and in the last millisecond of the two minutes.
        for wait in [0, SUPERSEDED_FOR - 1] {
            cx.advance(wait);
            for stale in [&old, &wrong] {
                site.expect_stranger(stale, Opened::Superseded).await?;
                superseded_writes_nothing(cx, &site, stale, &record).await?;
            }
            site.expect(&user, json!({ "n": 0 })).await?;
        }
        cx.advance(1);
        for stale in [&old, &wrong] {
            site.expect_stranger(stale, Opened::Unknown).await?;
            unknown_begins_another_session(&site, stale).await?;
        }
        cx.expect(&record).await?;
        site.expect(&user, json!({ "n": 0 })).await?;
    }
    // Where nothing was ever rotated, a wrong secret is unknown.
    let visitor = site.visitor(json!({ "n": 0 })).await?;
    site.expect_stranger(&wrong_secret(&visitor)?, Opened::Unknown).await
}

fn wrong_secret(browser: &Browser) -> Checked<Browser> {
    let secret = SessionToken::random(&OsRandom)?.secret().clone();
    Ok(browser.with(&SessionToken::new(browser.id()?, secret)))
}

/// A request with a superseded token stays anonymous, and what it writes is not stored.
async fn superseded_writes_nothing(
    cx: &Cx,
    site: &Site,
    stale: &Browser,
    record: &Record,
) -> Checked {
    let before = site.writes();
    for server in site.both() {
        let mut request = stale.visit(server).await?;
        expect_refused(server, &mut request, CommitOutcome::Superseded).await?;
        write(&mut request, json!({ "stolen": true }))?;
        request.rotate();
        expect_refused(server, &mut request, CommitOutcome::Superseded).await?;
        let outcome = server.elevate(&mut request, 9).await?;
        ensure_eq!(outcome, CommitOutcome::Superseded, "an elevation by a superseded token");
        ensure!(!server.destroy(&mut request).await?, "a superseded token destroyed a session");
        expect_client_told_nothing(&request)?;
    }
    ensure_eq!(site.writes() - before, 0, "writes by a superseded token");
    cx.expect(record).await
}

async fn unknown_begins_another_session(site: &Site, stale: &Browser) -> Checked {
    let mut browser = stale.clone();
    let mut request = browser.visit(&site.two).await?;
    write(&mut request, json!({ "new": true }))?;
    browser.save(&site.two, &mut request).await?;
    browser.take_new_token(&request)?;
    ensure!(browser.id()? != stale.id()?, "the new session has an id of its own");
    let seen = site.expect(&browser, json!({ "new": true })).await?;
    ensure!(seen.subject().is_none(), "the new session belongs to nobody");
    Ok(())
}

async fn elevate(browser: &mut Browser, server: &Server, level: u8) -> Checked {
    let mut request = browser.visit(server).await?;
    ensure_eq!(server.elevate(&mut request, level).await?, CommitOutcome::Saved, "an elevation");
    browser.take_new_token(&request)
}

// O04

pub(crate) async fn superseded_request_is_refused(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    // After the grace.
    let mut user = site.user("alice", json!({ "n": 0 })).await?;
    let mut late = InFlight::of(&site, &user).await?;
    user.rotate(&site.two).await?;
    cx.advance(GRACE);
    late.change_nothing(cx, &site, &user, CommitOutcome::Superseded).await?;

    // Inside the grace, but rotated twice.
    let mut late = InFlight::of(&site, &user).await?;
    user.rotate(&site.one).await?;
    user.rotate(&site.two).await?;
    late.change_nothing(cx, &site, &user, CommitOutcome::Superseded).await?;

    // Without a grace.
    let mut late = InFlight::of(&site, &user).await?;
    elevate(&mut user, &site.two, 2).await?;
    late.change_nothing(cx, &site, &user, CommitOutcome::Superseded).await?;
    site.expect(&user, json!({ "n": 0 })).await?;

    // Inside the grace of one rotation a write is merged instead.
    let mut late = user.visit(&site.one).await?;
    write(&mut late, json!({ "late": true }))?;
    user.rotate(&site.two).await?;
    cx.advance(GRACE - 1);
    ensure_eq!(site.one.commit(&mut late).await?, CommitOutcome::Saved, "inside the grace");
    expect_client_told_nothing(&late)?;
    site.expect(&user, json!({ "n": 0, "late": true })).await?;
    Ok(())
}

// O05

pub(crate) async fn rotated_token_dies_with_its_session(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    for by_the_old_token in [false, true] {
        let mut user = site.user("alice", json!({ "n": 0 })).await?;
        let old = user.clone();
        let mut before = InFlight::of(&site, &old).await?;
        user.rotate(&site.one).await?;
        let mut inside = InFlight::of(&site, &user).await?;
        let leaver = if by_the_old_token { &old } else { &user };
        let mut leaving = leaver.visit(&site.two).await?;
        ensure!(site.two.destroy(&mut leaving).await?, "a live session was destroyed");
        ensure!(matches!(leaving.token_change(), TokenChange::Remove), "the client forgets it");
        for stale in [&old, &user] {
            site.expect_stranger(stale, Opened::Unknown).await?;
        }
        before.change_nothing(cx, &site, &user, CommitOutcome::Missing).await?;
        inside.change_nothing(cx, &site, &user, CommitOutcome::Missing).await?;
        for stale in [&old, &user] {
            site.expect_stranger(stale, Opened::Unknown).await?;
            unknown_begins_another_session(&site, stale).await?;
        }
        cx.expect_none(&user.id()?).await?;
    }
    Ok(())
}

// O06

pub(crate) async fn rotation_changes_the_secret_only(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    let tag = CredentialTag::new(b"version 7").map_err(|error| Stop::failed(error.to_string()))?;
    let mut user = site.browser();
    let login = login_of(&site.one, "alice")?.level(3).credential_tag(tag);
    user.log_in(&site.one, login).await?;
    user.put(&site.one, json!({ "n": 0 })).await?;
    rotate_and_compare(cx, &site, user).await?;
    let visitor = site.visitor(json!({ "n": 0 })).await?;
    rotate_and_compare(cx, &site, visitor).await
}

async fn rotate_and_compare(cx: &Cx, site: &Site, mut browser: Browser) -> Checked {
    for elapsed in [0, 1_000_000, 600_000] {
        cx.advance(elapsed);
        let before = record_of(cx, &browser).await?;
        browser.rotate(&site.two).await?;
        let after = record_of(cx, &browser).await?;
        ensure!(after.secret_hash() != before.secret_hash(), "the secret is the same");
        let previous = after.previous().ok_or_else(|| Stop::failed("the old secret is lost"))?;
        ensure!(previous.hash == *before.secret_hash(), "another secret is the one before");
        ensure_eq!(previous.grace_until, cx.after(GRACE), "the end of the grace");
        // A rotation is a use: it may move the idle deadline, and nothing else.
        ensure!(after.expires_at() >= before.expires_at(), "the idle deadline moved back");
        if elapsed == 0 {
            ensure_eq!(after.expires_at(), before.expires_at(), "the idle deadline");
        }
        let mut expected = before.into_parts();
        expected.secret_hash = *after.secret_hash();
        expected.previous = Some(*previous);
        expected.revision = after.revision();
        expected.expires_at = after.expires_at();
        cx.expect(&Record::from_parts(expected)).await?;
        site.expect(&browser, json!({ "n": 0 })).await?;
    }
    Ok(())
}

// O07

pub(crate) async fn login_begins_afresh(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    let tag = CredentialTag::new(&[7; 32]).map_err(|error| Stop::failed(error.to_string()))?;
    let mut browser = site.visitor(json!({ "planted": true, "cart": 1 })).await?;
    let anonymous = browser.clone();
    let created = record_of(cx, &browser).await?.created_at();
    cx.advance(1_000_000);
    let mut request = browser.visit(&site.one).await?;
    write(&mut request, json!({ "uncommitted": true }))?;
    request.data_mut().flash("note", "planted")?;
    let login = login_of(&site.one, "alice")?.level(2).credential_tag(tag.clone());
    site.one.login(&mut request, login).await?;
    browser.take_new_token(&request)?;

    // Without a commit, and on every server.
    site.expect_stranger(&anonymous, Opened::Superseded).await?;
    let seen = site.expect(&browser, nothing()).await?;
    ensure!(seen.data().is_empty(), "a flash message from before the login is left");
    ensure_eq!(seen.subject(), Some(&cx.subject("alice")?), "the user");
    let now = Authentication { at: cx.now(), level: 2 };
    ensure_eq!(seen.authentication(), Some(now), "the authentication");
    ensure!(seen.credential_tag() == Some(&tag), "the credential tag is another one");
    let lifetimes = Lifetimes::DEFAULT_AUTHENTICATED;
    ensure_eq!(seen.deadline(), Some(cx.now().plus(lifetimes.absolute())), "the deadline");
    ensure_eq!(seen.expires_at(), Some(cx.now().plus(lifetimes.idle())), "the idle deadline");
    ensure_eq!(seen.created_at(), Some(created), "the time of creation");
    ensure_eq!(browser.id()?, anonymous.id()?, "the id");

    // What the same request writes afterwards belongs to the user.
    write(&mut request, json!({ "greeted": true }))?;
    browser.save(&site.one, &mut request).await?;
    site.expect(&browser, json!({ "greeted": true })).await?;
    login_without_a_session(cx, &site).await
}

async fn login_without_a_session(cx: &Cx, site: &Site) -> Checked {
    let mut browser = site.browser();
    let mut request = browser.visit(&site.two).await?;
    write(&mut request, json!({ "planted": true }))?;
    site.two.login(&mut request, login_of(&site.two, "alice")?).await?;
    browser.take_new_token(&request)?;
    let seen = site.expect(&browser, nothing()).await?;
    ensure_eq!(seen.subject(), Some(&cx.subject("alice")?), "the user");
    let now = Authentication { at: cx.now(), level: 0 };
    ensure_eq!(seen.authentication(), Some(now), "the authentication");
    ensure!(seen.credential_tag().is_none(), "a credential tag that nobody gave");
    let absolute = Lifetimes::DEFAULT_AUTHENTICATED.absolute();
    ensure_eq!(seen.deadline(), Some(cx.now().plus(absolute)), "the deadline");
    Ok(())
}

// O08

pub(crate) async fn named_keys_are_carried_over(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    let keeping =
        |name| Ok::<_, Stop>(login_of(&site.one, name)?.keeping(["cart", "lang", "none"]));
    let all = json!({ "cart": [1], "lang": "en", "planted": 1, "cart2": 1, "Cart": 1 });
    let named = json!({ "cart": [1], "lang": "en" });

    let mut browser = site.visitor(all.clone()).await?;
    browser.log_in(&site.two, keeping("alice")?).await?;
    site.expect(&browser, named.clone()).await?;

    // Not stored yet.
    let mut browser = site.browser();
    let mut request = browser.visit(&site.one).await?;
    write(&mut request, all.clone())?;
    site.one.login(&mut request, keeping("alice")?).await?;
    browser.take_new_token(&request)?;
    site.expect(&browser, named).await?;

    // Another request committed in between: its values of the named keys are carried over.
    let mut browser = site.visitor(all).await?;
    let mut request = browser.visit(&site.one).await?;
    write(&mut request, json!({ "planted": 2, "lang": "fr" }))?;
    browser.put(&site.two, json!({ "cart": [1, 2], "planted": 3, "late": 1 })).await?;
    site.one.login(&mut request, keeping("alice")?).await?;
    browser.take_new_token(&request)?;
    let seen = site.expect(&browser, json!({ "cart": [1, 2], "lang": "fr" })).await?;
    ensure_eq!(seen.subject(), Some(&cx.subject("alice")?), "the user");
    Ok(())
}

// O09

pub(crate) async fn another_user_is_another_session(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    same_user_keeps_the_data(cx, &site).await?;

    let mut browser = site.user("alice", json!({ "private": "alice" })).await?;
    let of_alice = browser.clone();
    let mut in_flight = InFlight::of(&site, &of_alice).await?;
    let login = login_of(&site.two, "bob")?.level(1).keeping(["private"]);
    browser.log_in(&site.two, login).await?;
    ensure!(browser.id()? != of_alice.id()?, "another user got the same session");
    let seen = site.expect(&browser, nothing()).await?;
    ensure_eq!(seen.subject(), Some(&cx.subject("bob")?), "the user");
    ensure_eq!(seen.created_at(), Some(cx.now()), "the time of creation");
    site.expect_stranger(&of_alice, Opened::Unknown).await?;
    in_flight.change_nothing(cx, &site, &of_alice, CommitOutcome::Missing).await?;
    cx.expect_none(&of_alice.id()?).await?;
    if cx.store().subject_index().is_some() {
        cx.expect_list(&cx.subject("bob")?, &[&record_of(cx, &browser).await?]).await?;
        let left = cx.list(&cx.subject("alice")?).await?;
        ensure!(left.iter().all(|summary| Some(summary.id) != of_alice.id().ok()), "still listed");
    }
    a_session_that_cannot_be_destroyed_is_not_taken_over(cx, &site).await
}

async fn same_user_keeps_the_data(cx: &Cx, site: &Site) -> Checked {
    let mut browser = site.user("alice", json!({ "n": 0 })).await?;
    let before = record_of(cx, &browser).await?;
    let old = browser.clone();
    let mut in_flight = InFlight::of(site, &old).await?;
    cx.advance(3_600_000);
    let mut request = browser.visit(&site.one).await?;
    write(&mut request, json!({ "also": 1 }))?;
    site.one.login(&mut request, login_of(&site.one, "alice")?.level(5)).await?;
    browser.take_new_token(&request)?;
    let seen = site.expect(&browser, json!({ "n": 0, "also": 1 })).await?;
    ensure_eq!(browser.id()?, old.id()?, "the id");
    ensure_eq!(seen.authentication(), Some(Authentication { at: cx.now(), level: 5 }), "the login");
    ensure_eq!(seen.created_at(), Some(before.created_at()), "the time of creation");
    let absolute = Lifetimes::DEFAULT_AUTHENTICATED.absolute();
    ensure_eq!(seen.deadline(), Some(cx.now().plus(absolute)), "the deadline");
    site.expect_stranger(&old, Opened::Superseded).await?;
    in_flight.change_nothing(cx, site, &browser, CommitOutcome::Superseded).await
}

async fn a_session_that_cannot_be_destroyed_is_not_taken_over(cx: &Cx, site: &Site) -> Checked {
    let browser = site.user("alice", json!({ "private": "alice" })).await?;
    let (record, creates) = (record_of(cx, &browser).await?, site.calls(Op::Create));
    site.spies[0].refuse(Op::Delete, StoreErrorKind::Unavailable);
    let mut request = browser.visit(&site.one).await?;
    let answer = site.one.login(&mut request, login_of(&site.one, "bob")?).await;
    ensure!(matches!(answer, Err(SessionError::Store(_))), "expected an error, got {answer:?}");
    expect_client_told_nothing(&request)?;
    ensure_eq!(site.calls(Op::Create), creates, "sessions made by a login that failed");
    cx.expect(&record).await
}

// O10

pub(crate) async fn login_too_late_begins_a_new_session(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    for outcome in [Meanwhile::LoggedIn, Meanwhile::Elevated, Meanwhile::Destroyed, Meanwhile::Over]
    {
        let mut browser = match outcome {
            Meanwhile::Elevated => site.user("alice", json!({ "cart": "theirs" })).await?,
            _ => site.visitor(json!({ "cart": "theirs" })).await?,
        };
        let mut late = browser.clone();
        let mut request = late.visit(&site.one).await?;
        write(&mut request, json!({ "cart": "planted" }))?;
        outcome.happens(cx, &site, &mut browser).await?;
        let before = cx.load(&browser.id()?).await?;

        site.one.login(&mut request, login_of(&site.one, "alice")?.keeping(["cart"])).await?;
        late.take_new_token(&request)?;
        begins_with_nothing(cx, &site, &late, &browser).await?;
        match before {
            Some(record) => cx.expect(&record).await?,
            None => cx.expect_none(&browser.id()?).await?,
        }
    }
    tokens_that_open_nothing_log_in_afresh(cx, &site).await
}

#[derive(Clone, Copy)]
enum Meanwhile {
    LoggedIn,
    Elevated,
    Destroyed,
    Over,
}

impl Meanwhile {
    async fn happens(self, cx: &Cx, site: &Site, browser: &mut Browser) -> Checked {
        match self {
            Self::LoggedIn => {
                browser.log_in(&site.two, login_of(&site.two, "bob")?).await?;
            }
            Self::Elevated => elevate(browser, &site.two, 2).await?,
            Self::Destroyed => {
                let mut request = browser.visit(&site.two).await?;
                ensure!(site.two.destroy(&mut request).await?, "a live session was destroyed");
            }
            Self::Over => cx.clock().advance(Lifetimes::DEFAULT_ANONYMOUS.absolute()),
        }
        Ok(())
    }
}

async fn begins_with_nothing(cx: &Cx, site: &Site, browser: &Browser, before: &Browser) -> Checked {
    ensure!(browser.id()? != before.id()?, "a login that came too late took over a session");
    let seen = site.expect(browser, nothing()).await?;
    ensure_eq!(seen.subject(), Some(&cx.subject("alice")?), "the user");
    ensure_eq!(seen.created_at(), Some(cx.now()), "the time of creation");
    Ok(())
}

async fn tokens_that_open_nothing_log_in_afresh(cx: &Cx, site: &Site) -> Checked {
    let mut user = site.user("bob", json!({ "private": "bob" })).await?;
    let superseded = user.clone();
    elevate(&mut user, &site.one, 2).await?;
    let record = record_of(cx, &user).await?;
    let unknown = site.browser().with(&SessionToken::random(&OsRandom)?);
    for stale in [superseded, unknown] {
        let mut browser = stale.clone();
        let login = login_of(&site.two, "alice")?.keeping(["private"]);
        browser.log_in(&site.two, login).await?;
        begins_with_nothing(cx, site, &browser, &stale).await?;
        cx.expect(&record).await?;
    }
    Ok(())
}

// O11

pub(crate) async fn elevation_changes_secret_and_level(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    let tag = CredentialTag::new(b"version 7").map_err(|error| Stop::failed(error.to_string()))?;
    let mut user = site.browser();
    let login = login_of(&site.one, "alice")?.level(1).credential_tag(tag);
    user.log_in(&site.one, login).await?;
    user.put(&site.one, json!({ "n": 0 })).await?;
    for (elapsed, level) in [(0, 2), (1_000_000, u8::MAX), (5, 0)] {
        cx.advance(elapsed);
        let old = user.clone();
        let before = record_of(cx, &user).await?;
        elevate(&mut user, &site.two, level).await?;
        site.expect_stranger(&old, Opened::Superseded).await?;
        let seen = site.expect(&user, json!({ "n": 0 })).await?;
        let now = Authentication { at: cx.now(), level };
        ensure_eq!(seen.authentication(), Some(now), "the authentication");
        expect_elevated(cx, &user, before, now).await?;
    }
    // Changes so far are part of the same write; nobody is elevated to a user.
    let mut request = user.visit(&site.one).await?;
    write(&mut request, json!({ "n": 1 }))?;
    ensure_eq!(site.one.elevate(&mut request, 3).await?, CommitOutcome::Saved, "an elevation");
    user.take_new_token(&request)?;
    site.expect(&user, json!({ "n": 1 })).await?;
    let visitor = site.visitor(json!({ "n": 0 })).await?;
    let record = record_of(cx, &visitor).await?;
    let mut request = visitor.visit(&site.two).await?;
    let answer = site.two.elevate(&mut request, 9).await;
    ensure!(matches!(answer, Err(SessionError::NotLoggedIn)), "nobody is logged in: {answer:?}");
    expect_client_told_nothing(&request)?;
    cx.expect(&record).await
}

/// The record is the one before, but for what an elevation changes.
async fn expect_elevated(
    cx: &Cx,
    user: &Browser,
    before: Record,
    authentication: Authentication,
) -> Checked {
    let after = record_of(cx, user).await?;
    ensure!(after.secret_hash() != before.secret_hash(), "the secret is the same");
    let previous = after.previous().ok_or_else(|| Stop::failed("the old secret is lost"))?;
    ensure!(previous.hash == *before.secret_hash(), "another secret is the one before");
    ensure_eq!(previous.grace_until, cx.now(), "an elevation has no grace");
    ensure!(after.expires_at() >= before.expires_at(), "the idle deadline moved back");
    let mut expected = before.into_parts();
    expected.secret_hash = *after.secret_hash();
    expected.previous = Some(*previous);
    expected.revision = after.revision();
    expected.authentication = Some(authentication);
    expected.expires_at = after.expires_at();
    cx.expect(&Record::from_parts(expected)).await
}

// O12

pub(crate) async fn older_view_changes_nothing_after_a_login(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    // Anonymous, then logged in.
    let mut browser = site.visitor(json!({ "n": 0 })).await?;
    let mut late = InFlight::of(&site, &browser).await?;
    browser.log_in(&site.two, login_of(&site.two, "alice")?.level(1)).await?;
    late.change_nothing(cx, &site, &browser, CommitOutcome::Superseded).await?;
    expect_user(cx, &site, &browser, 1, nothing()).await?;

    // Level 1, then a stronger one.
    browser.put(&site.one, json!({ "n": 1 })).await?;
    let mut late = InFlight::of(&site, &browser).await?;
    elevate(&mut browser, &site.two, 3).await?;
    late.change_nothing(cx, &site, &browser, CommitOutcome::Superseded).await?;
    expect_user(cx, &site, &browser, 3, json!({ "n": 1 })).await?;

    // Logged in, then the same user again.
    let mut late = InFlight::of(&site, &browser).await?;
    browser.log_in(&site.two, login_of(&site.two, "alice")?.level(2)).await?;
    late.change_nothing(cx, &site, &browser, CommitOutcome::Superseded).await?;
    expect_user(cx, &site, &browser, 2, json!({ "n": 1 })).await?;

    // Two logins: the second finds the first one's session and leaves it alone.
    let mut late = browser.visit(&site.one).await?;
    browser.log_in(&site.two, login_of(&site.two, "alice")?.level(4)).await?;
    let record = record_of(cx, &browser).await?;
    site.one.login(&mut late, login_of(&site.one, "alice")?.level(9)).await?;
    ensure!(late.id() != Some(browser.id()?), "an older login took over the session");
    cx.expect(&record).await?;

    // Logged out.
    let mut late = InFlight::of(&site, &browser).await?;
    let mut request = browser.visit(&site.two).await?;
    ensure!(site.two.destroy(&mut request).await?, "a live session was destroyed");
    late.change_nothing(cx, &site, &browser, CommitOutcome::Missing).await?;
    expect_nothing_shown(&browser.visit(&site.one).await?)?;
    writers_beside_a_login_leave_nothing(cx, &site).await
}

async fn expect_user(
    cx: &Cx,
    site: &Site,
    browser: &Browser,
    level: u8,
    data: serde_json::Value,
) -> Checked {
    let seen = site.expect(browser, data).await?;
    ensure_eq!(seen.subject(), Some(&cx.subject("alice")?), "the user");
    let now = Authentication { at: cx.now(), level };
    ensure_eq!(seen.authentication(), Some(now), "the authentication");
    Ok(())
}

/// Whoever plants data while a login runs: it was there before, and is dropped, or it is refused.
async fn writers_beside_a_login_leave_nothing(cx: &Cx, site: &Site) -> Checked {
    for round in 0..cx.rounds(20) {
        let browser = site.visitor(json!({ "n": 0 })).await?;
        let alice = login_of(&site.one, "alice")?.level(2);
        let results = race((0..6).map(|number| {
            let (server, browser) = (site.server(number).clone(), browser.clone());
            let login = (number == 0).then(|| alice.clone());
            async move { log_in_or_plant(&server, browser, login, number).await }
        }))
        .await?;
        let user = results.into_iter().collect::<Checked<Vec<_>>>()?;
        let user = user.into_iter().flatten().next().ok_or_else(|| Stop::failed("no login"))?;
        let seen = site.expect(&user, nothing()).await?;
        ensure_eq!(seen.subject(), Some(&cx.subject("alice")?), "round {round}: the user");
        let now = Authentication { at: cx.now(), level: 2 };
        ensure_eq!(seen.authentication(), Some(now), "round {round}: the authentication");
    }
    Ok(())
}

async fn log_in_or_plant(
    server: &Server,
    mut browser: Browser,
    login: Option<Login>,
    number: usize,
) -> Checked<Option<Browser>> {
    if let Some(login) = login {
        browser.log_in(server, login).await?;
        return Ok(Some(browser));
    }
    let mut request = browser.visit(server).await?;
    write(&mut request, json!({ format!("planted {number}"): true }))?;
    match server.commit(&mut request).await? {
        CommitOutcome::Saved | CommitOutcome::Superseded => Ok(None),
        other => Err(Stop::failed(format!("a write beside a login was answered with {other:?}"))),
    }
}
