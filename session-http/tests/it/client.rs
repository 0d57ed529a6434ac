//! The notice that another client uses a session.

use conformance_tests::doubles::Op;
use session_http::ClientNotice;

use crate::setup::{Head, Setup, presenting};

fn noticing() -> Setup {
    Setup::of(|site| site.client_notice(ClientNotice::user_agent().peer_address()))
}

fn from(mut head: Head, agent: &str, address: &str) -> Head {
    head.peer = Some(address.parse().unwrap());
    head.with("user-agent", agent)
}

async fn is_noticed(setup: &Setup, token: &str, agent: &str, address: &str) -> bool {
    let mut noticed = false;
    let head = from(presenting(token), agent, address);
    let response = setup
        .request(&head, async |session| {
            let info = session.info().await.unwrap();
            assert_eq!(info.user(), Some("alice"), "nobody is kicked out");
            noticed = info.client_changed;
            200
        })
        .await;
    assert_eq!((response.status, response.set_cookie()), (200, None));
    noticed
}

#[tokio::test]
async fn another_browser_or_network_is_noticed_once() {
    let setup = noticing();
    let head = from(Head::post(), "Firefox", "203.0.113.7");
    let response = setup
        .request(&head, async |session| {
            session.login("alice").await.unwrap();
            200
        })
        .await;
    assert_eq!(setup.calls(), [Op::Create], "it is stored with the login");
    let token = response.token().unwrap();
    assert!(!is_noticed(&setup, &token, "Firefox", "203.0.113.7").await);
    assert!(!is_noticed(&setup, &token, "Firefox", "203.0.113.99").await, "the same network");
    assert!(is_noticed(&setup, &token, "Chromium", "203.0.113.7").await);
    assert!(!is_noticed(&setup, &token, "Chromium", "203.0.113.7").await, "known by now");
    assert!(is_noticed(&setup, &token, "Chromium", "2001:db8::1").await);
    setup.calls();
    assert!(!is_noticed(&setup, &token, "Chromium", "2001:db8::2").await);
    assert_eq!(setup.calls(), [Op::Load], "and costs nothing then");
}

#[tokio::test]
async fn it_survives_a_login_that_keeps_nothing() {
    let setup = noticing();
    let response = setup
        .request(&from(Head::post(), "Firefox", "203.0.113.7"), async |session| {
            session.insert("planted", &1).await.unwrap();
            session.login("alice").await.unwrap();
            assert!(!session.contains("planted").await.unwrap());
            200
        })
        .await;
    assert!(is_noticed(&setup, &response.token().unwrap(), "curl", "203.0.113.7").await);
}

#[tokio::test]
async fn without_the_notice_nothing_is_stored() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    setup
        .with_token(&token, async |session| {
            assert!(!session.contains(ClientNotice::KEY).await.unwrap());
            assert!(!session.info().await.unwrap().client_changed);
            200
        })
        .await;
}
