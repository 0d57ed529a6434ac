//! Whether a history of concurrent operations on one session could have happened one by one.
//!
//! `client` makes the calls of one of several clients, `record` writes histories down, `model` says what a session does when nobody else is there, `check`
//! looks for an order of the operations that the model allows, and `render` shows a history in which
//! there is none.

mod check;
mod client;
mod model;
mod record;
mod render;
#[cfg(test)]
mod tests;

pub(crate) use check::check;
pub(crate) use client::Client;
#[cfg(test)]
pub(crate) use model::Write;
pub(crate) use model::{Answer, Call};
pub(crate) use record::{Recorder, Sent, is_open};
pub(crate) use render::render;

/// One operation of a history.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// Who made the call.
    pub(crate) client: usize,
    pub(crate) call: Call,
    /// `None` when the outcome is unknown: it may have happened at any time after the call, or never.
    pub(crate) answer: Option<Answer>,
    /// When the call began, in the count of all events of the history.
    pub(crate) invoked: u64,
    /// When it returned; never, if the outcome is unknown.
    pub(crate) returned: u64,
}
