//! A quick run goes through everything. Only the form of the result is looked at, never a time.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["--quick", "--heap-program", env!("CARGO_BIN_EXE_heap")])
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn array<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().unwrap_or_else(|| panic!("{name} is no array: {value}"))
}

#[test]
fn a_quick_run_measures_every_cell_of_every_backend() {
    let json = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-quick.json");
    let path = json.to_str().unwrap();
    let output = bench(&["--json", path, "memory", "redis"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("redis: touch, 64 at a time"), "no progress: {errors}");

    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("the figures mean nothing") && text.contains("bench-quick.json"));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    std::fs::remove_file(&json).unwrap();
    assert_eq!(report["payload"]["raw"], 472);

    let backends = array(&report, "backends");
    for (backend, contestants, goals) in [(&backends[0], 2, 10), (&backends[1], 3, 10)] {
        let cells = array(backend, "cells");
        assert_eq!(cells.len(), 6 * 2 * contestants, "{backend}");
        for cell in cells {
            assert_eq!(array(cell, "rounds").len(), 2);
            assert!(cell["operations_per_second"]["median"].as_f64().unwrap() > 0.0);
            assert_eq!(cell["ratio"].is_null(), cell["standing"] == "raw", "{cell}");
            assert!(cell["goal"].is_null() || cell["standing"] == "ours", "{cell}");
        }
        assert_eq!(cells.iter().filter(|cell| !cell["goal"].is_null()).count(), goals);
        // Two contestants with 1 and 64 tasks.
        assert_eq!(array(backend, "scale").len(), 4);
        for size in array(backend, "sizes") {
            let bytes = size["bytes"].as_f64().unwrap();
            let is_entry = size["what"].as_str().unwrap().contains("index entry, MEMORY");
            assert!(bytes > if is_entry { 16.0 } else { 380.0 }, "{size}");
        }
    }
    // At two numbers of sessions: the bare value, and ours without and with a subject.
    assert_eq!(array(&backends[0], "sizes").len(), 6);
    // The bare value; two codecs, each anonymous, with subject, and the index entry of that.
    assert_eq!(array(&backends[1], "sizes").len(), 7);
    assert_eq!(array(&report, "tokens").len(), 2);
    for backend in ["## memory: ", "## redis: ", "## tokens"] {
        assert!(text.contains(backend), "{text}");
    }
}

#[test]
fn a_mistake_on_the_command_line_is_told() {
    let output = bench(&["mongodb"]);
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("unknown: mongodb") && errors.contains("--rounds"), "{errors}");
}
