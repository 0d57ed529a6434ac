//! `session-mongo` beside the driver `mongodb`.

use std::hint::black_box;

use async_trait::async_trait;
use bytes::Bytes;
use conformance_tests::sample::unique_name;
use conformance_tests::servers::{MongoOptions, MongoServer};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, RawDocumentBuf, doc, rawdoc};
use mongodb::options::{Acknowledgment, ClientOptions, WriteConcern};
use mongodb::{Collection, Database};
use serde_json::json;
use session_core::{BoxError, Codec, SessionId};
use session_mongo::MongoStore;

use crate::backend::{Arena, Backend, Contestant, Goal, Op, Server, Standing};
use crate::home::Home;
use crate::options::Settings;
use crate::ours::StoreContestant;
use crate::plain::{Client, Plain};
use crate::race;
use crate::report::Size;

const GOALS: &[Goal] = &[
    Goal { op: Op::Load, ratios: [0.97, 0.94] },
    Goal { op: Op::Create, ratios: [0.97, 0.90] },
    Goal { op: Op::CreateWithSubject, ratios: [0.97, 0.90] },
    Goal { op: Op::Update, ratios: [0.88, 0.85] },
    Goal { op: Op::Touch, ratios: [0.93, 0.88] },
];

const SCALE_GOAL: f64 = 1.2;
const SIZE_GOAL: f64 = 640.0;

/// It holds all sessions of the large store, as that of a server in use would: the 256 MB that the tests give a
/// server do not.
const CACHE: &str = "cache_size=3GB";
/// Connections of each contestant.
const CONNECTIONS: u32 = 32;
const NAME: &str = "mongo";
/// Where a given URL names none.
const DATABASE: &str = "session-bench";

pub(crate) struct Mongo;

#[async_trait]
impl Backend for Mongo {
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
            Box::new(place.raw(settings).contestant),
            Box::new(place.connected(&settings.payloads.json).await?.contestant),
        ];
        Ok(Arena { contestants, server: Box::new(place) })
    }

    async fn sizes(&self, settings: &Settings) -> Result<Vec<Size>, BoxError> {
        let mut place = Place::open(settings).await?;
        let mut sizes = Vec::new();
        let raw = place.raw(settings);
        sizes.push(place.size(&raw, "bare value", Op::Create, settings.sized, None).await?);
        for kind in settings.payloads.kinds() {
            let ours = place.connected(kind.payload).await?;
            let goal = (kind.codec == Codec::Json).then_some(SIZE_GOAL);
            let (what, sessions) = (kind.to_string(), settings.sized);
            sizes.push(place.size(&ours, &what, kind.op(), sessions, goal).await?);
        }
        place.close().await?;
        Ok(sizes)
    }
}

/// A contestant, and the collection that is its own.
struct Tenant<C> {
    contestant: C,
    collection: String,
}

/// A server, and the collections that are used on it.
struct Place {
    home: Home,
    /// Of the raw driver, and for what is asked besides.
    database: Database,
    collections: Vec<String>,
}

impl Place {
    async fn open(settings: &Settings) -> Result<Self, BoxError> {
        let home = Home::open(settings, NAME, || {
            let server = MongoServer::start(MongoOptions::new())?;
            let cache = ("wiredTigerEngineRuntimeConfig", json!(CACHE));
            server.command("admin", &[("setParameter", json!(1)), cache])?;
            Ok(server)
        })?;
        let mut options = ClientOptions::parse(&home.url).await?;
        options.max_pool_size = Some(CONNECTIONS);
        // What a store of sessions cannot do without, so that both wait for the same.
        let safe = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
        options.write_concern = Some(safe);
        let name = options.default_database.clone().unwrap_or_else(|| DATABASE.into());
        let database = mongodb::Client::with_options(options)?.database(&name);
        let info = database.run_command(doc! { "buildInfo": 1 }).await?;
        let home = home.of(format!("MongoDB {}", info.get_str("version")?));
        Ok(Self { home, database, collections: Vec::new() })
    }

    fn new_collection(&mut self) -> String {
        let name = unique_name();
        self.collections.push(name.clone());
        name
    }

    fn raw(&mut self, settings: &Settings) -> Tenant<Plain> {
        let collection = self.new_collection();
        let documents = self.database.collection(&collection);
        let client = move || -> Box<dyn Client> {
            Box::new(Documents { documents: documents.clone(), ends: 0 })
        };
        let contestant = Plain {
            name: format!("mongodb, pool of {CONNECTIONS}"),
            standing: Standing::Raw,
            client: Box::new(client),
            value: settings.payloads.raw.clone(),
        };
        Tenant { contestant, collection }
    }

    async fn connected(&mut self, payload: &Bytes) -> Result<Tenant<StoreContestant>, BoxError> {
        let collection = self.new_collection();
        let builder = MongoStore::builder().database(self.database.name()).collection(&collection);
        let store = builder.connections(CONNECTIONS).connect(&self.home.url).await?;
        store.ensure_indexes().await?;
        let name = "session-mongo, connect";
        let contestant = StoreContestant::new(name, Standing::Ours, store, payload)?;
        Ok(Tenant { contestant, collection })
    }

    /// Stores sessions of one kind, and asks how long their documents are.
    async fn size<C: Contestant>(
        &self,
        tenant: &Tenant<C>,
        what: &str,
        op: Op,
        sessions: usize,
        goal: Option<f64>,
    ) -> Result<Size, BoxError> {
        race::store(&tenant.contestant, op, sessions).await?;
        let statistics = doc! { "collStats": &tenant.collection };
        let statistics = self.database.run_command(statistics).await?;
        let size = statistics.get("avgObjSize").ok_or("the server does not tell the size")?;
        let value = match size {
            Bson::Int32(size) => f64::from(*size),
            Bson::Double(size) => *size,
            other => return Err(format!("the size is {other}").into()),
        };
        let what = format!("{what}, document");
        Ok(Size::bytes(&tenant.contestant, what, sessions, value, goal))
    }
}

#[async_trait]
impl Server for Place {
    fn home(&self) -> &Home {
        &self.home
    }

    async fn clean_up(&self) -> Result<(), BoxError> {
        for collection in &self.collections {
            self.database.collection::<Document>(collection).drop().await?;
        }
        Ok(())
    }
}

/// The raw driver: one command for each call.
struct Documents {
    documents: Collection<RawDocumentBuf>,
    /// What the next write sets as the end: it does not matter what, but that it changes, since the server makes no
    /// write that changes nothing.
    ends: i64,
}

impl Documents {
    fn set(&mut self, mut fields: Document) -> Document {
        self.ends += 1;
        fields.insert("e", self.ends);
        doc! { "$set": fields }
    }
}

fn by_id(id: &SessionId) -> Document {
    doc! { "_id": binary(id.as_bytes().to_vec()) }
}

fn binary(bytes: Vec<u8>) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes }
}

#[async_trait]
impl Client for Documents {
    async fn load(&mut self, id: &SessionId) -> Result<bool, BoxError> {
        let document = self.documents.find_one(by_id(id)).await?;
        Ok(black_box(document).is_some())
    }

    async fn create(&mut self, id: &SessionId, value: Bytes) -> Result<(), BoxError> {
        let (id, value) = (binary(id.as_bytes().to_vec()), binary(value.to_vec()));
        let document = rawdoc! { "_id": id, "e": self.ends, "d": value };
        self.documents.insert_one(document).await?;
        Ok(())
    }

    async fn update(&mut self, id: &SessionId, value: Bytes) -> Result<(), BoxError> {
        let set = self.set(doc! { "d": binary(value.to_vec()) });
        let done = self.documents.update_one(by_id(id), set).await?;
        if done.matched_count == 1 { Ok(()) } else { Err("a value is missing".into()) }
    }

    async fn touch(&mut self, id: &SessionId) -> Result<bool, BoxError> {
        let set = self.set(Document::new());
        Ok(self.documents.update_one(by_id(id), set).await?.matched_count == 1)
    }

    async fn delete(&mut self, id: &SessionId) -> Result<bool, BoxError> {
        Ok(self.documents.delete_one(by_id(id)).await?.deleted_count == 1)
    }
}
