//! Pages that need a user.

use session_http::{BearerPolicy, Error, LocalUrl};

use crate::setup::{Head, Setup};

#[tokio::test]
async fn a_browser_is_sent_to_the_login_page_and_back() {
    let setup = Setup::of(|site| site.login_page("/login?lang=en".parse().unwrap()));
    let wanted = Head { path: "/orders?page=2&x=//evil".into(), ..Head::get() };
    let mut location = None;
    setup
        .request(&wanted, async |session| {
            let error = session.require_user().await.unwrap_err();
            location = error.location().map(str::to_owned);
            assert_eq!(error.headers(), [("location", location.clone().unwrap())]);
            error.status()
        })
        .await;
    let location = location.unwrap();
    assert_eq!(location, "/login?lang=en&redirect_to=/orders%3Fpage%3D2%26x%3D//evil");
    assert_eq!(
        LocalUrl::or_root(Some("/orders?page=2&x=//evil")).as_str(),
        "/orders?page=2&x=//evil"
    );
    setup
        .request(&Head::post(), async |session| {
            let error = session.require_user().await.unwrap_err();
            assert_eq!((error.status(), error.location()), (303, Some("/login?lang=en")));
            303
        })
        .await;
}

#[tokio::test]
async fn who_is_logged_in_passes() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    setup
        .with_token(&token, async |session| {
            assert_eq!(session.require_user().await.unwrap(), "alice");
            200
        })
        .await;
}

#[tokio::test]
async fn without_a_login_page_it_is_401() {
    let setup = Setup::of(|site| site.bearer(BearerPolicy::new()));
    setup
        .request(&Head::get(), async |session| {
            let error = session.require_user().await.unwrap_err();
            assert!(matches!(error, Error::LoginRequired { login: None }));
            assert_eq!(error.headers(), [("www-authenticate", "Bearer".to_owned())]);
            error.status()
        })
        .await;
}
