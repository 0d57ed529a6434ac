//! The small application that every framework crate serves for the suite.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{join_all, poll_fn};
use futures_util::stream::{self, BoxStream};
use session_core::{Bytes, SessionId};
use session_http::{Error, LocalUrl, SessionHandle};
use tokio::sync::Semaphore;

/// The application that the suite tests with: its routes are part of the suite, so that it is the same everywhere.
///
/// A framework crate gives it each request with the session that its own extractor found, and turns what it answers
/// into a response of the framework: an error into the one that the framework crate answers errors with.
#[derive(Debug, Clone, Default)]
pub struct App(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    arrived: Semaphore,
    open: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        Self { arrived: Semaphore::new(0), open: Semaphore::new(0) }
    }
}

/// A request, as the application sees it.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "framework crates make it")]
pub struct AppRequest {
    /// The path.
    pub path: String,
    /// The query, without the question mark; empty where there is none.
    pub query: String,
}

/// What the application answers.
#[allow(clippy::exhaustive_structs, reason = "framework crates take it apart")]
pub struct AppResponse {
    /// The status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: AppBody,
}

/// The body of an answer.
#[allow(clippy::exhaustive_enums, reason = "framework crates take it apart")]
pub enum AppBody {
    /// A text that is there at once.
    Text(String),
    /// One that comes in pieces, the first of them after the head of the response has left.
    Stream(BoxStream<'static, Result<Bytes, Infallible>>),
}

impl AppRequest {
    fn argument(&self, name: &str) -> Option<String> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.into_iter().find(|(of, _)| *of == name)?;
        Some(decoded(value))
    }

    fn text(&self, name: &str) -> String {
        self.argument(name).unwrap_or_default()
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.argument(name)?.parse().ok()
    }
}

/// Percent signs only, which is what the suite sends.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex =
            |from: &[u8]| u8::from_str_radix(std::str::from_utf8(from.get(..2)?).ok()?, 16).ok();
        if let (b'%', Some(byte)) = (first, hex(tail)) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn answer(status: u16, text: impl Into<String>) -> AppResponse {
    AppResponse { status, headers: Vec::new(), body: AppBody::Text(text.into()) }
}

#[allow(clippy::unnecessary_wraps, reason = "every route answers a result")]
fn ok(text: impl Into<String>) -> Result<AppResponse, Error> {
    Ok(answer(200, text))
}

#[allow(clippy::unnecessary_wraps, reason = "every route answers a result")]
fn redirect(to: &str) -> Result<AppResponse, Error> {
    Ok(AppResponse { headers: vec![("location", to.to_owned())], ..answer(303, "") })
}

/// A text, or a dash for none.
fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

impl App {
    /// Answers one request.
    ///
    /// # Errors
    ///
    /// What the handle answers, for the framework crate to make a response of.
    ///
    /// # Panics
    ///
    /// On the route that is there to panic.
    pub async fn respond(
        &self,
        session: SessionHandle,
        request: AppRequest,
    ) -> Result<AppResponse, Error> {
        match request.path.as_str() {
            "/untouched" => ok("untouched"),
            "/look" => look(&session, &request.text("how")).await,
            "/get" => ok(or_dash(session.get(&request.text("key")).await?)),
            "/set" | "/answer" | "/held" | "/panic" | "/headers" => {
                self.set(&session, &request).await
            }
            "/count" => {
                session.alter("count", |count: Option<u64>| count.unwrap_or(0) + 1).await?;
                ok("counted")
            }
            "/counted" => ok(session.get::<u64>("count").await?.unwrap_or(0).to_string()),
            "/remove" => ok(session.remove(&request.text("key")).await?.to_string()),
            "/flash" => {
                session.flash("note", &request.text("text")).await?;
                redirect("/take")
            }
            "/take" => take(&session, &request).await,
            "/login" => login(&session, &request).await,
            "/logout" => logout(&session, &request).await,
            "/rotate" => {
                session.rotate().await?;
                ok("rotated")
            }
            "/elevate" => {
                let _ = session.elevate(request.number("level").unwrap_or(1)).await?;
                ok("elevated")
            }
            "/fresh" => {
                let age = Duration::from_secs(request.number("seconds").unwrap_or(0));
                ok(session.is_fresh(age).await?.to_string())
            }
            "/everything" => everything(&session).await,
            "/me" => ok(or_dash(session.user().await?)),
            "/account" => ok(session.require_user().await?),
            "/client" => ok(session.info().await?.client_changed.to_string()),
            "/devices" => devices(&session).await,
            "/log-out" => {
                let id: Option<SessionId> = request.number("id");
                match id {
                    Some(id) => ok(session.log_out(&id).await?.to_string()),
                    None => Ok(answer(400, "no id")),
                }
            }
            "/log-out-others" => ok(session.log_out_others().await?.to_string()),
            "/log-out-everywhere" => ok(session.log_out_everywhere().await?.to_string()),
            "/csrf" => ok(session.csrf_token().await?),
            "/check" => {
                session.check_csrf(&request.text("token")).await?;
                ok("genuine")
            }
            "/redirect" => redirect(LocalUrl::or_root(request.argument("to").as_deref()).as_str()),
            "/overlook" => {
                let read = session.get::<String>("a").await;
                ok(if read.is_ok() { "read" } else { "overlooked" })
            }
            "/own-page" => Ok(match session.get::<String>("a").await {
                Ok(_) => answer(200, "read"),
                Err(_) => answer(502, "my own page"),
            }),
            "/carry-on" => carry_on(&session).await,
            "/tasks" => tasks(&session).await,
            "/stream" => stream(session).await,
            "/interrupted" => interrupted(&session).await,
            _ => Ok(answer(404, "not found")),
        }
    }

    /// Waits until a request for `/held` has written and waits.
    pub(crate) async fn has_arrived(&self) {
        if let Ok(permit) = self.0.arrived.acquire().await {
            permit.forget();
        }
    }

    /// Lets one request for `/held` go on.
    pub(crate) fn let_go(&self) {
        self.0.open.add_permits(1);
    }

    /// Writes a value, and then does what the route says.
    async fn set(
        &self,
        session: &SessionHandle,
        request: &AppRequest,
    ) -> Result<AppResponse, Error> {
        session.insert(&request.text("key"), &request.text("value")).await?;
        match request.path.as_str() {
            "/answer" => Ok(answer(request.number("status").unwrap_or(200), "answered")),
            "/held" => {
                self.0.arrived.add_permits(1);
                if let Ok(permit) = self.0.open.acquire().await {
                    permit.forget();
                }
                ok("held")
            }
            "/panic" => panic!("a handler that panics, as the suite asked it to"),
            "/headers" => Ok(AppResponse {
                headers: vec![
                    ("cache-control", "max-age=60".to_owned()),
                    ("vary", "Accept".to_owned()),
                    ("set-cookie", "theme=dark; Path=/".to_owned()),
                ],
                ..answer(200, "with headers")
            }),
            _ => ok("set"),
        }
    }
}

/// Every way of looking at a session without changing it.
async fn look(session: &SessionHandle, how: &str) -> Result<AppResponse, Error> {
    match how {
        "get" => drop(session.get::<String>("a").await?),
        "contains" => drop(session.contains("a").await?),
        "view" => session.view(|_| ()).await?,
        "take" => drop(session.take_flash::<String>("none").await?),
        "info" => drop(session.info().await?),
        "user" => drop(session.user().await?),
        "csrf" => drop(session.csrf_token().await?),
        "fresh" => drop(session.is_fresh(Duration::ZERO).await?),
        "read" => drop(session.read::<serde_json::Value>().await?),
        _ => return Ok(answer(400, "no such look")),
    }
    ok("looked")
}

async fn take(session: &SessionHandle, request: &AppRequest) -> Result<AppResponse, Error> {
    let notes = session.take_flash::<String>("note").await?;
    if request.argument("keep").is_some() {
        session.keep("note").await?;
    }
    Ok(answer(request.number("status").unwrap_or(200), notes.join(",")))
}

async fn login(session: &SessionHandle, request: &AppRequest) -> Result<AppResponse, Error> {
    let user = request.text("user");
    match request.argument("keep") {
        Some(key) => session.login_keeping(&user, &[&key]).await?,
        None => session.login(&user).await?,
    }
    Ok(answer(request.number("status").unwrap_or(200), "logged in"))
}

async fn logout(session: &SessionHandle, request: &AppRequest) -> Result<AppResponse, Error> {
    let was_live = session.logout().await?;
    let user = or_dash(session.user().await?);
    if let Some(note) = request.argument("note") {
        session.flash("note", &note).await?;
    }
    let status = request.number("status").unwrap_or(200);
    Ok(answer(status, format!("{was_live} {user}")))
}

/// Everything that changes the token, one after the other.
async fn everything(session: &SessionHandle) -> Result<AppResponse, Error> {
    session.rotate().await?;
    let _ = session.commit().await?;
    let _ = session.elevate(2).await?;
    session.logout().await?;
    session.login("last").await?;
    session.rotate().await?;
    session.insert("a", "b").await?;
    ok("everything")
}

async fn devices(session: &SessionHandle) -> Result<AppResponse, Error> {
    let devices = session.devices().await?;
    let lines = devices.iter().map(|device| {
        let current = if device.is_current { "current" } else { "other" };
        format!("{} {current} {}\n", device.id, device.last_used.as_millis())
    });
    ok(lines.collect::<String>())
}

async fn carry_on(session: &SessionHandle) -> Result<AppResponse, Error> {
    session.carry_on_when_down();
    let user = or_dash(session.user().await?);
    let writes = [
        session.insert("a", "b").await.is_ok(),
        session.login("mallory").await.is_ok(),
        session.logout().await.is_ok(),
    ];
    ok(format!("{user} {writes:?}"))
}

async fn tasks(session: &SessionHandle) -> Result<AppResponse, Error> {
    let increment = |_| {
        let session = session.clone();
        tokio::spawn(async move {
            session.alter("count", |count: Option<u64>| count.unwrap_or(0) + 1).await
        })
    };
    for done in join_all((0..20).map(increment)).await {
        done.expect("an increment does not panic")?;
    }
    ok("done")
}

/// Writes, and lets the body say what can be done with the session after the response has begun.
async fn stream(session: SessionHandle) -> Result<AppResponse, Error> {
    session.insert("a", "before").await?;
    let first = stream::once(async { "begun ".to_owned() });
    let second = stream::once(async move {
        let read = session.get::<String>("a").await.ok().flatten();
        let written = session.insert("a", "after").await.is_ok();
        let logged_in = session.login("mallory").await.is_ok();
        format!("{} {written} {logged_in}", or_dash(read))
    });
    let pieces = first.chain(second).map(|piece| Ok(Bytes::from(piece)));
    Ok(AppResponse { body: AppBody::Stream(pieces.boxed()), ..answer(200, "") })
}

/// Begins to log in, and gives up while the store is asked.
async fn interrupted(session: &SessionHandle) -> Result<AppResponse, Error> {
    session.user().await?;
    {
        let mut login = pin!(session.login("alice"));
        poll_fn(|cx| Poll::Ready(login.as_mut().poll(cx).is_ready())).await;
    }
    let written = session.insert("a", "b").await.is_ok();
    ok(written.to_string())
}
