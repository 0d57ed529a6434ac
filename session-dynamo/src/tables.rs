//! The tables: their definition, and making them.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TableDescription, TableStatus, TimeToLiveDescription, TimeToLiveSpecification,
    TimeToLiveStatus,
};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use session_core::{StoreError, StoreErrorKind};

use crate::layout;
use crate::names::Names;
use crate::send::{Failure, Limits, send};
use crate::store::DynamoStore;

/// How a table is made, for people who make it themselves. Made by
/// [`DynamoStoreBuilder::table_definitions`](crate::DynamoStoreBuilder::table_definitions).
///
/// Both texts are JSON as the command line of AWS reads it:
///
/// ```text
/// aws dynamodb create-table --cli-input-json file://sessions.json
/// aws dynamodb update-time-to-live --cli-input-json file://sessions-ttl.json
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableDefinition {
    /// The name of the table.
    pub name: String,
    /// The input of `create-table`.
    pub create_table: String,
    /// The input of `update-time-to-live`, once the table is active.
    pub update_time_to_live: String,
}

/// The two tables of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Sessions,
    Subjects,
}

pub(crate) const TABLES: [Table; 2] = [Table::Sessions, Table::Subjects];

impl Table {
    pub(crate) fn name(self, names: &Names) -> &str {
        match self {
            Self::Sessions => &names.sessions,
            Self::Subjects => &names.subjects,
        }
    }

    /// The published definition, with these names in it.
    fn definition(self, names: &Names) -> Definition {
        let (table, ttl) = match self {
            Self::Sessions => (
                include_str!("../tables/sessions.json"),
                include_str!("../tables/sessions-ttl.json"),
            ),
            Self::Subjects => (
                include_str!("../tables/sessions-subjects.json"),
                include_str!("../tables/sessions-subjects-ttl.json"),
            ),
        };
        let file = "a file of this crate, which a test reads";
        let mut table: CreateTable = serde_json::from_str(table).expect(file);
        let mut ttl: UpdateTimeToLive = serde_json::from_str(ttl).expect(file);
        self.name(names).clone_into(&mut table.table_name);
        self.name(names).clone_into(&mut ttl.table_name);
        ttl.time_to_live_specification.attribute_name.clone_from(&names.ttl);
        for attribute in &mut table.attribute_definitions {
            if attribute.attribute_name == Names::DEFAULT_ID {
                attribute.attribute_name.clone_from(&names.id);
                names.id_type().as_str().clone_into(&mut attribute.attribute_type);
            }
        }
        for key in &mut table.key_schema {
            if key.attribute_name == Names::DEFAULT_ID {
                key.attribute_name.clone_from(&names.id);
            }
        }
        Definition { table, ttl }
    }

    /// The key that the table must have: names and types, the hash key first.
    pub(crate) fn key(self, names: &Names) -> Vec<(String, ScalarAttributeType)> {
        let id = (names.id.clone(), names.id_type());
        match self {
            Self::Sessions => vec![id],
            Self::Subjects => vec![(layout::SUBJECT.to_owned(), ScalarAttributeType::B), id],
        }
    }

    /// The values of a key of this table that no item has.
    pub(crate) fn no_key(self, names: &Names) -> layout::Item {
        let id = (names.id.clone(), names.no_id());
        match self {
            Self::Sessions => [id].into(),
            Self::Subjects => [(layout::SUBJECT.to_owned(), layout::binary(&[0])), id].into(),
        }
    }
}

/// Both parts of a definition.
struct Definition {
    table: CreateTable,
    ttl: UpdateTimeToLive,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct CreateTable {
    table_name: String,
    attribute_definitions: Vec<Attribute>,
    key_schema: Vec<Key>,
    billing_mode: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Attribute {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Key {
    attribute_name: String,
    key_type: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct UpdateTimeToLive {
    table_name: String,
    time_to_live_specification: Ttl,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Ttl {
    enabled: bool,
    attribute_name: String,
}

impl CreateTable {
    fn attributes(&self) -> Result<Vec<AttributeDefinition>, BuildError> {
        let attribute = |it: &Attribute| {
            AttributeDefinition::builder()
                .attribute_name(&it.attribute_name)
                .attribute_type(it.attribute_type.as_str().into())
                .build()
        };
        self.attribute_definitions.iter().map(attribute).collect()
    }

    fn keys(&self) -> Result<Vec<KeySchemaElement>, BuildError> {
        let key = |it: &Key| {
            KeySchemaElement::builder()
                .attribute_name(&it.attribute_name)
                .key_type(it.key_type.as_str().into())
                .build()
        };
        self.key_schema.iter().map(key).collect()
    }
}

/// The definitions of both tables as texts.
pub(crate) fn definitions(names: &Names) -> [TableDefinition; 2] {
    TABLES.map(|table| {
        let Definition { table, ttl } = table.definition(names);
        TableDefinition {
            create_table: text(&table),
            update_time_to_live: text(&ttl),
            name: table.table_name,
        }
    })
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("strings and booleans can be written")
}

/// The key of a table as the service describes it: names and types, the hash key first.
pub(crate) fn key_of(table: &TableDescription) -> Vec<(String, ScalarAttributeType)> {
    let mut keys: Vec<_> = table.key_schema().iter().collect();
    keys.sort_by_key(|key| *key.key_type() != KeyType::Hash);
    let typed = |key: &KeySchemaElement| {
        let name = key.attribute_name();
        let found = table.attribute_definitions().iter().find(|it| it.attribute_name() == name)?;
        Some((name.to_owned(), found.attribute_type().clone()))
    };
    keys.into_iter().filter_map(typed).collect()
}

/// Whether items can be read and written.
pub(crate) fn is_usable(table: &TableDescription) -> bool {
    matches!(table.table_status(), Some(TableStatus::Active | TableStatus::Updating))
}

/// Whether expiry is on, or will be soon.
pub(crate) fn is_on(ttl: &TimeToLiveDescription) -> bool {
    matches!(
        ttl.time_to_live_status(),
        Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
    )
}

impl DynamoStore {
    /// Makes both tables where they are missing: billed on demand, with expiry switched on. Waits until they
    /// can be used.
    ///
    /// Tables that are there are left as they are, except that expiry is switched on. Many processes may call
    /// it at the same time, as often as they like. Needs the privileges of the second policy in the README, and
    /// ends within the [deadline for walks](crate::DynamoStoreBuilder::walk_deadline); DynamoDB takes some ten
    /// seconds for a new table.
    ///
    /// # Errors
    ///
    /// `Config` when a table is there and has another key, or expires by another attribute; `Denied` without
    /// the privileges; `Unavailable` and others when DynamoDB cannot do it now.
    pub async fn create_tables(&self) -> Result<(), StoreError> {
        let limits = self.walk_limits();
        try_join_all(TABLES.map(|table| self.create_table(table, limits))).await.map(drop)
    }

    async fn create_table(&self, table: Table, limits: Limits) -> Result<(), StoreError> {
        let names = &self.inner.names;
        let mut rounds = 0;
        let described = loop {
            match self.describe(table, limits).await? {
                None if rounds == 0 => self.request_table(table, limits).await?,
                Some(described) if is_usable(&described) => break described,
                // Made a moment ago, and not yet known everywhere.
                _ => {}
            }
            rounds += 1;
            limits.pause(rounds).await.map_err(|()| not_ready(table, names))?;
        };
        if key_of(&described) != table.key(names) {
            return Err(config(format!("the table {} has another key", table.name(names))));
        }
        self.switch_expiry_on(table, limits).await
    }

    async fn request_table(&self, table: Table, limits: Limits) -> Result<(), StoreError> {
        let Definition { table, .. } = table.definition(&self.inner.names);
        let unusable = |_| config("the definition of a table".to_owned());
        let attributes = table.attributes().map_err(unusable)?;
        let keys = table.keys().map_err(unusable)?;
        let created = send(limits, "create a table", || async {
            let create = self
                .inner
                .client
                .create_table()
                .table_name(&table.table_name)
                .set_attribute_definitions(Some(attributes.clone()))
                .set_key_schema(Some(keys.clone()))
                .billing_mode(BillingMode::from(table.billing_mode.as_str()));
            // Somebody else makes it.
            unless(create.send().await, "ResourceInUseException")
        });
        created.await.map(drop).map_err(Failure::harmless)
    }

    async fn switch_expiry_on(&self, table: Table, limits: Limits) -> Result<(), StoreError> {
        let names = &self.inner.names;
        let Definition { ttl, .. } = table.definition(names);
        let specification = TimeToLiveSpecification::builder()
            .enabled(ttl.time_to_live_specification.enabled)
            .attribute_name(&names.ttl)
            .build()
            .map_err(|_| config("the definition of the expiry".to_owned()))?;
        let mut rounds = 0;
        loop {
            let described = self.describe_ttl(table, limits).await?;
            if let Some(described) = described.filter(is_on) {
                if described.attribute_name() == Some(names.ttl.as_str()) {
                    return Ok(());
                }
                let name = table.name(names);
                return Err(config(format!("the table {name} expires by another attribute")));
            }
            let updated = send(limits, "switch expiry on", || async {
                let update = self
                    .inner
                    .client
                    .update_time_to_live()
                    .table_name(table.name(names))
                    .time_to_live_specification(specification.clone());
                // Somebody else did it a moment ago; seen in the next round.
                unless(update.send().await, "ValidationException")
            });
            if updated.await.map_err(Failure::harmless)?.value.is_none() {
                rounds += 1;
                limits.pause(rounds).await.map_err(|()| not_ready(table, names))?;
            }
        }
    }

    /// What the service says of a table; `None` for one that is not there.
    pub(crate) async fn describe(
        &self,
        table: Table,
        limits: Limits,
    ) -> Result<Option<TableDescription>, StoreError> {
        let name = table.name(&self.inner.names);
        let described = send(limits, "describe a table", || async {
            let describe = self.inner.client.describe_table().table_name(name);
            unless(describe.send().await, "ResourceNotFoundException")
        });
        let output = described.await.map_err(Failure::harmless)?.value;
        Ok(output.and_then(|output| output.table))
    }

    /// What the service says of the expiry of a table.
    pub(crate) async fn describe_ttl(
        &self,
        table: Table,
        limits: Limits,
    ) -> Result<Option<TimeToLiveDescription>, StoreError> {
        let name = table.name(&self.inner.names);
        let described = send(limits, "describe an expiry", || async {
            let describe = self.inner.client.describe_time_to_live().table_name(name);
            unless(describe.send().await, "ResourceNotFoundException")
        });
        let output = described.await.map_err(Failure::harmless)?.value;
        Ok(output.and_then(|output| output.time_to_live_description))
    }
}

/// The answer; `None` for the error with this code.
#[allow(clippy::result_large_err, reason = "the driver's own error, passed on")]
pub(crate) fn unless<T, E: ProvideErrorMetadata>(
    result: Result<T, SdkError<E, HttpResponse>>,
    code: &str,
) -> Result<Option<T>, SdkError<E, HttpResponse>> {
    match result {
        Ok(output) => Ok(Some(output)),
        Err(SdkError::ServiceError(reply)) if reply.err().code() == Some(code) => Ok(None),
        Err(error) => Err(error),
    }
}

fn config(what: String) -> StoreError {
    StoreError::new(StoreErrorKind::Config, what)
}

fn not_ready(table: Table, names: &Names) -> StoreError {
    let name = table.name(names);
    StoreError::new(StoreErrorKind::Unavailable, format!("the table {name} is not ready yet"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::IdForm;
    use crate::names::tests::names;

    #[test]
    fn the_published_files_are_the_definitions_with_the_default_names() {
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let [sessions, subjects] = definitions(&names());
        for (printed, published) in [
            (&sessions.create_table, include_str!("../tables/sessions.json")),
            (&sessions.update_time_to_live, include_str!("../tables/sessions-ttl.json")),
            (&subjects.create_table, include_str!("../tables/sessions-subjects.json")),
            (&subjects.update_time_to_live, include_str!("../tables/sessions-subjects-ttl.json")),
        ] {
            assert_eq!(value(printed), value(published));
        }
        assert_eq!(
            (sessions.name.as_str(), subjects.name.as_str()),
            ("sessions", "sessions-subjects")
        );
    }

    #[test]
    fn every_configured_name_is_in_the_definitions() {
        let names = Names {
            sessions: "arc".into(),
            subjects: "arc-users".into(),
            id: "_idx".into(),
            ttl: "_ttl".into(),
            id_form: IdForm::Text,
        };
        for (table, definition) in TABLES.into_iter().zip(definitions(&names)) {
            assert_eq!(definition.name, table.name(&names));
            let made: CreateTable = serde_json::from_str(&definition.create_table).unwrap();
            let ttl: UpdateTimeToLive =
                serde_json::from_str(&definition.update_time_to_live).unwrap();
            let key = made.key_schema.iter().map(|key| {
                let is_it = |it: &&Attribute| it.attribute_name == key.attribute_name;
                let attribute = made.attribute_definitions.iter().find(is_it).unwrap();
                (key.attribute_name.clone(), attribute.attribute_type.as_str().into())
            });
            assert_eq!(key.collect::<Vec<_>>(), table.key(&names));
            assert_eq!(
                (made.table_name.as_str(), ttl.table_name.as_str()),
                (table.name(&names), table.name(&names))
            );
            assert_eq!(ttl.time_to_live_specification.attribute_name, "_ttl");
            assert_eq!(made.billing_mode, "PAY_PER_REQUEST");
        }
    }
}
