//! The exchange: when the store is asked, when is committed, and what the response says.

use std::time::Duration;

use conformance_tests::doubles::{Fault, Op};
use session_core::{CommitOutcome, StoreErrorKind};
use session_http::{BearerPolicy, CookiePolicy, Error, WhenDown};

use crate::setup::{Head, Response, Setup, conclude, presenting};

const DOWN: Fault = Fault::Before(StoreErrorKind::Unavailable);

#[tokio::test]
async fn an_untouched_session_costs_nothing_and_shows_nothing() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    setup.calls();
    setup.script.then(Op::Load, DOWN);
    let response = setup.with_token(&token, async |_| 200).await;
    assert_eq!(response, Response::of(200), "no header is added");
    assert!(setup.calls().is_empty());
}

#[tokio::test]
async fn reading_costs_one_call_writing_two_and_a_touch_one_more() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    setup.calls();
    let read = async |session: session_http::SessionHandle| {
        for _ in 0..3 {
            session.get::<String>("a").await.unwrap();
        }
        assert!(session.take_flash::<String>("note").await.unwrap().is_empty());
        200
    };
    let response = setup.with_token(&token, read).await;
    assert_eq!((setup.calls(), response.set_cookie()), (vec![Op::Load], None));
    assert!(response.is_private());

    setup
        .with_token(&token, async |session| {
            session.insert("a", "b").await.unwrap();
            session.insert("c", "d").await.unwrap();
            200
        })
        .await;
    assert_eq!(setup.calls(), [Op::Load, Op::Update]);

    setup.advance(3 * 3600);
    setup.with_token(&token, read).await;
    assert_eq!(setup.calls(), [Op::Load, Op::Touch]);
}

#[tokio::test]
async fn a_visitor_who_writes_nothing_gets_no_session() {
    let setup = Setup::new();
    let response = setup
        .request(&Head::get(), async |session| {
            assert!(session.get::<String>("a").await.unwrap().is_none());
            assert!(!session.remove("a").await.unwrap());
            200
        })
        .await;
    assert!(setup.calls().is_empty());
    assert_eq!(response.set_cookie(), None);
    assert!(response.is_private(), "it looked");
}

#[tokio::test]
async fn the_first_write_gives_the_default_cookie() {
    let setup = Setup::new();
    let response = setup
        .request(&Head::post(), async |session| {
            session.insert("a", "b").await.unwrap();
            200
        })
        .await;
    let token = response.token().unwrap();
    assert_eq!(
        response.set_cookie().unwrap(),
        format!("__Host-session={token}; Path=/; Secure; HttpOnly; SameSite=Lax")
    );
    assert!(response.is_private());
    setup
        .with_token(&token, async |session| {
            assert_eq!(session.get::<String>("a").await.unwrap().as_deref(), Some("b"));
            200
        })
        .await;
}

#[tokio::test]
async fn headers_of_the_handler_are_kept() {
    let setup = Setup::new();
    let exchange = setup.begin(&Head::get());
    exchange.handle().insert("a", "b").await.unwrap();
    let mut response = Response::of(200);
    response.headers.push(("cache-control".into(), "max-age=5".into()));
    response.headers.push(("vary".into(), "Accept".into()));
    response.headers.push(("set-cookie".into(), "theme=dark".into()));
    exchange.finish(200).await.apply(&mut response);
    assert_eq!(response.values("cache-control"), ["max-age=5"]);
    assert_eq!(response.values("vary"), ["Accept", "Cookie"]);
    assert_eq!(response.values("set-cookie").len(), 2);
}

#[tokio::test]
async fn a_store_that_is_down_is_503_and_leaves_the_cookie_alone() {
    let setup = Setup::of(|site| site.retry_after(Duration::from_secs(30)));
    let token = setup.log_in("alice").await;
    for swallows in [false, true] {
        setup.script.then(Op::Load, DOWN);
        let response = setup
            .with_token(&token, async |session| {
                let error = session.get::<String>("a").await.unwrap_err();
                assert_eq!(error.status(), 503);
                // Asked once; the rest of the request knows.
                assert_eq!(session.insert("a", "b").await.unwrap_err().status(), 503);
                assert_eq!(session.login("mallory").await.unwrap_err().status(), 503);
                if swallows { 200 } else { error.status() }
            })
            .await;
        assert_eq!((response.status, response.set_cookie()), (503, None));
        assert!(response.is_private());
        assert_eq!(response.values("retry-after"), ["30"]);
        assert!(setup.script.is_through());
    }
    assert_eq!(setup.user(&token).await.as_deref(), Some("alice"), "nothing was lost");
}

#[tokio::test]
async fn a_handler_s_own_error_page_is_kept_when_the_store_is_down() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    setup.script.then(Op::Load, DOWN);
    let response = setup
        .with_token(&token, async |session| {
            assert!(session.get::<String>("a").await.is_err());
            502
        })
        .await;
    assert_eq!((response.status, response.set_cookie()), (502, None));
}

#[tokio::test]
async fn a_route_may_carry_on_anonymously_and_still_writes_nothing() {
    for by_site in [false, true] {
        let when_down = if by_site { WhenDown::Anonymous } else { WhenDown::Unavailable };
        let setup = Setup::of(|site| site.when_down(when_down));
        let token = setup.log_in("alice").await;
        setup.script.then(Op::Load, DOWN);
        let response = setup
            .with_token(&token, async |session| {
                if !by_site {
                    session.carry_on_when_down();
                }
                assert_eq!(session.user().await.unwrap(), None);
                assert_eq!(session.csrf_token().await.unwrap(), "");
                for error in [
                    session.insert("a", "b").await.unwrap_err(),
                    session.login("mallory").await.unwrap_err(),
                    session.logout().await.unwrap_err(),
                ] {
                    assert_eq!(error.status(), 503);
                }
                200
            })
            .await;
        assert_eq!((response.status, response.set_cookie()), (200, None));
        assert!(response.is_private());
    }
}

#[tokio::test]
async fn a_commit_that_fails_is_an_error_without_a_cookie() {
    let setup = Setup::new();
    for op in [Op::Create, Op::Update] {
        let token = (op == Op::Update).then_some(setup.log_in("alice").await);
        let head = token.as_deref().map_or_else(Head::post, presenting);
        setup.script.then(op, DOWN);
        let response = setup
            .request(&head, async |session| {
                session.insert("a", "b").await.unwrap();
                200
            })
            .await;
        assert_eq!((response.status, response.set_cookie()), (503, None), "{op:?}");
        assert_eq!(response.values("retry-after"), ["5"]);
        assert!(response.is_private());
    }
    // Also when a login of the same request had gone well.
    setup.script.then(Op::Update, DOWN);
    let response = setup
        .request(&Head::post(), async |session| {
            session.login("alice").await.unwrap();
            session.insert("a", "b").await.unwrap();
            200
        })
        .await;
    assert_eq!((response.status, response.set_cookie()), (503, None));
    let response = setup
        .request(&Head::post(), async |session| {
            session.insert("a", &"x".repeat(300_000)).await.unwrap();
            404
        })
        .await;
    assert_eq!((response.status, response.set_cookie()), (500, None), "too much data");
}

#[tokio::test]
async fn an_error_of_the_handler_commits_nothing_and_a_refusal_does() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    for (status, stored) in [(500, None), (503, None), (422, Some(422)), (303, Some(303))] {
        setup
            .with_token(&token, async |session| {
                session.insert("status", &status).await.unwrap();
                status
            })
            .await;
        setup
            .with_token(&token, async |session| {
                let found = session.get::<u16>("status").await.unwrap();
                assert_eq!(found, stored, "after {status}");
                session.remove("status").await.unwrap();
                200
            })
            .await;
    }
}

#[tokio::test]
async fn what_was_written_at_once_stands_after_an_error_and_the_client_is_told() {
    let setup = Setup::new();
    let before = setup.log_in("alice").await;
    let response = setup
        .with_token(&before, async |session| {
            session.login("alice").await.unwrap();
            session.insert("a", "b").await.unwrap();
            500
        })
        .await;
    assert_eq!(response.status, 500);
    let token = response.token().unwrap();
    assert_eq!(setup.user(&token).await.as_deref(), Some("alice"));
    assert_eq!(setup.user(&before).await, None, "the old token is dead");
    let response = setup
        .with_token(&token, async |session| {
            session.logout().await.unwrap();
            500
        })
        .await;
    assert!(response.removes_the_cookie());
}

#[tokio::test]
async fn a_request_that_is_given_up_commits_nothing() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    let exchange = setup.begin(&presenting(&token));
    let handle = exchange.handle();
    handle.insert("a", "b").await.unwrap();
    drop(exchange);
    assert!(matches!(handle.insert("a", "c").await, Err(Error::Closed)));
    assert!(matches!(handle.commit().await, Err(Error::Closed)));
    assert!(matches!(handle.logout().await, Err(Error::Closed)));
    assert_eq!(setup.user(&token).await.as_deref(), Some("alice"));
    setup
        .with_token(&token, async |session| {
            assert!(!session.contains("a").await.unwrap());
            200
        })
        .await;
}

#[tokio::test]
async fn after_the_response_has_begun_the_session_can_be_read_and_not_written() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    let exchange = setup.begin(&presenting(&token));
    let handle = exchange.handle();
    handle.insert("a", "b").await.unwrap();
    let response = conclude(&exchange.finish(200).await, 200);
    assert_eq!(response.status, 200);
    assert_eq!(handle.get::<String>("a").await.unwrap().as_deref(), Some("b"));
    for closed in [
        handle.insert("a", "c").await.unwrap_err(),
        handle.login("mallory").await.unwrap_err(),
        handle.rotate().await.unwrap_err(),
        handle.log_out_everywhere().await.unwrap_err(),
    ] {
        assert!(matches!(closed, Error::Closed));
        assert_eq!(closed.status(), 500);
    }
    // A session that nobody opened is not opened any more.
    let exchange = setup.begin(&presenting(&token));
    let handle = exchange.handle();
    let _ = exchange.finish(200).await;
    setup.calls();
    assert!(matches!(handle.get::<String>("a").await, Err(Error::Closed)));
    assert!(setup.calls().is_empty());
}

#[tokio::test]
async fn one_response_has_one_cookie_whatever_the_handler_did() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    let response = setup
        .with_token(&token, async |session| {
            session.rotate().await.unwrap();
            assert_eq!(session.commit().await.unwrap(), CommitOutcome::Saved);
            let _ = session.elevate(2).await.unwrap();
            assert!(session.logout().await.unwrap());
            assert_eq!(session.user().await.unwrap(), None, "anonymous from here on");
            session.login("bob").await.unwrap();
            session.insert("a", "b").await.unwrap();
            200
        })
        .await;
    let last = response.token().unwrap();
    assert_eq!(setup.user(&last).await.as_deref(), Some("bob"));
    assert_eq!(setup.user(&token).await, None);
}

#[tokio::test]
async fn after_a_logout_the_request_is_anonymous_and_may_begin_a_session() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    let response = setup
        .with_token(&token, async |session| {
            session.logout().await.unwrap();
            assert_eq!(session.user().await.unwrap(), None);
            assert!(session.info().await.unwrap().id.is_none());
            assert!(!session.logout().await.unwrap(), "there is nothing left");
            session.flash("note", "Goodbye").await.unwrap();
            303
        })
        .await;
    let next = response.token().unwrap();
    assert_eq!(setup.user(&token).await, None);
    setup
        .with_token(&next, async |session| {
            assert_eq!(session.take_flash::<String>("note").await.unwrap(), ["Goodbye"]);
            200
        })
        .await;
}

#[tokio::test]
async fn only_the_request_that_destroyed_the_session_removes_the_cookie() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    let slow = setup.begin(&presenting(&token));
    let handle = slow.handle();
    handle.insert("a", "b").await.unwrap();
    let response = setup
        .with_token(&token, async |session| {
            session.logout().await.unwrap();
            200
        })
        .await;
    assert!(response.removes_the_cookie());
    assert_eq!(handle.commit().await.unwrap(), CommitOutcome::Missing);
    let late = conclude(&slow.finish(200).await, 200);
    assert_eq!((late.status, late.set_cookie()), (200, None));
    assert_eq!(setup.user(&token).await, None, "nothing came back");
}

#[tokio::test]
async fn a_superseded_request_stays_anonymous_and_creates_nothing() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    setup.with_token(&token, async |session| session.elevate(1).await.map_or(500, |_| 200)).await;
    setup.calls();
    let response = setup
        .with_token(&token, async |session| {
            assert_eq!(session.user().await.unwrap(), None);
            session.insert("a", "b").await.unwrap();
            assert_eq!(session.commit().await.unwrap(), CommitOutcome::Superseded);
            200
        })
        .await;
    assert_eq!((response.status, response.set_cookie()), (200, None));
    assert_eq!(setup.calls(), [Op::Load]);
    let response = setup
        .with_token(&token, async |session| session.login("bob").await.map_or(500, |()| 200))
        .await;
    assert_eq!(setup.user(&response.token().unwrap()).await.as_deref(), Some("bob"));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_dropped_half_way_is_not_built_upon() {
    let slow = conformance_tests::doubles::SlowStore::new(
        std::sync::Arc::new(session_memory::MemoryStore::new()),
        Duration::from_millis(50),
    );
    let sessions = session_core::Sessions::builder(std::sync::Arc::new(slow)).build().unwrap();
    let sites = sessions.into();
    let exchange = session_http::Exchange::begin(&sites, &Head::post());
    let handle = exchange.handle();
    handle.user().await.unwrap();
    let login = tokio::time::timeout(Duration::from_millis(1), handle.login("alice"));
    assert!(login.await.is_err());
    assert!(matches!(handle.insert("a", "b").await, Err(Error::Interrupted)));
    let response = conclude(&exchange.finish(200).await, 200);
    assert_eq!((response.status, response.set_cookie()), (503, None));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_was_dropped_half_way_may_be_repeated() {
    let slow = conformance_tests::doubles::SlowStore::new(
        std::sync::Arc::new(session_memory::MemoryStore::new()),
        Duration::from_millis(50),
    );
    let sessions = session_core::Sessions::builder(std::sync::Arc::new(slow)).build().unwrap();
    let sites = sessions.into();
    let token = session_core::SessionToken::random(&session_core::OsRandom).unwrap();
    let head = presenting(token.encode().as_str());
    let exchange = session_http::Exchange::begin(&sites, &head);
    let handle = exchange.handle();
    let look = tokio::time::timeout(Duration::from_millis(1), handle.user());
    assert!(look.await.is_err());
    assert_eq!(handle.user().await.unwrap(), None);
    assert_eq!(conclude(&exchange.finish(200).await, 200).status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_of_one_request_share_its_session() {
    let setup = Setup::new();
    let exchange = setup.begin(&Head::post());
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let handle = exchange.handle();
            tokio::spawn(async move {
                handle.alter("n", |n: Option<u64>| n.unwrap_or(0) + 1).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let response = conclude(&exchange.finish(200).await, 200);
    assert_eq!(setup.calls(), [Op::Create], "one session, one write");
    setup
        .with_token(&response.token().unwrap(), async |session| {
            assert_eq!(session.get::<u64>("n").await.unwrap(), Some(100));
            200
        })
        .await;
}

#[tokio::test]
async fn a_persistent_cookie_is_kept_until_the_absolute_deadline() {
    let setup = Setup::of(|site| site.cookie(CookiePolicy::server_rendered()));
    let token = setup.log_in("alice").await;
    setup.advance(3600);
    let response = setup.with_token(&token, async |session| {
        session.rotate().await.unwrap();
        200
    });
    let left = 14 * 24 * 3600 - 3600;
    let response = response.await;
    assert!(response.set_cookie().unwrap().contains(&format!("; Max-Age={left};")), "{response:?}");
}

#[tokio::test]
async fn bearer_tokens_travel_in_headers() {
    let setup = Setup::of(|site| site.bearer(BearerPolicy::new()));
    let login = async |session: session_http::SessionHandle| {
        session.login("alice").await.unwrap();
        200
    };
    let response = setup.request(&Head::post(), login).await;
    assert_eq!(response.set_cookie(), None);
    assert_eq!(response.values("vary"), ["Authorization"]);
    assert_eq!(response.values("cache-control"), ["private, no-store"]);
    let token = response.values("session-token")[0].to_owned();
    let bearer = Head::get().with("authorization", format!("Bearer {token}"));
    let response = setup
        .request(&bearer, async |session| {
            assert_eq!(session.user().await.unwrap().as_deref(), Some("alice"));
            session.logout().await.unwrap();
            200
        })
        .await;
    assert_eq!(response.values("session-token"), ["none"]);
    let twice = bearer.with("authorization", format!("Bearer {token}"));
    setup
        .request(&twice, async |session| {
            assert_eq!(session.user().await.unwrap(), None);
            200
        })
        .await;
    // A cookie is not looked at here.
    let again = setup.request(&Head::post(), login).await;
    let token = again.values("session-token")[0].to_owned();
    setup
        .request(&presenting(&token), async |session| {
            assert_eq!(session.user().await.unwrap(), None);
            200
        })
        .await;
}

#[tokio::test]
async fn kinds_of_errors_have_their_status() {
    let setup = Setup::new();
    setup
        .request(&Head::get(), async |session| {
            assert_eq!(session.elevate(1).await.unwrap_err().status(), 401);
            assert_eq!(session.devices().await.unwrap_err().status(), 401);
            assert_eq!(session.log_out_others().await.unwrap_err().status(), 401);
            assert_eq!(session.login("").await.unwrap_err().status(), 500);
            session.insert("a", "text").await.unwrap();
            assert_eq!(session.get::<u64>("a").await.unwrap_err().status(), 500);
            200
        })
        .await;
    let token = setup.log_in("alice").await;
    for (kind, status) in [
        (StoreErrorKind::Timeout, 503),
        (StoreErrorKind::Overloaded, 503),
        (StoreErrorKind::ReadOnly, 503),
        (StoreErrorKind::Denied, 503),
        (StoreErrorKind::UnsupportedFormat, 503),
    ] {
        setup.script.then(Op::Load, Fault::Before(kind));
        setup
            .with_token(&token, async |session| {
                assert_eq!(session.user().await.unwrap_err().status(), status, "{kind:?}");
                status
            })
            .await;
    }
}
