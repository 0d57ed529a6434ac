//! Bytes on the heap per session of `session-memory` and of a `DashMap`.

use bytes::Bytes;
use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use session_core::{BoxError, CreateOutcome, SessionStore};
use tokio::runtime::{Builder, Runtime};

use crate::memory;
use crate::payload::Payloads;
use crate::sessions::Source;

/// One line of the program `heap`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HeapSize {
    pub(crate) ours: bool,
    pub(crate) what: String,
    pub(crate) sessions: usize,
    /// Requested bytes per session, without what the allocator adds.
    pub(crate) bytes: f64,
}

/// Runs what it is given and answers by how many bytes the heap has grown.
type Count<'a> = &'a dyn Fn(&mut dyn FnMut()) -> i64;

/// The program `heap`: prints the sizes at each of the given numbers of sessions as JSON.
///
/// # Errors
///
/// For arguments that are no numbers, and for a store that refuses a session.
pub fn print_sizes(
    arguments: impl Iterator<Item = String>,
    count: Count<'_>,
) -> Result<(), BoxError> {
    let runtime = Builder::new_current_thread().build()?;
    let payloads = runtime.block_on(Payloads::new())?;
    let mut sizes = Vec::new();
    for argument in arguments {
        let sessions = argument.parse()?;
        let mut measure = |ours, what: &str, fill: &dyn Fn() -> Result<Kept, BoxError>| {
            let bytes = per_session(count, sessions, fill)?;
            sizes.push(HeapSize { ours, what: what.into(), sessions, bytes });
            Ok::<_, BoxError>(())
        };
        measure(false, "bare value", &|| map(sessions, &payloads.raw))?;
        let ours = |with_subject| store(&runtime, sessions, &payloads.json, with_subject);
        measure(true, "anonymous", &|| ours(false))?;
        measure(true, "with subject and index entry", &|| ours(true))?;
    }
    println!("{}", serde_json::to_string(&sizes)?);
    Ok(())
}

/// What stays on the heap until it has been counted.
type Kept = Box<dyn Send>;

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per_session(
    count: Count<'_>,
    sessions: usize,
    fill: &dyn Fn() -> Result<Kept, BoxError>,
) -> Result<f64, BoxError> {
    let mut kept = None;
    let grown = count(&mut || kept = Some(fill()));
    kept.ok_or("nothing was counted")??;
    Ok(grown as f64 / sessions as f64)
}

fn map(sessions: usize, value: &Bytes) -> Result<Kept, BoxError> {
    let map = DashMap::<u128, Bytes>::new();
    let mut source = Source::new(1)?;
    for _ in 0..sessions {
        let id = source.session(false)?.id;
        map.insert(u128::from_ne_bytes(*id.as_bytes()), Bytes::copy_from_slice(value));
    }
    Ok(Box::new(map))
}

fn store(
    runtime: &Runtime,
    sessions: usize,
    payload: &Bytes,
    with_subject: bool,
) -> Result<Kept, BoxError> {
    let store = memory::store()?;
    let mut source = Source::new(1)?;
    for _ in 0..sessions {
        let session = source.session(with_subject)?;
        let record = session.record(source.now, Bytes::copy_from_slice(payload));
        if runtime.block_on(store.create(&record, source.now))? != CreateOutcome::Created {
            return Err("the store refused a session".into());
        }
    }
    Ok(Box::new(store))
}
