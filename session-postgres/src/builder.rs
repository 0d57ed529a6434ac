//! The settings of a store.

use std::sync::Arc;
use std::time::Duration;

use session_core::{StoreError, StoreErrorKind};
use sqlx::postgres::{PgConnectOptions, PgPool};

use crate::address::{self, Transport};
use crate::connection::Connector;
use crate::names::Names;
use crate::source::Source;
use crate::sql::Sql;
use crate::statement::Form;
use crate::store::{Inner, PostgresStore};

const MAX_CONNECTIONS: u32 = 1_000;
const LONGEST_DEADLINE: Duration = Duration::from_hours(1);
const LONGEST_MARGIN: Duration = Duration::from_hours(366 * 24);

/// Settings of a [`PostgresStore`]. Made by [`PostgresStore::builder`]; every setting has a default.
///
/// Values are checked when the store is made.
#[derive(Debug, Clone)]
pub struct PostgresStoreBuilder {
    schema: String,
    table: String,
    margin: Duration,
    max_skew: Duration,
    deadline: Duration,
    walk_deadline: Duration,
    connect_timeout: Duration,
    response_timeout: Duration,
    connections: u32,
    pooler: Option<Pooler>,
    transport: Transport,
    unlogged: bool,
    tls_roots: Option<Vec<u8>>,
}

/// A pooler between the store and the server that gives a connection of the server to each transaction, such
/// as PgBouncer with `pool_mode = transaction`.
///
/// Poolers do not pass on settings at the beginning of a connection: give the role a `statement_timeout` as
/// the README shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pooler {
    /// It knows which statements a client has prepared: PgBouncer from 1.21 on, with `max_prepared_statements`
    /// above zero.
    KeepsPreparedStatements,
    /// It does not. Statements are then sent whole, with their values in them as hexadecimal digits: one round
    /// trip as well, more work for the server.
    LosesPreparedStatements,
}

impl Default for PostgresStoreBuilder {
    fn default() -> Self {
        Self {
            schema: Names::DEFAULT_SCHEMA.to_owned(),
            table: Names::DEFAULT_TABLE.to_owned(),
            margin: Duration::from_mins(5),
            max_skew: Duration::from_mins(1),
            deadline: Duration::from_secs(3),
            walk_deadline: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(2),
            connections: 16,
            pooler: None,
            transport: Transport::Verified,
            unlogged: false,
            tls_roots: None,
        }
    }
}

impl PostgresStoreBuilder {
    /// The schema of the table: 1 to 63 ASCII letters, digits and underscores, no digit first, not beginning
    /// with `pg_`. Default `public`. It is always named, whatever the `search_path`.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// The table, which is the namespace: 1 to 55 characters like those of a schema. Default `sessions`. Its
    /// indexes are called after it.
    #[must_use]
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = table.into();
        self
    }

    /// How long after its end a session is kept, so that a server whose clock is ahead destroys none.
    /// More than [`max_skew`](Self::max_skew), at most 366 days. Default 5 minutes.
    #[must_use]
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// How far clocks may be apart before [`check`](PostgresStore::check) objects. Default 60 seconds.
    #[must_use]
    pub fn max_skew(mut self, max_skew: Duration) -> Self {
        self.max_skew = max_skew;
        self
    }

    /// After this time a call ends, whatever it waits for. Default 3 seconds, at most an hour. The server gives
    /// up a statement after the same time.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same for the calls that walk over many records, `delete_all`, `count` and `purge`, and for `migrate`.
    /// Each of their statements ends within a [`deadline`](Self::deadline) all the same. Default one minute.
    #[must_use]
    pub fn walk_deadline(mut self, deadline: Duration) -> Self {
        self.walk_deadline = deadline;
        self
    }

    /// How long name resolution, TCP, TLS and login may take together. Default 2 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long one reply may take. A connection on which one takes longer is closed. Default 2 seconds.
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// How many connections there are at most, 1 to 1,000. Default 16. Each is used by one call at a time; the
    /// server's `max_connections` must have room for those of all processes.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// Says that the address is that of a pooler in transaction mode. Without this, prepared statements get
    /// lost there.
    #[must_use]
    pub fn pooler(mut self, pooler: Pooler) -> Self {
        self.pooler = Some(pooler);
        self
    }

    /// Accepts another machine with `sslmode=require`, `verify-ca` or `disable`, stated in the URL: whoever is
    /// on the way can answer in the server's place, and with `disable` can read everything.
    #[must_use]
    pub fn unverified_server(mut self) -> Self {
        self.transport = Transport::AsStated;
        self
    }

    /// Lets [`migrate`](PostgresStore::migrate) create an unlogged table: less to write, and **a crash of the
    /// server ends all sessions**; standbys have none of them.
    #[must_use]
    pub fn unlogged_lost_in_a_crash(mut self) -> Self {
        self.unlogged = true;
        self
    }

    /// PEM certificates to trust besides the usual ones.
    #[must_use]
    pub fn tls_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls_roots = Some(pem.into());
        self
    }

    /// Connects. The URL is `postgres://user[:password]@host[:port][/database][?sslmode=…]`; user, password and
    /// database may be percent-encoded.
    ///
    /// # Errors
    ///
    /// `Config` for settings or a URL that cannot work, or that does not protect the way to another machine;
    /// `Unavailable`, `Denied` and others when the server cannot be used now.
    pub async fn connect(self, url: &str) -> Result<PostgresStore, StoreError> {
        let store = self.connect_lazily(url)?;
        store.inner.source.connect(store.limits(false)).await?;
        Ok(store)
    }

    /// The same without waiting: the first call connects. For applications that start without the server.
    ///
    /// # Errors
    ///
    /// `Config` for settings or a URL that cannot work.
    pub fn connect_lazily(self, url: &str) -> Result<PostgresStore, StoreError> {
        let names = self.checked()?;
        let mut options = address::parse(url, self.transport)?;
        if let Some(pem) = &self.tls_roots {
            options = options.ssl_root_cert_from_pem(pem.clone());
        }
        if self.pooler.is_none() {
            options = options.options([
                ("statement_timeout", self.deadline.as_millis().max(1).to_string()),
                ("default_transaction_isolation", "read committed".to_owned()),
            ]);
        }
        let unverified = address::is_unverified(&options);
        let connector = Connector::new(options, self.connect_timeout);
        let source =
            Source::own(connector, usize::try_from(self.connections).unwrap_or(usize::MAX))?;
        let form = match self.pooler {
            Some(Pooler::LosesPreparedStatements) => Form::Plain,
            Some(Pooler::KeepsPreparedStatements) | None => Form::Prepared,
        };
        Ok(self.finish(names, source, form, unverified))
    }

    /// A store on connections of your own pool; see [`PostgresStore::from_pool`].
    ///
    /// # Errors
    ///
    /// `Config` for settings that cannot work, and for a pool that does not protect the way to another machine.
    pub fn from_pool(self, pool: PgPool) -> Result<PostgresStore, StoreError> {
        let names = self.checked()?;
        if self.pooler == Some(Pooler::LosesPreparedStatements) {
            // The pool would log statements that are slow, and the values stand in them.
            return Err(config(
                "a pooler that loses prepared statements needs `connect`, not a pool",
            ));
        }
        let options: Arc<PgConnectOptions> = pool.connect_options();
        address::check_transport(&options, self.transport)?;
        let unverified = address::is_unverified(&options);
        Ok(self.finish(names, Source::Shared(pool), Form::Prepared, unverified))
    }

    fn checked(&self) -> Result<Names, StoreError> {
        let names = Names::new(&self.schema, &self.table)?;
        let in_range =
            |time: Duration| time >= Duration::from_millis(1) && time <= LONGEST_DEADLINE;
        let times =
            [self.deadline, self.walk_deadline, self.connect_timeout, self.response_timeout];
        if !times.into_iter().all(in_range) {
            return Err(config("deadlines and timeouts are between 1 ms and an hour"));
        }
        if self.margin <= self.max_skew || self.margin > LONGEST_MARGIN {
            return Err(config("the margin is longer than the largest skew, and at most 366 days"));
        }
        if self.connections == 0 || self.connections > MAX_CONNECTIONS {
            return Err(config("there are 1 to 1,000 connections"));
        }
        Ok(names)
    }

    fn finish(
        self,
        names: Names,
        source: Source,
        form: Form,
        unverified_server: bool,
    ) -> PostgresStore {
        PostgresStore {
            inner: Arc::new(Inner {
                source,
                sql: Sql::new(&names, form),
                names,
                margin: self.margin,
                max_skew: self.max_skew,
                deadline: self.deadline,
                walk_deadline: self.walk_deadline,
                response_timeout: self.response_timeout,
                unlogged: self.unlogged,
                unverified_server,
            }),
        }
    }
}

fn config(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Config, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "postgres://user:canary@127.0.0.1:1/sessions";

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let builder = PostgresStore::builder;
        for bad in [
            builder().schema("a.b"),
            builder().table("a\"b"),
            builder().table("t".repeat(56)),
            builder().margin(Duration::from_mins(1)),
            builder().margin(Duration::ZERO),
            builder().margin(Duration::MAX),
            builder().deadline(Duration::ZERO),
            builder().deadline(Duration::MAX),
            builder().walk_deadline(Duration::MAX),
            builder().connect_timeout(Duration::from_micros(999)),
            builder().response_timeout(Duration::MAX),
            builder().connections(0),
            builder().connections(1_001),
        ] {
            let error = bad.clone().connect_lazily(URL).expect_err(&format!("{bad:?}"));
            assert_eq!(error.kind(), StoreErrorKind::Config);
        }
        assert!(builder().margin(Duration::from_secs(61)).connect_lazily(URL).is_ok());
    }

    #[tokio::test]
    async fn a_pool_is_looked_at_like_a_url() {
        let pool = |host: &str, mode: &str| {
            let url = format!("postgres://user:canary@{host}/sessions?sslmode={mode}");
            PgPool::connect_lazy(&url).unwrap()
        };
        assert!(PostgresStore::from_pool(pool("127.0.0.1", "prefer")).is_ok());
        for mode in ["prefer", "allow", "disable"] {
            let error = PostgresStore::from_pool(pool("db.example", mode)).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Config, "{mode}");
        }
        let unverified = PostgresStore::builder().unverified_server();
        assert!(unverified.clone().from_pool(pool("db.example", "disable")).is_ok());
        assert!(unverified.from_pool(pool("db.example", "prefer")).is_err());
        let lost = PostgresStore::builder().pooler(Pooler::LosesPreparedStatements);
        assert!(lost.from_pool(pool("127.0.0.1", "disable")).is_err());
    }

    #[tokio::test]
    async fn nothing_shows_the_password() {
        let store = PostgresStore::builder().connect_lazily(URL).unwrap();
        let error = PostgresStore::connect(URL).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(!format!("{store:?} {error:?} {error}").contains("canary"));
    }
}
