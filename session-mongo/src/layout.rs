//! How a record is stored: one document.
//!
//! | field | type | content |
//! |---|---|---|
//! | `_id` | Binary | the 16 bytes of the id |
//! | `r` | int64 | revision |
//! | `e` | int64 | `expires_at`, milliseconds |
//! | `d` | int64 | `deadline`, milliseconds |
//! | `x` | date | from when on the server may remove it: `e` and the margin, rounded up |
//! | `s` | Binary | subject; absent before login |
//! | `h` | Binary | header, below |
//! | `p` | Binary | payload |
//!
//! The header:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 1 | format of the record, 1 |
//! | 1 | 6 | `created_at`, milliseconds, big-endian |
//! | 7 | 32 | secret hash |
//! | 39 | 1 | flags: 1 authentication, 2 credential tag, 4 previous secret |
//! | | 7 | if flagged: time of authentication (6 bytes), level |
//! | | 1 + n | if flagged: length of the tag, tag |
//! | | 38 | if flagged: hash of the previous secret, end of its grace (6 bytes) |
//!
//! All fields but `h` and `p`, and the first 39 bytes of the header, never change their place and meaning,
//! whatever the format, so that every version can list, touch, expire and delete what a later one wrote.
//!
//! `e` and `d` are not indexed: a touch then changes no index unless `x` reaches its next step.

use std::time::Duration;

use bytes::Bytes;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime, Document, RawBsonRef, RawDocument, RawDocumentBuf, doc};
use session_core::{
    Authentication, CredentialTag, MAX_PAYLOAD_LEN, PreviousSecret, Record, RecordParts, Revision,
    SecretHash, SessionId, SessionSummary, StoreError, StoreErrorKind, Subject, Timestamp,
};

pub(crate) const ID: &str = "_id";
pub(crate) const REVISION: &str = "r";
pub(crate) const EXPIRES_AT: &str = "e";
pub(crate) const DEADLINE: &str = "d";
pub(crate) const REMOVE_AFTER: &str = "x";
pub(crate) const SUBJECT: &str = "s";
pub(crate) const HEADER: &str = "h";
pub(crate) const PAYLOAD: &str = "p";

const FORMAT: u8 = 1;

const HAS_AUTHENTICATION: u8 = 1;
const HAS_TAG: u8 = 2;
const HAS_PREVIOUS: u8 = 4;

/// What is added to the payload at most: types, names and lengths of the fields, and the fields themselves.
const MAX_OVERHEAD: usize = 600;

/// `x` is a multiple of this, so that most touches leave its index alone.
const STEP: Duration = Duration::from_secs(900);

/// Why a document is not a record that this version reads.
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
    pub(crate) revision: Revision,
    pub(crate) expires_at: Timestamp,
    pub(crate) deadline: Timestamp,
    subject: Option<Subject>,
    created_at: Timestamp,
    /// `None` also when the format is a later one.
    authentication: Option<Authentication>,
    format: u8,
}

impl Head {
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at && now < self.deadline
    }

    pub(crate) fn is_later_format(&self) -> bool {
        self.format != FORMAT
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

/// From when on the server may remove a record that expires at `expires_at`.
pub(crate) fn remove_after(expires_at: Timestamp, margin: Duration) -> DateTime {
    let step = i64::try_from(STEP.as_millis()).unwrap_or(i64::MAX);
    let margin = i64::try_from(margin.as_millis()).unwrap_or(i64::MAX);
    let earliest = expires_at.as_stored_millis().saturating_add(margin);
    DateTime::from_millis((earliest.saturating_add(step - 1) / step).saturating_mul(step))
}

pub(crate) fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

/// The revision as it is stored and compared.
pub(crate) fn revision(revision: Revision) -> i64 {
    i64::from_be_bytes(*revision.as_bytes())
}

/// The id of the document, if it can be a record's.
pub(crate) fn id_of(document: &RawDocument) -> Option<SessionId> {
    id_in(document, ID)
}

/// The id in a field.
pub(crate) fn id_in(document: &RawDocument, field: &str) -> Option<SessionId> {
    let id = generic(document.get(field).ok()??).ok()?;
    SessionId::try_from(id).ok()
}

/// What a listing reads: everything but the payload.
pub(crate) fn without_payload() -> Document {
    doc! { PAYLOAD: 0 }
}

/// The stored form of `record`, expiring at `expires_at`. The caller has checked that the payload is not too
/// large.
pub(crate) fn encode(record: &Record, expires_at: Timestamp, margin: Duration) -> RawDocumentBuf {
    let header = encode_header(record);
    let mut out = Writer::with_capacity(MAX_OVERHEAD + record.payload().len());
    out.binary(ID, record.id().as_bytes());
    out.int64(REVISION, revision(record.revision()));
    out.int64(EXPIRES_AT, expires_at.as_stored_millis());
    out.int64(DEADLINE, record.deadline().as_stored_millis());
    out.date(REMOVE_AFTER, remove_after(expires_at, margin));
    if let Some(subject) = record.subject() {
        out.binary(SUBJECT, subject.as_bytes());
    }
    out.binary(HEADER, &header);
    out.binary(PAYLOAD, record.payload());
    out.finish()
}

fn encode_header(record: &Record) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.push(FORMAT);
    push_time(&mut out, record.created_at());
    out.extend_from_slice(record.secret_hash().as_bytes());
    let flag = |present: bool, flag: u8| if present { flag } else { 0 };
    out.push(
        flag(record.authentication().is_some(), HAS_AUTHENTICATION)
            | flag(record.credential_tag().is_some(), HAS_TAG)
            | flag(record.previous().is_some(), HAS_PREVIOUS),
    );
    if let Some(authentication) = record.authentication() {
        push_time(&mut out, authentication.at);
        out.push(authentication.level);
    }
    if let Some(tag) = record.credential_tag() {
        out.push(u8::try_from(tag.as_bytes().len()).unwrap_or(u8::MAX));
        out.extend_from_slice(tag.as_bytes());
    }
    if let Some(previous) = record.previous() {
        out.extend_from_slice(previous.hash.as_bytes());
        push_time(&mut out, previous.grace_until);
    }
    out
}

/// The year 9999 fits into 48 bits.
fn push_time(out: &mut Vec<u8>, time: Timestamp) {
    out.extend_from_slice(&time.as_millis().to_be_bytes()[2..]);
}

/// The record under `id`. Total: any document is a record, corrupt, or of a later format.
pub(crate) fn decode(id: SessionId, stored: RawDocumentBuf) -> Result<Record, Unreadable> {
    let bytes = Bytes::from(stored.into_bytes());
    let document = RawDocument::from_bytes(&bytes).map_err(|_| Unreadable::Corrupt)?;
    let fields = Fields::of(document)?;
    let common = fields.common()?;
    if common.format != FORMAT {
        return Err(Unreadable::UnsupportedFormat);
    }
    let body = Header(common.rest).body()?;
    let payload = fields.payload.ok_or(Unreadable::Corrupt).and_then(generic)?;
    if payload.len() > MAX_PAYLOAD_LEN {
        return Err(Unreadable::Corrupt);
    }
    Ok(Record::from_parts(RecordParts {
        id,
        revision: common.revision,
        secret_hash: common.secret_hash,
        previous: body.previous,
        subject: common.subject,
        created_at: common.created_at,
        expires_at: common.expires_at,
        deadline: common.deadline,
        authentication: body.authentication,
        credential_tag: body.credential_tag,
        payload: bytes.slice_ref(payload),
    }))
}

/// The head of a record of any format. The payload need not be there.
pub(crate) fn decode_head(document: &RawDocument) -> Result<Head, Unreadable> {
    let common = Fields::of(document)?.common()?;
    let authentication =
        if common.format == FORMAT { Header(common.rest).authentication()?.1 } else { None };
    Ok(Head {
        revision: common.revision,
        expires_at: common.expires_at,
        deadline: common.deadline,
        subject: common.subject,
        created_at: common.created_at,
        authentication,
        format: common.format,
    })
}

/// Whether a whole document, of any format, is a record that is live.
pub(crate) fn is_live(id: SessionId, stored: RawDocumentBuf, now: Timestamp) -> bool {
    let Ok(head) = decode_head(&stored) else { return false };
    let readable = head.is_later_format() || decode(id, stored).is_ok();
    readable && head.is_live(now)
}

/// The fields of a document that we know. Others are not looked at.
#[derive(Default)]
struct Fields<'a> {
    revision: Option<RawBsonRef<'a>>,
    expires_at: Option<RawBsonRef<'a>>,
    deadline: Option<RawBsonRef<'a>>,
    remove_after: Option<RawBsonRef<'a>>,
    subject: Option<RawBsonRef<'a>>,
    header: Option<RawBsonRef<'a>>,
    payload: Option<RawBsonRef<'a>>,
}

/// The fields that no format moves, and the rest of the header.
struct Common<'a> {
    format: u8,
    revision: Revision,
    expires_at: Timestamp,
    deadline: Timestamp,
    created_at: Timestamp,
    secret_hash: SecretHash,
    subject: Option<Subject>,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn of(document: &'a RawDocument) -> Result<Self, Unreadable> {
        let mut fields = Self::default();
        for element in document {
            let (name, value) = element.map_err(|_| Unreadable::Corrupt)?;
            #[allow(clippy::useless_asref, reason = "a type of its own in version 3 of `bson`")]
            let name: &str = name.as_ref();
            let field = match name {
                REVISION => &mut fields.revision,
                EXPIRES_AT => &mut fields.expires_at,
                DEADLINE => &mut fields.deadline,
                REMOVE_AFTER => &mut fields.remove_after,
                SUBJECT => &mut fields.subject,
                HEADER => &mut fields.header,
                PAYLOAD => &mut fields.payload,
                _ => continue,
            };
            *field = Some(value);
        }
        Ok(fields)
    }

    fn common(&self) -> Result<Common<'a>, Unreadable> {
        // Without a date the server would never remove it.
        if !matches!(self.remove_after, Some(RawBsonRef::DateTime(_))) {
            return Err(Unreadable::Corrupt);
        }
        let subject = match self.subject {
            None => None,
            Some(value) => {
                Some(Subject::from_bytes(generic(value)?).map_err(|_| Unreadable::Corrupt)?)
            }
        };
        let mut header = Header(self.header.ok_or(Unreadable::Corrupt).and_then(generic)?);
        let [format] = header.array()?;
        if format == 0 {
            return Err(Unreadable::Corrupt);
        }
        Ok(Common {
            format,
            revision: Revision::from_bytes(int64(self.revision)?.to_be_bytes()),
            expires_at: time(self.expires_at)?,
            deadline: time(self.deadline)?,
            created_at: header.time()?,
            secret_hash: SecretHash::from_bytes(header.array()?),
            subject,
            rest: header.0,
        })
    }
}

fn int64(value: Option<RawBsonRef<'_>>) -> Result<i64, Unreadable> {
    match value {
        Some(RawBsonRef::Int64(value)) => Ok(value),
        _ => Err(Unreadable::Corrupt),
    }
}

fn time(value: Option<RawBsonRef<'_>>) -> Result<Timestamp, Unreadable> {
    Timestamp::from_stored_millis(int64(value)?).ok_or(Unreadable::Corrupt)
}

fn generic(value: RawBsonRef<'_>) -> Result<&[u8], Unreadable> {
    match value {
        RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::Generic => Ok(binary.bytes),
        _ => Err(Unreadable::Corrupt),
    }
}

struct Header<'a>(&'a [u8]);

struct Body {
    authentication: Option<Authentication>,
    credential_tag: Option<CredentialTag>,
    previous: Option<PreviousSecret>,
}

impl<'a> Header<'a> {
    /// The part of the header behind what no format moves.
    fn body(mut self) -> Result<Body, Unreadable> {
        let (flags, authentication) = self.authentication()?;
        let credential_tag = match flags & HAS_TAG {
            0 => None,
            _ => Some(CredentialTag::new(self.short()?).map_err(|_| Unreadable::Corrupt)?),
        };
        let previous = match flags & HAS_PREVIOUS {
            0 => None,
            _ => Some(PreviousSecret {
                hash: SecretHash::from_bytes(self.array()?),
                grace_until: self.time()?,
            }),
        };
        let whole = self.0.is_empty();
        let body = Body { authentication, credential_tag, previous };
        if whole { Ok(body) } else { Err(Unreadable::Corrupt) }
    }

    fn authentication(&mut self) -> Result<(u8, Option<Authentication>), Unreadable> {
        let [flags] = self.array()?;
        if flags & !(HAS_AUTHENTICATION | HAS_TAG | HAS_PREVIOUS) != 0 {
            return Err(Unreadable::Corrupt);
        }
        if flags & HAS_AUTHENTICATION == 0 {
            return Ok((flags, None));
        }
        let at = self.time()?;
        let [level] = self.array()?;
        Ok((flags, Some(Authentication { at, level })))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (bytes, rest) = self.0.split_first_chunk::<N>().ok_or(Unreadable::Corrupt)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn time(&mut self) -> Result<Timestamp, Unreadable> {
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&self.array::<6>()?);
        Timestamp::from_stored_millis(i64::from_be_bytes(millis)).ok_or(Unreadable::Corrupt)
    }

    /// A string behind one byte of length.
    fn short(&mut self) -> Result<&'a [u8], Unreadable> {
        let [length] = self.array()?;
        let (bytes, rest) =
            self.0.split_at_checked(usize::from(length)).ok_or(Unreadable::Corrupt)?;
        self.0 = rest;
        Ok(bytes)
    }
}

/// Writes a BSON document in one buffer. The library would make one for each field.
struct Writer(Vec<u8>);

impl Writer {
    const BINARY: u8 = 0x05;
    const DATE: u8 = 0x09;
    const INT64: u8 = 0x12;
    const GENERIC: u8 = 0x00;

    fn with_capacity(capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        // The length, known at the end.
        out.extend_from_slice(&[0; 4]);
        Self(out)
    }

    fn element(&mut self, kind: u8, name: &str) {
        self.0.push(kind);
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(0);
    }

    fn int64(&mut self, name: &str, value: i64) {
        self.element(Self::INT64, name);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn date(&mut self, name: &str, value: DateTime) {
        self.element(Self::DATE, name);
        self.0.extend_from_slice(&value.timestamp_millis().to_le_bytes());
    }

    fn binary(&mut self, name: &str, bytes: &[u8]) {
        self.element(Self::BINARY, name);
        self.0.extend_from_slice(&length(bytes.len()));
        self.0.push(Self::GENERIC);
        self.0.extend_from_slice(bytes);
    }

    fn finish(mut self) -> RawDocumentBuf {
        self.0.push(0);
        let total = length(self.0.len());
        self.0[..4].copy_from_slice(&total);
        RawDocumentBuf::from_bytes(self.0).expect("the length and the end were just written")
    }
}

/// All lengths here are far below the largest that BSON can say.
fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_le_bytes()
}

/// The body of the fuzz target: decoding never panics, and what decodes is encoded to the same fields.
#[doc(hidden)]
#[allow(clippy::missing_panics_doc, reason = "the panic is the finding")]
pub fn fuzz_decode(data: &[u8]) {
    let Ok(document) = RawDocumentBuf::from_bytes(data.to_vec()) else { return };
    let Ok(id) = SessionId::from_bytes([1; SessionId::LEN]) else { return };
    let _ = id_of(&document);
    let head = decode_head(&document);
    let _ = is_live(id, document.clone(), Timestamp::MIN);
    if let Ok(record) = decode(id, document) {
        let head = head.expect("the head of a record can be read");
        assert_eq!(head.into_summary(id), record.summary());
        let again = encode(&record, record.expires_at(), Duration::ZERO);
        assert_eq!(decode(id, again), Ok(record), "what was decoded is stored as it was");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conformance_tests::sample;
    use mongodb::bson::Bson;
    use session_core::Realm;

    const MARGIN: Duration = Duration::from_secs(300);

    fn id() -> SessionId {
        SessionId::from_bytes([9; 16]).unwrap()
    }

    fn records() -> Vec<Record> {
        sample::every_shape(id())
    }

    fn stored(record: &Record) -> RawDocumentBuf {
        encode(record, record.expires_at(), MARGIN)
    }

    /// The document with one change, made by the library.
    fn changed(record: &Record, change: impl FnOnce(&mut Document)) -> RawDocumentBuf {
        let mut document = Document::try_from(&*stored(record)).unwrap();
        change(&mut document);
        RawDocumentBuf::try_from(&document).unwrap()
    }

    fn header_of(document: &Document) -> Vec<u8> {
        document.get_binary_generic(HEADER).unwrap().clone()
    }

    #[test]
    fn every_record_comes_back() {
        for record in records() {
            let document = stored(&record);
            assert!(document.as_bytes().len() <= MAX_OVERHEAD + record.payload().len());
            fuzz_decode(document.as_bytes());
            assert_eq!(decode_head(&document).unwrap().into_summary(id()), record.summary());
            assert_eq!(id_of(&document), Some(id()));
            assert_eq!(decode(id(), document).unwrap(), record);
        }
    }

    #[test]
    fn the_library_reads_what_is_written_and_the_fields_are_what_they_have_always_been() {
        let record = records().pop().unwrap();
        let document = Document::try_from(&*stored(&record)).unwrap();
        let names: Vec<&str> = document.keys().map(String::as_str).collect();
        assert_eq!(names, ["_id", "r", "e", "d", "x", "s", "h", "p"]);
        assert_eq!(document.get_binary_generic("_id").unwrap(), record.id().as_bytes());
        assert_eq!(document.get_i64("r").unwrap().to_be_bytes(), *record.revision().as_bytes());
        assert_eq!(document.get_i64("e").unwrap(), record.expires_at().as_stored_millis());
        assert_eq!(document.get_i64("d").unwrap(), record.deadline().as_stored_millis());
        assert_eq!(document.get_binary_generic("s").unwrap(), record.subject().unwrap().as_bytes());
        assert_eq!(document.get_binary_generic("p").unwrap()[..], record.payload()[..]);
        let header = header_of(&document);
        assert_eq!(header[0], 1);
        assert_eq!(header[1..7], record.created_at().as_millis().to_be_bytes()[2..]);
        assert_eq!(&header[7..39], record.secret_hash().as_bytes());
    }

    #[test]
    fn a_usual_session_takes_as_many_bytes_as_the_readme_says() {
        let mut parts = records().remove(0).into_parts();
        parts.subject = Some(Subject::new(&Realm::default(), &"u".repeat(36)).unwrap());
        parts.authentication = Some(Authentication { at: parts.created_at, level: 1 });
        // 472 bytes of JSON behind the header of a payload.
        parts.payload = Bytes::from(vec![b'x'; 486]);
        let size = stored(&Record::from_parts(parts)).as_bytes().len();
        assert!(
            include_str!("../README.md").contains(&format!("is a document of {size} bytes")),
            "{size}"
        );
    }

    #[test]
    fn removal_is_never_before_the_end_and_the_margin_and_at_most_a_step_later() {
        for expires_at in [0, 1, 899_999, 900_000, 900_001, 1_700_000_000_123] {
            let expires_at = Timestamp::from_millis(expires_at);
            let at = remove_after(expires_at, MARGIN).timestamp_millis();
            let earliest = expires_at.plus(MARGIN).as_stored_millis();
            assert!(at >= earliest && at < earliest + 900_000, "{expires_at:?}: {at}");
            assert_eq!(at % 900_000, 0);
        }
        let last = remove_after(Timestamp::MAX, Duration::MAX).timestamp_millis();
        assert!(last >= Timestamp::MAX.as_stored_millis());
    }

    #[test]
    fn a_missing_field_and_a_field_of_another_type_are_corrupt() {
        let record = records().pop().unwrap();
        let others = [
            Bson::Null,
            Bson::Int32(1),
            Bson::Double(1.7e12),
            Bson::String("text".into()),
            Bson::Boolean(true),
            Bson::Document(doc! { "$gt": "" }),
            Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: vec![1; 16] }),
        ];
        for name in ["r", "e", "d", "x", "h", "p"] {
            let missing = changed(&record, |document| drop(document.remove(name)));
            assert_eq!(decode(id(), missing), Err(Unreadable::Corrupt), "{name} is missing");
        }
        for name in ["r", "e", "d", "x", "s", "h", "p"] {
            for other in &others {
                let spoilt = changed(&record, |document| {
                    document.insert(name, other.clone());
                });
                let live = is_live(id(), spoilt.clone(), Timestamp::MIN);
                assert!(!live, "{name} is {other:?}");
                assert_eq!(decode(id(), spoilt), Err(Unreadable::Corrupt), "{name} is {other:?}");
            }
        }
        for name in ["e", "d", "x"] {
            let date_or_number = changed(&record, |document| match name {
                "x" => drop(document.insert("x", 1_700_000_000_000_i64)),
                _ => drop(document.insert(name, DateTime::from_millis(1_700_000_000_000))),
            });
            assert_eq!(decode(id(), date_or_number), Err(Unreadable::Corrupt), "{name}");
        }
    }

    #[test]
    fn impossible_values_are_corrupt() {
        let record = records().pop().unwrap();
        let past_the_end = Timestamp::MAX.as_stored_millis() + 1;
        for name in ["e", "d"] {
            for time in [i64::MIN, -1, past_the_end, i64::MAX] {
                let spoilt = changed(&record, |document| drop(document.insert(name, time)));
                assert_eq!(decode_head(&spoilt), Err(Unreadable::Corrupt), "{name} is {time}");
            }
        }
        for subject in [&b""[..], b"x", &[0; 300], b"\x05ab"] {
            let spoilt = changed(&record, |document| drop(document.insert("s", binary(subject))));
            assert_eq!(decode_head(&spoilt), Err(Unreadable::Corrupt), "{subject:?}");
        }
        let large = binary(&vec![0; MAX_PAYLOAD_LEN + 1]);
        let spoilt = changed(&record, |document| drop(document.insert("p", large)));
        assert_eq!(decode(id(), spoilt), Err(Unreadable::Corrupt));
    }

    #[test]
    fn a_header_cut_anywhere_lengthened_or_with_unknown_flags_is_corrupt() {
        for record in records() {
            let whole = header_of(&Document::try_from(&*stored(&record)).unwrap());
            let with = |header: &[u8]| {
                let header = binary(header);
                decode(id(), changed(&record, |document| drop(document.insert("h", header))))
            };
            for length in 0..whole.len() {
                assert_eq!(with(&whole[..length]), Err(Unreadable::Corrupt), "{length} bytes");
            }
            assert_eq!(with(&[&whole[..], b"x"].concat()), Err(Unreadable::Corrupt));
            let mut flags = whole.clone();
            flags[39] |= 8;
            assert_eq!(with(&flags), Err(Unreadable::Corrupt));
            let mut format = whole.clone();
            format[0] = 0;
            assert_eq!(with(&format), Err(Unreadable::Corrupt));
            assert_eq!(with(&whole), Ok(record));
        }
    }

    #[test]
    fn a_later_format_is_told_from_rubbish_and_its_head_can_be_read() {
        let record = records().pop().unwrap();
        let later = changed(&record, |document| {
            let mut header = header_of(document);
            header[0] = 2;
            header.truncate(39);
            header.extend_from_slice(b"whatever comes then");
            document.insert("h", binary(&header));
            document.insert("p", "not even bytes");
            document.insert("new", 1);
        });
        let head = decode_head(&later).unwrap();
        assert!(head.is_later_format());
        assert!(is_live(id(), later.clone(), Timestamp::MIN));
        let summary = head.into_summary(id());
        assert_eq!(summary.authentication, None);
        assert_eq!(
            (summary.subject.as_ref(), summary.created_at),
            (record.subject(), record.created_at())
        );
        assert_eq!(decode(id(), later), Err(Unreadable::UnsupportedFormat));
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic() {
        let whole = stored(&records().pop().unwrap()).into_bytes();
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut spoilt = whole.clone();
                spoilt[at] = value;
                fuzz_decode(&spoilt);
            }
            fuzz_decode(&whole[..at]);
        }
    }
}
