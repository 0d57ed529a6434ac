//! Payloads that cannot be read.

use serde_json::json;
use session_core::{
    CommitOutcome, MAX_DEPTH, MAX_PAYLOAD_LEN, Opened, OsRandom, Realm, Record, SecretHash,
    SessionError, SessionToken, StoreErrorKind,
};

use crate::cx::Cx;
use crate::people::{Browser, Site, expect_client_told_nothing, record_of, write};
use crate::verdict::{Checked, ensure, ensure_eq};

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
        b"{}",
        b"[]",
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
