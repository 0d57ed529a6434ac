//! Whether a server is set up for sessions.

use std::time::Duration;

use redis::Value;
use session_core::{Finding, Severity, StoreError, Timestamp};

use crate::error;
use crate::source::{Failure, Lane};
use crate::store::RedisStore;

/// What [`RedisStore::check`] found. `None` stands for "unknown": the server did not tell, as managed services
/// that forbid `INFO` or `CONFIG` do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// The server's version.
    pub version: Option<String>,
    /// `master` or `slave`, in the server's words.
    pub role: Option<String>,
    /// `standalone`, `sentinel` or `cluster`.
    pub mode: Option<String>,
    /// What the server does when its memory is full. Sessions want `noeviction`.
    pub eviction_policy: Option<String>,
    /// How many keys it has evicted so far.
    pub evicted_keys: Option<u64>,
    /// Whether it keeps an append-only file, without which a crash can undo acknowledged writes.
    pub append_only: Option<bool>,
    /// How often that file is forced to disk: `always`, `everysec` or `no`.
    pub append_fsync: Option<String>,
    /// Whether the last write to that file succeeded.
    pub append_ok: Option<bool>,
    /// When snapshots are saved; empty for never.
    pub snapshots: Option<String>,
    /// Whether the last snapshot succeeded.
    pub snapshot_ok: Option<bool>,
    /// How many replicas are connected.
    pub replicas: Option<u64>,
    /// How far the server's clock is from the one that was given.
    pub clock_skew: Option<Duration>,
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

impl RedisStore {
    /// Asks the server how it is set up, and says what of it does not suit sessions. One round trip, writes
    /// nothing. Call it when the application starts.
    ///
    /// `now` is the application's time, as in every operation.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or does not let us in. What it merely does not tell is "unknown" in
    /// the report.
    pub async fn check(&self, now: Timestamp) -> Result<CheckReport, StoreError> {
        let settings = ["maxmemory-policy", "appendonly", "appendfsync", "save"];
        let answer = self.inner.source.run(Lane::Ordinary, self.limits(true), |_| {
            let mut batch = redis::pipe();
            batch.cmd("EXISTS").arg(self.inner.prefix.marker(b"")).cmd("TIME").cmd("INFO");
            for setting in settings {
                batch.cmd("CONFIG").arg("GET").arg(setting);
            }
            batch
        });
        let mut replies = answer.await.map_err(Failure::of_read)?.replies.into_iter();
        let mut next = || replies.next().unwrap_or(Value::Nil);
        error::value(next(), "check")?;
        let time = server_time(&next());
        let info = Info::new(next());
        let [policy, append_only, append_fsync, snapshots] = settings.map(|_| setting(next()));

        let mut report = CheckReport {
            version: info.text("redis_version"),
            role: info.text("role"),
            mode: info.text("redis_mode"),
            eviction_policy: info.text("maxmemory_policy").or(policy),
            evicted_keys: info.number("evicted_keys"),
            append_only: info
                .text("aof_enabled")
                .map(|on| on == "1")
                .or(append_only.map(|on| on == "yes")),
            append_fsync,
            append_ok: info.text("aof_last_write_status").map(|status| status == "ok"),
            snapshots,
            snapshot_ok: info.text("rdb_last_bgsave_status").map(|status| status == "ok"),
            replicas: info.number("connected_slaves"),
            clock_skew: time.map(|time| time.since(now).max(now.since(time))),
            findings: Vec::new(),
        };
        report.findings = self.findings(&report);
        Ok(report)
    }

    fn findings(&self, report: &CheckReport) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut add = |severity, text: String| findings.push(Finding::new(severity, text));
        let known = Option::as_deref;

        if let Some(version) = known(&report.version)
            && before_6_2(version)
        {
            add(
                Severity::Error,
                format!("the server is version {version}; 6.2 is the oldest that works"),
            );
        }
        if known(&report.role).is_some_and(|role| role != "master") {
            add(Severity::Error, "the server is a replica; sessions need the primary".into());
        }
        if known(&report.mode) == Some("cluster") {
            add(
                Severity::Error,
                "the server is part of a cluster, which this store does not speak to".into(),
            );
        }
        if let Some(policy) = known(&report.eviction_policy)
            && policy != "noeviction"
        {
            let severity =
                if self.inner.allow_eviction { Severity::Warning } else { Severity::Error };
            add(
                severity,
                format!("maxmemory-policy is {policy}: sessions may vanish, logouts may miss some"),
            );
        }
        if let Some(skew) = report.clock_skew
            && skew > self.inner.max_skew
        {
            add(Severity::Error, format!("the clocks are {} seconds apart", skew.as_secs()));
        }
        if let (Some(wanted), Some(connected)) = (self.inner.replicas, report.replicas)
            && connected < u64::from(wanted.count)
        {
            let count = wanted.count;
            add(
                Severity::Error,
                format!("{connected} replicas are connected, {count} are waited for"),
            );
        }

        if report.append_only == Some(false) {
            add(Severity::Warning, "appendonly is off: a crash can undo logouts".into());
        } else if known(&report.append_fsync) == Some("no") {
            add(
                Severity::Warning,
                "appendfsync is no: a crash of the machine can undo logouts".into(),
            );
        }
        if report.append_ok == Some(false) {
            add(Severity::Warning, "the last write to the append-only file failed".into());
        }
        if report.snapshot_ok == Some(false) {
            add(Severity::Warning, "the last snapshot failed; the server may refuse writes".into());
        }
        if report.evicted_keys.is_some_and(|evicted| evicted > 0) {
            add(Severity::Warning, "the server has evicted keys since it started".into());
        }
        findings.sort_by_key(|finding| finding.severity);
        findings
    }
}

fn before_6_2(version: &str) -> bool {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(u32::MAX));
    (numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(0)) < (6, 2)
}

/// The reply to `TIME`: seconds and microseconds.
fn server_time(reply: &Value) -> Option<Timestamp> {
    let Value::Array(parts) = reply else { return None };
    let number = |value: &Value| match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?.parse::<u64>().ok(),
        _ => None,
    };
    let (seconds, micros) = (number(parts.first()?)?, number(parts.get(1)?)?);
    Some(Timestamp::from_millis(seconds.saturating_mul(1_000).saturating_add(micros / 1_000)))
}

/// The reply to `CONFIG GET` of one setting.
fn setting(reply: Value) -> Option<String> {
    match reply {
        Value::Array(items) => match items.into_iter().nth(1)? {
            Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
            _ => None,
        },
        _ => None,
    }
}

/// The reply to `INFO`: lines of `name:value`.
struct Info(String);

impl Info {
    fn new(reply: Value) -> Self {
        match reply {
            Value::BulkString(bytes) => Self(String::from_utf8_lossy(&bytes).into_owned()),
            Value::VerbatimString { text, .. } => Self(text),
            _ => Self(String::new()),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(':')?.to_owned());
        self.0.lines().find_map(value)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_6_2_are_told_apart() {
        for (version, old) in [
            ("6.0.16", true),
            ("5.0", true),
            ("6.2.0", false),
            ("7.0.15", false),
            ("10.1", false),
            ("x", false),
        ] {
            assert_eq!(before_6_2(version), old, "{version}");
        }
    }
}
