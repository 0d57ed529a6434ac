//! Each check, shown to pass on a sound workspace and to fail on one with a single fault.

use serde_json::{Value, json};

use super::{CHECKS, number};
use crate::metadata::Metadata;

/// Packages and edges, from which `cargo metadata`'s answer is made.
struct Workspace {
    packages: Vec<Value>,
    members: Vec<String>,
    edges: Vec<(String, String, Option<&'static str>)>,
}

impl Workspace {
    /// What we promise: it has no finding.
    fn sound() -> Self {
        let mut it = Self { packages: Vec::new(), members: Vec::new(), edges: Vec::new() };
        for name in ["session-core", "session-memory", "session-redis", "session-http"] {
            it.member(name);
        }
        it.member("session-tower");
        it.member("conformance-tests");
        it.member("demo");
        it.set("demo", "publish", json!([]));
        it.set("demo", "description", Value::Null);
        it.outside("serde", "1.0.0");
        it.outside("tokio", "1.54.1");
        it.outside("redis", "1.8.1");
        it.outside("hyper", "1.9.0");
        for (from, to) in [
            ("session-core", "serde"),
            ("session-memory", "session-core"),
            ("session-redis", "session-core"),
            ("session-redis", "redis"),
            ("session-redis", "tokio"),
            ("redis", "tokio"),
            ("session-http", "session-core"),
            ("session-tower", "session-http"),
            ("session-tower", "hyper"),
            ("conformance-tests", "session-core"),
            ("conformance-tests", "tokio"),
            ("demo", "session-redis"),
            ("demo", "conformance-tests"),
        ] {
            it.edge(from, to, None);
        }
        it.edge("session-core", "tokio", Some("dev"));
        it.edge("session-core", "session-memory", Some("dev"));
        it.edge("session-redis", "conformance-tests", Some("dev"));
        it
    }

    fn member(&mut self, name: &str) {
        self.outside(name, "0.1.0");
        self.members.push(name.to_owned());
    }

    fn outside(&mut self, name: &str, version: &str) {
        self.packages.push(json!({
            "id": name, "name": name, "version": version, "license": "MIT OR Apache-2.0",
            "rust_version": "1.88", "description": "text", "readme": "README.md",
            "repository": "https://example.com", "keywords": ["word"], "publish": null,
            "features": {},
        }));
    }

    fn set(&mut self, name: &str, field: &str, value: Value) {
        let package = self.packages.iter_mut().find(|package| package["name"] == name).unwrap();
        package[field] = value;
    }

    fn edge(&mut self, from: &str, to: &str, kind: Option<&'static str>) {
        self.edges.push((from.to_owned(), to.to_owned(), kind));
    }

    fn findings(&self) -> Vec<String> {
        let node = |package: &Value| {
            let edges = self.edges.iter().filter(|(from, ..)| package["id"] == from.as_str());
            let deps: Vec<Value> = edges
                .map(|(_, to, kind)| json!({ "pkg": to, "dep_kinds": [{ "kind": kind }] }))
                .collect();
            json!({ "id": package["id"], "deps": deps })
        };
        let nodes: Vec<Value> = self.packages.iter().map(node).collect();
        let json = json!({
            "packages": self.packages, "workspace_members": self.members,
            "resolve": { "nodes": nodes },
        });
        let metadata = Metadata::parse(&json.to_string()).unwrap();
        CHECKS.iter().flat_map(|check| (check.find)(&metadata)).collect()
    }
}

/// Makes one change to the sound workspace and expects exactly these findings.
fn after(change: impl FnOnce(&mut Workspace), expected: &[&str]) {
    let mut workspace = Workspace::sound();
    change(&mut workspace);
    assert_eq!(workspace.findings(), expected);
}

#[test]
fn a_sound_workspace_has_no_finding() {
    after(|_| {}, &[]);
}

#[test]
fn core_stands_on_no_other_crate_of_ours() {
    after(
        |it| it.edge("session-core", "session-http", None),
        &["session-core must not depend on session-http"],
    );
}

#[test]
fn adapters_do_not_know_each_other_nor_the_layer_above() {
    after(
        |it| it.edge("session-redis", "session-memory", None),
        &["session-redis must not depend on session-memory"],
    );
    after(
        |it| it.edge("session-memory", "session-http", None),
        &["session-memory must not depend on session-http"],
    );
}

#[test]
fn frameworks_name_no_adapter() {
    after(
        |it| it.edge("session-tower", "session-memory", None),
        &["session-tower must not depend on session-memory"],
    );
}

#[test]
fn nothing_published_is_built_on_the_suite() {
    after(
        |it| it.edge("session-memory", "conformance-tests", None),
        &["session-memory must not depend on conformance-tests"],
    );
    after(
        |it| it.edge("session-memory", "conformance-tests", Some("build")),
        &["session-memory must not depend on conformance-tests"],
    );
}

#[test]
fn nothing_published_is_built_on_something_unpublished() {
    after(
        |it| it.edge("session-memory", "demo", None),
        &["session-memory must not depend on demo"],
    );
}

#[test]
fn a_new_crate_needs_a_role() {
    after(|it| it.member("session-new"), &["session-new has no place among the roles yet"]);
}

#[test]
fn core_has_no_runtime_no_http_and_no_driver_at_any_depth() {
    for name in ["tokio", "hyper", "redis"] {
        let direct = format!("session-core must not depend on {name}");
        let mut workspace = Workspace::sound();
        workspace.edge("session-core", name, None);
        assert!(workspace.findings().contains(&direct), "{:?}", workspace.findings());
    }
    after(|it| it.edge("serde", "tokio", None), &["session-core must not have tokio below it"]);
}

#[test]
fn adapters_and_suite_name_no_http_crate() {
    after(
        |it| it.edge("session-redis", "hyper", None),
        &["session-redis must not depend on hyper"],
    );
    after(|it| it.edge("redis", "hyper", None), &[]);
    after(
        |it| it.edge("conformance-tests", "redis", None),
        &["conformance-tests must not depend on redis"],
    );
}

#[test]
fn banned_crates_are_found_even_where_only_tests_use_them() {
    after(
        |it| {
            it.outside("bincode", "3.0.0");
            it.edge("session-core", "bincode", Some("dev"));
        },
        &["bincode 3.0.0 is banned: discontinued, its last release does not compile"],
    );
    after(
        |it| {
            it.outside("rustls", "0.21.12");
            it.edge("redis", "rustls", None);
        },
        &["rustls 0.21.12 is banned: old line, brings the old certificate checks"],
    );
    after(|it| it.outside("rustls", "0.23.1"), &[]);
}

#[test]
fn licences_are_checked_below_published_crates() {
    after(
        |it| it.set("redis", "license", json!("GPL-3.0")),
        &["redis 1.8.1: its licence `GPL-3.0` is not among the allowed ones"],
    );
    after(
        |it| it.set("serde", "license", Value::Null),
        &["serde 1.0.0: the licence expression `` cannot be read"],
    );
    after(
        |it| {
            it.outside("only-for-tests", "1.0.0");
            it.set("only-for-tests", "license", json!("GPL-3.0"));
            it.edge("session-core", "only-for-tests", Some("dev"));
        },
        &[],
    );
}

#[test]
fn manifests_of_published_crates_are_complete() {
    for field in ["description", "readme", "repository"] {
        let finding = format!("session-redis has no proper `{field}`");
        after(|it| it.set("session-redis", field, Value::Null), &[&finding]);
    }
    after(
        |it| it.set("session-redis", "keywords", json!([])),
        &["session-redis has no proper `keywords`"],
    );
    after(
        |it| it.set("session-redis", "rust_version", Value::Null),
        &["session-redis has no proper `rust-version`"],
    );
}

#[test]
fn a_dependency_may_not_ask_for_a_newer_compiler() {
    after(
        |it| it.set("redis", "rust_version", json!("1.89")),
        &["session-redis declares Rust 1.88, but redis 1.8.1 asks for 1.89"],
    );
    after(|it| it.set("redis", "rust_version", json!("1.88.0")), &[]);
    assert!(number("1.100") > number("1.88.5"));
    assert!(number("1.88.1") > number("1.88"));
}

#[test]
fn an_answer_of_another_shape_is_an_error() {
    for json in ["", "{}", r#"{"packages":[{}],"workspace_members":[]}"#] {
        assert!(Metadata::parse(json).is_err(), "{json}");
    }
}
