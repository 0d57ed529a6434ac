//! Contestants beside each other: in every round each of them does the same number of the same operations,
//! and the order changes from round to round.

use std::time::{Duration, Instant};

use session_core::BoxError;

use crate::backend::{Arena, Backend, Batch, Contestant, Op, Server, Standing, TASKS};
use crate::options::Settings;
use crate::report::{Bound, Cell, Sample};
use crate::sessions::{Population, Work};
use crate::stats::Spread;

/// Sessions of one chunk while a store is filled.
const CHUNK: usize = 500;
/// Chunks that are written at a time.
const FILLERS: usize = 64;
/// From one word on how far the filling is to the next.
const PROGRESS: Duration = Duration::from_secs(10);

/// Measures every operation that is asked for, of every contestant.
pub(crate) async fn measure(
    backend: &dyn Backend,
    arena: &Arena,
    settings: &Settings,
) -> Result<Vec<Cell>, BoxError> {
    let mut operations = settings.options.operations();
    operations.retain(|op| backend.operations().contains(op));
    if operations.is_empty() {
        return Ok(Vec::new());
    }
    let (name, server) = (backend.name(), arena.server.home().description());
    eprintln!("{name}: {server}, storing {} sessions", settings.population);
    let mut lanes = Vec::new();
    for contestant in &arena.contestants {
        let mut population = Population::new(settings.population, 1)?;
        fill(&**contestant, &mut population).await?;
        lanes.push(Lane { contestant: &**contestant, population });
    }
    let mut cells = Vec::new();
    for op in operations {
        for (at, tasks) in TASKS.into_iter().enumerate() {
            if !backend.tasks().contains(&tasks) {
                continue;
            }
            eprintln!("{}: {op}, {tasks} at a time", backend.name());
            let goal = backend.goals().iter().find(|goal| goal.op == op);
            let goal = goal.map(|goal| goal.ratios[at]);
            let samples = rounds(&mut lanes, op, tasks, &*arena.server, settings).await?;
            cells.extend(cells_of(&lanes, op, tasks, goal, samples)?);
        }
    }
    Ok(cells)
}

/// A contestant and what it holds.
struct Lane<'a> {
    contestant: &'a dyn Contestant,
    population: Population,
}

/// One list of samples for each lane, one sample for each round.
async fn rounds(
    lanes: &mut [Lane<'_>],
    op: Op,
    tasks: usize,
    server: &dyn Server,
    settings: &Settings,
) -> Result<Vec<Vec<Sample>>, BoxError> {
    // The same for all: as many as suit the raw driver.
    let Lane { contestant, population } = &mut lanes[0];
    let most = Plan { op, tasks, count: settings.phase_operations };
    let count = operations_per_phase(*contestant, population, most, server, settings.phase).await?;
    let mut samples = vec![Vec::new(); lanes.len()];
    for round in 0..settings.options.rounds {
        for turn in 0..lanes.len() {
            let at = (turn + round) % lanes.len();
            let Lane { contestant, population } = &mut lanes[at];
            // Brings this contestant's data back into the caches.
            let warm_up = count.div_ceil(4);
            phase(*contestant, population, Plan { op, tasks, count: warm_up }, server).await?;
            let mut sample = Sample::default();
            while sample.seconds < settings.options.seconds {
                sample += phase(*contestant, population, Plan { op, tasks, count }, server).await?;
            }
            samples[at].push(sample);
        }
    }
    Ok(samples)
}

/// What is done in one go: prepared, then timed as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) op: Op,
    pub(crate) tasks: usize,
    /// By each task.
    pub(crate) count: usize,
}

/// Does it, and undoes it where something would pile up.
pub(crate) async fn phase(
    contestant: &dyn Contestant,
    population: &mut Population,
    Plan { op, tasks, count }: Plan,
    server: &dyn Server,
) -> Result<Sample, BoxError> {
    let works: Vec<Vec<Work>> = (0..tasks)
        .map(|task| population.work(op, (task, tasks), count))
        .collect::<Result<_, _>>()?;
    let prepare = |op| works.iter().map(|works| contestant.prepare(op, works)).collect::<Vec<_>>();
    if op == Op::Delete {
        run_all(prepare(Op::Create)).await?;
    }
    let batches = prepare(op);
    let used_before = server.used_time().await?;
    let elapsed = run_all(batches).await?;
    let used_after = server.used_time().await?;
    if matches!(op, Op::Create | Op::CreateWithSubject) {
        run_all(prepare(Op::Delete)).await?;
    }
    let used = used_before.zip(used_after).map(|(before, after)| after.saturating_sub(before));
    Ok(Sample {
        operations: tasks * count,
        seconds: elapsed.as_secs_f64(),
        server_seconds: used.map(|used| used.as_secs_f64()),
    })
}

/// Runs each batch in a task of its own and answers the time until the last has ended. What the batches
/// hold is dropped outside of that time.
pub(crate) async fn run_all(batches: Vec<Box<dyn Batch>>) -> Result<Duration, BoxError> {
    let start = Instant::now();
    let tasks: Vec<_> = batches
        .into_iter()
        .map(|mut batch| {
            tokio::spawn(async move {
                let result = batch.run().await;
                (result, batch)
            })
        })
        .collect();
    let mut finished = Vec::with_capacity(tasks.len());
    for task in tasks {
        finished.push(task.await?);
    }
    let elapsed = start.elapsed();
    for (result, _) in finished {
        result?;
    }
    Ok(elapsed)
}

/// Stores so many new sessions, one after the other.
pub(crate) async fn store(
    contestant: &dyn Contestant,
    op: Op,
    sessions: usize,
) -> Result<(), BoxError> {
    let works = Population::new(0, 1)?.work(op, (0, 1), sessions)?;
    run_all(vec![contestant.prepare(op, &works)]).await.map(drop)
}

/// Stores the whole population, and tells how far it is: a million sessions take some servers long.
pub(crate) async fn fill(
    contestant: &dyn Contestant,
    population: &mut Population,
) -> Result<(), BoxError> {
    let (name, all) = (contestant.name(), population.sessions.len());
    let mut stored = 0;
    let mut told_at = Instant::now();
    for works in population.creates(CHUNK).chunks(FILLERS) {
        let prepare = |works: &Vec<Work>| contestant.prepare(Op::CreateWithSubject, works);
        run_all(works.iter().map(prepare).collect()).await?;
        stored += works.iter().map(Vec::len).sum::<usize>();
        if stored < all && told_at.elapsed() >= PROGRESS {
            eprintln!("{name}: {stored} of {all} sessions stored");
            told_at = Instant::now();
        }
    }
    Ok(())
}

/// As many for each task as the contestant does in the time of a phase, `most` of all tasks together.
pub(crate) async fn operations_per_phase(
    contestant: &dyn Contestant,
    population: &mut Population,
    Plan { op, tasks, count: most }: Plan,
    server: &dyn Server,
    time: Duration,
) -> Result<usize, BoxError> {
    let most = (most / tasks).max(1);
    let mut count = most.min(4);
    loop {
        let sample = phase(contestant, population, Plan { op, tasks, count }, server).await?;
        if sample.seconds >= time.as_secs_f64() / 2.0 || count == most {
            return Ok(count);
        }
        count = most.min(count * 2);
    }
}

fn cells_of(
    lanes: &[Lane<'_>],
    op: Op,
    tasks: usize,
    goal: Option<f64>,
    samples: Vec<Vec<Sample>>,
) -> Result<Vec<Cell>, BoxError> {
    let raw = samples.first().cloned().unwrap_or_default();
    let mut cells = Vec::new();
    for (lane, rounds) in lanes.iter().zip(samples) {
        let standing = lane.contestant.standing();
        let paired = rounds.iter().zip(&raw).map(|(own, raw)| own.rate() / raw.rate()).collect();
        let ratio = Spread::of(paired).filter(|_| standing != Standing::Raw);
        let goal = goal.filter(|_| standing == Standing::Ours).zip(ratio);
        let rates = Spread::of(rounds.iter().map(Sample::rate).collect());
        cells.push(Cell {
            operation: op,
            tasks,
            contestant: lane.contestant.name().into(),
            standing,
            operations_per_second: rates.ok_or("there was no round")?,
            ratio,
            goal: goal.map(|(goal, ratio)| Bound::at_least(goal, ratio.median)),
            server_microseconds: Spread::of(
                rounds.iter().filter_map(Sample::server_microseconds).collect(),
            ),
            rounds,
        });
    }
    Ok(cells)
}
