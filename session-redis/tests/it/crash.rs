//! An application that is killed while it writes.
//!
//! The application is this test binary once more, as a process of its own: it says what it is about to write
//! and what was acknowledged, until it is killed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use session_core::{
    CreateOutcome, PageRequest, Record, SessionId, SessionStore, SubjectIndex, UpdateOutcome,
};
use session_redis::RedisStore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::{alice, login, now, record_with, revision, shared_url, unique_name};

/// Names the server to write to without an end, and the prefix after it.
const WRITER: &str = "SESSION_TEST_WRITER";
/// Sessions that the application writes at the same time, and versions of each.
const WRITERS: usize = 8;
const VERSIONS: u32 = 12;

/// What a record holds, in a version: long enough to be torn.
fn payload(version: u32) -> String {
    format!("{version:08}").repeat(4_096)
}

/// The version that a record holds, whole.
fn version(record: &Record) -> u32 {
    let text = std::str::from_utf8(record.payload()).unwrap();
    let version = text[..8].parse().unwrap();
    assert!(text == payload(version), "a torn record");
    version
}

/// Tells what is about to happen to a session, or what has happened.
fn say(what: &str, id: &SessionId, version: u32) {
    println!("@ {what} {id} {version}");
}

/// One session from its login to its logout.
async fn write_one(store: &RedisStore) {
    let mut current = record_with(|parts| {
        parts.subject = Some(alice());
        parts.payload = payload(0).into();
    });
    let id = *current.id();
    say("write", &id, 0);
    assert_eq!(store.create(&current, now()).await.unwrap(), CreateOutcome::Created);
    say("wrote", &id, 0);
    for version in 1..=VERSIONS {
        let change = current.change(revision()).payload(payload(version));
        say("write", &id, version);
        assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
        say("wrote", &id, version);
        current = change.record().clone();
    }
    say("end", &id, VERSIONS);
    assert!(store.delete(&id, now()).await.unwrap());
    say("ended", &id, VERSIONS);
}

/// The application of the other tests. By itself it writes a few sessions and ends.
#[tokio::test(flavor = "multi_thread")]
async fn the_writer_of_these_tests_writes() {
    let named = std::env::var(WRITER).ok();
    let (url, prefix) = named.as_deref().and_then(|named| named.split_once(' ')).map_or_else(
        || (shared_url().to_owned(), unique_name()),
        |(u, p)| (u.to_owned(), p.to_owned()),
    );
    let store = RedisStore::builder().prefix(prefix).connect(&url).await.unwrap();
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, for_ever) = (store.clone(), named.is_some());
        writers.spawn(async move {
            loop {
                write_one(&store).await;
                if !for_ever {
                    break;
                }
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    let left = store.list(&alice(), &PageRequest::first(100), now()).await.unwrap();
    assert_eq!(left.items, []);
}

/// What the application said of a session.
#[derive(Debug, Default, Clone, Copy)]
struct Said {
    /// The version that was acknowledged.
    wrote: Option<u32>,
    /// The version that was to be written.
    write: Option<u32>,
    /// The logout was to be, and was acknowledged.
    end: bool,
    ended: bool,
}

impl Said {
    fn hear(&mut self, what: &str, version: u32) {
        match what {
            "write" => self.write = Some(version),
            "wrote" => self.wrote = Some(version),
            "end" => self.end = true,
            "ended" => self.ended = true,
            other => panic!("the application says {other}"),
        }
    }

    /// Whether this may be what is stored: what was acknowledged, or what was on its way.
    fn allows(self, found: Option<u32>) -> bool {
        match found {
            None => self.end || self.wrote.is_none(),
            Some(_) if self.ended => false,
            found => found == self.wrote || found == self.write,
        }
    }
}

struct Application(Child);

impl Application {
    fn start(prefix: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "crash::the_writer_of_these_tests_writes", "--nocapture"]);
        command.env(WRITER, format!("{} {prefix}", shared_url()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        Self(command.spawn().unwrap())
    }

    /// Lets it say so many lines, kills it, and answers with all that it said.
    fn killed_after(mut self, lines: usize) -> HashMap<SessionId, Said> {
        let mut output = BufReader::new(self.0.stdout.take().unwrap());
        let mut said: HashMap<SessionId, Said> = HashMap::new();
        let (mut line, mut heard) = (String::new(), 0);
        while output.read_line(&mut line).unwrap() > 0 {
            // A line that was cut off by the end was not said.
            if let Some(text) = line.strip_prefix("@ ").and_then(|text| text.strip_suffix('\n')) {
                let words: Vec<_> = text.split(' ').collect();
                let id = words[1].parse().unwrap();
                said.entry(id).or_default().hear(words[0], words[2].parse().unwrap());
                heard += 1;
                if heard == lines {
                    self.0.kill().unwrap();
                }
            }
            line.clear();
        }
        assert!(heard >= lines, "the application ended by itself");
        said
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f22_f24_an_application_that_is_killed_leaves_old_or_new_and_everybody_listed() {
    let name = unique_name();
    let store = RedisStore::builder().prefix(name.clone()).connect(shared_url()).await.unwrap();
    for round in 0..8 {
        let application = Application::start(&name);
        let said = tokio::task::spawn_blocking(move || application.killed_after(60 + 37 * round));
        let said = said.await.unwrap();
        let mut live = 0;
        for (id, said) in &said {
            let found = store.load(id, now()).await.unwrap();
            assert!(said.allows(found.as_ref().map(version)), "{said:?}");
            live += usize::from(found.is_some());
        }
        assert!(live > 0, "nothing was under way");
        // What was still on its way has arrived by now. Whoever is there is listed.
        let mut listed = Vec::new();
        let mut request = PageRequest::first(100);
        loop {
            let page = store.list(&alice(), &request, now()).await.unwrap();
            listed.extend(page.items.into_iter().map(|summary| summary.id));
            let Some(next) = page.next else { break };
            request = PageRequest::first(100).after(next);
        }
        for id in said.keys() {
            let found = store.load(id, now()).await.unwrap().is_some();
            assert_eq!(listed.contains(id), found);
        }
        store.delete_all(&alice(), None, now()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f24_a_thousand_calls_in_flight_end_within_the_deadline() {
    let store = RedisStore::builder().prefix(unique_name()).connect(shared_url()).await.unwrap();
    let calls: Vec<_> = (0..1_000)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.create(&login(), now()).await })
        })
        .collect();
    sleep(Duration::from_millis(1)).await;
    let drained = async {
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), CreateOutcome::Created);
        }
    };
    timeout(Duration::from_secs(5), drained).await.expect("all calls have ended");
    assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 1_000);
}
