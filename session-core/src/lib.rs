#![doc = include_str!("../README.md")]

mod check;
mod clock;
mod data;
mod error;
pub mod events;
#[doc(hidden)]
pub mod fuzz;
mod id;
mod lifetimes;
mod limits;
mod page;
mod payload;
mod random;
mod realm;
mod record;
mod session;
mod sessions;
mod store;
mod timestamp;
mod token;
mod value;

pub use async_trait::async_trait;
pub use bytes::Bytes;

pub use check::{Finding, Severity};
pub use clock::{Clock, ManualClock, SystemClock};
pub use data::{DataError, SessionData};
pub use error::{BoxError, StoreError, StoreErrorKind};
pub use id::{InvalidId, Revision, SessionId};
pub use lifetimes::{InvalidLifetimes, Lifetimes};
pub use limits::{LimitExceeded, MAX_DEPTH, MAX_KEY_LEN, MAX_KEYS};
pub use page::{Cursor, InvalidCursorText, Listing, Page, PageRequest};
pub use payload::Codec;
pub use random::{OsRandom, RandomSource, RandomUnavailable};
pub use realm::{InvalidRealm, InvalidSubject, Realm, Subject};
pub use record::{
    Authentication, Change, CredentialTag, InvalidCredentialTag, MAX_PAYLOAD_LEN, PreviousSecret,
    Record, RecordParts, SessionSummary, SubjectChanged,
};
pub use session::{CommitOutcome, Opened, Session, SessionError, TokenChange};
pub use sessions::{ConflictPolicy, Indexed, Login, NoIndex, Sessions, SessionsBuilder};
pub use store::{
    Count, CreateOutcome, Inspect, Purge, Purged, SessionStore, SubjectIndex, TouchOutcome,
    UpdateOutcome,
};
pub use timestamp::Timestamp;
pub use token::{DerivedKey, InvalidToken, SecretHash, SessionSecret, SessionToken, TokenText};
pub use value::ValueError;

/// The numbered rules that every store keeps, as text. Rendered at [`contract`].
pub const CONTRACT: &str = include_str!("../CONTRACT.md");

#[doc = include_str!("../CONTRACT.md")]
pub mod contract {}

/// The version of the contract: the minor version of this crate. `conformance-tests` of the same version
/// tests it.
pub const CONTRACT_VERSION: (u16, u16) = (0, 1);
