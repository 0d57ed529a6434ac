//! The columns that must be there.

use std::path::{Path, PathBuf};

use crate::command::root;
use crate::policy::{ROLES, Role};
use crate::test::Scope;

/// An adapter of this workspace, and how its backend is provided for the suite. A new adapter is a line here.
pub(super) struct Adapter {
    /// The name of the crate, which is also that in its profile.
    pub(super) name: &'static str,
    /// The words of `conformance_tests::report::Provision::flavour`, each with what it takes to run it.
    pub(super) flavours: &'static [(&'static str, Scope)],
}

pub(crate) const CONTAINER: &str = "container";

const IN_PROCESS: &[(&str, Scope)] = &[("in-process", Scope::MemoryOnly)];
const ON_SERVERS: &[(&str, Scope)] =
    &[("native", Scope::Everything), (CONTAINER, Scope::Containers)];

pub(super) const ADAPTERS: &[Adapter] = &[
    Adapter { name: "session-memory", flavours: IN_PROCESS },
    Adapter { name: "session-redis", flavours: ON_SERVERS },
    Adapter { name: "session-postgres", flavours: ON_SERVERS },
    Adapter { name: "session-mongo", flavours: ON_SERVERS },
    Adapter { name: "session-dynamo", flavours: ON_SERVERS },
];

/// Framework crates, which the HTTP rules are for. A new one is a line here.
pub(super) const FRAMEWORKS: &[Adapter] = &[
    Adapter { name: "session-tower", flavours: IN_PROCESS },
    Adapter { name: "session-actix", flavours: IN_PROCESS },
];

/// One adapter on a backend that is provided in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) adapter: &'static str,
    pub(super) flavour: &'static str,
}

impl Column {
    /// The arguments of cargo that run its suite.
    pub(super) fn command(self) -> String {
        // Extractors are behind features, and the rules are tested with them.
        let is_framework = FRAMEWORKS.iter().any(|framework| framework.name == self.adapter);
        let features = if is_framework { "--all-features " } else { "" };
        format!("test --quiet -p {} {features}--test conformance", self.adapter)
    }
}

/// The columns of adapters in this scope, in their order.
pub(super) fn all(scope: Scope) -> impl Iterator<Item = Column> {
    of(ADAPTERS, scope)
}

/// The columns of framework crates, in their order.
pub(super) fn frameworks() -> impl Iterator<Item = Column> {
    of(FRAMEWORKS, Scope::MemoryOnly)
}

fn of(adapters: &'static [Adapter], scope: Scope) -> impl Iterator<Item = Column> {
    adapters.iter().flat_map(move |adapter| {
        let flavours = adapter.flavours.iter().filter(move |(_, needed)| *needed <= scope);
        flavours.map(|(flavour, _)| Column { adapter: adapter.name, flavour })
    })
}

/// Every adapter that there is has its line.
pub(super) fn complete() -> Result<(), String> {
    let tested = |role| matches!(role, Role::Adapter | Role::Framework);
    let adapters = ROLES.iter().filter(|(_, role)| tested(*role)).map(|(name, _)| *name);
    let there = adapters.filter(|name| root().join(name).join("tests/conformance.rs").exists());
    let missing: Vec<_> = without_line(there).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("no line in xtask/src/matrix/columns.rs: {}", missing.join(", ")))
}

pub(super) fn without_line<'a>(
    adapters: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    let lines = ADAPTERS.iter().chain(FRAMEWORKS);
    adapters.filter(move |name| !lines.clone().any(|adapter| adapter.name == *name))
}

/// Where things are.
pub(super) struct Place {
    /// The folder of the workspace.
    pub(super) root: PathBuf,
    /// The folder that the suites write to.
    pub(super) results: PathBuf,
    /// The folder with the reports of others.
    pub(super) others: PathBuf,
}

impl Place {
    pub(super) fn of_this_workspace() -> Self {
        let others = Path::new("conformance-tests").join("reports");
        Self { root: root(), results: super::results(), others: root().join(others) }
    }

    /// The report of a column.
    pub(super) fn report(&self, column: Column) -> PathBuf {
        self.results.join(column.adapter).join(format!("{}.json", column.flavour))
    }
}
