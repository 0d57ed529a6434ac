//! What the service and the network do to a call: each answer, and how often DynamoDB was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Provided;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{Credentials, IdentityCache, ProvideCredentials};
use session_core::{
    CreateOutcome, Inspect, PageRequest, Record, SessionStore, StoreError, StoreErrorKind as Kind,
    SubjectIndex, TouchOutcome, UpdateOutcome,
};
use session_dynamo::DynamoStore;

use crate::proxy::{ANY, Act, Proxy};
use crate::support::{
    alice, builder, everything_about, impatient, kind, login, minutes, now, record, revision,
    store_behind_proxy,
};

/// As many sends as the default settings allow.
const ALL: usize = 4;

/// What becomes of each operation when DynamoDB always answers in one way: the kinds of error, and the number of
/// sends, of a create that is one.
struct Case {
    act: Act,
    read: Kind,
    create: Kind,
    write: Kind,
    sends: usize,
}

fn cases() -> Vec<Case> {
    let same = |act, kind, sends| Case { act, read: kind, create: kind, write: kind, sends };
    let unknown = |act| Case {
        act,
        read: Kind::Unavailable,
        create: Kind::OutcomeUnknown,
        write: Kind::OutcomeUnknown,
        sends: ALL,
    };
    let refuse = Act::Refuse;
    vec![
        same(refuse(400, "ProvisionedThroughputExceededException"), Kind::Overloaded, ALL),
        same(refuse(400, "ThrottlingException"), Kind::Overloaded, ALL),
        same(refuse(400, "RequestLimitExceeded"), Kind::Overloaded, ALL),
        same(refuse(400, "LimitExceededException"), Kind::Overloaded, ALL),
        same(refuse(400, "TransactionConflictException"), Kind::Overloaded, ALL),
        same(refuse(429, "SomethingNewException"), Kind::Overloaded, ALL),
        unknown(refuse(500, "InternalServerError")),
        unknown(refuse(500, "SomethingNewException")),
        unknown(refuse(503, "ServiceUnavailable")),
        unknown(Act::WebPage(502)),
        unknown(Act::WebPage(200)),
        same(refuse(400, "ExpiredTokenException"), Kind::Denied, 2),
        same(refuse(400, "AccessDeniedException"), Kind::Denied, 1),
        same(refuse(400, "UnrecognizedClientException"), Kind::Denied, 1),
        same(refuse(400, "InvalidSignatureException"), Kind::Denied, 1),
        same(refuse(400, "MissingAuthenticationToken"), Kind::Denied, 1),
        same(refuse(400, "ResourceNotFoundException"), Kind::Config, 1),
        same(refuse(400, "ResourceInUseException"), Kind::Unavailable, 1),
        same(refuse(400, "ValidationException"), Kind::Config, 1),
        same(refuse(400, "SerializationException"), Kind::Config, 1),
        same(refuse(400, "SomethingNewException"), Kind::Unavailable, 1),
        same(Act::WebPage(404), Kind::Unavailable, 1),
    ]
}

#[tokio::test]
async fn every_answer_of_the_service_has_its_kind_and_a_bounded_number_of_sends() {
    let (store, proxy, _) = store_behind_proxy().await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    for Case { act, read, create, write, sends } in cases() {
        let check = async |name: &str, kind: Kind, sends: usize, result: Result<(), StoreError>| {
            let error = result.expect_err(name);
            assert_eq!(error.kind(), kind, "{name} with {act:?}");
            assert_eq!(proxy.count(ANY), sends, "sends of {name} with {act:?}");
            assert_eq!(error.is_retryable(), kind == Kind::Overloaded || kind == Kind::Unavailable);
            let shown = everything_about(&error);
            assert!(!shown.contains("canary"), "{shown}");
            if let Act::Refuse(status, code) = act {
                assert!(shown.contains(code) && shown.contains(&status.to_string()), "{shown}");
                assert!(shown.contains("REQUEST-1"), "for the support: {shown}");
            }
            proxy.reset();
            proxy.always(ANY, act.clone());
        };
        proxy.reset();
        proxy.always(ANY, act.clone());
        let (now, later) = (now(), now().plus(minutes(60)));
        let change = session.change(revision());
        let first = PageRequest::first(10);
        check("load", read, sends, store.load(session.id(), now).await.map(drop)).await;
        check("list", read, sends, store.list(&alice(), &first, now).await.map(drop)).await;
        check("scan", read, sends, store.scan(&first, now).await.map(drop)).await;
        check("count", read, sends, store.count(now).await.map(drop)).await;
        check("create", create, 1, store.create(&record(), now).await.map(drop)).await;
        check("update", write, sends, store.update(&change, now).await.map(drop)).await;
        check("touch", write, sends, store.touch(session.id(), later, now).await.map(drop)).await;
        check("delete", write, sends, store.delete(session.id(), now).await.map(drop)).await;
        let one = store.delete_one(&alice(), session.id(), now).await;
        check("delete_one", write, sends, one.map(drop)).await;
        // The index entry comes first and harms nobody, so the record surely was not written.
        check("create for a user", read, sends, store.create(&login(), now).await.map(drop)).await;
        let all = store.delete_all(&alice(), None, now).await;
        assert_eq!(all.as_ref().unwrap_err().deleted(), Some(0));
        check("delete_all", read, sends, all.map(drop)).await;
    }
    proxy.reset();
    assert_eq!(store.load(session.id(), now()).await.unwrap(), Some(session), "as it was");
}

#[tokio::test]
async fn trouble_that_passes_is_not_noticed_but_by_a_create() {
    let (store, proxy, _) = store_behind_proxy().await;
    for (act, created) in [
        (Act::Refuse(400, "ThrottlingException"), Kind::Overloaded),
        (Act::Refuse(500, "InternalServerError"), Kind::OutcomeUnknown),
        (Act::Refuse(503, "ServiceUnavailable"), Kind::OutcomeUnknown),
        (Act::CutBefore, Kind::OutcomeUnknown),
        (Act::WebPage(502), Kind::OutcomeUnknown),
    ] {
        let session = record();
        store.create(&session, now()).await.unwrap();
        let twice = || {
            proxy.reset();
            for _ in 0..2 {
                proxy.next(ANY, act.clone());
            }
        };
        twice();
        assert_eq!(kind(store.create(&record(), now()).await), created, "{act:?}");
        assert_eq!(proxy.count(ANY), 1, "a create is sent once: {act:?}");
        twice();
        assert_eq!(store.load(session.id(), now()).await.unwrap(), Some(session.clone()));
        assert_eq!(proxy.count(ANY), 3, "{act:?}");
        twice();
        let change = session.change(revision()).payload("more");
        assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated, "{act:?}");
        assert_eq!(proxy.count(ANY), 3, "{act:?}");
        twice();
        let later = now().plus(minutes(60));
        let touched = store.touch(session.id(), later, now()).await.unwrap();
        assert_eq!((touched, proxy.count(ANY)), (TouchOutcome::Touched, 3), "{act:?}");
        twice();
        let listed = store.list(&alice(), &PageRequest::first(9), now()).await.unwrap();
        assert_eq!((listed.items.len(), proxy.count(ANY)), (0, 3), "{act:?}");
        twice();
        assert!(store.delete(session.id(), now()).await.unwrap());
        assert_eq!(proxy.count(ANY), 3, "{act:?}");
    }
}

#[tokio::test]
async fn an_index_entry_may_be_sent_again_before_a_create() {
    let (store, proxy, _) = store_behind_proxy().await;
    proxy.next("UpdateItem", Act::Refuse(400, "ThrottlingException"));
    proxy.next("UpdateItem", Act::CutAfter);
    assert_eq!(store.create(&login(), now()).await.unwrap(), CreateOutcome::Created);
    assert_eq!((proxy.count("UpdateItem"), proxy.count("PutItem")), (3, 1));
}

/// Every way in which a request or its answer gets lost, once.
fn losses() -> [Act; 4] {
    [Act::CutBefore, Act::CutAfter, Act::CutInside, Act::PassAndRefuse(500, "InternalServerError")]
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_what_is_there() {
    let (store, proxy, raw) = store_behind_proxy().await;
    for act in losses() {
        let session = record();
        store.create(&session, now()).await.unwrap();
        proxy.reset();
        let change = session.change(revision()).payload("more");
        proxy.next("PutItem", act.clone());
        assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated, "{act:?}");
        assert_eq!(proxy.count("PutItem"), 2, "{act:?}");
        let stored = store.load(session.id(), now()).await.unwrap();
        assert_eq!(stored.as_ref(), Some(change.record()), "{act:?}");

        let later = now().plus(minutes(60));
        proxy.next("UpdateItem", act.clone());
        let touched = store.touch(session.id(), later, now()).await.unwrap();
        assert_eq!((touched, proxy.count("UpdateItem")), (TouchOutcome::Touched, 2), "{act:?}");
        let stored = store.load(session.id(), now()).await.unwrap().unwrap();
        assert_eq!(stored.expires_at(), later, "{act:?}");

        proxy.next("DeleteItem", act.clone());
        store.delete(session.id(), now()).await.unwrap();
        assert_eq!(proxy.count("DeleteItem"), 2, "{act:?}");
        assert_eq!(raw.get(session.id()).await, None, "{act:?}");

        let created = record();
        proxy.reset();
        proxy.next("PutItem", act.clone());
        assert_eq!(kind(store.create(&created, now()).await), Kind::OutcomeUnknown, "{act:?}");
        assert_eq!(proxy.count(ANY), 1, "{act:?}");
    }
}

#[tokio::test]
async fn a_silent_service_costs_no_more_than_the_deadline() {
    let (store, proxy, _) = impatient().await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    for act in [Act::Silence, Act::Delay(Duration::from_secs(30))] {
        proxy.reset();
        proxy.always(ANY, act);
        let start = Instant::now();
        let calls = (0..12).map(|number| {
            let (store, session) = (store.clone(), session.clone());
            tokio::spawn(async move {
                match number % 4 {
                    0 => (number, kind(store.load(session.id(), now()).await)),
                    1 => (number, kind(store.update(&session.change(revision()), now()).await)),
                    2 => (number, kind(store.delete(session.id(), now()).await)),
                    _ => (number, kind(store.create(&record(), now()).await)),
                }
            })
        });
        for call in calls.collect::<Vec<_>>() {
            let (number, kind) = call.await.unwrap();
            let expected = if number % 4 == 0 { Kind::Unavailable } else { Kind::OutcomeUnknown };
            assert_eq!(kind, expected, "{number}");
        }
        // The deadline is a second; the rest is a busy machine.
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        // Three attempts fit into the deadline.
        assert!(proxy.count(ANY) <= 12 * 3, "{}", proxy.count(ANY));
        assert!(proxy.count("PutItem") >= 3);
    }
}

#[tokio::test]
async fn a_connection_on_which_an_answer_took_too_long_gets_no_more_requests() {
    let (store, proxy, _) = impatient().await;
    store.create(&record(), now()).await.unwrap();
    let (before, id) = (proxy.connections(), *record().id());
    proxy.next("GetItem", Act::Silence);
    assert_eq!(store.load(&id, now()).await.unwrap(), None);
    assert_eq!(proxy.count("GetItem"), 2);
    assert_eq!(proxy.connections(), before + 1);
    // And one that was fine is used again.
    assert_eq!(store.load(&id, now()).await.unwrap(), None);
    assert_eq!(proxy.connections(), before + 1);
}

#[tokio::test]
async fn nobody_listening_is_unavailable_and_surely_nothing_was_done() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("dynamodb://127.0.0.1:{port}?region=eu-west-1");
    let store = builder().connect_lazily(&url).unwrap();
    let session = login();
    let later = now().plus(minutes(60));
    for result in [
        store.create(&record(), now()).await.map(drop),
        store.create(&session, now()).await.map(drop),
        store.load(session.id(), now()).await.map(drop),
        store.update(&session.change(revision()), now()).await.map(drop),
        store.touch(session.id(), later, now()).await.map(drop),
        store.delete(session.id(), now()).await.map(drop),
        store.delete_all(&alice(), None, now()).await.map(drop),
        store.scan(&PageRequest::first(1), now()).await.map(drop),
    ] {
        let error = result.unwrap_err();
        assert!(error.is_retryable() && error.kind() == Kind::Unavailable, "{error:?}");
        assert!(everything_about(&error).contains("refused"), "{error:?}");
    }
    let connected = builder().connect(&url).await;
    assert_eq!(kind(connected), Kind::Unavailable);
}

/// A client like that of an application, with retries of its own.
fn client(proxy: &Proxy, credentials: impl ProvideCredentials + 'static) -> Client {
    let config = crate::raw::client(&proxy.address()).config().to_builder();
    let config = config
        .retry_config(RetryConfig::standard().with_max_attempts(10))
        .credentials_provider(credentials)
        .identity_cache(IdentityCache::no_cache());
    Client::from_conf(config.build())
}

fn any_credentials() -> Credentials {
    Credentials::new("KEYNUMBER1", "canary-secret", Some("canary-token".into()), None, "test")
}

#[tokio::test]
async fn the_retries_of_a_client_that_is_handed_in_do_not_count() {
    let (_, proxy, raw) = store_behind_proxy().await;
    let client = client(&proxy, any_credentials());
    let settings = DynamoStore::builder().table(&raw.sessions);
    let store = settings.clone().from_client(&client).unwrap();
    proxy.always(ANY, Act::Refuse(500, "InternalServerError"));
    assert_eq!(kind(store.load(record().id(), now()).await), Kind::Unavailable);
    assert_eq!(proxy.count(ANY), ALL);
    proxy.reset();
    proxy.always(ANY, Act::Refuse(500, "InternalServerError"));
    assert_eq!(kind(store.create(&record(), now()).await), Kind::OutcomeUnknown);
    assert_eq!(proxy.count(ANY), 1);
    for retries in [0, 2] {
        proxy.reset();
        proxy.always(ANY, Act::Refuse(400, "ThrottlingException"));
        let store = settings.clone().retries(retries).from_client(&client).unwrap();
        assert_eq!(kind(store.load(record().id(), now()).await), Kind::Overloaded);
        assert_eq!(proxy.count(ANY), 1 + usize::from(retries));
    }
}

#[tokio::test]
async fn no_error_and_no_debug_shows_credentials() {
    let (_, proxy, raw) = store_behind_proxy().await;
    let client = client(&proxy, any_credentials());
    let store = DynamoStore::builder().table(&raw.sessions).from_client(&client).unwrap();
    assert!(!format!("{store:?} {:?}", DynamoStore::from_client(&client)).contains("canary"));
    for act in [
        Act::Refuse(400, "InvalidSignatureException"),
        Act::Refuse(400, "UnrecognizedClientException"),
        Act::CutAfter,
        Act::WebPage(500),
    ] {
        proxy.always(ANY, act);
        let error = store.load(record().id(), now()).await.unwrap_err();
        let shown = everything_about(&error);
        assert!(!shown.contains("canary") && !shown.contains("KEYNUMBER1"), "{shown}");
    }
}

/// Hands out credentials with a number, and counts.
#[derive(Debug, Clone, Default)]
struct Numbered(Arc<AtomicU32>);

impl ProvideCredentials for Numbered {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        let key = format!("KEYNUMBER{number}");
        Provided::ready(Ok(Credentials::new(key, "secret", None, None, "test")))
    }
}

#[tokio::test]
async fn expired_credentials_are_loaded_anew_once() {
    let (_, proxy, raw) = store_behind_proxy().await;
    let client = client(&proxy, Numbered::default());
    let store = DynamoStore::builder().table(&raw.sessions).from_client(&client).unwrap();
    proxy.next(ANY, Act::Refuse(400, "ExpiredTokenException"));
    assert_eq!(store.load(record().id(), now()).await.unwrap(), None);
    let used: Vec<_> = proxy.requests().into_iter().map(|it| it.authorization).collect();
    assert_eq!(used.len(), 2);
    assert!(used[0].contains("KEYNUMBER0/") && used[1].contains("KEYNUMBER1/"), "{used:?}");

    proxy.reset();
    proxy.always(ANY, Act::Refuse(400, "ExpiredTokenException"));
    assert_eq!(kind(store.load(record().id(), now()).await), Kind::Denied);
    assert_eq!(proxy.count(ANY), 2, "no storm");
}

/// Where credentials come from, out of order.
#[derive(Debug, Clone, Copy)]
enum Broken {
    Missing,
    Misconfigured,
    Down,
    Hanging,
}

impl ProvideCredentials for Broken {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        match self {
            Self::Missing => Provided::ready(Err(CredentialsError::not_loaded("canary"))),
            Self::Misconfigured => {
                Provided::ready(Err(CredentialsError::invalid_configuration("canary")))
            }
            Self::Down => Provided::ready(Err(CredentialsError::provider_error("canary"))),
            Self::Hanging => Provided::new(std::future::pending()),
        }
    }
}

#[tokio::test]
async fn credentials_that_cannot_be_had_are_an_error_in_time_and_nothing_is_sent() {
    let (_, proxy, raw) = store_behind_proxy().await;
    let session: Record = record();
    for (broken, expected) in [
        (Broken::Missing, Kind::Config),
        (Broken::Misconfigured, Kind::Config),
        (Broken::Down, Kind::Unavailable),
    ] {
        let client = client(&proxy, broken);
        let store = DynamoStore::builder().table(&raw.sessions).from_client(&client).unwrap();
        for result in [
            store.load(session.id(), now()).await.map(drop),
            store.create(&session, now()).await.map(drop),
            store.update(&session.change(revision()), now()).await.map(drop),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), expected, "{broken:?}: {error:?}");
            assert!(!everything_about(&error).contains("canary"));
        }
    }
    let client = client(&proxy, Broken::Hanging);
    let settings = DynamoStore::builder().table(&raw.sessions);
    let store = settings.deadline(Duration::from_millis(300)).from_client(&client).unwrap();
    let start = Instant::now();
    assert_eq!(kind(store.load(session.id(), now()).await), Kind::Unavailable);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(proxy.count(ANY), 0);
}
