//! `session-redis` beside redis-rs.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use conformance_tests::servers::{RedisOptions, RedisServer};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, IntoConnectionInfo};
use session_core::{BoxError, Codec, SessionId};
use session_redis::RedisStore;

use crate::backend::{Arena, Backend, Contestant, Goal, Op, Server, Standing};
use crate::home::Home;
use crate::options::Settings;
use crate::ours::StoreContestant;
use crate::plain::{Client, Plain};
use crate::race;
use crate::report::Size;
use crate::rng::Rng;
use crate::sessions::Source;

const GOALS: &[Goal] = &[
    Goal { op: Op::Load, ratios: [0.93, 0.92] },
    Goal { op: Op::Create, ratios: [0.93, 0.87] },
    Goal { op: Op::CreateWithSubject, ratios: [0.85, 0.65] },
    Goal { op: Op::Update, ratios: [0.82, 0.55] },
    Goal { op: Op::Touch, ratios: [0.86, 0.45] },
];

const SCALE_GOAL: f64 = 1.2;
const JSON_GOAL: f64 = 715.0;
const MESSAGE_PACK_GOAL: f64 = 590.0;

/// Connections of the pool that `from_pool` gets.
const POOL_SIZE: usize = 16;
/// An hour of idle time, and the margin that our store adds.
pub(crate) const TTL_MS: u64 = 3_900_000;
/// A server that is this slow is broken.
const PATIENCE: Duration = Duration::from_secs(30);

const NAME: &str = "redis";

pub(crate) struct Redis;

#[async_trait]
impl Backend for Redis {
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
        let contestants: Vec<Box<dyn Contestant>> = vec![
            Box::new(raw(&mut place, settings).await?),
            Box::new(connected(&mut place, &settings.payloads.json).await?),
            Box::new(pooled(&mut place, settings)?),
        ];
        Ok(Arena { contestants, server: Box::new(place) })
    }

    async fn sizes(&self, settings: &Settings) -> Result<Vec<Size>, BoxError> {
        let mut place = Place::open(settings).await?;
        let mut sizes = Vec::new();

        let contestant = raw(&mut place, settings).await?;
        let mut subject = Subject { place: &mut place, settings, sizes: &mut sizes };
        subject.measure(&contestant, "bare value", Op::Create, None).await?;
        for kind in settings.payloads.kinds() {
            let contestant = connected(subject.place, kind.payload).await?;
            let json = kind.codec == Codec::Json;
            let goal = if json { JSON_GOAL } else { MESSAGE_PACK_GOAL };
            subject.measure(&contestant, &kind.to_string(), kind.op(), Some(goal)).await?;
        }
        place.close().await?;
        Ok(sizes)
    }
}

async fn raw(place: &mut Place, settings: &Settings) -> Result<Plain, BoxError> {
    let prefix = place.new_prefix();
    let connection = connect(&place.home.url).await?;
    let client = move || -> Box<dyn Client> {
        Box::new(Keys { connection: connection.clone(), prefix: prefix.clone() })
    };
    Ok(Plain {
        name: "redis-rs, one connection".into(),
        standing: Standing::Raw,
        client: Box::new(client),
        value: settings.payloads.raw.clone(),
    })
}

async fn connected(place: &mut Place, payload: &Bytes) -> Result<StoreContestant, BoxError> {
    let store = RedisStore::builder().prefix(place.new_prefix()).connect(&place.home.url).await?;
    StoreContestant::new("session-redis, connect", Standing::Ours, store, payload)
}

fn pooled(place: &mut Place, settings: &Settings) -> Result<StoreContestant, BoxError> {
    let config = deadpool_redis::Config::from_url(place.home.url.as_str());
    let pool = config.builder()?.max_size(POOL_SIZE).build()?;
    let store = RedisStore::builder().prefix(place.new_prefix()).from_pool(pool)?;
    let name = format!("session-redis, from_pool of {POOL_SIZE}");
    StoreContestant::new(name, Standing::Beside, store, &settings.payloads.json)
}

pub(crate) async fn connect(url: &str) -> Result<MultiplexedConnection, BoxError> {
    let info = url.into_connection_info()?;
    let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let client = redis::Client::open(info)?;
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

/// A server, and the prefixes that are used on it.
struct Place {
    home: Home,
    /// For what is asked besides the measured calls.
    connection: MultiplexedConnection,
    rng: Rng,
    prefixes: Vec<String>,
}

impl Place {
    async fn open(settings: &Settings) -> Result<Self, BoxError> {
        let home = Home::open(settings, NAME, || RedisServer::start(RedisOptions::new()))?;
        let connection = connect(&home.url).await?;
        let rng = Rng::new(Source::new(0)?.now.as_millis());
        let home = home.of(version(&connection).await?);
        Ok(Self { home, connection, rng, prefixes: Vec::new() })
    }

    /// As long as the default prefix of our store, so that keys have the usual length.
    fn new_prefix(&mut self) -> String {
        let prefix = format!("b{:06x}", self.rng.next() & 0x00ff_ffff);
        self.prefixes.push(prefix.clone());
        prefix
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, BoxError> {
        ask(&self.connection, command).await
    }
}

async fn ask<T: FromRedisValue>(on: &MultiplexedConnection, command: &Cmd) -> Result<T, BoxError> {
    Ok(command.query_async(&mut on.clone()).await?)
}

/// Product and version.
pub(crate) async fn version(on: &MultiplexedConnection) -> Result<String, BoxError> {
    let info: String = ask(on, redis::cmd("INFO").arg("server")).await?;
    let field = |name: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(name));
        value.map(|value| value.trim().to_owned())
    };
    let version = field("redis_version:").unwrap_or_else(|| "of unknown version".into());
    Ok(match field("valkey_version:") {
        Some(version) => format!("Valkey {version}"),
        None => format!("Redis {version}"),
    })
}

async fn keys(on: &MultiplexedConnection, prefix: &str) -> Result<Vec<Vec<u8>>, BoxError> {
    let (mut keys, mut cursor) = (Vec::new(), 0_u64);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}:*")).arg("COUNT").arg(1_000);
        let (next, found): (u64, Vec<Vec<u8>>) = ask(on, &scan).await?;
        keys.extend(found);
        if next == 0 {
            // A scan may show a key twice.
            keys.sort_unstable();
            keys.dedup();
            return Ok(keys);
        }
        cursor = next;
    }
}

/// Removes all that has one of these prefixes.
pub(crate) async fn remove(
    on: &MultiplexedConnection,
    prefixes: &[String],
) -> Result<(), BoxError> {
    for prefix in prefixes {
        for keys in keys(on, prefix).await?.chunks(1_000) {
            let _: u64 = ask(on, redis::cmd("UNLINK").arg(keys)).await?;
        }
    }
    Ok(())
}

#[async_trait]
impl Server for Place {
    fn home(&self) -> &Home {
        &self.home
    }

    async fn used_time(&self) -> Result<Option<Duration>, BoxError> {
        let info: String = self.ask(redis::cmd("INFO").arg("cpu")).await?;
        let seconds = |name: &str| -> Option<f64> {
            info.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
        };
        let (user, system) = (seconds("used_cpu_user:"), seconds("used_cpu_sys:"));
        Ok(user.zip(system).map(|(user, system)| Duration::from_secs_f64(user + system)))
    }

    async fn clean_up(&self) -> Result<(), BoxError> {
        remove(&self.connection, &self.prefixes).await
    }
}

/// Where sizes are measured, and what was measured.
struct Subject<'a> {
    place: &'a mut Place,
    settings: &'a Settings,
    sizes: &'a mut Vec<Size>,
}

impl Subject<'_> {
    /// Stores sessions of one kind under the newest prefix, then asks for the size of every key there.
    async fn measure(
        &mut self,
        contestant: &dyn Contestant,
        what: &str,
        op: Op,
        goal: Option<f64>,
    ) -> Result<(), BoxError> {
        let sessions = self.settings.sized;
        race::store(contestant, op, sessions).await?;

        let prefix = self.place.prefixes.last().ok_or("there is no prefix")?;
        let mut bytes_by_type = BTreeMap::<String, u64>::new();
        for key in keys(&self.place.connection, prefix).await? {
            let kind: String = self.place.ask(redis::cmd("TYPE").arg(&key)).await?;
            let usage: u64 = self.place.ask(redis::cmd("MEMORY").arg("USAGE").arg(&key)).await?;
            *bytes_by_type.entry(kind).or_default() += usage;
        }
        for (kind, bytes) in bytes_by_type {
            let is_record = kind == "string";
            let part = if is_record { String::new() } else { ", index entry".into() };
            #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
            let bytes = bytes as f64 / sessions as f64;
            let (what, goal) = (format!("{what}{part}, MEMORY USAGE"), goal.filter(|_| is_record));
            self.sizes.push(Size::bytes(contestant, what, sessions, bytes, goal));
        }
        Ok(())
    }
}

/// The raw driver: one command for each call.
struct Keys {
    connection: MultiplexedConnection,
    prefix: String,
}

impl Keys {
    /// As long as a key of our store.
    fn key(&self, id: &SessionId) -> Vec<u8> {
        [self.prefix.as_bytes(), b":s:", id.as_bytes()].concat()
    }

    async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, BoxError> {
        Ok(command.query_async(&mut self.connection).await?)
    }

    async fn set(&mut self, id: &SessionId, value: &[u8]) -> Result<(), BoxError> {
        let mut set = redis::cmd("SET");
        set.arg(self.key(id)).arg(value).arg("PX").arg(TTL_MS);
        self.ask(&set).await
    }
}

#[async_trait]
impl Client for Keys {
    async fn load(&mut self, id: &SessionId) -> Result<bool, BoxError> {
        let key = self.key(id);
        let value: Option<Vec<u8>> = self.ask(redis::cmd("GET").arg(key)).await?;
        Ok(black_box(value).is_some())
    }

    async fn create(&mut self, id: &SessionId, value: Bytes) -> Result<(), BoxError> {
        self.set(id, &value).await
    }

    async fn update(&mut self, id: &SessionId, value: Bytes) -> Result<(), BoxError> {
        self.set(id, &value).await
    }

    async fn touch(&mut self, id: &SessionId) -> Result<bool, BoxError> {
        let key = self.key(id);
        self.ask(redis::cmd("PEXPIRE").arg(key).arg(TTL_MS)).await
    }

    async fn delete(&mut self, id: &SessionId) -> Result<bool, BoxError> {
        let key = self.key(id);
        self.ask(redis::cmd("DEL").arg(key)).await
    }
}
