//! What an operation asks DynamoDB for, and what a session costs.

use session_core::{
    Count, Inspect, PageRequest, SessionStore, SubjectIndex, TouchOutcome, UpdateOutcome,
};

use crate::proxy::ANY;
use crate::support::{
    Item, alice, login, minutes, now, record, revision, store, store_behind_proxy, usual_record,
};

#[tokio::test]
async fn every_operation_on_one_session_is_one_request() {
    let (store, proxy, _) = store_behind_proxy().await;
    let session = record();
    assert_eq!(proxy.trips(store.create(&session, now())).await.0, ["PutItem"]);
    assert_eq!(proxy.trips(store.load(session.id(), now())).await.0, ["GetItem"]);
    let change = session.change(revision()).payload("more");
    let (trips, outcome) = proxy.trips(store.update(&change, now())).await;
    assert_eq!((&trips[..], outcome.unwrap()), (&["PutItem".into()][..], UpdateOutcome::Updated));
    let later = now().plus(minutes(60));
    let (trips, outcome) = proxy.trips(store.touch(session.id(), later, now())).await;
    assert_eq!((&trips[..], outcome.unwrap()), (&["UpdateItem".into()][..], TouchOutcome::Touched));
    let (trips, live) = proxy.trips(store.delete(session.id(), now())).await;
    assert_eq!((&trips[..], live.unwrap()), (&["DeleteItem".into()][..], true));
    let (trips, live) = proxy.trips(store.delete(session.id(), now())).await;
    assert_eq!((&trips[..], live.unwrap()), (&["DeleteItem".into()][..], false));
}

#[tokio::test]
async fn a_login_writes_its_index_entry_first() {
    let (store, proxy, _) = store_behind_proxy().await;
    let (session, anonymous) = (login(), record());
    assert_eq!(proxy.trips(store.create(&session, now())).await.0, ["UpdateItem", "PutItem"]);
    store.create(&anonymous, now()).await.unwrap();
    let change = anonymous.change(revision()).login(alice(), now().plus(minutes(900))).unwrap();
    assert_eq!(proxy.trips(store.update(&change, now())).await.0, ["UpdateItem", "PutItem"]);
    // Nothing of a rotation or of other data is in the index.
    let change = session.change(revision()).payload("more");
    assert_eq!(proxy.trips(store.update(&change, now())).await.0, ["PutItem"]);
    let written: Vec<_> = proxy.requests().into_iter().flat_map(|it| it.tables()).collect();
    let (sessions, subjects) = (store.table(), store.subjects_table());
    assert_eq!(written, [subjects, sessions, sessions, subjects, sessions, sessions]);
}

#[tokio::test]
async fn a_refused_write_reads_once_to_learn_why() {
    let (store, proxy, _) = store_behind_proxy().await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    let other = session.change(revision()).payload("other");
    store.update(&other, now()).await.unwrap();
    let (trips, outcome) = proxy.trips(store.update(&session.change(revision()), now())).await;
    assert_eq!((trips.len(), outcome.unwrap()), (2, UpdateOutcome::Conflict));
    let (trips, outcome) = proxy.trips(store.update(&record().change(revision()), now())).await;
    assert_eq!((trips.len(), outcome.unwrap()), (2, UpdateOutcome::Missing));
    let (trips, outcome) =
        proxy.trips(store.touch(session.id(), session.expires_at(), now())).await;
    assert_eq!(
        (trips, outcome.unwrap()),
        (vec!["UpdateItem".into(), "GetItem".into()], TouchOutcome::Touched)
    );
    let read = proxy.requests().pop().unwrap();
    assert_eq!(read.body["ProjectionExpression"], "#f, #r, #e, #d", "no payload is fetched");
}

#[tokio::test]
async fn every_read_is_consistent_and_every_name_stands_behind_a_placeholder() {
    let (store, proxy, _) = store_behind_proxy().await;
    for session in [login(), login()] {
        store.create(&session, now()).await.unwrap();
        store.update(&record().change(revision()), now()).await.unwrap();
        store.load(session.id(), now()).await.unwrap();
    }
    let first = store.list(&alice(), &PageRequest::first(1), now()).await.unwrap();
    let next = PageRequest::first(1).after(first.next.unwrap());
    store.list(&alice(), &next, now()).await.unwrap();
    store.scan(&PageRequest::first(10), now()).await.unwrap();
    assert_eq!(store.count(now()).await.unwrap(), Count::Exact(2));
    store.delete_all(&alice(), None, now()).await.unwrap();

    let mut reads = 0;
    for request in proxy.requests() {
        match request.action.as_str() {
            "GetItem" | "Query" | "Scan" => {
                assert_eq!(request.body["ConsistentRead"], true, "{request:?}");
                reads += 1;
            }
            "BatchGetItem" => {
                let of_table = &request.body["RequestItems"][store.table()];
                assert_eq!(of_table["ConsistentRead"], true, "{request:?}");
                reads += 1;
            }
            _ => {}
        }
        for (name, text) in request.body.as_object().unwrap() {
            if name.ends_with("Expression") {
                let mut words = text.as_str().unwrap().split([' ', '(', ')', ',', '=', '<', '>']);
                let stands_alone = |word: &&str| word.len() == 1 || word.starts_with("id");
                assert_eq!(words.find(stands_alone), None, "a name without placeholder: {text}");
            }
        }
    }
    assert!(reads >= 9, "{reads}");
    assert!(proxy.count(ANY) > reads);
}

/// By the rules of DynamoDB's documentation: names and values, a number one byte and one for two digits.
fn size(item: &Item) -> usize {
    let value = |value: &aws_sdk_dynamodb::types::AttributeValue| match value {
        aws_sdk_dynamodb::types::AttributeValue::B(bytes) => bytes.as_ref().len(),
        aws_sdk_dynamodb::types::AttributeValue::N(digits) => {
            digits.trim_end_matches('0').len().div_ceil(2) + 1
        }
        other => panic!("{other:?}"),
    };
    item.iter().map(|(name, it)| name.len() + value(it)).sum()
}

#[tokio::test]
async fn a_session_takes_as_many_bytes_as_the_readme_says() {
    let (store, raw) = store().await;
    let session = usual_record();
    assert_eq!((session.payload().len(), session.subject().unwrap().as_bytes().len()), (486, 37));
    store.create(&session, now()).await.unwrap();
    let record = size(&raw.get(session.id()).await.unwrap());
    let entry = size(&raw.entries().await.pop().unwrap());
    assert!(record <= 640, "{record}");
    assert!(entry <= 80, "{entry}");
}
