//! The removal of what is over.

use std::num::NonZeroU32;

use session_core::{Purge, Purged, StoreError, Timestamp, async_trait};

use crate::error;
use crate::row;
use crate::source::Failure;
use crate::statement::Value;
use crate::store::{PostgresStore, time};
use crate::time::PgTime;

/// Records that one statement examines: few enough that nobody waits for their locks.
const PIECE: u32 = 1_000;

#[async_trait]
impl Purge for PostgresStore {
    async fn purge(&self, limit: NonZeroU32, cutoff: Timestamp) -> Result<Purged, StoreError> {
        let walk = self.walk_end();
        let mut left = limit.get();
        let mut removed = 0;
        while left > 0 {
            let piece = left.min(PIECE);
            let values = [
                time(cutoff),
                Value::Time(Some(PgTime::new(cutoff).second_after())),
                Value::Int(piece.into()),
            ];
            let answer = self.run(self.limits_within(walk), &self.inner.sql.purge, &values).await;
            let rows = answer.map_err(Failure::of_write)?.reply.rows;
            let row = rows.first().ok_or_else(|| error::unexpected("purge"))?;
            removed += row::count(row, 0, "purge")?;
            if row::count(row, 1, "purge")? < u64::from(piece) {
                return Ok(Purged { removed, more: false });
            }
            left -= piece;
        }
        Ok(Purged { removed, more: true })
    }
}
