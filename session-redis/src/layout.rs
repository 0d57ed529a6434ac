//! How a record is stored: a header, then the payload, in one string.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 3 | magic `SES` |
//! | 3 | 1 | format of the record, 1 |
//! | 4 | 8 | revision |
//! | 12 | 8 | `expires_at`, milliseconds, big-endian |
//! | 20 | 8 | `deadline` |
//! | 28 | 8 | `created_at` |
//! | 36 | 32 | secret hash |
//! | 68 | 1 + n | length of the subject (0 = none), subject |
//! | | 1 | flags: 1 authentication, 2 credential tag, 4 previous secret |
//! | | 3 | length of the payload |
//! | | 7 | if flagged: time of authentication (6 bytes), level |
//! | | 1 + n | if flagged: length of the tag, tag |
//! | | 38 | if flagged: hash of the previous secret, end of its grace (6 bytes) |
//! | | | payload |
//!
//! Everything up to and including the subject never moves and never changes its meaning, whatever the
//! format, so that every version can list, touch, expire and delete what a later one wrote. The scripts
//! rely on these offsets.

use bytes::Bytes;
use session_core::{
    Authentication, CredentialTag, MAX_PAYLOAD_LEN, PreviousSecret, Record, RecordParts, Revision,
    SecretHash, SessionId, SessionSummary, StoreError, StoreErrorKind, Subject, Timestamp,
};

const MAGIC: [u8; 3] = *b"SES";
const FORMAT: u8 = 1;

const HAS_AUTHENTICATION: u8 = 1;
const HAS_TAG: u8 = 2;
const HAS_PREVIOUS: u8 = 4;

/// What [`HEAD_LEN`] bytes hold at least: everything that a listing shows.
pub(crate) const HEAD_LEN: usize = 69 + Subject::MAX_LEN + 1 + 3 + 7;
/// The largest header.
pub(crate) const MAX_HEADER_LEN: usize = HEAD_LEN + 1 + CredentialTag::MAX_LEN + 38;
/// The largest record.
pub(crate) const MAX_RECORD_LEN: usize = MAX_HEADER_LEN + MAX_PAYLOAD_LEN;
/// What decides whether a record is live.
pub(crate) const TIMES_LEN: usize = 28;

/// Why bytes are not a record that this version reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Corrupt,
    UnsupportedFormat,
}

impl From<Unreadable> for StoreError {
    fn from(why: Unreadable) -> Self {
        match why {
            Unreadable::Corrupt => {
                Self::new(StoreErrorKind::Corrupt, "what is stored is not a record")
            }
            Unreadable::UnsupportedFormat => {
                Self::new(StoreErrorKind::UnsupportedFormat, "the record has a later format")
            }
        }
    }
}

/// The part of a record that every version can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) expires_at: Timestamp,
    pub(crate) deadline: Timestamp,
    pub(crate) created_at: Timestamp,
    pub(crate) subject: Option<Subject>,
    /// `None` also when the format is a later one.
    pub(crate) authentication: Option<Authentication>,
}

impl Head {
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at && now < self.deadline
    }

    pub(crate) fn into_summary(self, id: SessionId) -> SessionSummary {
        SessionSummary::new(
            id,
            self.subject,
            self.created_at,
            self.expires_at,
            self.deadline,
            self.authentication,
        )
    }
}

/// The stored form of `record`. The caller has checked that the payload is not too large.
pub(crate) fn encode(record: &Record) -> Vec<u8> {
    let payload = record.payload();
    let subject = record.subject().map_or(&[][..], Subject::as_bytes);
    let mut out =
        Vec::with_capacity(MAX_HEADER_LEN - Subject::MAX_LEN + subject.len() + payload.len());
    out.extend_from_slice(&MAGIC);
    out.push(FORMAT);
    out.extend_from_slice(record.revision().as_bytes());
    out.extend_from_slice(&record.expires_at().as_millis().to_be_bytes());
    out.extend_from_slice(&record.deadline().as_millis().to_be_bytes());
    out.extend_from_slice(&record.created_at().as_millis().to_be_bytes());
    out.extend_from_slice(record.secret_hash().as_bytes());
    push_short(&mut out, subject);

    let flag = |present: bool, flag: u8| if present { flag } else { 0 };
    out.push(
        flag(record.authentication().is_some(), HAS_AUTHENTICATION)
            | flag(record.credential_tag().is_some(), HAS_TAG)
            | flag(record.previous().is_some(), HAS_PREVIOUS),
    );
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(&length[1..]);
    if let Some(authentication) = record.authentication() {
        push_short_time(&mut out, authentication.at);
        out.push(authentication.level);
    }
    if let Some(tag) = record.credential_tag() {
        push_short(&mut out, tag.as_bytes());
    }
    if let Some(previous) = record.previous() {
        out.extend_from_slice(previous.hash.as_bytes());
        push_short_time(&mut out, previous.grace_until);
    }
    out.extend_from_slice(payload);
    out
}

/// The record under `id`. Total: any bytes are a record, corrupt, or of a later format.
pub(crate) fn decode(id: SessionId, stored: Vec<u8>) -> Result<Record, Unreadable> {
    let mut rest = Reader(&stored);
    let head = rest.common()?;
    if head.format != FORMAT {
        return Err(Unreadable::UnsupportedFormat);
    }
    let body = rest.body()?;
    if rest.0.len() != body.payload_len {
        return Err(Unreadable::Corrupt);
    }
    let payload_at = stored.len() - body.payload_len;
    Ok(Record::from_parts(RecordParts {
        id,
        revision: head.revision,
        secret_hash: head.secret_hash,
        previous: body.previous,
        subject: head.subject,
        created_at: head.created_at,
        expires_at: head.expires_at,
        deadline: head.deadline,
        authentication: body.authentication,
        credential_tag: body.credential_tag,
        payload: Bytes::from(stored).slice(payload_at..),
    }))
}

/// The head of a record of any format, from its first [`HEAD_LEN`] bytes or more.
pub(crate) fn decode_head(stored: &[u8]) -> Result<Head, Unreadable> {
    let mut rest = Reader(stored);
    let common = rest.common()?;
    let authentication =
        if common.format == FORMAT { rest.lengths_and_authentication()?.2 } else { None };
    Ok(Head {
        expires_at: common.expires_at,
        deadline: common.deadline,
        created_at: common.created_at,
        subject: common.subject,
        authentication,
    })
}

/// The head of a record of which the first [`MAX_HEADER_LEN`] bytes and the length are known, if the whole of
/// it could be read.
pub(crate) fn decode_removed(first: &[u8], length: usize) -> Result<Head, Unreadable> {
    let head = decode_head(first)?;
    let mut rest = Reader(first);
    if rest.common()?.format == FORMAT {
        let body = rest.body()?;
        if first.len() - rest.0.len() + body.payload_len != length {
            return Err(Unreadable::Corrupt);
        }
    }
    Ok(head)
}

/// Whether the record of any format with these first bytes is live. `false` for what is not a record.
pub(crate) fn is_live(first: &[u8], now: Timestamp) -> bool {
    let mut rest = Reader(first);
    matches!(rest.times(), Ok((_, _, expires_at, deadline)) if now < expires_at && now < deadline)
}

/// The body of the fuzz target: decoding never panics, and what decodes is encoded to the same bytes.
#[doc(hidden)]
#[allow(clippy::missing_panics_doc, reason = "the panic is the finding")]
pub fn fuzz_decode(data: &[u8]) {
    let Ok(id) = SessionId::from_bytes([1; SessionId::LEN]) else { return };
    let head = decode_head(data);
    let removed = decode_removed(data, data.len());
    let _ = is_live(data, Timestamp::MIN);
    if let Ok(record) = decode(id, data.to_vec()) {
        assert_eq!(encode(&record), data, "two spellings of one record");
        let head = head.expect("the head of a record can be read");
        assert_eq!(head.clone().into_summary(id), record.summary());
        assert_eq!(removed.as_ref(), Ok(&head));
    }
}

struct Reader<'a>(&'a [u8]);

/// The fields that no format moves.
struct Common {
    format: u8,
    revision: Revision,
    expires_at: Timestamp,
    deadline: Timestamp,
    created_at: Timestamp,
    secret_hash: SecretHash,
    subject: Option<Subject>,
}

struct Body {
    payload_len: usize,
    authentication: Option<Authentication>,
    credential_tag: Option<CredentialTag>,
    previous: Option<PreviousSecret>,
}

impl Reader<'_> {
    fn common(&mut self) -> Result<Common, Unreadable> {
        let (format, revision, expires_at, deadline) = self.times()?;
        let created_at = self.time()?;
        let secret_hash = SecretHash::from_bytes(self.array()?);
        let subject = match self.short()? {
            [] => None,
            bytes => Some(Subject::from_bytes(bytes).map_err(|_| Unreadable::Corrupt)?),
        };
        Ok(Common { format, revision, expires_at, deadline, created_at, secret_hash, subject })
    }

    fn times(&mut self) -> Result<(u8, Revision, Timestamp, Timestamp), Unreadable> {
        if self.array()? != MAGIC {
            return Err(Unreadable::Corrupt);
        }
        let [format] = self.array()?;
        if format == 0 {
            return Err(Unreadable::Corrupt);
        }
        Ok((format, Revision::from_bytes(self.array()?), self.time()?, self.time()?))
    }

    fn body(&mut self) -> Result<Body, Unreadable> {
        let (flags, payload_len, authentication) = self.lengths_and_authentication()?;
        let credential_tag = match flags & HAS_TAG {
            0 => None,
            _ => Some(CredentialTag::new(self.short()?).map_err(|_| Unreadable::Corrupt)?),
        };
        let previous = match flags & HAS_PREVIOUS {
            0 => None,
            _ => Some(PreviousSecret {
                hash: SecretHash::from_bytes(self.array()?),
                grace_until: self.short_time()?,
            }),
        };
        Ok(Body { payload_len, authentication, credential_tag, previous })
    }

    fn lengths_and_authentication(
        &mut self,
    ) -> Result<(u8, usize, Option<Authentication>), Unreadable> {
        let [flags] = self.array()?;
        if flags & !(HAS_AUTHENTICATION | HAS_TAG | HAS_PREVIOUS) != 0 {
            return Err(Unreadable::Corrupt);
        }
        let [high, middle, low] = self.array()?;
        let payload_len = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        if payload_len > MAX_PAYLOAD_LEN {
            return Err(Unreadable::Corrupt);
        }
        let authentication = if flags & HAS_AUTHENTICATION == 0 {
            None
        } else {
            let at = self.short_time()?;
            let [level] = self.array()?;
            Some(Authentication { at, level })
        };
        Ok((flags, payload_len, authentication))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (bytes, rest) = self.0.split_first_chunk::<N>().ok_or(Unreadable::Corrupt)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn time(&mut self) -> Result<Timestamp, Unreadable> {
        Timestamp::from_stored_millis(i64::from_be_bytes(self.array()?)).ok_or(Unreadable::Corrupt)
    }

    fn short_time(&mut self) -> Result<Timestamp, Unreadable> {
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&self.array::<6>()?);
        Timestamp::from_stored_millis(i64::from_be_bytes(millis)).ok_or(Unreadable::Corrupt)
    }
}

impl<'a> Reader<'a> {
    /// A string behind one byte of length.
    fn short(&mut self) -> Result<&'a [u8], Unreadable> {
        let [length] = self.array()?;
        let (bytes, rest) =
            self.0.split_at_checked(usize::from(length)).ok_or(Unreadable::Corrupt)?;
        self.0 = rest;
        Ok(bytes)
    }
}

/// Writes a string of at most 255 bytes behind one byte of length.
fn push_short(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(bytes);
}

/// The year 9999 fits into 48 bits.
fn push_short_time(out: &mut Vec<u8>, time: Timestamp) {
    out.extend_from_slice(&time.as_millis().to_be_bytes()[2..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use conformance_tests::sample;
    use session_core::Realm;

    fn id() -> SessionId {
        SessionId::from_bytes([9; 16]).unwrap()
    }

    fn records() -> Vec<Record> {
        sample::every_shape(id())
    }

    #[test]
    fn every_record_comes_back() {
        for record in records() {
            let stored = encode(&record);
            fuzz_decode(&stored);
            assert_eq!(decode(id(), stored).unwrap(), record);
        }
    }

    #[test]
    fn the_fixed_part_is_where_it_has_always_been() {
        let record = records().pop().unwrap();
        let stored = encode(&record);
        assert_eq!(&stored[..4], b"SES\x01");
        assert_eq!(&stored[4..12], record.revision().as_bytes());
        assert_eq!(stored[12..20], record.expires_at().as_millis().to_be_bytes());
        assert_eq!(stored[20..28], record.deadline().as_millis().to_be_bytes());
        assert_eq!(stored[28..36], record.created_at().as_millis().to_be_bytes());
        assert_eq!(&stored[36..68], record.secret_hash().as_bytes());
        assert_eq!(stored[68], 255);
        assert_eq!(&stored[69..324], record.subject().unwrap().as_bytes());
        assert_eq!(stored.len() - record.payload().len(), MAX_HEADER_LEN);
        assert_eq!(MAX_HEADER_LEN, 406, "the scripts read this many bytes");
    }

    #[test]
    fn a_usual_record_stays_small() {
        let mut parts = records().swap_remove(3).into_parts();
        parts.subject = Some(Subject::new(&Realm::default(), &"u".repeat(35)).unwrap());
        parts.payload = Bytes::from(vec![b'x'; 480]);
        assert!(parts.previous.is_some() && parts.authentication.is_some());
        // The string, its header of 5 bytes and its NUL fill an allocation of 640 bytes.
        assert!(encode(&Record::from_parts(parts)).len() + 6 <= 640);
    }

    #[test]
    fn truncated_or_longer_records_are_corrupt() {
        for record in records() {
            let stored = encode(&record);
            for length in 0..stored.len() {
                assert_eq!(decode(id(), stored[..length].to_vec()), Err(Unreadable::Corrupt));
                fuzz_decode(&stored[..length]);
                assert_eq!(decode_removed(&stored[..length], length), Err(Unreadable::Corrupt));
            }
            for extra in [1, 300_000] {
                let longer = [stored.clone(), vec![0; extra]].concat();
                assert_eq!(decode(id(), longer.clone()), Err(Unreadable::Corrupt));
                let first = &longer[..longer.len().min(MAX_HEADER_LEN)];
                assert_eq!(decode_removed(first, longer.len()), Err(Unreadable::Corrupt));
            }
        }
    }

    #[test]
    fn impossible_times_are_corrupt() {
        let good = encode(&records()[0]);
        for bad in [i64::MIN, -1, 253_402_300_800_000, 9_467_000_000_000_000, i64::MAX] {
            for at in [12, 20, 28] {
                let mut stored = good.clone();
                stored[at..at + 8].copy_from_slice(&bad.to_be_bytes());
                assert_eq!(decode(id(), stored.clone()), Err(Unreadable::Corrupt));
                assert_eq!(decode_head(&stored), Err(Unreadable::Corrupt));
            }
        }
        let nan = f64::NAN.to_bits().to_be_bytes();
        let mut stored = good;
        stored[20..28].copy_from_slice(&nan);
        assert_eq!(decode(id(), stored.clone()), Err(Unreadable::Corrupt));
        assert!(!is_live(&stored, Timestamp::MIN));
    }

    #[test]
    fn a_later_format_keeps_its_head() {
        for record in records() {
            let mut stored = encode(&record);
            let end_of_subject = 69 + usize::from(stored[68]);
            stored.truncate(end_of_subject);
            stored[3] = 255;
            stored.extend_from_slice(&[0xee; 100]);
            assert_eq!(decode(id(), stored.clone()), Err(Unreadable::UnsupportedFormat));
            let head = decode_removed(&stored, stored.len()).unwrap();
            assert_eq!(head.subject.as_ref(), record.subject());
            assert_eq!(head.expires_at, record.expires_at());
            assert_eq!(head.deadline, record.deadline());
            assert_eq!(head.created_at, record.created_at());
            assert!(is_live(&stored, Timestamp::MIN));
        }
    }

    #[test]
    fn reserved_flags_and_hostile_lengths_are_corrupt() {
        let good = encode(&records()[0]);
        for (at, byte) in [(69, 8), (69, 128), (70, 0xff), (68, 0xff), (0, b'X'), (3, 0)] {
            let mut stored = good.clone();
            stored[at] = byte;
            assert_eq!(decode(id(), stored), Err(Unreadable::Corrupt), "byte {at}");
        }
    }

    #[test]
    fn no_mutation_makes_decoding_panic() {
        let seeds: Vec<Vec<u8>> = records().iter().map(encode).collect();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % (below as u64)).unwrap()
        };
        let mut input = Vec::new();
        for round in 0..1_000_000 {
            input.clear();
            input.extend_from_slice(&seeds[round % seeds.len()]);
            for _ in 0..=next(3) {
                let at = next(input.len());
                match next(5) {
                    0 => input[at] = u8::try_from(next(256)).unwrap(),
                    1 => input[at] ^= 1 << next(8),
                    2 => input.truncate(at.max(1)),
                    3 => input.insert(at, u8::try_from(next(256)).unwrap()),
                    _ => {
                        input.remove(at);
                        input.push(0);
                    }
                }
            }
            fuzz_decode(&input);
        }
    }
}
