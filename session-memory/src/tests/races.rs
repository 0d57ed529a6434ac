//! Races on real threads. `tests/interleavings.rs` explores them systematically.

use std::sync::Barrier;
use std::thread;

use session_core::{CreateOutcome, UpdateOutcome};

use super::*;

/// Runs `act` on as many threads at once, for each of `rounds`.
fn together(rounds: usize, threads: usize, act: impl Fn(usize, usize) + Sync) {
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        for thread in 0..threads {
            let (barrier, act) = (&barrier, &act);
            scope.spawn(move || {
                for round in 0..rounds {
                    barrier.wait();
                    act(round, thread);
                }
            });
        }
    });
}

#[test]
fn of_concurrent_creates_one_wins() {
    let store = MemoryStore::new();
    let engine = &store.shared.engine;
    let records: Vec<Vec<Record>> = (0..500)
        .map(|_| {
            let id = parts().id;
            let copy =
                |_| Record::from_parts(RecordParts { id, ..of(&user("alice")).into_parts() });
            (0..4).map(copy).collect()
        })
        .collect();
    together(500, 4, |round, thread| {
        let record = &records[round][thread];
        if engine.create(record, NOW).unwrap() == CreateOutcome::Created {
            assert_eq!(engine.load(record.id(), NOW).as_ref(), Some(record));
        }
    });
    assert_eq!(store.stored_sessions(), 500);
    for copies in &records {
        let stored = engine.load(copies[0].id(), NOW);
        assert_eq!(copies.iter().filter(|copy| stored.as_ref() == Some(copy)).count(), 1);
        engine.delete(copies[0].id(), NOW);
    }
    engine.purge_batch(10_000, Timestamp::MAX);
    assert_eq!((store.stored_sessions(), store.stored_bytes()), (0, 0));
}

#[test]
fn a_login_that_returned_is_found_by_log_out_everywhere() {
    let store = MemoryStore::new();
    let engine = &store.shared.engine;
    let alice = user("alice");
    let records: Vec<Record> = (0..2_000).map(|_| anonymous()).collect();
    for record in &records {
        engine.create(record, NOW).unwrap();
    }
    together(2_000, 3, |round, thread| {
        let record = &records[round];
        match thread {
            0 => {
                if engine.update(&login(record, &alice), NOW).unwrap() == UpdateOutcome::Updated {
                    engine.delete_batch_of(&alice, None, None, NOW);
                    assert_eq!(engine.load(record.id(), NOW), None);
                }
            }
            1 => {
                engine.delete_batch_of(&alice, None, None, NOW);
            }
            _ => {
                engine.purge_batch(16, after(MINUTE));
            }
        }
    });
    for record in &records {
        engine.delete(record.id(), NOW);
    }
    engine.purge_batch(10_000, Timestamp::MAX);
    assert_eq!((store.stored_sessions(), store.stored_bytes()), (0, 0));
}

#[test]
fn no_increment_is_lost() {
    let store = MemoryStore::new();
    let engine = &store.shared.engine;
    let record =
        Record::from_parts(RecordParts { payload: Bytes::from_static(&[0; 2]), ..parts() });
    engine.create(&record, NOW).unwrap();
    together(250, 4, |_, _| {
        loop {
            let present = engine.load(record.id(), NOW).unwrap();
            let number = u16::from_be_bytes((**present.payload()).try_into().unwrap()) + 1;
            let next = change(&present).payload(number.to_be_bytes().to_vec());
            if engine.update(&next, NOW).unwrap() == UpdateOutcome::Updated {
                break;
            }
        }
    });
    let last = engine.load(record.id(), NOW).unwrap();
    assert_eq!(**last.payload(), 1_000_u16.to_be_bytes());
}
