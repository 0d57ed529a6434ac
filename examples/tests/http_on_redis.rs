//! The rules of sessions over HTTP on a real Redis: all of them in this process, and the crowd on two server processes.

#![cfg(feature = "redis")]

#[path = "../../session-actix/tests/fixture/mod.rs"]
mod actix;
mod example;
mod program;
#[path = "../../session-tower/tests/fixture/mod.rs"]
mod tower;

use conformance_tests::http::{HttpFixture, HttpSuite, crowd, http_rules};
use conformance_tests::sample::unique_name;
use conformance_tests::servers::RedisEndpoint;
use conformance_tests::{Endpoint, Fixture, Profile, Result, Space, Verdict};
use program::Program;
use session_redis::RedisStore;

struct Redis(Endpoint);

impl Fixture for Redis {
    type Store = RedisStore;
    const PROFILE: Profile = Profile::new("session-redis").driver("redis");

    async fn start() -> Result<Self> {
        Ok(Self(RedisEndpoint::shared()?.endpoint()?))
    }

    async fn open(&self, space: &Space) -> Result<RedisStore> {
        let url = space.route_url(&self.0).await?;
        Ok(RedisStore::builder().prefix(space.name()).connect(&url).await?)
    }

    fn backend(&self) -> Endpoint {
        self.0.clone()
    }
}

async fn every_rule_is_kept(framework: impl HttpFixture) -> Result<()> {
    let stores = Redis::start().await?;
    let results = HttpSuite::<_, Redis>::new(framework).run(stores, |_| true).await;
    assert_eq!(results.len(), http_rules().len());
    for result in results {
        assert_eq!(result.verdict, Verdict::Passed, "{}", result.rule.path());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_is_kept_by_axum() -> Result<()> {
    every_rule_is_kept(tower::Tower).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_is_kept_by_actix() -> Result<()> {
    every_rule_is_kept(actix::Actix).await
}

async fn nobody_sees_another_on(frameworks: [&str; 2]) -> Result<()> {
    let (store, namespace) = (RedisEndpoint::shared()?.url(), unique_name());
    let processes = frameworks
        .map(|framework| Program::start(&example::path("served"), &[framework, store, &namespace]));
    let [one, other] = &processes;
    assert_ne!(one.child.id(), other.child.id());
    crowd([one.line.parse()?, other.line.parse()?]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_another_on_two_processes_of_axum() -> Result<()> {
    nobody_sees_another_on(["tower", "tower"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_another_on_two_processes_of_actix() -> Result<()> {
    nobody_sees_another_on(["actix", "actix"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_another_on_one_process_of_each() -> Result<()> {
    nobody_sees_another_on(["tower", "actix"]).await
}
