//! Every published crate compiles with no feature, with each one alone, and with all.

use crate::command::{run_cargo, words};
use crate::metadata::Metadata;

pub(crate) fn check() -> Result<(), String> {
    let metadata = Metadata::load()?;
    for position in metadata.published() {
        let package = &metadata.packages[position];
        for line in commands(&package.name, &package.features) {
            run_cargo(&words(&line))?;
        }
    }
    Ok(())
}

fn commands(package: &str, features: &[String]) -> Vec<String> {
    let check = format!("check --quiet -p {package}");
    let mut lines = vec![format!("{check} --no-default-features")];
    let named = features.iter().filter(|feature| *feature != "default");
    lines
        .extend(named.map(|feature| format!("{check} --no-default-features --features {feature}")));
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
        assert_eq!(commands("a", &[]), ["check --quiet -p a --no-default-features"]);
        let features = ["default".to_owned(), "tls".to_owned()];
        assert_eq!(
            commands("a", &features),
            [
                "check --quiet -p a --no-default-features",
                "check --quiet -p a --no-default-features --features tls",
                "check --quiet -p a --all-features",
            ]
        );
    }
}
