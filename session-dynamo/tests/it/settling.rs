//! Refused writes: what they met decides the answer.

use serde_json::{Value, json};
use session_core::{SessionStore, StoreErrorKind, TouchOutcome, UpdateOutcome};

use crate::proxy::{ANY, Act};
use crate::support::{
    alice, kind, login, minutes, now, record, revision, store_behind_proxy, usual_record,
};

#[tokio::test]
async fn a_touch_that_comes_before_an_update_is_no_conflict_and_not_taken_back() {
    let (store, proxy, _) = store_behind_proxy().await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    let later = now().plus(minutes(60));
    store.touch(session.id(), later, now()).await.unwrap();
    let change = session.change(revision()).payload("more");
    let (trips, outcome) = proxy.trips(store.update(&change, now())).await;
    assert_eq!(outcome.unwrap(), UpdateOutcome::Updated);
    assert_eq!(trips, ["PutItem", "GetItem", "PutItem"]);
    let stored = store.load(session.id(), now()).await.unwrap().unwrap();
    assert_eq!((stored.expires_at(), stored.revision()), (later, change.record().revision()));
}

#[tokio::test]
async fn an_update_whose_answer_was_lost_and_that_another_one_replaced_is_unknown() {
    let (store, proxy, _) = store_behind_proxy().await;
    for second in ["update", "delete"] {
        let session = record();
        store.create(&session, now()).await.unwrap();
        let mine = session.change(revision()).payload("mine");
        // The first send is applied and its answer lost; the second finds what came after it.
        proxy.next("PutItem", Act::CutAfter);
        proxy.next("PutItem", Act::Refuse(400, "ThrottlingException"));
        let (raw, sessions) = (store.clone(), mine.record().clone());
        proxy.next("PutItem", Act::Pass);
        let meddle = async {
            loop {
                match raw.load(sessions.id(), now()).await.unwrap() {
                    Some(found) if found.revision() == sessions.revision() => break found,
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        let (outcome, ()) = tokio::join!(store.update(&mine, now()), async {
            let found = meddle.await;
            if second == "delete" {
                drop(raw.delete(found.id(), now()).await);
            } else {
                let theirs = found.change(revision()).payload("theirs");
                drop(raw.update(&theirs, now()).await);
            }
        });
        // Whoever was faster: never `Conflict`, never `Missing`.
        match outcome {
            Ok(outcome) => assert_eq!(outcome, UpdateOutcome::Updated, "{second}"),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::OutcomeUnknown, "{second}"),
        }
        proxy.reset();
    }
}

#[tokio::test]
async fn after_a_lost_answer_conflict_and_missing_are_never_said() {
    let (store, proxy, _) = store_behind_proxy().await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    let theirs = session.change(revision()).payload("theirs");
    store.update(&theirs, now()).await.unwrap();
    // Nothing of these was applied, but that cannot be known.
    let mine = session.change(revision()).payload("mine");
    for lost in [Act::CutBefore, Act::Refuse(500, "InternalServerError")] {
        proxy.next("PutItem", lost.clone());
        let outcome = store.update(&mine, now()).await;
        assert_eq!(kind(outcome), StoreErrorKind::OutcomeUnknown, "{lost:?}");
        proxy.next("PutItem", lost.clone());
        let outcome = store.update(&record().change(revision()), now()).await;
        assert_eq!(kind(outcome), StoreErrorKind::OutcomeUnknown, "{lost:?}");
    }
    // A refusal is known.
    proxy.next("PutItem", Act::Refuse(400, "ThrottlingException"));
    assert_eq!(store.update(&mine, now()).await.unwrap(), UpdateOutcome::Conflict);
    proxy.next("PutItem", Act::Refuse(400, "ThrottlingException"));
    let outcome = store.update(&record().change(revision()), now()).await.unwrap();
    assert_eq!(outcome, UpdateOutcome::Missing);
}

#[tokio::test]
async fn what_is_read_after_a_refusal_may_fail_and_then_nothing_was_done() {
    let (store, proxy, _) = store_behind_proxy().await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    let theirs = session.change(revision()).payload("theirs");
    store.update(&theirs, now()).await.unwrap();
    proxy.always("GetItem", Act::Refuse(500, "InternalServerError"));
    let outcome = store.update(&session.change(revision()), now()).await;
    assert_eq!(kind(outcome), StoreErrorKind::Unavailable);
    proxy.next("PutItem", Act::CutAfter);
    let outcome = store.update(&theirs.record().change(revision()), now()).await;
    assert_eq!(kind(outcome), StoreErrorKind::OutcomeUnknown);
}

#[tokio::test]
async fn an_update_with_an_index_entry_writes_the_entry_before_it_finds_its_own_revision() {
    let (store, proxy, raw) = store_behind_proxy().await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    let change = session.change(revision()).login(alice(), now().plus(minutes(900))).unwrap();
    proxy.next("PutItem", Act::CutAfter);
    assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
    // Sent again by the caller, as `Sessions` settles an unknown outcome.
    assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
    assert_eq!(proxy.count("UpdateItem"), 2);
    assert_eq!(raw.entries().await.len(), 1);
}

/// An item as the service writes it.
fn written(item: &crate::support::Item) -> Value {
    use aws_sdk_dynamodb::types::AttributeValue as It;
    let value = |value: &It| match value {
        It::B(bytes) => json!({ "B": base64(bytes.as_ref()) }),
        It::N(digits) => json!({ "N": digits }),
        It::S(text) => json!({ "S": text }),
        other => panic!("{other:?}"),
    };
    item.iter().map(|(name, it)| (name.clone(), value(it))).collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// DynamoDB sends the item along with a refusal, which DynamoDB Local does not: nothing is read then.
#[tokio::test]
async fn the_item_in_a_refusal_is_looked_at_instead_of_being_read() {
    let (store, proxy, raw) = store_behind_proxy().await;
    let session = usual_record();
    store.create(&session, now()).await.unwrap();
    let item = written(&raw.get(session.id()).await.unwrap());
    let refuse =
        || Act::RefuseWith(400, "ConditionalCheckFailedException", json!({ "Item": item }));
    proxy.reset();

    // Live, with another revision.
    let mut other = session.clone().into_parts();
    other.revision = revision();
    let other = session_core::Record::from_parts(other);
    proxy.next("PutItem", refuse());
    let outcome = store.update(&other.change(revision()), now()).await.unwrap();
    assert_eq!(outcome, UpdateOutcome::Conflict);
    // Over.
    proxy.next("PutItem", refuse());
    let outcome = store.update(&other.change(revision()), session.deadline()).await.unwrap();
    assert_eq!(outcome, UpdateOutcome::Missing);
    // Our own, sent before.
    let mut before = session.clone().into_parts();
    before.revision = revision();
    let mine = session_core::Record::from_parts(before).change(session.revision());
    proxy.next("PutItem", refuse());
    assert_eq!(store.update(&mine, now()).await.unwrap(), UpdateOutcome::Updated);
    // What was expected: sent again.
    proxy.next("PutItem", refuse());
    let change = session.change(revision());
    assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
    assert_eq!(proxy.count("PutItem"), 5);

    proxy.next("UpdateItem", refuse());
    let touched = store.touch(session.id(), session.expires_at(), now()).await.unwrap();
    assert_eq!(touched, TouchOutcome::Touched);
    proxy.next("UpdateItem", refuse());
    let touched = store.touch(session.id(), now(), session.deadline()).await.unwrap();
    assert_eq!(touched, TouchOutcome::Missing);
    assert_eq!(proxy.count("GetItem"), 0, "nothing was read");
    for request in proxy.requests() {
        assert_eq!(request.body["ReturnValuesOnConditionCheckFailure"], "ALL_OLD");
    }
}

#[tokio::test]
async fn a_service_that_refuses_for_no_reason_is_left_at_the_deadline() {
    let (store, proxy, _) = crate::support::impatient().await;
    let session = login();
    store.create(&session, now()).await.unwrap();
    proxy.always("PutItem", Act::Refuse(400, "ConditionalCheckFailedException"));
    proxy.always("UpdateItem", Act::Refuse(400, "ConditionalCheckFailedException"));
    // Between two sends, in the middle of the last one, or of the read that follows it.
    let late =
        [StoreErrorKind::Timeout, StoreErrorKind::OutcomeUnknown, StoreErrorKind::Unavailable];
    let update = store.update(&session.change(revision()), now()).await;
    assert!(late.contains(&kind(update)));
    let touch = store.touch(session.id(), now().plus(minutes(99)), now()).await;
    assert!(late.contains(&kind(touch)));
    assert!(proxy.count(ANY) > 4);
}
