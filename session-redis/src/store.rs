//! The store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::Pool;
use redis::{Cmd, Pipeline, Value};
use session_core::{
    Change, CreateOutcome, Inspect, Purge, Record, SessionId, SessionStore, StoreError,
    StoreErrorKind, Subject, SubjectIndex, Timestamp, TouchOutcome, UpdateOutcome, async_trait,
};
use tokio::time::Instant;

use crate::builder::RedisStoreBuilder;
use crate::command::command;
use crate::error;
use crate::keys::Prefix;
use crate::layout;
use crate::scripts;
use crate::source::{Answer, Failure, Form, Lane, Limits, Source};

/// A record that was created longer ago than this has its index entry removed with it. A younger one may
/// belong to a login that is still under way.
const ENTRY_SETTLED: Duration = Duration::from_secs(600);

/// Bytes that the arguments of a command take beside its key and a record, at most: times and other numbers.
pub(crate) const ROOM: usize = 64;

/// For how long a marker lives that gives `WAIT` something to wait for.
const MARKER_TTL_MS: u64 = 10_000;

/// Sessions in Redis, Valkey or another server that speaks as Redis 6.2 does.
///
/// A clone is a reference to the same store.
///
/// Open it with [`RedisStore::connect`], or with [`RedisStore::builder`] for other settings. One
/// [`check`](RedisStore::check) at start tells whether the server is set up for sessions.
#[derive(Clone)]
pub struct RedisStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) source: Source,
    pub(crate) prefix: Prefix,
    pub(crate) margin: Duration,
    pub(crate) max_skew: Duration,
    pub(crate) deadline: Duration,
    pub(crate) walk_deadline: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) replicas: Option<Replicas>,
    pub(crate) allow_eviction: bool,
}

/// How many replicas must have a write before it is acknowledged, and how long that may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replicas {
    pub(crate) count: u8,
    pub(crate) within: Duration,
}

impl RedisStore {
    /// Connects to `redis://[user][:password]@host[:port][/database]`, or `rediss://` for TLS, with the
    /// default settings.
    ///
    /// # Errors
    ///
    /// `Config` for a URL that is not one of these; `Unavailable`, `Denied` and others when the server cannot
    /// be used now.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// A store with other settings.
    #[must_use]
    pub fn builder() -> RedisStoreBuilder {
        RedisStoreBuilder::default()
    }

    /// A store on connections of your own pool, with the default settings.
    ///
    /// A pool gives each call a connection of its own, and `deadpool-redis` asks the server with `PING` before
    /// each of them: a call takes two round trips, and many calls at a time do not share one packet. Prefer
    /// [`RedisStore::connect`] unless something else needs the pool. Deadlines of the pool's own apply
    /// besides ours; nothing in the pool may resend requests.
    #[must_use]
    pub fn from_pool(pool: Pool) -> Self {
        Self::builder().defaults_with(Source::Pool(pool))
    }

    /// The namespace: every key begins with it.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.inner.prefix.as_str()
    }

    /// Limits of one operation on one session.
    pub(crate) fn limits(&self, resend: bool) -> Limits {
        Limits {
            deadline: Instant::now() + self.inner.deadline,
            response: self.inner.response_timeout,
            resend,
        }
    }

    /// Limits of one piece of a walk that ends at `walk`: none may wait for as long as the walk itself.
    pub(crate) fn limits_within(&self, walk: Instant) -> Limits {
        let limits = self.limits(true);
        Limits { deadline: limits.deadline.min(walk), ..limits }
    }

    /// Sends one command that reads.
    pub(crate) async fn read(
        &self,
        limits: Limits,
        build: impl Fn(Form) -> Cmd,
    ) -> Result<Value, StoreError> {
        let answer =
            self.inner.source.run(Lane::Ordinary, limits, |form| single(build(form))).await;
        let Answer { mut replies, .. } = answer.map_err(Failure::of_read)?;
        replies.pop().ok_or_else(|| error::unexpected("read"))
    }

    /// Sends a write and, if so configured, waits for replicas on the same connection.
    async fn write(
        &self,
        limits: Limits,
        build: impl Fn(Form) -> Pipeline,
    ) -> Result<Written, Failure> {
        let Some(replicas) = self.inner.replicas else {
            let Answer { replies, resent } =
                self.inner.source.run(Lane::Ordinary, limits, build).await?;
            return Ok(Written { replies, resent, durable: Ok(()) });
        };
        let limits = Limits { response: limits.response + replicas.within, ..limits };
        let with_wait = |form| {
            let mut batch = build(form);
            batch.add_command(replicas.wait());
            batch
        };
        let Answer { mut replies, resent } =
            self.inner.source.run(Lane::Durable, limits, with_wait).await?;
        let durable = replicas.enough(replies.pop());
        Ok(Written { replies, resent, durable })
    }

    /// Waits until the replicas have everything that was acknowledged before.
    ///
    /// `WAIT` waits for the last write of its own connection, so this writes something first: replication has
    /// one order, and whoever has this write has all before it.
    pub(crate) async fn settle(&self, limits: Limits, name: &[u8]) -> Result<(), StoreError> {
        if self.inner.replicas.is_none() {
            return Ok(());
        }
        let written =
            self.write(limits, |_| single(self.marker(name))).await.map_err(Failure::of_write)?;
        for reply in written.replies {
            error::value(reply, "write a marker").map_err(not_durable)?;
        }
        written.durable
    }

    pub(crate) fn marker(&self, name: &[u8]) -> Cmd {
        let mut command = redis::cmd("SET");
        command.arg(self.inner.prefix.marker(name)).arg("").arg("PX").arg(MARKER_TTL_MS);
        command
    }

    /// How long a key is kept whose content ends at `end`.
    fn ttl(&self, end: Timestamp, now: Timestamp) -> i64 {
        let millis = |time: Timestamp| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let margin = i64::try_from(self.inner.margin.as_millis()).unwrap_or(i64::MAX);
        millis(end).saturating_add(margin).saturating_sub(millis(now)).max(1)
    }

    fn margin_millis(&self) -> u64 {
        u64::try_from(self.inner.margin.as_millis()).unwrap_or(u64::MAX)
    }

    /// The commands that write an index entry.
    fn index_entry(
        &self,
        form: Form,
        subject: &Subject,
        record: &Record,
        now: Timestamp,
    ) -> Vec<Cmd> {
        let key = self.inner.prefix.index(subject);
        let deadline = record.deadline();
        let ttl = self.ttl(deadline, now);
        let trim_to = format!("({}", now.minus(self.inner.margin).as_millis());
        if !form.server.conditional_expire {
            // With its source always: after NOSCRIPT inside a transaction the rest of it is done.
            let mut script = scripts::INDEX.call(scripts::ScriptForm::Source, &key, ROOM);
            script.arg(deadline.as_millis()).arg(record.id().as_bytes()).arg(ttl).arg(trim_to);
            return vec![script];
        }
        let command = |name| command(name, key.len() + ROOM);
        let mut add = command("ZADD");
        add.arg(&key).arg("GT").arg(deadline.as_millis()).arg(record.id().as_bytes());
        let mut trim = command("ZREMRANGEBYSCORE");
        trim.arg(&key).arg("-inf").arg(trim_to);
        let mut begin = command("PEXPIRE");
        begin.arg(&key).arg(ttl).arg("NX");
        let mut extend = command("PEXPIRE");
        extend.arg(&key).arg(ttl).arg("GT");
        vec![add, trim, begin, extend]
    }

    /// The index entry and then the record's own command, in one transaction.
    fn with_index_entry(
        &self,
        form: Form,
        subject: &Subject,
        record: &Record,
        now: Timestamp,
        own: Cmd,
    ) -> Pipeline {
        let entry = self.index_entry(form, subject, record, now);
        let mut batch = Pipeline::with_capacity(entry.len() + 4);
        batch.add_command(command("MULTI", 0));
        for part in entry {
            batch.add_command(part);
        }
        batch.add_command(own).add_command(command("EXEC", 0));
        batch
    }

    /// Removes index entries, best effort: readers skip an entry whose record is gone.
    pub(crate) async fn forget(&self, subject: &Subject, ids: &[SessionId], limits: Limits) {
        if ids.is_empty() {
            return;
        }
        let removed = self
            .read(limits, |_| {
                let mut command = redis::cmd("ZREM");
                command.arg(self.inner.prefix.index(subject));
                for id in ids {
                    command.arg(id.as_bytes());
                }
                command
            })
            .await;
        if let Err(error) = removed {
            tracing::debug!(kind = ?error.kind(), "index entries left to expire");
        }
    }

    /// The call of the delete script. `subject` restricts it to that subject's records.
    pub(crate) fn delete_command(
        &self,
        form: Form,
        id: &SessionId,
        condition: Condition<'_>,
    ) -> Cmd {
        let mut command =
            scripts::DELETE.call(form.script, &self.inner.prefix.record(id), Subject::MAX_LEN + 1);
        match condition {
            Condition::None => command.arg("").arg("1"),
            Condition::Of(subject) => command.arg(subject.as_bytes()).arg("0"),
            Condition::OfOrUnreadable(subject) => command.arg(subject.as_bytes()).arg("1"),
        };
        command
    }

    /// Deletes one record, and its index entry when that is settled.
    pub(crate) async fn delete_if(
        &self,
        id: &SessionId,
        condition: Condition<'_>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let limits = self.limits(true);
        let written = self
            .write(limits, |form| {
                let mut batch = single(self.delete_command(form, id, condition));
                if self.inner.replicas.is_some() {
                    // A delete that finds nothing writes nothing, and the one that did may not have arrived.
                    batch.add_command(self.marker(id.as_bytes()));
                }
                batch
            })
            .await
            .map_err(Failure::of_write)?;
        let mut replies = written.replies.into_iter();
        let reply = replies.next().ok_or_else(|| error::unexpected("delete"))?;
        let removed =
            Removed::from_reply(reply, now).map_err(|error| error.unknown_if(written.resent))?;
        if let Some(subject) = removed.settled_entry.as_ref() {
            self.forget(subject, &[*id], limits).await;
        }
        if let Some(marker) = replies.next()
            && !removed.something
        {
            error::value(marker, "write a marker").map_err(not_durable)?;
        }
        written.durable?;
        Ok(removed.live)
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

/// What the delete script removed.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    something: bool,
    pub(crate) live: bool,
    /// The subject whose index entry can go as well.
    pub(crate) settled_entry: Option<Subject>,
}

impl Removed {
    pub(crate) fn from_reply(reply: Value, now: Timestamp) -> Result<Self, StoreError> {
        if reply == Value::Nil {
            return Ok(Self::default());
        }
        let mut items = error::array(reply, "delete")?.into_iter();
        let (Some(first), Some(length)) = (items.next(), items.next()) else {
            return Err(error::unexpected("delete"));
        };
        let first = error::bytes(first, "delete")?;
        let length = usize::try_from(error::int(length, "delete")?).unwrap_or(usize::MAX);
        let Ok(head) = layout::decode_removed(&first, length) else {
            return Ok(Self { something: true, ..Self::default() });
        };
        let settled = head.created_at < now.minus(ENTRY_SETTLED);
        let live = head.is_live(now);
        Ok(Self { something: true, live, settled_entry: head.subject.filter(|_| settled) })
    }
}

/// The replies to a write.
struct Written {
    replies: Vec<Value>,
    resent: bool,
    /// Whether enough replicas have it.
    durable: Result<(), StoreError>,
}

impl Replicas {
    fn wait(self) -> Cmd {
        let mut command = redis::cmd("WAIT");
        command.arg(self.count).arg(u64::try_from(self.within.as_millis()).unwrap_or(u64::MAX));
        command
    }

    fn enough(self, reply: Option<Value>) -> Result<(), StoreError> {
        let reply = reply.ok_or_else(|| error::unexpected("wait for replicas"))?;
        let confirmed = error::int(reply, "wait for replicas").map_err(not_durable)?;
        if confirmed >= i64::from(self.count) {
            return Ok(());
        }
        Err(StoreError::new(StoreErrorKind::NotDurable, "too few replicas have the write"))
    }
}

#[async_trait]
impl SessionStore for RedisStore {
    async fn create(&self, record: &Record, now: Timestamp) -> Result<CreateOutcome, StoreError> {
        record.check_payload()?;
        let key = self.inner.prefix.record(record.id());
        let stored = layout::encode(record);
        let ttl = self.ttl(record.ends_at(), now);
        let written = self
            .write(self.limits(false), |form| {
                let mut command = command("SET", key.len() + stored.len() + ROOM);
                command.arg(&key).arg(&stored).arg("NX").arg("PX").arg(ttl);
                match record.subject() {
                    Some(subject) => self.with_index_entry(form, subject, record, now, command),
                    None => single(command),
                }
            })
            .await
            .map_err(Failure::of_write)?;

        let reply = match record.subject() {
            None => own_reply(written.replies),
            Some(_) => match transaction(written.replies, "create") {
                Ok(reply) => Ok(reply),
                Err(Aborted { record_reply, error }) => {
                    if record_reply == Some(Value::Okay) {
                        // Without its index entry it must not live.
                        let _ = self.delete_if(record.id(), Condition::None, now).await;
                    }
                    return Err(error);
                }
            },
        };
        match error::value(reply?, "create")? {
            Value::Okay => written.durable.map(|()| CreateOutcome::Created),
            Value::Nil => Ok(CreateOutcome::Exists),
            _ => Err(error::unexpected("create")),
        }
    }

    async fn load(&self, id: &SessionId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let key = self.inner.prefix.record(id);
        let reply = self
            .read(self.limits(true), |_| {
                // One byte more than the longest record, so that a longer string shows.
                let mut command = command("GETRANGE", key.len() + ROOM);
                command.arg(&key).arg("0").arg(layout::MAX_RECORD_LEN);
                command
            })
            .await?;
        let stored = error::bytes(reply, "load")?;
        if stored.is_empty() {
            return Ok(None);
        }
        let record = layout::decode(*id, stored)?;
        Ok(record.is_live(now).then_some(record))
    }

    async fn update(&self, change: &Change, now: Timestamp) -> Result<UpdateOutcome, StoreError> {
        let record = change.record();
        record.check_payload()?;
        let key = self.inner.prefix.record(change.id());
        let stored = layout::encode(record);
        let subject = record.subject().filter(|_| change.writes_index_entry());
        let written = self
            .write(self.limits(true), |form| {
                let mut script = scripts::UPDATE.call(form.script, &key, stored.len() + ROOM);
                script.arg(change.expected().as_bytes()).arg(&stored);
                script.arg(now.as_millis()).arg(self.margin_millis());
                match subject {
                    Some(subject) => self.with_index_entry(form, subject, record, now, script),
                    None => single(script),
                }
            })
            .await
            .map_err(Failure::of_write)?;

        let reply = match subject {
            None => own_reply(written.replies)?,
            Some(_) => transaction(written.replies, "update").map_err(
                |Aborted { record_reply, error }| {
                    error.unknown_if(written.resent || record_reply == Some(Value::Int(1)))
                },
            )?,
        };
        let code = error::int(reply, "update").map_err(|error| error.unknown_if(written.resent))?;
        let unclear = || StoreError::new(StoreErrorKind::OutcomeUnknown, "update was sent twice");
        match code {
            1 => written.durable.map(|()| UpdateOutcome::Updated),
            0 | 2 if written.resent => Err(unclear()),
            0 => Ok(UpdateOutcome::Missing),
            2 => Ok(UpdateOutcome::Conflict),
            3 => Err(layout::Unreadable::Corrupt.into()),
            4 => Err(layout::Unreadable::UnsupportedFormat.into()),
            _ => Err(error::unexpected("update")),
        }
    }

    async fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<TouchOutcome, StoreError> {
        let key = self.inner.prefix.record(id);
        let written = self
            .write(self.limits(true), |form| {
                let mut script = scripts::TOUCH.call(form.script, &key, ROOM);
                script.arg(&expires_at.as_millis().to_be_bytes());
                script.arg(now.as_millis()).arg(self.margin_millis());
                script.arg(i32::from(form.server.conditional_expire));
                single(script)
            })
            .await
            .map_err(Failure::of_write)?;
        let reply = own_reply(written.replies)?;
        match error::int(reply, "touch").map_err(|error| error.unknown_if(written.resent))? {
            // Somebody may have ended the session after an earlier send had touched it.
            0 if written.resent => {
                Err(StoreError::new(StoreErrorKind::OutcomeUnknown, "touch was sent twice"))
            }
            0 => Ok(TouchOutcome::Missing),
            1 => written.durable.map(|()| TouchOutcome::Touched),
            3 => Err(layout::Unreadable::Corrupt.into()),
            _ => Err(error::unexpected("touch")),
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

    /// None: every key has a time to live, and the server removes what is over.
    fn purger(&self) -> Option<&dyn Purge> {
        None
    }
}

/// Shows no address and no credentials.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.prefix())
            .field("source", &self.inner.source)
            .field("margin", &self.inner.margin)
            .field("deadline", &self.inner.deadline)
            .field("replicas", &self.inner.replicas)
            .finish_non_exhaustive()
    }
}

fn single(command: Cmd) -> Pipeline {
    let mut batch = Pipeline::with_capacity(1);
    batch.add_command(command);
    batch
}

fn own_reply(mut replies: Vec<Value>) -> Result<Value, StoreError> {
    replies.pop().ok_or_else(|| error::unexpected("read the reply"))
}

/// A transaction with an index entry that is not wholly done.
struct Aborted {
    /// What the record's own command answered, if the server came so far.
    record_reply: Option<Value>,
    error: StoreError,
}

/// The reply of the last command of a transaction, if none of it is an error.
fn transaction(mut replies: Vec<Value>, doing: &'static str) -> Result<Value, Aborted> {
    let aborted = |record_reply, error| Aborted { record_reply, error };
    let executed = replies.pop();
    // What was refused when it was queued says why; the rest was then not done either.
    let refused = replies.into_iter().find_map(|reply| error::value(reply, doing).err());
    if let Some(error) = refused {
        return Err(aborted(None, error));
    }
    let executed = executed.ok_or_else(|| aborted(None, error::unexpected(doing)))?;
    let mut items = error::array(executed, doing).map_err(|error| aborted(None, error))?;
    let record_reply = items.pop().ok_or_else(|| aborted(None, error::unexpected(doing)))?;
    match items.into_iter().find_map(|reply| error::value(reply, doing).err()) {
        Some(error) => Err(aborted(Some(record_reply), error)),
        None => Ok(record_reply),
    }
}

fn not_durable(error: StoreError) -> StoreError {
    StoreError::new(StoreErrorKind::NotDurable, "the replicas could not be asked")
        .with_source(error)
}
