//! The settings of a store.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use session_core::{StoreError, StoreErrorKind};

use crate::address::{self, Address};
use crate::client::{self, Times, Transport};
use crate::names::{IdForm, Names};
use crate::store::{DynamoStore, Inner};
use crate::tables::{self, TableDefinition};

const MAX_RETRIES: u8 = 10;
const LONGEST_DEADLINE: Duration = Duration::from_hours(1);
const LONGEST_MARGIN: Duration = Duration::from_hours(366 * 24);

/// Settings of a [`DynamoStore`]. Made by [`DynamoStore::builder`]; every setting has a default.
///
/// Values are checked when the store is made.
#[derive(Debug, Clone)]
pub struct DynamoStoreBuilder {
    table: String,
    subjects_table: Option<String>,
    id_attribute: String,
    ttl_attribute: String,
    id_form: IdForm,
    margin: Duration,
    max_skew: Duration,
    deadline: Duration,
    walk_deadline: Duration,
    connect_timeout: Duration,
    attempt_timeout: Duration,
    retries: u8,
    allow_plain_text: bool,
    tls_roots: Option<Vec<u8>>,
}

impl Default for DynamoStoreBuilder {
    fn default() -> Self {
        Self {
            table: Names::DEFAULT_TABLE.to_owned(),
            subjects_table: None,
            id_attribute: Names::DEFAULT_ID.to_owned(),
            ttl_attribute: Names::DEFAULT_TTL.to_owned(),
            id_form: IdForm::Binary,
            margin: Duration::from_mins(5),
            max_skew: Duration::from_mins(1),
            deadline: Duration::from_secs(3),
            walk_deadline: Duration::from_mins(1),
            connect_timeout: Duration::from_millis(700),
            attempt_timeout: Duration::from_secs(1),
            retries: 3,
            allow_plain_text: false,
            tls_roots: None,
        }
    }
}

impl DynamoStoreBuilder {
    /// The table of the sessions, which is the namespace: 3 to 255 characters of `a-z A-Z 0-9 _ . -`. Default
    /// `sessions`.
    #[must_use]
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = table.into();
        self
    }

    /// The table of the index by subject. Default the name of the other with `-subjects` behind it.
    #[must_use]
    pub fn subjects_table(mut self, table: impl Into<String>) -> Self {
        self.subjects_table = Some(table.into());
        self
    }

    /// The key attribute that holds the id, in both tables: 2 to 255 characters of `a-z A-Z 0-9 _ . -`; those of
    /// one letter are ours. Default `id`.
    #[must_use]
    pub fn id_attribute(mut self, name: impl Into<String>) -> Self {
        self.id_attribute = name.into();
        self
    }

    /// The attribute by which items expire, in both tables, under the same rules. Default `ttl`.
    #[must_use]
    pub fn ttl_attribute(mut self, name: impl Into<String>) -> Self {
        self.ttl_attribute = name.into();
        self
    }

    /// Stores ids as text, for a table whose key is a string: 32 hexadecimal digits instead of 16 bytes.
    #[must_use]
    pub fn text_ids(mut self) -> Self {
        self.id_form = IdForm::Text;
        self
    }

    /// How long after its end a session is kept at least, so that a server whose clock is ahead destroys none.
    /// More than [`max_skew`](Self::max_skew), at most 366 days. Default 5 minutes.
    #[must_use]
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// How far clocks may be apart before [`check`](DynamoStore::check) objects. Default 60 seconds.
    #[must_use]
    pub fn max_skew(mut self, max_skew: Duration) -> Self {
        self.max_skew = max_skew;
        self
    }

    /// After this time a call ends, whatever it waits for. Default 3 seconds, at most an hour.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same for the calls that walk over many records, `delete_all` and `count`, and for `create_tables`.
    /// Default one minute.
    #[must_use]
    pub fn walk_deadline(mut self, deadline: Duration) -> Self {
        self.walk_deadline = deadline;
        self
    }

    /// How long name resolution, TCP and TLS may take together. Default 700 milliseconds. A request that fails
    /// in this time was surely not sent, so this is best less than [`attempt_timeout`](Self::attempt_timeout).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long one send of a request may take with its reply. After that it is sent again, where that is safe,
    /// on another connection. Default 1 second.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// How often a request is sent again at most, when DynamoDB throttles, fails or does not answer, with a
    /// random pause before each. A create is never sent again. Default 3, at most 10.
    #[must_use]
    pub fn retries(mut self, retries: u8) -> Self {
        self.retries = retries;
        self
    }

    /// Accepts an address on another machine without TLS, as that of a DynamoDB Local in a container. What is sent
    /// there can be read on the way.
    #[must_use]
    pub fn allow_plain_text(mut self) -> Self {
        self.allow_plain_text = true;
        self
    }

    /// PEM certificates to trust, instead of the system's.
    #[must_use]
    pub fn tls_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls_roots = Some(pem.into());
        self
    }

    /// How the tables are made, for people who make them themselves. The files in the folder `tables` of this
    /// crate are the same with the default names.
    ///
    /// # Errors
    ///
    /// `Config` for names that cannot be used.
    ///
    /// ```
    /// use session_dynamo::DynamoStore;
    ///
    /// let [sessions, subjects] = DynamoStore::builder().table("shop").table_definitions()?;
    /// assert_eq!(subjects.name, "shop-subjects");
    /// println!("{}", sessions.create_table);
    /// # Ok::<(), session_core::StoreError>(())
    /// ```
    pub fn table_definitions(&self) -> Result<[TableDefinition; 2], StoreError> {
        Ok(tables::definitions(&self.names()?))
    }

    /// A store on your own client; see [`DynamoStore::from_client`].
    ///
    /// # Errors
    ///
    /// `Config` for settings that cannot work.
    pub fn from_client(self, client: &Client) -> Result<DynamoStore, StoreError> {
        let names = self.checked()?;
        let client = client::adopt(client, self.times());
        Ok(self.finish(names, client))
    }

    /// Connects to `dynamodb://host[:port][?region=…&table=…&subjects=…]`, and looks whether both tables are
    /// there.
    ///
    /// Without TLS on this machine, where the port is 8000 unless given; with TLS everywhere else, port 443. The
    /// region is that of the environment unless given. The credentials are those of the environment; on this
    /// machine none are needed. Tables in the URL win over those of the builder. Other options are refused, and
    /// so are credentials in the URL.
    ///
    /// # Errors
    ///
    /// `Config` for settings or a URL that cannot work, and when a table is missing or has another key;
    /// `Unavailable`, `Denied` and others when DynamoDB cannot be used now.
    pub async fn connect(self, url: &str) -> Result<DynamoStore, StoreError> {
        let store = self.connect_lazily(url)?;
        store.expect_tables().await?;
        Ok(store)
    }

    /// The same without looking: the first call connects. For applications that start without DynamoDB, and
    /// for those that make the tables.
    ///
    /// # Errors
    ///
    /// `Config` for settings or a URL that cannot work.
    pub fn connect_lazily(self, url: &str) -> Result<DynamoStore, StoreError> {
        self.open(&Address::parse(url, &address::environment)?)
    }

    /// Connects with what the environment says, and looks whether both tables are there: region from `AWS_REGION`
    /// or `AWS_DEFAULT_REGION`, credentials from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
    /// `AWS_SESSION_TOKEN`, endpoint, if not that of the region, from `AWS_ENDPOINT_URL_DYNAMODB` or
    /// `AWS_ENDPOINT_URL`. Needs a TLS feature, except on this machine.
    ///
    /// For credentials from other places (profiles, containers, instances, web identities) hand in a client that
    /// was made with `aws-config`.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and `Config` when the environment names no region or credentials.
    pub async fn connect_from_env(self) -> Result<DynamoStore, StoreError> {
        let store = self.open(&Address::of_environment(&address::environment)?)?;
        store.expect_tables().await?;
        Ok(store)
    }

    /// For settings that were not changed.
    pub(crate) fn defaults_with(self, client: &Client) -> DynamoStore {
        let names = self.unchecked_names();
        let client = client::adopt(client, self.times());
        self.finish(names, client)
    }

    fn open(mut self, address: &Address) -> Result<DynamoStore, StoreError> {
        if let Some(table) = &address.table {
            self.table.clone_from(table);
        }
        if address.subjects_table.is_some() {
            self.subjects_table.clone_from(&address.subjects_table);
        }
        let names = self.checked()?;
        let transport = Transport {
            allow_plain_text: self.allow_plain_text,
            tls_roots: self.tls_roots.as_deref(),
        };
        let client = client::open(address, transport, self.times(), &address::environment)?;
        Ok(self.finish(names, client))
    }

    fn names(&self) -> Result<Names, StoreError> {
        self.unchecked_names().checked()
    }

    fn unchecked_names(&self) -> Names {
        let subjects = self.subjects_table.clone();
        Names {
            sessions: self.table.clone(),
            subjects: subjects.unwrap_or_else(|| format!("{}-subjects", self.table)),
            id: self.id_attribute.clone(),
            ttl: self.ttl_attribute.clone(),
            id_form: self.id_form,
        }
    }

    fn times(&self) -> Times {
        Times { connect: self.connect_timeout, attempt: self.attempt_timeout }
    }

    fn checked(&self) -> Result<Names, StoreError> {
        let in_range =
            |time: Duration| time >= Duration::from_millis(1) && time <= LONGEST_DEADLINE;
        let times = [self.deadline, self.walk_deadline, self.connect_timeout, self.attempt_timeout];
        if !times.into_iter().all(in_range) {
            return Err(config("deadlines and timeouts are between 1 ms and an hour"));
        }
        if self.margin <= self.max_skew || self.margin > LONGEST_MARGIN {
            return Err(config("the margin is longer than the largest skew, and at most 366 days"));
        }
        if self.retries > MAX_RETRIES {
            return Err(config("there are at most 10 retries"));
        }
        self.names()
    }

    fn finish(self, names: Names, client: Client) -> DynamoStore {
        DynamoStore {
            inner: Arc::new(Inner {
                client,
                names,
                margin: self.margin,
                max_skew: self.max_skew,
                deadline: self.deadline,
                walk_deadline: self.walk_deadline,
                retries: self.retries,
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

    const URL: &str = "dynamodb://127.0.0.1:1?region=eu-west-1";

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let builder = DynamoStore::builder;
        for bad in [
            builder().table("a:b"),
            builder().subjects_table("x"),
            builder().subjects_table("sessions"),
            builder().id_attribute("s"),
            builder().ttl_attribute("id"),
            builder().margin(Duration::from_mins(1)),
            builder().margin(Duration::ZERO),
            builder().margin(Duration::MAX),
            builder().deadline(Duration::ZERO),
            builder().deadline(Duration::MAX),
            builder().walk_deadline(Duration::MAX),
            builder().connect_timeout(Duration::from_micros(999)),
            builder().attempt_timeout(Duration::MAX),
            builder().retries(11),
        ] {
            let error = bad.clone().connect_lazily(URL).expect_err(&format!("{bad:?}"));
            assert_eq!(error.kind(), StoreErrorKind::Config);
        }
        let good = builder().margin(Duration::from_secs(61)).retries(0).table("x".repeat(246));
        assert!(good.connect_lazily(URL).is_ok());
        assert!(builder().table("x".repeat(247)).connect_lazily(URL).is_err(), "with its suffix");
    }

    #[test]
    fn tables_in_the_url_win() {
        let builder = DynamoStore::builder().table("one").subjects_table("two");
        let url = format!("{URL}&table=three&subjects=four");
        let store = builder.clone().connect_lazily(&url).unwrap();
        assert_eq!((store.table(), store.subjects_table()), ("three", "four"));
        let store = builder.connect_lazily(URL).unwrap();
        assert_eq!((store.table(), store.subjects_table()), ("one", "two"));
        let store = DynamoStore::builder().connect_lazily(&format!("{URL}&table=five")).unwrap();
        assert_eq!((store.table(), store.subjects_table()), ("five", "five-subjects"));
        assert!(DynamoStore::builder().connect_lazily(&format!("{URL}&table=a%2fb")).is_err());
    }

    #[cfg(not(any(feature = "tls-rustls-ring", feature = "tls-rustls-aws-lc")))]
    #[test]
    fn tls_without_its_feature_is_a_matter_of_configuration() {
        let elsewhere = "dynamodb://dynamo.example?region=eu-west-1";
        let error = DynamoStore::builder().connect_lazily(elsewhere).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Config);
        assert!(error.to_string().contains("tls-rustls-ring"));
    }

    #[cfg(any(feature = "tls-rustls-ring", feature = "tls-rustls-aws-lc"))]
    #[test]
    fn roots_that_are_none_are_refused() {
        let elsewhere = "dynamodb://dynamo.example?region=eu-west-1";
        let rubbish = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for pem in ["", "rubbish", rubbish] {
            let builder = DynamoStore::builder().tls_roots(pem);
            let error = builder.connect_lazily(elsewhere).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Config, "{pem}");
        }
    }
}
