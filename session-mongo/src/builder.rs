//! The settings of a store.

use std::sync::Arc;
use std::time::Duration;

use mongodb::options::{
    Acknowledgment, ClientOptions, CollectionOptions, DriverInfo, ReadConcern, ReadPreference,
    SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Database, ServerInfo, ServerType};
use session_core::{StoreError, StoreErrorKind};
use tokio::time::Instant;

use crate::address::{self, PlainText};
use crate::calls::{Bounds, Calls};
use crate::error::Access;
use crate::names;
use crate::store::{Inner, MongoStore};

/// Connections of a store that opens its own.
const CONNECTIONS: u32 = 32;
/// Connections that the driver opens for a client at most, where nobody has said otherwise.
const DRIVER_CONNECTIONS: u32 = 10;
/// How often the driver asks a server how it is. When no answer comes, and a connection could have been opened in the
/// meantime, it gives up the connections to it with the calls that wait there.
const HEARTBEAT: Duration = Duration::from_secs(2);

const MAX_CONNECTIONS: u32 = 1_024;
const LONGEST_DEADLINE: Duration = Duration::from_secs(3_600);
const LONGEST_MARGIN: Duration = Duration::from_secs(366 * 24 * 3_600);

/// Settings of a [`MongoStore`]. Made by [`MongoStore::builder`]; every setting has a default.
///
/// Values are checked when the store is made.
#[derive(Debug, Clone)]
pub struct MongoStoreBuilder {
    database: Option<String>,
    collection: String,
    margin: Duration,
    max_skew: Duration,
    deadline: Duration,
    walk_deadline: Duration,
    linearizable_reads: bool,
    connect_timeout: Duration,
    connections: Option<u32>,
    plain_text: PlainText,
}

impl Default for MongoStoreBuilder {
    fn default() -> Self {
        Self {
            database: None,
            collection: names::DEFAULT_COLLECTION.to_owned(),
            margin: Duration::from_secs(300),
            max_skew: Duration::from_secs(60),
            deadline: Duration::from_secs(3),
            walk_deadline: Duration::from_secs(60),
            linearizable_reads: false,
            connect_timeout: Duration::from_secs(2),
            connections: None,
            plain_text: PlainText::OnLoopback,
        }
    }
}

impl MongoStoreBuilder {
    /// The database: 1 to 63 letters, digits, `_` and `-`. Default the one in the URI; there is no other default.
    /// Not used with [`from_database`](Self::from_database).
    #[must_use]
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    /// The collection, which is the namespace: 1 to 128 letters, digits, `_`, `.` and `-`, beginning with a letter.
    /// Default `sessions`.
    #[must_use]
    pub fn collection(mut self, collection: impl Into<String>) -> Self {
        self.collection = collection.into();
        self
    }

    /// Lets each load, list, scan and count wait until a majority has confirmed that the primary still is one, so
    /// that it sees every acknowledged write and logout, also in the moments around a failover. Costs a read as much
    /// as a write, and without a majority no session can be loaded. By default a read answers with what a majority
    /// has confirmed and the primary knows of, which may be the state before the failover for a moment.
    ///
    /// [MongoDB's manual](https://www.mongodb.com/docs/manual/reference/read-concern-linearizable/) calls this
    /// read concern `linearizable`. `delete_all` reads so in any case: it must not overlook a session.
    #[must_use]
    pub fn linearizable_reads(mut self) -> Self {
        self.linearizable_reads = true;
        self
    }

    /// How long after its end a session is kept, so that a server whose clock is ahead destroys none.
    /// More than [`max_skew`](Self::max_skew), at most 366 days. Default 5 minutes.
    #[must_use]
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// How far clocks may be apart before [`check`](MongoStore::check) objects. Default 60 seconds.
    #[must_use]
    pub fn max_skew(mut self, max_skew: Duration) -> Self {
        self.max_skew = max_skew;
        self
    }

    /// After this time a call ends, whatever it waits for: a connection, a primary, a majority, a reply. Default 3
    /// seconds, at most an hour. A majority has three quarters of it to confirm a write.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same for the calls that walk over many records or build indexes: `delete_all`, `count` and
    /// [`ensure_indexes`](MongoStore::ensure_indexes). Default one minute.
    #[must_use]
    pub fn walk_deadline(mut self, deadline: Duration) -> Self {
        self.walk_deadline = deadline;
        self
    }

    /// How long opening a connection may take. Default 2 seconds. Not used with
    /// [`from_database`](Self::from_database).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How many calls share the connections at a time, 1 to 1,024; others wait. With [`connect`](Self::connect) it
    /// is 32 by default, or `maxPoolSize` of the URI. With [`from_database`](Self::from_database) say here how many
    /// connections your client has for sessions; the default is 10, as is the driver's.
    ///
    /// A connection on which no reply comes in time is not counted any more, and stays open until the driver or the
    /// operating system gives it up. As many again may be open for this reason, and at least 16.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = Some(connections);
        self
    }

    /// Accepts a URI that leads to another machine without TLS. Payloads, hashes of secrets and names of users then
    /// pass the network readable; the password does not.
    #[must_use]
    pub fn allow_plain_text(mut self) -> Self {
        self.plain_text = PlainText::Everywhere;
        self
    }

    /// Connects to `mongodb://` or `mongodb+srv://`, and reads once, so that wrong settings show. See the crate's
    /// documentation for what a URI may say.
    ///
    /// # Errors
    ///
    /// `Config` for settings or a URI that cannot work, or that would weaken the store; `Unavailable`, `Denied` and
    /// others when the servers cannot be used now.
    pub async fn connect(self, uri: &str) -> Result<MongoStore, StoreError> {
        let store = self.connect_lazily(uri).await?;
        store.probe().await?;
        Ok(store)
    }

    /// The same without waiting for a server: the first call connects. For applications that start without it.
    /// A `mongodb+srv://` URI is resolved all the same.
    ///
    /// # Errors
    ///
    /// `Config` for settings or a URI that cannot work; `Unavailable` when a name cannot be resolved.
    pub async fn connect_lazily(self, uri: &str) -> Result<MongoStore, StoreError> {
        self.check()?;
        let parsed = address::parse(uri, self.plain_text)?;
        let calls = Calls::new(Bounds::new(1));
        let end = Instant::now() + self.deadline;
        let resolved = async move { ClientOptions::parse(parsed).await };
        let options = calls.ask(end, Access::Read, "read the URI", resolved).await?;
        let name = self
            .database
            .clone()
            .or_else(|| options.default_database.clone())
            .ok_or_else(|| config("neither the URI nor the builder names a database"))?;
        names::check_database(&name)?;
        let most = self.connections.or(options.max_pool_size).unwrap_or(CONNECTIONS);
        check_connections(most)?;
        let criteria = criteria(&options);
        let bounds = Bounds::new(most);
        let client = Client::with_options(self.client_options(options, bounds))
            .map_err(|error| crate::error::from_driver(&error, Access::Read, "connect").error)?;
        Ok(self.finish(&client.database(&name), criteria, bounds))
    }

    /// A store in a database of a client of your own; see [`MongoStore::from_database`].
    ///
    /// # Errors
    ///
    /// `Config` for settings that cannot work.
    pub fn from_database(self, database: &Database) -> Result<MongoStore, StoreError> {
        self.check()?;
        let most = self.connections.unwrap_or(DRIVER_CONNECTIONS);
        check_connections(most)?;
        Ok(self.finish(database, ReadPreference::Primary.into(), Bounds::new(most)))
    }

    /// For settings that were not changed.
    pub(crate) fn defaults_with(self, database: &Database) -> MongoStore {
        self.finish(database, ReadPreference::Primary.into(), Bounds::new(DRIVER_CONNECTIONS))
    }

    fn check(&self) -> Result<(), StoreError> {
        names::check_collection(&self.collection)?;
        let in_range =
            |time: Duration| time >= Duration::from_millis(1) && time <= LONGEST_DEADLINE;
        if ![self.deadline, self.walk_deadline, self.connect_timeout].into_iter().all(in_range) {
            return Err(config("deadlines and timeouts are between 1 ms and an hour"));
        }
        if self.margin <= self.max_skew || self.margin > LONGEST_MARGIN {
            return Err(config("the margin is longer than the largest skew, and at most 366 days"));
        }
        Ok(())
    }

    fn client_options(&self, mut options: ClientOptions, bounds: Bounds) -> ClientOptions {
        // A resent create would have to be told from a foreign one; updates are resent by the store, which knows
        // its own revision.
        options.retry_writes = Some(false);
        options.server_selection_timeout = Some(self.deadline);
        options.connect_timeout = Some(self.connect_timeout);
        options.max_pool_size = Some(bounds.under_way);
        // A connection that never comes about must not keep others from being opened.
        options.max_connecting = Some(bounds.under_way);
        options.heartbeat_freq.get_or_insert(HEARTBEAT);
        options.app_name.get_or_insert_with(|| env!("CARGO_PKG_NAME").to_owned());
        options.driver_info.get_or_insert_with(|| {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            DriverInfo::builder().name(env!("CARGO_PKG_NAME")).version(version).build()
        });
        options
    }

    fn finish(
        self,
        database: &Database,
        criteria: SelectionCriteria,
        bounds: Bounds,
    ) -> MongoStore {
        let majority = WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .journal(true)
            .w_timeout(self.deadline * 3 / 4)
            .build();
        let options = CollectionOptions::builder()
            .write_concern(majority)
            .read_concern(ReadConcern::majority())
            .selection_criteria(criteria)
            .build();
        MongoStore {
            inner: Arc::new(Inner {
                collection: database.collection_with_options(&self.collection, options),
                calls: Calls::new(bounds),
                reads: if self.linearizable_reads {
                    ReadConcern::linearizable()
                } else {
                    ReadConcern::majority()
                },
                margin: self.margin,
                max_skew: self.max_skew,
                deadline: self.deadline,
                walk_deadline: self.walk_deadline,
            }),
        }
    }
}

/// Where reads go: to the primary. A direct connection has no other server to choose, and the driver would then let
/// a secondary answer.
fn criteria(options: &ClientOptions) -> SelectionCriteria {
    if options.direct_connection != Some(true) {
        return ReadPreference::Primary.into();
    }
    let takes_writes = |server: &ServerInfo<'_>| {
        !matches!(server.server_type(), ServerType::RsSecondary | ServerType::RsOther)
    };
    SelectionCriteria::Predicate(Arc::new(takes_writes))
}

fn check_connections(connections: u32) -> Result<(), StoreError> {
    if (1..=MAX_CONNECTIONS).contains(&connections) {
        Ok(())
    } else {
        Err(config("there are 1 to 1,024 connections"))
    }
}

fn config(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Config, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "mongodb://127.0.0.1:1/x";

    #[tokio::test]
    async fn settings_that_cannot_work_are_refused() {
        let builder = MongoStore::builder;
        for bad in [
            builder().collection("a$b"),
            builder().collection(""),
            builder().database("admin"),
            builder().database("a.b"),
            builder().margin(Duration::from_secs(60)),
            builder().margin(Duration::ZERO),
            builder().margin(Duration::MAX),
            builder().deadline(Duration::ZERO),
            builder().deadline(Duration::MAX),
            builder().walk_deadline(Duration::MAX),
            builder().connect_timeout(Duration::from_micros(999)),
            builder().connections(0),
            builder().connections(1_025),
        ] {
            let error = bad.clone().connect_lazily(URI).await.expect_err(&format!("{bad:?}"));
            assert_eq!(error.kind(), StoreErrorKind::Config);
        }
        let error = builder().connect_lazily("mongodb://127.0.0.1:1").await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Config, "no database is named");
        assert!(builder().database("x").connect_lazily("mongodb://127.0.0.1:1").await.is_ok());
        assert!(builder().margin(Duration::from_secs(61)).connect_lazily(URI).await.is_ok());
        let store =
            builder().connect_lazily("mongodb://127.0.0.1:1/x?maxPoolSize=7").await.unwrap();
        assert!(format!("{store:?}").contains("connections: 7"), "{store:?}");
    }

    #[tokio::test]
    async fn options_of_the_uri_weaken_nothing() {
        let uri = "mongodb://127.0.0.1:1/x?retryWrites=true&serverSelectionTimeoutMS=90000&connectTimeoutMS=90000";
        let parsed = ClientOptions::parse(uri).await.unwrap();
        let builder = MongoStore::builder();
        let options = builder.client_options(parsed, Bounds::new(5));
        assert_eq!(options.retry_writes, Some(false));
        assert_eq!(options.server_selection_timeout, Some(Duration::from_secs(3)));
        assert_eq!(options.connect_timeout, Some(Duration::from_secs(2)));
        assert_eq!(options.max_pool_size, Some(21));
        assert_eq!(options.max_connecting, Some(21));
    }

    #[tokio::test]
    async fn nothing_shows_the_password_or_the_user() {
        let uri = "mongodb://canary-user:canary@127.0.0.1:1/x";
        let store = MongoStore::builder().connect_lazily(uri).await.unwrap();
        let error = MongoStore::builder()
            .deadline(Duration::from_millis(100))
            .connect(uri)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(!format!("{store:?} {error:?} {error}").contains("canary"));
    }
}
