//! The checker itself: it must accept what could have happened and nothing else.

use session_core::{CreateOutcome, TouchOutcome, UpdateOutcome};

use super::*;

const FAR: u64 = 1_000_000;

fn write(content: u32) -> Write {
    Write { content, expires_at: 1_000, deadline: FAR }
}

fn until(content: u32, expires_at: u64) -> Write {
    Write { expires_at, ..write(content) }
}

fn at(client: usize, invoked: u64, returned: u64, call: Call, answer: Answer) -> Operation {
    Operation { client, call, answer: Some(answer), invoked, returned }
}

fn unknown(client: usize, invoked: u64, call: Call) -> Operation {
    Operation { client, call, answer: None, invoked, returned: u64::MAX }
}

/// One after the other, by one client.
fn in_turn(steps: &[(Call, Answer)]) -> Vec<Operation> {
    (0..).zip(steps).map(|(n, (call, answer))| at(0, 2 * n, 2 * n + 1, *call, *answer)).collect()
}

fn create(content: u32) -> Call {
    Call::Create { write: write(content), now: 0 }
}

fn update(expected: u32, content: u32) -> Call {
    Call::Update { expected, write: write(content), now: 0 }
}

const LOAD: Call = Call::Load { now: 0 };
const DELETE: Call = Call::Delete { now: 0 };
const CREATED: Answer = Answer::Create(CreateOutcome::Created);
const EXISTS: Answer = Answer::Create(CreateOutcome::Exists);
const UPDATED: Answer = Answer::Update(UpdateOutcome::Updated);
const CONFLICT: Answer = Answer::Update(UpdateOutcome::Conflict);
const MISSING: Answer = Answer::Update(UpdateOutcome::Missing);
const TOUCHED: Answer = Answer::Touch(TouchOutcome::Touched);
const NONE: Answer = Answer::Load(None);

fn touch(expires_at: u64) -> Call {
    Call::Touch { expires_at, now: 0 }
}

fn found(write: Write) -> Answer {
    Answer::Load(Some(write))
}

fn accepts(history: &[Operation]) {
    if let Err(stuck) = check(history) {
        panic!("refused:\n{}", render(history, &stuck, 0));
    }
}

/// Refuses the history, and shows one line for each operation with the culprit marked.
fn refuses(history: &[Operation]) {
    let stuck = check(history).expect_err("accepted");
    let shown = render(history, &stuck, 0);
    assert_eq!(shown.lines().filter(|line| line.contains("client")).count(), history.len());
    assert!(shown.lines().any(|line| line.starts_with("  x")), "{shown}");
}

#[test]
fn a_life_without_rivals_is_accepted() {
    accepts(&in_turn(&[
        (LOAD, NONE),
        (DELETE, Answer::Delete(false)),
        (update(0, 1), MISSING),
        (create(0), CREATED),
        (create(9), EXISTS),
        (LOAD, found(write(0))),
        (update(0, 1), UPDATED),
        (update(0, 1), UPDATED),
        (update(0, 2), CONFLICT),
        (touch(5_000), TOUCHED),
        (touch(3_000), TOUCHED),
        (LOAD, found(until(1, 5_000))),
        (update(1, 3), UPDATED),
        (LOAD, found(until(3, 5_000))),
        (DELETE, Answer::Delete(true)),
        (LOAD, NONE),
        (create(4), CREATED),
        (update(3, 5), CONFLICT),
    ]));
}

#[test]
fn rivals_may_be_ordered_either_way() {
    for (first, second, last) in [(UPDATED, CONFLICT, 1), (CONFLICT, UPDATED, 2)] {
        accepts(&[
            at(0, 0, 1, create(0), CREATED),
            at(0, 2, 5, update(0, 1), first),
            at(1, 3, 6, update(0, 2), second),
            at(2, 4, 7, LOAD, found(write(0))),
            at(2, 8, 9, LOAD, found(write(last))),
        ]);
    }
}

#[test]
fn a_record_that_is_over_may_be_kept_or_replaced() {
    let late = Call::Create { write: until(1, 9_000), now: 1_000 };
    let seen = Call::Load { now: 1_000 };
    for (answer, then) in [(CREATED, found(until(1, 9_000))), (EXISTS, NONE)] {
        accepts(&in_turn(&[(create(0), CREATED), (late, answer), (seen, then)]));
    }
    refuses(&in_turn(&[(create(0), CREATED), (late, EXISTS), (seen, found(until(1, 9_000)))]));
    refuses(&in_turn(&[(create(0), CREATED), (late, CREATED), (seen, NONE)]));
}

#[test]
fn resurrection_is_refused() {
    refuses(&in_turn(&[
        (create(0), CREATED),
        (DELETE, Answer::Delete(true)),
        (update(0, 1), UPDATED),
    ]));
    refuses(&[
        at(0, 0, 1, create(0), CREATED),
        at(1, 2, 4, DELETE, Answer::Delete(true)),
        at(2, 3, 5, touch(5_000), TOUCHED),
        at(0, 6, 7, LOAD, found(until(0, 5_000))),
    ]);
}

#[test]
fn a_lost_update_is_refused() {
    refuses(&[
        at(0, 0, 1, create(0), CREATED),
        at(0, 2, 3, update(0, 1), UPDATED),
        at(1, 4, 5, update(0, 2), UPDATED),
    ]);
}

#[test]
fn two_winners_are_refused() {
    refuses(&[at(0, 0, 2, create(0), CREATED), at(1, 1, 3, create(1), CREATED)]);
    refuses(&[
        at(0, 0, 1, create(0), CREATED),
        at(0, 2, 4, DELETE, Answer::Delete(true)),
        at(1, 3, 5, DELETE, Answer::Delete(true)),
    ]);
    refuses(&[
        at(0, 0, 1, create(0), CREATED),
        at(0, 2, 4, update(0, 1), UPDATED),
        at(1, 3, 5, update(0, 2), UPDATED),
    ]);
}

#[test]
fn a_stale_read_is_refused() {
    refuses(&in_turn(&[(create(0), CREATED), (update(0, 1), UPDATED), (LOAD, found(write(0)))]));
    refuses(&in_turn(&[(create(0), CREATED), (LOAD, NONE)]));
}

#[test]
fn a_touch_that_moves_back_is_refused() {
    refuses(&in_turn(&[
        (create(0), CREATED),
        (touch(5_000), TOUCHED),
        (touch(2_000), TOUCHED),
        (LOAD, found(until(0, 2_000))),
    ]));
    refuses(&in_turn(&[
        (create(0), CREATED),
        (touch(5_000), TOUCHED),
        (update(0, 1), UPDATED),
        (LOAD, found(write(1))),
    ]));
}

#[test]
fn a_phantom_is_refused() {
    refuses(&in_turn(&[(create(0), CREATED), (LOAD, found(write(u32::MAX)))]));
    refuses(&in_turn(&[(LOAD, found(write(0))), (create(0), CREATED)]));
}

#[test]
fn a_false_conflict_and_a_false_miss_are_refused() {
    refuses(&in_turn(&[(create(0), CREATED), (touch(2_000), TOUCHED), (update(0, 1), CONFLICT)]));
    refuses(&in_turn(&[(create(0), CREATED), (update(0, 1), MISSING)]));
    refuses(&in_turn(&[(create(0), CREATED), (DELETE, Answer::Delete(false))]));
}

#[test]
fn life_ends_at_the_end_and_not_before() {
    let late = Call::Load { now: 1_000 };
    let just = Call::Load { now: 999 };
    accepts(&in_turn(&[(create(0), CREATED), (just, found(write(0))), (late, NONE)]));
    refuses(&in_turn(&[(create(0), CREATED), (late, found(write(0)))]));
    refuses(&in_turn(&[(create(0), CREATED), (just, NONE)]));
}

#[test]
fn an_unknown_outcome_may_have_happened_or_not() {
    for (seen, deleted) in [(found(write(1)), true), (found(write(0)), true), (NONE, false)] {
        let mut history = vec![
            at(0, 0, 1, create(0), CREATED),
            unknown(1, 2, update(0, 1)),
            at(0, 6, 7, LOAD, seen),
            at(0, 8, 9, DELETE, Answer::Delete(deleted)),
        ];
        if seen == NONE {
            history.push(unknown(2, 3, DELETE));
        }
        accepts(&history);
    }
}

#[test]
fn an_unknown_outcome_may_come_late_and_happens_once_at_most() {
    // Seen only long after the call.
    accepts(&[
        at(0, 0, 1, create(0), CREATED),
        unknown(1, 2, update(0, 1)),
        at(0, 3, 4, LOAD, found(write(0))),
        at(0, 5, 6, LOAD, found(write(1))),
    ]);
    // Not before it, and not twice.
    refuses(&[
        at(0, 0, 1, create(0), CREATED),
        at(0, 2, 3, LOAD, found(write(1))),
        unknown(1, 4, update(0, 1)),
    ]);
    refuses(&[
        unknown(1, 0, create(0)),
        at(0, 1, 2, LOAD, found(write(0))),
        at(0, 3, 4, DELETE, Answer::Delete(true)),
        at(0, 5, 6, LOAD, found(write(0))),
    ]);
}

#[test]
fn sixty_four_operations_at_once_are_checked_quickly() {
    let mut history = vec![at(0, 0, 1, create(0), CREATED)];
    history.extend((1..64).map(|n| at(n, 2, 100, touch(1_000 + n as u64), TOUCHED)));
    accepts(&history);
    history[63] = at(63, 101, 102, LOAD, found(until(0, 1_000)));
    let stuck = check(&history[..1]).is_err() || check(&history[62..]).is_ok();
    assert!(!stuck);
}
