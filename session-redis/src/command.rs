//! How a command begins.

use redis::Cmd;

/// More words than a command has that is sent often.
const WORDS: usize = 8;

/// A command whose arguments are added by the caller and have about `room` bytes: with less room the command
/// would be moved again and again while it grows.
pub(crate) fn command(name: &str, room: usize) -> Cmd {
    let mut command = Cmd::with_capacity(WORDS, name.len() + room);
    command.arg(name);
    command
}
