//! The engine under a model checker: every lock and every counter is a point at which `shuttle` may
//! switch threads, and each test runs under thousands of schedules.
//!
//! The modules of the engine are mounted here a second time, over the model's locks instead of the real
//! ones, so that it needs no build flag. A failure prints the schedule; `shuttle::replay` runs it
//! again.

#![allow(dead_code, reason = "the models use a part of what is mounted")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod primitives {
    use std::collections::hash_map::DefaultHasher;
    use std::hash::BuildHasherDefault;

    /// Fixed keys, so that a schedule can be replayed.
    pub(crate) type HashKeys = BuildHasherDefault<DefaultHasher>;
    pub(crate) use shuttle::sync::atomic::AtomicU64;
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};

    /// Few, so that different ids and subjects meet in one lock.
    pub(crate) const SHARDS: usize = 2;
}

#[path = "../src/alarms.rs"]
mod alarms;
#[path = "../src/body.rs"]
mod body;
#[path = "../src/engine.rs"]
mod engine;
#[path = "../src/hash.rs"]
mod hash;
#[path = "../src/index.rs"]
mod index;
#[path = "../src/records.rs"]
mod records;
#[path = "../src/shards.rs"]
mod shards;
#[path = "../src/u48.rs"]
mod u48;
#[path = "../src/usage.rs"]
mod usage;

use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Bytes, Change, CreateOutcome, Realm, Record, RecordParts, Revision, SecretHash, SessionId,
    Subject, Timestamp, UpdateOutcome,
};
use shuttle::thread;

use engine::Engine;
use usage::Bounds;

const SCHEDULES: usize = 3_000;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn after(millis: u64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + millis)
}

/// Checks a body under random schedules, and under schedules with few switches, which find what needs
/// one thread to be late.
fn check(body: fn()) {
    shuttle::check_random(body, SCHEDULES);
    shuttle::check_pct(body, SCHEDULES, 3);
}

fn engine(sessions: u64) -> Arc<Engine> {
    let bounds = Bounds { sessions, bytes: 1 << 20 };
    Arc::new(Engine::new(primitives::HashKeys::default(), bounds, Duration::from_millis(100)))
}

fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16]).unwrap()
}

fn revision(number: u8) -> Revision {
    Revision::from_bytes([number; 8])
}

fn alice() -> Subject {
    Subject::new(&Realm::default(), "alice").unwrap()
}

/// A session that ends a second from now.
fn record(session: u8, first_revision: u8, subject: Option<Subject>) -> Record {
    Record::from_parts(RecordParts {
        id: id(session),
        revision: revision(first_revision),
        secret_hash: SecretHash::from_bytes([1; 32]),
        previous: None,
        subject,
        created_at: NOW,
        expires_at: after(1_000),
        deadline: after(1_000),
        authentication: None,
        credential_tag: None,
        payload: Bytes::new(),
    })
}

fn login(record: &Record, next: u8) -> Change {
    record.change(revision(next)).login(alice(), after(2_000)).unwrap()
}

/// Whether the live session `id` has this revision.
fn has(engine: &Engine, id: &SessionId, revision: Revision) -> bool {
    engine.load(id, NOW).is_some_and(|record| record.revision() == revision)
}

fn delete_all(engine: &Engine) -> u64 {
    engine.delete_batch_of(&alice(), None, None, NOW).live
}

fn listed(engine: &Engine) -> Vec<SessionId> {
    engine.list(&alice(), None, 100, NOW).0.iter().map(|summary| summary.id).collect()
}

/// Runs the actors at once, and afterwards checks what must hold whenever nobody is at work: alice's live
/// sessions are listed, and once everything is deleted and trimmed no room is taken.
fn together(engine: &Arc<Engine>, actors: Vec<Actor>) {
    let threads: Vec<_> = actors
        .into_iter()
        .map(|actor| {
            let engine = Arc::clone(engine);
            thread::spawn(move || actor(&engine))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let listed = listed(engine);
    for number in 1..=4 {
        let is_hers =
            engine.load(&id(number), NOW).is_some_and(|record| record.subject().is_some());
        assert_eq!(listed.contains(&id(number)), is_hers, "session {number}");
    }
    for number in 1..=4 {
        engine.delete(&id(number), NOW);
    }
    engine.purge_batch(100, Timestamp::MAX);
    assert_eq!((engine.usage().sessions(), engine.usage().bytes()), (0, 0), "room is left taken");
}

/// A thread of a model.
type Actor = Box<dyn Fn(&Engine) + Send>;

fn actor(act: impl Fn(&Engine) + Send + 'static) -> Actor {
    Box::new(act)
}

/// Logs the session in; once that has returned, logging out everywhere must end it.
fn login_then_delete_all(seen: Record, next: u8) -> Actor {
    actor(move |engine| {
        let change = login(&seen, next);
        if engine.update(&change, NOW).unwrap() == UpdateOutcome::Updated {
            delete_all(engine);
            assert!(!has(engine, seen.id(), revision(next)), "a login was missed");
        }
    })
}

/// Creates a session of alice; once that has returned, logging out everywhere must end it.
fn create_then_delete_all(session: u8, first: u8, now: Timestamp) -> Actor {
    actor(move |engine| {
        let fresh = record(session, first, Some(alice()));
        let fresh = Record::from_parts(RecordParts {
            expires_at: now.plus(Duration::from_secs(1)),
            deadline: now.plus(Duration::from_secs(1)),
            ..fresh.into_parts()
        });
        if engine.create(&fresh, now).unwrap() == CreateOutcome::Created {
            delete_all(engine);
            assert!(!has(engine, fresh.id(), revision(first)), "a session was missed");
        }
    })
}

#[test]
fn log_out_everywhere_finds_every_login_that_returned() {
    check(|| {
        let engine = engine(100);
        let visitor = record(1, 1, None);
        engine.create(&visitor, NOW).unwrap();
        let actors = vec![
            login_then_delete_all(visitor.clone(), 2),
            login_then_delete_all(visitor, 3),
            actor(|engine| {
                delete_all(engine);
            }),
            actor(|engine| {
                engine.purge_batch(10, after(500));
            }),
        ];
        together(&engine, actors);
    });
}

#[test]
fn a_late_delete_takes_no_entry_of_a_new_session_under_the_same_id() {
    check(|| {
        let engine = engine(100);
        engine.create(&record(1, 1, Some(alice())), NOW).unwrap();
        let actors = vec![
            actor(|engine| {
                engine.delete(&id(1), NOW);
            }),
            create_then_delete_all(1, 2, NOW),
            create_then_delete_all(1, 3, NOW),
            actor(|engine| {
                engine.delete(&id(1), NOW);
            }),
        ];
        together(&engine, actors);
    });
}

#[test]
fn a_login_into_a_reused_id_keeps_its_entry() {
    check(|| {
        let engine = engine(100);
        engine.create(&record(1, 1, Some(alice())), NOW).unwrap();
        let actors = vec![
            actor(|engine| {
                engine.delete(&id(1), NOW);
                engine.delete(&id(1), NOW);
            }),
            actor(|engine| {
                let visitor = record(1, 2, None);
                if engine.create(&visitor, NOW).unwrap() == CreateOutcome::Created {
                    let change = login(&visitor, 3);
                    if engine.update(&change, NOW).unwrap() == UpdateOutcome::Updated {
                        delete_all(engine);
                        assert!(!has(engine, &id(1), revision(3)), "a login was missed");
                    }
                }
            }),
            create_then_delete_all(1, 4, NOW),
        ];
        together(&engine, actors);
    });
}

#[test]
fn creating_over_an_ended_session_races_with_its_purge_and_its_subject() {
    check(|| {
        let engine = engine(100);
        engine.create(&record(1, 1, Some(alice())), NOW).unwrap();
        let later = after(1_100);
        let actors = vec![
            create_then_delete_all(1, 2, later),
            create_then_delete_all(1, 3, later),
            actor(move |engine| {
                engine.purge_batch(10, after(1_000));
            }),
            actor(|engine| {
                delete_all(engine);
            }),
        ];
        together(&engine, actors);
    });
}

#[test]
fn a_login_again_races_with_log_out_and_another_login() {
    check(|| {
        let engine = engine(100);
        let present = record(1, 1, Some(alice()));
        engine.create(&present, NOW).unwrap();
        engine.create(&record(2, 1, Some(alice())), NOW).unwrap();
        let actors = vec![
            login_then_delete_all(present.clone(), 2),
            login_then_delete_all(present, 3),
            actor(|engine| {
                engine.delete(&id(1), NOW);
                engine.delete_if_of(&alice(), &id(2), NOW);
            }),
        ];
        together(&engine, actors);
    });
}

#[test]
fn an_entry_that_was_left_behind_is_trimmed_while_a_session_begins_under_its_id() {
    check(|| {
        let engine = engine(100);
        let present = record(1, 1, Some(alice()));
        engine.create(&present, NOW).unwrap();
        engine.update(&present.change(revision(2)), NOW).unwrap();
        assert_eq!(engine.update(&login(&present, 3), NOW).unwrap(), UpdateOutcome::Conflict);
        engine.delete(&id(1), NOW);
        let actors = vec![
            create_then_delete_all(1, 4, after(2_500)),
            actor(|engine| {
                engine.purge_batch(10, after(2_400));
            }),
        ];
        together(&engine, actors);
    });
}

#[test]
fn one_login_sent_twice_is_one_login() {
    check(|| {
        let engine = engine(100);
        let visitor = record(1, 1, None);
        engine.create(&visitor, NOW).unwrap();
        let again = visitor.clone();
        let actors = vec![
            login_then_delete_all(visitor, 2),
            login_then_delete_all(again, 2),
            actor(|engine| {
                engine.delete(&id(1), NOW);
            }),
        ];
        together(&engine, actors);
    });
}

#[test]
fn of_two_updates_one_wins_and_a_delete_wins_over_both() {
    check(|| {
        let engine = engine(100);
        let present = record(1, 1, None);
        engine.create(&present, NOW).unwrap();
        let update = |next: u8, present: Record| {
            actor(move |engine| {
                let change = present.change(revision(next)).payload(vec![next; 5]);
                if engine.update(&change, NOW).unwrap() == UpdateOutcome::Updated
                    && let Some(stored) = engine.load(&id(1), NOW)
                {
                    assert_eq!(stored.revision(), revision(next), "two winners");
                }
            })
        };
        let actors = vec![
            update(2, present.clone()),
            update(3, present),
            actor(|engine| {
                engine.touch(&id(1), after(5_000), NOW);
                assert!(engine.delete(&id(1), NOW));
                assert_eq!(engine.load(&id(1), NOW), None);
            }),
        ];
        together(&engine, actors);
    });
}

#[test]
fn a_purge_removes_nothing_that_is_touched_and_the_bounds_hold() {
    check(|| {
        let engine = engine(2);
        engine.create(&record(1, 1, Some(alice())), NOW).unwrap();
        engine.touch(&id(1), after(3_000), NOW);
        engine.update(&login(&record(1, 1, Some(alice())), 2), NOW).unwrap();
        let fill = |session: u8| {
            actor(move |engine| {
                let _ = engine.create(&record(session, 1, Some(alice())), NOW);
                assert!(engine.usage().sessions() <= 2);
            })
        };
        let actors = vec![
            fill(2),
            fill(3),
            actor(|engine| {
                engine.purge_batch(10, after(1_500));
                assert!(engine.load(&id(1), NOW).is_some());
            }),
        ];
        together(&engine, actors);
    });
}
