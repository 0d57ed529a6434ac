//! The steps of `cargo xtask test`. A new backend is a tool in `tools.rs`; a new check is a line here.

use std::cell::OnceCell;
use std::path::PathBuf;

use crate::command::{self, run_cargo_with, words};
use crate::docker::Docker;
use crate::leftovers::RunFolder;
use crate::side_by_side::{self, Job};
use crate::test::{Options, Scope};
use crate::{check_deps, features, images, interop, matrix, package, servers, tools};

/// What every step gets to know.
pub(crate) struct Context {
    pub(crate) options: Options,
    pub(crate) folder: RunFolder,
    /// There from its step on; one that was started for this run ends with it.
    pub(crate) docker: OnceCell<Docker>,
}

impl Context {
    /// For what the steps start: where temporary files go, what the conformance suites find, and that
    /// servers run natively, also where a Docker daemon answers.
    fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let temporary = ["TMPDIR", "TMP", "TEMP"];
        let mut variables: Vec<_> =
            temporary.map(|name| (name, self.folder.path().to_owned())).into();
        variables.push(("CONFORMANCE_REPORT", matrix::results()));
        variables.push(("SESSION_TEST_BACKEND", PathBuf::from("native")));
        let host = self.docker.get().and_then(Docker::host);
        variables.extend(host.map(|host| ("DOCKER_HOST", PathBuf::from(host))));
        variables
    }

    fn docker(&self) -> Result<&Docker, String> {
        self.docker.get().ok_or_else(|| "Docker was not provided".to_owned())
    }
}

/// One line of the summary.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) purpose: &'static str,
    action: Action,
}

enum Action {
    /// One cargo command; its temporary files are kept together, so that leftovers show.
    Cargo(&'static str),
    Own(fn(&Context) -> Result<(), String>),
}

impl Step {
    pub(crate) fn run(&self, context: &Context) -> Result<(), String> {
        match self.action {
            Action::Cargo(line) => run_cargo_with(&words(line), &context.environment()),
            Action::Own(action) => action(context),
        }
    }
}

const ONE_PROVIDER: &str = "test -p session-redis --features tls-rustls-ring --test it tls";
const NO_PROVIDER: &str = "test -p session-redis --features tls-rustls --test it tls";

const CONTAINERS: &str = "test --workspace --all-features --test containers";

const SALVO: &str =
    "test --quiet --locked --manifest-path examples/salvo/Cargo.toml --target-dir target/salvo";

/// PostgreSQL behind a PgBouncer of today. Each of its tests runs the whole suite.
fn behind_pgbouncer(environment: &[(&str, PathBuf)]) -> Job {
    let mut command = command::cargo();
    let line = "test --workspace --all-features --test pgbouncer -- --test-threads=1";
    command.args(words(line)).envs(environment.iter().cloned());
    command.env("SESSION_TEST_BACKEND", matrix::CONTAINER);
    command.env("SESSION_TEST_POSTGRES_IMAGE", images::PGBOUNCER);
    Job { name: "session-postgres behind PgBouncer".to_owned(), command }
}

/// The steps in their order: cheap ones that fail early first.
pub(crate) fn all(scope: Scope) -> Vec<Step> {
    let own = |name, purpose, action| Step { name, purpose, action: Action::Own(action) };
    let cargo = |name, purpose, line| Step { name, purpose, action: Action::Cargo(line) };
    let tools = own("tools", "what the tests need from the system", |context| {
        tools::provide(context.options)
    });
    let tests = match scope {
        Scope::Everything | Scope::Containers => "test --workspace --all-features --no-fail-fast",
        Scope::MemoryOnly => {
            "test -p session-core -p session-memory -p session-http -p session-tower -p session-actix -p conformance-tests -p examples --features session-tower/axum,conformance-tests/http --no-fail-fast \
             -- --skip servers::"
        }
    };
    let mut steps = vec![tools];
    if scope >= Scope::Everything && cfg!(unix) {
        steps.push(own("languages", "the packages of the Node and Python examples", |context| {
            interop::prepare(context.options.install)
        }));
    }
    steps.extend([
        own(
            "dependencies",
            "directions, banned crates, licences, manifests, Rust versions",
            |_| check_deps::run(),
        ),
        cargo("tests", "all tests, the ones in the documentation too", tests),
    ]);
    if scope >= Scope::Everything && cfg!(unix) {
        steps.push(own("servers", "servers for people come, are told, and go", |context| {
            servers::check(&context.environment(), context.folder.path())
        }));
    }
    steps.push(own("leftovers", "nothing runs on, no temporary folder stays", |context| {
        context.folder.expect_empty()
    }));
    if scope == Scope::Containers {
        steps.extend([
            own("docker", "a Docker daemon that answers", |context| {
                let Options { docker, install, .. } = context.options;
                let docker = Docker::provide(docker, install)?;
                context.docker.set(docker).map_err(|_| "Docker was provided twice".to_owned())
            }),
            own("images", "images of the servers, built from packages", |context| {
                let install = context.options.install;
                images::build(context.docker()?, images::Options { install, rebuild: false })
            }),
            cargo("provisioner", "how containers start and end", CONTAINERS),
            own("containers", "the suites in containers, and behind a PgBouncer", |context| {
                let environment = context.environment();
                let mut jobs = matrix::in_containers(&environment)?;
                jobs.push(behind_pgbouncer(&environment));
                side_by_side::run(jobs)
            }),
            own("no-containers", "no container of the tests stays", |context| {
                context.docker()?.expect_no_leftovers()
            }),
        ]);
    }
    steps.extend([
        own("matrix", "COMPATIBILITY.md says what the conformance suites found", |context| {
            matrix::check(context.options.scope)
        }),
        cargo("tour", "the guided run of the README", "run --quiet --example tour"),
    ]);
    if scope >= Scope::Everything {
        // All features at once have two crypto providers and every store, so what has one or none comes apart.
        steps.extend([
            cargo("one-provider", "TLS with one crypto provider", ONE_PROVIDER),
            cargo("no-provider", "TLS with no crypto provider", NO_PROVIDER),
            cargo("no-stores", "the examples with memory alone", "test -p examples"),
            cargo("salvo", "another framework, in a package of its own", SALVO),
            own("features", "every crate with no feature, each one alone, and all", |_| {
                features::check()
            }),
            own("packages", "every published crate packs", |_| package::check()),
        ]);
    }
    steps
}
