//! The rules of sessions over HTTP on a real Redis: all of them in this process, and the crowd on two server processes.

#![cfg(feature = "redis")]

#[path = "../../session-actix/tests/fixture/mod.rs"]
mod actix;
#[path = "../../session-tower/tests/fixture/mod.rs"]
mod tower;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use conformance_tests::http::{HttpFixture, HttpSuite, crowd, http_rules};
use conformance_tests::sample::unique_name;
use conformance_tests::servers::RedisEndpoint;
use conformance_tests::{Endpoint, Fixture, Profile, Result, Space, Verdict};
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

/// A server process, which ends with its value.
struct Process {
    child: Child,
    addr: SocketAddr,
}

impl Process {
    fn start(framework: &str, namespace: &str) -> Result<Self> {
        let test = std::env::current_exe()?;
        let target = test.ancestors().nth(2).ok_or("no target folder")?;
        let program = format!("served{}", std::env::consts::EXE_SUFFIX);
        let mut child = Command::new(target.join("examples").join(program))
            .args([framework, RedisEndpoint::shared()?.url(), namespace])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        Ok(Self { addr: line.trim().parse()?, child })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It has ended, or its test has failed already.
        let _ = self.child.wait();
    }
}

async fn nobody_sees_another_on(frameworks: [&str; 2]) -> Result<()> {
    let namespace = unique_name();
    let [one, other] = frameworks.map(|framework| Process::start(framework, &namespace));
    let (one, other) = (one?, other?);
    assert_ne!(one.child.id(), other.child.id());
    crowd([one.addr, other.addr]).await
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
