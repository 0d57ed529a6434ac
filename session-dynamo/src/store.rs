//! The store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use session_core::{
    Change, CreateOutcome, Inspect, Purge, Record, Revision, SecretHash, SessionId, SessionStore,
    StoreError, StoreErrorKind, Subject, SubjectIndex, Timestamp, TouchOutcome, UpdateOutcome,
    async_trait,
};
use tokio::time::Instant;

use crate::builder::DynamoStoreBuilder;
use crate::expression::{self, placeholders};
use crate::layout::{self, Head, Item};
use crate::names::Names;
use crate::send::{Answer, Failure, Limits, Resend, send};

/// A record that was created longer ago than this has its index entry removed with it. A younger one may
/// belong to a login that is still under way.
const ENTRY_SETTLED: Duration = Duration::from_mins(10);

/// Sessions in Amazon DynamoDB.
///
/// A clone is a reference to the same store.
///
/// Open it on your own client with [`DynamoStore::from_client`], or with [`DynamoStore::builder`] for other
/// settings. [`create_tables`](DynamoStore::create_tables) makes the tables once, and one
/// [`check`](DynamoStore::check) at start tells whether they are as they should be.
#[derive(Clone)]
pub struct DynamoStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) client: Client,
    pub(crate) names: Names,
    pub(crate) margin: Duration,
    pub(crate) max_skew: Duration,
    pub(crate) deadline: Duration,
    pub(crate) walk_deadline: Duration,
    pub(crate) retries: u8,
}

impl DynamoStore {
    /// A store on your own client, with the default settings.
    ///
    /// Region, credentials, HTTP client and interceptors are those of the client. Its retries and time limits
    /// are not: this store has its own, and would otherwise send twice what must be sent once.
    #[must_use]
    pub fn from_client(client: &Client) -> Self {
        Self::builder().defaults_with(client)
    }

    /// Opens a store at `dynamodb://host[:port][?region=…&table=…&subjects=…]` with the default settings.
    ///
    /// # Errors
    ///
    /// `Config` for a URL that is not like this, and when there are no tables; `Unavailable`, `Denied` and
    /// others when DynamoDB cannot be used now.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Opens a store in the region and with the credentials of the environment, with the default settings. See
    /// [`DynamoStoreBuilder::connect_from_env`].
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and `Config` when the environment names no region or credentials.
    pub async fn connect_from_env() -> Result<Self, StoreError> {
        Self::builder().connect_from_env().await
    }

    /// A store with other settings.
    #[must_use]
    pub fn builder() -> DynamoStoreBuilder {
        DynamoStoreBuilder::default()
    }

    /// The table of the sessions.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.inner.names.sessions
    }

    /// The table of the index by subject.
    #[must_use]
    pub fn subjects_table(&self) -> &str {
        &self.inner.names.subjects
    }

    /// Limits of one operation on one session.
    pub(crate) fn limits(&self) -> Limits {
        self.limits_of(self.inner.deadline)
    }

    /// Limits of one that walks over many.
    pub(crate) fn walk_limits(&self) -> Limits {
        self.limits_of(self.inner.walk_deadline)
    }

    fn limits_of(&self, time: Duration) -> Limits {
        Limits {
            deadline: Instant::now() + time,
            each: self.inner.deadline,
            sends: u32::from(self.inner.retries) + 1,
            resend: Resend::Yes,
        }
    }

    /// The time until which an item is kept whose content ends at `end`.
    fn ttl(&self, end: Timestamp) -> AttributeValue {
        layout::seconds(end.plus(self.inner.margin))
    }

    /// Writes the whole of a record, once `condition` has been added.
    fn put(&self, record: &Record, expires_at: Timestamp) -> PutItemFluentBuilder {
        let names = &self.inner.names;
        let end = expires_at.min(record.deadline());
        let mut item = layout::encode(record);
        item.insert(layout::EXPIRES_AT.to_owned(), layout::time(expires_at));
        item.insert(names.id.clone(), names.id_value(record.id()));
        item.insert(names.ttl.clone(), self.ttl(end));
        self.inner.client.put_item().table_name(&names.sessions).set_item(Some(item))
    }

    /// Writes the index entry of a record that will be written after it. The deadline of an entry only rises.
    ///
    /// An entry that may have been written is harmless, so no error of this says that an outcome is unknown.
    async fn enter(
        &self,
        subject: &Subject,
        record: &Record,
        limits: Limits,
    ) -> Result<(), StoreError> {
        let names = &self.inner.names;
        let entered = send(limits, "write an index entry", || async {
            let update = self
                .inner
                .client
                .update_item()
                .table_name(&names.subjects)
                .key(layout::SUBJECT, layout::binary(subject.as_bytes()))
                .key(&names.id, names.id_value(record.id()))
                .update_expression(expression::ENTER)
                .condition_expression(expression::ENTERABLE)
                .set_expression_attribute_names(Some(placeholders(
                    names,
                    &[expression::ENTER, expression::ENTERABLE],
                )))
                .expression_attribute_values(":d", layout::time(record.deadline()))
                .expression_attribute_values(":ttl", self.ttl(record.deadline()));
            conditional(update.send().await)
        });
        entered.await.map(drop).map_err(Failure::harmless)
    }

    /// What a refused write met: what came with the refusal, else what is read now.
    async fn met(
        &self,
        id: &SessionId,
        refusal: Option<Item>,
        limits: Limits,
    ) -> Result<Option<Item>, StoreError> {
        if refusal.is_some() {
            return Ok(refusal);
        }
        let names = &self.inner.names;
        let read = send(limits, "read after a refused write", || {
            self.inner
                .client
                .get_item()
                .table_name(&names.sessions)
                .key(&names.id, names.id_value(id))
                .consistent_read(true)
                .projection_expression(expression::STATE)
                .set_expression_attribute_names(Some(placeholders(names, &[expression::STATE])))
                .send()
        });
        Ok(read.await.map_err(Failure::harmless)?.value.item)
    }

    /// Deletes one record, and its index entry when that is settled.
    pub(crate) async fn delete_if(
        &self,
        id: &SessionId,
        condition: Condition<'_>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let limits = self.limits();
        let removed = self.remove(id, condition, now, limits).await.map_err(Failure::of_write)?;
        if let Some(subject) = &removed.settled_entry {
            self.forget(subject, &[*id], limits).await;
        }
        Ok(removed.live)
    }

    /// Deletes one record.
    pub(crate) async fn remove(
        &self,
        id: &SessionId,
        condition: Condition<'_>,
        now: Timestamp,
        limits: Limits,
    ) -> Result<Removed, Failure> {
        let names = &self.inner.names;
        let deleted = send(limits, "delete", || async {
            let expression = condition.expression();
            let delete = self
                .inner
                .client
                .delete_item()
                .table_name(&names.sessions)
                .key(&names.id, names.id_value(id))
                .condition_expression(expression)
                .set_expression_attribute_names(Some(placeholders(names, &[expression])))
                .set_expression_attribute_values(condition.values())
                .return_values(ReturnValue::AllOld);
            conditional(delete.send().await)
        });
        Ok(match deleted.await?.value {
            Reply::Done(output) => Removed::of(*id, output.attributes, now),
            Reply::Refused(_) => Removed::default(),
        })
    }
}

/// Which records a delete may remove.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Condition<'a> {
    /// Any.
    None,
    /// Those of one subject.
    Of(&'a Subject),
    /// Those of one subject, and what cannot be read.
    OfOrUnreadable(&'a Subject),
}

impl Condition<'_> {
    fn expression(self) -> &'static str {
        match self {
            Self::None => expression::PRESENT,
            Self::Of(_) => expression::OF_SUBJECT,
            Self::OfOrUnreadable(_) => expression::OF_SUBJECT_OR_UNREADABLE,
        }
    }

    fn values(self) -> Option<Item> {
        let of = |subject: &Subject| (":s".to_owned(), layout::binary(subject.as_bytes()));
        let length = |length: usize| AttributeValue::N(length.to_string());
        Some(match self {
            Self::None => return None,
            Self::Of(subject) => Item::from([of(subject)]),
            Self::OfOrUnreadable(subject) => Item::from([
                of(subject),
                (":B".to_owned(), AttributeValue::S("B".to_owned())),
                (":r".to_owned(), length(Revision::LEN)),
                (":h".to_owned(), length(SecretHash::LEN)),
                (":min".to_owned(), layout::time(Timestamp::MIN)),
                (":max".to_owned(), layout::time(Timestamp::MAX)),
            ]),
        })
    }
}

/// What a delete removed.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    pub(crate) live: bool,
    /// The subject whose index entry can go as well.
    pub(crate) settled_entry: Option<Subject>,
}

impl Removed {
    fn of(id: SessionId, item: Option<Item>, now: Timestamp) -> Self {
        let Some(Ok(head)) = item.map(|item| layout::decode_removed(id, item)) else {
            return Self::default();
        };
        let Head { times, created_at, subject, .. } = head;
        let settled = created_at < now.minus(ENTRY_SETTLED);
        Self { live: times.is_live(now), settled_entry: subject.filter(|_| settled) }
    }
}

/// The answer to a conditional write.
#[derive(Debug)]
pub(crate) enum Reply<T> {
    Done(T),
    /// The condition does not hold, for this item if the service says so.
    Refused(Option<Item>),
}

/// An error that may say that a condition does not hold.
trait Conditional {
    fn is_refusal(&self) -> bool;
    fn into_item(self) -> Option<Item>;
}

macro_rules! conditional {
    ($($error:ident),*) => {$(
        impl Conditional for $error {
            fn is_refusal(&self) -> bool {
                self.is_conditional_check_failed_exception()
            }

            fn into_item(self) -> Option<Item> {
                match self {
                    Self::ConditionalCheckFailedException(refused) => refused.item,
                    _ => None,
                }
            }
        }
    )*};
}
conditional!(PutItemError, UpdateItemError, DeleteItemError);

/// Takes a refusal for the answer that it is.
#[allow(clippy::result_large_err, reason = "the driver's own error, passed on")]
fn conditional<T, E: Conditional>(
    result: Result<T, SdkError<E, HttpResponse>>,
) -> Result<Reply<T>, SdkError<E, HttpResponse>> {
    match result {
        Ok(done) => Ok(Reply::Done(done)),
        Err(SdkError::ServiceError(reply)) if reply.err().is_refusal() => {
            Ok(Reply::Refused(reply.into_err().into_item()))
        }
        Err(other) => Err(other),
    }
}

#[async_trait]
impl SessionStore for DynamoStore {
    async fn create(&self, record: &Record, _now: Timestamp) -> Result<CreateOutcome, StoreError> {
        record.check_payload()?;
        let limits = self.limits();
        if let Some(subject) = record.subject() {
            self.enter(subject, record, limits).await?;
        }
        let names = &self.inner.names;
        let once = Limits { resend: Resend::Never, ..limits };
        let created = send(once, "create", || async {
            let put = self
                .put(record, record.expires_at())
                .condition_expression(expression::ABSENT)
                .set_expression_attribute_names(Some(placeholders(names, &[expression::ABSENT])));
            conditional(put.send().await)
        });
        match created.await.map_err(Failure::of_write)?.value {
            Reply::Done(_) => Ok(CreateOutcome::Created),
            Reply::Refused(_) => Ok(CreateOutcome::Exists),
        }
    }

    async fn load(&self, id: &SessionId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let names = &self.inner.names;
        let read = send(self.limits(), "load", || {
            self.inner
                .client
                .get_item()
                .table_name(&names.sessions)
                .key(&names.id, names.id_value(id))
                .consistent_read(true)
                .send()
        });
        let Some(item) = read.await.map_err(Failure::harmless)?.value.item else { return Ok(None) };
        let record = layout::decode(*id, item)?;
        Ok(record.is_live(now).then_some(record))
    }

    async fn update(&self, change: &Change, now: Timestamp) -> Result<UpdateOutcome, StoreError> {
        let record = change.record();
        record.check_payload()?;
        let limits = self.limits();
        if let Some(subject) = record.subject().filter(|_| change.writes_index_entry()) {
            self.enter(subject, record, limits).await?;
        }
        let names = &self.inner.names;
        let mut expires_at = record.expires_at();
        let mut maybe_done = false;
        loop {
            let replaced = send(limits, "update", || async {
                let put = self
                    .put(record, expires_at)
                    .condition_expression(expression::REPLACEABLE)
                    .set_expression_attribute_names(Some(placeholders(
                        names,
                        &[expression::REPLACEABLE],
                    )))
                    .expression_attribute_values(":r", layout::binary(change.expected().as_bytes()))
                    .expression_attribute_values(":e", layout::time(expires_at))
                    .expression_attribute_values(":now", layout::time(now))
                    .expression_attribute_values(":max", layout::time(Timestamp::MAX))
                    .return_values_on_condition_check_failure(OLD_ITEM);
                conditional(put.send().await)
            });
            let Answer { value, resent } =
                replaced.await.map_err(|failure| failure.of_write().unknown_if(maybe_done))?;
            maybe_done |= resent;
            let Reply::Refused(item) = value else { return Ok(UpdateOutcome::Updated) };
            let met = self.met(change.id(), item, limits).await;
            let met = met.and_then(|item| Ok(Met::new(item.as_ref(), change, now)?));
            match met.map_err(|error: StoreError| error.unknown_if(maybe_done))? {
                Met::Own { live } if live || maybe_done => return Ok(UpdateOutcome::Updated),
                // A touch came between. Our idle deadline does not move that back.
                Met::Expected { expires_at: stored } => expires_at = stored.max(expires_at),
                _ if maybe_done => return Err(sent_twice("update was sent twice")),
                Met::Other => return Ok(UpdateOutcome::Conflict),
                Met::Nothing | Met::Own { .. } => return Ok(UpdateOutcome::Missing),
            }
        }
    }

    async fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<TouchOutcome, StoreError> {
        let limits = self.limits();
        let names = &self.inner.names;
        let mut maybe_done = false;
        loop {
            let extended = send(limits, "touch", || async {
                let update = self
                    .inner
                    .client
                    .update_item()
                    .table_name(&names.sessions)
                    .key(&names.id, names.id_value(id))
                    .update_expression(expression::EXTEND)
                    .condition_expression(expression::EXTENSIBLE)
                    .set_expression_attribute_names(Some(placeholders(
                        names,
                        &[expression::EXTEND, expression::EXTENSIBLE],
                    )))
                    .expression_attribute_values(":e", layout::time(expires_at))
                    .expression_attribute_values(":ttl", self.ttl(expires_at))
                    .expression_attribute_values(":now", layout::time(now))
                    .expression_attribute_values(":max", layout::time(Timestamp::MAX))
                    .return_values_on_condition_check_failure(OLD_ITEM);
                conditional(update.send().await)
            });
            let extended =
                extended.await.map_err(|failure| failure.of_write().unknown_if(maybe_done))?;
            maybe_done |= extended.resent;
            let Reply::Refused(item) = extended.value else { return Ok(TouchOutcome::Touched) };
            let unclear = |error: StoreError| error.unknown_if(maybe_done);
            let met = self.met(id, item, limits).await.map_err(unclear)?;
            let times = met.as_ref().map(layout::decode_times).transpose();
            match times.map_err(|why| unclear(why.into()))?.filter(|times| times.is_live(now)) {
                Some(times) if times.expires_at >= expires_at => return Ok(TouchOutcome::Touched),
                // Created since the refusal, so it can be touched now. The deadline ends this, should it go on.
                Some(_) => {}
                // An earlier send may have prolonged a session that somebody has ended since.
                None if maybe_done => return Err(sent_twice("touch was sent twice")),
                None => return Ok(TouchOutcome::Missing),
            }
        }
    }

    async fn delete(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        self.delete_if(id, Condition::None, now).await
    }

    fn margin(&self) -> Duration {
        self.inner.margin
    }

    fn subject_index(&self) -> Option<&dyn SubjectIndex> {
        Some(self)
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    /// None: every item has a time to live, and DynamoDB removes what is over.
    fn purger(&self) -> Option<&dyn Purge> {
        None
    }
}

/// Shows no address and no credentials.
impl fmt::Debug for DynamoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoStore")
            .field("table", &self.table())
            .field("subjects_table", &self.subjects_table())
            .field("margin", &self.inner.margin)
            .field("deadline", &self.inner.deadline)
            .finish_non_exhaustive()
    }
}

const OLD_ITEM: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

/// What a refused update met.
enum Met {
    /// No record, or one that is over.
    Nothing,
    /// The record that was expected, live.
    Expected { expires_at: Timestamp },
    /// The record that was to be written.
    Own { live: bool },
    /// Another one, live.
    Other,
}

impl Met {
    fn new(
        item: Option<&Item>,
        change: &Change,
        now: Timestamp,
    ) -> Result<Self, layout::Unreadable> {
        let Some(item) = item else { return Ok(Self::Nothing) };
        let times = layout::decode_times(item)?;
        let live = times.is_live(now);
        match layout::decode_content(item) {
            Ok(revision) if revision == change.record().revision() => Ok(Self::Own { live }),
            Ok(_) | Err(layout::Unreadable::UnsupportedFormat) if !live => Ok(Self::Nothing),
            Ok(revision) if revision == change.expected() => {
                Ok(Self::Expected { expires_at: times.expires_at })
            }
            Ok(_) => Ok(Self::Other),
            Err(why) => Err(why),
        }
    }
}

fn sent_twice(doing: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::OutcomeUnknown, doing)
}
