//! What is stored: ten keys, 472 bytes of JSON, and what `Sessions` makes of them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use session_core::{BoxError, Codec, CommitOutcome, SessionStore, Sessions};
use session_memory::MemoryStore;

use crate::backend::Op;

const JSON: &str = concat!(
    r#"{"cart":[{"cents":1999,"count":2,"sku":"A-1001"},{"cents":4950,"count":1,"sku":"B-2002"},"#,
    r#"{"cents":250,"count":3,"sku":"C-3003"}],"consent":{"analytics":false,"mail":true},"#,
    r#""csrf":"9f2c4e6a8b0d1f3e5a7c9b2d4f6e8a0c","last_page":"/account/orders?page=2","#,
    r#""locale":"en-GB","note":"Please leave the parcel with the neighbours at number 17, "#,
    r#"second floor.","roles":["editor","reviewer"],"theme":"dark","#,
    r#""user":{"id":1048576,"mail":"ada@example.org","name":"Ada Example"},"visits":7}"#,
);

/// The same session data in the forms that are stored.
#[derive(Debug, Clone)]
pub(crate) struct Payloads {
    /// The bare JSON, which is what a raw driver stores.
    pub(crate) raw: Bytes,
    /// The payload as `Sessions` writes it.
    pub(crate) json: Bytes,
    /// The same with the codec MessagePack.
    pub(crate) message_pack: Bytes,
}

/// A kind of session whose size is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind<'a> {
    pub(crate) codec: Codec,
    pub(crate) payload: &'a Bytes,
    pub(crate) with_subject: bool,
}

impl Kind<'_> {
    /// What stores it.
    pub(crate) const fn op(self) -> Op {
        if self.with_subject { Op::CreateWithSubject } else { Op::Create }
    }
}

/// For the report.
impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codec = if self.codec == Codec::Json { "JSON" } else { "MessagePack" };
        write!(f, "{codec}, {}", if self.with_subject { "with subject" } else { "anonymous" })
    }
}

/// How long they are, for the report.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Lengths {
    keys: usize,
    raw: usize,
    json: usize,
    message_pack: usize,
}

impl Payloads {
    pub(crate) async fn new() -> Result<Self, BoxError> {
        Ok(Self {
            raw: Bytes::from_static(JSON.as_bytes()),
            json: written_with(Codec::Json).await?,
            message_pack: written_with(Codec::MessagePack).await?,
        })
    }

    /// Both forms of our store, without and with a subject.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind<'_>> {
        let forms = [(Codec::Json, &self.json), (Codec::MessagePack, &self.message_pack)];
        forms.into_iter().flat_map(|(codec, payload)| {
            [false, true].map(|with_subject| Kind { codec, payload, with_subject })
        })
    }

    pub(crate) fn lengths(&self) -> Result<Lengths, BoxError> {
        Ok(Lengths {
            keys: data()?.len(),
            raw: self.raw.len(),
            json: self.json.len(),
            message_pack: self.message_pack.len(),
        })
    }
}

/// A buffer of its own, as each request encodes one.
pub(crate) fn copy(payload: &Bytes) -> Bytes {
    Bytes::copy_from_slice(payload)
}

/// The same with other bytes at both ends: a server that writes down what has changed shall not find that nothing has.
pub(crate) fn changed(payload: &Bytes, number: u64) -> Bytes {
    let (mut changed, number) = (payload.to_vec(), number.to_be_bytes());
    if let (Some(start), Some(end)) = (changed.first_chunk_mut(), payload.len().checked_sub(8)) {
        *start = number;
        changed[end..].copy_from_slice(&number);
    }
    changed.into()
}

/// Commits the data to a session, and takes what the store then holds.
async fn written_with(codec: Codec) -> Result<Bytes, BoxError> {
    let store = Arc::new(MemoryStore::new());
    let sessions = Sessions::builder(Arc::clone(&store)).codec(codec).build()?;
    let mut session = sessions.open(None).await?;
    for (key, value) in data()? {
        session.data_mut().insert(&key, &value)?;
    }
    if sessions.commit(&mut session).await? != CommitOutcome::Saved {
        return Err("the session was not stored".into());
    }
    let id = session.id().ok_or("the session was not stored")?;
    let record = store.load(&id, sessions.now()).await?.ok_or("the session is gone")?;
    Ok(record.payload().clone())
}

fn data() -> Result<Map<String, Value>, BoxError> {
    Ok(serde_json::from_str(JSON)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_payload_begins_and_ends_with_the_number() {
        let changed = changed(&Bytes::from_static(&[b'x'; 20]), 0x0102_0304_0506_0708);
        assert_eq!(
            changed,
            &b"\x01\x02\x03\x04\x05\x06\x07\x08xxxx\x01\x02\x03\x04\x05\x06\x07\x08"[..]
        );
    }

    #[tokio::test]
    async fn the_payload_has_ten_keys_and_472_bytes_of_json() {
        let payloads = Payloads::new().await.unwrap();
        let Lengths { keys, raw, json, message_pack } = payloads.lengths().unwrap();
        assert_eq!((keys, raw), (10, 472));
        // The header of a payload and the member `data`.
        assert_eq!(json, 472 + 5 + r#"{"data":}"#.len());
        assert!(message_pack < json);
        let end = payloads.json.len() - 1;
        assert_eq!(payloads.json[5 + r#"{"data":"#.len()..end], payloads.raw);
    }
}
