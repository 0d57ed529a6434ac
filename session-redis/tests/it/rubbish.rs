//! What is stored is not what we wrote.

use session_core::{
    PageRequest, SessionStore, StoreErrorKind, SubjectIndex, Timestamp, TouchOutcome, UpdateOutcome,
};

use crate::support::{Raw, alice, kind, login, minutes, now, record, record_with, revision, store};

/// Every operation on a record that cannot be read, as contract rule X04 has it.
async fn assert_corrupt(
    store: &session_redis::RedisStore,
    raw: &mut Raw,
    like: &session_core::Record,
) {
    let id = like.id();
    let stored = raw.get(id).await;
    assert_eq!(kind(store.load(id, now()).await), StoreErrorKind::Corrupt);
    assert_eq!(store.create(like, now()).await.unwrap(), session_core::CreateOutcome::Exists);
    assert_eq!(raw.get(id).await, stored, "kept as it is");
    assert!(!store.delete(id, now()).await.unwrap());
    assert!(!store.delete(id, now()).await.unwrap());
    assert_eq!(store.load(id, now()).await.unwrap(), None);
}

#[tokio::test]
async fn f19_other_types_of_value_are_corrupt_and_can_be_deleted() {
    let (store, mut raw) = store().await;
    for command in ["RPUSH", "SADD", "HSET", "ZADD"] {
        let session = login();
        let key = raw.record_key(session.id());
        let mut rubbish = redis::cmd(command);
        rubbish.arg(&key);
        match command {
            "HSET" => rubbish.arg("field").arg("value"),
            "ZADD" => rubbish.arg(1).arg("member"),
            _ => rubbish.arg("item"),
        };
        let _: i64 = raw.run(&rubbish).await;
        assert_eq!(
            kind(store.load(session.id(), now()).await),
            StoreErrorKind::Corrupt,
            "{command}"
        );
        assert_eq!(
            kind(store.update(&session.change(revision()), now()).await),
            StoreErrorKind::Corrupt
        );
        let touched = store.touch(session.id(), now().plus(minutes(99)), now()).await;
        assert_eq!(kind(touched), StoreErrorKind::Corrupt);
        assert!(
            !store.delete_one(&alice(), session.id(), now()).await.unwrap(),
            "not known to be Alice's"
        );
        assert!(!store.delete(session.id(), now()).await.unwrap());
        assert_eq!(store.load(session.id(), now()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_string_of_64_megabytes_is_corrupt_and_is_not_fetched() {
    let (store, mut raw) = store().await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    let key = raw.record_key(session.id());
    let _: i64 = raw.run(redis::cmd("SETRANGE").arg(&key).arg(64 << 20).arg("x")).await;
    let sent = async |raw: &mut Raw| -> u64 {
        let info: String = raw.run(redis::cmd("INFO").arg("stats")).await;
        let line = info.lines().find_map(|line| line.strip_prefix("total_net_output_bytes:"));
        line.unwrap().parse().unwrap()
    };
    let before = sent(&mut raw).await;
    assert_eq!(kind(store.load(session.id(), now()).await), StoreErrorKind::Corrupt);
    assert!(!store.delete(session.id(), now()).await.unwrap(), "corrupt, so not live");
    assert!(sent(&mut raw).await - before < 32 << 20);
    assert_eq!(store.load(session.id(), now()).await.unwrap(), None);
}

#[tokio::test]
async fn f19_truncated_and_longer_records_are_corrupt() {
    let (store, mut raw) = store().await;
    let session = login();
    store.create(&session, now()).await.unwrap();
    let whole = raw.get(session.id()).await.unwrap();
    for length in 1..whole.len() {
        raw.set(session.id(), &whole[..length]).await;
        assert_eq!(
            kind(store.load(session.id(), now()).await),
            StoreErrorKind::Corrupt,
            "{length}"
        );
        assert!(!store.delete(session.id(), now()).await.unwrap(), "{length}");
    }
    let longer = [&whole[..], b"x"].concat();
    raw.set(session.id(), &longer).await;
    assert_corrupt(&store, &mut raw, &session).await;
    raw.set(session.id(), b"\x04rubbish").await;
    assert_corrupt(&store, &mut raw, &session).await;
}

#[tokio::test]
async fn impossible_times_are_corrupt_and_never_immortal() {
    let (store, mut raw) = store().await;
    for bad in [i64::MIN, -1, i64::try_from(Timestamp::MAX.as_millis()).unwrap() + 1, i64::MAX] {
        for at in [12, 20, 28] {
            let session = login();
            store.create(&session, now()).await.unwrap();
            let mut stored = raw.get(session.id()).await.unwrap();
            stored[at..at + 8].copy_from_slice(&bad.to_be_bytes());
            raw.set(session.id(), &stored).await;
            if at < 28 {
                let change = session.change(revision());
                assert_eq!(kind(store.update(&change, now()).await), StoreErrorKind::Corrupt);
                let touched = store.touch(session.id(), now().plus(minutes(99)), now()).await;
                assert_eq!(kind(touched), StoreErrorKind::Corrupt);
            }
            assert_corrupt(&store, &mut raw, &session).await;
        }
    }
}

#[tokio::test]
async fn a_record_that_is_over_is_over_though_its_key_never_expires() {
    let (store, mut raw) = store().await;
    for over in [
        record_with(|parts| parts.expires_at = now().minus(minutes(1))),
        record_with(|parts| parts.deadline = now().minus(minutes(1))),
    ] {
        store.create(&over, now()).await.unwrap();
        let key = raw.record_key(over.id());
        let persisted: i64 = raw.run(redis::cmd("PERSIST").arg(&key)).await;
        assert_eq!(persisted, 1);
        assert_eq!(store.load(over.id(), now()).await.unwrap(), None);
        let change = over.change(revision()).expires_at(now().plus(minutes(9)));
        assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Missing);
        let touched = store.touch(over.id(), now().plus(minutes(9)), now()).await.unwrap();
        assert_eq!(touched, TouchOutcome::Missing);
        assert!(!store.delete(over.id(), now()).await.unwrap());
        assert_eq!(raw.get(over.id()).await, None);
    }
}

#[tokio::test]
async fn a_later_format_is_kept_listed_touched_and_deleted() {
    let (store, mut raw) = store().await;
    let session = login();
    store.create(&session, now()).await.unwrap();
    let mut stored = raw.get(session.id()).await.unwrap();
    stored[3] = 2;
    stored.resize(400_000, 0xee);
    raw.set(session.id(), &stored).await;

    assert_eq!(kind(store.load(session.id(), now()).await), StoreErrorKind::UnsupportedFormat);
    let change = session.change(revision());
    assert_eq!(kind(store.update(&change, now()).await), StoreErrorKind::UnsupportedFormat);
    assert_eq!(raw.get(session.id()).await.unwrap(), stored, "kept as it is");
    let later = session.expires_at().plus(minutes(5));
    assert_eq!(store.touch(session.id(), later, now()).await.unwrap(), TouchOutcome::Touched);
    let page = store.list(&alice(), &PageRequest::first(9), now()).await.unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!(page.items[0].expires_at, later);
    assert_eq!(kind(store.load(session.id(), later).await), StoreErrorKind::UnsupportedFormat);
    assert!(store.delete_one(&alice(), session.id(), now()).await.unwrap());
    assert_eq!(raw.get(session.id()).await, None);
}

#[tokio::test]
async fn what_cannot_be_read_is_not_listed_and_goes_with_delete_all() {
    let (store, mut raw) = store().await;
    let (whole, broken, list) = (login(), login(), login());
    for session in [&whole, &broken, &list] {
        store.create(session, now()).await.unwrap();
    }
    raw.set(broken.id(), b"SES").await;
    let key = raw.record_key(list.id());
    let _: i64 = raw.run(redis::cmd("DEL").arg(&key)).await;
    let _: i64 = raw.run(redis::cmd("RPUSH").arg(&key).arg("x")).await;
    let page = store.list(&alice(), &PageRequest::first(9), now()).await.unwrap();
    assert_eq!(page.items, [whole.summary()]);
    assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 1);
    for session in [&whole, &broken, &list] {
        assert_eq!(store.load(session.id(), now()).await.unwrap(), None);
    }
}
