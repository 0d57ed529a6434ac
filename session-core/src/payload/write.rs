//! Writing a payload.

use std::io;

use bytes::Bytes;
use serde::ser::{Error, Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::{Content, FORMAT, Flash, MAGIC, NO_FLAGS};
use crate::limits::LimitExceeded;

const INFALLIBLE: &str = "the writer takes all, and every number is one that `to_value` accepts";

pub(super) fn json(content: &Content, payload: &mut Bounded) {
    serde_json::to_writer(payload, &Body(content)).expect(INFALLIBLE);
}

#[cfg(feature = "msgpack")]
pub(super) fn message_pack(content: &Content, payload: &mut Bounded) {
    let mut serializer = rmp_serde::Serializer::new(payload);
    Body(content).serialize(&mut serializer).expect(INFALLIBLE);
}

/// Keeps the first `max` bytes and counts the others, so that what is far too long costs no memory and the
/// error can still say how long it is.
pub(super) struct Bounded {
    bytes: Vec<u8>,
    len: usize,
    max: usize,
}

impl Bounded {
    pub(super) fn new(max: usize) -> Self {
        Self { bytes: Vec::with_capacity(max.min(512)), len: 0, max }
    }

    pub(super) fn header(&mut self, codec: u8) {
        self.push(&MAGIC);
        self.push(&[FORMAT, codec, NO_FLAGS]);
    }

    pub(super) fn finish(self) -> Result<Bytes, LimitExceeded> {
        if self.len > self.max {
            return Err(LimitExceeded::PayloadTooLarge { len: self.len, max: self.max });
        }
        // A store in memory keeps these bytes: without the spare capacity.
        Ok(Bytes::from(self.bytes.into_boxed_slice()))
    }

    fn push(&mut self, bytes: &[u8]) {
        self.len = self.len.saturating_add(bytes.len());
        if self.len <= self.max {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Body<'a>(&'a Content);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(Content { data, flash }) = self;
        let mut body = serializer.serialize_map(Some(if flash.is_empty() { 1 } else { 2 }))?;
        body.serialize_entry("data", &Data(data.iter()))?;
        if !flash.is_empty() {
            body.serialize_entry("flash", &FlashList(flash))?;
        }
        body.end()
    }
}

/// Named members, from either kind of map.
struct Data<I>(I);

impl<'a, I> Serialize for Data<I>
where
    I: Iterator<Item = (&'a String, &'a Value)> + Clone,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.clone().map(|(key, value)| (key, Plain(value))))
    }
}

struct FlashList<'a>(&'a [Flash]);

impl Serialize for FlashList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            self.0.iter().map(|Flash { id, key, value }| (format!("{id:016x}"), key, Plain(value))),
        )
    }
}

/// A value with its numbers as numbers. With `arbitrary_precision`, which any crate in the tree may switch
/// on, `Value` itself writes them as a struct that only `serde_json` understands.
struct Plain<'a>(&'a Value);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(bool) => serializer.serialize_bool(*bool),
            Value::Number(number) => {
                if let Some(unsigned) = number.as_u64() {
                    serializer.serialize_u64(unsigned)
                } else if let Some(signed) = number.as_i64() {
                    serializer.serialize_i64(signed)
                } else {
                    let float = number.as_f64().ok_or_else(|| S::Error::custom("no number"))?;
                    serializer.serialize_f64(float)
                }
            }
            Value::String(text) => serializer.serialize_str(text),
            Value::Array(items) => serializer.collect_seq(items.iter().map(Plain)),
            Value::Object(members) => Data(members.iter()).serialize(serializer),
        }
    }
}
