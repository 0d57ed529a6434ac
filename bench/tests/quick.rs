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
    let output = bench(&["--json", path]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("redis: touch, 64 at a time"), "no progress: {errors}");

    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("the figures mean nothing") && text.contains("bench-quick.json"));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    std::fs::remove_file(&json).unwrap();
    assert_eq!(report["payload"]["raw"], 472);

    let backends = array(&report, "backends");
    let http = backends.last().unwrap();
    assert_eq!((http["name"].as_str(), array(http, "cells").len()), (Some("http"), 2 * 2));
    let expected = [
        ("memory", 2, 10),
        ("redis", 3, 10),
        ("postgres", 3, 10),
        ("mongo", 2, 10),
        ("dynamo", 2, 8),
    ];
    assert_eq!(backends.len(), expected.len() + 1);
    for (backend, (name, contestants, goals)) in backends.iter().zip(expected) {
        assert_eq!(backend["name"], name);
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
            let what = size["what"].as_str().unwrap();
            let least = match size["unit"].as_str().unwrap() {
                "share" => 0.0,
                _ if what.contains("index entry") || what == "touch, write-ahead log" => 16.0,
                _ => 380.0,
            };
            assert!(size["value"].as_f64().unwrap() > least, "{size}");
        }
    }
    // At two numbers of sessions: the bare value, and ours without and with a subject.
    assert_eq!(array(&backends[0], "sizes").len(), 6);
    // The bare value; two codecs, each anonymous, with subject, and the index entry of that.
    assert_eq!(array(&backends[1], "sizes").len(), 7);
    // The bare value, and two codecs, each anonymous and with subject; log and HOT share of touch and update, twice.
    assert_eq!(array(&backends[2], "sizes").len(), 5 + 8);
    assert_eq!(array(&backends[3], "sizes").len(), 5);
    // With the index entries of those with a subject.
    assert_eq!(array(&backends[4], "sizes").len(), 5 + 2);
    assert_eq!(array(&report, "tokens").len(), 2);
    for backend in [
        "## memory: ",
        "## redis: ",
        "## postgres: ",
        "## mongo: ",
        "## dynamo: ",
        "## http: ",
        "## tokens",
    ] {
        assert!(text.contains(backend), "{text}");
    }
}

#[test]
fn a_mistake_on_the_command_line_is_told() {
    let output = bench(&["oracle"]);
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("unknown: oracle") && errors.contains("--rounds"), "{errors}");
}

#[test]
fn an_error_is_told_with_what_it_comes_from() {
    // Nobody listens there, which the driver's own error does not say.
    let output =
        bench(&["dynamo", "--dynamo-url", "dynamodb://127.0.0.1:1?region=eu-west-1&table=none"]);
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("  caused by: Connection refused"), "{errors}");
    assert!(output.stdout.is_empty(), "nothing was measured");
}

#[test]
fn an_error_does_not_take_what_was_measured_before() {
    let json = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-partial.json");
    let path = json.to_str().unwrap();
    let output = bench(&[
        "memory",
        "dynamo",
        "--only",
        "load",
        "--dynamo-url",
        "dynamodb://127.0.0.1:1?region=eu-west-1&table=none",
        "--json",
        path,
    ]);
    assert!(!output.status.success(), "the run went wrong, and says so");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("## memory: ") && !text.contains("## dynamo: "), "{text}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    std::fs::remove_file(&json).unwrap();
    assert_eq!(array(&report, "backends").len(), 1);
}
