//! A site for each request.

use std::time::Duration;

use session_core::{Lifetimes, Realm};
use session_http::{CookiePolicy, Error, Exchange, Site, Sites};

use crate::setup::{Head, Setup, conclude};

fn tenants(setup: &Setup) -> Sites {
    let site = |tenant: &str, idle: u64| {
        let lifetimes =
            Lifetimes::new(Duration::from_secs(idle), Duration::from_secs(86_400)).unwrap();
        let sessions = setup
            .sessions
            .with_realm(Realm::new(tenant).unwrap())
            .with_lifetimes(lifetimes, lifetimes);
        let cookie = CookiePolicy::builder()
            .name("__Secure-shop")
            .domain(format!("{tenant}.shop.example"))
            .build()
            .unwrap();
        Site::from(sessions).cookie(cookie)
    };
    let (a, b) = (site("a", 60), site("b", 3600));
    Sites::resolved(move |head| match head.host()? {
        "a.shop.example" => Some(a.clone()),
        "b.shop.example" => Some(b.clone()),
        _ => None,
    })
}

fn at(host: &str, token: Option<&str>) -> Head {
    let head = Head { host: Some(host.into()), ..Head::get() };
    match token {
        Some(token) => head.with("cookie", format!("__Secure-shop={token}")),
        None => head,
    }
}

async fn user(sites: &Sites, head: &Head) -> Option<String> {
    let exchange = Exchange::begin(sites, head);
    let user = exchange.handle().user().await.unwrap();
    let _ = exchange.finish(200).await;
    user
}

#[tokio::test]
async fn each_tenant_has_its_cookie_its_realm_and_its_idle_time() {
    let setup = Setup::new();
    let sites = tenants(&setup);
    let mut tokens = Vec::new();
    for host in ["a.shop.example", "b.shop.example"] {
        let exchange = Exchange::begin(&sites, &at(host, None));
        exchange.handle().login("alice").await.unwrap();
        let response = conclude(&exchange.finish(200).await, 200);
        let token = response.token().unwrap();
        assert_eq!(
            response.set_cookie().unwrap(),
            format!("__Secure-shop={token}; Path=/; Domain={host}; Secure; HttpOnly; SameSite=Lax")
        );
        tokens.push(token);
    }
    let (a, b) = (tokens[0].as_str(), tokens[1].as_str());
    assert_eq!(user(&sites, &at("a.shop.example", Some(a))).await.as_deref(), Some("alice"));
    assert_eq!(user(&sites, &at("b.shop.example", Some(a))).await, None, "another realm");
    setup.advance(61);
    assert_eq!(user(&sites, &at("a.shop.example", Some(a))).await, None, "a minute is over");
    assert_eq!(user(&sites, &at("b.shop.example", Some(b))).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_request_of_no_site_has_no_session() {
    let setup = Setup::new();
    let sites = tenants(&setup);
    let exchange = Exchange::begin(&sites, &at("evil.example", None));
    let error = exchange.handle().user().await.unwrap_err();
    assert!(matches!(error, Error::NoSite));
    assert_eq!(error.status(), 421);
    let response = conclude(&exchange.finish(404).await, 404);
    assert!(response.headers.is_empty());
}
