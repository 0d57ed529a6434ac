//! Whether a server is set up for sessions.

use std::time::Duration;

use session_core::{Finding, Severity, StoreError, Timestamp};
use sqlx::postgres::PgRow;

use crate::error;
use crate::row;
use crate::source::Failure;
use crate::store::PostgresStore;
use crate::table::Table;

/// The oldest version whose statements we use.
const OLDEST: i64 = 120_000;

/// What [`PostgresStore::check`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// The server's version.
    pub version: String,
    /// Whether it is a standby, whose answers may be old.
    pub standby: bool,
    /// Whether it takes no writes for now.
    pub read_only: bool,
    /// Whether an acknowledged write survives a crash of the machine: `fsync` and `full_page_writes` are on, and
    /// `synchronous_commit` is not `off`.
    pub survives_crash: bool,
    /// `synchronous_commit`, in the server's words.
    pub synchronous_commit: String,
    /// `synchronous_standby_names`: empty when no standby is waited for.
    pub synchronous_standbys: String,
    /// How far the server's clock is from the one that was given, the time on the way included.
    pub clock_skew: Duration,
    /// What is wrong or doubtful, most serious first.
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// Whether there is no [`Severity::Error`].
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Error)
    }
}

impl PostgresStore {
    /// Asks the server how it is set up, and says what of it does not suit sessions. One round trip, writes
    /// nothing. Call it when the application starts.
    ///
    /// `now` is the application's time, as in every operation.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or does not let us in.
    pub async fn check(&self, now: Timestamp) -> Result<CheckReport, StoreError> {
        let found = self.look().await?;
        let clock_skew = found.clock.since(now).max(now.since(found.clock));
        let survives_crash =
            found.fsync && found.full_page_writes && found.synchronous_commit != "off";
        let findings = self.findings(&found, clock_skew);
        Ok(CheckReport {
            version: found.version,
            standby: found.standby,
            read_only: found.read_only,
            survives_crash,
            synchronous_commit: found.synchronous_commit,
            synchronous_standbys: found.synchronous_standbys,
            clock_skew,
            findings,
        })
    }

    /// What the server says of itself and of the table.
    pub(crate) async fn look(&self) -> Result<Found, StoreError> {
        let answer = self.run(self.limits(true), &self.inner.sql.check, &[]).await;
        let rows = answer.map_err(Failure::of_read)?.reply.rows;
        Found::in_row(rows.first().ok_or_else(|| error::unexpected("check"))?)
    }

    fn findings(&self, found: &Found, clock_skew: Duration) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut add = |severity, text: String| findings.push(Finding::new(severity, text));
        let names = &self.inner.names;

        if found.version_number < OLDEST {
            let version = &found.version;
            add(
                Severity::Error,
                format!("the server is version {version}; 12 is the oldest that works"),
            );
        }
        if found.standby {
            add(Severity::Error, "the server is a standby; sessions need the primary".into());
        }
        if found.read_only {
            add(
                Severity::Error,
                "the server takes no writes (default_transaction_read_only)".into(),
            );
        }
        if clock_skew > self.inner.max_skew {
            add(Severity::Error, format!("the clocks are {} seconds apart", clock_skew.as_secs()));
        }
        for (on, setting) in [(found.fsync, "fsync"), (found.full_page_writes, "full_page_writes")]
        {
            if !on {
                add(Severity::Error, format!("{setting} is off: a crash can destroy the database"));
            }
        }
        if found.synchronous_commit == "off" {
            add(Severity::Error, "synchronous_commit is off: a crash can undo logouts".into());
        }
        if found.synchronous_commit == "local" && !found.synchronous_standbys.is_empty() {
            add(
                Severity::Warning,
                "synchronous_commit is local: a failover can undo logouts".into(),
            );
        }
        if found.isolation != "read committed" && self.inner.source.is_shared() {
            let isolation = &found.isolation;
            add(
                Severity::Warning,
                format!("transactions are {isolation} by default: writes collide more"),
            );
        }
        if self.inner.unverified_server {
            add(Severity::Warning, "nobody verifies that the server is the right one".into());
        }

        let Some(table) = &found.table else {
            add(Severity::Error, format!("there is no table {names}; run `migrate`"));
            return findings;
        };
        for defect in table.defects() {
            add(Severity::Error, format!("the table {names}: {defect}"));
        }
        for privilege in &table.denied {
            add(Severity::Error, format!("the table {names}: {privilege} is not granted"));
        }
        if table.row_security {
            add(
                Severity::Warning,
                format!("the table {names} has row security: it may hide sessions"),
            );
        }
        for index in table.costly_indexes() {
            add(
                Severity::Warning,
                format!("every touch has to write to all indexes, because of: {index}"),
            );
        }
        match (table.persistence.as_str(), self.inner.unlogged) {
            ("p", false) => {}
            ("u", true) => {
                add(Severity::Warning, "the table is unlogged: a crash ends all sessions".into());
            }
            ("p", true) => {
                add(Severity::Warning, "the table is an ordinary one, not an unlogged one".into());
            }
            _ => {
                add(Severity::Error, "a crash empties the table; it is not an ordinary one".into());
            }
        }
        findings.sort_by_key(|finding| finding.severity);
        findings
    }
}

/// The row of `check.sql`.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "the settings of a server")]
pub(crate) struct Found {
    version: String,
    version_number: i64,
    standby: bool,
    read_only: bool,
    fsync: bool,
    full_page_writes: bool,
    synchronous_commit: String,
    synchronous_standbys: String,
    isolation: String,
    clock: Timestamp,
    pub(crate) has_schema: bool,
    pub(crate) table: Option<Table>,
}

impl Found {
    fn in_row(row: &PgRow) -> Result<Self, StoreError> {
        let text = |column| row::plain::<Option<String>>(row, column, "check");
        let flag = |column| row::plain::<Option<bool>>(row, column, "check");
        let number = |column| row::plain::<i64>(row, column, "check");
        let setting = |column| Ok::<_, StoreError>(text(column)?.unwrap_or_default());
        let is_on = |column| Ok::<_, StoreError>(flag(column)?.unwrap_or_default());
        let table = match text(10)? {
            None => None,
            Some(kind) => {
                let mut denied = Vec::new();
                for (column, privilege) in
                    [(13, "USAGE"), (14, "SELECT"), (15, "INSERT"), (16, "UPDATE"), (17, "DELETE")]
                {
                    if !is_on(column)? {
                        denied.push(privilege);
                    }
                }
                Some(Table {
                    kind,
                    persistence: setting(11)?,
                    row_security: is_on(12)?,
                    denied,
                    columns: setting(18)?,
                    indexes: setting(19)?,
                })
            }
        };
        Ok(Self {
            version: setting(0)?,
            version_number: number(1)?,
            standby: is_on(2)?,
            read_only: is_on(3)?,
            fsync: is_on(4)?,
            full_page_writes: is_on(5)?,
            synchronous_commit: setting(6)?,
            synchronous_standbys: setting(7)?,
            isolation: setting(8)?,
            clock: Timestamp::from_millis(u64::try_from(number(9)?).unwrap_or_default()),
            has_schema: is_on(20)?,
            table,
        })
    }
}
