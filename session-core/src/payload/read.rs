//! Reading a payload: strictly, within the limits, from bytes that may be anything.
//!
//! Everything goes through `deserialize_any` and visitors that accept one type only, because both codecs
//! would otherwise convert on the way: binary data into a string or an array, for example.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Number, Value};

use super::{Content, DecodeError, Flash};
use crate::limits::{MAX_DEPTH, check_count, check_key};
use crate::value::{NUMBER_TOKEN, nearest_number};

/// A length prefix is a claim. Only so much is reserved for it; the rest grows as elements arrive.
const MAX_RESERVED: usize = 64;

pub(super) fn json(body: &[u8]) -> Result<Content, DecodeError> {
    let text = std::str::from_utf8(body).map_err(|_| DecodeError::Corrupt)?;
    // The parser alone would skip white space on both sides.
    if !text.starts_with('{') || !text.ends_with('}') {
        return Err(DecodeError::Corrupt);
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let body = Body::deserialize(&mut json).map_err(|_| DecodeError::Corrupt)?;
    json.end().map_err(|_| DecodeError::Corrupt)?;
    body.into_content()
}

#[cfg(feature = "msgpack")]
pub(super) fn message_pack(mut body: &[u8]) -> Result<Content, DecodeError> {
    let mut message_pack = rmp_serde::Deserializer::new(&mut body);
    // Below the values lie body, list of messages and message. Bounds the unknown members too.
    message_pack.set_max_depth(MAX_DEPTH + 4);
    let content = Body::deserialize(&mut message_pack);
    if !body.is_empty() {
        return Err(DecodeError::Corrupt);
    }
    content.map_err(|_| DecodeError::Corrupt)?.into_content()
}

#[derive(Default)]
struct Body {
    data: Option<Data>,
    flash: Option<FlashList>,
    has_unknown_member: bool,
}

impl Body {
    /// A body without `data` was never written, so it is damaged rather than new.
    fn into_content(self) -> Result<Content, DecodeError> {
        let Data(data) = self.data.ok_or(DecodeError::Corrupt)?;
        if self.has_unknown_member {
            return Err(DecodeError::UnsupportedFormat);
        }
        let FlashList(flash) = self.flash.unwrap_or_default();
        Ok(Content { data, flash })
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BodyVisitor)
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Body;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body of a payload")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Body, A::Error> {
        let mut body = Body::default();
        while let Some(name) = next_name(&mut members)? {
            match name.as_str() {
                "data" if body.data.is_none() => body.data = Some(members.next_value()?),
                "flash" if body.flash.is_none() => body.flash = Some(members.next_value()?),
                "data" | "flash" => return Err(A::Error::custom("a member twice")),
                _ => {
                    members.next_value::<IgnoredAny>()?;
                    body.has_unknown_member = true;
                }
            }
        }
        Ok(body)
    }
}

struct Data(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DataVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the keys of a session")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Data, A::Error> {
        let mut data = BTreeMap::new();
        while let Some(key) = next_name(&mut members)? {
            check_key(&key).map_err(A::Error::custom)?;
            let value = members.next_value_seed(AnyValue::OUTERMOST)?;
            if data.insert(key, value).is_some() {
                return Err(A::Error::custom("a key twice"));
            }
            check_count(data.len()).map_err(A::Error::custom)?;
        }
        Ok(Data(data))
    }
}

#[derive(Default)]
struct FlashList(Vec<Flash>);

impl<'de> Deserialize<'de> for FlashList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FlashListVisitor)
    }
}

struct FlashListVisitor;

impl<'de> Visitor<'de> for FlashListVisitor {
    type Value = FlashList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flash messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<FlashList, A::Error> {
        let mut flash = Vec::new();
        while let Some(item) = items.next_element()? {
            flash.push(item);
            check_count(flash.len()).map_err(A::Error::custom)?;
        }
        Ok(FlashList(flash))
    }
}

impl<'de> Deserialize<'de> for Flash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FlashVisitor)
    }
}

struct FlashVisitor;

impl<'de> Visitor<'de> for FlashVisitor {
    type Value = Flash;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("id, key and value of a flash message")
    }

    /// A fourth element makes both codecs fail.
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Flash, A::Error> {
        let missing = || A::Error::custom("a part of a flash message is missing");
        let id = items.next_element_seed(Text)?.ok_or_else(missing)?;
        let id = flash_id(&id).ok_or_else(|| A::Error::custom("not the id of a flash message"))?;
        let key = items.next_element_seed(Text)?.ok_or_else(missing)?;
        check_key(&key).map_err(A::Error::custom)?;
        let value = items.next_element_seed(AnyValue::OUTERMOST)?.ok_or_else(missing)?;
        Ok(Flash { id, key, value })
    }
}

/// One id, one spelling: 16 lower-case digits.
fn flash_id(text: &str) -> Option<u64> {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() == 16 && text.bytes().all(is_digit) {
        u64::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

/// Any value that has no more than `containers` arrays and objects inside one another.
#[derive(Clone, Copy)]
struct AnyValue {
    containers: usize,
}

impl AnyValue {
    const OUTERMOST: Self = Self { containers: MAX_DEPTH };

    fn inside<E: Error>(self) -> Result<Self, E> {
        let containers = self.containers.checked_sub(1);
        containers.map(|containers| Self { containers }).ok_or_else(|| E::custom("nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, bool: bool) -> Result<Value, E> {
        Ok(Value::Bool(bool))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    /// MessagePack has NaN and infinities; sessions do not.
    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut array = Vec::with_capacity(items.size_hint().unwrap_or(0).min(MAX_RESERVED));
        while let Some(item) = items.next_element_seed(inside)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut next = members.next_key_seed(Key)?;
        if let Some(Name::Number) = next {
            let number = nearest_number(&members.next_value_seed(Text)?);
            return number.map(Value::Number).ok_or_else(|| A::Error::custom("not a number"));
        }
        let inside = self.inside()?;
        let mut object = Map::new();
        while let Some(key) = next {
            let value = members.next_value_seed(inside)?;
            if object.insert(key.into_member()?, value).is_some() {
                return Err(A::Error::custom("a key twice"));
            }
            next = members.next_key_seed(Key)?;
        }
        Ok(Value::Object(object))
    }
}

fn next_name<'de, A: MapAccess<'de>>(members: &mut A) -> Result<Option<String>, A::Error> {
    members.next_key_seed(Key)?.map(Name::into_member).transpose()
}

enum Name {
    Member(String),
    /// Not an object at all: with `arbitrary_precision`, `serde_json` shows some numbers as a map with
    /// one private key.
    Number,
}

impl Name {
    fn into_member<E: Error>(self) -> Result<String, E> {
        match self {
            Self::Member(name) => Ok(name),
            Self::Number => Err(E::custom("a number in place of an object")),
        }
    }
}

/// A name in an object. It is asked for as an option, because both codecs answer that for a real key with
/// `visit_some`, and only the private key of a number comes as a bare string. So a session may use even
/// that word as a key of its own.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        Text.deserialize(deserializer).map(Name::Member)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
        if text == NUMBER_TOKEN { Ok(Name::Number) } else { Err(E::custom("not a name")) }
    }
}

/// A string, and nothing that could become one.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}
