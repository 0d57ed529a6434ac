#![doc = include_str!("../README.md")]

mod clock;
mod error;
mod id;
mod page;
mod random;
mod realm;
mod record;
mod store;
mod timestamp;
mod token;

pub use async_trait::async_trait;
pub use bytes::Bytes;

pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{BoxError, StoreError, StoreErrorKind};
pub use id::{InvalidId, Revision, SessionId};
pub use page::{Cursor, InvalidCursorText, Page, PageRequest};
pub use random::{OsRandom, RandomSource, RandomUnavailable};
pub use realm::{InvalidRealm, InvalidSubject, Realm, Subject};
pub use record::{
    Authentication, Change, CredentialTag, InvalidCredentialTag, MAX_PAYLOAD_LEN, PreviousSecret,
    Record, RecordParts, SessionSummary, SubjectChanged,
};
pub use store::{
    Count, CreateOutcome, Inspect, Purge, Purged, SessionStore, SubjectIndex, TouchOutcome,
    UpdateOutcome,
};
pub use timestamp::Timestamp;
pub use token::{InvalidToken, SecretHash, SessionSecret, SessionToken, TokenText};

/// The numbered rules that every store keeps, as text. Rendered at [`contract`].
pub const CONTRACT: &str = include_str!("../CONTRACT.md");

#[doc = include_str!("../CONTRACT.md")]
pub mod contract {}

/// The version of the contract: the minor version of this crate. `conformance-tests` of the same version
/// tests it.
pub const CONTRACT_VERSION: (u16, u16) = (0, 1);
