//! `session-dynamo` beside the SDK.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ReturnValue,
    ScalarAttributeType,
};
use bytes::Bytes;
use conformance_tests::sample::unique_name;
use conformance_tests::servers::{DynamoOptions, DynamoServer};
use session_core::{BoxError, Codec, SessionId};
use session_dynamo::DynamoStore;

use crate::backend::{Arena, Backend, Contestant, Goal, Op, Server, Standing};
use crate::home::Home;
use crate::options::Settings;
use crate::ours::StoreContestant;
use crate::plain::{Client, Plain};
use crate::race;
use crate::report::Size;

const GOALS: &[Goal] = &[
    Goal { op: Op::Load, ratios: [0.93, 0.93] },
    Goal { op: Op::Create, ratios: [0.90, 0.90] },
    Goal { op: Op::Update, ratios: [0.85, 0.93] },
    Goal { op: Op::Touch, ratios: [0.90, 0.92] },
];

const SCALE_GOAL: f64 = 1.2;
const SIZE_GOAL: f64 = 605.0;

/// DynamoDB Local answers slowly when 64 ask at a time.
const DEADLINE: Duration = Duration::from_secs(30);
const NAME: &str = "dynamo";

pub(crate) struct Dynamo;

#[async_trait]
impl Backend for Dynamo {
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
        let mut place = Place::open(settings)?;
        let contestants: Vec<Box<dyn Contestant>> = vec![
            Box::new(place.raw(settings).await?.contestant),
            Box::new(place.connected(&settings.payloads.json).await?.contestant),
        ];
        Ok(Arena { contestants, server: Box::new(place) })
    }

    async fn sizes(&self, settings: &Settings) -> Result<Vec<Size>, BoxError> {
        let mut place = Place::open(settings)?;
        let mut sizes = Vec::new();
        let raw = place.raw(settings).await?;
        sizes.extend(place.sizes(&raw, "bare value", Op::Create, settings.sized, None).await?);
        for kind in settings.payloads.kinds() {
            let ours = place.connected(kind.payload).await?;
            let goal = (kind.codec == Codec::Json).then_some(SIZE_GOAL);
            let (what, sessions) = (kind.to_string(), settings.sized);
            sizes.extend(place.sizes(&ours, &what, kind.op(), sessions, goal).await?);
        }
        place.close().await?;
        Ok(sizes)
    }
}

/// A contestant, and the tables that are its own: of the records, then of the index.
struct Tenant<C> {
    contestant: C,
    tables: Vec<String>,
}

/// A server, and the tables that are used on it.
struct Place {
    home: Home,
    /// Of the raw driver, and for what is asked besides.
    client: aws_sdk_dynamodb::Client,
    tables: Vec<String>,
}

impl Place {
    fn open(settings: &Settings) -> Result<Self, BoxError> {
        let mut version = String::new();
        let home = Home::open(settings, NAME, || {
            let server = DynamoServer::start(DynamoOptions::new())?;
            server.version().clone_into(&mut version);
            Ok(server)
        })?;
        let home = home.of(format!("DynamoDB Local {version}").trim_end());
        let place = home.url.split_once("://").map_or(&*home.url, |(_, place)| place);
        let address = place.split(['/', '?']).next().unwrap_or_default();
        let credentials = Credentials::new("bench", "bench", None, None, "bench");
        let config = Builder::new()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-west-1"))
            .credentials_provider(credentials)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(format!("http://{address}"))
            .retry_config(RetryConfig::disabled());
        let client = aws_sdk_dynamodb::Client::from_conf(config.build());
        Ok(Self { home, client, tables: Vec::new() })
    }

    fn new_table(&mut self) -> String {
        let name = unique_name();
        self.tables.push(name.clone());
        name
    }

    async fn raw(&mut self, settings: &Settings) -> Result<Tenant<Plain>, BoxError> {
        let table = self.new_table();
        let id = AttributeDefinition::builder()
            .attribute_name("id")
            .attribute_type(ScalarAttributeType::B)
            .build()?;
        let key =
            KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build()?;
        let create = self.client.create_table().table_name(&table);
        let create = create.attribute_definitions(id).key_schema(key);
        create.billing_mode(BillingMode::PayPerRequest).send().await?;
        let (sdk, name) = (self.client.clone(), table.clone());
        let client = move || -> Box<dyn Client> {
            Box::new(Items { client: sdk.clone(), table: name.clone(), ends: 0 })
        };
        let contestant = Plain {
            name: "aws-sdk-dynamodb".into(),
            standing: Standing::Raw,
            client: Box::new(client),
            value: settings.payloads.raw.clone(),
        };
        Ok(Tenant { contestant, tables: vec![table] })
    }

    async fn connected(&mut self, payload: &Bytes) -> Result<Tenant<StoreContestant>, BoxError> {
        let table = self.new_table();
        let store = DynamoStore::builder()
            .table(&table)
            .deadline(DEADLINE)
            .attempt_timeout(DEADLINE)
            .connect_lazily(&self.home.url)?;
        store.create_tables().await?;
        let tables = vec![table, store.subjects_table().to_owned()];
        self.tables.push(tables[1].clone());
        let name = "session-dynamo, connect";
        let contestant = StoreContestant::new(name, Standing::Ours, store, payload)?;
        Ok(Tenant { contestant, tables })
    }

    /// Stores sessions of one kind, and asks how large their items are.
    async fn sizes<C: Contestant>(
        &self,
        tenant: &Tenant<C>,
        what: &str,
        op: Op,
        sessions: usize,
        goal: Option<f64>,
    ) -> Result<Vec<Size>, BoxError> {
        race::store(&tenant.contestant, op, sessions).await?;
        let mut sizes = Vec::new();
        let parts = [("item", goal), ("index entry", None)];
        for (table, (part, goal)) in tenant.tables.iter().zip(parts) {
            let described = self.client.describe_table().table_name(table).send().await?;
            let described = described.table().ok_or("a table is missing")?;
            let counts = described.item_count().zip(described.table_size_bytes());
            let (items, bytes) = counts.ok_or("the server does not tell the size")?;
            if items == 0 {
                continue;
            }
            #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
            let value = bytes as f64 / items as f64;
            let what = format!("{what}, {part}");
            sizes.push(Size::bytes(&tenant.contestant, what, sessions, value, goal));
        }
        Ok(sizes)
    }
}

#[async_trait]
impl Server for Place {
    fn home(&self) -> &Home {
        &self.home
    }

    async fn clean_up(&self) -> Result<(), BoxError> {
        for table in &self.tables {
            self.client.delete_table().table_name(table).send().await?;
        }
        Ok(())
    }
}

/// The raw driver: one request for each call, without conditions.
struct Items {
    client: aws_sdk_dynamodb::Client,
    table: String,
    /// What the next touch writes.
    ends: u64,
}

impl Items {
    async fn put(&mut self, id: &SessionId, value: Bytes) -> Result<(), BoxError> {
        let item = HashMap::from([
            ("id".to_owned(), key(id)),
            ("e".to_owned(), AttributeValue::N(self.ends.to_string())),
            ("d".to_owned(), AttributeValue::B(Blob::new(value))),
        ]);
        self.client.put_item().table_name(&self.table).set_item(Some(item)).send().await?;
        Ok(())
    }
}

fn key(id: &SessionId) -> AttributeValue {
    AttributeValue::B(Blob::new(id.as_bytes().to_vec()))
}

#[async_trait]
impl Client for Items {
    async fn load(&mut self, id: &SessionId) -> Result<bool, BoxError> {
        let get = self.client.get_item().table_name(&self.table).key("id", key(id));
        let answer = get.consistent_read(true).send().await?;
        Ok(black_box(answer).item.is_some())
    }

    async fn create(&mut self, id: &SessionId, value: Bytes) -> Result<(), BoxError> {
        self.put(id, value).await
    }

    async fn update(&mut self, id: &SessionId, value: Bytes) -> Result<(), BoxError> {
        self.put(id, value).await
    }

    async fn touch(&mut self, id: &SessionId) -> Result<bool, BoxError> {
        self.ends += 1;
        let update = self.client.update_item().table_name(&self.table).key("id", key(id));
        let update = update.update_expression("SET e = :e");
        let update = update
            .expression_attribute_values(":e", AttributeValue::N(self.ends.to_string()))
            .return_values(ReturnValue::UpdatedOld);
        Ok(update.send().await?.attributes.is_some())
    }

    async fn delete(&mut self, id: &SessionId) -> Result<bool, BoxError> {
        let delete = self.client.delete_item().table_name(&self.table).key("id", key(id));
        Ok(delete.return_values(ReturnValue::AllOld).send().await?.attributes.is_some())
    }
}
