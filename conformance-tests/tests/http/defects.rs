//! What can be wrong with a server, and the rule that is made to find it.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Mutex, PoisonError};

use axum::extract::Request;
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, COOKIE, HOST, HeaderValue, LOCATION, SET_COOKIE, USER_AGENT, VARY,
};
use axum::http::response::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use conformance_tests::http::{App, AppBody, AppRequest, AppResponse};
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::StreamExt as _;
use session_http::{Error, SessionHandle};

pub(crate) struct Defect {
    pub(crate) rule: &'static str,
    pub(crate) what: &'static str,
    pub(crate) wrong: Wrong,
}

type Handle = fn(App, SessionHandle, AppRequest) -> BoxFuture<'static, Result<AppResponse, Error>>;
type Change = fn(&Asked, &mut Parts, &mut String);

/// Where it goes wrong.
#[derive(Clone, Copy)]
pub(crate) enum Wrong {
    /// In a request, before the session sees it.
    Request(fn(&mut HeaderMap)),
    /// In the application.
    Handler(Handle),
    /// In a response, after the session has finished it.
    Response(Change),
    /// In both.
    Both(Handle, Change),
    /// The response to `/set` leaves at once.
    Early,
}

/// What a response answers.
pub(crate) struct Asked {
    path: String,
    query: String,
    headers: HeaderMap,
    token: Option<String>,
}

impl Asked {
    pub(crate) fn of(request: &Request) -> Self {
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        let headers = request.headers().clone();
        let token = cookies(&headers)
            .into_iter()
            .find_map(|pair| pair.strip_prefix("__Host-session=").map(str::to_owned));
        Self { path: path.to_owned(), query: query.to_owned(), headers, token }
    }
}

/// A defect in requests.
const fn request(rule: &'static str, what: &'static str, change: fn(&mut HeaderMap)) -> Defect {
    Defect { rule, what, wrong: Wrong::Request(change) }
}

/// A defect in responses.
const fn response(rule: &'static str, what: &'static str, change: Change) -> Defect {
    Defect { rule, what, wrong: Wrong::Response(change) }
}

/// A defect in what handlers do.
const fn handler(rule: &'static str, what: &'static str, handle: Handle) -> Defect {
    Defect { rule, what, wrong: Wrong::Handler(handle) }
}

const ATTRIBUTES: &str = "; Path=/; Secure; HttpOnly; SameSite=Lax";
const REMOVAL: &str = "__Host-session=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax";

pub(crate) const ALL: &[Defect] = &[
    response("H01", "every response varies", |_, parts, _| {
        parts.headers.append(VARY, HeaderValue::from_static("Cookie"));
    }),
    handler("H01", "every request opens its session", |app, session, request| {
        async move {
            session.user().await?;
            app.respond(session, request).await
        }
        .boxed()
    }),
    handler("H02", "a look is written down", |app, session, request| {
        async move {
            let answer = app.respond(session.clone(), request).await?;
            count(&session).await?;
            Ok(answer)
        }
        .boxed()
    }),
    handler("H03", "a write is committed twice", |app, session, request| {
        async move {
            let answer = app.respond(session.clone(), request).await?;
            let _ = session.commit().await?;
            count(&session).await?;
            Ok(answer)
        }
        .boxed()
    }),
    handler("H04", "every visitor gets a session", |app, session, request| {
        async move {
            count(&session).await?;
            app.respond(session, request).await
        }
        .boxed()
    }),
    response("H05", "the cookie is strict", |_, parts, _| {
        each_cookie(parts, |cookie| cookie.replace("SameSite=Lax", "SameSite=Strict"));
    }),
    response("H06", "the cookie is not partitioned", |_, parts, _| {
        each_cookie(parts, |cookie| cookie.replace("; Partitioned", ""));
    }),
    response("H06", "the removal forgets the domain", |_, parts, _| {
        each_cookie(parts, |cookie| {
            let domain = if cookie.contains("Max-Age=0") { "; Domain=shop.example" } else { "" };
            cookie.replace(domain, "")
        });
    }),
    response("H07", "every response sends the cookie again", send_again),
    response("H08", "the cookie is sent twice", |_, parts, _| {
        if let Some(cookie) = parts.headers.get(SET_COOKIE).cloned() {
            parts.headers.append(SET_COOKIE, cookie);
        }
    }),
    request("H09", "the case of names is folded", |headers| {
        each_header(headers, |header| header.replace("__host-session", "__Host-session"));
    }),
    request("H09", "names are decoded", |headers| {
        each_header(headers, |header| header.replace("%5F", "_"));
    }),
    request("H10", "quotes are taken off", |headers| {
        each_header(headers, |header| header.replace('"', ""));
    }),
    request("H10", "values are trimmed", |headers| {
        each_header(headers, |header| header.replace(" ;", ";"));
    }),
    request("H11", "the first of two cookies is taken", |headers| {
        let mut kept: Vec<String> = Vec::new();
        for pair in cookies(headers) {
            let is_again = |pair: &str| pair.starts_with("__Host-session=");
            if !is_again(&pair) || !kept.iter().any(|kept| is_again(kept)) {
                kept.push(pair);
            }
        }
        set(headers, COOKIE, &kept.join("; "));
    }),
    request("H12", "cookies that are no text are skipped", |headers| {
        if headers.get(COOKIE).is_some_and(|header| std::str::from_utf8(header.as_bytes()).is_err())
        {
            headers.remove(COOKIE);
        }
    }),
    request("H13", "the first header is read", |headers| {
        if let Some(first) = headers.get(COOKIE).cloned() {
            headers.insert(COOKIE, first);
        }
    }),
    response("H14", "an unknown token is removed", |asked, parts, _| {
        if asked.path == "/me" && asked.token.is_some() {
            parts.headers.append(SET_COOKIE, HeaderValue::from_static(REMOVAL));
        }
    }),
    response("H14", "an unknown token is adopted", send_again),
    request("H15", "any bearer is a session", |headers| {
        let bearer = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok());
        if let Some(token) = bearer.and_then(|header| header.strip_prefix("Bearer ")) {
            let cookie = format!("__Host-session={token}");
            set(headers, COOKIE, &cookie);
        }
    }),
    request("H16", "cookies are looked at, too", |headers| {
        let cookie = headers.get(COOKIE).and_then(|header| header.to_str().ok());
        if let Some(token) = cookie.and_then(|header| header.strip_prefix("__Host-session=")) {
            let bearer = format!("Bearer {token}");
            set(headers, AUTHORIZATION, &bearer);
        }
    }),
    response("H17", "caches may keep it", |_, parts, _| {
        parts.headers.remove(CACHE_CONTROL);
    }),
    response("H18", "the handler's headers are replaced", |_, parts, _| {
        parts.headers.insert(VARY, HeaderValue::from_static("Cookie"));
    }),
    response("H19", "proxies are believed", |asked, parts, _| {
        if asked.headers.get("x-forwarded-proto").is_some_and(|proto| proto == "http") {
            each_cookie(parts, |cookie| cookie.replace("; Secure", ""));
        }
    }),
    Defect { rule: "H20", what: "the response leaves before the commit", wrong: Wrong::Early },
    response("H21", "a commit that failed is hidden", |_, parts, _| {
        if parts.status == StatusCode::SERVICE_UNAVAILABLE {
            parts.status = StatusCode::OK;
        }
    }),
    handler("H22", "errors commit", |app, session, request| {
        async move {
            let answer = app.respond(session.clone(), request).await?;
            let _ = session.commit().await?;
            Ok(answer)
        }
        .boxed()
    }),
    Defect {
        rule: "H23",
        what: "refusals commit nothing",
        wrong: Wrong::Both(
            |app, session, request| {
                async move {
                    let mut answer = app.respond(session, request).await?;
                    if (400..500).contains(&answer.status) {
                        answer.headers.push(("x-status", answer.status.to_string()));
                        answer.status = 500;
                    }
                    Ok(answer)
                }
                .boxed()
            },
            |_, parts, _| {
                let status = parts.headers.remove("x-status");
                if let Some(status) = status.and_then(|it| it.to_str().ok()?.parse().ok()) {
                    parts.status = status;
                }
            },
        ),
    },
    response("H24", "an error drops the cookie", |_, parts, _| {
        if parts.status.is_server_error() {
            parts.headers.remove(SET_COOKIE);
        }
    }),
    handler("H25", "a panic commits", |app, session, request| {
        async move {
            let answer = AssertUnwindSafe(app.respond(session.clone(), request)).catch_unwind();
            match answer.await {
                Ok(answer) => answer,
                Err(panic) => {
                    let _ = session.commit().await?;
                    resume_unwind(panic)
                }
            }
        }
        .boxed()
    }),
    handler("H26", "a client that goes away takes its change with it", |app, session, request| {
        async move {
            let answer = app.respond(session.clone(), request).await?;
            // What is dropped while it waits is not written.
            session.insert("a", "taken back").await?;
            let _ = session.commit().await?;
            Ok(answer)
        }
        .boxed()
    }),
    handler("H27", "the body is made before the response begins", |app, session, request| {
        async move {
            let mut answer = app.respond(session, request).await?;
            if let AppBody::Stream(pieces) = answer.body {
                let pieces: Vec<_> = pieces.collect().await;
                let text = pieces.into_iter().flat_map(Result::unwrap_or_default);
                answer.body =
                    AppBody::Text(String::from_utf8_lossy(&text.collect::<Vec<_>>()).into());
            }
            Ok(answer)
        }
        .boxed()
    }),
    response("H28", "a write that was dropped is hidden", |asked, parts, _| {
        if asked.path == "/interrupted" {
            parts.status = StatusCode::OK;
        }
    }),
    handler("H29", "tasks see sessions of their own", |app, session, request| {
        async move {
            if request.path != "/tasks" {
                return app.respond(session, request).await;
            }
            count(&session).await?;
            Ok(text("done"))
        }
        .boxed()
    }),
    response("H30", "trouble removes the cookie", |_, parts, _| {
        if parts.status == StatusCode::SERVICE_UNAVAILABLE {
            parts.headers.append(SET_COOKIE, HeaderValue::from_static(REMOVAL));
        }
    }),
    response("H31", "overlooked trouble is overlooked", |asked, parts, body| {
        if asked.path == "/overlook" && parts.status == StatusCode::SERVICE_UNAVAILABLE {
            parts.status = StatusCode::OK;
            "overlooked".clone_into(body);
        }
    }),
    response("H32", "every error page is ours", |_, parts, body| {
        if parts.status.is_server_error() {
            parts.status = StatusCode::SERVICE_UNAVAILABLE;
            body.clear();
        }
    }),
    handler("H33", "nobody carries on", |app, session, mut request| {
        async move {
            if request.path == "/carry-on" {
                "/me".clone_into(&mut request.path);
            }
            app.respond(session, request).await
        }
        .boxed()
    }),
    response("H34", "a login that failed looks well", |asked, parts, _| {
        if asked.path == "/login" {
            parts.status = StatusCode::OK;
        }
    }),
    response("H35", "a logout that failed removes the cookie", |asked, parts, _| {
        if asked.path == "/logout" {
            parts.headers.insert(SET_COOKIE, HeaderValue::from_static(REMOVAL));
        }
    }),
    handler("H36", "a session in use is not prolonged", |app, session, request| {
        async move {
            match request.path.as_str() {
                "/me" => Ok(text("alice")),
                _ => app.respond(session, request).await,
            }
        }
        .boxed()
    }),
    handler("H37", "every request waits for its session", |app, session, request| {
        async move {
            session.user().await?;
            app.respond(session, request).await
        }
        .boxed()
    }),
    response("H38", "a login keeps the token", |asked, parts, _| {
        if asked.path == "/login" && asked.token.is_some() {
            parts.headers.remove(SET_COOKIE);
        }
    }),
    handler("H39", "a login keeps everything", |app, session, request| {
        async move {
            if request.path != "/login" {
                return app.respond(session, request).await;
            }
            let user = request.query.split(['=', '&']).nth(1).unwrap_or_default().to_owned();
            session.login_keeping(&user, &["cart", "planted"]).await?;
            Ok(text("logged in"))
        }
        .boxed()
    }),
    handler("H40", "a logout removes the cookie alone", |app, session, request| {
        async move {
            if request.path != "/logout" {
                return app.respond(session, request).await;
            }
            let headers = vec![("set-cookie", REMOVAL.to_owned())];
            Ok(AppResponse { headers, ..text("true -") })
        }
        .boxed()
    }),
    handler("H41", "the rest of a logout is still the user's", |app, session, request| {
        async move {
            let user = session.user().await?.unwrap_or_default();
            let is_logout = request.path == "/logout";
            let answer = app.respond(session, request).await?;
            Ok(if is_logout { text(&format!("true {user}")) } else { answer })
        }
        .boxed()
    }),
    handler("H42", "a late request logs in again", |app, session, request| {
        async move {
            let is_late = request.path == "/held";
            let answer = app.respond(session.clone(), request).await?;
            if is_late {
                session.login("alice").await?;
            }
            Ok(answer)
        }
        .boxed()
    }),
    response("H43", "whoever is nobody loses the cookie", |asked, parts, body| {
        if asked.token.is_some() && body == "-" {
            parts.headers.append(SET_COOKIE, HeaderValue::from_static(REMOVAL));
        }
    }),
    response("H44", "a superseded token is given again", send_again),
    handler("H45", "a rotation ends the token of before", |app, session, request| {
        async move {
            if request.path != "/rotate" {
                return app.respond(session, request).await;
            }
            let _ = session.elevate(1).await?;
            Ok(text("rotated"))
        }
        .boxed()
    }),
    handler("H46", "an elevation has a grace", |app, session, mut request| {
        async move {
            if request.path == "/elevate" && session.user().await?.is_some() {
                "/rotate".clone_into(&mut request.path);
            }
            app.respond(session, request).await
        }
        .boxed()
    }),
    handler("H47", "everybody is fresh", |app, session, request| {
        async move {
            match request.path.as_str() {
                "/fresh" => Ok(text("true")),
                _ => app.respond(session, request).await,
            }
        }
        .boxed()
    }),
    response("H48", "users are remembered by token", |asked, _, body| {
        static SEEN: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
        let Some(token) = asked.token.clone().filter(|_| asked.path == "/me") else { return };
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.iter().find(|(of, _)| *of == token) {
            Some((_, user)) => user.clone_into(body),
            None => seen.push((token, body.clone())),
        }
    }),
    handler("H49", "a logout happens later", |app, session, request| {
        async move {
            if request.path != "/logout" {
                return app.respond(session, request).await;
            }
            tokio::spawn(async move { session.logout().await });
            let headers = vec![("set-cookie", REMOVAL.to_owned())];
            Ok(AppResponse { headers, ..text("true -") })
        }
        .boxed()
    }),
    response("H50", "every device is this one", |asked, _, body| {
        if asked.path == "/devices" {
            *body = body.replace(" other ", " current ");
        }
    }),
    response("H51", "logging the own device out keeps the cookie", |asked, parts, _| {
        if asked.path == "/log-out" {
            parts.headers.remove(SET_COOKIE);
        }
    }),
    handler("H52", "the others are everybody", |app, session, request| {
        async move {
            match request.path.as_str() {
                "/log-out-others" => {
                    Ok(text(&(session.log_out_everywhere().await? - 1).to_string()))
                }
                _ => app.respond(session, request).await,
            }
        }
        .boxed()
    }),
    handler("H53", "everywhere is elsewhere", |app, session, request| {
        async move {
            match request.path.as_str() {
                "/log-out-everywhere" => {
                    Ok(text(&(session.log_out_others().await? + 1).to_string()))
                }
                _ => app.respond(session, request).await,
            }
        }
        .boxed()
    }),
    handler("H54", "the last write takes all", |app, session, request| {
        async move {
            let is_late = request.path == "/held";
            let answer = app.respond(session.clone(), request).await?;
            if is_late {
                session.clear().await?;
                session.insert("a", "slow").await?;
            }
            Ok(answer)
        }
        .boxed()
    }),
    handler("H55", "counters are read and written", |app, session, request| {
        async move {
            if request.path != "/count" {
                return app.respond(session, request).await;
            }
            let count = session.get::<u64>("count").await?.unwrap_or(0);
            session.insert("count", &(count + 1)).await?;
            Ok(text("counted"))
        }
        .boxed()
    }),
    handler("H56", "a flash message stays", |app, session, request| {
        async move {
            let is_taken = request.path == "/take";
            let answer = app.respond(session.clone(), request).await?;
            if is_taken {
                session.keep("note").await?;
            }
            Ok(answer)
        }
        .boxed()
    }),
    handler("H57", "the user's cookie is enough", |app, session, request| {
        async move {
            if request.path == "/check" && session.user().await?.is_some() {
                return Ok(text("genuine"));
            }
            app.respond(session, request).await
        }
        .boxed()
    }),
    request("H58", "a browser that says nothing is believed", |headers| {
        if !headers.contains_key("sec-fetch-site") && !headers.contains_key("origin") {
            set(headers, HeaderName::from_static("sec-fetch-site"), "same-origin");
        }
    }),
    response("H59", "the way back is lost", |_, parts, _| {
        let location = parts.headers.get(LOCATION).and_then(|it| it.to_str().ok());
        if let Some(page) = location.and_then(|it| it.split('?').next()).map(str::to_owned) {
            set(&mut parts.headers, LOCATION, &page);
        }
    }),
    response("H60", "any redirect is followed", |asked, parts, _| {
        if let Some(to) = asked.query.strip_prefix("to=").filter(|_| asked.path == "/redirect") {
            set(&mut parts.headers, LOCATION, &to.replace("%3F", "?"));
        }
    }),
    request("H61", "clients are not looked at", |headers| {
        headers.remove(USER_AGENT);
    }),
    request("H62", "every host is the first tenant's", |headers| {
        set(headers, HOST, "a.shop.example");
    }),
    request("H63", "every host is served", |headers| set(headers, HOST, "shop.example")),
    response("H64", "a cache serves one user's page to all", |asked, _, body| {
        static PAGE: Mutex<Option<String>> = Mutex::new(None);
        if asked.path == "/me" && body != "-" {
            let mut page = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
            page.get_or_insert_with(|| body.clone()).clone_into(body);
        }
    }),
];

/// Sends the token of the request back.
fn send_again(asked: &Asked, parts: &mut Parts, _: &mut String) {
    if let Some(token) = asked.token.as_ref().filter(|_| !parts.headers.contains_key(SET_COOKIE)) {
        set(&mut parts.headers, SET_COOKIE, &format!("__Host-session={token}{ATTRIBUTES}"));
    }
}

async fn count(session: &SessionHandle) -> Result<(), Error> {
    session.alter("count", |count: Option<u64>| count.unwrap_or(0) + 1).await
}

fn text(text: &str) -> AppResponse {
    AppResponse { status: 200, headers: Vec::new(), body: AppBody::Text(text.to_owned()) }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    headers.insert(name, HeaderValue::from_str(value).expect("a header"));
}

/// The pairs of all headers, as far as they are text.
fn cookies(headers: &HeaderMap) -> Vec<String> {
    let texts = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    texts.flat_map(|text| text.split("; ")).map(str::to_owned).collect()
}

/// Changes each `Cookie`, as far as it is text.
fn each_header(headers: &mut HeaderMap, change: impl Fn(&str) -> String) {
    let texts = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    let changed: Vec<_> = texts.map(change).collect();
    if !changed.is_empty() {
        set(headers, COOKIE, &changed.join("; "));
    }
}

/// Changes each `Set-Cookie`.
fn each_cookie(parts: &mut Parts, change: impl Fn(String) -> String) {
    let cookies = parts.headers.get_all(SET_COOKIE).iter();
    let cookies: Vec<_> =
        cookies.filter_map(|cookie| cookie.to_str().ok().map(str::to_owned)).collect();
    parts.headers.remove(SET_COOKIE);
    for cookie in cookies {
        let cookie = HeaderValue::from_str(&change(cookie)).expect("a header");
        parts.headers.append(SET_COOKIE, cookie);
    }
}
