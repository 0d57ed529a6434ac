//! The walk over all sessions, by `SCAN`: it reads every key of the database, in bounded pieces.

use redis::Value;
use session_core::{
    Count, Inspect, Page, PageRequest, SessionId, SessionSummary, StoreError, StoreErrorKind,
    Timestamp, async_trait,
};
use tokio::time::Instant;

use crate::cursor::{self, MAX_PENDING, ScanPosition};
use crate::error;
use crate::layout;
use crate::source::Limits;
use crate::store::RedisStore;

/// How many pieces a page may look through before it is returned without an entry.
const PIECES_PER_PAGE: usize = 16;
/// How many keys `count` looks at in one piece.
const PIECE: usize = 1_000;

#[async_trait]
impl Inspect for RedisStore {
    async fn scan(
        &self,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let limits = self.limits(true);
        let mut position = match page.cursor() {
            Some(cursor) => cursor::read_scan_position(cursor, self.prefix())?,
            None => ScanPosition { at: Some(0), pending: Vec::new() },
        };
        let mut items = Vec::new();
        for _ in 0..PIECES_PER_PAGE {
            let mut ids = std::mem::take(&mut position.pending);
            if ids.is_empty() {
                let Some(at) = position.at else { break };
                (position.at, ids) = self.scan_piece(at, page.limit(), limits).await?;
            }
            // The server may name a few more keys than it was asked for.
            position.pending = ids.split_off(ids.len().min(page.limit()));
            items = self.live(&ids, now, limits).await?;
            if !items.is_empty() {
                break;
            }
        }
        if position.pending.len() > MAX_PENDING {
            // Only while the server's table shrinks to a tiny part, and even then hardly ever.
            return Err(StoreError::new(
                StoreErrorKind::Overloaded,
                "scan: the server's table is being resized",
            ));
        }
        let done = position.at.is_none() && position.pending.is_empty();
        let next = if done { None } else { Some(cursor::scan_position(&position, self.prefix())?) };
        Ok(Page { items, next })
    }

    async fn count(&self, now: Timestamp) -> Result<Count, StoreError> {
        let walk = Instant::now() + self.inner.walk_deadline;
        let mut live = 0;
        let mut at = Some(0);
        while let Some(from) = at {
            let (next, ids) = self.scan_piece(from, PIECE, self.limits_within(walk)).await?;
            let limits = self.limits_within(walk);
            let firsts = self.first_bytes(&ids, layout::TIMES_LEN, limits).await?;
            live += firsts.iter().map(|first| u64::from(layout::is_live(first, now))).sum::<u64>();
            at = next;
        }
        Ok(Count::Exact(live))
    }
}

impl RedisStore {
    /// The ids of the records in about `count` keys, and where to go on.
    async fn scan_piece(
        &self,
        at: u64,
        count: usize,
        limits: Limits,
    ) -> Result<(Option<u64>, Vec<SessionId>), StoreError> {
        let pattern = self.inner.prefix.records_pattern();
        let reply = self
            .read(limits, |_| {
                let mut command = redis::cmd("SCAN");
                command.arg(at).arg("MATCH").arg(&pattern).arg("COUNT").arg(count);
                command
            })
            .await?;
        let mut parts = error::array(reply, "scan")?.into_iter();
        let (Some(Value::BulkString(next)), Some(Value::Array(keys))) =
            (parts.next(), parts.next())
        else {
            return Err(error::unexpected("scan"));
        };
        let next: u64 = std::str::from_utf8(&next)
            .ok()
            .and_then(|next| next.parse().ok())
            .ok_or_else(|| error::unexpected("scan"))?;
        let id = |key| match key {
            Value::BulkString(key) => self.inner.prefix.id_in(&key),
            _ => None,
        };
        Ok(((next != 0).then_some(next), keys.into_iter().filter_map(id).collect()))
    }
}
