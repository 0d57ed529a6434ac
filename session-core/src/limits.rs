//! How much a session may hold: the same on every store.

use serde_json::Value;

use crate::payload::Content;

/// How many arrays and objects may lie inside one another in one value, the value itself included.
pub const MAX_DEPTH: usize = 64;

/// How many keys a session may have. As many flash messages may wait beside them.
pub const MAX_KEYS: usize = 1_024;

/// The longest key of a session in bytes of UTF-8. Keys inside a value may have any length.
pub const MAX_KEY_LEN: usize = 255;

/// A session holds more than every store can keep. Nothing was written; the old data is intact.
///
/// The text names limits and lengths, never a key or a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitExceeded {
    /// The encoded session is too long.
    #[error("the session takes {len} bytes, the limit is {max}")]
    PayloadTooLarge {
        /// Length in bytes, header included.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// A value has too many arrays and objects inside one another.
    #[error("a value of the session is nested more than {max} deep")]
    TooDeep {
        /// The limit: [`MAX_DEPTH`].
        max: usize,
    },
    /// There are too many keys, or too many flash messages.
    #[error("the session has more than {max} keys or flash messages")]
    TooManyKeys {
        /// The limit: [`MAX_KEYS`].
        max: usize,
    },
    /// A key is the empty string.
    #[error("a key of the session is empty")]
    EmptyKey,
    /// A key is too long.
    #[error("a key of the session is longer than {max} bytes")]
    KeyTooLong {
        /// The limit in bytes: [`MAX_KEY_LEN`].
        max: usize,
    },
}

/// Checks everything but the encoded length, which only the encoder knows.
pub(crate) fn check(content: &Content) -> Result<(), LimitExceeded> {
    check_count(content.data.len())?;
    check_count(content.flash.len())?;
    let data = content.data.iter();
    let flash = content.flash.iter().map(|flash| (&flash.key, &flash.value));
    for (key, value) in data.chain(flash) {
        check_key(key)?;
        check_depth(value, MAX_DEPTH)?;
    }
    Ok(())
}

pub(crate) fn check_count(count: usize) -> Result<(), LimitExceeded> {
    if count > MAX_KEYS { Err(LimitExceeded::TooManyKeys { max: MAX_KEYS }) } else { Ok(()) }
}

pub(crate) fn check_key(key: &str) -> Result<(), LimitExceeded> {
    match key.len() {
        0 => Err(LimitExceeded::EmptyKey),
        1..=MAX_KEY_LEN => Ok(()),
        _ => Err(LimitExceeded::KeyTooLong { max: MAX_KEY_LEN }),
    }
}

/// Goes no deeper than `allowed`, so it is safe for any value.
fn check_depth(value: &Value, allowed: usize) -> Result<(), LimitExceeded> {
    let inner = || allowed.checked_sub(1).ok_or(LimitExceeded::TooDeep { max: MAX_DEPTH });
    match value {
        Value::Array(items) => {
            let inner = inner()?;
            items.iter().try_for_each(|item| check_depth(item, inner))
        }
        Value::Object(members) => {
            let inner = inner()?;
            members.values().try_for_each(|member| check_depth(member, inner))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}
