//! `cargo xtask check-deps`: the promises about dependencies and manifests that no compiler checks.

use crate::licence;
use crate::metadata::{Metadata, Package};
use crate::policy::{BANS, LICENCES, ROLES, Role};

#[cfg(test)]
mod tests;

/// One kind of promise.
struct Check {
    name: &'static str,
    find: fn(&Metadata) -> Vec<String>,
}

const CHECKS: &[Check] = &[
    Check { name: "dependencies point one way", find: directions },
    Check { name: "no crate names or contains what its place forbids", find: foreign },
    Check { name: "no banned crate", find: banned },
    Check { name: "only allowed licences", find: licences },
    Check { name: "manifests are complete", find: manifests },
    Check { name: "declared Rust versions hold", find: rust_versions },
];

/// Checks the workspace; every finding is told.
pub(crate) fn run() -> Result<(), String> {
    let metadata = Metadata::load()?;
    let mut total = 0;
    for check in CHECKS {
        let findings = (check.find)(&metadata);
        println!("  {:<52} {}", check.name, if findings.is_empty() { "ok" } else { "FAILED" });
        for finding in &findings {
            println!("    - {finding}");
        }
        total += findings.len();
    }
    let crates = metadata.published().count();
    println!("  {crates} published crates, {} packages in all", metadata.packages.len());
    if total == 0 { Ok(()) } else { Err(format!("{total} broken promises about dependencies")) }
}

fn directions(metadata: &Metadata) -> Vec<String> {
    let mut findings = Vec::new();
    for package in published(metadata) {
        let Some(role) = role(package) else {
            findings.push(format!("{} has no place among the roles yet", package.name));
            continue;
        };
        for used in uses(metadata, package).filter(|used| used.is_member) {
            if !self::role(used).is_some_and(|used| role.may_use().contains(&used)) {
                findings.push(format!("{} must not depend on {}", package.name, used.name));
            }
        }
    }
    findings
}

fn foreign(metadata: &Metadata) -> Vec<String> {
    let mut findings = Vec::new();
    for position in metadata.published() {
        let package = &metadata.packages[position];
        let Some(role) = role(package) else { continue };
        for used in uses(metadata, package) {
            if listed(role.must_not_name(), used) {
                findings.push(format!("{} must not depend on {}", package.name, used.name));
            }
        }
        for used in metadata.below(position) {
            let below = &metadata.packages[used];
            if listed(role.must_not_contain(), below) && !package.uses.contains(&used) {
                findings.push(format!("{} must not have {} below it", package.name, below.name));
            }
        }
    }
    findings
}

fn banned(metadata: &Metadata) -> Vec<String> {
    let found = |package: &Package| {
        let ban = BANS
            .iter()
            .find(|ban| ban.name == package.name && package.version.starts_with(ban.version))?;
        Some(format!("{} {} is banned: {}", package.name, package.version, ban.reason))
    };
    metadata.packages.iter().filter_map(found).collect()
}

fn licences(metadata: &Metadata) -> Vec<String> {
    let mut positions: Vec<usize> = metadata.published().collect();
    let below: Vec<usize> = positions.iter().flat_map(|it| metadata.below(*it)).collect();
    positions.extend(below);
    positions.sort_unstable();
    positions.dedup();
    let found = |position: usize| {
        let package = &metadata.packages[position];
        let licence = package.licence.as_deref().unwrap_or_default();
        let finding = match licence::is_allowed(licence, LICENCES) {
            Ok(true) => return None,
            Ok(false) => format!("its licence `{licence}` is not among the allowed ones"),
            Err(error) => error,
        };
        Some(format!("{} {}: {finding}", package.name, package.version))
    };
    positions.into_iter().filter_map(found).collect()
}

fn manifests(metadata: &Metadata) -> Vec<String> {
    let mut findings = Vec::new();
    for package in published(metadata) {
        let is_set = |field: &Option<String>| field.as_deref().is_some_and(|it| !it.is_empty());
        for (field, is_there) in [
            ("description", is_set(&package.description)),
            ("keywords", (1..=5).contains(&package.keywords)),
            ("licence", is_set(&package.licence)),
            ("readme", is_set(&package.readme)),
            ("repository", is_set(&package.repository)),
            ("rust-version", is_set(&package.rust_version)),
        ] {
            if !is_there {
                findings.push(format!("{} has no proper `{field}`", package.name));
            }
        }
    }
    findings
}

/// A crate cannot be built with an older compiler than the newest that something below it asks for.
fn rust_versions(metadata: &Metadata) -> Vec<String> {
    let mut findings = Vec::new();
    for position in metadata.published() {
        let package = &metadata.packages[position];
        let Some(declared) = &package.rust_version else { continue };
        for used in metadata.below(position) {
            let used = &metadata.packages[used];
            if let Some(asked) = &used.rust_version
                && number(asked) > number(declared)
            {
                let Package { name, version, .. } = used;
                findings.push(format!(
                    "{} declares Rust {declared}, but {name} {version} asks for {asked}",
                    package.name
                ));
            }
        }
    }
    findings
}

fn published(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    metadata.published().map(|position| &metadata.packages[position])
}

fn uses<'a>(metadata: &'a Metadata, package: &'a Package) -> impl Iterator<Item = &'a Package> {
    package.uses.iter().map(|position| &metadata.packages[*position])
}

fn role(package: &Package) -> Option<Role> {
    let (_, role) = ROLES.iter().find(|(name, _)| package.is_member && *name == package.name)?;
    Some(*role)
}

fn listed(lists: &[&[&str]], package: &Package) -> bool {
    lists.iter().any(|list| list.contains(&package.name.as_str()))
}

/// `1.88` and `1.88.0` as comparable numbers; what is no number counts as newest.
fn number(version: &str) -> [u32; 3] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(u32::MAX));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}
