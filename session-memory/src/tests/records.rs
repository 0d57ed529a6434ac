//! One shard: what is kept of a record, and what its alarms do.

use std::collections::HashMap;

use session_core::{OsRandom, SessionId, UpdateOutcome};

use crate::hash::IdHash;
use crate::primitives::HashKeys;
use crate::records::{Inserted, Shard, Stored};
use crate::u48::U48;
use crate::usage::{Bounds, Usage};

use super::*;

fn shard() -> Shard {
    Shard::new(IdHash::new(&HashKeys::new()))
}

fn insert(shard: &mut Shard, record: &Record) {
    let inserted = shard.insert(Stored::new(record, U48::default()), |_| false);
    assert!(matches!(inserted, Inserted::Done(None)));
}

fn until(id: SessionId, end: u64) -> Record {
    Record::from_parts(RecordParts { id, expires_at: after(end), ..parts() })
}

/// How many records a look at `cutoff` examines, and the ids of those that it removes.
fn due(shard: &mut Shard, limit: usize, cutoff: u64) -> (usize, Vec<SessionId>) {
    let examined = shard.take_due(limit, after(cutoff));
    (examined.count, examined.removed.iter().map(|stored| *stored.id()).collect())
}

#[test]
fn every_field_comes_back_whatever_its_length() {
    let alice = user("alice");
    let longest = Subject::new(&Realm::new(&"r".repeat(63)).unwrap(), &"n".repeat(191)).unwrap();
    let tag = CredentialTag::new(&[8; CredentialTag::MAX_LEN]).unwrap();
    for payload in [0, 1, 700, 1_023, 1_024, 1_025, 100_000] {
        let payload: Bytes = vec![7; payload].into();
        for (subject, credential_tag) in
            [(None, None), (Some(alice.clone()), None), (Some(longest.clone()), Some(tag.clone()))]
        {
            for parts in [parts(), complete(&alice).into_parts()] {
                let (payload, subject) = (payload.clone(), subject.clone());
                let credential_tag = credential_tag.clone().or(parts.credential_tag.clone());
                let parts = RecordParts { payload, subject, credential_tag, ..parts };
                let record = Record::from_parts(parts);
                let stored = Stored::new(&record, U48::new(3));
                assert_eq!(stored.subject(), record.subject().map(Subject::as_bytes));
                assert_eq!(stored.stamp(), U48::new(3));
                assert_eq!(stored.summary(), record.summary());
                assert_eq!(stored.into_record(), record);
            }
        }
    }
}

#[test]
fn what_was_loaded_is_not_changed_by_what_follows() {
    let mut shard = shard();
    let record = complete(&user("alice"));
    insert(&mut shard, &record);
    let loaded = shard.get(record.id()).cloned().unwrap().into_record();

    let usage = Usage::new(Bounds { sessions: 9, bytes: ENOUGH });
    let change = change(&record).payload("other");
    for stamp in [5, 6] {
        let mut next = Stored::new(change.record(), U48::new(stamp));
        let outcome = shard.compare_and_swap(
            change.expected(),
            &mut next,
            Some(U48::new(stamp)),
            NOW,
            &usage,
        );
        assert_eq!(outcome, Ok(UpdateOutcome::Updated));
        let again = shard.get(record.id()).cloned().unwrap();
        assert_eq!(again.stamp(), U48::new(stamp), "of a body that is shared as well");
        assert_eq!(again.into_record(), *change.record());
    }
    shard.remove(record.id()).unwrap();
    assert_eq!(loaded, record);
}

#[test]
fn records_that_come_and_go_leave_few_alarms() {
    let mut shard = shard();
    let kept: Vec<Record> = (0..100).map(|_| anonymous()).collect();
    for record in &kept {
        insert(&mut shard, record);
    }
    for _ in 0..10_000 {
        let record = anonymous();
        insert(&mut shard, &record);
        shard.remove(record.id()).unwrap();
        assert!(shard.alarms.len() <= 2 * 101 + 64);
    }
    let (_, removed) = due(&mut shard, usize::MAX, 10 * MINUTE);
    assert_eq!(removed.len(), 100, "none was forgotten when the alarms were set anew");
}

#[test]
fn a_deadline_that_is_lowered_again_and_again_leaves_few_alarms() {
    let mut shard = shard();
    let usage = Usage::new(Bounds { sessions: 9, bytes: ENOUGH });
    let mut record = anonymous();
    insert(&mut shard, &record);
    for millis in (1..=1_000).rev() {
        let lower = change(&record).lower_deadline(after(millis));
        let mut next = Stored::new(lower.record(), U48::default());
        let outcome = shard.compare_and_swap(lower.expected(), &mut next, None, NOW, &usage);
        assert_eq!(outcome, Ok(UpdateOutcome::Updated));
        assert!(shard.alarms.len() <= 2 + 64);
        record = lower.record().clone();
    }
    assert_eq!(due(&mut shard, 9, 0), (0, vec![]));
    assert_eq!(due(&mut shard, 1, 1).1, [*record.id()], "the earliest of its alarms counts");
}

#[test]
fn records_with_the_same_hash_are_told_apart() {
    let hash = IdHash::new(&HashKeys::new());
    let mut by_hash = HashMap::new();
    // The first two of random ids whose hashes agree: about 80,000 are made.
    let twins = std::iter::repeat_with(|| SessionId::random(&OsRandom).unwrap())
        .find_map(|id| by_hash.insert(hash.hash(&id), id).map(|other| [id, other]))
        .unwrap();
    for [first, second] in [twins, [twins[1], twins[0]]] {
        let mut shard = Shard::new(hash);
        insert(&mut shard, &until(first, 10));
        insert(&mut shard, &until(second, 20));
        assert_eq!(due(&mut shard, 9, 9), (0, vec![]));
        assert_eq!(due(&mut shard, 9, 10), (1, vec![first]));
        assert!(shard.get(&second).is_some());
        assert_eq!(due(&mut shard, 9, 19), (0, vec![]));
        assert_eq!(due(&mut shard, 9, 20), (1, vec![second]));

        // The one that ends first is touched, and outlives the other.
        insert(&mut shard, &until(first, 10));
        insert(&mut shard, &until(second, 20));
        shard.touch(&first, after(30), NOW);
        assert_eq!(due(&mut shard, 9, 10), (1, vec![]));
        assert_eq!(due(&mut shard, 1, 20), (1, vec![second]), "one alarm removes one record");
        assert_eq!(due(&mut shard, 9, 29).1, []);
        assert_eq!(due(&mut shard, 9, 30).1, [first]);
        assert_eq!(shard.alarms.len(), 0);
    }
}
