//! What must hold for any bytes, as functions that a fuzzer calls. Not part of the API.
//!
//! Each answers whether the bytes were accepted, and panics when a promise is broken.

use crate::limits::LimitExceeded;
use crate::payload::{Codec, decode, encode};
use crate::{MAX_PAYLOAD_LEN, Realm, SecretHash, SessionToken};

const CODECS: &[Codec] = &[
    Codec::Json,
    #[cfg(feature = "msgpack")]
    Codec::MessagePack,
];

/// The longest that a codec can make of one byte of the other, with room to spare.
const GROWTH: usize = 16;

/// Bytes from a cookie: a token has one spelling.
#[allow(clippy::must_use_candidate, reason = "a fuzzer has no use for the answer")]
pub fn token(data: &[u8]) -> bool {
    let Ok(token) = SessionToken::parse(data) else { return false };
    assert_eq!(token.encode().as_bytes(), data, "a second spelling of a token");
    let rebuilt = SessionToken::new(token.id(), token.secret().clone());
    let realm = Realm::default();
    assert!(SecretHash::of(&token, &realm) == SecretHash::of(&rebuilt, &realm));
    true
}

/// Bytes from a store: what is read can be written with either codec, and comes back equal.
#[allow(clippy::must_use_candidate, reason = "a fuzzer has no use for the answer")]
pub fn payload(data: &[u8]) -> bool {
    let Ok(content) = decode(data) else { return false };
    for codec in CODECS {
        let encoded = match encode(&content, *codec, MAX_PAYLOAD_LEN) {
            Ok(encoded) => encoded,
            Err(LimitExceeded::PayloadTooLarge { .. }) if data.len() > MAX_PAYLOAD_LEN / GROWTH => {
                continue;
            }
            Err(limit) => panic!("what was read cannot be written: {limit}"),
        };
        let again = decode(&encoded).expect("what was written can be read");
        assert!(again == content, "what was written comes back changed");
        // Tells the two zeros apart, which compare equal.
        let written_again = encode(&again, *codec, MAX_PAYLOAD_LEN);
        assert_eq!(written_again, Ok(encoded), "the same content has two encodings");
    }
    true
}

#[cfg(test)]
pub(crate) mod generate;

#[cfg(test)]
mod tests;
