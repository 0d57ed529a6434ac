//! The endpoint that authors of other adapters use.

use std::net::TcpStream;

use conformance_tests::Endpoint;
use conformance_tests::report::Provision;
use conformance_tests::servers::RedisContainer;
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;

use crate::docker::{containers_of, docker, eventually};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("endpoint::serves_and_goes_with_its_last_clone", serves_and_goes),
        Trial::test("endpoint::tells_why_it_does_not_start", tells_why),
    ]
}

fn serves_and_goes() -> Result<(), Failed> {
    let image = RedisContainer::start()?.image().to_owned();
    let container = || {
        let container = Endpoint::container(&image, 6380).ready_log("Ready to accept connections");
        container
            .variable("NAMED", "yes")
            .argument("redis-server")
            .argument("--port")
            .argument("6380")
    };
    let before = containers_of(std::process::id());
    // Also from within a runtime, and dropped there.
    Runtime::new()?.block_on(async {
        let endpoint = container().start().await.map_err(|error| error.to_string())?;
        assert_eq!(*endpoint.provision(), Provision::Container { image: image.clone() });
        let address = endpoint.address().ok_or("no address")?;
        assert!(address.starts_with("127.0.0.1:"), "{address}");
        TcpStream::connect(address)?;

        let now = containers_of(std::process::id());
        let name = now.iter().find(|name| name.contains("-endpoint-") && !before.contains(name));
        let name = name.ok_or("no container")?.clone();
        assert!(docker(&["port", &name]).contains(&format!("6380/tcp -> {address}")));
        let variables = docker(&["inspect", "--format", "{{.Config.Env}}", &name]);
        assert!(variables.contains("NAMED=yes"), "{variables}");

        let clone = endpoint.clone();
        drop(endpoint);
        assert!(containers_of(std::process::id()).contains(&name), "a clone holds it");
        drop(clone);
        eventually("the container goes", || !containers_of(std::process::id()).contains(&name));
        Ok(())
    })
}

fn tells_why() -> Result<(), Failed> {
    let image = RedisContainer::start()?.image().to_owned();
    Runtime::new()?.block_on(async {
        let nowhere = Endpoint::container("session-tests/no-such-image:none", 1).start().await;
        let error = nowhere.expect_err("there is no such image").to_string();
        assert!(error.contains("session-tests/no-such-image"), "{error}");

        let broken =
            Endpoint::container(&image, 6379).argument("redis-server").argument("--no-such");
        let broken =
            broken.argument("setting").ready_log("Ready to accept connections").start().await;
        let error = broken.expect_err("there is no such setting").to_string();
        assert!(error.contains("no-such"), "{error}");
        Ok(())
    })
}
