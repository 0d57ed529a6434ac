//! The bytes of a session's data, as every store keeps them.
//!
//! # Format 1
//!
//! | offset | length | content |
//! |---|---|---|
//! | 0 | 2 | magic: `D5 53` |
//! | 2 | 1 | format version: `01` |
//! | 3 | 1 | codec of the body: `01` JSON (RFC 8259), `02` MessagePack |
//! | 4 | 1 | flags: `00`. Bit 0 is reserved for authenticated encryption of the body |
//! | 5 | … | body |
//!
//! Header and body together are at most [`MAX_PAYLOAD_LEN`] bytes. The body has the same shape in both
//! codecs:
//!
//! ```json
//! {"data": {"cart": [1, 2]}, "flash": [["00000000000000ff", "notice", "Saved."]]}
//! ```
//!
//! `data` is always there. `flash` is there when a flash message waits: its id as 16 lower-case
//! hexadecimal digits (a JSON reader may know doubles only), its key and its value. Numbers are
//! integers of 64 bits, signed or unsigned, or finite doubles. MessagePack uses nil, bool, the integer and
//! float types, str, array and map with keys of type str; no bin and no extension types.
//!
//! # Reading
//!
//! A reader takes what a writer writes, and nothing it would have to guess at. A later format version, an
//! unknown codec, flag or member of the body is [`DecodeError::UnsupportedFormat`]: reading on would
//! lose it at the next write. Anything else is [`DecodeError::Corrupt`]: a key twice in one object, at any
//! depth; bytes after the body; more than a limit allows.

mod read;
mod write;

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde_json::Value;

use crate::limits::{self, LimitExceeded};
use crate::record::MAX_PAYLOAD_LEN;

const MAGIC: [u8; 2] = [0xD5, b'S'];
const FORMAT: u8 = 1;
const NO_FLAGS: u8 = 0;
const JSON: u8 = 1;
#[cfg(feature = "msgpack")]
const MESSAGE_PACK: u8 = 2;

/// How session data is written. What was written with either codec is read, whatever is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Codec {
    /// JSON: readable by people and by every language.
    #[default]
    Json,
    /// MessagePack: about a seventh smaller. Every server that shares the store needs the feature
    /// `msgpack` before one of them writes it.
    #[cfg(feature = "msgpack")]
    MessagePack,
}

/// The data of one session. Values come from [`to_value`](crate::value::to_value) or from a payload.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Content {
    pub(crate) data: BTreeMap<String, Value>,
    pub(crate) flash: Vec<Flash>,
}

impl Content {
    /// The values of these keys, and nothing else.
    pub(crate) fn only(&self, keys: &[String]) -> Self {
        let data = self.data.iter().filter(|(key, _)| keys.contains(key));
        Self {
            data: data.map(|(key, value)| (key.clone(), value.clone())).collect(),
            flash: Vec::new(),
        }
    }
}

/// Shows how much there is and nothing of it: the data belongs to the application.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("keys", &self.data.len())
            .field("flash", &self.flash.len())
            .finish_non_exhaustive()
    }
}

/// A message that is shown once.
#[derive(Clone, PartialEq)]
pub(crate) struct Flash {
    pub(crate) id: u64,
    pub(crate) key: String,
    pub(crate) value: Value,
}

/// The payload of `content`: at most `max_len` bytes, and never more than [`MAX_PAYLOAD_LEN`].
///
/// Whatever is encoded can be decoded, and is equal then.
pub(crate) fn encode(
    content: &Content,
    codec: Codec,
    max_len: usize,
) -> Result<Bytes, LimitExceeded> {
    limits::check(content)?;
    let mut payload = write::Bounded::new(max_len.min(MAX_PAYLOAD_LEN));
    match codec {
        Codec::Json => {
            payload.header(JSON);
            write::json(content, &mut payload);
        }
        #[cfg(feature = "msgpack")]
        Codec::MessagePack => {
            payload.header(MESSAGE_PACK);
            write::message_pack(content, &mut payload);
        }
    }
    payload.finish()
}

/// The data in `payload`. Safe for any bytes: bounded stack, and memory in proportion to the length.
pub(crate) fn decode(payload: &[u8]) -> Result<Content, DecodeError> {
    if payload.len() > MAX_PAYLOAD_LEN {
        return Err(DecodeError::Corrupt);
    }
    let versioned = payload.strip_prefix(&MAGIC).ok_or(DecodeError::Corrupt)?;
    match versioned {
        [FORMAT, JSON, NO_FLAGS, body @ ..] => read::json(body),
        #[cfg(feature = "msgpack")]
        [FORMAT, MESSAGE_PACK, NO_FLAGS, body @ ..] => read::message_pack(body),
        [] | [FORMAT] | [FORMAT, _] => Err(DecodeError::Corrupt),
        _ => Err(DecodeError::UnsupportedFormat),
    }
}

/// Why a payload has no content. Says nothing about the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// No version of this crate wrote these bytes.
    Corrupt,
    /// A later version, or one with other features, may have written them.
    UnsupportedFormat,
}

#[cfg(test)]
mod tests;
