use std::collections::HashMap;
use std::time::Duration;

use session_core::{Lifetimes, Realm};
use session_http::{ClientNotice, CookiePolicy, LocalUrl, Site, Sites};

use crate::http::client::{Ask, Browser};
use crate::http::cx::{Host, HttpCx};
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

async fn csrf_of(host: &Host, session: &str) -> Checked<String> {
    let reply = host.with_token(session, "/csrf").await?;
    ensure_eq!(reply.status, 200, "asking for a token");
    Ok(reply.body)
}

/// What a form that brings this token is answered.
async fn checked(
    host: &Host,
    session: Option<&str>,
    csrf: &str,
    headers: &[(&str, &str)],
) -> Checked<u16> {
    let ask = Ask::post(format!("/check?token={csrf}"));
    let ask = session.iter().fold(ask, |ask, session| ask.token(session));
    let ask = headers.iter().fold(ask, |ask, (name, value)| ask.with(name, value));
    Ok(host.ask(ask).await?.status)
}

pub(crate) async fn forged_requests_are_refused(cx: &HttpCx) -> Checked {
    let [host, other] = cx.two_hosts().await?;
    let alice = host.token_of("alice").await?;
    let bob = host.token_of("bob").await?;
    let csrf = csrf_of(&host, &alice).await?;
    ensure!(!csrf.is_empty(), "a session of a user has a token");
    ensure_eq!(checked(&other, Some(&alice), &csrf, &[]).await?, 200, "the token of the own page");
    let own = [("Sec-Fetch-Site", "same-origin"), ("Origin", "https://shop.example")];
    let wrong = format!("{}{}", if csrf.starts_with('A') { "B" } else { "A" }, &csrf[1..]);
    let of_bob = csrf_of(&host, &bob).await?;
    for token in ["", "rubbish", &wrong, &of_bob] {
        ensure_eq!(checked(&host, Some(&alice), token, &[]).await?, 403, "another token");
        ensure_eq!(
            checked(&host, Some(&alice), token, &own).await?,
            403,
            "another token, and the browser's word"
        );
    }
    // It changes with the secret, and ends with the session.
    let after = host.with_token(&alice, "/elevate").await?.token()?;
    ensure_eq!(
        checked(&host, Some(&after), &csrf, &[]).await?,
        403,
        "a token of before the elevation"
    );
    let csrf = csrf_of(&host, &after).await?;
    ensure_eq!(checked(&host, Some(&after), &csrf, &[]).await?, 200, "the token after it");
    host.with_token(&after, "/logout").await?;
    ensure_eq!(checked(&host, Some(&after), &csrf, &[]).await?, 403, "a token of an ended session");
    Ok(())
}

pub(crate) async fn visitors_need_the_word_of_their_browser(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    host.ask(Ask::get("/csrf")).await?.says(200, "")?;
    for (headers, expected) in [
        (vec![("Sec-Fetch-Site", "same-origin")], 200),
        (vec![("Sec-Fetch-Site", "cross-site")], 403),
        (vec![("Sec-Fetch-Site", "same-site")], 403),
        (vec![("Sec-Fetch-Site", "cross-site"), ("Origin", "https://shop.example")], 403),
        (vec![("Origin", "https://shop.example")], 200),
        (vec![("Origin", "https://evil.example")], 403),
        (vec![("Origin", "https://shop.example.evil.example")], 403),
        (vec![("Origin", "null")], 403),
        (vec![("Host", "shop.example:8443"), ("Origin", "https://shop.example:8443")], 200),
        (vec![("Host", "shop.example:8443"), ("Origin", "https://shop.example")], 403),
        (vec![], 403),
    ] {
        ensure_eq!(
            checked(&host, None, "", &headers).await?,
            expected,
            "a visitor's form with {headers:?}"
        );
    }
    Ok(())
}

pub(crate) async fn login_page_gets_the_way_back(cx: &HttpCx) -> Checked {
    let page: LocalUrl = "/login-page".parse().unwrap_or_default();
    let host = cx.host_of(|site| site.login_page(page)).await?;
    let reply = host.ask(Ask::get("/account?page=2&x=/y")).await?;
    ensure_eq!(
        (reply.status, reply.values("location")),
        (303, vec!["/login-page?redirect_to=/account%3Fpage%3D2%26x%3D/y"]),
        "a page that needs a user"
    );
    ensure_eq!(reply.session_cookie()?, None, "its cookie");
    let reply = host.ask(Ask::post("/account?page=2")).await?;
    ensure_eq!(
        (reply.status, reply.values("location")),
        (303, vec!["/login-page"]),
        "what cannot be asked for again"
    );
    let token = host.token_of("alice").await?;
    host.with_token(&token, "/account?page=2").await?.says(200, "alice")?;
    let plain = cx.host().await?;
    let reply = plain.ask(Ask::get("/account")).await?;
    ensure_eq!(reply.status, 401, "without a login page");
    Ok(())
}

pub(crate) async fn foreign_redirects_are_refused(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    for (to, expected) in [
        ("/orders%3Fpage=2", "/orders?page=2"),
        ("//evil.example", "/"),
        ("/%5Cevil.example", "/"),
        ("%5C%5Cevil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/%09/evil.example", "/"),
        ("%20//evil.example", "/"),
        ("/%0D%0ASet-Cookie:a=b", "/"),
        ("evil.example", "/"),
        ("", "/"),
    ] {
        let reply = host.ask(Ask::get(format!("/redirect?to={to}"))).await?;
        ensure_eq!(reply.values("location"), [expected], "a redirect to {to}");
    }
    Ok(())
}

pub(crate) async fn another_client_is_noticed(cx: &HttpCx) -> Checked {
    let host = cx.host_of(|site| site.client_notice(ClientNotice::user_agent())).await?;
    let mut browser = Browser::default();
    let firefox = |ask: Ask| ask.with("User-Agent", "Firefox");
    let long = "x".repeat(4_000);
    let other = |ask: Ask| ask.with("User-Agent", format!("Chromium \u{e9} {long}"));
    browser
        .send(host.addr(), firefox(Ask::post("/login?user=alice")))
        .await?
        .says(200, "logged in")?;
    browser.send(host.addr(), firefox(Ask::get("/client"))).await?.says(200, "false")?;
    browser.send(host.addr(), other(Ask::get("/client"))).await?.says(200, "true")?;
    browser.send(host.addr(), other(Ask::get("/client"))).await?.says(200, "false")?;
    browser.send(host.addr(), firefox(Ask::get("/me"))).await?.says(200, "alice")
}

pub(crate) async fn tenants_are_apart(cx: &HttpCx) -> Checked {
    let mut built = Vec::new();
    for (tenant, idle) in [("a", 60), ("b", 3600)] {
        let fail = |error: &dyn std::error::Error| Stop::failed(error.to_string());
        let lifetimes = Lifetimes::new(Duration::from_secs(idle), Duration::from_secs(86_400));
        let lifetimes = lifetimes.map_err(|error| fail(&error))?;
        let realm = Realm::new(tenant).map_err(|error| fail(&error))?;
        let cookie =
            CookiePolicy::builder().name("__Secure-shop").domain(format!("{tenant}.shop.example"));
        built.push((tenant, lifetimes, realm, cookie.build().map_err(|error| fail(&error))?));
    }
    let host = cx
        .host_with(|sessions| {
            let site = |(tenant, lifetimes, realm, cookie)| {
                let sessions = sessions.with_realm(realm).with_lifetimes(lifetimes, lifetimes);
                (format!("{tenant}.shop.example"), Site::from(sessions).cookie(cookie))
            };
            let sites: HashMap<_, _> = built.into_iter().map(site).collect();
            Sites::resolved(move |head| sites.get(head.host()?).cloned())
        })
        .await?;
    let mut tokens = Vec::new();
    for tenant in ["a.shop.example", "b.shop.example"] {
        let mut browser = Browser::default();
        let login = Ask::post("/login?user=alice").with("Host", tenant);
        let reply = browser.send(host.addr(), login).await?;
        let token = browser.jar.get("__Secure-shop").cloned().unwrap_or_default();
        let expected = format!(
            "__Secure-shop={token}; Path=/; Domain={tenant}; Secure; HttpOnly; SameSite=Lax"
        );
        ensure_eq!(reply.values("set-cookie"), [expected.as_str()], "the cookie of {tenant}");
        tokens.push(token);
    }
    let at = |tenant: &str, token: &str| {
        let cookie = format!("__Secure-shop={token}");
        Ask::get("/me").with("Host", format!("{tenant}.shop.example")).with("Cookie", cookie)
    };
    host.ask(at("a", &tokens[0])).await?.says(200, "alice")?;
    host.ask(at("b", &tokens[0])).await?.says(200, "-")?;
    host.ask(at("a", &tokens[1])).await?.says(200, "-")?;
    cx.advance(61);
    host.ask(at("a", &tokens[0])).await?.says(200, "-")?;
    host.ask(at("b", &tokens[1])).await?.says(200, "alice")
}

pub(crate) async fn unknown_site_has_no_session(cx: &HttpCx) -> Checked {
    let host = cx
        .host_with(|sessions| {
            let site = Site::from(sessions.clone());
            Sites::resolved(move |head| (head.host() == Some("shop.example")).then(|| site.clone()))
        })
        .await?;
    let token = host.token_of("alice").await?;
    host.calls();
    let reply = host.ask(Ask::get("/me").with("Host", "evil.example").token(&token)).await?;
    ensure_eq!((reply.status, reply.session_cookie()?), (421, None), "a request of no site");
    let untouched = Ask::get("/untouched").with("Host", "evil.example");
    host.ask(untouched).await?.says(200, "untouched")?;
    ensure_eq!(host.calls().len(), 0, "calls for requests of no site");
    ensure_eq!(host.user(&token).await?, "alice", "the site's own request");
    Ok(())
}
