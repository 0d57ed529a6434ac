//! What some stores do to payloads and hashes that they should leave alone.

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use session_core::{
    Bytes, PreviousSecret, Realm, RecordParts, SecretHash, SessionToken, Timestamp,
};

/// Magic, format version 1, JSON, no flags.
const HEADER: &[u8] = b"\xd5S\x01\x01\x00";

/// The new payload, with the members of the old one that it has not, as if each key were a column.
pub(crate) fn merged(old: &Bytes, new: &Bytes) -> Bytes {
    let (Some(old), Some(mut both)) = (body(old), body(new)) else { return new.clone() };
    for (key, value) in old["data"].as_object().into_iter().flatten() {
        if both["data"].get(key).is_none() {
            both["data"][key] = value.clone();
        }
    }
    with_header(&both)
}

/// The payload with every array as a set.
pub(crate) fn with_sets(payload: &Bytes) -> Bytes {
    let Some(mut body) = body(payload) else { return payload.clone() };
    as_sets(&mut body["data"]);
    with_header(&body)
}

fn as_sets(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(as_sets);
            items.sort_by_key(Value::to_string);
            items.dedup();
        }
        Value::Object(members) => members.values_mut().for_each(as_sets),
        _ => {}
    }
}

/// Nothing instead of a payload that only a later version can read.
pub(crate) fn blanked_if_later(payload: Bytes) -> Bytes {
    let later = payload.starts_with(&HEADER[..2]) && !payload.starts_with(HEADER);
    if later { Bytes::new() } else { payload }
}

/// The session, to be opened also by whoever has read the hash of its secret.
pub(crate) fn with_a_back_door(mut parts: RecordParts) -> RecordParts {
    if body(&parts.payload).is_none() {
        return parts;
    }
    let bytes = [parts.id.as_bytes().as_slice(), parts.secret_hash.as_bytes()].concat();
    let token = SessionToken::parse(BASE64URL_NOPAD.encode(&bytes).as_bytes()).unwrap();
    let hash = SecretHash::of(&token, &Realm::default());
    parts.previous.get_or_insert(PreviousSecret { hash, grace_until: Timestamp::MAX });
    parts
}

fn body(payload: &Bytes) -> Option<Value> {
    serde_json::from_slice(payload.strip_prefix(HEADER)?).ok()
}

fn with_header(body: &Value) -> Bytes {
    [HEADER, body.to_string().as_bytes()].concat().into()
}
