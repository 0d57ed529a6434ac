//! No container outlives what it was started for.

use std::thread;
use std::time::Duration;

use conformance_tests::servers::RedisContainer;
use libtest_mimic::{Failed, Trial};

use crate::child;
use crate::docker::{containers_of, docker, eventually, is_guarded};

const CONTAINER: [(&str, &str); 1] = [("SESSION_TEST_BACKEND", "container")];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("leftovers::none_after_a_drop", after_a_drop),
        Trial::test("leftovers::none_after_the_end_of_the_process", after_the_end),
        Trial::test("leftovers::none_after_sigkill", || {
            after_sigkill();
            Ok(())
        }),
        Trial::test("leftovers::none_after_sigkill_at_any_moment_of_a_start", || {
            while_it_starts();
            Ok(())
        }),
    ]
}

fn after_a_drop() -> Result<(), Failed> {
    for paused in [false, true] {
        let server = RedisContainer::start()?;
        let name = server.name().to_owned();
        if paused {
            server.pause()?;
        }
        drop(server);
        let filter = format!("name=^/{name}$");
        assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &filter]), "");
    }
    Ok(())
}

fn after_the_end() -> Result<(), Failed> {
    let (mut child, _) = child::holding(&CONTAINER);
    assert_eq!(containers_of(child.id()).len(), 1);
    drop(child.stdin.take());
    assert!(child.wait()?.success());
    eventually("the container goes", || containers_of(child.id()).is_empty());
    Ok(())
}

fn after_sigkill() {
    let (child, said) = child::holding(&CONTAINER);
    let process = child.id();
    assert!(said.contains("in a container of"), "{said}");
    assert_eq!(containers_of(process).len(), 1);
    child::kill(child);
    eventually("the container goes", || containers_of(process).is_empty());
}

/// Kills children at moments that are spread over a start, most of them before the container is ready.
fn while_it_starts() {
    let mut killed = Vec::new();
    for step in 0..12 {
        let child = child::start(&CONTAINER);
        killed.push(child.id());
        thread::sleep(Duration::from_millis(60 * step));
        child::kill(child);
    }
    for process in killed {
        // A container may come after its process is gone. When the guard is gone too, none will come.
        eventually("the guard ends", || !is_guarded(process));
        assert_eq!(containers_of(process), [""; 0]);
    }
}
