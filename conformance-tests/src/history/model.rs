//! What one session does, one operation at a time. Follows the contract and nothing else.

use session_core::{CreateOutcome, TouchOutcome, UpdateOutcome};

/// What was written, as far as the model needs it. The content itself is told apart by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Write {
    /// The number of the content: revision, payload and every other field but the times.
    pub(crate) content: u32,
    pub(crate) expires_at: u64,
    pub(crate) deadline: u64,
}

/// A call, each with the time that it takes for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Create {
        write: Write,
        now: u64,
    },
    Load {
        now: u64,
    },
    /// `expected` is the number of the content that must be there.
    Update {
        expected: u32,
        write: Write,
        now: u64,
    },
    Touch {
        expires_at: u64,
        now: u64,
    },
    Delete {
        now: u64,
    },
}

/// What the store answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Create(CreateOutcome),
    /// A record with this content and these times; `None` for no record.
    Load(Option<Write>),
    Update(UpdateOutcome),
    Touch(TouchOutcome),
    Delete(bool),
    /// A delete that may have been sent twice answered `false`: the record is gone, whoever removed it.
    Gone,
}

/// The stored record, live or not. `None` when there is none.
pub(crate) type State = Option<Write>;

impl Write {
    fn is_live(self, now: u64) -> bool {
        now < self.expires_at && now < self.deadline
    }
}

/// The state after the call, if the call may be answered like this in `state`. Without an answer: the
/// state after the call, whatever the answer was.
pub(crate) fn step(state: State, call: &Call, answer: Option<&Answer>) -> Option<State> {
    let given = |expected: Answer| answer.is_none_or(|answer| *answer == expected);
    match *call {
        Call::Create { write, now } => {
            let created = Some(Some(write));
            let live = state.is_some_and(|stored| stored.is_live(now));
            match answer {
                Some(Answer::Create(CreateOutcome::Created)) | None if !live => created,
                // Of a record that is over, either answer is right.
                Some(Answer::Create(CreateOutcome::Exists)) => state.map(Some),
                None => Some(state),
                _ => None,
            }
        }
        Call::Load { now } => {
            let visible = state.filter(|stored| stored.is_live(now));
            given(Answer::Load(visible)).then_some(state)
        }
        Call::Update { expected, write, now } => match state.filter(|s| s.is_live(now)) {
            Some(stored) if stored.content == expected => {
                let expires_at = stored.expires_at.max(write.expires_at);
                given(Answer::Update(UpdateOutcome::Updated))
                    .then_some(Some(Write { expires_at, ..write }))
            }
            Some(stored) if stored.content == write.content => {
                given(Answer::Update(UpdateOutcome::Updated)).then_some(state)
            }
            Some(_) => given(Answer::Update(UpdateOutcome::Conflict)).then_some(state),
            None => given(Answer::Update(UpdateOutcome::Missing)).then_some(state),
        },
        Call::Touch { expires_at, now } => match state.filter(|s| s.is_live(now)) {
            Some(stored) => {
                let expires_at = stored.expires_at.max(expires_at);
                given(Answer::Touch(TouchOutcome::Touched))
                    .then_some(Some(Write { expires_at, ..stored }))
            }
            None => given(Answer::Touch(TouchOutcome::Missing)).then_some(state),
        },
        Call::Delete { .. } if answer == Some(&Answer::Gone) => Some(None),
        Call::Delete { now } => {
            let live = state.is_some_and(|stored| stored.is_live(now));
            given(Answer::Delete(live)).then_some(None)
        }
    }
}
