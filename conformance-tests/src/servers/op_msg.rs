//! As much of MongoDB's protocol as it takes to ask a server who and how it is, and to drive it into a state.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use serde_json::{Map, Value, json};

/// The longest message that is read, in bytes; more means that this is no MongoDB server.
const LONGEST: usize = 48_000_000;
const OP_MSG: u32 = 2013;
const HEADER: usize = 16;

/// A blocking connection.
pub(super) struct Connection(TcpStream);

/// What the server answers to a command.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    Done(Value),
    Error { code: i64, text: String },
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(stream)
    }

    /// Runs a command: its name with its argument first, then its fields.
    pub(super) fn call(&mut self, database: &str, command: &[(&str, Value)]) -> io::Result<Reply> {
        let target = ("$db", json!(database));
        let fields = command.iter().chain([&target]).map(|(name, value)| (*name, value));
        // Flags, and the kind of the only section: a document.
        let mut message = vec![0; HEADER + 4 + 1];
        write_document(&mut message, fields);
        let length = u32::try_from(message.len()).map_err(|_| garbled())?;
        for (at, number) in [(0, length), (4, 1), (12, OP_MSG)] {
            message[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        self.0.write_all(&message)?;
        self.reply()
    }

    fn reply(&mut self) -> io::Result<Reply> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if !(HEADER + 10..=LONGEST).contains(&length) {
            return Err(garbled());
        }
        let mut rest = vec![0; length - 4];
        self.0.read_exact(&mut rest)?;
        let (_, mut document) = rest.split_at(HEADER - 4 + 4 + 1);
        let reply = read_document(&mut document)?;
        if reply["ok"].as_f64() == Some(1.0) {
            return Ok(Reply::Done(reply));
        }
        Ok(Reply::Error {
            code: reply["code"].as_i64().unwrap_or_default(),
            text: reply["errmsg"].as_str().unwrap_or_default().to_owned(),
        })
    }
}

fn write_document<'a>(out: &mut Vec<u8>, fields: impl Iterator<Item = (&'a str, &'a Value)>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    for (name, value) in fields {
        let kind = out.len();
        out.push(0);
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out[kind] = write_value(out, value);
    }
    out.push(0);
    let length = length_of(out.len() - start);
    out[start..start + 4].copy_from_slice(&length);
}

/// Writes a value and answers with its type.
fn write_value(out: &mut Vec<u8>, value: &Value) -> u8 {
    match value {
        Value::Null => 0x0a,
        Value::Bool(flag) => {
            out.push(u8::from(*flag));
            0x08
        }
        Value::Number(number) => {
            if let Some(number) = number.as_i64() {
                out.extend_from_slice(&number.to_le_bytes());
                return 0x12;
            }
            out.extend_from_slice(&number.as_f64().unwrap_or_default().to_le_bytes());
            0x01
        }
        Value::String(text) => {
            out.extend_from_slice(&length_of(text.len() + 1));
            out.extend_from_slice(text.as_bytes());
            out.push(0);
            0x02
        }
        Value::Array(items) => {
            let names: Vec<String> = (0..items.len()).map(|index| index.to_string()).collect();
            write_document(out, names.iter().map(String::as_str).zip(items));
            0x04
        }
        Value::Object(fields) => {
            write_document(out, fields.iter().map(|(name, value)| (name.as_str(), value)));
            0x03
        }
    }
}

fn length_of(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}

fn read_document(rest: &mut &[u8]) -> io::Result<Value> {
    let _length: [u8; 4] = take(rest)?;
    let mut fields = Map::new();
    loop {
        let [kind] = take(rest)?;
        if kind == 0 {
            return Ok(Value::Object(fields));
        }
        let name = read_name(rest)?;
        fields.insert(name, read_value(kind, rest)?);
    }
}

/// A value; those that are not asked for are `null`.
fn read_value(kind: u8, rest: &mut &[u8]) -> io::Result<Value> {
    Ok(match kind {
        0x01 => json!(f64::from_le_bytes(take(rest)?)),
        0x02 => json!(read_text(rest)?),
        0x03 => read_document(rest)?,
        0x04 => match read_document(rest)? {
            Value::Object(items) => items.into_iter().map(|(_, item)| item).collect(),
            other => other,
        },
        0x05 => {
            let length = u32::from_le_bytes(take(rest)?) as usize;
            split(rest, length.saturating_add(1))?;
            Value::Null
        }
        0x07 => {
            split(rest, 12)?;
            Value::Null
        }
        0x08 => json!(take::<1>(rest)? == [1]),
        0x09 | 0x12 => json!(i64::from_le_bytes(take(rest)?)),
        0x0a => Value::Null,
        0x10 => json!(i32::from_le_bytes(take(rest)?)),
        0x11 => json!(u64::from_le_bytes(take(rest)?)),
        _ => return Err(garbled()),
    })
}

fn read_text(rest: &mut &[u8]) -> io::Result<String> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    let bytes = split(rest, length)?;
    let text = bytes.strip_suffix(&[0]).ok_or_else(garbled)?;
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn read_name(rest: &mut &[u8]) -> io::Result<String> {
    let end = rest.iter().position(|byte| *byte == 0).ok_or_else(garbled)?;
    let name = String::from_utf8_lossy(split(rest, end)?).into_owned();
    split(rest, 1)?;
    Ok(name)
}

fn take<const N: usize>(rest: &mut &[u8]) -> io::Result<[u8; N]> {
    let (bytes, others) = rest.split_first_chunk::<N>().ok_or_else(garbled)?;
    *rest = others;
    Ok(*bytes)
}

fn split<'a>(rest: &mut &'a [u8], length: usize) -> io::Result<&'a [u8]> {
    let (bytes, others) = rest.split_at_checked(length).ok_or_else(garbled)?;
    *rest = others;
    Ok(bytes)
}

fn garbled() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is not the protocol of MongoDB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let document = json!({
            "a": 1, "b": -5_000_000_000_i64, "c": 1.5, "d": "é", "e": null, "f": true,
            "g": [1, "x", { "h": [] }], "i": {},
        });
        let mut bytes = Vec::new();
        write_value(&mut bytes, &document);
        let mut rest = &bytes[..];
        assert_eq!(read_document(&mut rest).unwrap(), document);
        assert!(rest.is_empty());
        for length in 0..bytes.len() {
            assert!(read_document(&mut &bytes[..length]).is_err(), "cut at {length}");
        }
    }
}
