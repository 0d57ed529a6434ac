//! Whether the tables and the clock are as they should be.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use aws_sdk_dynamodb::types::{
    ScalarAttributeType, TableDescription, TableStatus, TimeToLiveDescription,
};
use futures_util::future::{join_all, try_join_all};
use session_core::{Finding, Severity, StoreError, StoreErrorKind, Timestamp};
use tokio::time::Instant;

use crate::send::{Failure, Limits, send};
use crate::store::DynamoStore;
use crate::tables::{TABLES, Table, is_on, is_usable, key_of};

/// What [`DynamoStore::check`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// The table of the sessions.
    pub sessions: TableReport,
    /// The table of the index by subject.
    pub subjects: TableReport,
    /// How far the service's clock is from the one that was given, to about a second. `None` for "unknown":
    /// DynamoDB Local does not tell.
    pub clock_skew: Option<Duration>,
    /// What is wrong or doubtful, most serious first.
    pub findings: Vec<Finding>,
}

/// One table. `None` stands for "unknown": it is not there, or the privilege to ask is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableReport {
    /// Its name.
    pub name: String,
    /// `ACTIVE` and others, in the service's words.
    pub status: Option<String>,
    /// Whether items expire by themselves.
    pub expires: Option<bool>,
    /// The attribute that says when.
    pub ttl_attribute: Option<String>,
    /// Whether it is a global table, with replicas in other regions.
    pub replicated: Option<bool>,
}

impl CheckReport {
    /// Whether there is no [`Severity::Error`].
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Error)
    }
}

impl DynamoStore {
    /// Looks at both tables and at the clock, and says what does not suit sessions. Writes nothing. Call it when
    /// the application starts.
    ///
    /// `now` is the application's time, as in every operation.
    ///
    /// # Errors
    ///
    /// When DynamoDB cannot be reached or does not let us in. What only the privileges to describe tables would
    /// tell is "unknown" in the report without them.
    pub async fn check(&self, now: Timestamp) -> Result<CheckReport, StoreError> {
        let limits = self.limits();
        let looks = TABLES.map(|table| self.look_at(table, now, limits));
        let mut looked = try_join_all(looks).await?.into_iter();
        let mut next = || looked.next().unwrap_or_default();
        let (sessions, subjects) = (next(), next());
        let clock_skew = sessions.clock_skew.or(subjects.clock_skew);
        let mut findings = [sessions.findings, subjects.findings].concat();
        if let Some(skew) = clock_skew
            && skew > self.inner.max_skew
        {
            findings.push(error(format!("the clocks are {} seconds apart", skew.as_secs())));
        }
        findings.sort_by_key(|finding| finding.severity);
        Ok(CheckReport {
            sessions: sessions.report,
            subjects: subjects.report,
            clock_skew,
            findings,
        })
    }

    /// Fails unless both tables are there and have the keys that they should have.
    pub(crate) async fn expect_tables(&self) -> Result<(), StoreError> {
        let limits = self.limits();
        for probe in join_all(TABLES.map(|table| self.probe(table, limits))).await {
            let Probe { trouble, .. } = probe?;
            if let Some(trouble) = trouble {
                return Err(StoreError::new(StoreErrorKind::Config, trouble));
            }
        }
        Ok(())
    }

    async fn look_at(
        &self,
        table: Table,
        now: Timestamp,
        limits: Limits,
    ) -> Result<Look, StoreError> {
        let names = &self.inner.names;
        let begun = Instant::now();
        let Probe { trouble, date } = self.probe(table, limits).await?;
        let here = now.plus(begun.elapsed());
        let mut look = Look {
            clock_skew: date.map(|date| date.since(here).max(here.since(date))),
            ..Look::default()
        };
        look.report.name = table.name(names).to_owned();
        let described = known(self.describe(table, limits).await)?.flatten();
        let ttl = known(self.describe_ttl(table, limits).await)?.flatten();
        if let Some(described) = &described {
            look.see_table(described, &table.key(names));
        }
        if look.findings.is_empty() {
            look.findings.extend(trouble.map(error));
        }
        if let Some(ttl) = ttl.filter(|_| described.is_some()) {
            look.see_ttl(&ttl, &names.ttl);
        }
        Ok(look)
    }

    /// Reads an item that is not there: the cheapest that shows whether the table is there and has our key.
    async fn probe(&self, table: Table, limits: Limits) -> Result<Probe, StoreError> {
        let names = &self.inner.names;
        let name = table.name(names);
        let date = DateHeader::default();
        let read = send(limits, "look for a table", || async {
            let get = self
                .inner
                .client
                .get_item()
                .table_name(name)
                .set_key(Some(table.no_key(names)))
                .consistent_read(true)
                .customize()
                .interceptor(date.clone());
            match get.send().await {
                Ok(_) => Ok(None),
                Err(reply) => match code(&reply) {
                    Some("ResourceNotFoundException") => {
                        Ok(Some(format!("there is no table {name}; `create_tables()` makes it")))
                    }
                    Some("ValidationException") => Ok(Some(format!(
                        "the key of the table {name} is not {}",
                        spelled(&table.key(names))
                    ))),
                    _ => Err(reply),
                },
            }
        });
        let trouble = read.await.map_err(Failure::harmless)?.value;
        Ok(Probe { trouble, date: date.time() })
    }
}

/// What reading from a table showed.
struct Probe {
    trouble: Option<String>,
    date: Option<Timestamp>,
}

/// What was found out about one table.
#[derive(Default)]
struct Look {
    report: TableReport,
    clock_skew: Option<Duration>,
    findings: Vec<Finding>,
}

impl Look {
    fn see_table(&mut self, described: &TableDescription, key: &[(String, ScalarAttributeType)]) {
        let Self { report, findings, .. } = self;
        let name = &report.name;
        let status = described.table_status().map_or("of no status", TableStatus::as_str);
        let replicated = !described.replicas().is_empty();
        if !is_usable(described) {
            findings.push(error(format!("the table {name} is {status}")));
        }
        let found = key_of(described);
        if found != key {
            findings.push(error(format!(
                "the key of the table {name} is {}, not {}",
                spelled(&found),
                spelled(key)
            )));
        }
        if replicated {
            findings.push(error(format!(
                "the table {name} has replicas in other regions: what one of them writes last wins, \
                 also over a logout"
            )));
        }
        report.status = Some(status.to_owned());
        report.replicated = Some(replicated);
    }

    fn see_ttl(&mut self, ttl: &TimeToLiveDescription, attribute: &str) {
        let Self { report, findings, .. } = self;
        let name = &report.name;
        let on = is_on(ttl);
        if !on {
            findings.push(error(format!(
                "the table {name} has no expiry: what is over is never removed"
            )));
        } else if ttl.attribute_name() != Some(attribute) {
            let found = ttl.attribute_name().unwrap_or("nothing");
            findings
                .push(error(format!("the table {name} expires by {found}, not by {attribute}")));
        }
        report.expires = Some(on);
        report.ttl_attribute = ttl.attribute_name().filter(|_| on).map(str::to_owned);
    }
}

/// `None` where the privilege is missing, or the service does not know the question.
fn known<T>(described: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match described {
        Ok(described) => Ok(Some(described)),
        Err(error) if error.kind() == StoreErrorKind::Denied => Ok(None),
        Err(error) => Err(error),
    }
}

fn error(text: String) -> Finding {
    Finding::new(Severity::Error, text)
}

fn spelled(key: &[(String, ScalarAttributeType)]) -> String {
    let parts: Vec<_> = key.iter().map(|(name, kind)| format!("{name} ({kind})")).collect();
    parts.join(" and ")
}

fn code<E: ProvideErrorMetadata + Error>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.as_service_error()?.code()
}

/// Keeps the date that the service writes on its replies.
#[derive(Debug, Clone, Default)]
struct DateHeader(Arc<Mutex<Option<Timestamp>>>);

impl DateHeader {
    fn time(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for DateHeader {
    fn name(&self) -> &'static str {
        "DateHeader"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").and_then(time);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date;
        Ok(())
    }
}

fn time(date: &str) -> Option<Timestamp> {
    let date = DateTime::from_str(date, DateTimeFormat::HttpDate).ok()?;
    Timestamp::from_stored_millis(date.to_millis().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read() {
        let date = time("Thu, 01 Jan 1970 00:01:40 GMT");
        assert_eq!(date, Some(Timestamp::from_millis(100_000)));
        for bad in ["", "yesterday", "Thu, 01 Jan 1969 00:00:00 GMT", "100"] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }
}
