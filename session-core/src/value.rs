//! From any type of the application to a JSON value, without a silent change.

use std::fmt;

use serde::ser::{self, Serialize};
use serde_json::{Map, Number, Value};

use crate::limits::MAX_DEPTH;

/// A value cannot be kept in a session, because it would not come back as it was.
///
/// Says what was wrong, and nothing of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// A number is NaN or infinite. JSON has no word for these.
    #[error("a number is not finite")]
    NotFinite,
    /// An integer needs more than 64 bits, or a decimal number more digits than a double holds.
    #[error("a number does not fit into 64 bits")]
    NumberOutOfRange,
    /// A key of a map is not a string, an integer, a bool, a character or the name of a variant.
    #[error("a key of a map cannot be a string")]
    KeyNotString,
    /// A key occurs twice in one map, perhaps only as a string: the number `1` and the text `"1"`.
    #[error("a map has a key twice")]
    DuplicateKey,
    /// There are more than [`MAX_DEPTH`] arrays and maps inside one another.
    #[error("a value is nested too deep")]
    TooDeep,
    /// The type's own `Serialize` refused. Its message is dropped, for it may contain the data.
    #[error("a value refuses to be serialized")]
    Custom,
}

impl ser::Error for ValueError {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self::Custom
    }
}

/// The JSON value of `value`, or the reason why it has none that would read back equal.
///
/// As everywhere in JSON, `Some(None)` is `None`, and `Some(())` too.
pub(crate) fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, ValueError> {
    value.serialize(ValueSerializer(Nesting { containers: 0, frames: 0 }))
}

/// The name under which numbers travel through serde when a crate in the tree has switched on
/// `arbitrary_precision` in `serde_json`.
pub(crate) const NUMBER_TOKEN: &str = "$serde_json::private::Number";

/// Likewise for raw JSON text. It would be read back as an object.
const RAW_TOKEN: &str = "$serde_json::private::RawValue";

/// The number that a JSON text stands for, as a parser without `arbitrary_precision` reads it.
pub(crate) fn nearest_number(text: &str) -> Option<Number> {
    if let Ok(unsigned) = text.parse::<u64>() {
        return Some(unsigned.into());
    }
    match text.parse::<i64>() {
        Ok(signed) if signed < 0 => Some(signed.into()),
        // Too long for an integer, with a fraction or an exponent, or `-0`, which is a double.
        _ => text.parse().ok().and_then(Number::from_f64),
    }
}

/// The number that a JSON text stands for, unless that loses a digit.
fn exact_number(text: &str) -> Result<Number, ValueError> {
    let number = nearest_number(text).ok_or(ValueError::NumberOutOfRange)?;
    let is_integer = number.is_u64() || number.is_i64();
    let shortest = || number.as_f64().and_then(|float| Decimal::parse(&format!("{float:e}")));
    if is_integer || Decimal::parse(text).is_some_and(|given| Some(given) == shortest()) {
        Ok(number)
    } else {
        Err(ValueError::NumberOutOfRange)
    }
}

/// A decimal number in normal form: digits without zeros at either end, times a power of ten.
#[derive(PartialEq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix('-');
        let (negative, text) = (unsigned.is_some(), unsigned.unwrap_or(text));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let trimmed = all.trim_end_matches('0');
        let digits = trimmed.trim_start_matches('0').to_owned();
        let exponent = exponent
            .parse::<i64>()
            .ok()?
            .checked_sub(i64::try_from(fraction.len()).ok()?)?
            .checked_add(i64::try_from(all.len() - trimmed.len()).ok()?)?;
        Some(Self { negative, exponent: if digits.is_empty() { 0 } else { exponent }, digits })
    }
}

/// Where a value lies in the outermost one.
#[derive(Clone, Copy)]
struct Nesting {
    containers: usize,
    frames: usize,
}

impl Nesting {
    /// Options and newtypes add no depth to the JSON, but they do to the stack.
    const MAX_FRAMES: usize = 8 * MAX_DEPTH;

    fn container(self) -> Result<Self, ValueError> {
        let Self { containers, frames } = self.wrapper()?;
        if containers == MAX_DEPTH {
            return Err(ValueError::TooDeep);
        }
        Ok(Self { containers: containers + 1, frames })
    }

    fn wrapper(self) -> Result<Self, ValueError> {
        if self.frames == Self::MAX_FRAMES {
            return Err(ValueError::TooDeep);
        }
        Ok(Self { frames: self.frames + 1, ..self })
    }
}

struct ValueSerializer(Nesting);

impl ValueSerializer {
    fn items(self, variant: Option<&'static str>) -> Result<Items, ValueError> {
        let inside = self.0.container()?;
        let inside = if variant.is_some() { inside.container()? } else { inside };
        Ok(Items { inside, variant, array: Vec::new() })
    }

    fn members(self, variant: Option<&'static str>) -> Result<Members, ValueError> {
        let inside = self.0.container()?;
        let inside = if variant.is_some() { inside.container()? } else { inside };
        Ok(Members { inside, variant, object: Map::new(), key: None })
    }
}

impl ser::Serializer for ValueSerializer {
    type Ok = Value;
    type Error = ValueError;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Members;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Members;

    fn serialize_bool(self, bool: bool) -> Result<Value, ValueError> {
        Ok(Value::Bool(bool))
    }

    fn serialize_i8(self, number: i8) -> Result<Value, ValueError> {
        self.serialize_i64(number.into())
    }

    fn serialize_i16(self, number: i16) -> Result<Value, ValueError> {
        self.serialize_i64(number.into())
    }

    fn serialize_i32(self, number: i32) -> Result<Value, ValueError> {
        self.serialize_i64(number.into())
    }

    fn serialize_i64(self, number: i64) -> Result<Value, ValueError> {
        Ok(Value::Number(number.into()))
    }

    fn serialize_i128(self, number: i128) -> Result<Value, ValueError> {
        match u64::try_from(number) {
            Ok(unsigned) => self.serialize_u64(unsigned),
            Err(_) => {
                self.serialize_i64(number.try_into().map_err(|_| ValueError::NumberOutOfRange)?)
            }
        }
    }

    fn serialize_u8(self, number: u8) -> Result<Value, ValueError> {
        self.serialize_u64(number.into())
    }

    fn serialize_u16(self, number: u16) -> Result<Value, ValueError> {
        self.serialize_u64(number.into())
    }

    fn serialize_u32(self, number: u32) -> Result<Value, ValueError> {
        self.serialize_u64(number.into())
    }

    fn serialize_u64(self, number: u64) -> Result<Value, ValueError> {
        Ok(Value::Number(number.into()))
    }

    fn serialize_u128(self, number: u128) -> Result<Value, ValueError> {
        self.serialize_u64(number.try_into().map_err(|_| ValueError::NumberOutOfRange)?)
    }

    fn serialize_f32(self, number: f32) -> Result<Value, ValueError> {
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Result<Value, ValueError> {
        Number::from_f64(number).map(Value::Number).ok_or(ValueError::NotFinite)
    }

    fn serialize_char(self, char: char) -> Result<Value, ValueError> {
        Ok(Value::String(char.into()))
    }

    fn serialize_str(self, text: &str) -> Result<Value, ValueError> {
        Ok(Value::String(text.to_owned()))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Value, ValueError> {
        self.0.container()?;
        Ok(Value::Array(bytes.iter().map(|byte| Value::Number((*byte).into())).collect()))
    }

    fn serialize_none(self) -> Result<Value, ValueError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, ValueError> {
        value.serialize(Self(self.0.wrapper()?))
    }

    fn serialize_unit(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value, ValueError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Value, ValueError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        value.serialize(Self(self.0.wrapper()?))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        value.serialize(Self(self.0.container()?)).map(|value| named(Some(variant), value))
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Items, ValueError> {
        self.items(None)
    }

    fn serialize_tuple(self, _len: usize) -> Result<Items, ValueError> {
        self.items(None)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Items, ValueError> {
        self.items(None)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Items, ValueError> {
        self.items(Some(variant))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Members, ValueError> {
        self.members(None)
    }

    fn serialize_struct(self, name: &'static str, _len: usize) -> Result<Fields, ValueError> {
        match name {
            NUMBER_TOKEN => Ok(Fields::Number(None)),
            RAW_TOKEN => Err(ValueError::Custom),
            _ => self.members(None).map(Fields::Object),
        }
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Members, ValueError> {
        self.members(Some(variant))
    }
}

/// An enum variant with content is an object of one member.
fn named(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        None => value,
        Some(variant) => Value::Object(Map::from_iter([(variant.to_owned(), value)])),
    }
}

struct Items {
    inside: Nesting,
    variant: Option<&'static str>,
    array: Vec<Value>,
}

impl Items {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.array.push(value.serialize(ValueSerializer(self.inside))?);
        Ok(())
    }

    fn into_value(self) -> Value {
        named(self.variant, Value::Array(self.array))
    }
}

impl ser::SerializeSeq for Items {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.push(value)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.into_value())
    }
}

impl ser::SerializeTuple for Items {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.push(value)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.into_value())
    }
}

impl ser::SerializeTupleStruct for Items {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.push(value)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.into_value())
    }
}

impl ser::SerializeTupleVariant for Items {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.push(value)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.into_value())
    }
}

struct Members {
    inside: Nesting,
    variant: Option<&'static str>,
    object: Map<String, Value>,
    key: Option<String>,
}

impl Members {
    fn insert<T: Serialize + ?Sized>(&mut self, key: String, value: &T) -> Result<(), ValueError> {
        let value = value.serialize(ValueSerializer(self.inside))?;
        match self.object.insert(key, value) {
            None => Ok(()),
            Some(_) => Err(ValueError::DuplicateKey),
        }
    }

    fn into_value(self) -> Value {
        named(self.variant, Value::Object(self.object))
    }
}

impl ser::SerializeMap for Members {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        self.key = Some(match key.serialize(ValueSerializer(self.inside))? {
            Value::String(text) => text,
            Value::Bool(bool) => bool.to_string(),
            Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
            _ => return Err(ValueError::KeyNotString),
        });
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let key = self.key.take().ok_or(ValueError::Custom)?;
        self.insert(key, value)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.into_value())
    }
}

impl ser::SerializeStructVariant for Members {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        self.insert(name.to_owned(), value)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.into_value())
    }
}

enum Fields {
    Object(Members),
    Number(Option<Number>),
}

impl ser::SerializeStruct for Fields {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        match self {
            Self::Object(members) => members.insert(name.to_owned(), value),
            Self::Number(number) => match to_value(value)? {
                Value::String(text) => {
                    *number = Some(exact_number(&text)?);
                    Ok(())
                }
                _ => Err(ValueError::Custom),
            },
        }
    }

    fn end(self) -> Result<Value, ValueError> {
        match self {
            Self::Object(members) => Ok(members.into_value()),
            Self::Number(number) => number.map(Value::Number).ok_or(ValueError::Custom),
        }
    }
}

#[cfg(test)]
mod tests;
