//! No time zone changes anything, neither the server's nor that of a connection.

use std::num::NonZeroU32;
use std::time::Duration;

use conformance_tests::servers::PostgresOptions;
use session_core::{SessionStore, Timestamp, TouchOutcome};
use session_postgres::PostgresStore;
use sqlx::postgres::PgPoolOptions;

use crate::support::{Raw, minutes, own_server, record_with, unique_name};

/// Farther from Greenwich than a session lives, in both directions, and one with a change of clocks.
const ZONES: [&str; 3] = ["America/New_York", "Asia/Tokyo", "Pacific/Apia"];

#[tokio::test]
async fn sessions_end_when_they_end_in_every_time_zone() {
    for zone in ZONES {
        let server =
            own_server(PostgresOptions::new().config("timezone", &format!("'{zone}'"))).await;
        let store =
            PostgresStore::builder().table(unique_name()).connect(&server.url()).await.unwrap();
        store.migrate().await.unwrap();
        check(&store, zone).await;

        // A pool whose connections have a zone of their own.
        let own = zone.to_owned();
        let pool = PgPoolOptions::new().max_connections(2).after_connect(move |connection, _| {
            let set = sqlx::AssertSqlSafe(format!("SET timezone = '{own}'"));
            Box::pin(async move { sqlx::raw_sql(set).execute(connection).await.map(drop) })
        });
        let pool = pool.connect(&server.url()).await.unwrap();
        let pooled = PostgresStore::builder().table(store.table()).from_pool(pool).unwrap();
        check(&pooled, zone).await;
        let raw = Raw::open(&server.url(), store.table()).await;
        // The driver begins every connection in UTC, so the server's own zone stands only here.
        let of_server = "SELECT setting FROM pg_file_settings WHERE name = 'timezone' ORDER BY seqno DESC LIMIT 1";
        assert_eq!(raw.text(of_server).await, zone);
        assert_eq!(raw.rows().await, 0, "{zone}");
    }
}

async fn check(store: &PostgresStore, zone: &str) {
    // The hour that does not exist, and the one that exists twice, in New York in 2026.
    for begin in [1_772_953_200_000, 1_793_512_800_000, 1_800_000_000_123] {
        let begin = Timestamp::from_millis(begin);
        let session = record_with(|parts| {
            parts.created_at = begin;
            parts.expires_at = begin.plus(minutes(30));
            parts.deadline = begin.plus(minutes(60));
        });
        let (id, ms) = (session.id(), Duration::from_millis(1));
        let _ = store.create(&session, begin).await.unwrap();
        assert_eq!(store.load(id, begin).await.unwrap().as_ref(), Some(&session), "{zone}");
        assert!(store.load(id, session.expires_at().minus(ms)).await.unwrap().is_some(), "{zone}");
        assert_eq!(store.load(id, session.expires_at()).await.unwrap(), None, "{zone}");
        let later = begin.plus(minutes(45));
        assert_eq!(store.touch(id, later, begin).await.unwrap(), TouchOutcome::Touched);
        assert!(store.load(id, later.minus(ms)).await.unwrap().is_some(), "{zone}");
        let limit = NonZeroU32::new(1_000).unwrap();
        let purger = store.purger().unwrap();
        assert_eq!(purger.purge(limit, later.minus(ms)).await.unwrap().removed, 0, "{zone}");
        assert_eq!(purger.purge(limit, later).await.unwrap().removed, 1, "{zone}");
    }
}
