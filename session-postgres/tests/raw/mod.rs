//! Looks at a table beneath the adapter, as an administrator would.

use conformance_tests::{Endpoint, Result, Space};
use session_core::SessionId;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

pub(crate) struct Raw {
    connection: PgConnection,
    table: String,
}

impl Raw {
    pub(crate) async fn open(endpoint: &Endpoint, space: &Space) -> Result<Self> {
        let connection = PgConnection::connect(&space.route_url(endpoint).await?).await?;
        Ok(Self { connection, table: space.name().to_owned() })
    }

    /// How many rows there are, those that are over included.
    pub(crate) async fn rows(&mut self) -> Result<u64> {
        let count = format!("SELECT count(*) FROM {}", self.table);
        let row = sqlx::query(AssertSqlSafe(count)).fetch_one(&mut self.connection).await?;
        Ok(row.try_get::<i64, _>(0)?.try_into()?)
    }

    /// Writes rubbish where the hash of the secret was.
    pub(crate) async fn spoil(&mut self, id: &SessionId) -> Result<()> {
        let spoil = format!("UPDATE {} SET secret_hash = 'rubbish' WHERE id = $1", self.table);
        let spoil = sqlx::query(AssertSqlSafe(spoil)).bind(&id.as_bytes()[..]);
        spoil.execute(&mut self.connection).await?;
        Ok(())
    }

    /// Every column that can hold bytes, row by row.
    pub(crate) async fn everything(&mut self) -> Result<Vec<Vec<u8>>> {
        let all = format!(
            "SELECT id, secret_hash, previous_hash, credential_tag, subject, payload, int8send(revision) FROM {}",
            self.table
        );
        let rows = sqlx::query(AssertSqlSafe(all)).fetch_all(&mut self.connection).await?;
        let mut blobs = Vec::new();
        for row in rows {
            for column in 0..row.len() {
                blobs.extend(row.try_get::<Option<Vec<u8>>, _>(column)?);
            }
        }
        Ok(blobs)
    }
}
