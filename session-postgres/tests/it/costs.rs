//! What a touch writes.

use session_core::SessionStore as _;

use crate::support::{login, minutes, now, revision, store};

#[tokio::test]
async fn touches_and_updates_write_to_no_index() {
    let (store, raw) = store().await;
    let sessions: Vec<_> = (0..200).map(|_| login()).collect();
    for session in &sessions {
        let _ = store.create(session, now()).await.unwrap();
    }
    let statistics = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = '{table}'::regclass";
    let mut revisions = sessions.clone();
    for round in 1..=20 {
        for (session, latest) in sessions.iter().zip(&mut revisions) {
            let _ =
                store.touch(session.id(), now().plus(minutes(30 + round)), now()).await.unwrap();
            if round % 10 == 0 {
                let change = latest.change(revision()).payload("something else");
                let _ = store.update(&change, now()).await.unwrap();
                *latest = change.record().clone();
            }
        }
    }
    // A connection reports what it did when it is idle for a second, or ends.
    drop(store);
    let (mut updates, mut hot) = (0, 0);
    for _ in 0..200 {
        use sqlx::Row as _;
        let row = raw.row(statistics).await;
        (updates, hot) = (row.get::<i64, _>(0), row.get::<i64, _>(1));
        if updates >= 200 * 22 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(updates, 200 * 22);
    assert!(hot * 100 >= updates * 95, "{hot} of {updates} updates were HOT");
}
