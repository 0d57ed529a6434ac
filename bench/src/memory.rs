//! `session-memory` beside a `DashMap`.

use std::env;
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dashmap::DashMap;
use session_core::{BoxError, SessionId};
use session_memory::MemoryStore;

use crate::backend::{Arena, Backend, Contestant, Goal, Op, Server, Standing};
use crate::heap::HeapSize;
use crate::home::Home;
use crate::options::Settings;
use crate::ours::StoreContestant;
use crate::plain::{Client, Plain};
use crate::report::{Bound, Size, Unit};

const GOALS: &[Goal] = &[
    Goal { op: Op::Load, ratios: [0.50, 0.50] },
    Goal { op: Op::Create, ratios: [0.60, 0.60] },
    Goal { op: Op::CreateWithSubject, ratios: [0.40, 0.40] },
    Goal { op: Op::Update, ratios: [0.80, 0.80] },
    Goal { op: Op::Touch, ratios: [0.85, 0.85] },
];

/// At the large number of sessions.
const SIZE_GOAL: f64 = 750.0;

pub(crate) struct Memory;

#[async_trait]
impl Backend for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn goals(&self) -> &'static [Goal] {
        GOALS
    }

    fn scale_goal(&self) -> Option<f64> {
        None
    }

    async fn open(&self, settings: &Settings) -> Result<Arena, BoxError> {
        let map: Arc<DashMap<u128, Bytes>> = Arc::default();
        let raw = Plain {
            name: "DashMap".into(),
            standing: Standing::Raw,
            client: Box::new(move || Box::new(Map(Arc::clone(&map)))),
            value: settings.payloads.raw.clone(),
        };
        let json = &settings.payloads.json;
        let ours = StoreContestant::new("session-memory", Standing::Ours, store()?, json)?;
        let contestants: Vec<Box<dyn Contestant>> = vec![Box::new(raw), Box::new(ours)];
        Ok(Arena { contestants, server: Box::new(ThisProcess(Home::this_process())) })
    }

    async fn sizes(&self, settings: &Settings) -> Result<Vec<Size>, BoxError> {
        let counts = settings.scale.map(|count| count.to_string());
        let mut command = heap_program(settings)?;
        let output = command.args(counts).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("the program `heap`: {}", output.status).into());
        }
        let heap: Vec<HeapSize> = serde_json::from_slice(&output.stdout)?;
        let size = |heap: HeapSize| {
            let is_goal = heap.ours && heap.sessions == settings.scale[1];
            Size {
                contestant: if heap.ours { "session-memory" } else { "DashMap" }.into(),
                what: format!("{}, heap", heap.what),
                sessions: heap.sessions,
                unit: Unit::Bytes,
                value: heap.bytes,
                goal: is_goal.then_some(Bound::at_most(SIZE_GOAL, heap.bytes)),
            }
        };
        Ok(heap.into_iter().map(size).collect())
    }
}

/// A store that is never full here.
pub(crate) fn store() -> Result<MemoryStore, BoxError> {
    Ok(MemoryStore::builder().max_sessions(1 << 32).max_bytes(1 << 48).build()?)
}

/// The given program, else the one that cargo builds from the same sources.
fn heap_program(settings: &Settings) -> Result<Command, BoxError> {
    if let Some(program) = &settings.options.heap_program {
        return Ok(Command::new(program));
    }
    let cargo =
        env::var_os("CARGO").ok_or("run this program by cargo, or name `--heap-program`")?;
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--package", "bench", "--bin", "heap"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.arg("--").current_dir(env!("CARGO_MANIFEST_DIR"));
    Ok(command)
}

struct ThisProcess(Home);

#[async_trait]
impl Server for ThisProcess {
    fn home(&self) -> &Home {
        &self.0
    }

    async fn clean_up(&self) -> Result<(), BoxError> {
        Ok(())
    }
}

struct Map(Arc<DashMap<u128, Bytes>>);

fn key(id: &SessionId) -> u128 {
    u128::from_ne_bytes(*id.as_bytes())
}

#[async_trait]
impl Client for Map {
    async fn load(&mut self, id: &SessionId) -> Result<bool, BoxError> {
        let value = self.0.get(&key(id)).map(|value| value.clone());
        Ok(black_box(value).is_some())
    }

    async fn create(&mut self, id: &SessionId, value: Bytes) -> Result<(), BoxError> {
        self.0.insert(key(id), value);
        Ok(())
    }

    async fn update(&mut self, id: &SessionId, value: Bytes) -> Result<(), BoxError> {
        self.0.insert(key(id), value);
        Ok(())
    }

    /// There is nothing to prolong: finding the value for writing is the least that a touch does.
    async fn touch(&mut self, id: &SessionId) -> Result<bool, BoxError> {
        Ok(black_box(self.0.get_mut(&key(id))).is_some())
    }

    async fn delete(&mut self, id: &SessionId) -> Result<bool, BoxError> {
        Ok(self.0.remove(&key(id)).is_some())
    }
}
