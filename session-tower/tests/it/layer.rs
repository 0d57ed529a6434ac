use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get as on_get;
use conformance_tests::doubles::{Fault, Op};
use http::{HeaderValue, Request, Response, StatusCode};
use session_core::StoreErrorKind;
use session_tower::axum::{Result, Session};
use session_tower::{ClientNotice, SessionHandle, SessionLayer, Site};
use tower::{Layer, ServiceExt, service_fn};

use crate::setup::{Setup, call, cookie_of, get, with_cookie};

async fn write(session: Session) -> Result<&'static str> {
    session.insert("a", "b").await?;
    Ok("written")
}

#[tokio::test]
async fn the_cookie_is_marked_as_sensitive_and_brings_the_session_back() {
    let setup = Setup::new();
    let read = async |session: Session| -> Result<String> {
        Ok(session.get("a").await?.unwrap_or_default())
    };
    let app = Router::new()
        .route("/write", on_get(write))
        .route("/read", on_get(read))
        .layer(setup.layer());
    let response = call(&app, get("/write")).await;
    assert!(response.headers()["set-cookie"].is_sensitive());
    assert!(!response.headers()["vary"].is_sensitive());
    let cookie = cookie_of(&response).unwrap();
    let response = call(&app, with_cookie("/read", &cookie)).await;
    assert_eq!(axum::body::to_bytes(response.into_body(), 10).await.unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn a_commit_goes_on_when_the_client_is_gone() {
    let setup = Setup::slow(Duration::from_secs(1));
    let app = Router::new().route("/", on_get(write)).layer(setup.layer());
    let given_up = tokio::time::timeout(Duration::from_millis(10), call(&app, get("/"))).await;
    assert!(given_up.is_err(), "the commit takes a second");
    assert_eq!(setup.stored().await, 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(setup.stored().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_given_up_commits_nothing() {
    let setup = Setup::new();
    let slow = async |session: Session| -> Result<()> {
        session.insert("a", "b").await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        session.insert("a", "c").await.map_err(Into::into)
    };
    let app = Router::new().route("/", on_get(slow)).layer(setup.layer());
    let given_up = tokio::time::timeout(Duration::from_millis(10), call(&app, get("/"))).await;
    assert!(given_up.is_err());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(setup.stored().await, 0);
}

#[tokio::test]
async fn a_panic_commits_nothing() {
    use std::task::Poll;

    let setup = Setup::new();
    let panics = async |session: Session| -> &'static str {
        session.insert("a", "b").await.unwrap();
        panic!("a mistake in the application");
    };
    let app = Router::new().route("/", on_get(panics)).layer(setup.layer());
    let mut response = Box::pin(call(&app, get("/")));
    let panicked = std::future::poll_fn(|cx| {
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| response.as_mut().poll(cx)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(_)) => Poll::Ready(false),
            Err(_) => Poll::Ready(true),
        }
    });
    assert!(panicked.await);
    drop(response);
    assert_eq!(setup.stored().await, 0);
}

#[tokio::test]
async fn an_error_of_the_inner_service_passes_and_commits_nothing() {
    let setup = Setup::new();
    let service = setup.layer().layer(service_fn(async |request: Request<()>| {
        let session = request.extensions().get::<SessionHandle>().unwrap();
        session.insert("a", "b").await.unwrap();
        Err::<Response<String>, _>("out of order")
    }));
    assert_eq!(service.oneshot(Request::new(())).await.unwrap_err(), "out of order");
    assert_eq!(setup.stored().await, 0);
}

#[tokio::test]
async fn any_body_with_a_default_will_do() {
    let setup = Setup::new();
    let service = setup.layer().layer(service_fn(async |request: Request<()>| {
        let session = request.extensions().get::<SessionHandle>().unwrap();
        session.insert("a", "b").await.unwrap();
        Ok::<_, Infallible>(Response::new("written".to_owned()))
    }));
    let response = service.clone().oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.body(), "written");
    assert!(cookie_of(&response).is_some());

    setup.script.then(Op::Create, Fault::Before(StoreErrorKind::Unavailable));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(
        (response.status(), response.body().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "")
    );
    assert_eq!(response.headers()["retry-after"], "5");
    assert!(cookie_of(&response).is_none());
}

#[tokio::test]
async fn two_layers_are_one() {
    let setup = Setup::new();
    let app = Router::new().route("/", on_get(write)).layer(setup.layer()).layer(setup.layer());
    let response = call(&app, get("/")).await;
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 1);
    assert_eq!(response.headers().get_all("vary").iter().count(), 1);
    assert_eq!(setup.stored().await, 1);
}

#[tokio::test]
async fn headers_that_are_not_ascii_hide_nothing() {
    let setup = Setup::new();
    let who = async |session: Session| -> Result<String> {
        Ok(session.get("a").await?.unwrap_or_default())
    };
    let app = Router::new()
        .route("/write", on_get(write))
        .route("/read", on_get(who))
        .layer(setup.layer());
    let cookie = cookie_of(&call(&app, get("/write")).await).unwrap();
    let mut request = get("/read");
    let bytes = [b"x=\xff\xe9; ".as_slice(), cookie.as_bytes()].concat();
    request.headers_mut().insert("cookie", HeaderValue::from_bytes(&bytes).unwrap());
    let response = call(&app, request).await;
    assert_eq!(axum::body::to_bytes(response.into_body(), 10).await.unwrap(), "b");
}

#[tokio::test]
async fn the_host_is_that_of_the_target_or_of_the_header() {
    let setup = Setup::new();
    let site = Site::from(setup.sessions.clone());
    let sites = session_tower::Sites::resolved(move |head| {
        (head.host() == Some("shop.example:8080") && head.path() == "/a").then(|| site.clone())
    });
    let app = Router::new().route("/a", on_get(write)).layer(SessionLayer::new(sites));
    for (uri, host, status) in [
        ("/a?x", Some("shop.example:8080"), 200),
        ("http://shop.example:8080/a", None, 200),
        ("http://user@shop.example:8080/a", Some("evil.example"), 200),
        ("/a", Some("evil.example"), 421),
        ("/a", None, 421),
    ] {
        let mut request = Request::get(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let response = call(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status().as_u16(), status, "{uri} {host:?}");
    }
}

#[tokio::test]
async fn the_address_of_the_peer_comes_from_the_extensions() {
    let setup = Setup::new();
    let notice = ClientNotice::user_agent().peer_address();
    let site = Site::from(setup.sessions.clone()).client_notice(notice);
    let layer = SessionLayer::new(site).peer(|it| it.get::<std::net::IpAddr>().copied());
    let login = async |session: Session| -> Result<String> {
        if session.user().await?.is_none() {
            session.login("alice").await?;
        }
        Ok(session.info().await?.client_changed.to_string())
    };
    let app = Router::new().route("/", on_get(login)).layer(layer);
    let mut cookie = String::new();
    for (address, expected) in
        [("203.0.113.7", "false"), ("203.0.113.8", "false"), ("198.51.100.1", "true")]
    {
        let mut request = with_cookie("/", &cookie);
        request.extensions_mut().insert(address.parse::<std::net::IpAddr>().unwrap());
        let response = call(&app, request).await;
        cookie = cookie_of(&response).unwrap_or(cookie);
        assert_eq!(axum::body::to_bytes(response.into_body(), 10).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn nothing_of_the_layer_shows_a_session() {
    let setup = Setup::new();
    let layer = setup.layer();
    let shown = format!("{layer:?} {:?}", layer.layer(()));
    assert!(shown.contains("__Host-session; Path=/"), "{shown}");
}
