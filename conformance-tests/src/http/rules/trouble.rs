use session_core::StoreErrorKind;
use session_http::WhenDown;

use crate::doubles::{Fault, Op};
use crate::http::client::{Ask, Browser, Connection};
use crate::http::cx::HttpCx;
use crate::verdict::{Checked, ensure, ensure_eq};

const DOWN: Fault = Fault::Before(StoreErrorKind::Unavailable);

pub(crate) async fn store_down_is_503_and_keeps_the_cookie(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let token = host.token_of("alice").await?;
    for kind in [
        StoreErrorKind::Unavailable,
        StoreErrorKind::Timeout,
        StoreErrorKind::Overloaded,
        StoreErrorKind::Denied,
        StoreErrorKind::UnsupportedFormat,
    ] {
        for target in
            ["/me", "/set?key=a&value=b", "/login?user=bob", "/devices", "/csrf", "/account"]
        {
            host.script.then(Op::Load, Fault::Before(kind));
            let reply = host.with_token(&token, target).await?;
            ensure_eq!(
                (reply.status, reply.session_cookie()?),
                (503, None),
                "{target} while the store is {kind:?}"
            );
            ensure_eq!(reply.values("retry-after"), ["5"], "when to try again");
            ensure!(reply.is_private(), "an error is private too");
            ensure!(!reply.body.contains("scripted"), "the body shows the store's error");
        }
    }
    ensure_eq!(host.user(&token).await?, "alice", "the same cookie, when the store is back");
    Ok(())
}

pub(crate) async fn overlooked_trouble_is_503(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let token = host.token_of("alice").await?;
    host.with_token(&token, "/overlook").await?.says(200, "read")?;
    host.script.then(Op::Load, DOWN);
    let reply = host.with_token(&token, "/overlook").await?;
    ensure_eq!(
        (reply.status, reply.body.as_str()),
        (503, ""),
        "an error that the handler overlooked"
    );
    ensure_eq!(reply.session_cookie()?, None, "its cookie");
    ensure_eq!(reply.values("retry-after"), ["5"], "when to try again");
    Ok(())
}

pub(crate) async fn error_page_of_the_handler_is_kept(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let token = host.token_of("alice").await?;
    host.script.then(Op::Load, DOWN);
    let reply = host.with_token(&token, "/own-page").await?;
    reply.says(502, "my own page")?;
    ensure_eq!(reply.session_cookie()?, None, "its cookie");
    ensure!(reply.is_private(), "it is private");
    Ok(())
}

pub(crate) async fn carrying_on_reads_and_never_writes(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let token = host.token_of("alice").await?;
    host.script.then(Op::Load, DOWN);
    let reply = host.with_token(&token, "/carry-on").await?;
    reply.says(200, "- [false, false, false]")?;
    ensure_eq!(reply.session_cookie()?, None, "its cookie");
    ensure!(reply.is_private(), "it is private");
    host.calls();
    let site = cx.host_of(|site| site.when_down(WhenDown::Anonymous)).await?;
    site.script.then(Op::Load, DOWN);
    site.with_token(&token, "/me").await?.says(200, "-")?;
    site.script.then(Op::Load, DOWN);
    let reply = site.with_token(&token, "/set?key=a&value=b").await?;
    ensure_eq!((reply.status, reply.session_cookie()?), (503, None), "writing on such a site");
    ensure_eq!(site.calls(), [Op::Load, Op::Load], "nothing was written");
    ensure_eq!(host.user(&token).await?, "alice", "the session is as it was");
    Ok(())
}

pub(crate) async fn failed_login_is_no_login(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    host.script.then(Op::Create, DOWN);
    let reply = host.ask(Ask::post("/login?user=alice")).await?;
    ensure_eq!((reply.status, reply.session_cookie()?), (503, None), "a login that failed");
    let mut browser = Browser::default();
    browser.get(host.addr(), "/set?key=a&value=b").await?;
    let token = browser.token();
    host.script.then(Op::Update, DOWN);
    let reply = browser.send(host.addr(), Ask::post("/login?user=alice")).await?;
    ensure_eq!((reply.status, reply.session_cookie()?), (503, None), "a login that failed");
    ensure_eq!(browser.token(), token, "the cookie of before");
    browser.get(host.addr(), "/me").await?.says(200, "-")?;
    browser.get(host.addr(), "/get?key=a").await?.says(200, "b")?;
    // Another user is another session: if the old one cannot be ended, nobody is logged in.
    let alice = host.token_of("alice").await?;
    host.script.then(Op::Delete, DOWN);
    let reply = host.with_token(&alice, "/login?user=bob").await?;
    ensure_eq!((reply.status, reply.session_cookie()?), (503, None), "another user's login");
    ensure_eq!(host.user(&alice).await?, "alice", "the user of the old session");
    Ok(())
}

pub(crate) async fn failed_logout_is_no_logout(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let token = host.token_of("alice").await?;
    for (op, target) in [
        (Op::Delete, "/logout"),
        (Op::DeleteAll, "/log-out-everywhere"),
        (Op::DeleteAll, "/log-out-others"),
    ] {
        host.script.then(op, DOWN);
        let reply = host.with_token(&token, target).await?;
        ensure_eq!(reply.status, 503, "{target} that failed");
        ensure!(!reply.removes_the_cookie()?, "{target} that failed removes the cookie");
        if let Some(next) = reply.session_cookie()? {
            // To end the others, this one got a new token before the trouble began.
            ensure!(target == "/log-out-others", "{target} that failed sets a cookie: {next}");
            ensure_eq!(host.user(&reply.token()?).await?, "alice", "the user of the new token");
        } else {
            ensure_eq!(host.user(&token).await?, "alice", "the user after {target} failed");
        }
    }
    Ok(())
}

pub(crate) async fn failed_touch_fails_nothing(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let token = host.token_of("alice").await?;
    cx.advance(3 * 3600);
    host.script.then(Op::Touch, DOWN);
    let reply = host.with_token(&token, "/me").await?;
    reply.says(200, "alice")?;
    ensure!(host.script.is_through(), "a touch was due");
    Ok(())
}

pub(crate) async fn others_are_served_while_the_store_hangs(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let token = host.token_of("alice").await?;
    host.held.hold();
    let mut waiting = Connection::open(host.addr()).await?;
    waiting.send(&Ask::get("/me").token(&token).bytes()).await?;
    host.held.is_called().await;
    host.with_token(&token, "/untouched").await?.says(200, "untouched")?;
    host.ask(Ask::get("/me")).await?.says(200, "-")?;
    host.held.release();
    waiting.receive().await?.says(200, "alice")
}
