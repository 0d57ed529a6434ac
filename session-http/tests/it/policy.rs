//! Which cookies can be configured, and what is written.

use std::time::Duration;

use session_core::{OsRandom, SessionToken};
use session_http::{CookiePolicy, CookiePolicyBuilder, InvalidCookiePolicy, SameSite};

use InvalidCookiePolicy as Invalid;

fn written(policy: &CookiePolicy) -> String {
    let token = SessionToken::random(&OsRandom).unwrap();
    let header = policy.set(&token, Duration::from_secs(1_000));
    assert_eq!(header.name(), "set-cookie");
    assert!(!format!("{header:?} {policy:?}").contains(token.encode().as_str()));
    header.value().replace(token.encode().as_str(), "<token>")
}

#[test]
fn each_policy_is_written_as_documented() {
    for (policy, expected) in [
        (CookiePolicy::default(), "__Host-session=<token>; Path=/; Secure; HttpOnly; SameSite=Lax"),
        (
            CookiePolicy::server_rendered(),
            "__Host-session=<token>; Max-Age=1000; Path=/; Secure; HttpOnly; SameSite=Lax",
        ),
        (
            CookiePolicy::cross_site(),
            "__Host-session=<token>; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
        ),
        (CookiePolicy::insecure_development(), "session=<token>; Path=/; HttpOnly; SameSite=Lax"),
    ] {
        assert_eq!(written(&policy), expected);
        let removal = expected.replace("; Max-Age=1000", "").replace("<token>", "; Max-Age=0");
        assert_eq!(policy.remove().value(), removal, "a removal repeats every attribute");
    }
    assert_eq!(CookiePolicy::default(), CookiePolicy::production());
}

#[test]
fn another_parser_reads_what_was_written() {
    let policy = CookiePolicy::builder()
        .name("__Secure-shop")
        .domain("shop.example")
        .path("/shop")
        .same_site(SameSite::None)
        .partitioned()
        .persistent()
        .build()
        .unwrap();
    let token = SessionToken::random(&OsRandom).unwrap();
    let header = policy.set(&token, Duration::from_secs(90));
    let read = cookie::Cookie::parse(header.value()).unwrap();
    assert_eq!(read.name_value(), ("__Secure-shop", token.encode().as_str()));
    assert_eq!((read.path(), read.domain()), (Some("/shop"), Some("shop.example")));
    assert_eq!(
        (read.secure(), read.http_only(), read.partitioned()),
        (Some(true), Some(true), Some(true))
    );
    assert_eq!(read.same_site(), Some(cookie::SameSite::None));
    assert_eq!(read.max_age().map(cookie::time::SignedDuration::whole_seconds), Some(90));
    let removal = policy.remove();
    let removal = cookie::Cookie::parse(removal.value()).unwrap();
    assert_eq!((removal.value(), removal.path()), ("", Some("/shop")));
    assert_eq!(removal.domain(), Some("shop.example"));
    assert_eq!(removal.max_age().map(cookie::time::SignedDuration::whole_seconds), Some(0));
}

#[test]
fn no_cookie_is_kept_for_more_than_400_days() {
    let token = SessionToken::random(&OsRandom).unwrap();
    let header = CookiePolicy::server_rendered().set(&token, Duration::MAX);
    assert!(header.value().contains("; Max-Age=34560000;"));
}

fn refused(change: impl FnOnce(CookiePolicyBuilder) -> CookiePolicyBuilder) -> Option<Invalid> {
    change(CookiePolicy::builder()).build().err()
}

#[test]
fn names_that_browsers_would_not_keep_as_given_do_not_build() {
    let longest = 4_096 - SessionToken::TEXT_LEN;
    for (name, error) in [
        (String::new(), Invalid::Name),
        ("a;b".into(), Invalid::Name),
        ("a=b".into(), Invalid::Name),
        ("a b".into(), Invalid::Name),
        (" a".into(), Invalid::Name),
        ("é".into(), Invalid::Name),
        ("a\u{7f}".into(), Invalid::Name),
        ("a\r\nb".into(), Invalid::Name),
        ("id; Domain=evil.example".into(), Invalid::Name),
        ("a,b".into(), Invalid::Name),
        ("a\"b".into(), Invalid::Name),
        ("__Host-".into(), Invalid::Name),
        ("x".repeat(5_000), Invalid::NameTooLong),
        ("x".repeat(longest + 1), Invalid::NameTooLong),
        ("__host-session".into(), Invalid::MisspeltPrefix),
        ("__HOST-session".into(), Invalid::MisspeltPrefix),
        ("__secure-session".into(), Invalid::MisspeltPrefix),
        ("Host__session".into(), Invalid::MisspeltPrefix),
        ("_Host-session".into(), Invalid::MisspeltPrefix),
        ("__Host_session".into(), Invalid::MisspeltPrefix),
        ("__Http-".into(), Invalid::Name),
    ] {
        assert_eq!(refused(|it| it.name(name.clone())), Some(error), "{name}");
    }
    for name in ["a", "session", "host-name", "http_session", "!#$%&'*+-.^_`|~", "__Host-Http-x"] {
        assert_eq!(refused(|it| it.name(name)), None, "{name}");
    }
    assert_eq!(refused(|it| it.name("x".repeat(longest))), None);
}

#[test]
fn paths_that_end_or_change_the_header_do_not_build() {
    let build = |path: &str| refused(|it| it.name("session").path(path));
    for path in [
        "",
        "x",
        "/; SameSite=None",
        "/\r\nX: y",
        "/é",
        "/ ",
        "/a b",
        "/\t",
        "/\0",
        &format!("/{}", "x".repeat(2_048)),
        &format!("/{}", "x".repeat(1_024)),
    ] {
        assert_eq!(build(path), Some(Invalid::Path), "{path:?}");
    }
    assert_eq!(build(&format!("/{}", "x".repeat(1_023))), None);
    assert_eq!(build("/a,b/%20"), None);
}

#[test]
fn domains_that_browsers_refuse_do_not_build() {
    let build = |domain: &str| refused(|it| it.name("session").domain(domain));
    for domain in [
        "",
        ".",
        "com",
        "localhost",
        ".shop.example",
        "shop.example.",
        "shop..example",
        "1.2.3.4",
        "[::1]",
        "a.1",
        "Shop.example",
        "a.example; Path=/x",
        "a_b.example",
        "-a.example",
        "a-.example",
        "é.example",
        "a.example:80",
        &format!("{}.example", "x".repeat(64)),
        &format!("{}example", "x.".repeat(130)),
    ] {
        assert_eq!(build(domain), Some(Invalid::Domain), "{domain:?}");
    }
    for domain in ["shop.example", "a.b.c.example", "xn--bcher-kva.example", "1.shop.example"] {
        assert_eq!(build(domain), None, "{domain}");
    }
}

#[test]
fn promises_of_prefixes_and_attributes_hold() {
    assert_eq!(refused(CookiePolicyBuilder::insecure), Some(Invalid::PrefixNeedsSecure));
    assert_eq!(refused(|it| it.name("__Secure-a").insecure()), Some(Invalid::PrefixNeedsSecure));
    assert_eq!(refused(|it| it.domain("shop.example")), Some(Invalid::HostPrefixForbidsDomain));
    assert_eq!(refused(|it| it.path("/shop")), Some(Invalid::HostPrefixNeedsRootPath));
    let http = |name: &'static str| refused(|it| it.name(name).readable_by_scripts());
    assert_eq!(http("__Http-a"), Some(Invalid::HttpPrefixNeedsHttpOnly));
    assert_eq!(http("__Host-Http-a"), Some(Invalid::HttpPrefixNeedsHttpOnly));
    assert_eq!(http("__Host-a"), None);
    let host_http = |it: CookiePolicyBuilder| it.name("__Host-Http-a").path("/x");
    assert_eq!(refused(host_http), Some(Invalid::HostPrefixNeedsRootPath));
    let insecure = |it: CookiePolicyBuilder| it.name("session").insecure();
    assert_eq!(
        refused(|it| insecure(it).same_site(SameSite::None)),
        Some(Invalid::SameSiteNoneNeedsSecure)
    );
    assert_eq!(refused(|it| insecure(it).partitioned()), Some(Invalid::PartitionedNeedsSecure));
    assert_eq!(refused(|it| insecure(it).same_site(SameSite::Strict)), None);
    assert_eq!(refused(|it| it.name("__Secure-a").domain("a.example").path("/x")), None);
}
