//! What the documents name must exist.

use std::fs;
use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_tests_that_the_table_of_faults_names_exist() {
    let table = fs::read_to_string(root().join("docs/faults.md")).unwrap();
    let named = table.split('`').skip(1).step_by(2);
    let mut count = 0;
    for (module, test) in named.filter_map(|name| name.split_once("::")) {
        let file = root().join(format!("session-redis/tests/it/{module}.rs"));
        let source = fs::read_to_string(&file).unwrap_or_default();
        assert!(source.contains(&format!("async fn {test}()")), "{module}::{test}");
        count += 1;
    }
    assert!(count > 30, "{count} tests are named");
}
