//! Whether the servers are set up for sessions.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use session_core::{Finding, Severity, StoreError, StoreErrorKind, Timestamp};
use tokio::time::Instant;

use crate::error::{Access, Trouble};
use crate::indexes::Purpose;
use crate::layout::{ID, REMOVE_AFTER};
use crate::store::MongoStore;

/// The oldest version that works.
const OLDEST: [u32; 3] = [4, 4, 0];

/// In which patch release of each line a client that is not logged in can no longer read memory of a server that
/// speaks zlib (CVE-2025-14847). Older lines have no such release.
const ZLIB_REPAIRED: [[u32; 3]; 6] =
    [[4, 4, 30], [5, 0, 32], [6, 0, 27], [7, 0, 28], [8, 0, 17], [8, 2, 3]];

/// What [`MongoStore::check`] found. `None` stands for "unknown": the server did not tell, for want of a privilege.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// The server's version.
    pub version: Option<String>,
    /// Whether it is one server, a replica set or a sharded cluster.
    pub deployment: Option<Deployment>,
    /// Whether it takes writes.
    pub is_primary: Option<bool>,
    /// Whether there is an index by which the server removes what is over.
    pub removal_index: Option<bool>,
    /// Whether there is an index that finds the sessions of a subject.
    pub subject_index: Option<bool>,
    /// Whether the server's task that removes what is over is switched on.
    pub removal_enabled: Option<bool>,
    /// By what the collection is distributed in a sharded cluster, as the cluster says it; `None` also when it is
    /// not distributed.
    pub shard_key: Option<String>,
    /// How far the server's clock is from the one that was given.
    pub clock_skew: Option<Duration>,
    /// What is wrong or doubtful, most serious first.
    pub findings: Vec<Finding>,
}

/// How servers belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deployment {
    /// One server by itself.
    Standalone,
    /// A replica set, of however many members.
    ReplicaSet,
    /// A sharded cluster, behind a router.
    Sharded,
}

impl CheckReport {
    /// Whether there is no [`Severity::Error`].
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Error)
    }
}

impl MongoStore {
    /// Asks the servers how they are set up, and says what of it does not suit sessions. About eight round trips,
    /// writes nothing. Call it when the application starts.
    ///
    /// `now` is the application's time, as in every operation.
    ///
    /// # Errors
    ///
    /// When the servers cannot be reached or do not let us in. What they merely do not tell is "unknown" in the
    /// report.
    pub async fn check(&self, now: Timestamp) -> Result<CheckReport, StoreError> {
        let deadline = self.deadline();
        self.probe().await?;
        let admin = Some("admin");
        let hello = self.told(None, doc! { "hello": 1 }, deadline).await?;
        let build = self.told(None, doc! { "buildInfo": 1 }, deadline).await?;
        let removal = doc! { "getParameter": 1, "ttlMonitorEnabled": 1 };
        let removal = self.told(admin, removal, deadline).await?;
        let options = self.told(admin, doc! { "getCmdLineOpts": 1 }, deadline).await?;
        let missing = match self.missing_indexes(deadline).await {
            Ok(missing) => Some(missing),
            Err(error) if error.kind() == StoreErrorKind::Denied => None,
            Err(error) => return Err(error),
        };
        let has = |purpose| missing.as_ref().map(|missing| !missing.contains(&purpose));
        let deployment = hello.as_ref().map(Deployment::of);
        let shard_key = match deployment {
            Some(Deployment::Sharded) => self.shard_key(deadline).await?,
            _ => None,
        };
        let time = hello.as_ref().and_then(|hello| hello.get_datetime("localTime").ok());
        let time = time.and_then(|time| Timestamp::from_stored_millis(time.timestamp_millis()));
        let text = |answer: &Document, name: &str| answer.get_str(name).ok().map(str::to_owned);
        let flag = |answer: &Document, name: &str| answer.get_bool(name).ok();

        let mut report = CheckReport {
            version: build.as_ref().and_then(|build| text(build, "version")),
            deployment,
            is_primary: hello.as_ref().and_then(|hello| flag(hello, "isWritablePrimary")),
            removal_index: has(Purpose::Removal),
            subject_index: has(Purpose::Subject),
            removal_enabled: removal.as_ref().and_then(|told| flag(told, "ttlMonitorEnabled")),
            shard_key: shard_key.as_ref().map(ToString::to_string),
            clock_skew: time.map(|time| time.since(now).max(now.since(time))),
            findings: Vec::new(),
        };
        report.findings = self.findings(&report);
        let mut add = |severity, text: &str| {
            report.findings.push(Finding::new(severity, text));
        };
        if shard_key.is_some_and(|key| !is_hashed_id(&key)) {
            add(
                Severity::Error,
                "the collection is sharded by another key than {_id: \"hashed\"}: an id can be there twice",
            );
        }
        if has_arbiter(hello.as_ref()) {
            add(
                Severity::Warning,
                "the replica set has an arbiter: with one data-bearing member down no write is confirmed",
            );
        }
        if let Some(version) = &report.version
            && reads_memory(version)
            && speaks_zlib(options.as_ref()) != Some(false)
        {
            add(
                Severity::Warning,
                "this version lets strangers read the server's memory through zlib (CVE-2025-14847): \
                 update it, or leave zlib out of net.compression.compressors",
            );
        }
        if report.removal_index == Some(true) && !self.removals_are_dates(deadline).await? {
            add(
                Severity::Warning,
                "a document has something else than a date in the field `x`: it is never removed",
            );
        }
        report.findings.sort_by_key(|finding| finding.severity);
        Ok(report)
    }

    /// What the server answers to a command. `None` when it does not tell.
    async fn told(
        &self,
        database: Option<&str>,
        command: Document,
        deadline: Instant,
    ) -> Result<Option<Document>, StoreError> {
        match self.run(database, command, deadline).await.or_trouble(Access::Read, "check") {
            Ok(answer) => Ok(Some(answer)),
            Err(Trouble { error, .. }) if is_untold(&error) => Ok(None),
            Err(Trouble { error, .. }) => Err(error),
        }
    }

    /// By what the collection is distributed, if it is.
    async fn shard_key(&self, deadline: Instant) -> Result<Option<Document>, StoreError> {
        let find = doc! {
            "find": "collections", "filter": { "_id": self.namespace() }, "limit": 1, "singleBatch": true,
        };
        let found = self.told(Some("config"), find, deadline).await?;
        let entry = found.as_ref().and_then(first);
        let dropped = entry.and_then(|entry| entry.get_bool("dropped").ok()).unwrap_or(false);
        Ok(entry.filter(|_| !dropped).and_then(|entry| entry.get_document("key").ok()).cloned())
    }

    /// Whether the first and the last of the values by which the server removes are dates. All others are between.
    async fn removals_are_dates(&self, deadline: Instant) -> Result<bool, StoreError> {
        for order in [1, -1] {
            let find = doc! {
                "find": self.collection(), "sort": { REMOVE_AFTER: order }, "limit": 1, "singleBatch": true,
                "projection": { ID: 0, REMOVE_AFTER: 1 },
            };
            let found = self.told(None, find, deadline).await?;
            let document = found.as_ref().and_then(first);
            if document.is_some_and(|found| found.get_datetime(REMOVE_AFTER).is_err()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn findings(&self, report: &CheckReport) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut add = |severity, text: String| findings.push(Finding::new(severity, text));
        if let Some(version) = &report.version
            && numbers(version) < OLDEST
        {
            add(
                Severity::Error,
                format!("the server is version {version}; 4.4 is the oldest that works"),
            );
        }
        if report.is_primary == Some(false) {
            add(Severity::Error, "the server is a secondary; sessions need the primary".into());
        }
        if report.removal_index == Some(false) {
            add(Severity::Error, "no index removes what is over: call ensure_indexes".into());
        }
        if report.subject_index == Some(false) {
            add(
                Severity::Error,
                "no index finds the sessions of a subject, which then takes a look at every session: call \
                 ensure_indexes"
                    .into(),
            );
        }
        if report.removal_enabled == Some(false) {
            add(
                Severity::Error,
                "ttlMonitorEnabled is false: the server removes nothing that is over".into(),
            );
        }
        if let Some(skew) = report.clock_skew
            && skew > self.inner.max_skew
        {
            add(Severity::Error, format!("the clocks are {} seconds apart", skew.as_secs()));
        }
        if report.deployment == Some(Deployment::Standalone) {
            add(
                Severity::Warning,
                "the server stands alone: without it there are no sessions; a replica set goes on"
                    .into(),
            );
        }
        findings
    }
}

impl Deployment {
    fn of(hello: &Document) -> Self {
        if hello.get_str("msg").is_ok_and(|message| message == "isdbgrid") {
            Self::Sharded
        } else if hello.contains_key("setName") {
            Self::ReplicaSet
        } else {
            Self::Standalone
        }
    }
}

fn is_untold(error: &StoreError) -> bool {
    matches!(error.kind(), StoreErrorKind::Denied | StoreErrorKind::Config)
}

/// The document in the reply to a query for one.
fn first(reply: &Document) -> Option<&Document> {
    reply.get_document("cursor").ok()?.get_array("firstBatch").ok()?.first()?.as_document()
}

fn is_hashed_id(key: &Document) -> bool {
    key.len() == 1 && key.get_str(ID).is_ok_and(|kind| kind == "hashed")
}

fn has_arbiter(hello: Option<&Document>) -> bool {
    let arbiters = hello.and_then(|hello| hello.get_array("arbiters").ok());
    arbiters.is_some_and(|arbiters| !arbiters.is_empty())
}

/// Whether the server accepts zlib; by default it does.
fn speaks_zlib(options: Option<&Document>) -> Option<bool> {
    let parsed = options?.get_document("parsed").ok()?;
    let compressors = parsed
        .get_document("net")
        .and_then(|net| net.get_document("compression"))
        .and_then(|compression| compression.get_str("compressors"));
    Some(compressors.map_or(true, |names| names.split(',').any(|name| name.trim() == "zlib")))
}

fn reads_memory(version: &str) -> bool {
    let version = numbers(version);
    let line = |repaired: &&[u32; 3]| repaired[..2] == version[..2];
    match ZLIB_REPAIRED.iter().find(line) {
        Some(repaired) => version < *repaired,
        // Lines older than the newest of these were given up, or never were for production.
        None => version < ZLIB_REPAIRED[ZLIB_REPAIRED.len() - 1],
    }
}

/// The three numbers of a version. What cannot be read is taken for new.
fn numbers(version: &str) -> [u32; 3] {
    let mut parts = version.split(['.', '-']).map(|part| part.parse().unwrap_or(u32::MAX));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_lack_the_repair_are_told_apart() {
        for (version, faulty) in [
            ("6.0.5", true),
            ("6.0.26", true),
            ("6.0.27", false),
            ("7.0.28", false),
            ("7.0.4", true),
            ("8.0.17-rc0", false),
            ("8.2.2", true),
            ("8.2.3", false),
            ("8.1.9", true),
            ("4.2.25", true),
            ("6.3.2", true),
            ("8.3.0", false),
            ("9.0.0", false),
            ("x", false),
        ] {
            assert_eq!(reads_memory(version), faulty, "{version}");
        }
    }

    #[test]
    fn compressors_are_read_from_the_options_of_the_server() {
        let with = |compressors: &str| {
            doc! { "parsed": { "net": { "compression": { "compressors": compressors } } } }
        };
        assert_eq!(speaks_zlib(None), None);
        assert_eq!(speaks_zlib(Some(&doc! { "parsed": { "net": { "port": 1 } } })), Some(true));
        assert_eq!(speaks_zlib(Some(&with("snappy,zstd, zlib"))), Some(true));
        assert_eq!(speaks_zlib(Some(&with("snappy,zstd"))), Some(false));
        assert_eq!(speaks_zlib(Some(&with("disabled"))), Some(false));
    }

    #[test]
    fn deployments_and_shard_keys_are_told_apart() {
        let of = |hello: Document| Deployment::of(&hello);
        assert_eq!(of(doc! { "msg": "isdbgrid" }), Deployment::Sharded);
        assert_eq!(of(doc! { "setName": "rs0" }), Deployment::ReplicaSet);
        assert_eq!(of(doc! { "isWritablePrimary": true }), Deployment::Standalone);
        assert!(is_hashed_id(&doc! { "_id": "hashed" }));
        for key in
            [doc! { "_id": 1 }, doc! { "s": "hashed" }, doc! { "_id": "hashed", "s": 1 }, doc! {}]
        {
            assert!(!is_hashed_id(&key), "{key:?}");
        }
        assert!(has_arbiter(Some(&doc! { "arbiters": ["a:1"] })));
        assert!(!has_arbiter(Some(&doc! { "hosts": ["a:1"] })));
    }
}
