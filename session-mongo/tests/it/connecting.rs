//! The ways to a server: URIs, TLS, passwords, clients of the application's own.

use std::time::{Duration, Instant};

use conformance_tests::servers::MongoOptions;
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, bson::doc};
use session_core::{CreateOutcome, SessionStore, StoreErrorKind, TouchOutcome, UpdateOutcome};
use session_mongo::MongoStore;

use crate::support::{
    Raw, kind, login, minutes, now, own_server, record, revision, shared_url, store_on, unique_name,
};

const PASSWORD: &str = "p@ss/w:rd#%?&= canary";

#[tokio::test]
async fn a_percent_encoded_password_and_a_certificate_open_the_way_and_nothing_else_does() {
    let server = own_server(MongoOptions::new().password(PASSWORD).tls()).await;
    let url = server.url();
    let store = store_on(&url).await;
    let session = record();
    assert_eq!(store.create(&session, now()).await.unwrap(), CreateOutcome::Created);
    assert!(store.load(session.id(), now()).await.unwrap().is_some());
    assert!(store.check(now()).await.unwrap().is_ok());

    let wrong = url.replace("canary", "wrong");
    let nobody = format!("mongodb://127.0.0.1:{}/x?tls=true&directConnection=true", server.port());
    let file = url.rsplit_once("&tlsCAFile=").unwrap().1;
    for (url, expected) in [
        (wrong, StoreErrorKind::Denied),
        (format!("{nobody}&tlsCAFile={file}"), StoreErrorKind::Denied),
        // Its certificate is not signed by an authority of the system.
        (nobody, StoreErrorKind::Unavailable),
    ] {
        let error = MongoStore::connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{error:?}");
        let text = format!("{error:?} {error}");
        assert!(!text.contains("canary") && !text.contains("admin"), "{text}");
    }
}

#[tokio::test]
async fn f21_a_password_that_was_changed_is_denied_and_never_shown() {
    let server = own_server(MongoOptions::new().password("canary")).await;
    let store = store_on(&server.url()).await;
    let session = login();
    store.create(&session, now()).await.unwrap();
    let administrator = Raw::open(&server.url(), store.collection()).await;
    administrator.run("admin", doc! { "updateUser": "admin", "pwd": "canary-2" }).await;
    // Connections that are logged in stay so; new ones are refused.
    let error = MongoStore::connect(&server.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Denied);
    assert!(!format!("{error:?} {error}").contains("canary"));
}

#[tokio::test]
async fn ipv6_leads_to_the_same_server() {
    let server = own_server(MongoOptions::new()).await;
    let url = server.url().replace("127.0.0.1", "[::1]");
    let store = store_on(&url).await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    assert_eq!(store.load(session.id(), now()).await.unwrap().as_ref(), Some(&session));
}

#[tokio::test]
async fn a_client_that_promises_less_weakens_nothing() {
    let mut options = ClientOptions::parse(shared_url()).await.unwrap();
    options.direct_connection = Some(false);
    options.write_concern = Some(WriteConcern::builder().w(Acknowledgment::Nodes(0)).build());
    options.read_concern = Some(ReadConcern::available());
    options.selection_criteria =
        Some(SelectionCriteria::ReadPreference(ReadPreference::SecondaryPreferred {
            options: None,
        }));
    let database = Client::with_options(options).unwrap().database("session-tests");
    let builder = MongoStore::builder().collection(unique_name()).connections(4);
    let store = builder.from_database(&database).unwrap();
    store.ensure_indexes().await.unwrap();

    // What the server is asked for is written in its log of slow commands.
    let raw = Raw::open(shared_url(), store.collection()).await;
    raw.run("session-tests", doc! { "profile": 2 }).await;
    let session = login();
    assert_eq!(store.create(&session, now()).await.unwrap(), CreateOutcome::Created);
    assert_eq!(
        store.create(&session, now()).await.unwrap(),
        CreateOutcome::Exists,
        "w: 0 cannot tell"
    );
    assert!(store.load(session.id(), now()).await.unwrap().is_some());
    let change = session.change(revision());
    assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
    let later = now().plus(minutes(90));
    assert_eq!(store.touch(session.id(), later, now()).await.unwrap(), TouchOutcome::Touched);
    assert!(store.delete(session.id(), now()).await.unwrap());
    raw.run("session-tests", doc! { "profile": 0 }).await;

    let profile = raw.database.collection::<mongodb::bson::Document>("system.profile");
    let ours = doc! { "ns": format!("session-tests.{}", store.collection()) };
    let mut seen = profile.find(ours).await.unwrap();
    let (mut writes, mut reads) = (0, 0);
    while seen.advance().await.unwrap() {
        let entry = seen.deserialize_current().unwrap();
        let command = entry.get_document("command").unwrap();
        if command.contains_key("find") {
            reads += 1;
            let level = command.get_document("readConcern").unwrap().get_str("level").unwrap();
            assert_eq!(level, "majority", "{command}");
        } else if let Ok(concern) = command.get_document("writeConcern") {
            writes += 1;
            assert_eq!(concern.get_str("w").unwrap(), "majority", "{command}");
            assert!(concern.get_bool("j").unwrap(), "{command}");
        }
    }
    // An update and a delete are written down as the statements within, some without their concern.
    assert!(reads >= 1 && writes >= 2, "{reads} reads, {writes} writes");
}

#[tokio::test]
async fn without_a_server_every_call_says_so_in_time_and_never_that_there_is_no_session() {
    let builder = MongoStore::builder().deadline(Duration::from_millis(300));
    let store = builder.connect_lazily("mongodb://127.0.0.1:1/x").await.unwrap();
    let session = record();
    for _ in 0..2 {
        let start = Instant::now();
        for kind in [
            kind(store.create(&session, now()).await),
            kind(store.load(session.id(), now()).await),
            kind(store.update(&session.change(revision()), now()).await),
            kind(store.touch(session.id(), now(), now()).await),
            kind(store.delete(session.id(), now()).await),
        ] {
            // Whether the driver or the store gives up first; nothing was sent, and the driver says so first.
            assert!(
                matches!(kind, StoreErrorKind::Unavailable | StoreErrorKind::OutcomeUnknown),
                "{kind:?}"
            );
        }
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    }
}
