//! What the documents name must exist.

use std::fs;
use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The chapters of `docs/faults.md`, and the crate whose tests each names.
const CHAPTERS: &[(&str, &str)] = &[
    ("Redis", "session-redis"),
    ("PostgreSQL", "session-postgres"),
    ("MongoDB", "session-mongo"),
    ("DynamoDB", "session-dynamo"),
];

#[test]
fn the_tests_that_the_tables_of_faults_name_exist() {
    let text = fs::read_to_string(root().join("docs/faults.md")).unwrap();
    let chapters: Vec<_> = text.split("\n## ").skip(1).collect();
    assert_eq!(chapters.len(), CHAPTERS.len());
    for (chapter, (title, package)) in chapters.iter().zip(CHAPTERS) {
        assert!(chapter.starts_with(title), "the chapter on {title}");
        let named = chapter.split('`').skip(1).step_by(2);
        let mut count = 0;
        for (module, test) in named.filter_map(|name| name.split_once("::")) {
            let file = root().join(package).join(format!("tests/it/{module}.rs"));
            let source = fs::read_to_string(&file).unwrap_or_default();
            assert!(source.contains(&format!("async fn {test}()")), "{package}: {module}::{test}");
            count += 1;
        }
        assert!(count >= 8, "{title}: {count} tests are named");
    }
}
