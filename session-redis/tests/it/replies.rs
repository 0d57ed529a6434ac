//! The server's refusals: each from a real server in that state.

use std::time::Duration;

use conformance_tests::servers::{Readiness, RedisOptions, RedisServer};
use session_core::{
    CreateOutcome, PageRequest, SessionStore, StoreErrorKind, SubjectIndex, TouchOutcome,
};
use session_redis::RedisStore;

use crate::support::{
    Raw, alice, impatient, kind, login, minutes, now, own_server, record, revision, within,
};

fn set(server: &RedisServer, setting: &str, value: &str) {
    server.command(&["CONFIG", "SET", setting, value]).unwrap();
}

#[tokio::test]
async fn f11_readonly_a_primary_that_became_a_replica_is_left_and_found_again() {
    let server = own_server(RedisOptions::new()).await;
    let store = impatient(&server.url()).await;
    let session = login();
    store.create(&session, now()).await.unwrap();

    server.command(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    assert_eq!(kind(store.create(&record(), now()).await), StoreErrorKind::ReadOnly);
    // The connection has been retired, and no new one is made to a replica: not even to read.
    assert_eq!(kind(store.load(session.id(), now()).await), StoreErrorKind::ReadOnly);
    assert_eq!(kind(store.delete(session.id(), now()).await), StoreErrorKind::ReadOnly);

    server.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    within(Duration::from_secs(5), || store.load(session.id(), now())).await.unwrap();
    assert!(store.delete(session.id(), now()).await.unwrap());
}

#[tokio::test]
async fn f11_readonly_is_the_answer_of_every_write() {
    for write in 0..5 {
        let server = own_server(RedisOptions::new()).await;
        let store = impatient(&server.url()).await;
        let session = login();
        store.create(&session, now()).await.unwrap();
        server.command(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
        let kind = match write {
            0 => kind(store.create(&login(), now()).await),
            1 => kind(store.update(&session.change(revision()), now()).await),
            2 => kind(store.touch(session.id(), now().plus(minutes(50)), now()).await),
            3 => kind(store.delete(session.id(), now()).await),
            _ => kind(store.delete_all(&alice(), None, now()).await),
        };
        assert_eq!(kind, StoreErrorKind::ReadOnly, "write {write}");
    }
}

#[tokio::test]
async fn f13_oom_refuses_growth_and_lets_sessions_be_touched_and_ended() {
    let server = own_server(RedisOptions::new()).await;
    let store = impatient(&server.url()).await;
    let session = login();
    store.create(&session, now()).await.unwrap();
    // Scripts have to be known: an unknown one is refused as well.
    store.touch(session.id(), now().plus(minutes(40)), now()).await.unwrap();
    let second = login();
    store.create(&second, now()).await.unwrap();
    store.delete(second.id(), now()).await.unwrap();

    set(&server, "maxmemory", "1mb");
    assert_eq!(kind(store.create(&record(), now()).await), StoreErrorKind::Overloaded);
    assert_eq!(kind(store.create(&login(), now()).await), StoreErrorKind::Overloaded);
    let change = session.change(revision()).payload("more");
    assert_eq!(kind(store.update(&change, now()).await), StoreErrorKind::Overloaded);
    assert!(store.load(session.id(), now()).await.unwrap().is_some());
    let later = now().plus(minutes(50));
    assert_eq!(store.touch(session.id(), later, now()).await.unwrap(), TouchOutcome::Touched);
    assert_eq!(store.load(session.id(), now()).await.unwrap().unwrap().expires_at(), later);
    assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 1, "logout works");
}

#[tokio::test]
async fn f12_misconf_a_server_that_cannot_save_takes_no_writes() {
    let options = RedisOptions::new().config("save", "3600 1").config("dbfilename", "taken.rdb");
    let server = own_server(options).await;
    let store = impatient(&server.url()).await;
    let session = login();
    store.create(&session, now()).await.unwrap();

    // A folder in the place of the file: not even root can save there.
    std::fs::create_dir(server.folder().join("taken.rdb")).unwrap();
    server.command(&["BGSAVE"]).unwrap();
    let failed = || {
        let info = server.command(&["INFO", "persistence"]).unwrap();
        info.contains("rdb_last_bgsave_status:err")
    };
    while !failed() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(kind(store.create(&record(), now()).await), StoreErrorKind::ReadOnly);
    assert_eq!(
        kind(store.update(&session.change(revision()), now()).await),
        StoreErrorKind::ReadOnly
    );
    // A logout that the server refuses is an error, not a logout.
    assert_eq!(kind(store.delete(session.id(), now()).await), StoreErrorKind::ReadOnly);
    assert!(store.load(session.id(), now()).await.unwrap().is_some());
    let report = store.check(now()).await.unwrap();
    assert_eq!(report.snapshot_ok, Some(false));

    set(&server, "stop-writes-on-bgsave-error", "no");
    assert!(store.delete(session.id(), now()).await.unwrap());
}

#[tokio::test]
async fn noreplicas_a_primary_that_lost_its_replicas_takes_no_writes() {
    let server = own_server(RedisOptions::new()).await;
    let store = impatient(&server.url()).await;
    let session = login();
    store.create(&session, now()).await.unwrap();
    set(&server, "min-replicas-to-write", "1");
    assert_eq!(kind(store.create(&record(), now()).await), StoreErrorKind::ReadOnly);
    assert_eq!(kind(store.create(&login(), now()).await), StoreErrorKind::ReadOnly);
    assert_eq!(
        kind(store.update(&session.change(revision()), now()).await),
        StoreErrorKind::ReadOnly
    );
    assert_eq!(kind(store.delete(session.id(), now()).await), StoreErrorKind::ReadOnly);
    set(&server, "min-replicas-to-write", "0");
    assert!(store.delete(session.id(), now()).await.unwrap());
}

#[tokio::test]
async fn f15_loading_a_server_that_reads_its_data_is_unavailable_and_not_empty() {
    let options = RedisOptions::new()
        .config("key-load-delay", "1000")
        .config("loading-process-events-interval-bytes", "1024")
        .ready_when(Readiness::Answering);
    let server = own_server(options).await;
    let store = impatient(&server.url()).await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    let fill = "for i = 1, 2000 do redis.call('SET', 'filler' .. i, string.rep('x', 1000)) end";
    server.command(&["EVAL", fill, "0"]).unwrap();
    server.command(&["SAVE"]).unwrap();
    let server = tokio::task::spawn_blocking(move || {
        server.restart().unwrap();
        server
    })
    .await
    .unwrap();

    let mut loading = 0;
    let loaded = loop {
        match store.load(session.id(), now()).await {
            Ok(loaded) => break loaded,
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Unavailable);
                loading += u32::from(text(&error).contains("LOADING"));
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(loading > 0, "the server was seen loading");
    assert!(loaded.is_some());
    drop(server);
}

/// The text of an error and of all that caused it.
fn text(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", text(source)),
        None => error.to_string(),
    }
}

#[tokio::test]
async fn f19_wrongtype_is_corrupt() {
    let (store, mut raw) = crate::support::store().await;
    let session = record();
    let key = raw.record_key(session.id());
    let _: i64 = raw.run(redis::cmd("RPUSH").arg(&key).arg("x")).await;
    let error = store.load(session.id(), now()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(text(&error).contains("WRONGTYPE"));
}

#[tokio::test]
async fn f21_noauth_and_wrong_passwords_are_denied_and_never_shown() {
    let server = own_server(RedisOptions::new().password("right-canary")).await;
    let address = server.url().rsplit_once('@').unwrap().1.to_owned();
    for url in [
        format!("redis://{address}"),
        format!("redis://:wrong-canary@{address}"),
        format!("redis://nobody:wrong-canary@{address}"),
    ] {
        let error = RedisStore::connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Denied);
        assert!(!format!("{error:?} {}", text(&error)).contains("canary"));
    }
    let store = impatient(&server.url()).await;
    assert_eq!(store.create(&record(), now()).await.unwrap(), CreateOutcome::Created);
    // The password changes, and connections that used the old one are ended.
    set(&server, "requirepass", "new-canary");
    let denied = async || loop {
        let mut raw = redis::Client::open(format!("redis://:new-canary@{address}"))
            .unwrap()
            .get_multiplexed_async_connection()
            .await
            .unwrap();
        let () = redis::cmd("CLIENT")
            .arg("KILL")
            .arg("TYPE")
            .arg("normal")
            .query_async(&mut raw)
            .await
            .unwrap();
        if let Err(error) = store.load(record().id(), now()).await {
            break error;
        }
    };
    let error = denied().await;
    assert_eq!(error.kind(), StoreErrorKind::Denied, "{error:?}");
    assert!(!format!("{error:?}").contains("canary"));
}

#[tokio::test]
async fn noperm_a_user_who_may_not_is_denied() {
    let server = own_server(RedisOptions::new()).await;
    server.command(&["ACL", "SETUSER", "reader", "on", ">secret", "~*", "+getrange"]).unwrap();
    let url = server.url().replace("redis://", "redis://reader:secret@");
    let store = impatient(&url).await;
    assert_eq!(store.load(record().id(), now()).await.unwrap(), None);
    let session = login();
    assert_eq!(kind(store.create(&record(), now()).await), StoreErrorKind::Denied);
    assert_eq!(kind(store.create(&session, now()).await), StoreErrorKind::Denied);
    assert_eq!(
        kind(store.update(&session.change(revision()), now()).await),
        StoreErrorKind::Denied
    );
    assert_eq!(kind(store.touch(session.id(), now(), now()).await), StoreErrorKind::Denied);
    assert_eq!(kind(store.delete(session.id(), now()).await), StoreErrorKind::Denied);
    assert_eq!(
        kind(store.list(&alice(), &PageRequest::first(1), now()).await),
        StoreErrorKind::Denied
    );
    assert_eq!(kind(store.delete_all(&alice(), None, now()).await), StoreErrorKind::Denied);
}

#[tokio::test]
async fn f14_a_server_with_too_many_clients_is_overloaded() {
    let server = own_server(RedisOptions::new()).await;
    let _first = Raw::open(&server.url(), "x").await;
    set(&server, "maxclients", "1");
    let error = RedisStore::connect(&server.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Overloaded, "{error:?}");
}

#[tokio::test]
async fn f14_connections_that_are_there_work_on_and_new_ones_come_when_there_is_room() {
    let server = own_server(RedisOptions::new()).await;
    let store = impatient(&server.url()).await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    set(&server, "maxclients", "1");
    assert!(store.load(session.id(), now()).await.unwrap().is_some(), "on the old connection");
    let other = RedisStore::builder()
        .prefix(store.prefix().to_owned())
        .connect_lazily(&server.url())
        .unwrap();
    for _ in 0..3 {
        let error = other.load(session.id(), now()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Overloaded, "{error:?}");
        assert!(error.is_retryable());
    }
    drop(store);
    within(Duration::from_secs(5), || other.load(session.id(), now())).await.unwrap();
}
