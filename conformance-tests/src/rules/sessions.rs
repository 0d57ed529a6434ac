//! Sessions: data, merging, limits and lifetimes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use session_core::{
    CommitOutcome, ConflictPolicy, DataError, LimitExceeded, Lifetimes, MAX_DEPTH, MAX_KEY_LEN,
    MAX_KEYS, MAX_PAYLOAD_LEN, Opened, OsRandom, RandomSource, RandomUnavailable, Realm, Record,
    SecretHash, Session, SessionError, SessionStore, SessionToken, StoreErrorKind,
};

use crate::cx::Cx;
use crate::people::{
    Browser, Server, Site, data_of, expect_client_told_nothing, expect_nothing_shown,
    expect_refused, insert_all, lifetimes, login_of, nothing, record_of, write,
};
use crate::race::race;
use crate::rng::Rng;
use crate::spy::Op;
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

// K01

pub(crate) async fn first_write_creates_the_session(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    let mut visitor = site.browser();
    let mut request = visitor.visit(&site.one).await?;
    ensure_eq!(request.opened(), Opened::NoToken, "a request without a cookie");
    expect_nothing_shown(&request)?;
    write(&mut request, json!({ "cart": ["tea", "milk"], "visits": 1 }))?;
    visitor.save(&site.one, &mut request).await?;
    visitor.take_new_token(&request)?;

    let seen = site.expect(&visitor, json!({ "cart": ["tea", "milk"], "visits": 1 })).await?;
    ensure!(seen.subject().is_none(), "a new session belongs to nobody");
    ensure_eq!(seen.authentication(), None, "the authentication of a new session");
    ensure_eq!(seen.created_at(), Some(cx.now()), "the time of creation");
    let anonymous = Lifetimes::DEFAULT_ANONYMOUS;
    ensure_eq!(seen.expires_at(), Some(cx.now().plus(anonymous.idle())), "the idle deadline");
    ensure_eq!(seen.deadline(), Some(cx.now().plus(anonymous.absolute())), "the deadline");

    reading_tells_the_client_nothing(&site, &visitor).await?;
    no_other_token_opens_it(cx, &site, &visitor).await
}

async fn reading_tells_the_client_nothing(site: &Site, visitor: &Browser) -> Checked {
    for server in site.both() {
        let mut request = visitor.visit(server).await?;
        let outcome = server.commit(&mut request).await?;
        ensure_eq!(outcome, CommitOutcome::Unchanged, "a request that only read");
        expect_client_told_nothing(&request)?;
    }
    Ok(())
}

/// Neither half of a token does without the other, and no character may differ.
async fn no_other_token_opens_it(cx: &Cx, site: &Site, visitor: &Browser) -> Checked {
    let other = site.visitor(json!({ "other": true })).await?;
    let record = record_of(cx, visitor).await?;
    let (own, foreign) = (visitor.token()?, other.token()?);
    let id_alone = SessionToken::new(own.id(), foreign.secret().clone());
    let secret_alone = SessionToken::new(foreign.id(), own.secret().clone());
    let secret_of_nobody = SessionToken::new(SessionToken::random(&OsRandom)?.id(), own.secret().clone());
    for token in [&id_alone, &secret_alone, &secret_of_nobody, &SessionToken::random(&OsRandom)?] {
        site.expect_stranger(&visitor.with(token), Opened::Unknown).await?;
    }
    for place in 0..SessionToken::TEXT_LEN {
        let mut text = visitor.text()?.as_bytes().to_vec();
        text[place] = if text[place] == b'A' { b'B' } else { b'A' };
        let request = site.server(place).open(Some(&text)).await?;
        ensure!(request.opened() != Opened::Live, "character {place} of the token may differ");
        expect_nothing_shown(&request)?;
    }
    cx.expect(&record).await
}

// K02

pub(crate) async fn nothing_written_is_nothing_stored(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    requests_that_write_nothing(cx, &site).await?;
    malformed_tokens_cost_no_call(cx, &site).await?;
    unknown_tokens_are_not_adopted(cx, &site).await
}

async fn requests_that_write_nothing(cx: &Cx, site: &Site) -> Checked {
    let idle: [fn(&mut Session) -> Checked; 6] = [
        |_| Ok(()),
        |request| {
            ensure!(!request.data().contains("cart"), "a new session is empty");
            Ok(())
        },
        |request| {
            ensure!(!request.data_mut().remove("cart"), "there was nothing to remove");
            Ok(())
        },
        |request| {
            request.data_mut().insert("cart", "tea")?;
            request.data_mut().remove("cart");
            Ok(())
        },
        |request| {
            request.data_mut().flash("note", "hello")?;
            request.data_mut().clear();
            Ok(())
        },
        |request| {
            request.rotate();
            Ok(())
        },
    ];
    for (number, work) in idle.iter().cycle().take(cx.rounds(300).max(idle.len())).enumerate() {
        let mut browser = site.browser();
        let server = site.server(number);
        let mut request = browser.visit(server).await?;
        work(&mut request)?;
        let outcome = browser.leave(server, &mut request).await?;
        ensure_eq!(outcome, CommitOutcome::Unchanged, "a request that wrote nothing");
        ensure!(!browser.has_cookie(), "a client got a token for nothing");
        expect_nothing_shown(&request)?;
    }
    ensure_eq!(site.all_calls(), 0, "calls of the store for sessions that do not exist");
    cx.expect_rows(0).await
}

async fn malformed_tokens_cost_no_call(cx: &Cx, site: &Site) -> Checked {
    let visitor = site.visitor(json!({ "cart": "tea" })).await?;
    let before = site.all_calls();
    for (number, text) in malformed(visitor.text()?).iter().enumerate() {
        let request = site.server(number).open(Some(text)).await?;
        let shown = text.get(..text.len().min(8)).unwrap_or_default().escape_ascii();
        let what = format!("malformed token {number}, {} bytes, {shown}", text.len());
        ensure_eq!(request.opened(), Opened::Malformed, "{what}");
        expect_nothing_shown(&request)?;
    }
    ensure_eq!(site.all_calls() - before, 0, "calls of the store for malformed tokens");

    // A write begins a session of its own.
    let server = &site.two;
    let mut request = server.open(Some(b"../../etc/passwd")).await?;
    write(&mut request, json!({ "new": true }))?;
    let mut browser = site.browser();
    browser.save(server, &mut request).await?;
    site.expect(&browser, json!({ "new": true })).await?;
    ensure!(browser.id()? != visitor.id()?, "two sessions have one id");
    site.expect(&visitor, json!({ "cart": "tea" })).await?;
    cx.expect_rows(2).await
}

/// What is not a token, most of it made from the text of one that is.
fn malformed(valid: &str) -> Vec<Vec<u8>> {
    const ALONE: [&str; 18] = [
        "", " ", "\t", "\0", "con", "*", "]", "../../etc/passwd", "..%2f", "'; DROP TABLE s;--",
        r#"{"$gt":""}"#, "\r\nDEL x\r\n", "__Host-session", "null", "true", "0", "[]", "{}",
    ];
    const AROUND: [&str; 13] =
        [" ", "\t", "\0", "%00", "\n", "%0A", "%0a", "=", "==", "A", ";", "\"", "é"];
    const WITHIN: [&str; 14] =
        ["+", "/", "=", " ", "\t", "\0", "%", ".", "*", "$", "~", "\u{7f}", "\n", "\""];

    let last = valid.len() - 1;
    let mut texts: Vec<String> = ALONE.map(str::to_owned).into();
    for odd in AROUND {
        texts.extend([format!("{valid}{odd}"), format!("{odd}{valid}")]);
    }
    for odd in WITHIN {
        texts.push(format!("{}{odd}", &valid[..last]));
        texts.push(format!("{odd}{}", &valid[1..]));
        texts.push(odd.repeat(SessionToken::TEXT_LEN));
    }
    texts.extend([
        valid[..last].to_owned(),
        valid[1..].to_owned(),
        format!("\"{valid}\""),
        valid.repeat(2),
        valid.repeat(16_384),
        "A".repeat(1_048_576),
        "é".repeat(SessionToken::TEXT_LEN / 2),
        "\u{ff21}".repeat(SessionToken::TEXT_LEN),
        "..%2f".repeat(12) + "....",
        // An id, a secret, or both that were never filled in.
        BASE64URL_NOPAD.encode(&[[0; 16], [1; 16], [1; 16]].concat()),
        BASE64URL_NOPAD.encode(&[[1; 16], [0; 16], [0; 16]].concat()),
        "A".repeat(SessionToken::TEXT_LEN),
    ]);
    let mut bytes: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    bytes.extend([vec![0; 48], vec![0; 64], vec![0xff; 64], vec![0x80; 64]]);
    bytes
}

async fn unknown_tokens_are_not_adopted(cx: &Cx, site: &Site) -> Checked {
    let never_issued = site.browser().with(&SessionToken::random(&OsRandom)?);
    let mut destroyed = site.visitor(json!({ "of": "a destroyed session" })).await?;
    let after_logout = destroyed.clone();
    let mut request = destroyed.visit(&site.one).await?;
    ensure!(site.one.destroy(&mut request).await?, "a live session was destroyed");
    destroyed.take(&request);
    ensure!(!destroyed.has_cookie(), "who destroys a session forgets its token");
    let expired = site.visitor(json!({ "of": "a session that is over" })).await?;
    cx.clock().advance(Lifetimes::DEFAULT_ANONYMOUS.idle());

    for (number, stale) in [never_issued, after_logout, expired].iter().enumerate() {
        let (server, before) = (site.server(number), site.all_calls());
        let mut request = stale.visit(server).await?;
        ensure_eq!(request.opened(), Opened::Unknown, "a token of no live session");
        expect_nothing_shown(&request)?;
        let outcome = server.commit(&mut request).await?;
        ensure_eq!(outcome, CommitOutcome::Unchanged, "a request that wrote nothing");
        expect_client_told_nothing(&request)?;
        ensure_eq!(site.all_calls() - before, 1, "calls of the store for an unknown token");

        write(&mut request, json!({ "new": number }))?;
        let mut fresh = stale.clone();
        fresh.save(server, &mut request).await?;
        fresh.take_new_token(&request)?;
        ensure!(fresh.id()? != stale.id()?, "the id that the client sent was adopted");
        ensure!(fresh.text()? != stale.text()?, "the token that the client sent was adopted");
        site.expect(&fresh, json!({ "new": number })).await?;
        site.expect_stranger(stale, Opened::Unknown).await?;
        cx.expect_none(&stale.id()?).await?;
    }
    Ok(())
}

// K03

pub(crate) async fn different_keys_are_both_kept(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    for first_commits_first in [true, false] {
        let mut visitor = site.visitor(json!({ "seed": 0 })).await?;
        let mut first = visitor.visit(&site.one).await?;
        let mut second = visitor.visit(&site.two).await?;
        write(&mut first, json!({ "first": [1, 1] }))?;
        write(&mut second, json!({ "second": { "n": 2 } }))?;
        if first_commits_first {
            visitor.save(&site.one, &mut first).await?;
            visitor.save(&site.two, &mut second).await?;
        } else {
            visitor.save(&site.two, &mut second).await?;
            visitor.save(&site.one, &mut first).await?;
        }
        expect_client_told_nothing(&first)?;
        expect_client_told_nothing(&second)?;
        site.expect(&visitor, json!({ "seed": 0, "first": [1, 1], "second": { "n": 2 } })).await?;
    }
    many_keys_at_once_are_all_kept(cx, &site).await
}

async fn many_keys_at_once_are_all_kept(cx: &Cx, site: &Site) -> Checked {
    for _ in 0..cx.rounds(10) {
        let visitor = site.visitor(json!({ "seed": 0 })).await?;
        let outcomes = race((0..8).map(|number| {
            let (server, mut browser) = (site.server(number).clone(), visitor.clone());
            async move { browser.put(&server, json!({ format!("key {number}"): number })).await }
        }))
        .await?;
        outcomes.into_iter().collect::<Checked>()?;
        let mut all: Value = (0..8).map(|n| (format!("key {n}"), json!(n))).collect();
        all["seed"] = json!(0);
        site.expect(&visitor, all).await?;
    }
    Ok(())
}

// K04

pub(crate) async fn same_key_has_the_later_value(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    let (ours, theirs) = (json!({ "who": "first", "list": [1] }), json!({ "who": "second" }));
    for first_commits_first in [true, false] {
        let mut visitor = site.visitor(json!({ "key": "old", "seed": 0 })).await?;
        let mut first = visitor.visit(&site.one).await?;
        let mut second = visitor.visit(&site.two).await?;
        write(&mut first, json!({ "key": ours }))?;
        write(&mut second, json!({ "key": theirs }))?;
        let later = if first_commits_first {
            visitor.save(&site.one, &mut first).await?;
            site.expect(&visitor, json!({ "key": ours, "seed": 0 })).await?;
            visitor.save(&site.two, &mut second).await?;
            &theirs
        } else {
            visitor.save(&site.two, &mut second).await?;
            site.expect(&visitor, json!({ "key": theirs, "seed": 0 })).await?;
            visitor.save(&site.one, &mut first).await?;
            &ours
        };
        site.expect(&visitor, json!({ "key": later, "seed": 0 })).await?;
    }
    Ok(())
}

// K05

pub(crate) async fn removed_key_stays_removed(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    for remover_commits_first in [true, false] {
        let mut visitor = site.visitor(json!({ "old": 1, "other": 1 })).await?;
        let mut older = visitor.visit(&site.one).await?;
        let mut remover = visitor.visit(&site.two).await?;
        write(&mut older, json!({ "other": 2 }))?;
        ensure!(remover.data_mut().remove("old"), "the key is there to be removed");
        if remover_commits_first {
            visitor.save(&site.two, &mut remover).await?;
            visitor.save(&site.one, &mut older).await?;
        } else {
            visitor.save(&site.one, &mut older).await?;
            visitor.save(&site.two, &mut remover).await?;
        }
        site.expect(&visitor, json!({ "other": 2 })).await?;
    }
    // A request that sets the key itself is another matter: the later commit holds.
    let mut visitor = site.visitor(json!({ "old": 1 })).await?;
    let mut setter = visitor.visit(&site.one).await?;
    let mut remover = visitor.visit(&site.two).await?;
    write(&mut setter, json!({ "old": 2 }))?;
    remover.data_mut().remove("old");
    visitor.save(&site.two, &mut remover).await?;
    visitor.save(&site.one, &mut setter).await?;
    site.expect(&visitor, json!({ "old": 2 })).await?;
    Ok(())
}

// K06

pub(crate) async fn clear_empties_everything(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    let mut visitor = site.visitor(json!({ "a": 1, "b": 2 })).await?;
    let mut clearing = visitor.visit(&site.one).await?;
    let mut adding = visitor.visit(&site.two).await?;
    write(&mut adding, json!({ "added": 1, "a": 5 }))?;
    adding.data_mut().flash("note", "unread")?;
    visitor.save(&site.two, &mut adding).await?;
    clearing.data_mut().clear();
    visitor.save(&site.one, &mut clearing).await?;
    let mut seen = site.expect(&visitor, nothing()).await?;
    ensure!(seen.data().is_empty(), "a flash message survived `clear`");
    ensure_eq!(flash_of(&mut seen, "note")?, Vec::<String>::new(), "flash messages after `clear`");

    // What is written after it is kept, and an older request adds its own keys only.
    visitor.put(&site.two, json!({ "a": 1, "b": 2 })).await?;
    let mut clearing = visitor.visit(&site.one).await?;
    let mut older = visitor.visit(&site.two).await?;
    clearing.data_mut().clear();
    write(&mut clearing, json!({ "after": true }))?;
    visitor.save(&site.one, &mut clearing).await?;
    site.expect(&visitor, json!({ "after": true })).await?;
    write(&mut older, json!({ "own": true }))?;
    visitor.save(&site.two, &mut older).await?;
    site.expect(&visitor, json!({ "after": true, "own": true })).await?;
    Ok(())
}

// K07

pub(crate) async fn increments_are_all_counted(cx: &Cx) -> Checked {
    const REQUESTS: usize = 100;

    let site = Site::of(cx)?;
    let visitor = site.visitor(json!({ "seed": 0 })).await?;
    let done = race((0..REQUESTS).map(|number| {
        let (server, browser) = (site.server(number).clone(), visitor.clone());
        async move { increment(&server, &browser).await }
    }))
    .await?;
    done.into_iter().collect::<Checked>()?;
    site.expect(&visitor, json!({ "seed": 0, "count": REQUESTS })).await?;
    Ok(())
}

/// A request that counts. A commit merges a few times only; then the request is made again.
async fn increment(server: &Server, browser: &Browser) -> Checked {
    const TRIES: usize = 200;

    for _ in 0..TRIES {
        let mut request = browser.visit(server).await?;
        request.data_mut().alter("count", |count: Option<u64>| count.unwrap_or(0) + 1)?;
        match server.commit(&mut request).await {
            Ok(CommitOutcome::Saved) => return Ok(()),
            Err(SessionError::Conflict) => {}
            other => return Err(Stop::failed(format!("an increment was answered with {other:?}"))),
        }
    }
    Err(Stop::failed(format!("an increment met {TRIES} conflicts")))
}

// K08

pub(crate) async fn required_key_refuses_the_merge(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    let changed = |request: &mut Session| write(request, json!({ "stock": 2 }));
    let added = |request: &mut Session| write(request, json!({ "coupon": "new" }));
    let removed = |request: &mut Session| {
        ensure!(request.data_mut().remove("stock"), "the key is there to be removed");
        Ok(())
    };
    let left_alone = |request: &mut Session| write(request, json!({ "elsewhere": 1 }));
    required_keys(&site, changed, true).await?;
    required_keys(&site, added, true).await?;
    required_keys(&site, removed, true).await?;
    required_keys(&site, left_alone, false).await
}

async fn required_keys(
    site: &Site,
    others_work: impl Fn(&mut Session) -> Checked,
    refused: bool,
) -> Checked {
    let mut visitor = site.visitor(json!({ "stock": 3, "seed": 0 })).await?;
    let mut buying = visitor.visit(&site.one).await?;
    buying.data_mut().require_unchanged(["stock", "coupon"]);
    write(&mut buying, json!({ "order": 1 }))?;
    let mut other = visitor.visit(&site.two).await?;
    others_work(&mut other)?;
    visitor.save(&site.two, &mut other).await?;

    let answer = site.one.commit(&mut buying).await;
    expect_client_told_nothing(&buying)?;
    if refused {
        expect_conflict(&answer, "a required key was changed")?;
        site.expect(&visitor, data_of(&other)?).await?;
    } else {
        ensure!(matches!(answer, Ok(CommitOutcome::Saved)), "the required keys were left alone");
        let all = json!({ "stock": 3, "seed": 0, "elsewhere": 1, "order": 1 });
        site.expect(&visitor, all).await?;
    }
    // Opened again, the request may try once more.
    let mut again = visitor.visit(&site.one).await?;
    again.data_mut().require_unchanged(["stock", "coupon"]);
    write(&mut again, json!({ "order": 2 }))?;
    visitor.save(&site.one, &mut again).await
}

fn expect_conflict(answer: &Result<CommitOutcome, SessionError>, what: &str) -> Checked {
    ensure!(matches!(answer, Err(SessionError::Conflict)), "{what}: expected `Conflict`, got {answer:?}");
    Ok(())
}

// K09

pub(crate) async fn policies_do_what_they_say(cx: &Cx) -> Checked {
    reject_refuses_every_merge(cx).await?;
    overwrite_replaces_the_data(cx).await?;
    no_policy_writes_over_a_login(cx, ConflictPolicy::Reject).await?;
    no_policy_writes_over_a_login(cx, ConflictPolicy::Overwrite).await
}

async fn reject_refuses_every_merge(cx: &Cx) -> Checked {
    let site = Site::with(cx, |builder| builder.conflict_policy(ConflictPolicy::Reject))?;
    let mut visitor = site.visitor(json!({ "seed": 0 })).await?;
    let mut late = visitor.visit(&site.one).await?;
    visitor.put(&site.two, json!({ "theirs": 1 })).await?;
    let record = record_of(cx, &visitor).await?;
    write(&mut late, json!({ "ours": 1 }))?;
    expect_conflict(&site.one.commit(&mut late).await, "`Reject` after another commit")?;
    expect_client_told_nothing(&late)?;
    cx.expect(&record).await?;
    visitor.put(&site.one, json!({ "ours": 1 })).await?;
    site.expect(&visitor, json!({ "seed": 0, "theirs": 1, "ours": 1 })).await?;
    Ok(())
}

async fn overwrite_replaces_the_data(cx: &Cx) -> Checked {
    let site = Site::with(cx, |builder| builder.conflict_policy(ConflictPolicy::Overwrite))?;
    let mut user = site.user("alice", json!({ "seed": 0 })).await?;
    let mut late = user.visit(&site.one).await?;
    let mut rotating = user.visit(&site.two).await?;
    rotating.rotate();
    write(&mut rotating, json!({ "theirs": 1 }))?;
    user.save(&site.two, &mut rotating).await?;
    let before = record_of(cx, &user).await?.into_parts();

    write(&mut late, json!({ "ours": 1 }))?;
    ensure_eq!(site.one.commit(&mut late).await?, CommitOutcome::Saved, "`Overwrite`");
    expect_client_told_nothing(&late)?;
    site.expect(&user, json!({ "seed": 0, "ours": 1 })).await?;
    let mut after = record_of(cx, &user).await?.into_parts();
    (after.payload, after.revision) = (before.payload.clone(), before.revision);
    ensure!(after == before, "`Overwrite` replaced more than the data");
    Ok(())
}

async fn no_policy_writes_over_a_login(cx: &Cx, policy: ConflictPolicy) -> Checked {
    let site = Site::with(cx, |builder| builder.conflict_policy(policy))?;
    let mut browser = site.visitor(json!({ "seed": 0 })).await?;
    let mut late = browser.visit(&site.one).await?;
    browser.log_in(&site.two, login_of(&site.two, "alice")?).await?;
    let record = record_of(cx, &browser).await?;
    write(&mut late, json!({ "planted": 1 }))?;
    let answer = site.one.commit(&mut late).await;
    let refused = match policy {
        ConflictPolicy::Reject => matches!(answer, Err(SessionError::Conflict)),
        _ => matches!(answer, Ok(CommitOutcome::Superseded)),
    };
    ensure!(refused, "a write with {policy:?} after a login was answered with {answer:?}");
    expect_client_told_nothing(&late)?;
    cx.expect(&record).await
}

// K10

pub(crate) async fn flash_is_shown_and_gone(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    let mut visitor = site.visitor(json!({ "seed": 0 })).await?;
    for (server, text) in site.both().into_iter().zip(["one", "two"]) {
        flash(&mut visitor, server, "note", text).await?;
    }
    flash(&mut visitor, &site.one, "other", "stays").await?;

    // Whoever does not commit has not shown it.
    let mut broken_off = visitor.visit(&site.two).await?;
    ensure_eq!(flash_of(&mut broken_off, "note")?, ["one", "two"], "the messages, in order");
    drop(broken_off);

    // Two readers at once both show it; one that is added meanwhile stays.
    let mut first = visitor.visit(&site.one).await?;
    let mut second = visitor.visit(&site.two).await?;
    flash(&mut visitor, &site.two, "note", "three").await?;
    for (server, reader) in site.both().into_iter().zip([&mut first, &mut second]) {
        ensure_eq!(flash_of(reader, "note")?, ["one", "two"], "the messages for a reader");
        ensure_eq!(flash_of(reader, "note")?, Vec::<String>::new(), "read twice by one request");
        visitor.save(server, reader).await?;
    }
    for server in site.both() {
        let mut seen = visitor.visit(server).await?;
        ensure_eq!(flash_of(&mut seen, "note")?, ["three"], "what was added meanwhile");
        ensure_eq!(flash_of(&mut seen, "other")?, ["stays"], "a message of another key");
    }
    a_refused_commit_shows_it_again(&site, &mut visitor).await?;

    let mut reader = visitor.visit(&site.one).await?;
    flash_of(&mut reader, "note")?;
    flash_of(&mut reader, "other")?;
    visitor.save(&site.one, &mut reader).await?;
    let mut seen = site.expect(&visitor, json!({ "seed": 1 })).await?;
    ensure_eq!(flash_of(&mut seen, "note")?, Vec::<String>::new(), "read, hence gone");
    ensure_eq!(flash_of(&mut seen, "other")?, Vec::<String>::new(), "read, hence gone");
    Ok(())
}

async fn a_refused_commit_shows_it_again(site: &Site, visitor: &mut Browser) -> Checked {
    let mut reader = visitor.visit(&site.one).await?;
    reader.data_mut().require_unchanged(["seed"]);
    ensure_eq!(flash_of(&mut reader, "note")?, ["three"], "the message for a reader");
    visitor.put(&site.two, json!({ "seed": 1 })).await?;
    expect_conflict(&site.one.commit(&mut reader).await, "a required key was changed")?;
    let mut again = visitor.visit(&site.one).await?;
    ensure_eq!(flash_of(&mut again, "note")?, ["three"], "not lost by a commit that failed");
    Ok(())
}

async fn flash(visitor: &mut Browser, server: &Server, key: &str, text: &str) -> Checked {
    let mut request = visitor.visit(server).await?;
    request.data_mut().flash(key, text)?;
    visitor.save(server, &mut request).await
}

fn flash_of(request: &mut Session, key: &str) -> Checked<Vec<String>> {
    Ok(request.data_mut().take_flash(key)?)
}

// K11

pub(crate) async fn limits_leave_the_old_data(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    payload_limits_are_exact(cx, &site).await?;
    counts_and_depth_are_exact(cx, &site).await?;
    values_come_back_as_they_were(&site).await?;
    hostile_keys_are_only_keys(cx, &site).await
}

async fn payload_limits_are_exact(cx: &Cx, site: &Site) -> Checked {
    // A first write that is too large stores nothing.
    let before = site.writes();
    let mut request = site.browser().visit(&site.one).await?;
    write(&mut request, json!({ "blob": "x".repeat(MAX_PAYLOAD_LEN) }))?;
    let (len, max) = too_large(site.one.commit(&mut request).await)?;
    expect_client_told_nothing(&request)?;
    ensure_eq!(site.writes() - before, 0, "writes for a session that is too large");
    ensure!(max < MAX_PAYLOAD_LEN, "anonymous sessions have a limit of their own");
    let overhead = len - MAX_PAYLOAD_LEN;

    for (browser, max) in [
        (site.visitor(json!({ "blob": "old" })).await?, max),
        (site.user("alice", json!({ "blob": "old" })).await?, MAX_PAYLOAD_LEN),
    ] {
        let blob = |len: usize| json!({ "blob": "x".repeat(len - overhead) });
        let record = record_of(cx, &browser).await?;
        let mut request = browser.visit(&site.two).await?;
        write(&mut request, blob(max + 1))?;
        let refused = too_large(site.two.commit(&mut request).await)?;
        ensure_eq!(refused, (max + 1, max), "the length and the limit in the error");
        cx.expect(&record).await?;

        write(&mut request, blob(max))?;
        ensure_eq!(site.two.commit(&mut request).await?, CommitOutcome::Saved, "at the limit");
        let stored = record_of(cx, &browser).await?;
        ensure_eq!(stored.payload().len(), max, "the length of the payload");
        let seen = site.one.open(Some(browser.text()?.as_bytes())).await?;
        ensure!(data_of(&seen)? == blob(max), "the largest session is read back unchanged");
    }
    Ok(())
}

fn too_large(answer: Result<CommitOutcome, SessionError>) -> Checked<(usize, usize)> {
    match answer {
        Err(SessionError::Limit(LimitExceeded::PayloadTooLarge { len, max })) => Ok((len, max)),
        other => Err(Stop::failed(format!("expected `PayloadTooLarge`, got {other:?}"))),
    }
}

async fn counts_and_depth_are_exact(cx: &Cx, site: &Site) -> Checked {
    let nested = |depth| (0..depth).fold(json!(1), |inside, _| json!([inside]));
    let keys = |count| (0..count).map(|n| (format!("{n:04}"), json!(n))).collect::<Value>();
    for (accepted, refused, what) in [
        (json!({ "deep": nested(MAX_DEPTH) }), json!({ "deep": nested(MAX_DEPTH + 1) }), "depth"),
        (keys(MAX_KEYS), keys(MAX_KEYS + 1), "number of keys"),
        (json!({ "k".repeat(MAX_KEY_LEN): 1 }), json!({ "k".repeat(MAX_KEY_LEN + 1): 1 }), "key"),
        (json!({ "é": 1 }), json!({ "": 1 }), "empty key"),
        (json!({ "😀".repeat(63): 1 }), json!({ "😀".repeat(64): 1 }), "key in bytes"),
    ] {
        let mut browser = site.user("alice", nothing()).await?;
        let record = record_of(cx, &browser).await?;
        let mut request = browser.visit(&site.one).await?;
        expect_limit(&site.one, &mut request, refused)
            .await
            .map_err(|stop| stop.about(&format!("{what}, one too many")))?;
        cx.expect(&record).await?;
        browser.put(&site.two, accepted.clone()).await?;
        let seen = browser.visit(&site.one).await?;
        ensure!(data_of(&seen)? == accepted, "{what}: what was accepted is read back unchanged");
    }
    flash_messages_are_counted(cx, site).await
}

/// Refused when it is inserted, or when it is committed.
async fn expect_limit(server: &Server, request: &mut Session, data: Value) -> Checked {
    if insert_all(request, data).is_ok() {
        let answer = server.commit(request).await;
        ensure!(matches!(answer, Err(SessionError::Limit(_))), "expected `Limit`, got {answer:?}");
    }
    expect_client_told_nothing(request)
}

async fn flash_messages_are_counted(cx: &Cx, site: &Site) -> Checked {
    let mut browser = site.user("alice", json!({ "seed": 0 })).await?;
    let record = record_of(cx, &browser).await?;
    for (count, accepted) in [(MAX_KEYS + 1, false), (MAX_KEYS, true)] {
        let mut request = browser.visit(&site.one).await?;
        for _ in 0..count {
            request.data_mut().flash("note", "x")?;
        }
        let answer = site.one.commit(&mut request).await;
        if accepted {
            ensure!(matches!(answer, Ok(CommitOutcome::Saved)), "as many messages as allowed");
        } else {
            ensure!(matches!(answer, Err(SessionError::Limit(_))), "one message too many");
            cx.expect(&record).await?;
        }
    }
    let mut reader = browser.visit(&site.two).await?;
    ensure_eq!(flash_of(&mut reader, "note")?.len(), MAX_KEYS, "messages that are shown");
    browser.save(&site.two, &mut reader).await
}

/// A value comes back equal, or is refused at once.
async fn values_come_back_as_they_were(site: &Site) -> Checked {
    let numbers = [0.0, -0.0, 0.1, f64::MIN_POSITIVE, 5e-324, f64::MAX, -1.5e300, 1e21, 0.30000000000000004];
    let text = "\0 \u{7f} \u{2028} \u{feff} é e\u{301} 😀 \" \\ </script> \u{10ffff}";
    let by_number: BTreeMap<u64, String> = [(0, "zero".into()), (u64::MAX, "most".into())].into();
    let bytes: Vec<u8> = (0..=255).collect();
    let mut browser = site.browser();
    let mut request = browser.visit(&site.one).await?;
    let data = request.data_mut();
    data.insert("numbers", &numbers)?;
    data.insert("whole", &(u64::MAX, i64::MIN, 1_u64 << 53, (1_u64 << 53) + 1))?;
    data.insert("text", text)?;
    data.insert("by number", &by_number)?;
    data.insert("bytes", &bytes)?;
    data.insert("nothing", &(None::<u8>, (), Vec::<u8>::new(), nothing()))?;
    for refused in [
        data.insert("nan", &f64::NAN),
        data.insert("inf", &[f64::INFINITY]),
        data.insert("inf", &f32::NEG_INFINITY),
        data.insert("wide", &i128::MAX),
        data.insert("wide", &(u128::from(u64::MAX) + 1)),
    ] {
        ensure!(matches!(refused, Err(DataError::Value(_))), "what JSON changes was accepted");
    }
    browser.save(&site.one, &mut request).await?;
    for server in site.both() {
        let seen = browser.visit(server).await?;
        let data = seen.data();
        let read: Option<[f64; 9]> = data.get("numbers")?;
        let same = read.is_some_and(|read| read.map(f64::to_bits) == numbers.map(f64::to_bits));
        ensure!(same, "doubles come back to the last bit: {read:?}");
        let whole = Some((u64::MAX, i64::MIN, 1_u64 << 53, (1_u64 << 53) + 1));
        ensure_eq!(data.get("whole")?, whole, "whole numbers");
        ensure_eq!(data.get::<String>("text")?, Some(text.to_owned()), "text");
        ensure_eq!(data.get("by number")?, Some(by_number.clone()), "a map with numbers as keys");
        ensure_eq!(data.get("bytes")?, Some(bytes.clone()), "bytes");
        ensure_eq!(data.len(), 6, "keys; none of those that were refused");
    }
    Ok(())
}

async fn hostile_keys_are_only_keys(cx: &Cx, site: &Site) -> Checked {
    const KEYS: [&str; 26] = [
        "_id", "id", "ID", "expires", "expires_at", "deadline", "created_at", "subject", "revision",
        "payload", "ttl", "secret_hash", "a.b", ".", "$set", "$", "$where", "a\0b", "\0", "__proto__",
        "constructor", "😀", "é", "e\u{301}", "data", "flash",
    ];
    let hostile: Value = KEYS.iter().map(|key| ((*key).to_owned(), json!({ *key: 0 }))).collect();
    let mut user = site.user("alice", json!({ "seed": 0 })).await?;
    let before = record_of(cx, &user).await?;
    user.put(&site.two, hostile.clone()).await?;
    let mut all = hostile;
    all["seed"] = json!(0);
    site.expect(&user, all).await?;
    let mut after = record_of(cx, &user).await?.into_parts();
    let before = before.into_parts();
    (after.payload, after.revision) = (before.payload.clone(), before.revision);
    ensure!(after == before, "a key of the data changed a field of the record");
    for key in KEYS {
        let mut request = user.visit(&site.one).await?;
        ensure!(request.data_mut().remove(key), "the key {key:?} is there to be removed");
        user.save(&site.one, &mut request).await?;
    }
    site.expect(&user, json!({ "seed": 0 })).await?;
    Ok(())
}

// K12

pub(crate) async fn ended_session_stays_ended(cx: &Cx) -> Checked {
    let set = lifetimes(1_000, 1_500)?;
    let site = Site::with(cx, |builder| builder.lifetimes(set))?;
    for end in [End::Logout, End::Idle, End::Absolute] {
        let mut user = site.user("alice", json!({ "seed": 0 })).await?;
        if matches!(end, End::Absolute) {
            cx.advance(900_000);
            user.put(&site.one, json!({ "seed": 1 })).await?;
        }
        let mut late = Late::begin(&site, &user).await?;
        match end {
            End::Logout => {
                let mut request = user.visit(&site.two).await?;
                ensure!(site.two.destroy(&mut request).await?, "a live session was destroyed");
                cx.advance(200_000);
            }
            End::Idle => cx.advance(1_000_000),
            End::Absolute => cx.advance(600_000),
        }
        let creates = site.calls(Op::Create);
        late.are_refused(&site).await?;
        ensure_eq!(site.calls(Op::Create), creates, "sessions made by requests that come too late");
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

/// Requests that began before a session ended, and commit after it.
struct Late {
    writing: Session,
    removing: Session,
    rotating: Session,
    elevating: Session,
    reading: Session,
}

impl Late {
    async fn begin(site: &Site, user: &Browser) -> Checked<Self> {
        let mut writing = user.visit(&site.one).await?;
        write(&mut writing, json!({ "late": true }))?;
        let mut removing = user.visit(&site.two).await?;
        removing.data_mut().clear();
        let mut rotating = user.visit(&site.one).await?;
        rotating.rotate();
        let elevating = user.visit(&site.two).await?;
        let reading = user.visit(&site.one).await?;
        Ok(Self { writing, removing, rotating, elevating, reading })
    }

    async fn are_refused(&mut self, site: &Site) -> Checked {
        expect_refused(&site.one, &mut self.writing, CommitOutcome::Missing).await?;
        expect_refused(&site.two, &mut self.removing, CommitOutcome::Missing).await?;
        expect_refused(&site.one, &mut self.rotating, CommitOutcome::Missing).await?;
        let outcome = site.two.elevate(&mut self.elevating, 3).await?;
        ensure_eq!(outcome, CommitOutcome::Missing, "an elevation that comes too late");
        expect_refused(&site.two, &mut self.elevating, CommitOutcome::Missing).await?;
        // This one would write a touch by now, unless its idle time ends with the deadline anyway.
        let touches = self.reading.expires_at() < self.reading.deadline();
        let outcome = if touches { CommitOutcome::Missing } else { CommitOutcome::Unchanged };
        expect_refused(&site.one, &mut self.reading, outcome).await
    }
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
        (HOUR, HOUR - MILLISECOND),
        (HOUR, longest + MILLISECOND),
        (HOUR, Duration::MAX),
        (Duration::MAX, Duration::MAX),
    ] {
        ensure!(Lifetimes::new(idle, absolute).is_err(), "{idle:?} and {absolute:?} were accepted");
    }
    ensure!(Lifetimes::new(HOUR, HOUR).is_ok(), "idle and absolute may be equal");
    ensure!(Lifetimes::new(Lifetimes::MIN_IDLE, longest).is_ok(), "the ends of the range are allowed");
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
    let mut uses = 0_u64;
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

async fn use_in_some_way(site: &Site, browser: &mut Browser, number: u64) -> Checked<Session> {
    let server = if number % 2 == 0 { &site.one } else { &site.two };
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
    const STEPS: u64 = 3 * IDLE / STEP;

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
    ensure_eq!(site.writes() - writes, touches, "read-only requests write touches and nothing else");
    expect_only_touched(cx, &visitor, &before).await?;

    // After the last use it lives on for its idle time, but for the tenth.
    cx.advance(IDLE * 900 - 1);
    site.expect(&visitor, json!({ "n": 0 })).await?;
    cx.advance(IDLE * 100 + 1);
    site.expect_stranger(&visitor, Opened::Unknown).await?;
    a_failed_touch_fails_nothing(cx, &site).await
}

async fn read_only_request(site: &Site, visitor: &Browser, number: u64) -> Checked {
    let server = if number % 2 == 0 { &site.one } else { &site.two };
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

// K15

pub(crate) async fn failing_random_stores_nothing(cx: &Cx) -> Checked {
    let random = Rationed::new();
    let site = Site::with(cx, |builder| builder.random(random.clone()))?;
    let before = site.writes();
    for left in 0..2 {
        random.ration(left);
        let mut browser = site.browser();
        let mut request = browser.visit(&site.one).await?;
        write(&mut request, json!({ "cart": "tea" }))?;
        expect_no_random(&site.one.commit(&mut request).await)?;
        browser.take(&request);
        ensure!(!browser.has_cookie(), "a client got a token without a random source");
        let mut request = browser.visit(&site.two).await?;
        let login = login_of(&site.two, "alice")?;
        expect_no_random(&site.two.login(&mut request, login).await)?;
        expect_nothing_shown(&request)?;
    }
    ensure_eq!(site.writes() - before, 0, "writes without a random source");
    cx.expect_rows(0).await?;
    stored_sessions_stay_as_they_are(cx, &site, &random).await?;
    repeated_ids_overwrite_nothing(cx).await
}

async fn stored_sessions_stay_as_they_are(cx: &Cx, site: &Site, random: &Rationed) -> Checked {
    random.ration(u32::MAX);
    let user = site.user("alice", json!({ "n": 0 })).await?;
    let (record, before) = (record_of(cx, &user).await?, site.writes());
    for left in 0..2 {
        let login = login_of(&site.one, "alice")?;
        random.ration(left);
        let mut request = user.visit(&site.one).await?;
        request.rotate();
        expect_no_random(&site.one.commit(&mut request).await)?;
        expect_client_told_nothing(&request)?;
        let mut request = user.visit(&site.two).await?;
        expect_no_random(&site.two.elevate(&mut request, 2).await)?;
        expect_client_told_nothing(&request)?;
        let mut request = user.visit(&site.one).await?;
        expect_no_random(&site.one.login(&mut request, login).await)?;
        expect_client_told_nothing(&request)?;
        cx.expect(&record).await?;
    }
    random.ration(0);
    let mut request = user.visit(&site.two).await?;
    let flash = request.data_mut().flash("note", "x");
    ensure!(matches!(flash, Err(DataError::Random(_))), "a flash message without a random source");
    write(&mut request, json!({ "n": 1 }))?;
    expect_no_random(&site.two.commit(&mut request).await)?;
    ensure_eq!(site.writes() - before, 0, "writes without a random source");
    random.ration(u32::MAX);
    site.expect(&user, json!({ "n": 0 })).await?;
    cx.expect(&record).await
}

/// A source that repeats itself makes the id of a session that is there already.
async fn repeated_ids_overwrite_nothing(cx: &Cx) -> Checked {
    let always = cx.rng().next();
    let site = Site::with(cx, |builder| builder.random(Repeating(always)))?;
    let mut first = site.browser();
    first.put(&site.one, json!({ "whose": "the first" })).await?;
    let record = record_of(cx, &first).await?;
    for server in site.both() {
        let mut request = site.browser().visit(server).await?;
        write(&mut request, json!({ "whose": "the second" }))?;
        expect_no_random(&server.commit(&mut request).await)?;
        expect_nothing_kept_of(&request)?;
        cx.expect(&record).await?;
    }
    site.expect(&first, json!({ "whose": "the first" })).await?;
    Ok(())
}

fn expect_nothing_kept_of(request: &Session) -> Checked {
    ensure_eq!(request.id(), None, "the id of a session that was not created");
    expect_client_told_nothing(request)
}

fn expect_no_random<T: std::fmt::Debug>(answer: &Result<T, SessionError>) -> Checked {
    ensure!(matches!(answer, Err(SessionError::Random(_))), "expected `Random`, got {answer:?}");
    Ok(())
}

/// A random source that fails after so many deliveries.
#[derive(Debug, Clone)]
struct Rationed(Arc<AtomicU32>);

impl Rationed {
    fn new() -> Self {
        Self(Arc::new(AtomicU32::new(u32::MAX)))
    }

    fn ration(&self, left: u32) {
        self.0.store(left, Ordering::SeqCst);
    }
}

impl RandomSource for Rationed {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        let left = self.0.load(Ordering::SeqCst).checked_sub(1).ok_or(RandomUnavailable)?;
        self.0.store(left, Ordering::SeqCst);
        OsRandom.fill(bytes)
    }
}

/// A random source that always delivers the same.
#[derive(Debug)]
struct Repeating(u64);

impl RandomSource for Repeating {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        Rng::new(self.0).fill(bytes);
        Ok(())
    }
}

// K16

pub(crate) async fn unreadable_session_is_kept(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    let neighbour = site.user("alice", json!({ "n": 0 })).await?;
    for (number, payload) in corrupt_payloads().into_iter().enumerate() {
        let (browser, record) = plant(cx, &site, payload).await?;
        authenticates_nobody_and_is_kept(cx, &site, &browser, &record)
            .await
            .map_err(|stop| stop.about(&format!("corrupt payload {number}")))?;
    }
    for (number, payload) in later_payloads().into_iter().enumerate() {
        let (browser, record) = plant(cx, &site, payload).await?;
        is_an_error_and_kept(cx, &site, &browser, &record)
            .await
            .map_err(|stop| stop.about(&format!("payload {number} of a later format")))?;
    }
    a_later_version_may_write_meanwhile(cx, &site).await?;
    site.expect(&neighbour, json!({ "n": 0 })).await?;
    Ok(())
}

/// A session whose payload another program wrote, and a browser with its token.
async fn plant(cx: &Cx, site: &Site, payload: Vec<u8>) -> Checked<(Browser, Record)> {
    let token = SessionToken::random(&OsRandom)?;
    let alice = cx.subject("alice")?;
    let fresh = cx.fresh().id(token.id()).subject(&alice).payload(payload);
    let mut parts = fresh.authentication(cx.now(), 2).record().into_parts();
    parts.secret_hash = SecretHash::of(&token, &Realm::default());
    let record = Record::from_parts(parts);
    cx.create(&record).await?;
    Ok((site.browser().with(&token), record))
}

async fn authenticates_nobody_and_is_kept(
    cx: &Cx,
    site: &Site,
    browser: &Browser,
    record: &Record,
) -> Checked {
    site.expect_stranger(browser, Opened::Corrupt).await?;
    // Who does not have the secret does not learn that much.
    let guess = SessionToken::new(browser.id()?, SessionToken::random(&OsRandom)?.secret().clone());
    site.expect_stranger(&browser.with(&guess), Opened::Unknown).await?;
    let mut request = browser.visit(&site.one).await?;
    let outcome = site.one.commit(&mut request).await?;
    ensure_eq!(outcome, CommitOutcome::Unchanged, "a request that wrote nothing");
    write(&mut request, json!({ "new": true }))?;
    let mut fresh = browser.clone();
    fresh.save(&site.one, &mut request).await?;
    fresh.take_new_token(&request)?;
    ensure!(fresh.id()? != browser.id()?, "the new session has an id of its own");
    let seen = site.expect(&fresh, json!({ "new": true })).await?;
    ensure!(seen.subject().is_none(), "the new session belongs to nobody");
    cx.expect(record).await?;
    ensure!(cx.other().delete(record.id(), cx.now()).await?, "the old session can be deleted");
    cx.expect_none(record.id()).await
}

async fn is_an_error_and_kept(cx: &Cx, site: &Site, browser: &Browser, record: &Record) -> Checked {
    for server in site.both() {
        let opened = server.open(Some(browser.text()?.as_bytes())).await;
        expect_unsupported(&opened)?;
        let modified = server.modify(record.id(), |data| data.insert("n", &1)).await;
        expect_unsupported(&modified)?;
    }
    cx.expect(record).await
}

/// A rolling deployment: a server of the next version rewrites a session that this one has open.
async fn a_later_version_may_write_meanwhile(cx: &Cx, site: &Site) -> Checked {
    let user = site.user("bob", json!({ "n": 0 })).await?;
    let mut request = user.visit(&site.one).await?;
    write(&mut request, json!({ "n": 1 }))?;
    let later = b"\xd5S\x02\x01\x00whatever comes".as_slice();
    let change = record_of(cx, &user).await?.change(cx.revision()).payload(later);
    cx.other().update(&change, cx.now()).await?;
    expect_unsupported(&site.one.commit(&mut request).await)?;
    expect_client_told_nothing(&request)?;
    cx.expect(change.record()).await
}

fn expect_unsupported<T: std::fmt::Debug>(answer: &Result<T, SessionError>) -> Checked {
    let kind = match answer {
        Err(SessionError::Store(error)) => Some(error.kind()),
        _ => None,
    };
    ensure!(kind == Some(StoreErrorKind::UnsupportedFormat), "`UnsupportedFormat`, not {answer:?}");
    Ok(())
}

const HEADER: &[u8] = b"\xd5S\x01\x01\x00";

fn with_header(body: &[u8]) -> Vec<u8> {
    [HEADER, body].concat()
}

fn corrupt_payloads() -> Vec<Vec<u8>> {
    let valid = with_header(br#"{"data":{"role":"user"},"flash":[["00000000000000ff","n",1]]}"#);
    let truncated = (0..valid.len()).map(|length| valid[..length].to_vec());
    let deep = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        with_header(format!(r#"{{"data":{{"deep":{open}{close}}}}}"#).as_bytes())
    };
    let bodies: [&[u8]; 15] = [
        br#"{"data":{"role":"user","role":"admin"}}"#,
        br#"{"data":{"a":{"role":"user","role":"admin"}}}"#,
        br#"{"data":{},"data":{}}"#,
        br#"{"data":{}}x"#,
        br#" {"data":{}}"#,
        br#"{"data":[]}"#,
        br#"{"data":null}"#,
        br#"{}"#,
        br#"[]"#,
        br#"{"data":{"":1}}"#,
        br#"{"data":{"a":NaN}}"#,
        br#"{"data":{"a":"\ud800"}}"#,
        b"{\"data\":{\"a\":\"\xff\"}}",
        br#"{"data":{},"flash":[["00000000000000ff","n"]]}"#,
        br#"{"data":{"a":1e999}}"#,
    ];
    let mut payloads: Vec<_> = truncated.collect();
    payloads.extend(bodies.into_iter().map(with_header));
    payloads.extend([
        [valid.as_slice(), b"\0"].concat(),
        [b"\0".as_slice(), &valid].concat(),
        deep(MAX_DEPTH + 1),
        deep(100_000),
        with_header(&vec![b'['; MAX_PAYLOAD_LEN - HEADER.len()]),
        with_header(&vec![0xc0; MAX_PAYLOAD_LEN - HEADER.len()]),
        b"garbage".to_vec(),
        vec![0; 64],
        br#"{"data":{"role":"admin"}}"#.to_vec(),
    ]);
    payloads
}

fn later_payloads() -> Vec<Vec<u8>> {
    let body = br#"{"data":{"role":"user"}}"#;
    let with = |version: u8, codec: u8, flags: u8| {
        [[0xd5, b'S', version, codec, flags].as_slice(), body].concat()
    };
    vec![
        with(0, 1, 0),
        with(2, 1, 0),
        with(255, 1, 0),
        with(1, 0, 0),
        with(1, 127, 0),
        with(1, 255, 0),
        with(1, 1, 1),
        with(1, 1, 0x80),
        with(1, 1, 0xff),
        with_header(br#"{"data":{"role":"user"},"later":[1]}"#),
    ]
}
