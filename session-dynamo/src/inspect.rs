//! The walk over all sessions: it reads the whole table, in bounded pieces.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Select};
use session_core::{
    Count, Inspect, Listing, Page, PageRequest, SessionSummary, StoreError, Timestamp, async_trait,
};

use crate::cursor;
use crate::expression::{self, placeholders};
use crate::layout;
use crate::send::{Failure, Limits, send};
use crate::store::DynamoStore;

#[async_trait]
impl Inspect for DynamoStore {
    async fn scan(
        &self,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let names = &self.inner.names;
        let start = page.cursor().map(|it| cursor::read(it, Listing::All, names)).transpose()?;
        let (output, last) = self
            .piece(start, self.limits(), |scan| {
                scan.projection_expression(expression::HEAD)
                    .set_expression_attribute_names(Some(placeholders(names, &[expression::HEAD])))
                    .limit(i32::try_from(page.limit()).unwrap_or(i32::MAX))
            })
            .await?;
        let next = last.map(|last| cursor::after(&last, Listing::All, names)).transpose()?;
        let items = self.summaries(&output.items.unwrap_or_default(), now);
        Ok(Page { items, next })
    }

    async fn count(&self, now: Timestamp) -> Result<Count, StoreError> {
        let limits = self.walk_limits();
        let names = &self.inner.names;
        let (mut live, mut start) = (0, None);
        loop {
            let (output, last) = self
                .piece(start, limits, |scan| {
                    scan.select(Select::Count)
                        .filter_expression(expression::LIVE)
                        .set_expression_attribute_names(Some(placeholders(
                            names,
                            &[expression::LIVE],
                        )))
                        .expression_attribute_values(":now", layout::time(now))
                        .expression_attribute_values(":max", layout::time(Timestamp::MAX))
                })
                .await?;
            live += u64::try_from(output.count).unwrap_or_default();
            start = last;
            if start.is_none() {
                return Ok(Count::Exact(live));
            }
        }
    }
}

impl DynamoStore {
    /// A piece of the table behind `start`, at most a megabyte, and the key of its last item if there are more.
    async fn piece(
        &self,
        start: Option<AttributeValue>,
        limits: Limits,
        adjust: impl Fn(ScanFluentBuilder) -> ScanFluentBuilder,
    ) -> Result<(ScanOutput, Option<AttributeValue>), StoreError> {
        let names = &self.inner.names;
        let key = |id: &AttributeValue| HashMap::from([(names.id.clone(), id.clone())]);
        let read = send(limits, "scan", || {
            let scan = self
                .inner
                .client
                .scan()
                .table_name(&names.sessions)
                .consistent_read(true)
                .set_exclusive_start_key(start.as_ref().map(key));
            adjust(scan).send()
        });
        let mut output = read.await.map_err(Failure::harmless)?.value;
        let last = output.last_evaluated_key.take().and_then(|mut key| key.remove(&names.id));
        Ok((output, last))
    }
}
