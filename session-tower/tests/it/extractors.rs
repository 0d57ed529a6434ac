use axum::Router;
use axum::routing::{get as on_get, post as on_post};
use conformance_tests::doubles::{Fault, Op};
use http::{Request, StatusCode};
use session_core::StoreErrorKind;
use session_tower::axum::{Error, Result, Session, User};
use session_tower::{SessionLayer, Site};

use crate::setup::{Setup, call, cookie_of, get, with_cookie};

fn app(site: Site) -> Router {
    let sign_in = async |session: Session| -> Result<()> { Ok(session.login("alice").await?) };
    let account = async |User(name): User| name;
    let account_routes =
        Router::new().route("/orders", on_get(account)).route("/orders", on_post(account));
    Router::new()
        .route("/sign-in", on_get(sign_in))
        .nest("/account", account_routes)
        .layer(SessionLayer::new(site))
}

#[tokio::test]
async fn a_user_is_extracted() {
    let setup = Setup::new();
    let app = app(Site::from(setup.sessions.clone()));
    let cookie = cookie_of(&call(&app, get("/sign-in")).await).unwrap();
    let response = call(&app, with_cookie("/account/orders", &cookie)).await;
    assert_eq!(axum::body::to_bytes(response.into_body(), 10).await.unwrap(), "alice");
    assert!(!format!("{:?}", User("alice".to_owned())).contains("alice"));
}

#[tokio::test]
async fn who_is_not_logged_in_is_sent_to_the_login_page_with_the_whole_target() {
    let setup = Setup::new();
    let app = app(Site::from(setup.sessions.clone()).login_page("/sign-in".parse().unwrap()));
    let response = call(&app, get("/account/orders?page=2")).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()["location"], "/sign-in?redirect_to=/account/orders%3Fpage%3D2");
    assert_eq!(response.headers()["cache-control"], "private, no-store");
    let post = Request::post("/account/orders").body(axum::body::Body::empty()).unwrap();
    assert_eq!(call(&app, post).await.headers()["location"], "/sign-in");
}

#[tokio::test]
async fn without_a_login_page_it_is_401_with_a_challenge() {
    let setup = Setup::new();
    let app = app(Site::from(setup.sessions.clone()));
    let response = call(&app, get("/account/orders")).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn an_error_says_its_status_and_no_detail() {
    let setup = Setup::new();
    let app = app(Site::from(setup.sessions.clone()));
    let cookie = cookie_of(&call(&app, get("/sign-in")).await).unwrap();
    setup.script.then(Op::Load, Fault::Before(StoreErrorKind::Unavailable));
    let response = call(&app, with_cookie("/account/orders", &cookie)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "5");
    assert!(response.headers().get("set-cookie").is_none());
    let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    assert_eq!(body, "Service Unavailable");
    // Only the log of the application gets to know more.
    let error = Error(session_tower::Error::Closed);
    assert_eq!(error.to_string(), "the response has begun");
}

#[tokio::test]
async fn without_the_layer_it_is_500() {
    let app = Router::new().route("/", on_get(async |_: Session| "never"));
    let response = call(&app, get("/")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
