use session_core::Lifetimes;

use crate::doubles::Op;
use crate::http::client::{Ask, Browser, Connection};
use crate::http::cx::HttpCx;
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

pub(crate) async fn login_changes_the_token(cx: &HttpCx) -> Checked {
    let [host, other] = cx.two_hosts().await?;
    let mut browser = Browser::default();
    browser.get(host.addr(), "/set?key=planted&value=evil").await?;
    let before = browser.token().ok_or_else(|| Stop::failed("a first write gives a token"))?;
    let reply = browser.send(host.addr(), Ask::post("/login?user=alice")).await?;
    let after = reply.token()?;
    ensure!(after != before, "the token stayed the same");
    for server in [&host, &other] {
        ensure_eq!(server.user(&after).await?, "alice", "the user of the new token");
        ensure_eq!(server.user(&before).await?, "-", "the user of the token before");
        server.with_token(&after, "/get?key=planted").await?.says(200, "-")?;
        server.with_token(&before, "/get?key=planted").await?.says(200, "-")?;
    }
    // Logging in again is no exception.
    let reply = browser.send(host.addr(), Ask::post("/login?user=alice")).await?;
    ensure!(reply.token()? != after, "a second login keeps the token");
    ensure_eq!(other.user(&after).await?, "-", "the user of the token before that");
    Ok(())
}

pub(crate) async fn login_keeps_what_was_named(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let mut browser = Browser::default();
    browser.get(host.addr(), "/set?key=cart&value=tea").await?;
    browser.get(host.addr(), "/set?key=planted&value=evil").await?;
    browser
        .send(host.addr(), Ask::post("/login?user=alice&keep=cart"))
        .await?
        .says(200, "logged in")?;
    browser.get(host.addr(), "/get?key=cart").await?.says(200, "tea")?;
    browser.get(host.addr(), "/get?key=planted").await?.says(200, "-")?;
    // Another user gets nothing of the first one's.
    browser.get(host.addr(), "/set?key=secret&value=hers").await?;
    browser.send(host.addr(), Ask::post("/login?user=bob")).await?.says(200, "logged in")?;
    browser.get(host.addr(), "/me").await?.says(200, "bob")?;
    browser.get(host.addr(), "/get?key=secret").await?.says(200, "-")
}

pub(crate) async fn logout_ends_the_session_everywhere(cx: &HttpCx) -> Checked {
    let [host, other] = cx.two_hosts().await?;
    let mut browser = host.log_in("alice").await?;
    let token = browser.token().unwrap_or_default();
    let reply = browser.send(host.addr(), Ask::post("/logout")).await?;
    reply.says(200, "true -")?;
    ensure!(reply.removes_the_cookie()?, "a logout removes the cookie");
    ensure_eq!(browser.token(), None, "the browser's cookie");
    for server in [&host, &other] {
        ensure_eq!(server.user(&token).await?, "-", "the user of the token");
    }
    ensure!(!host.is_stored(&token).await?, "the session is still stored");
    let reply = host.ask(Ask::post("/logout")).await?;
    reply.says(200, "false -")?;
    ensure_eq!(reply.session_cookie()?, None, "the cookie of a logout of nobody");
    Ok(())
}

pub(crate) async fn rest_of_a_logout_is_anonymous(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let mut browser = host.log_in("alice").await?;
    let token = browser.token().unwrap_or_default();
    let reply = browser.send(host.addr(), Ask::post("/logout?note=Goodbye")).await?;
    reply.says(200, "true -")?;
    let next = reply.token()?;
    ensure!(next != token, "the old token is given again");
    browser.get(host.addr(), "/take").await?.says(200, "Goodbye")?;
    browser.get(host.addr(), "/me").await?.says(200, "-")?;
    ensure_eq!(host.user(&token).await?, "-", "the user of the old token");
    Ok(())
}

pub(crate) async fn late_request_brings_nothing_back(cx: &HttpCx) -> Checked {
    let [host, other] = cx.two_hosts().await?;
    for target in ["/held?key=a&value=b", "/held?key=a&value=c"] {
        let token = host.token_of("alice").await?;
        let mut slow = Connection::open(host.addr()).await?;
        slow.send(&Ask::get(target).token(&token).bytes()).await?;
        host.app.has_arrived().await;
        let reply = other.with_token(&token, "/logout").await?;
        ensure!(reply.removes_the_cookie()?, "the logout removes the cookie");
        host.app.let_go();
        let reply = slow.receive().await?;
        reply.says(200, "held")?;
        ensure_eq!(reply.session_cookie()?, None, "the cookie of the late response");
        for server in [&host, &other] {
            ensure_eq!(server.user(&token).await?, "-", "the user after the late response");
        }
        ensure!(!host.is_stored(&token).await?, "the session is back");
    }
    Ok(())
}

pub(crate) async fn only_who_destroyed_it_removes_the_cookie(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let ended = host.token_of("alice").await?;
    host.with_token(&ended, "/logout").await?;
    let superseded = host.token_of("bob").await?;
    host.with_token(&superseded, "/elevate").await?;
    let revoked = host.token_of("carol").await?;
    host.with_token(&host.token_of("carol").await?, "/log-out-others").await?;
    for token in [&ended, &superseded, &revoked] {
        for target in ["/me", "/look?how=get", "/remove?key=a", "/rotate", "/take", "/logout"] {
            let reply = host.with_token(token, target).await?;
            ensure_eq!(
                (reply.status, reply.session_cookie()?),
                (200, None),
                "{target} with a dead token"
            );
        }
    }
    Ok(())
}

pub(crate) async fn superseded_request_creates_nothing(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let before = host.token_of("alice").await?;
    let after = host.with_token(&before, "/elevate").await?.token()?;
    host.calls();
    for target in ["/set?key=a&value=b", "/count", "/flash?text=x"] {
        let reply = host.with_token(&before, target).await?;
        ensure!(reply.status < 400, "{target} with a superseded token: {}", reply.status);
        ensure_eq!(reply.session_cookie()?, None, "cookie of {target} with a superseded token");
        ensure_eq!(host.calls(), [Op::Load], "calls of {target} with a superseded token");
    }
    host.with_token(&after, "/get?key=a").await?.says(200, "-")?;
    // A request under way when the secret changes is told nothing either.
    let mut slow = Connection::open(host.addr()).await?;
    slow.send(&Ask::get("/held?key=a&value=late").token(&after).bytes()).await?;
    host.app.has_arrived().await;
    let last = host.with_token(&after, "/elevate?level=2").await?.token()?;
    host.app.let_go();
    let reply = slow.receive().await?;
    ensure_eq!((reply.status, reply.session_cookie()?), (200, None), "the late response");
    host.with_token(&last, "/get?key=a").await?.says(200, "-")?;
    // Unless it logs in.
    let reply = host.with_token(&before, "/login?user=alice").await?;
    ensure_eq!(host.user(&reply.token()?).await?, "alice", "the user of a new login");
    Ok(())
}

pub(crate) async fn rotation_has_a_grace(cx: &HttpCx) -> Checked {
    let [host, other] = cx.two_hosts().await?;
    let before = host.token_of("alice").await?;
    host.with_token(&before, "/set?key=a&value=b").await?;
    let after = host.with_token(&before, "/rotate").await?.token()?;
    ensure!(after != before, "the token stayed the same");
    other.with_token(&after, "/get?key=a").await?.says(200, "b")?;
    // Requests under way go on, and get no token of their own.
    let reply = other.with_token(&before, "/set?key=c&value=d").await?;
    ensure_eq!((reply.status, reply.session_cookie()?), (200, None), "inside the grace");
    let reply = other.with_token(&before, "/rotate").await?;
    ensure_eq!(reply.session_cookie()?, None, "a second rotation inside the grace");
    host.with_token(&after, "/get?key=c").await?.says(200, "d")?;
    cx.advance(31);
    ensure_eq!(host.user(&before).await?, "-", "the old token after its grace");
    ensure_eq!(host.user(&after).await?, "alice", "the new token");
    Ok(())
}

pub(crate) async fn elevation_has_none(cx: &HttpCx) -> Checked {
    let [host, other] = cx.two_hosts().await?;
    let before = host.token_of("alice").await?;
    let after = host.with_token(&before, "/elevate?level=2").await?.token()?;
    ensure_eq!(other.user(&before).await?, "-", "the token before the elevation");
    ensure_eq!(other.user(&after).await?, "alice", "the token after it");
    let reply = host.ask(Ask::get("/elevate")).await?;
    ensure_eq!((reply.status, reply.session_cookie()?), (401, None), "an elevation of nobody");
    Ok(())
}

pub(crate) async fn freshness_is_not_refreshed_by_use(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let mut browser = host.log_in("alice").await?;
    browser.get(host.addr(), "/fresh?seconds=300").await?.says(200, "true")?;
    for _ in 0..4 {
        cx.advance(100);
        browser.get(host.addr(), "/set?key=a&value=b").await?;
        browser.get(host.addr(), "/rotate").await?;
    }
    browser.get(host.addr(), "/fresh?seconds=300").await?.says(200, "false")?;
    browser.get(host.addr(), "/elevate").await?.says(200, "elevated")?;
    browser.get(host.addr(), "/fresh?seconds=300").await?.says(200, "true")?;
    cx.advance(301);
    browser.send(host.addr(), Ask::post("/login?user=alice")).await?;
    browser.get(host.addr(), "/fresh?seconds=300").await?.says(200, "true")?;
    host.ask(Ask::get("/fresh?seconds=300")).await?.says(200, "false")
}

pub(crate) async fn sessions_end_at_their_deadlines(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let lifetimes = Lifetimes::DEFAULT_AUTHENTICATED;
    let (idle, absolute) = (lifetimes.idle().as_secs(), lifetimes.absolute().as_secs());
    let unused = host.token_of("alice").await?;
    let used = host.token_of("bob").await?;
    let begun = cx.now();
    cx.advance(idle - 1);
    ensure_eq!(host.user(&used).await?, "bob", "a second before the idle deadline");
    cx.advance(1);
    let reply = host.with_token(&unused, "/me").await?;
    reply.says(200, "-")?;
    ensure_eq!(reply.session_cookie()?, None, "the cookie of an expired session is left alone");
    ensure_eq!(host.user(&used).await?, "bob", "a session in use");
    loop {
        let age = cx.now().since(begun).as_secs();
        if age + idle / 2 >= absolute {
            cx.advance(absolute - age - 1);
            break;
        }
        cx.advance(idle / 2);
        ensure_eq!(host.user(&used).await?, "bob", "a session in use after {age} seconds");
    }
    ensure_eq!(host.user(&used).await?, "bob", "a second before the absolute deadline");
    cx.advance(1);
    ensure_eq!(host.user(&used).await?, "-", "at the absolute deadline");
    Ok(())
}

pub(crate) async fn pipelined_logout_is_final(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    for _ in 0..cx.rounds(10) {
        let token = host.token_of("alice").await?;
        let mut connection = Connection::open(host.addr()).await?;
        let requests = [
            Ask::get("/set?key=a&value=b"),
            Ask::post("/logout"),
            Ask::get("/set?key=a&value=c"),
            Ask::get("/me"),
        ];
        let bytes: Vec<u8> = requests.into_iter().flat_map(|it| it.token(&token).bytes()).collect();
        connection.send(&bytes).await?;
        connection.receive().await?.says(200, "set")?;
        let logout = connection.receive().await?;
        logout.says(200, "true -")?;
        ensure!(logout.removes_the_cookie()?, "the logout removes the cookie");
        // What came after it on the connection is a visitor's.
        let late = connection.receive().await?;
        late.says(200, "set")?;
        let visitor = late.token()?;
        connection.receive().await?.says(200, "-")?;
        ensure_eq!(host.user(&token).await?, "-", "the user in the end");
        ensure_eq!(host.user(&visitor).await?, "-", "the user of what came after");
    }
    Ok(())
}
