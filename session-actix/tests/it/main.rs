//! What is particular to actix-web. What it has in common with every framework is tested by the HTTP rules of
//! `conformance-tests`.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::{Next, from_fn};
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::{App, HttpMessage, HttpResponse, web};
use conformance_tests::doubles::{Fault, Op, ScriptedStore, SlowStore};
use session_actix::{
    ClientNotice, Error, Result, Session, SessionHandle, SessionMiddleware, Site, User,
};
use session_core::{Count, SessionStore, Sessions, StoreErrorKind};
use session_memory::MemoryStore;

struct Setup {
    script: Arc<ScriptedStore>,
    sessions: Sessions<dyn SessionStore>,
}

impl Setup {
    fn new() -> Self {
        Self::slow(Duration::ZERO)
    }

    /// With a store that takes its time, by tokio's clock.
    fn slow(delay: Duration) -> Self {
        let script = Arc::new(ScriptedStore::new(Arc::new(MemoryStore::new())));
        let store: Arc<dyn SessionStore> = if delay.is_zero() {
            Arc::clone(&script) as _
        } else {
            Arc::new(SlowStore::new(Arc::clone(&script) as _, delay))
        };
        Self { script, sessions: Sessions::builder(store).build().unwrap() }
    }

    fn site(&self) -> Site {
        Site::from(self.sessions.clone())
    }

    fn middleware(&self) -> SessionMiddleware {
        SessionMiddleware::new(self.site())
    }

    async fn stored(&self) -> u64 {
        match self.sessions.count().await.unwrap() {
            Count::Exact(count) => count,
            Count::Estimate(_) => panic!("memory counts exactly"),
        }
    }
}

async fn write(session: Session) -> Result<&'static str> {
    session.insert("a", "b").await?;
    Ok("written")
}

async fn sign_in(session: Session) -> Result<&'static str> {
    session.login("alice").await?;
    Ok("signed in")
}

async fn account(User(name): User) -> String {
    name
}

/// Calls the application, built anew for each test.
macro_rules! app {
    ($middleware:expr) => {
        init_service(
            App::new()
                .wrap($middleware)
                .route("/write", web::get().to(write))
                .route("/sign-in", web::get().to(sign_in))
                .service(web::scope("/account").route("/orders", web::to(account))),
        )
        .await
    };
}

fn cookie_of<B>(response: &ServiceResponse<B>) -> Option<String> {
    let value = response.headers().get("set-cookie")?;
    Some(value.to_str().unwrap().split(';').next().unwrap().to_owned())
}

#[actix_web::test]
async fn the_cookie_is_marked_as_sensitive() {
    let app = app!(Setup::new().middleware());
    let response = app.call(TestRequest::get().uri("/write").to_request()).await.unwrap();
    assert!(response.headers().get("set-cookie").unwrap().is_sensitive());
    assert!(!response.headers().get("vary").unwrap().is_sensitive());
}

#[actix_web::test]
async fn a_commit_goes_on_when_the_client_is_gone() {
    let setup = Setup::slow(Duration::from_millis(200));
    let app = app!(setup.middleware());
    let request = TestRequest::get().uri("/write").to_request();
    let given_up = tokio::time::timeout(Duration::from_millis(20), app.call(request)).await;
    assert!(given_up.is_err(), "the commit takes longer");
    for _ in 0..100 {
        if setup.stored().await == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the commit did not end");
}

#[actix_web::test]
async fn a_commit_that_fails_replaces_status_headers_and_body() {
    let setup = Setup::new();
    let app = app!(setup.middleware());
    setup.script.then(Op::Create, Fault::Before(StoreErrorKind::Unavailable));
    let response = app.call(TestRequest::get().uri("/write").to_request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers().get("retry-after").unwrap(), "5");
    assert!(cookie_of(&response).is_none());
    assert!(response.headers().get("content-type").is_none());
    assert!(to_bytes(response.into_body()).await.is_ok_and(|body| body.is_empty()));
}

async fn out_of_order(
    request: ServiceRequest,
    _: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let session = request.extensions().get::<SessionHandle>().cloned();
    session.unwrap().insert("a", "b").await.unwrap();
    Err(actix_web::error::ErrorBadGateway("out of order"))
}

#[actix_web::test]
async fn an_error_of_an_inner_middleware_passes_and_commits_nothing() {
    let setup = Setup::new();
    let app = App::new().wrap(from_fn(out_of_order)).wrap(setup.middleware());
    let app = init_service(app.route("/write", web::get().to(write))).await;
    let answer = app.call(TestRequest::get().uri("/write").to_request()).await;
    assert_eq!(answer.err().unwrap().to_string(), "out of order");
    assert_eq!(setup.stored().await, 0);
}

#[actix_web::test]
async fn two_middlewares_are_one() {
    let setup = Setup::new();
    let app = App::new()
        .wrap(setup.middleware())
        .wrap(setup.middleware())
        .route("/write", web::get().to(write));
    let app = init_service(app).await;
    let response = app.call(TestRequest::get().uri("/write").to_request()).await.unwrap();
    assert_eq!(response.headers().get_all("set-cookie").count(), 1);
    assert_eq!(response.headers().get_all("vary").count(), 1);
    assert_eq!(setup.stored().await, 1);
}

#[actix_web::test]
async fn a_user_is_extracted_and_others_are_sent_away() {
    let setup = Setup::new();
    let middleware = SessionMiddleware::new(setup.site().login_page("/sign-in".parse().unwrap()));
    let app = app!(middleware);
    let request = TestRequest::get().uri("/account/orders?page=2").to_request();
    let response = app.call(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let location = response.headers().get("location").unwrap();
    assert_eq!(location, "/sign-in?redirect_to=/account/orders%3Fpage%3D2");
    assert_eq!(response.headers().get("cache-control").unwrap(), "private, no-store");

    let response = app.call(TestRequest::get().uri("/sign-in").to_request()).await.unwrap();
    let cookie = cookie_of(&response).unwrap();
    let request = TestRequest::get().uri("/account/orders").insert_header(("cookie", cookie));
    let response = app.call(request.to_request()).await.unwrap();
    assert_eq!(to_bytes(response.into_body()).await.ok().unwrap(), "alice");
    assert!(!format!("{:?}", User("alice".to_owned())).contains("alice"));
}

#[actix_web::test]
async fn an_error_says_its_status_and_no_detail() {
    let setup = Setup::new();
    let app = app!(setup.middleware());
    let response = app.call(TestRequest::get().uri("/account/orders").to_request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers().get("www-authenticate").unwrap(), "Bearer");
    let cookie =
        cookie_of(&app.call(TestRequest::get().uri("/sign-in").to_request()).await.unwrap());
    setup.script.then(Op::Load, Fault::Before(StoreErrorKind::Unavailable));
    let request =
        TestRequest::get().uri("/account/orders").insert_header(("cookie", cookie.unwrap()));
    let response = app.call(request.to_request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers().get("retry-after").unwrap(), "5");
    assert_eq!(to_bytes(response.into_body()).await.ok().unwrap(), "Service Unavailable");
    assert_eq!(Error(session_http::Error::Closed).to_string(), "the response has begun");
}

#[actix_web::test]
async fn without_the_middleware_it_is_500() {
    let app = init_service(App::new().route("/write", web::get().to(write))).await;
    let response = try_call_service(&app, TestRequest::get().uri("/write").to_request()).await;
    assert_eq!(response.unwrap().status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[actix_web::test]
async fn the_host_is_that_of_the_target_or_of_the_header() {
    let setup = Setup::new();
    let site = setup.site();
    let sites = session_actix::Sites::resolved(move |head| {
        (head.host() == Some("shop.example:8080") && head.path() == "/write").then(|| site.clone())
    });
    let app = app!(SessionMiddleware::new(sites));
    for (uri, host, status) in [
        ("/write?x", Some("shop.example:8080"), 200),
        ("http://shop.example:8080/write", None, 200),
        ("http://user@shop.example:8080/write", Some("evil.example"), 200),
        ("/write", Some("evil.example"), 421),
        ("/write", None, 421),
    ] {
        let mut request = TestRequest::get().uri(uri);
        if let Some(host) = host {
            request = request.insert_header(("host", host));
        }
        let response = app.call(request.to_request()).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{uri} {host:?}");
    }
}

#[actix_web::test]
async fn the_address_of_the_peer_is_that_of_the_connection() {
    let setup = Setup::new();
    let notice = ClientNotice::user_agent().peer_address();
    let middleware = SessionMiddleware::new(setup.site().client_notice(notice));
    let login = async |session: Session| -> Result<HttpResponse> {
        if session.user().await?.is_none() {
            session.login("alice").await?;
        }
        Ok(HttpResponse::Ok().body(session.info().await?.client_changed.to_string()))
    };
    let app = init_service(App::new().wrap(middleware).route("/", web::get().to(login))).await;
    let mut cookie = String::new();
    for (address, expected) in [
        ("203.0.113.7:1000", "false"),
        ("203.0.113.8:1001", "false"),
        ("198.51.100.1:1002", "true"),
    ] {
        let request = TestRequest::get()
            .peer_addr(address.parse::<SocketAddr>().unwrap())
            .insert_header(("cookie", cookie.clone()));
        let response = app.call(request.to_request()).await.unwrap();
        cookie = cookie_of(&response).unwrap_or(cookie);
        assert_eq!(to_bytes(response.into_body()).await.ok().unwrap(), expected);
    }
}

#[actix_web::test]
async fn nothing_of_the_middleware_shows_a_session() {
    let shown = format!("{:?}", Setup::new().middleware());
    assert!(shown.contains("__Host-session; Path=/"), "{shown}");
}
