use std::time::Duration;

use session_core::{Lifetimes, OsRandom, SessionToken};
use session_http::{BearerPolicy, CookiePolicy, SameSite};

use crate::doubles::Op;
use crate::http::client::{Ask, Browser, COOKIE};
use crate::http::cx::{Host, HttpCx};
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

pub(crate) async fn first_write_sets_the_default_cookie(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let reply = host.ask(Ask::get("/set?key=a&value=b")).await?;
    let token = reply.token()?;
    ensure!(SessionToken::parse(token.as_bytes()).is_ok(), "the value is a token");
    let expected = format!("{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Lax");
    ensure_eq!(reply.values("set-cookie"), [expected.as_str()], "the cookies of the response");
    host.with_token(&token, "/get?key=a").await?.says(200, "b")
}

pub(crate) async fn policies_are_sent_as_configured(cx: &HttpCx) -> Checked {
    let built = CookiePolicy::builder()
        .name("__Secure-shop")
        .domain("shop.example")
        .path("/a")
        .same_site(SameSite::Strict)
        .build();
    let built = built.map_err(|error| Stop::failed(error.to_string()))?;
    let absolute = Lifetimes::DEFAULT_AUTHENTICATED.absolute().as_secs();
    for (policy, name, kept, attributes) in [
        (
            built,
            "__Secure-shop",
            String::new(),
            "; Path=/a; Domain=shop.example; Secure; HttpOnly; SameSite=Strict",
        ),
        (
            CookiePolicy::cross_site(),
            COOKIE,
            String::new(),
            "; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
        ),
        (
            CookiePolicy::insecure_development(),
            "session",
            String::new(),
            "; Path=/; HttpOnly; SameSite=Lax",
        ),
        (
            CookiePolicy::server_rendered(),
            COOKIE,
            format!("; Max-Age={absolute}"),
            "; Path=/; Secure; HttpOnly; SameSite=Lax",
        ),
    ] {
        let host = cx.host_of(|site| site.cookie(policy)).await?;
        let mut browser = Browser::default();
        let reply = browser.get(host.addr(), "/login?user=alice").await?;
        let token = browser.jar.get(name).cloned().unwrap_or_default();
        let expected = format!("{name}={token}{kept}{attributes}");
        ensure_eq!(reply.values("set-cookie"), [expected.as_str()], "the cookie of a login");
        browser.get(host.addr(), "/me").await?.says(200, "alice")?;
        let reply = browser.get(host.addr(), "/logout").await?;
        let expected = format!("{name}=; Max-Age=0{attributes}");
        ensure_eq!(reply.values("set-cookie"), [expected.as_str()], "its removal");
    }
    Ok(())
}

pub(crate) async fn cookie_is_sent_only_when_the_token_changes(cx: &HttpCx) -> Checked {
    let host = cx.host_of(|site| site.cookie(CookiePolicy::server_rendered())).await?;
    let mut browser = host.log_in("alice").await?;
    for target in ["/look?how=get", "/set?key=a&value=1", "/remove?key=a", "/count", "/me", "/take"]
    {
        let reply = browser.get(host.addr(), target).await?;
        ensure_eq!(reply.session_cookie()?, None, "cookie of {target}");
    }
    cx.advance(3 * 3600);
    let reply = browser.get(host.addr(), "/me").await?;
    ensure_eq!(reply.session_cookie()?, None, "cookie of a request that touched the session");
    let reply = browser.get(host.addr(), "/rotate").await?;
    reply.token()?;
    Ok(())
}

pub(crate) async fn one_response_has_one_cookie(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let before = host.token_of("alice").await?;
    let reply = host.with_token(&before, "/everything").await?;
    reply.says(200, "everything")?;
    let last = reply.token()?;
    ensure_eq!(host.user(&last).await?, "last", "the user of the last token");
    ensure_eq!(host.user(&before).await?, "-", "the user of the first token");
    Ok(())
}

/// What a request with these `Cookie` headers is: the user, and the calls that it cost.
async fn presents(host: &Host, headers: &[Vec<u8>]) -> Checked<(String, Vec<Op>)> {
    host.calls();
    let ask = headers.iter().fold(Ask::get("/me"), |ask, header| ask.with("Cookie", header));
    let reply = host.ask(ask).await?;
    ensure_eq!(reply.status, 200, "status for strange cookies");
    ensure_eq!(reply.session_cookie()?, None, "cookie for strange cookies");
    Ok((reply.body, host.calls()))
}

/// Nobody, at no cost.
fn nobody() -> (String, Vec<Op>) {
    ("-".to_owned(), Vec::new())
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub(crate) async fn names_are_compared_as_bytes(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let token = host.token_of("alice").await?;
    let names: &[&[u8]] = &[
        b"%5F%5FHost-session",
        b"__%48ost-session",
        b"\xe2\x80\x80__Host-session",
        b"\x85__Host-session",
        b"\xa0__Host-session",
        b"\xef\xbb\xbf__Host-session",
        b"__host-session",
        b"__HOST-SESSION",
        b"=__Host-session",
        b"_.Host-session",
        b"_[Host-session",
        b"..Host-session",
        b"__Host-session ",
        b"x__Host-session",
        b"__Host-session2",
        b"__Host-admin",
    ];
    for name in names {
        let seen = presents(&host, &[joined(&[name, b"=", token.as_bytes()])]).await?;
        ensure_eq!(seen, nobody(), "a cookie named {}", name.escape_ascii());
    }
    let seen = presents(&host, &[joined(&[b"a=b;\t __Host-session=", token.as_bytes()])]).await?;
    ensure_eq!(seen, ("alice".to_owned(), vec![Op::Load]), "blanks before the name");
    Ok(())
}

pub(crate) async fn what_resembles_a_token_is_none(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let token = host.token_of("alice").await?;
    let own = |value: &str| format!("{COOKIE}={value}").into_bytes();
    for value in [
        "",
        "x",
        &format!("\"{token}\""),
        &format!("{token} ; a=b"),
        &format!("{token}\t; a=b"),
        &format!("{token}%00"),
        &format!("{token}%0A"),
        &format!("{token}="),
        &format!("{token}A"),
        &token[1..],
        &"A".repeat(64),
        &"+/".repeat(32),
        &"A".repeat(8 * 1024),
        "../../etc/passwd",
        "..%2f",
        "con",
        "'+OR+1=1--",
        "{\"$gt\":\"\"}",
        "*",
        "]",
    ] {
        let seen = presents(&host, &[own(value)]).await?;
        let shown = &value[..value.len().min(80)];
        ensure_eq!(seen, nobody(), "a cookie with the value {shown:?}");
    }
    let legacy = format!("$Version=1; {COOKIE}=\"{token}\"; $Path=/").into_bytes();
    ensure_eq!(presents(&host, &[legacy]).await?, nobody(), "quotes belong to the value");
    // Well-formed, of the right id, and with a wrong secret.
    let last = if token.ends_with('A') { "B" } else { "A" };
    let seen = presents(&host, &[own(&format!("{}{last}", &token[..63]))]).await?;
    ensure_eq!(seen, ("-".to_owned(), vec![Op::Load]), "another last character");
    ensure_eq!(host.user(&token).await?, "alice", "the token itself");
    Ok(())
}

pub(crate) async fn two_session_cookies_are_none(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let alice = format!("{COOKIE}={}", host.token_of("alice").await?);
    let mallory = format!("{COOKIE}={}", host.token_of("mallory").await?);
    for headers in [
        vec![format!("{alice}; {mallory}")],
        vec![format!("{mallory}; {alice}")],
        vec![format!("{alice}; {alice}")],
        vec![alice.clone(), mallory.clone()],
        vec![mallory.clone(), alice.clone()],
        vec![alice.clone(), alice.clone()],
        vec![format!("{COOKIE}="), alice.clone()],
        vec![format!("{alice}; a=b; {COOKIE}=rubbish")],
    ] {
        let headers: Vec<_> = headers.into_iter().map(String::into_bytes).collect();
        ensure_eq!(presents(&host, &headers).await?, nobody(), "two session cookies");
    }
    Ok(())
}

pub(crate) async fn other_cookies_hide_nothing(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let own = format!("{COOKIE}={}", host.token_of("alice").await?).into_bytes();
    let many = "a=b; ".repeat(200).into_bytes();
    let others: &[&[u8]] =
        &[b"x=\xc3\xa9; ", b"x=\xff; ", b"\xfe\xff; ", b"x=\"a;b\"; ", b";;; =; ", &many];
    for other in others {
        for header in [joined(&[other, &own]), joined(&[&own, b"; ", other])] {
            let (user, calls) = presents(&host, &[header]).await?;
            let shown = &other[..other.len().min(40)];
            ensure_eq!(
                (user.as_str(), calls),
                ("alice", vec![Op::Load]),
                "beside {}",
                shown.escape_ascii()
            );
        }
    }
    Ok(())
}

pub(crate) async fn several_headers_are_one(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let own = format!("{COOKIE}={}", host.token_of("alice").await?).into_bytes();
    let other = |text: &str| text.as_bytes().to_vec();
    for headers in [
        vec![other("a=b"), own.clone()],
        vec![own.clone(), other("a=b")],
        vec![other("a=b"), own.clone(), other("c=\"d"), other("")],
    ] {
        let (user, _) = presents(&host, &headers).await?;
        ensure_eq!(user, "alice", "a session cookie in one of several headers");
    }
    Ok(())
}

pub(crate) async fn unknown_token_is_never_adopted(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let token = SessionToken::random(&OsRandom).map_err(|error| Stop::failed(error.to_string()))?;
    let text = token.encode();
    let reply = host.with_token(text.as_str(), "/me").await?;
    reply.says(200, "-")?;
    ensure_eq!(reply.session_cookie()?, None, "cookie for an unknown token");
    ensure_eq!(host.calls(), [Op::Load], "calls for an unknown token");
    for target in ["/set?key=a&value=b", "/login?user=alice"] {
        let reply = host.with_token(text.as_str(), target).await?;
        let fresh = reply.token()?;
        let fresh = SessionToken::parse(fresh.as_bytes());
        ensure!(
            fresh.is_ok_and(|fresh| fresh.id() != token.id()),
            "{target} adopts the client's id"
        );
        ensure!(!host.is_stored(text.as_str()).await?, "{target} stores the client's id");
    }
    Ok(())
}

pub(crate) async fn only_the_configured_place_is_read(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let token = host.token_of("alice").await?;
    host.calls();
    let ask = Ask::post(format!("/me?{COOKIE}={token}&session={token}&sid={token}"))
        .with("Authorization", format!("Bearer {token}"))
        .with("X-Session-Id", &token)
        .with("Session-Token", &token)
        .with("Set-Cookie", format!("{COOKIE}={token}"))
        .with("Cookie2", format!("{COOKIE}={token}"));
    host.ask(ask).await?.says(200, "-")?;
    ensure_eq!(host.calls(), Vec::<Op>::new(), "calls for tokens in wrong places");
    Ok(())
}

pub(crate) async fn bearer_tokens_travel_in_headers(cx: &HttpCx) -> Checked {
    let host = cx.host_of(|site| site.bearer(BearerPolicy::new())).await?;
    let reply = host.ask(Ask::post("/login?user=alice")).await?;
    ensure_eq!(reply.values("set-cookie"), Vec::<&str>::new(), "cookies of a bearer site");
    ensure!(reply.values("vary").contains(&"Authorization"), "the response varies");
    ensure_eq!(reply.values("cache-control"), ["private, no-store"], "cache-control");
    let token =
        reply.values("session-token").first().map(|it| (*it).to_owned()).unwrap_or_default();
    let bearer = |ask: Ask, token: &str| ask.with("Authorization", format!("Bearer {token}"));
    host.ask(bearer(Ask::get("/me"), &token)).await?.says(200, "alice")?;
    host.ask(bearer(Ask::get("/me"), &token).with("Authorization", format!("Bearer {token}")))
        .await?
        .says(200, "-")?;
    host.ask(Ask::get("/me").token(&token)).await?.says(200, "-")?;
    let reply = host.ask(bearer(Ask::post("/logout"), &token)).await?;
    ensure_eq!(reply.values("session-token"), ["none"], "the header of a logout");
    host.ask(bearer(Ask::get("/me"), &token)).await?.says(200, "-")?;
    let reply = host.ask(Ask::get("/account")).await?;
    ensure_eq!(
        (reply.status, reply.values("www-authenticate")),
        (401, vec!["Bearer"]),
        "a page that needs a user"
    );
    // Long enough for nothing else to be due.
    cx.clock.advance(Duration::from_secs(1));
    Ok(())
}
