//! Shows a history that has no order.

use std::fmt::Write as _;

use super::Operation;
use super::check::Stuck;
use super::model::{Answer, Call, Write};

/// The widest timeline; longer histories are squeezed into it.
const WIDEST: u64 = 80;

/// A timeline, one line for each operation in the order in which they began. `x` marks the operations that
/// could not come next, a number the place of those that could be ordered.
pub(crate) fn render(history: &[Operation], stuck: &Stuck, base: u64) -> String {
    let mut places: Vec<usize> = (0..history.len()).collect();
    places.sort_by_key(|place| history[*place].invoked);
    let end = history.iter().flat_map(|op| [op.invoked, op.returned]);
    let end = end.filter(|event| *event != u64::MAX).max().unwrap_or_default() + 1;
    let column = |event: u64| {
        let event = event.min(end);
        usize::try_from(if end <= WIDEST { event } else { event * WIDEST / end })
            .unwrap_or_default()
    };
    let width = column(end) + 1;
    let mut text = String::new();
    for place in places {
        let operation = &history[place];
        let mark = match stuck.done.iter().position(|done| *done == place) {
            Some(order) => format!("{:>3}", order + 1),
            None if stuck.next.contains(&place) => "  x".to_owned(),
            None => "   ".to_owned(),
        };
        let (from, to) = (column(operation.invoked), column(operation.returned));
        let mut line = vec![' '; width];
        line[from..=to].fill('-');
        line[from] = '[';
        line[to] = if operation.answer.is_some() { ']' } else { '?' };
        let line: String = line.into_iter().collect();
        let _ = writeln!(
            text,
            "{mark} client {} |{line}| {} -> {}",
            operation.client,
            show_call(&operation.call, base),
            operation
                .answer
                .as_ref()
                .map_or_else(|| "unknown".to_owned(), |answer| show_answer(answer, base)),
        );
    }
    let state = stuck.state.map_or_else(|| "no record".to_owned(), |write| show(write, base));
    let _ = write!(
        text,
        "the longest beginning that could have happened has {} operations, numbered; it ends with\n\
         {state}, and none of those marked x can come next",
        stuck.done.len(),
    );
    text
}

fn show(write: Write, base: u64) -> String {
    let content = match write.content {
        u32::MAX => "something that nobody wrote".to_owned(),
        content => format!("w{content}"),
    };
    let (idle, deadline) = (time(write.expires_at, base), time(write.deadline, base));
    format!("{content} idle {idle} deadline {deadline}")
}

fn show_call(call: &Call, base: u64) -> String {
    match *call {
        Call::Create { write, now } => {
            format!("create({}) at {}", show(write, base), time(now, base))
        }
        Call::Load { now } => format!("load() at {}", time(now, base)),
        Call::Update { expected, write, now } => {
            format!("update(w{expected} to {}) at {}", show(write, base), time(now, base))
        }
        Call::Touch { expires_at, now } => {
            format!("touch({}) at {}", time(expires_at, base), time(now, base))
        }
        Call::Delete { now } => format!("delete() at {}", time(now, base)),
    }
}

fn show_answer(answer: &Answer, base: u64) -> String {
    match answer {
        Answer::Create(outcome) => format!("{outcome:?}"),
        Answer::Load(Some(write)) => show(*write, base),
        Answer::Load(None) => "None".to_owned(),
        Answer::Update(outcome) => format!("{outcome:?}"),
        Answer::Touch(outcome) => format!("{outcome:?}"),
        Answer::Delete(deleted) => deleted.to_string(),
        Answer::Gone => "false, perhaps sent twice".to_owned(),
    }
}

fn time(millis: u64, base: u64) -> String {
    format!("+{}", millis.saturating_sub(base))
}
