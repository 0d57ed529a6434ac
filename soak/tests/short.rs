//! The long runs, made short, so that they are known to work when they are needed.

use std::process::{Command, Output};

fn soak(arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_soak"));
    command.args(arguments.split_whitespace()).output().expect("it runs")
}

fn lines(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    text.lines().skip_while(|line| !line.starts_with("|---")).skip(1).map(str::to_owned).collect()
}

#[test]
fn the_memory_store_keeps_an_order_and_purges() {
    let lines = lines(&soak("histories purge --backend memory --percent 1 --seed 7"));
    let [histories, purge] = &lines[..] else { panic!("{lines:?}") };
    assert!(histories.starts_with("| histories | memory | ok |"), "{histories}");
    assert!(histories.contains("100 histories") && histories.contains("seed 7"), "{histories}");
    assert!(purge.contains("10000 records in 11 batches of at most 1000"), "{purge}");
}

#[cfg(unix)]
#[test]
fn servers_are_killed_and_paused_and_nothing_is_lost() {
    let killed = lines(&soak("kills --backend redis --backend postgres --percent 1"));
    assert_eq!(killed.len(), 2, "{killed:?}");
    for (line, backend) in killed.iter().zip(["redis", "postgres"]) {
        assert!(line.starts_with(&format!("| kills | {backend} | ok |")), "{line}");
        assert!(line.contains("5 kills"), "{line}");
    }
    let paused = lines(&soak("load --backend redis --percent 1"));
    assert!(paused[0].contains("of outage") && paused[0].contains("MiB after"), "{paused:?}");
}

#[test]
fn a_run_without_its_backend_is_refused() {
    let output = soak("kills --backend memory");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("need another backend"));
}
