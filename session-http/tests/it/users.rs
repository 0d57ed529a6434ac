//! Logins, devices, flash messages and typed access, as handlers use them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use session_core::CredentialTag;
use session_http::SessionHandle;

use crate::setup::{Head, Setup, presenting};

#[tokio::test]
async fn a_login_changes_the_token_and_drops_what_was_there_before() {
    let setup = Setup::new();
    let response = setup
        .request(&Head::post(), async |session| {
            session.insert("cart", &["tea"]).await.unwrap();
            session.insert("planted", "evil").await.unwrap();
            200
        })
        .await;
    let before = response.token().unwrap();
    let response = setup
        .with_token(&before, async |session| {
            session.login_keeping("alice", &["cart"]).await.unwrap();
            303
        })
        .await;
    let after = response.token().unwrap();
    assert_ne!(before, after);
    setup
        .with_token(&after, async |session| {
            assert_eq!(session.user().await.unwrap().as_deref(), Some("alice"));
            let cart = session.get::<Vec<String>>("cart").await.unwrap();
            assert_eq!(cart.unwrap(), ["tea"]);
            assert!(!session.contains("planted").await.unwrap());
            200
        })
        .await;
    assert_eq!(setup.user(&before).await, None);
}

#[tokio::test]
async fn a_login_may_carry_a_level_and_a_tag() {
    let setup = Setup::new();
    let response = setup
        .request(&Head::post(), async |session| {
            let tag = CredentialTag::new(b"v7").unwrap();
            session.login_as("alice", |it| it.level(2).credential_tag(tag)).await.unwrap();
            200
        })
        .await;
    setup
        .with_token(&response.token().unwrap(), async |session| {
            let info = session.info().await.unwrap();
            assert_eq!(info.authentication.unwrap().level, 2);
            assert_eq!(info.credential_tag.unwrap().as_bytes(), b"v7");
            assert!(!format!("{:?}", session.info().await.unwrap()).contains("alice"));
            200
        })
        .await;
}

#[tokio::test]
async fn a_step_up_is_asked_for_again_after_its_own_time() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    let age = Duration::from_secs(300);
    let is_fresh = async |token: &str| {
        let mut fresh = None;
        setup
            .with_token(token, async |session| {
                fresh = Some(session.is_fresh(age).await.unwrap());
                session.insert("used", "again").await.unwrap();
                200
            })
            .await;
        fresh.unwrap()
    };
    assert!(is_fresh(&token).await);
    setup.advance(301);
    assert!(!is_fresh(&token).await, "use does not refresh it");
    let response = setup
        .with_token(&token, async |session| {
            let _ = session.elevate(3).await.unwrap();
            200
        })
        .await;
    assert!(is_fresh(&response.token().unwrap()).await);
}

#[tokio::test]
async fn devices_are_listed_and_ended() {
    let setup = Setup::new();
    let laptop = setup.log_in("alice").await;
    setup.advance(60);
    let phone = setup.log_in("alice").await;
    let others = setup.log_in("bob").await;
    let mut ids = Vec::new();
    setup
        .with_token(&laptop, async |session| {
            let devices = session.devices().await.unwrap();
            assert_eq!(devices.len(), 2);
            assert!(devices[0].is_current && !devices[1].is_current);
            assert!(devices[1].created_at > devices[0].created_at);
            assert!(devices.iter().all(|it| it.last_used >= it.created_at));
            ids = devices.iter().map(|it| it.id).collect();
            200
        })
        .await;
    // Another user's id ends nothing.
    setup
        .with_token(&others, async |session| {
            assert!(!session.log_out(&ids[1]).await.unwrap());
            200
        })
        .await;
    assert!(setup.user(&phone).await.is_some());
    let response = setup
        .with_token(&laptop, async |session| {
            assert!(session.log_out(&ids[1]).await.unwrap());
            assert!(!session.log_out(&ids[1]).await.unwrap());
            200
        })
        .await;
    assert_eq!(response.set_cookie(), None);
    assert_eq!(setup.user(&phone).await, None);
    // The own one is a logout.
    let response = setup
        .with_token(&laptop, async |session| {
            assert!(session.log_out(&ids[0]).await.unwrap());
            200
        })
        .await;
    assert!(response.removes_the_cookie());
    assert_eq!(setup.user(&laptop).await, None);
    assert!(setup.user(&others).await.is_some());
}

#[tokio::test]
async fn last_use_is_shown_to_within_a_tenth() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    let idle = 24 * 3600;
    setup.advance(idle / 2);
    setup.user(&token).await;
    setup.advance(60);
    setup
        .with_token(&token, async |session| {
            let device = session.devices().await.unwrap().remove(0);
            let ago = setup.sessions.now().since(device.last_used);
            assert!(ago <= Duration::from_secs(60 + idle / 10), "{ago:?}");
            200
        })
        .await;
}

#[tokio::test]
async fn all_others_are_ended_and_this_one_goes_on_with_a_new_token() {
    let setup = Setup::new();
    let here = setup.log_in("alice").await;
    let there = [setup.log_in("alice").await, setup.log_in("alice").await];
    let response = setup
        .with_token(&here, async |session| {
            assert_eq!(session.log_out_others().await.unwrap(), 2);
            200
        })
        .await;
    let next = response.token().unwrap();
    for ended in there.iter().chain([&here]) {
        assert_eq!(setup.user(ended).await, None);
    }
    assert_eq!(setup.user(&next).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn everywhere_is_here_too() {
    let setup = Setup::new();
    let here = setup.log_in("alice").await;
    let there = setup.log_in("alice").await;
    let response = setup
        .with_token(&here, async |session| {
            assert_eq!(session.log_out_everywhere().await.unwrap(), 2);
            assert_eq!(session.user().await.unwrap(), None);
            200
        })
        .await;
    assert!(response.removes_the_cookie());
    for ended in [here, there] {
        assert_eq!(setup.user(&ended).await, None);
    }
}

#[tokio::test]
async fn trouble_while_logging_out_everywhere_leaves_the_session_to_try_again() {
    use conformance_tests::doubles::{Fault, Op};
    use session_core::StoreErrorKind;

    let setup = Setup::new();
    let here = setup.log_in("alice").await;
    setup.script.then(Op::DeleteAll, Fault::Before(StoreErrorKind::Unavailable));
    let response = setup
        .with_token(&here, async |session| {
            let error = session.log_out_everywhere().await.unwrap_err();
            error.status()
        })
        .await;
    assert_eq!((response.status, response.set_cookie()), (503, None));
    assert_eq!(setup.user(&here).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_logout_that_fails_is_no_success_and_leaves_the_cookie() {
    use conformance_tests::doubles::{Fault, Op};
    use session_core::StoreErrorKind;

    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    setup.script.then(Op::Delete, Fault::Before(StoreErrorKind::Unavailable));
    let response = setup
        .with_token(&token, async |session| {
            session.logout().await.map_or_else(|e| e.status(), |_| 200)
        })
        .await;
    assert_eq!((response.status, response.set_cookie()), (503, None));
    assert!(setup.user(&token).await.is_some());
}

#[tokio::test]
async fn flash_crosses_a_redirect_once_and_is_kept_on_demand() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    setup
        .with_token(&token, async |session| {
            session.flash("note", "Saved").await.unwrap();
            303
        })
        .await;
    let take = async |keep: bool, status: u16| {
        let mut seen = Vec::new();
        setup
            .with_token(&token, async |session: SessionHandle| {
                seen = session.take_flash::<String>("note").await.unwrap();
                if keep {
                    session.keep("note").await.unwrap();
                }
                status
            })
            .await;
        seen
    };
    assert_eq!(take(false, 500).await, ["Saved"], "shown again after an error");
    assert_eq!(take(true, 303).await, ["Saved"]);
    assert_eq!(take(false, 200).await, ["Saved"]);
    assert!(take(false, 200).await.is_empty());
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Preferences {
    theme: String,
    size: u8,
}

#[tokio::test]
async fn whole_structs_are_read_and_written() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    setup
        .with_token(&token, async |session| {
            session.insert("other", &1).await.unwrap();
            let dark = Preferences { theme: "dark".into(), size: 12 };
            session.write(&dark).await.unwrap();
            assert_eq!(session.read::<Preferences>().await.unwrap(), dark);
            200
        })
        .await;
    setup
        .with_token(&token, async |session| {
            assert_eq!(session.get::<u8>("size").await.unwrap(), Some(12));
            assert!(session.contains("other").await.unwrap());
            session.clear().await.unwrap();
            200
        })
        .await;
    setup
        .with_token(&token, async |session| {
            assert_eq!(session.read::<Preferences>().await.unwrap(), Preferences::default());
            assert!(!session.contains("other").await.unwrap());
            200
        })
        .await;
}

#[tokio::test]
async fn two_requests_keep_both_changes() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    let one = setup.begin(&presenting(&token));
    let two = setup.begin(&presenting(&token));
    one.handle().insert("a", &1).await.unwrap();
    two.handle().insert("b", &2).await.unwrap();
    let _ = one.finish(200).await;
    let _ = two.finish(200).await;
    setup
        .with_token(&token, async |session| {
            assert!(session.contains("a").await.unwrap() && session.contains("b").await.unwrap());
            200
        })
        .await;
}

#[tokio::test]
async fn several_changes_belong_together_and_a_merge_may_be_forbidden() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    let one = setup.begin(&presenting(&token));
    one.handle()
        .change(|data| {
            data.require_unchanged(["stock"]);
            data.insert("order", &1)
        })
        .await
        .unwrap()
        .unwrap();
    setup
        .with_token(&token, async |session| {
            session.insert("stock", &0).await.unwrap();
            200
        })
        .await;
    assert_eq!(crate::setup::conclude(&one.finish(200).await, 200).status, 409);
}
