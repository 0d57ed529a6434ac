//! The first write, and tokens that open nothing.

use data_encoding::BASE64URL_NOPAD;
use serde_json::json;
use session_core::{CommitOutcome, Lifetimes, Opened, OsRandom, Session, SessionToken};

use crate::cx::Cx;
use crate::people::{
    Browser, Site, expect_client_told_nothing, expect_nothing_shown, record_of, write,
};
use crate::verdict::{Checked, ensure, ensure_eq};

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
    let secret_of_nobody =
        SessionToken::new(SessionToken::random(&OsRandom)?.id(), own.secret().clone());
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
        "",
        " ",
        "\t",
        "\0",
        "con",
        "*",
        "]",
        "../../etc/passwd",
        "..%2f",
        "'; DROP TABLE s;--",
        r#"{"$gt":""}"#,
        "\r\nDEL x\r\n",
        "__Host-session",
        "null",
        "true",
        "0",
        "[]",
        "{}",
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
