//! The rules of the contract once more, as a user with the least privileges.

use std::collections::HashSet;
use std::time::Duration;

use conformance_tests::sample::assert_kept;
use conformance_tests::servers::MongoServer;
use conformance_tests::{Endpoint, Fixture, Profile, Result, Space, Suite};
use mongodb::bson::{Bson, doc};
use session_mongo::{MongoStore, MongoStoreBuilder};
use tokio::sync::Mutex;

use crate::privileges::{DATABASE, role, server_with_user};
use crate::support::Raw;

struct LeastPrivileges {
    server: MongoServer,
    administrator: Raw,
    user: Endpoint,
    /// The collections that the user may use.
    granted: Mutex<HashSet<String>>,
}

impl LeastPrivileges {
    async fn begin() -> Self {
        let (server, url) = server_with_user(vec!["sessions".into()]).await;
        let administrator = Raw::open(&server.url(), "none").await;
        let user = Endpoint::parse(&url).unwrap();
        Self { server, administrator, user, granted: Mutex::default() }
    }

    async fn open_with(&self, builder: MongoStoreBuilder, space: &Space) -> Result<MongoStore> {
        let name = space.name();
        let mut granted = self.granted.lock().await;
        let is_new = granted.insert(name.to_owned());
        if is_new {
            // The privilege of the README, on this collection.
            let mut privilege = role().get_array("privileges")?[0].clone();
            let Bson::Document(document) = &mut privilege else {
                return Err("no privilege".into());
            };
            document.insert("resource", doc! { "db": DATABASE, "collection": name });
            let grant = doc! { "grantPrivilegesToRole": "sessions", "privileges": [privilege] };
            self.administrator.run(DATABASE, grant).await;
        }
        let url = space.route_url(&self.user).await?;
        let builder = builder.connect_timeout(Duration::from_secs(1));
        let store = builder.collection(name).connect(&url).await?;
        if is_new {
            store.ensure_indexes().await?;
        }
        Ok(store)
    }
}

impl Fixture for LeastPrivileges {
    type Store = MongoStore;
    const PROFILE: Profile =
        Profile::new("session-mongo").version(env!("CARGO_PKG_VERSION")).driver("mongodb");

    async fn start() -> Result<Self> {
        Ok(Self::begin().await)
    }

    async fn open(&self, space: &Space) -> Result<MongoStore> {
        self.open_with(MongoStore::builder(), space).await
    }

    async fn open_narrow(&self, space: &Space) -> Result<MongoStore> {
        self.open_with(MongoStore::builder().connections(1), space).await
    }

    fn backend(&self) -> Endpoint {
        self.user.clone()
    }
}

/// Those of the suite that look behind the store are not among them.
#[tokio::test(flavor = "multi_thread")]
async fn every_rule_is_kept_with_the_least_privileges() {
    let suite = Suite::<LeastPrivileges>::new().effort(20).at_once(8).subject_index().inspect();
    let fixture = LeastPrivileges::begin().await;
    assert!(fixture.server.url().contains("admin:"), "everybody is let in");
    let results = suite.run(fixture, |_| true).await;
    assert_kept(&results, 90);
}
