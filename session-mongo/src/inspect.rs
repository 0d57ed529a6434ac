//! The walk over all sessions, in the order of their ids.

use mongodb::bson::{RawDocument, doc};
use session_core::{
    Count, Inspect, Listing, Page, PageRequest, SessionId, SessionSummary, StoreError, Timestamp,
    async_trait,
};
use tokio::time::Instant;

use crate::error::Access;
use crate::index::filter;
use crate::layout::{self, DEADLINE, EXPIRES_AT, ID};
use crate::store::{MongoStore, limit_of};

/// How many records `count` lets the server look at in one piece.
const PIECE: i64 = 10_000;

#[async_trait]
impl Inspect for MongoStore {
    async fn scan(
        &self,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        self.page(Listing::All, page, now).await
    }

    /// Counted by the server, which looks at every record, in bounded pieces.
    async fn count(&self, now: Timestamp) -> Result<Count, StoreError> {
        let end = self.walk_deadline();
        let (mut live, mut behind) = (0_u64, None);
        loop {
            let piece = self.count_piece(behind, now, end.min(self.deadline())).await?;
            live += piece.live.unsigned_abs();
            match piece.last {
                Some(last) if piece.seen == PIECE => behind = Some(last),
                _ => return Ok(Count::Exact(live)),
            }
        }
    }
}

/// What was counted in one piece.
#[derive(Default)]
struct Piece {
    seen: i64,
    live: i64,
    last: Option<SessionId>,
}

impl MongoStore {
    /// The live ones of the next records in the order of their ids.
    async fn count_piece(
        &self,
        behind: Option<SessionId>,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Piece, StoreError> {
        let over = |time| doc! { "$lte": [time, now.as_stored_millis()] };
        let is_time = |time| doc! { "$eq": [{ "$type": time }, "long"] };
        let (expires_at, ends) = (format!("${EXPIRES_AT}"), format!("${DEADLINE}"));
        let is_over = doc! { "$or": [over(&expires_at), over(&ends)] };
        let is_live = doc! { "$and": [
            is_time(&expires_at), is_time(&ends), { "$not": [is_over] },
        ] };
        let pipeline = [
            doc! { "$match": filter(Listing::All, behind.as_ref()) },
            doc! { "$sort": { ID: 1 } },
            doc! { "$limit": PIECE },
            doc! { "$group": {
                ID: null,
                SEEN: { "$sum": 1_i64 },
                LIVE: { "$sum": { "$cond": [is_live, 1_i64, 0_i64] } },
                LAST: { "$last": format!("${ID}") },
            } },
        ];
        let (documents, limit) = (self.documents(), limit_of(deadline));
        let sure = self.inner.reads.clone();
        let count = async move {
            let counting = documents.aggregate(pipeline).read_concern(sure).max_time(limit);
            let mut cursor = counting.await?;
            let counted = cursor.advance().await?.then(|| Piece::read(cursor.current()));
            Ok(counted.unwrap_or_default())
        };
        Ok(self.inner.calls.ask(deadline, Access::Read, "count", count).await?)
    }
}

const SEEN: &str = "seen";
const LIVE: &str = "live";
const LAST: &str = "last";

impl Piece {
    fn read(counted: &RawDocument) -> Self {
        let number = |name: &str| counted.get_i64(name).unwrap_or_default();
        Self { seen: number(SEEN), live: number(LIVE), last: layout::id_in(counted, LAST) }
    }
}
