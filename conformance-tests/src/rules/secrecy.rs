//! What is stored and what is logged.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::json;
use session_core::{
    CommitOutcome, CredentialTag, Cursor, MAX_PAYLOAD_LEN, Opened, OsRandom, PageRequest,
    PreviousSecret, Realm, Record, SecretHash, Session, SessionError, SessionId, SessionStore,
    SessionToken, StoreErrorKind, TokenText,
};

use crate::cx::Cx;
use crate::people::{Browser, GRACE, Site, expect_nothing_shown, login_of, record_of, write};
use crate::secrets::Secrets;
use crate::spy::Op;
use crate::verdict::{Checked, Stop, ensure, ensure_eq, ensure_error};

// Y01

pub(crate) async fn what_is_stored_opens_nothing(cx: &Cx) -> Checked {
    the_search_finds_what_is_planted(cx)?;
    the_backend_shows_what_is_planted(cx).await?;
    let site = Site::of(cx)?;
    let lives = whole_lives(cx, &site).await?;
    cx.secrets().are_kept()?;
    let records = cx.secrets().records();
    ensure!(records.len() > 10, "only {} records were given to the store", records.len());
    for blob in cx.stored().await?.unwrap_or_default() {
        cx.secrets().are_not_in(&blob, "what the backend holds")?;
    }
    stored_bytes_are_no_token(&site, &records).await?;
    // The id in a token that nobody issued is logged, whatever it was made of.
    cx.secrets().logged();
    for browser in &lives {
        ensure_eq!(browser.visit(&site.two).await?.opened(), Opened::Live, "with its own token");
    }
    Ok(())
}

/// A secret in any field, in any spelling, is found.
fn the_search_finds_what_is_planted(cx: &Cx) -> Checked {
    let secrets = Secrets::new(cx.profile().name());
    let token = SessionToken::random(&OsRandom)?;
    let text = token.encode();
    secrets.issued(&text);
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap_or_default();
    let secret = bytes.get(SessionId::LEN..).unwrap_or_default();
    let plants: [(&str, Vec<u8>); 5] = [
        ("raw", secret.to_vec()),
        ("hexadecimal", HEXLOWER.encode(secret).into_bytes()),
        ("base64", BASE64URL_NOPAD.encode(secret).into_bytes()),
        ("a token", text.as_bytes().to_vec()),
        ("half of it", secret[..SessionToken::TEXT_LEN / 4].to_vec()),
    ];
    for (spelling, planted) in plants {
        let payload = [b"around it ".as_slice(), &planted, b" more"].concat();
        let found = secrets.are_not_in_record(&cx.fresh().payload(payload).record());
        ensure!(found.is_err(), "the search does not find a planted secret, {spelling}");
    }
    let mut parts = cx.fresh().record().into_parts();
    parts.secret_hash = SecretHash::from_bytes(secret.try_into().unwrap_or([0; 32]));
    let found = secrets.are_not_in_record(&Record::from_parts(parts));
    ensure!(found.is_err(), "the search does not find a secret that is stored as its own hash");
    secrets.are_not_in_record(&cx.fresh().record())
}

/// What the fixture reads from the backend is really what was stored.
async fn the_backend_shows_what_is_planted(cx: &Cx) -> Checked {
    let secrets = Secrets::new(cx.profile().name());
    let text = SessionToken::random(&OsRandom)?.encode();
    secrets.issued(&text);
    let planted = cx.fresh().payload(text.as_str().to_owned()).record();
    cx.create(&planted).await?;
    if let Some(blobs) = cx.stored().await? {
        let found = blobs.iter().any(|blob| secrets.are_not_in(blob, "a dump").is_err());
        ensure!(found, "the fixture's `stored()` does not show a planted secret");
    }
    ensure!(cx.other().delete(planted.id(), cx.now()).await?, "deleting a live record");
    Ok(())
}

/// Whatever can be read from a record, put together as a token in any way, opens nothing.
async fn stored_bytes_are_no_token(site: &Site, records: &[Record]) -> Checked {
    for record in records {
        let (id, hash) = (record.id().as_bytes().as_slice(), record.secret_hash().as_bytes());
        let previous = record.previous().map_or(*hash, |previous| *previous.hash.as_bytes());
        let texts = [
            BASE64URL_NOPAD.encode(&[id, hash].concat()),
            BASE64URL_NOPAD.encode(&[id, &previous].concat()),
            BASE64URL_NOPAD.encode(&[hash, id].concat()),
            BASE64URL_NOPAD.encode(&id.repeat(3)),
            BASE64URL_NOPAD.encode(&[id, &record.revision().as_bytes().repeat(4)].concat()),
            BASE64URL_NOPAD.encode(id),
            BASE64URL_NOPAD.encode(hash),
            HEXLOWER.encode(hash),
            HEXLOWER.encode(&id.repeat(2)),
            record.id().to_string(),
        ];
        for (number, text) in texts.iter().enumerate() {
            let request = site.server(number).open(Some(text.as_bytes())).await?;
            ensure!(
                request.opened() != Opened::Live,
                "stored bytes open a session, spelling {number}"
            );
            expect_nothing_shown(&request)?;
        }
    }
    Ok(())
}

/// Does everything that can be done with sessions, and makes everything fail that can fail. Answers with
/// browsers whose sessions are live at the end.
async fn whole_lives(cx: &Cx, site: &Site) -> Checked<Vec<Browser>> {
    let canary = cx.secrets().canary();
    let mut user = site.visitor(json!({ "value": canary })).await?;
    let tag = CredentialTag::new(b"version 7").map_err(|error| Stop::failed(error.to_string()))?;
    let login = login_of(&site.two, "alice")?.level(1).credential_tag(tag).keeping(["value"]);
    user.log_in(&site.two, login).await?;
    let mut request = user.visit(&site.one).await?;
    request.data_mut().flash("note", &canary)?;
    user.save(&site.one, &mut request).await?;

    let old = user.clone();
    let mut request = user.visit(&site.one).await?;
    request.rotate();
    let _: Vec<String> = request.data_mut().take_flash("note")?;
    user.save(&site.one, &mut request).await?;
    merges(site, &old, &canary).await?;
    let mut request = user.visit(&site.two).await?;
    ensure_eq!(site.two.elevate(&mut request, 2).await?, CommitOutcome::Saved, "an elevation");
    user.take_new_token(&request)?;
    let outcome = site.one.modify(&user.id()?, |data| data.insert("outside", &canary)).await?;
    ensure_eq!(outcome, CommitOutcome::Saved, "a modification");

    let mut leaving = site.user("bob", json!({ "value": canary })).await?;
    let mut late = leaving.visit(&site.two).await?;
    let mut request = leaving.visit(&site.one).await?;
    site.one.destroy(&mut request).await?;
    leaving.take(&request);
    write(&mut late, json!({ "value": canary, "late": 1 }))?;
    ensure_eq!(site.two.commit(&mut late).await?, CommitOutcome::Missing, "after a logout");

    rejected_tokens(site, &old, &user).await?;
    failing_calls(cx, site, &user, &canary).await?;
    cx.advance(GRACE);
    let visitor = site.visitor(json!({ "value": canary })).await?;
    if cx.store().subject_index().is_some() {
        of_users(cx, &canary).await?;
    }
    Ok(vec![user, visitor])
}

/// Commits that meet others, merged and refused.
async fn merges(site: &Site, browser: &Browser, canary: &str) -> Checked {
    let mut first = browser.visit(&site.one).await?;
    let mut second = browser.visit(&site.two).await?;
    let mut third = browser.visit(&site.one).await?;
    write(&mut first, json!({ "first": canary }))?;
    write(&mut second, json!({ "second": canary }))?;
    third.data_mut().require_unchanged(["first"]);
    write(&mut third, json!({ "third": canary }))?;
    ensure_eq!(site.one.commit(&mut first).await?, CommitOutcome::Saved, "a commit");
    ensure_eq!(site.two.commit(&mut second).await?, CommitOutcome::Saved, "a merge");
    let refused = site.one.commit(&mut third).await;
    ensure!(matches!(refused, Err(SessionError::Conflict)), "a required key was changed");
    let wrong = second.data().get::<u64>("second");
    ensure!(wrong.is_err(), "a text was read as a number");
    Ok(())
}

async fn rejected_tokens(site: &Site, superseded: &Browser, user: &Browser) -> Checked {
    let wrong = SessionToken::new(user.id()?, SessionToken::random(&OsRandom)?.secret().clone());
    let wrong = wrong.encode();
    let unknown = SessionToken::random(&OsRandom)?.encode();
    let malformed = format!("{} ", user.text()?);
    for text in [superseded.text()?, wrong.as_str(), unknown.as_str(), &malformed] {
        for server in site.both() {
            let mut request = server.open(Some(text.as_bytes())).await?;
            ensure!(request.opened() != Opened::Live, "a token that opens nothing");
            let _ = format!("{request:?}");
            ensure_eq!(server.commit(&mut request).await?, outcome_of(&request), "a commit");
        }
    }
    Ok(())
}

fn outcome_of(request: &Session) -> CommitOutcome {
    match request.opened() {
        Opened::Superseded => CommitOutcome::Superseded,
        _ => CommitOutcome::Unchanged,
    }
}

/// Errors of the store, whose texts drivers and adapters may log.
async fn failing_calls(cx: &Cx, site: &Site, user: &Browser, canary: &str) -> Checked {
    for kind in [StoreErrorKind::Unavailable, StoreErrorKind::Denied, StoreErrorKind::Full] {
        let mut request = user.visit(&site.one).await?;
        write(&mut request, json!({ "lost": canary }))?;
        site.spies[0].refuse(Op::Update, kind);
        let failed = site.one.commit(&mut request).await;
        ensure!(failed.is_err(), "a commit that the store refuses");
        site.spies[0].refuse(Op::Load, kind);
        let failed = site.one.open(Some(user.text()?.as_bytes())).await;
        ensure!(failed.is_err(), "an open that the store refuses");
    }
    let mut settled = user.visit(&site.one).await?;
    write(&mut settled, json!({ "settled": canary }))?;
    site.spies[0].refuse(Op::Update, StoreErrorKind::OutcomeUnknown);
    ensure_eq!(site.one.commit(&mut settled).await?, CommitOutcome::Saved, "settled by a look");

    let large = canary.repeat(MAX_PAYLOAD_LEN / canary.len() + 1);
    let record = cx.fresh().payload(large.clone()).record();
    for handle in cx.both() {
        let refused = handle.create(&record, cx.now()).await;
        ensure_error!(refused, StoreErrorKind::TooLarge, "a payload that is too large");
    }
    let mut request = user.visit(&site.two).await?;
    write(&mut request, json!({ "large": large }))?;
    let refused = site.two.commit(&mut request).await;
    ensure!(matches!(refused, Err(SessionError::Limit(_))), "a session that is too large");
    unreadable_payloads(cx, site, canary).await?;
    if let Some(index) = cx.store().subject_index() {
        let cursor = Cursor::from_bytes(canary.as_bytes());
        let cursor = cursor.map_err(|error| Stop::failed(error.to_string()))?;
        let page = PageRequest::first(10).after(cursor);
        let refused = index.list(&cx.subject("alice")?, &page, cx.now()).await.map(|_| ());
        ensure_error!(refused, StoreErrorKind::InvalidCursor, "a cursor of nobody");
    }
    Ok(())
}

async fn unreadable_payloads(cx: &Cx, site: &Site, canary: &str) -> Checked {
    for payload in [format!("garbage {canary}").into_bytes(), later_format(canary)] {
        let token = SessionToken::random(&OsRandom)?;
        let text: TokenText = token.encode();
        cx.secrets().issued(&text);
        let mut parts = cx.fresh().id(token.id()).payload(payload).record().into_parts();
        parts.secret_hash = SecretHash::of(&token, &Realm::default());
        let record = Record::from_parts(parts);
        cx.secrets().handed(&record);
        cx.create(&record).await?;
        for server in site.both() {
            let opened = server.open(Some(text.as_bytes())).await;
            let unreadable = opened.map_or(true, |request| request.opened() == Opened::Corrupt);
            ensure!(unreadable, "an unreadable session was opened");
        }
    }
    Ok(())
}

fn later_format(canary: &str) -> Vec<u8> {
    [b"\xd5S\xff\x01\x00".as_slice(), canary.as_bytes()].concat()
}

/// What needs the index by subject.
async fn of_users(cx: &Cx, canary: &str) -> Checked {
    let site = Site::of_users(cx)?;
    let carol = cx.subject("carol")?;
    let mut current = site.user("carol", json!({ "value": canary })).await?;
    let other = site.user("carol", json!({ "value": canary })).await?;
    site.one.list(&carol, &PageRequest::first(10)).await?;
    let mut request = current.visit(&site.one).await?;
    site.one.destroy_all(&carol, Some(&mut request)).await?;
    current.take_new_token(&request)?;
    ensure!(!site.two.destroy_one(&carol, &other.id()?).await?, "destroyed once, not twice");
    ensure_eq!(site.two.destroy_all(&carol, None).await?, 1, "sessions that are left");
    Ok(())
}

// Y02

pub(crate) async fn what_is_logged_shows_no_secret(cx: &Cx) -> Checked {
    let secrets = cx.secrets();
    secrets.need_watch()?;
    planted_secrets_are_seen(cx)?;
    let site = Site::of(cx)?;
    let lives = whole_lives(cx, &site).await?;
    let shown = format!("{:?} {:?} {:?}", site.one, site.two, lives[0].token()?);
    tracing::debug!(target: "session_core", %shown, "what `Debug` shows of a site");
    let leaks = secrets.logged();
    ensure!(leaks.is_empty(), "what was logged shows {leaks:?}");
    Ok(())
}

/// Secrets of every kind are found in events and spans, of our crates and of drivers, however spelled.
fn planted_secrets_are_seen(cx: &Cx) -> Checked {
    let secrets = Secrets::new(cx.profile().name());
    let token = SessionToken::random(&OsRandom)?.encode();
    secrets.issued(&token);
    let record = cx.fresh().record();
    secrets.handed(&record);
    let canary = secrets.canary();
    let text = token.as_str();
    let hash = record.secret_hash().as_bytes();
    let seen = |how: &str| {
        let leaks = secrets.logged();
        ensure!(!leaks.is_empty(), "the watch does not see a planted secret, {how}");
        Ok(())
    };
    tracing::info!(target: "session", planted = text);
    seen("the text of a token")?;
    tracing::trace!(target: "session_core::sessions", "cookie: {}", &text[SessionToken::TEXT_LEN / 2..]);
    seen("a part of it, at `TRACE`")?;
    tracing::debug!(target: "a_driver", planted = ?hash);
    seen("a hash as a list")?;
    tracing::warn!(target: "a_driver", planted = %HEXLOWER.encode(hash));
    seen("a hash in hexadecimal")?;
    tracing::error!(target: "session_redis", planted = %BASE64URL_NOPAD.encode(hash));
    seen("a hash in base64")?;
    tracing::debug!(target: "a_driver", "SET key {canary:?}");
    seen("a value of a session")?;
    let span = tracing::debug_span!(target: "a_driver", "command", planted = %canary);
    seen("a value in a span")?;
    drop(span);
    log::debug!(target: "a_driver", "SET key {canary}");
    seen("a value, through `log`")?;
    log::trace!(target: "session_memory", "{canary}");
    seen("a value, through `log` at `TRACE`")?;
    tracing::info!(target: "session", id = %record.id(), "a public id is no secret");
    ensure!(secrets.logged().is_empty(), "the watch sees secrets where there are none");
    Ok(())
}

// Y03

pub(crate) async fn copied_record_opens_nothing(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    let mut alice = site.user("alice", json!({ "private": "alice" })).await?;
    let before_rotation = alice.clone();
    alice.rotate(&site.one).await?;
    let original = record_of(cx, &alice).await?;

    // Under ids that differ in one bit, at either end, and in all of them.
    let mut first_bit = *original.id().as_bytes();
    first_bit[0] ^= 0x80;
    let mut last_bit = *original.id().as_bytes();
    last_bit[SessionId::LEN - 1] ^= 1;
    for id in [first_bit, last_bit, *cx.id().as_bytes()] {
        let id = SessionId::from_bytes(id).map_err(|error| Stop::failed(error.to_string()))?;
        let copy = copied_to(cx, &original, id).await?;
        for own in [&alice, &before_rotation] {
            let token = SessionToken::new(id, own.token()?.secret().clone());
            expect_shut(&site, &own.with(&token)).await?;
        }
        cx.expect(&copy).await?;
        cx.expect(&original).await?;
    }
    // Over the record of another session: neither token opens it.
    let bob = site.user("bob", json!({ "private": "bob" })).await?;
    ensure!(cx.other().delete(&bob.id()?, cx.now()).await?, "deleting a live record");
    copied_to(cx, &original, bob.id()?).await?;
    expect_shut(&site, &bob).await?;
    let token = SessionToken::new(bob.id()?, alice.token()?.secret().clone());
    expect_shut(&site, &alice.with(&token)).await?;

    // With the hashes the other way round, it is the older secret that is current.
    let mut parts = original.clone().into_parts();
    parts.id = cx.id();
    if let Some(PreviousSecret { hash, .. }) = parts.previous {
        parts.secret_hash = hash;
    }
    let swapped = Record::from_parts(parts);
    cx.create(&swapped).await?;
    let token = SessionToken::new(*swapped.id(), before_rotation.token()?.secret().clone());
    expect_shut(&site, &alice.with(&token)).await?;
    site.expect(&alice, json!({ "private": "alice" })).await?;
    site.expect(&before_rotation, json!({ "private": "alice" })).await?;
    cx.expect(&original).await
}

async fn copied_to(cx: &Cx, original: &Record, id: SessionId) -> Checked<Record> {
    let mut parts = original.clone().into_parts();
    parts.id = id;
    let copy = Record::from_parts(parts);
    cx.create(&copy).await?;
    Ok(copy)
}

/// Whatever the token is called, it opens nothing.
async fn expect_shut(site: &Site, browser: &Browser) -> Checked {
    for server in site.both() {
        let request = browser.visit(server).await?;
        ensure!(request.opened() != Opened::Live, "a copied record was opened");
        expect_nothing_shown(&request)?;
    }
    Ok(())
}
