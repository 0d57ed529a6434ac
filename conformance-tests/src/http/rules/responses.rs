use crate::http::client::{Ask, Browser};
use crate::http::cx::HttpCx;
use crate::verdict::{Checked, ensure, ensure_eq};

pub(crate) async fn looking_makes_the_response_private(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let token = host.token_of("alice").await?;
    let looks = ["get", "contains", "view", "take", "info", "user", "csrf", "fresh", "read"];
    let mut targets: Vec<String> = looks.iter().map(|how| format!("/look?how={how}")).collect();
    let others = [
        "/set?key=a&value=b",
        "/remove?key=a",
        "/flash?text=x",
        "/take",
        "/rotate",
        "/devices",
        "/answer?status=404&key=a&value=c",
        "/answer?status=500&key=a&value=c",
        "/account",
        "/check",
        "/logout",
    ];
    targets.extend(others.map(str::to_owned));
    for target in targets {
        for ask in
            [Ask::get(&target), Ask::get(&target).token(&token), Ask::get(&target).token("x")]
        {
            let reply = host.ask(ask).await?;
            ensure!(
                reply.is_private(),
                "{target}: the response may be shared: {:?}",
                reply.headers
            );
        }
    }
    Ok(())
}

pub(crate) async fn headers_of_the_handler_are_kept(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let mut browser = Browser::default();
    let reply = browser.get(host.addr(), "/headers?key=a&value=b").await?;
    ensure_eq!(reply.values("cache-control"), ["max-age=60"], "the handler's cache-control");
    ensure!(reply.values("vary").contains(&"Accept"), "the handler's vary");
    ensure!(reply.values("vary").contains(&"Cookie"), "the session's vary");
    ensure_eq!(reply.set_cookie_of("theme")?, Some("theme=dark; Path=/"), "the handler's cookie");
    reply.token()?;
    browser.get(host.addr(), "/get?key=a").await?.says(200, "b")
}

pub(crate) async fn forwarded_headers_change_nothing(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    for (name, value) in [
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-For", "203.0.113.7"),
        ("Forwarded", "proto=http;host=evil.example"),
        ("X-Forwarded-Ssl", "off"),
    ] {
        let reply = host.ask(Ask::get("/set?key=a&value=b").with(name, value)).await?;
        let cookie = reply.session_cookie()?.unwrap_or_default();
        ensure!(
            cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"),
            "{name}: {value} changes the cookie's attributes"
        );
        host.ask(Ask::get("/get?key=a").token(&reply.token()?).with(name, value))
            .await?
            .says(200, "b")?;
    }
    Ok(())
}
