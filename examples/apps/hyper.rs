//! The small application, on hyper and without middleware: `cargo run --example hyper`.
//!
//! Three functions are all that a framework has to call: `get_session` with the `Cookie` headers, and `commit_session`
//! or `destroy_session` before the response leaves.

use std::convert::Infallible;
use std::sync::Arc;

use examples::address;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{COOKIE, HeaderName, HeaderValue, LOCATION};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use session_core::{BoxError, Session, Sessions};
use session_http::{CookiePolicy, commit_session, destroy_session, get_session};
use session_memory::MemoryStore;
use tokio::net::TcpListener;
use url::form_urlencoded;

/// The most bytes of a form.
const MAX_FORM: usize = 4096;

struct App {
    sessions: Sessions<MemoryStore>,
    policy: CookiePolicy,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let sessions = Sessions::builder(Arc::new(MemoryStore::new())).build()?;
    let app = Arc::new(App { sessions, policy: CookiePolicy::insecure_development() });
    let listener = TcpListener::bind(address()).await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let app = Arc::clone(&app);
        tokio::spawn(async move {
            let service = service_fn(|request| app.answer(request));
            // A client that hangs up is nobody's trouble.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl App {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<String>, Infallible> {
        Ok(self.respond(request).await.unwrap_or_else(|error| {
            // A store that is down is an error, and never "no session": the cookie is left alone.
            eprintln!("{error}");
            let mut response = Response::new("try again\n".to_owned());
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        }))
    }

    /// The session is opened before the handler and committed after it.
    async fn respond(&self, request: Request<Incoming>) -> Result<Response<String>, BoxError> {
        let cookies = request.headers().get_all(COOKIE).iter().map(HeaderValue::as_bytes);
        let mut session = get_session(&self.sessions, &self.policy, cookies).await?;
        let is_sign_out = request.uri().path() == "/sign-out" && request.method() == Method::POST;
        let mut response = self.handle(request, &mut session).await?;
        let headers = if is_sign_out {
            destroy_session(&self.sessions, &self.policy, &mut session).await?
        } else {
            commit_session(&self.sessions, &self.policy, &mut session).await?
        };
        for header in headers {
            let name = HeaderName::from_bytes(header.name().as_bytes())?;
            response.headers_mut().append(name, HeaderValue::from_str(header.value())?);
        }
        Ok(response)
    }

    async fn handle(
        &self,
        request: Request<Incoming>,
        session: &mut Session,
    ) -> Result<Response<String>, BoxError> {
        let user = session.subject().map(|subject| subject.name().to_owned());
        let answer = |status, text: String| {
            let mut response = Response::new(text);
            *response.status_mut() = status;
            Ok(response)
        };
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/") => {
                let data = session.data_mut();
                data.alter("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
                let visits: u64 = data.get("visits")?.unwrap_or(0);
                let user = user.as_deref().unwrap_or("a visitor");
                answer(StatusCode::OK, format!("visit {visits} of {user}\n"))
            }
            (&Method::GET, "/account") => match user {
                Some(name) => answer(StatusCode::OK, format!("the account of {name}\n")),
                None => answer(StatusCode::UNAUTHORIZED, String::new()),
            },
            (&Method::POST, "/sign-in") => {
                let form = Limited::new(request.into_body(), MAX_FORM).collect().await?.to_bytes();
                let mut pairs = form_urlencoded::parse(&form);
                let name = pairs.find_map(|(key, value)| (key == "name").then_some(value));
                let Ok(subject) = self.sessions.subject(name.as_deref().unwrap_or_default()) else {
                    return answer(StatusCode::BAD_REQUEST, String::new());
                };
                // Here you check the password.
                let login = session_core::Login::from(subject).keeping(["visits"]);
                self.sessions.login(session, login).await?;
                to_the_front()
            }
            (&Method::POST, "/sign-out") => to_the_front(),
            _ => answer(StatusCode::NOT_FOUND, String::new()),
        }
    }
}

fn to_the_front() -> Result<Response<String>, BoxError> {
    let response = Response::builder().status(StatusCode::SEE_OTHER).header(LOCATION, "/");
    Ok(response.body(String::new())?)
}
