//! The tour runs to its end on every store, and says what to do where it cannot run.

mod example;

use std::process::{Command, Output};

/// Runs the example that cargo built beside this test.
fn tour(arguments: &[&str]) -> Output {
    Command::new(example::path("tour")).args(arguments).output().expect("the tour starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What every store must show: the last line, each step, and nothing that could be a token.
fn assert_whole_tour(output: &Output) {
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown}\n{}", text(&output.stderr));
    for step in 1..=8 {
        assert!(shown.contains(&format!("\n{step}. ")), "step {step} is missing:\n{shown}");
    }
    assert!(shown.contains("update #1 -> Conflict"), "the merge was not shown:\n{shown}");
    assert!(shown.ends_with("no session is left in the store.\n"), "{shown}");
    let tokens = shown.split_whitespace().filter(|word| word.len() >= 64).count();
    assert_eq!(tokens, 0, "a token was shown");
}

#[test]
fn it_runs_on_memory() {
    assert_whole_tour(&tour(&[]));
}

/// On a server that the tests start.
macro_rules! on_servers {
    ($($name:ident, $feature:literal, $endpoint:ident;)*) => {$(
        #[test]
        #[cfg(feature = $feature)]
        fn $name() {
            let server = conformance_tests::servers::$endpoint::shared().expect("a server");
            assert_whole_tour(&tour(&["--store", server.url()]));
        }
    )*};
}

on_servers! {
    it_runs_on_redis, "redis", RedisEndpoint;
    it_runs_on_postgres, "postgres", PostgresEndpoint;
    it_runs_on_mongo, "mongo", MongoEndpoint;
    it_runs_on_dynamo, "dynamo", DynamoEndpoint;
}

/// For each backend that this build has not.
#[test]
fn a_missing_feature_is_answered_with_the_command() {
    for (scheme, feature, is_there) in [
        ("redis", "redis", cfg!(feature = "redis")),
        ("postgres", "postgres", cfg!(feature = "postgres")),
        ("mongodb", "mongo", cfg!(feature = "mongo")),
        ("dynamodb", "dynamo", cfg!(feature = "dynamo")),
    ] {
        if is_there {
            continue;
        }
        let output = tour(&["--store", &format!("{scheme}://user:canary@127.0.0.1")]);
        assert!(!output.status.success());
        let said = text(&output.stderr);
        let command = format!("cargo run --example tour --features {feature} -- --store");
        assert!(said.contains(&command), "{said}");
        assert!(!said.contains("canary"), "the password was shown");
    }
}

#[test]
fn an_unknown_store_is_an_error_that_repeats_no_password() {
    let output = tour(&["--store", "etcd://user:canary@127.0.0.1"]);
    assert!(!output.status.success());
    let said = text(&output.stderr);
    assert!(said.contains("no store for `etcd`"), "{said}");
    assert!(!said.contains("canary"), "the password was shown");
}
