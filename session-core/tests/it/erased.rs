//! What is built for code on top: sessions without the type of their store, and when they were last used.

use std::sync::Arc;
use std::time::Duration;

use session_core::{ManualClock, PageRequest, SessionStore, Sessions, TokenChange};
use session_memory::MemoryStore;

#[tokio::test]
async fn erased_sessions_are_the_same_sessions() {
    let sessions = Sessions::builder(Arc::new(MemoryStore::new())).build().unwrap();
    let erased: Sessions<dyn SessionStore> = sessions.erased();
    let mut session = erased.open(None).await.unwrap();
    erased.login(&mut session, erased.subject("alice").unwrap()).await.unwrap();
    let TokenChange::Set(token) = session.token_change() else { panic!("a login gives a token") };
    let seen = sessions.open(Some(token.encode().as_bytes())).await.unwrap();
    assert_eq!(seen.subject().unwrap().name(), "alice");
}

#[tokio::test]
async fn last_use_is_known_to_within_a_tenth_of_the_idle_time() {
    let clock = ManualClock::starting_now();
    let store = Arc::new(MemoryStore::new());
    let sessions = Sessions::builder(store).clock(clock.clone()).build().unwrap();
    let alice = sessions.subject("alice").unwrap();
    let mut session = sessions.open(None).await.unwrap();
    sessions.login(&mut session, alice.clone()).await.unwrap();
    let last_used = async || {
        let page = sessions.list(&alice, &PageRequest::first(1)).await.unwrap();
        sessions.last_used(&page.items[0])
    };
    assert_eq!(last_used().await, session.created_at().unwrap());
    let hour = Duration::from_secs(3600);
    for hours in 1..=40_u32 {
        clock.advance(hour);
        let _ = sessions.commit(&mut session).await.unwrap();
        let ago = sessions.now().since(last_used().await);
        assert!(ago < hour * 24 / 10 + hour * 24 / 20, "{ago:?} after {hours} hours");
    }
}
