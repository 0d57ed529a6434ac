//! Records, names and patience for the tests that an adapter has of its own, beside the suite.
//!
//! ```
//! use conformance_tests::sample::{login, minutes, now, record_with};
//! use session_core::SessionStore;
//! use session_memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> conformance_tests::Result<()> {
//! let store = MemoryStore::new();
//! let session = login();
//! store.create(&session, now()).await?;
//! assert_eq!(store.load(session.id(), now()).await?, Some(session));
//!
//! let short = record_with(|parts| parts.expires_at = now().plus(minutes(1)));
//! assert!(short.is_live(now()) && !short.is_live(now().plus(minutes(2))));
//! # Ok(()) }
//! ```
//!
//! The functions panic where a test fails.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use session_core::{
    Authentication, Bytes, Clock as _, CredentialTag, OsRandom, PreviousSecret, Realm, Record,
    RecordParts, Revision, SecretHash, SessionId, SessionToken, StoreError, StoreErrorKind,
    Subject, SystemClock, Timestamp,
};
use tokio::time::{Instant, sleep};

use crate::verdict::{RuleResult, Verdict};

/// The time of the system.
#[must_use]
pub fn now() -> Timestamp {
    SystemClock.now()
}

/// So many minutes.
#[must_use]
pub const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// A user of the default realm.
///
/// # Panics
///
/// Never: the name is valid.
#[must_use]
pub fn alice() -> Subject {
    Subject::new(&Realm::default(), "alice").expect("a valid name")
}

/// A record of an anonymous session that has just begun: 30 minutes of idle and ten hours of absolute life.
#[must_use]
pub fn record() -> Record {
    record_with(|_| {})
}

/// The same of a session of [`alice`]'s.
#[must_use]
pub fn login() -> Record {
    record_with(|parts| parts.subject = Some(alice()))
}

/// The record of [`record`] with a change.
///
/// # Panics
///
/// When the operating system has no random bytes.
#[must_use]
pub fn record_with(change: impl FnOnce(&mut RecordParts)) -> Record {
    let token = SessionToken::random(&OsRandom).expect("random bytes");
    let mut parts = RecordParts {
        id: token.id(),
        revision: revision(),
        secret_hash: SecretHash::of(&token, &Realm::default()),
        previous: None,
        subject: None,
        created_at: now(),
        expires_at: now().plus(minutes(30)),
        deadline: now().plus(minutes(600)),
        authentication: None,
        credential_tag: None,
        payload: Bytes::from_static(b"payload"),
    };
    change(&mut parts);
    Record::from_parts(parts)
}

/// Records with this id, one for every combination of optional fields, with short and long variable parts and the
/// first and last possible times: for tests of how an adapter stores them. The first has nothing optional, the last
/// has everything.
///
/// # Panics
///
/// Never: all that they are made of is valid.
#[must_use]
pub fn every_shape(id: SessionId) -> Vec<Record> {
    let realm = Realm::new(&"r".repeat(Realm::MAX_LEN)).expect("a valid realm");
    let subject = |realm: &Realm, name: &str| Subject::new(realm, name).expect("a valid name");
    let short = subject(&Realm::default(), "é");
    let long = subject(&realm, &"n".repeat(Subject::MAX_NAME_LEN));
    let tag = |bytes: &[u8]| CredentialTag::new(bytes).expect("a valid tag");
    let mut records = Vec::new();
    for subject in [None, Some(short), Some(long)] {
        for tag in [None, Some(tag(&[0])), Some(tag(&[0xff; CredentialTag::MAX_LEN]))] {
            for bits in 0..8_u8 {
                let payload: &[u8] = if bits & 4 == 0 { b"" } else { b"\0\xffpayload" };
                records.push(Record::from_parts(RecordParts {
                    id,
                    revision: Revision::from_bytes([0xfe, 1, 2, 3, 4, 5, 6, 7]),
                    secret_hash: SecretHash::from_bytes([0x5a; 32]),
                    previous: (bits & 1 != 0).then_some(PreviousSecret {
                        hash: SecretHash::from_bytes([0xa5; 32]),
                        grace_until: Timestamp::MAX,
                    }),
                    subject: subject.clone(),
                    created_at: Timestamp::MIN,
                    expires_at: Timestamp::MAX,
                    deadline: Timestamp::from_millis(1_700_000_000_123),
                    authentication: (bits & 2 != 0).then_some(Authentication {
                        at: Timestamp::from_millis(1_700_000_000_001),
                        level: 255,
                    }),
                    credential_tag: tag.clone(),
                    payload: Bytes::copy_from_slice(payload),
                }));
            }
        }
    }
    records
}

/// A new revision.
///
/// # Panics
///
/// When the operating system has no random bytes.
#[must_use]
pub fn revision() -> Revision {
    Revision::random(&OsRandom).expect("random bytes")
}

/// A name for a table, a collection or a prefix that no other test and no other run uses: `it_` and digits.
#[must_use]
pub fn unique_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    format!("it_{started}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What [`Suite::run`](crate::Suite::run) answered: no rule is broken, and so many at least say something of this store.
///
/// # Panics
///
/// When a rule is broken, or fewer say something.
pub fn assert_kept(results: &[RuleResult], least: usize) {
    for result in results {
        assert!(!result.is_failure(), "{}: {:?}", result.rule.path(), result.verdict);
    }
    let passed = results.iter().filter(|it| it.verdict == Verdict::Passed).count();
    assert!(passed >= least, "only {passed} of {} rules say something", results.len());
}

/// The kind of the error that a call must have ended with.
///
/// # Panics
///
/// When it did not.
#[must_use]
pub fn kind<T: std::fmt::Debug>(result: Result<T, StoreError>) -> StoreErrorKind {
    result.expect_err("an error was expected").kind()
}

/// Everything that an error and its sources say, in their display and debug forms: for a search for secrets.
#[must_use]
pub fn everything_about(error: &(dyn Error + 'static)) -> String {
    let mut shown = format!("{error} {error:?} {error:#?}");
    let mut next = error.source();
    while let Some(source) = next {
        // Writing to a string cannot fail.
        let _ = write!(shown, " {source} {source:?}");
        next = source.source();
    }
    shown
}

/// Tries again until `attempt` succeeds.
///
/// # Panics
///
/// When it fails after `patience` still.
pub async fn within<T, F>(patience: Duration, mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    let begun = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) if begun.elapsed() > patience => {
                panic!("not within {patience:?}: {error:?}")
            }
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Does something with a server that takes its time, without holding up the test.
///
/// # Panics
///
/// When `act` does.
pub async fn on_own_thread<S: Send + Sync + 'static, T: Send + 'static>(
    server: &Arc<S>,
    act: impl FnOnce(&S) -> T + Send + 'static,
) -> T {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || act(&server)).await.expect("it ends without a panic")
}
