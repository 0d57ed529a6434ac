//! Requests at the same time.

use serde_json::{Value, json};
use session_core::{CommitOutcome, ConflictPolicy, Session, SessionError};

use crate::cx::Cx;
use crate::people::{
    Browser, Server, Site, data_of, expect_client_told_nothing, login_of, nothing, record_of, write,
};
use crate::race::race;
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

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
    ensure!(
        matches!(answer, Err(SessionError::Conflict)),
        "{what}: expected `Conflict`, got {answer:?}"
    );
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
    let refused = matches!(answer, Ok(CommitOutcome::Superseded));
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

pub(super) fn flash_of(request: &mut Session, key: &str) -> Checked<Vec<String>> {
    Ok(request.data_mut().take_flash(key)?)
}
