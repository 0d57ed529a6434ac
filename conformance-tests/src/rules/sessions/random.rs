//! A random source that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;
use session_core::{DataError, OsRandom, RandomSource, RandomUnavailable, Session, SessionError};

use crate::cx::Cx;
use crate::people::{
    Site, expect_client_told_nothing, expect_nothing_shown, login_of, record_of, write,
};
use crate::rng::Rng;
use crate::verdict::{Checked, ensure, ensure_eq};

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
