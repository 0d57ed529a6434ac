//! The search for an order (Wing and Gong, with Lowe's memo of what was tried already).

use std::collections::HashSet;

use super::Operation;
use super::model::{State, step};

/// The most operations of one history: they must fit into the bits of a number.
pub(crate) const MOST: usize = 64;

/// Why a history has no order: the longest beginning that was found, and where it ends.
#[derive(Debug)]
pub(crate) struct Stuck {
    /// The operations of that beginning, in its order.
    pub(crate) done: Vec<usize>,
    /// The operations of which one should have come next, and none could.
    pub(crate) next: Vec<usize>,
    /// The record at that point.
    pub(crate) state: State,
}

/// Looks for an order of the operations in which each could have happened by itself, from a beginning
/// without a record. An operation that returned before another began must come before it. One whose outcome
/// is unknown may come at any time after it began, or not at all.
pub(crate) fn check(history: &[Operation]) -> Result<(), Stuck> {
    assert!(history.len() <= MOST, "a history has at most {MOST} operations");
    let mut search = Search {
        history,
        known: mask(history, |operation| operation.answer.is_some()),
        tried: HashSet::new(),
        order: Vec::new(),
        stuck: Stuck { done: Vec::new(), next: candidates(history, 0), state: None },
    };
    if search.run(0, None) { Ok(()) } else { Err(search.stuck) }
}

struct Search<'a> {
    history: &'a [Operation],
    /// The operations that surely happened.
    known: u64,
    tried: HashSet<(u64, State)>,
    order: Vec<usize>,
    stuck: Stuck,
}

impl Search<'_> {
    /// Whether the rest can be done from here. Goes no deeper than there are operations.
    fn run(&mut self, done: u64, state: State) -> bool {
        if done & self.known == self.known {
            return true;
        }
        if !self.tried.insert((done, state)) {
            return false;
        }
        let next = candidates(self.history, done);
        for &place in &next {
            let Operation { call, answer, .. } = &self.history[place];
            if let Some(after) = step(state, call, answer.as_ref()) {
                self.order.push(place);
                if self.run(done | 1 << place, after) {
                    return true;
                }
                self.order.pop();
            }
        }
        if self.order.len() > self.stuck.done.len() {
            self.stuck = Stuck { done: self.order.clone(), next, state };
        }
        false
    }
}

/// The operations that may come next: those that had begun when the first of the others returned.
fn candidates(history: &[Operation], done: u64) -> Vec<usize> {
    let left = || history.iter().enumerate().filter(|(place, _)| done & 1 << place == 0);
    let first_return = left().map(|(_, operation)| operation.returned).min().unwrap_or(u64::MAX);
    left()
        .filter(|(_, operation)| operation.invoked < first_return)
        .map(|(place, _)| place)
        .collect()
}

fn mask(history: &[Operation], wanted: impl Fn(&Operation) -> bool) -> u64 {
    let bits = history.iter().enumerate().filter(|(_, operation)| wanted(operation));
    bits.fold(0, |mask, (place, _)| mask | 1 << place)
}
