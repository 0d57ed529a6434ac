//! The Lua scripts, and how they are called.

use std::fmt;
use std::sync::LazyLock;

use redis::Cmd;

use crate::command::command;

/// Compare-and-set of a record.
pub(crate) static UPDATE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/update.lua")));
/// Move of an idle deadline.
pub(crate) static TOUCH: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/touch.lua")));
/// Removal, with or without a condition.
pub(crate) static DELETE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/delete.lua")));
/// Index entry on servers before 7.0.
pub(crate) static INDEX: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/index.lua")));
/// Page of an index.
pub(crate) static PAGE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/page.lua")));

/// A script and its hash.
pub(crate) struct Script {
    source: &'static str,
    hash: String,
}

/// How scripts are named in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScriptForm {
    /// By hash. The server answers `NOSCRIPT` when it does not know the script (any more).
    Hash,
    /// With their source, which the server keeps from then on.
    Source,
}

impl Script {
    fn new(source: &'static str) -> Self {
        Self { source, hash: redis::Script::new(source).get_hash().to_owned() }
    }

    /// A call with one key. Arguments are added by the caller, and have about `room` bytes.
    pub(crate) fn call(&self, form: ScriptForm, key: &[u8], room: usize) -> Cmd {
        let (name, script) = match form {
            ScriptForm::Hash => ("EVALSHA", self.hash.as_str()),
            ScriptForm::Source => ("EVAL", self.source),
        };
        let mut command = command(name, script.len() + 1 + key.len() + room);
        command.arg(script).arg("1").arg(key);
        command
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script({})", self.hash)
    }
}
