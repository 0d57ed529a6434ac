use crate::doubles::{Fault, Op};
use crate::http::client::{Ask, Browser};
use crate::http::cx::HttpCx;
use crate::verdict::{Checked, ensure, ensure_eq};
use session_core::StoreErrorKind;

pub(crate) async fn untouched_session_costs_nothing(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let token = host.token_of("alice").await?;
    host.calls();
    host.script.then(Op::Load, Fault::Before(StoreErrorKind::Unavailable));
    for ask in [
        Ask::get("/untouched"),
        Ask::get("/untouched").token(&token),
        Ask::get("/untouched").token("rubbish"),
        Ask::get("/nowhere").token(&token),
    ] {
        let reply = host.ask(ask).await?;
        ensure!(reply.status == 200 || reply.status == 404, "status {}", reply.status);
        for name in ["set-cookie", "vary", "cache-control"] {
            ensure_eq!(reply.values(name), Vec::<&str>::new(), "`{name}` of an untouched session");
        }
    }
    ensure_eq!(host.calls(), Vec::<Op>::new(), "calls for untouched sessions");
    Ok(())
}

pub(crate) async fn reading_costs_one_call(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let token = host.token_of("alice").await?;
    host.calls();
    for how in ["get", "contains", "view", "take", "info", "user", "csrf", "fresh", "read"] {
        let reply = host.with_token(&token, &format!("/look?how={how}")).await?;
        reply.says(200, "looked")?;
        ensure_eq!(host.calls(), [Op::Load], "calls for `{how}`");
    }
    // A tenth of the idle time later a touch is due, once.
    cx.advance(3 * 3600);
    host.with_token(&token, "/look?how=get").await?;
    ensure_eq!(host.calls(), [Op::Load, Op::Touch], "calls when a touch is due");
    host.with_token(&token, "/look?how=get").await?;
    ensure_eq!(host.calls(), [Op::Load], "calls after the touch");
    host.ask(Ask::get("/look?how=get")).await?.says(200, "looked")?;
    ensure_eq!(host.calls(), Vec::<Op>::new(), "calls without a token");
    Ok(())
}

pub(crate) async fn writing_costs_two_calls(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let mut browser = Browser::default();
    browser.get(host.addr(), "/set?key=a&value=1").await?.says(200, "set")?;
    ensure_eq!(host.calls(), [Op::Create], "calls for the first write");
    browser.get(host.addr(), "/set?key=a&value=2").await?.says(200, "set")?;
    ensure_eq!(host.calls(), [Op::Load, Op::Update], "calls for a write");
    browser.get(host.addr(), "/set?key=a&value=2").await?.says(200, "set")?;
    ensure_eq!(host.calls(), [Op::Load], "calls for writing what is there already");
    browser.get(host.addr(), "/rotate").await?.says(200, "rotated")?;
    ensure_eq!(host.calls(), [Op::Load, Op::Update], "calls for a rotation");
    browser.get(host.addr(), "/get?key=a").await?.says(200, "2")
}

pub(crate) async fn visitor_who_writes_nothing_stores_nothing(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    for target in [
        "/untouched",
        "/nowhere",
        "/look?how=get",
        "/look?how=csrf",
        "/remove?key=a",
        "/take",
        "/logout",
        "/rotate",
        "/me",
        "/account",
    ] {
        let reply = host.ask(Ask::get(target)).await?;
        ensure_eq!(reply.session_cookie()?, None, "cookie of {target}");
    }
    ensure_eq!(host.calls(), Vec::<Op>::new(), "calls for visitors who write nothing");
    Ok(())
}
