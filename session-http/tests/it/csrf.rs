//! Requests that another site makes in the user's name.

use session_http::{Error, SessionHandle};

use crate::setup::{Head, Setup};

async fn token_of(setup: &Setup, session_token: &str) -> String {
    let mut csrf = String::new();
    setup
        .with_token(session_token, async |session| {
            csrf = session.csrf_token().await.unwrap();
            200
        })
        .await;
    csrf
}

async fn passes(setup: &Setup, head: Head, csrf: &str) -> bool {
    let mut passed = false;
    setup
        .request(&head, async |session: SessionHandle| match session.check_csrf(csrf).await {
            Ok(()) => {
                passed = true;
                200
            }
            Err(error) => {
                assert!(matches!(error, Error::Forged));
                error.status()
            }
        })
        .await;
    passed
}

fn post(session_token: &str) -> Head {
    Head::post().with("cookie", format!("__Host-session={session_token}"))
}

#[tokio::test]
async fn a_token_proves_the_page_of_its_own_session() {
    let setup = Setup::new();
    let alice = setup.log_in("alice").await;
    let bob = setup.log_in("bob").await;
    let csrf = token_of(&setup, &alice).await;
    assert!(passes(&setup, post(&alice), &csrf).await);
    let again = token_of(&setup, &alice).await;
    assert_ne!(csrf, again, "each has a mask of its own");
    assert!(passes(&setup, post(&alice), &again).await);
    assert!(!passes(&setup, post(&bob), &csrf).await);
    assert!(!passes(&setup, Head::post(), &csrf).await);
    let mut changed = csrf.clone().into_bytes();
    for position in 0..changed.len() {
        let byte = changed[position];
        changed[position] = if byte == b'A' { b'B' } else { b'A' };
        let text = String::from_utf8(changed.clone()).unwrap();
        assert!(!passes(&setup, post(&alice), &text).await, "character {position}");
        changed[position] = byte;
    }
    for wrong in ["", "x", &csrf[1..], &format!("{csrf}="), &csrf.to_lowercase(), "é"] {
        assert!(!passes(&setup, post(&alice), wrong).await);
    }
}

#[tokio::test]
async fn a_user_s_session_needs_the_token_whatever_the_browser_says() {
    let setup = Setup::new();
    let alice = setup.log_in("alice").await;
    let head =
        post(&alice).with("sec-fetch-site", "same-origin").with("origin", "https://shop.example");
    assert!(!passes(&setup, head, "").await);
}

#[tokio::test]
async fn the_token_changes_with_the_secret_and_ends_with_the_session() {
    let setup = Setup::new();
    let before = setup.log_in("alice").await;
    let csrf = token_of(&setup, &before).await;
    let response = setup
        .with_token(&before, async |session| {
            let _ = session.elevate(1).await.unwrap();
            200
        })
        .await;
    let after = response.token().unwrap();
    assert!(!passes(&setup, post(&after), &csrf).await);
    let csrf = token_of(&setup, &after).await;
    assert!(passes(&setup, post(&after), &csrf).await);
    setup
        .with_token(&after, async |session| {
            session.logout().await.unwrap();
            200
        })
        .await;
    assert!(!passes(&setup, post(&after), &csrf).await);
}

#[tokio::test]
async fn a_token_that_is_asked_for_after_a_login_is_the_new_session_s() {
    let setup = Setup::new();
    let mut csrf = String::new();
    let response = setup
        .request(&Head::post(), async |session| {
            session.login("alice").await.unwrap();
            csrf = session.csrf_token().await.unwrap();
            200
        })
        .await;
    assert!(passes(&setup, post(&response.token().unwrap()), &csrf).await);
}

#[tokio::test]
async fn a_visitor_needs_the_browser_s_word_and_nothing_is_stored() {
    let setup = Setup::new();
    let mut csrf = None;
    setup
        .request(&Head::get(), async |session| {
            csrf = Some(session.csrf_token().await.unwrap());
            200
        })
        .await;
    assert_eq!(csrf.as_deref(), Some(""));
    assert!(setup.calls().is_empty());
    for (headers, expected) in [
        (vec![("sec-fetch-site", "same-origin")], true),
        (vec![("sec-fetch-site", "same-site")], false),
        (vec![("sec-fetch-site", "cross-site")], false),
        (vec![("sec-fetch-site", "none")], false),
        (vec![("sec-fetch-site", "cross-site"), ("origin", "https://shop.example")], false),
        (vec![("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")], false),
        (vec![("origin", "https://shop.example")], true),
        (vec![("origin", "http://shop.example")], true),
        (vec![("origin", "https://Shop.Example")], true),
        (vec![("origin", "https://shop.example:8443")], false),
        (vec![("origin", "https://evil.example")], false),
        (vec![("origin", "https://shop.example.evil.example")], false),
        (vec![("origin", "null")], false),
        (vec![("origin", "https://shop.example"), ("origin", "https://shop.example")], false),
        (vec![], false),
    ] {
        let head = headers.iter().fold(Head::post(), |head, (name, value)| head.with(name, value));
        assert_eq!(passes(&setup, head, "").await, expected, "{headers:?}");
    }
    let get = Head::get().with("sec-fetch-site", "same-origin");
    assert!(!passes(&setup, get, "").await, "a GET changes nothing");
    let unknown_host = Head { host: None, ..Head::post() }.with("origin", "https://shop.example");
    assert!(!passes(&setup, unknown_host, "").await);
}

#[tokio::test]
async fn an_anonymous_session_may_use_either() {
    let setup = Setup::new();
    let response = setup
        .request(&Head::post(), async |session| {
            session.insert("cart", "tea").await.unwrap();
            200
        })
        .await;
    let token = response.token().unwrap();
    let csrf = token_of(&setup, &token).await;
    assert!(!csrf.is_empty());
    assert!(passes(&setup, post(&token), &csrf).await);
    assert!(passes(&setup, post(&token).with("sec-fetch-site", "same-origin"), "").await);
    assert!(!passes(&setup, post(&token), "").await);
}
