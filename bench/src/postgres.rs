//! `session-postgres` beside sqlx.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use conformance_tests::sample::unique_name;
use conformance_tests::servers::{PostgresOptions, PostgresServer};
use session_core::{BoxError, Codec, SessionId};
use session_postgres::{PostgresStore, PostgresStoreBuilder};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Row as _};
use tokio::time::sleep;

use crate::backend::{Arena, Backend, Contestant, Goal, Op, Server, Standing};
use crate::home::Home;
use crate::options::Settings;
use crate::ours::StoreContestant;
use crate::plain::{Client, Plain};
use crate::race;
use crate::report::{Bound, Size, Unit};
use crate::sessions::Population;

const GOALS: &[Goal] = &[
    Goal { op: Op::Load, ratios: [0.93, 0.93] },
    Goal { op: Op::Create, ratios: [0.85, 0.90] },
    Goal { op: Op::CreateWithSubject, ratios: [0.85, 0.90] },
    Goal { op: Op::Update, ratios: [0.90, 0.90] },
    Goal { op: Op::Touch, ratios: [0.93, 0.95] },
];

const SCALE_GOAL: f64 = 1.2;
const ANONYMOUS_GOAL: f64 = 750.0;
const WITH_SUBJECT_GOAL: f64 = 840.0;
const TOUCH_LOG_GOAL: f64 = 200.0;
const TOUCH_HOT_GOAL: f64 = 0.99;

/// Connections of each contestant.
const CONNECTIONS: u32 = 16;
/// Tasks that write while the log is measured.
const WRITERS: usize = 64;
/// A server reports what its connections did when they have been idle for a second.
const STATISTICS: Duration = Duration::from_secs(20);

const NAME: &str = "postgres";

/// What is written then is measured, not the work of a checkpoint or of a vacuum that happens to run. The buffers
/// hold all sessions of the large store, as those of a server in use would: 128 MB, the default, do not.
const SETTINGS: &[(&str, &str)] = &[
    ("autovacuum", "off"),
    ("checkpoint_timeout", "'1h'"),
    ("max_wal_size", "'16GB'"),
    ("shared_buffers", "'2GB'"),
];

pub(crate) struct Postgres;

#[async_trait]
impl Backend for Postgres {
    fn name(&self) -> &'static str {
        NAME
    }

    fn goals(&self) -> &'static [Goal] {
        GOALS
    }

    fn scale_goal(&self) -> Option<f64> {
        Some(SCALE_GOAL)
    }

    async fn open(&self, settings: &Settings) -> Result<Arena, BoxError> {
        let mut place = Place::open(settings).await?;
        let json = &settings.payloads.json;
        let contestants: Vec<Box<dyn Contestant>> = vec![
            Box::new(place.raw(settings).await?.contestant),
            Box::new(place.connected(json).await?.contestant),
            Box::new(place.pooled(json).await?.contestant),
        ];
        Ok(Arena { contestants, server: Box::new(place) })
    }

    async fn sizes(&self, settings: &Settings) -> Result<Vec<Size>, BoxError> {
        let mut place = Place::open(settings).await?;
        let mut sizes = Vec::new();
        // So many that pages of 8,192 bytes do not count, and that few writes meet on one.
        let sessions = settings.population;
        let raw = place.raw(settings).await?;
        sizes.push(place.size(&raw, "bare value", Op::Create, sessions, None).await?);
        for kind in settings.payloads.kinds() {
            let ours = place.connected(kind.payload).await?;
            let goal = if kind.with_subject { WITH_SUBJECT_GOAL } else { ANONYMOUS_GOAL };
            let goal = (kind.codec == Codec::Json).then_some(goal);
            sizes.push(place.size(&ours, &kind.to_string(), kind.op(), sessions, goal).await?);
        }
        sizes.extend(place.writes(settings, sessions).await?);
        place.close().await?;
        Ok(sizes)
    }
}

/// A contestant, and the table that is its own, with its schema.
struct Tenant<C> {
    contestant: C,
    table: String,
}

/// A server, and a schema on it.
struct Place {
    home: Home,
    /// For what is asked besides the measured calls.
    pool: PgPool,
    schema: String,
    tables: usize,
}

impl Place {
    async fn open(settings: &Settings) -> Result<Self, BoxError> {
        let options = SETTINGS
            .iter()
            .fold(PostgresOptions::new(), |it, (name, value)| it.config(name, value));
        let home = Home::open(settings, NAME, || PostgresServer::start(options))?;
        let schema = unique_name();
        let pool = pool(home.url.parse()?).await?;
        let version: String = sqlx::query("SHOW server_version").fetch_one(&pool).await?.get(0);
        let home = home.of(format!("PostgreSQL {version}"));
        let place = Self { home, pool, schema, tables: 0 };
        place.run(format!("CREATE SCHEMA {}", place.schema)).await?;
        Ok(place)
    }

    async fn run(&self, statement: String) -> Result<(), BoxError> {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&self.pool).await?;
        Ok(())
    }

    fn new_table(&mut self) -> String {
        self.tables += 1;
        format!("t{}", self.tables)
    }

    fn full_name(&self, table: &str) -> String {
        format!("{}.{table}", self.schema)
    }

    /// The least that a table of sessions is: a value by a key, and when it ends.
    async fn raw(&mut self, settings: &Settings) -> Result<Tenant<Plain>, BoxError> {
        let table = self.new_table();
        let table = self.full_name(&table);
        self.run(format!(
            "CREATE TABLE {table} (id bytea PRIMARY KEY, expires_at bigint NOT NULL, payload bytea NOT NULL) \
             WITH (fillfactor = 90)"
        ))
        .await?;
        let (pool, statements) = (pool(self.home.url.parse()?).await?, Statements::of(&table));
        let client = move || -> Box<dyn Client> {
            Box::new(Rows { pool: pool.clone(), statements: statements.clone(), ends: 0 })
        };
        let contestant = Plain {
            name: format!("sqlx, pool of {CONNECTIONS}"),
            standing: Standing::Raw,
            client: Box::new(client),
            value: settings.payloads.raw.clone(),
        };
        Ok(Tenant { contestant, table })
    }

    async fn connected(&mut self, payload: &Bytes) -> Result<Tenant<StoreContestant>, BoxError> {
        let (table, builder) = self.builder();
        let store = builder.connections(CONNECTIONS).connect(&self.home.url).await?;
        store.migrate().await?;
        let name = "session-postgres, connect";
        let contestant = StoreContestant::new(name, Standing::Ours, store, payload)?;
        Ok(Tenant { contestant, table })
    }

    async fn pooled(&mut self, payload: &Bytes) -> Result<Tenant<StoreContestant>, BoxError> {
        let (table, builder) = self.builder();
        let store = builder.from_pool(pool(self.home.url.parse()?).await?)?;
        store.migrate().await?;
        let name = "session-postgres, from_pool";
        let contestant = StoreContestant::new(name, Standing::Beside, store, payload)?;
        Ok(Tenant { contestant, table })
    }

    /// On a new table, whose full name comes first.
    fn builder(&mut self) -> (String, PostgresStoreBuilder) {
        let table = self.new_table();
        let builder = PostgresStore::builder().schema(self.schema.as_str()).table(table.as_str());
        (self.full_name(&table), builder)
    }

    /// Stores sessions of one kind, and asks what the table has become with its indexes.
    async fn size<C: Contestant>(
        &self,
        tenant: &Tenant<C>,
        what: &str,
        op: Op,
        sessions: usize,
        goal: Option<f64>,
    ) -> Result<Size, BoxError> {
        race::store(&tenant.contestant, op, sessions).await?;
        let bytes: i64 = sqlx::query("SELECT pg_total_relation_size($1::regclass)")
            .bind(&tenant.table)
            .fetch_one(&self.pool)
            .await?
            .get(0);
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        let value = bytes as f64 / sessions as f64;
        let what = format!("{what}, table and indexes");
        Ok(Size::bytes(&tenant.contestant, what, sessions, value, goal))
    }

    /// What a touch and an update write to the log, and how many of them stay out of the indexes. Nothing where
    /// others may use the server.
    async fn writes(
        &mut self,
        settings: &Settings,
        sessions: usize,
    ) -> Result<Vec<Size>, BoxError> {
        if !self.home.is_private() {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for op in [Op::Touch, Op::Update] {
            let raw = self.raw(settings).await?;
            all.push(self.write(raw, op, sessions).await?);
            let ours = self.connected(&settings.payloads.json).await?;
            all.push(self.write(ours, op, sessions).await?);
        }
        let (mut logs, mut shares) = (Vec::new(), Vec::new());
        // By now their connections are closed, and the server has counted what they did.
        for Written { op, log, table, updates } in all {
            let value = self.hot(&table, updates).await?;
            shares.push(Size {
                contestant: log.contestant.clone(),
                what: format!("{op}, share that is HOT"),
                sessions,
                unit: Unit::Share,
                value,
                goal: log.goal.map(|_| Bound::at_least(TOUCH_HOT_GOAL, value)),
            });
            logs.push(log);
        }
        logs.append(&mut shares);
        Ok(logs)
    }

    /// Writes twice to each session on average; the second time the log is looked at. The first time that a page is
    /// written after a checkpoint, all of it goes into the log.
    async fn write<C: Contestant>(
        &self,
        Tenant { contestant, table }: Tenant<C>,
        op: Op,
        sessions: usize,
    ) -> Result<Written, BoxError> {
        let mut population = Population::new(sessions, 1)?;
        race::fill(&contestant, &mut population).await?;
        let each = sessions.div_ceil(WRITERS);
        let writes = (each * WRITERS) as u64;
        let mut begun = 0;
        for _ in 0..2 {
            let works = (0..WRITERS).map(|task| population.work(op, (task, WRITERS), each));
            let works = works.collect::<Result<Vec<_>, _>>()?;
            let batches = works.iter().map(|it| contestant.prepare(op, it)).collect();
            begun = self.log().await?;
            race::run_all(batches).await?;
        }
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        let log = (self.log().await? - begun) as f64 / writes as f64;
        let is_goal = contestant.standing() == Standing::Ours && op == Op::Touch;
        let (what, goal) = (format!("{op}, write-ahead log"), is_goal.then_some(TOUCH_LOG_GOAL));
        let log = Size::bytes(&contestant, what, sessions, log, goal);
        Ok(Written { op, log, table, updates: 2 * writes })
    }

    /// Bytes that were ever written to the log.
    async fn log(&self) -> Result<u64, BoxError> {
        let position = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
        let row = sqlx::query(position).fetch_one(&self.pool).await?;
        Ok(row.get::<i64, _>(0).unsigned_abs())
    }

    /// The share of the updates of a table that wrote to no index ("heap-only tuples"), once all of them are counted.
    async fn hot(&self, table: &str, updates: u64) -> Result<f64, BoxError> {
        let begun = Instant::now();
        loop {
            let row = sqlx::query(
                "SELECT n_tup_upd, n_tup_hot_upd::float8 / nullif(n_tup_upd, 0) FROM pg_stat_user_tables \
                 WHERE relid = $1::regclass",
            )
            .bind(table)
            .fetch_one(&self.pool)
            .await?;
            let counted = row.get::<i64, _>(0).unsigned_abs();
            if counted >= updates {
                return Ok(row.get::<Option<f64>, _>(1).unwrap_or_default());
            }
            if begun.elapsed() > STATISTICS {
                return Err(
                    format!("{counted} of {updates} updates of {table} were counted").into()
                );
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What somebody wrote to a table of their own.
struct Written {
    op: Op,
    log: Size,
    table: String,
    updates: u64,
}

#[async_trait]
impl Server for Place {
    fn home(&self) -> &Home {
        &self.home
    }

    async fn clean_up(&self) -> Result<(), BoxError> {
        self.run(format!("DROP SCHEMA {} CASCADE", self.schema)).await
    }
}

/// Does not ask a connection how it is each time that it is taken.
async fn pool(options: PgConnectOptions) -> Result<PgPool, BoxError> {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
    Ok(pool.connect_with(options).await?)
}

/// What the raw driver runs.
#[derive(Clone)]
struct Statements {
    load: Arc<str>,
    create: Arc<str>,
    update: Arc<str>,
    touch: Arc<str>,
    delete: Arc<str>,
}

impl Statements {
    fn of(table: &str) -> Self {
        Self {
            load: format!("SELECT payload FROM {table} WHERE id = $1").into(),
            create: format!("INSERT INTO {table} (id, expires_at, payload) VALUES ($1, $2, $3)")
                .into(),
            update: format!("UPDATE {table} SET payload = $2 WHERE id = $1").into(),
            touch: format!("UPDATE {table} SET expires_at = $2 WHERE id = $1").into(),
            delete: format!("DELETE FROM {table} WHERE id = $1").into(),
        }
    }
}

/// The raw driver: one statement for each call, prepared once on each connection.
struct Rows {
    pool: PgPool,
    statements: Statements,
    /// What the next touch writes: it does not matter what, but that it changes.
    ends: i64,
}

impl Rows {
    async fn execute(
        &self,
        query: Query<'_, sqlx::Postgres, PgArguments>,
    ) -> Result<bool, BoxError> {
        Ok(query.execute(&self.pool).await?.rows_affected() == 1)
    }
}

fn query<'q>(statement: &Arc<str>, id: &SessionId) -> Query<'q, sqlx::Postgres, PgArguments> {
    sqlx::query(AssertSqlSafe(Arc::clone(statement))).bind(id.as_bytes().to_vec())
}

#[async_trait]
impl Client for Rows {
    async fn load(&mut self, id: &SessionId) -> Result<bool, BoxError> {
        let row = query(&self.statements.load, id).fetch_optional(&self.pool).await?;
        let value: Option<Vec<u8>> = row.map(|row| row.try_get(0)).transpose()?;
        Ok(black_box(value).is_some())
    }

    async fn create(&mut self, id: &SessionId, value: Bytes) -> Result<(), BoxError> {
        let insert = query(&self.statements.create, id).bind(self.ends).bind(&value[..]);
        self.execute(insert).await.map(drop)
    }

    async fn update(&mut self, id: &SessionId, value: Bytes) -> Result<(), BoxError> {
        let done = self.execute(query(&self.statements.update, id).bind(&value[..])).await?;
        if done { Ok(()) } else { Err("a value is missing".into()) }
    }

    async fn touch(&mut self, id: &SessionId) -> Result<bool, BoxError> {
        self.ends += 1;
        self.execute(query(&self.statements.touch, id).bind(self.ends)).await
    }

    async fn delete(&mut self, id: &SessionId) -> Result<bool, BoxError> {
        self.execute(query(&self.statements.delete, id)).await
    }
}
