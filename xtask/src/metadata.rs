//! What `cargo metadata` tells of the workspace and all that it is built from.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::command;

/// The packages and their edges, by the position in `packages`.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
}

/// One package.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) is_member: bool,
    pub(crate) is_published: bool,
    pub(crate) licence: Option<String>,
    pub(crate) rust_version: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) readme: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) keywords: usize,
    pub(crate) features: Vec<String>,
    /// What it is built from: normal and build dependencies.
    pub(crate) uses: BTreeSet<usize>,
}

impl Metadata {
    /// The workspace with all features.
    pub(crate) fn load() -> Result<Self, String> {
        let mut cargo = command::cargo();
        cargo.args(["metadata", "--format-version", "1", "--all-features"]);
        Self::parse(&command::output(cargo, "cargo metadata")?)
    }

    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        let root: Value =
            serde_json::from_str(json).map_err(|error| format!("cargo metadata: {error}"))?;
        let members: BTreeSet<&str> =
            list(&root, "workspace_members")?.iter().filter_map(Value::as_str).collect();
        let mut positions = BTreeMap::new();
        let mut packages = Vec::new();
        for (position, package) in list(&root, "packages")?.iter().enumerate() {
            let id = text(package, "id")?;
            positions.insert(id, position);
            packages.push(Package::parse(package, members.contains(id))?);
        }
        let resolve = root.get("resolve").ok_or("cargo metadata: no `resolve`")?;
        for node in list(resolve, "nodes")? {
            let from = position(&positions, text(node, "id")?)?;
            for edge in list(node, "deps")? {
                let to = position(&positions, text(edge, "pkg")?)?;
                let kinds = list(edge, "dep_kinds")?;
                if kinds.iter().any(|kind| kind.get("kind").and_then(Value::as_str) != Some("dev"))
                {
                    packages[from].uses.insert(to);
                }
            }
        }
        Ok(Self { packages })
    }

    /// The positions of the published members.
    pub(crate) fn published(&self) -> impl Iterator<Item = usize> {
        (0..self.packages.len()).filter(|position| self.packages[*position].is_published)
    }

    /// All that stands below a package, itself excluded.
    pub(crate) fn below(&self, position: usize) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut open = vec![position];
        while let Some(package) = open.pop() {
            let new = self.packages[package].uses.iter().filter(|it| seen.insert(**it));
            open.extend(new);
        }
        seen
    }
}

impl Package {
    fn parse(package: &Value, is_member: bool) -> Result<Self, String> {
        let optional = |name| package.get(name).and_then(Value::as_str).map(str::to_owned);
        // `publish` is absent or null for "everywhere", and an empty list for "nowhere".
        let is_published = package.get("publish").is_none_or(|publish| {
            publish.as_array().is_none_or(|registries| !registries.is_empty())
        });
        let features = package.get("features").and_then(Value::as_object);
        Ok(Self {
            name: text(package, "name")?.to_owned(),
            version: text(package, "version")?.to_owned(),
            is_member,
            is_published: is_member && is_published,
            licence: optional("license"),
            rust_version: optional("rust_version"),
            description: optional("description"),
            readme: optional("readme"),
            repository: optional("repository"),
            keywords: package.get("keywords").and_then(Value::as_array).map_or(0, Vec::len),
            features: features.map(|it| it.keys().cloned().collect()).unwrap_or_default(),
            uses: BTreeSet::new(),
        })
    }
}

fn list<'a>(value: &'a Value, name: &str) -> Result<&'a Vec<Value>, String> {
    value.get(name).and_then(Value::as_array).ok_or_else(|| format!("cargo metadata: no `{name}`"))
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, String> {
    value.get(name).and_then(Value::as_str).ok_or_else(|| format!("cargo metadata: no `{name}`"))
}

fn position(positions: &BTreeMap<&str, usize>, id: &str) -> Result<usize, String> {
    positions.get(id).copied().ok_or_else(|| format!("cargo metadata: no package `{id}`"))
}
