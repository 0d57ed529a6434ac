//! Every published crate compiles with no feature, with each one alone, and with all.

use crate::command::{run_cargo, words};
use crate::metadata::Metadata;

pub(crate) fn check() -> Result<(), String> {
    let metadata = Metadata::load()?;
    for position in metadata.published() {
        let package = &metadata.packages[position];
        for line in commands(&package.name, &package.features, needed(&package.name)) {
            run_cargo(&words(&line))?;
        }
    }
    Ok(())
}

/// Crates whose driver does not compile without TLS, and the feature that the others are checked with.
const NEED_TLS: &[(&str, &str)] = &[("session-mongo", "tls-rustls-ring")];

fn needed(package: &str) -> Option<&'static str> {
    NEED_TLS.iter().find(|(name, _)| *name == package).map(|(_, feature)| *feature)
}

fn commands(package: &str, features: &[String], needed: Option<&str>) -> Vec<String> {
    let check = format!("check --quiet -p {package}");
    let none = needed.map(|feature| format!(" --features {feature}"));
    let mut lines = vec![format!("{check} --no-default-features{}", none.unwrap_or_default())];
    let others = |feature: &&String| *feature != "default" && Some(feature.as_str()) != needed;
    lines.extend(features.iter().filter(others).map(|feature| {
        // One kind of TLS is enough.
        let with = needed.filter(|_| !feature.starts_with("tls-"));
        let with = with.map(|needed| format!("{needed},")).unwrap_or_default();
        format!("{check} --no-default-features --features {with}{feature}")
    }));
    if features.len() > 1 {
        lines.push(format!("{check} --all-features"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn each_feature_stands_alone_once() {
        assert_eq!(commands("a", &[], None), ["check --quiet -p a --no-default-features"]);
        let features = ["default".to_owned(), "tls".to_owned()];
        assert_eq!(
            commands("a", &features, None),
            [
                "check --quiet -p a --no-default-features",
                "check --quiet -p a --no-default-features --features tls",
                "check --quiet -p a --all-features",
            ]
        );
    }

    #[test]
    fn a_driver_that_needs_tls_has_one_kind_of_it() {
        let features = ["default", "tls-a", "tls-b", "dns"].map(str::to_owned);
        assert_eq!(
            commands("a", &features, Some("tls-a")),
            [
                "check --quiet -p a --no-default-features --features tls-a",
                "check --quiet -p a --no-default-features --features tls-b",
                "check --quiet -p a --no-default-features --features tls-a,dns",
                "check --quiet -p a --all-features",
            ]
        );
    }
}
