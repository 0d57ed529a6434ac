//! The settings of a store.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::Pool;
use session_core::{StoreError, StoreErrorKind};
use tokio::time::Instant;

use crate::address::Address;
use crate::connection::Connector;
use crate::keys::Prefix;
use crate::shared::Slot;
use crate::source::{Lanes, Source};
use crate::store::{Inner, RedisStore, Replicas};
use crate::tls::Tls;

/// Connections for writes that wait for replicas: as many writes can wait at a time without waiting for each
/// other.
const DURABLE_CONNECTIONS: usize = 4;

const MAX_CONNECTIONS: u8 = 16;
const LONGEST_DEADLINE: Duration = Duration::from_secs(3_600);
const LONGEST_MARGIN: Duration = Duration::from_secs(366 * 24 * 3_600);

/// Settings of a [`RedisStore`]. Made by [`RedisStore::builder`]; every setting has a default.
///
/// Values are checked when the store is made.
#[derive(Debug, Clone)]
pub struct RedisStoreBuilder {
    prefix: String,
    margin: Duration,
    max_skew: Duration,
    deadline: Duration,
    walk_deadline: Duration,
    connect_timeout: Duration,
    response_timeout: Duration,
    connections: u8,
    replicas: Option<Replicas>,
    allow_eviction: bool,
    tls_roots: Option<Vec<u8>>,
}

impl Default for RedisStoreBuilder {
    fn default() -> Self {
        Self {
            prefix: Prefix::DEFAULT.to_owned(),
            margin: Duration::from_secs(300),
            max_skew: Duration::from_secs(60),
            deadline: Duration::from_secs(3),
            walk_deadline: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(1),
            connections: 1,
            replicas: None,
            allow_eviction: false,
            tls_roots: None,
        }
    }
}

impl RedisStoreBuilder {
    /// The namespace, with which every key begins: 1 to 63 characters of `a-z 0-9 _ . -`. Default
    /// `session`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long after its end a session is kept, so that a server whose clock is ahead destroys none.
    /// More than [`max_skew`](Self::max_skew), at most 366 days. Default 5 minutes.
    #[must_use]
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// How far clocks may be apart before [`check`](RedisStore::check) objects. Default 60 seconds.
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

    /// The same for the calls that walk over many records, `delete_all` and `count`; each of their requests ends
    /// within `deadline` all the same. Default one minute.
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

    /// How long one reply may take. A connection on which one takes longer gets no new calls and is
    /// replaced. Default 1 second.
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// How many connections to share between all calls, 1 to 16. Default 1, which is the fastest for most
    /// loads: requests that travel together cost the server less. Two help where updates prevail.
    #[must_use]
    pub fn connections(mut self, connections: u8) -> Self {
        self.connections = connections;
        self
    }

    /// Acknowledges a write only when `count` replicas have it, and answers `NotDurable` when that takes
    /// longer than `within` (shorter than [`deadline`](Self::deadline)): the write is then applied on the
    /// primary only.
    ///
    /// Without this, a failover can undo the latest writes, logouts included. It costs each write a round
    /// trip to the replicas.
    #[must_use]
    pub fn replicas(mut self, count: u8, within: Duration) -> Self {
        self.replicas = Some(Replicas { count, within });
        self
    }

    /// Accepts a server that evicts keys when its memory is full. Sessions may then vanish, and an evicted
    /// index no longer names all sessions of its subject: "log out everywhere" may miss some.
    #[must_use]
    pub fn allow_eviction(mut self) -> Self {
        self.allow_eviction = true;
        self
    }

    /// PEM certificates to trust for `rediss://`, instead of the system's.
    #[must_use]
    pub fn tls_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls_roots = Some(pem.into());
        self
    }

    /// Connects. The URL is `redis://[user][:password]@host[:port][/database]`, or `rediss://` for TLS; user
    /// and password may be percent-encoded. Options and fragments are refused.
    ///
    /// # Errors
    ///
    /// `Config` for settings or a URL that cannot work; `Unavailable`, `Denied` and others when the server
    /// cannot be used now.
    pub async fn connect(self, url: &str) -> Result<RedisStore, StoreError> {
        let deadline = self.deadline;
        let store = self.connect_lazily(url)?;
        store.inner.source.connect(Instant::now() + deadline).await?;
        Ok(store)
    }

    /// The same without waiting: the first call connects. For applications that start without the server.
    ///
    /// # Errors
    ///
    /// `Config` for settings or a URL that cannot work.
    pub fn connect_lazily(self, url: &str) -> Result<RedisStore, StoreError> {
        let prefix = self.checked()?;
        let address = Address::parse(url)?;
        let roots = self.tls_roots.as_deref();
        let tls = address.tls.then(|| Tls::new(&address.host, roots)).transpose()?;
        let user_timeout = (self.response_timeout * 4).max(Duration::from_secs(10));
        let connect_timeout = self.connect_timeout;
        let connector = Arc::new(Connector { address, tls, connect_timeout, user_timeout });
        let lanes = |count| Lanes::new((0..count).map(|_| Slot::new(Arc::clone(&connector))));
        let durable = if self.replicas.is_some() { DURABLE_CONNECTIONS } else { 0 };
        let source = Source::Shared {
            ordinary: lanes(usize::from(self.connections)),
            durable: lanes(durable),
        };
        Ok(self.finish(prefix, source))
    }

    /// A store on connections of your own pool; see [`RedisStore::from_pool`].
    ///
    /// # Errors
    ///
    /// `Config` for settings that cannot work.
    pub fn from_pool(self, pool: Pool) -> Result<RedisStore, StoreError> {
        let prefix = self.checked()?;
        Ok(self.finish(prefix, Source::Pool(pool)))
    }

    /// For settings that were not changed.
    pub(crate) fn defaults_with(self, source: Source) -> RedisStore {
        let prefix = Prefix::default();
        self.finish(prefix, source)
    }

    fn checked(&self) -> Result<Prefix, StoreError> {
        let prefix = Prefix::new(&self.prefix)?;
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
            return Err(config("there are 1 to 16 connections"));
        }
        if let Some(replicas) = self.replicas
            && (replicas.count == 0
                || !in_range(replicas.within)
                || replicas.within >= self.deadline)
        {
            return Err(config(
                "at least one replica is waited for, at least 1 ms and less than the deadline",
            ));
        }
        Ok(prefix)
    }

    fn finish(self, prefix: Prefix, source: Source) -> RedisStore {
        RedisStore {
            inner: Arc::new(Inner {
                source,
                prefix,
                margin: self.margin,
                max_skew: self.max_skew,
                deadline: self.deadline,
                walk_deadline: self.walk_deadline,
                response_timeout: self.response_timeout,
                replicas: self.replicas,
                allow_eviction: self.allow_eviction,
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

    const URL: &str = "redis://127.0.0.1:1";

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let second = Duration::from_secs(1);
        let builder = RedisStore::builder;
        for bad in [
            builder().prefix("a:b"),
            builder().margin(Duration::from_secs(60)),
            builder().margin(Duration::ZERO),
            builder().margin(Duration::MAX),
            builder().deadline(Duration::ZERO),
            builder().deadline(Duration::MAX),
            builder().walk_deadline(Duration::MAX),
            builder().connect_timeout(Duration::from_micros(999)),
            builder().response_timeout(Duration::MAX),
            builder().connections(0),
            builder().connections(17),
            builder().replicas(0, second),
            builder().replicas(1, Duration::ZERO),
            builder().replicas(1, Duration::from_secs(3)),
            builder().replicas(1, Duration::MAX),
        ] {
            let error = bad.clone().connect_lazily(URL).expect_err(&format!("{bad:?}"));
            assert_eq!(error.kind(), StoreErrorKind::Config);
        }
        assert!(
            builder()
                .replicas(1, second)
                .margin(Duration::from_secs(61))
                .connect_lazily(URL)
                .is_ok()
        );
    }

    #[cfg(not(feature = "tls-rustls"))]
    #[test]
    fn tls_without_its_feature_is_a_matter_of_configuration() {
        let error = RedisStore::builder().connect_lazily("rediss://127.0.0.1:1").unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Config);
        assert!(error.to_string().contains("tls-rustls-ring"));
    }

    #[tokio::test]
    async fn nothing_shows_the_password() {
        let store =
            RedisStore::builder().connect_lazily("redis://user:canary@127.0.0.1:1").unwrap();
        let error = RedisStore::connect("redis://user:canary@127.0.0.1:1").await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(!format!("{store:?} {error:?} {error}").contains("canary"));
    }
}
