//! Load in a store of few sessions and in one of many.

use session_core::BoxError;

use crate::backend::{Arena, Backend, Op, Standing, TASKS};
use crate::options::Settings;
use crate::race::{self, Plan};
use crate::report::{Bound, Sample, Scale};
use crate::sessions::Population;
use crate::stats::Spread;

/// Measures the raw driver and our store, each with both numbers of sessions, on two servers. Nothing is
/// measured on a server that was named on the command line: it is one, and holds what it holds.
pub(crate) async fn measure(
    backend: &dyn Backend,
    settings: &Settings,
) -> Result<Vec<Scale>, BoxError> {
    let small = backend.open(settings).await?;
    if !small.server.home().is_private() {
        small.server.close().await?;
        return Ok(Vec::new());
    }
    let arenas = [small, backend.open(settings).await?];
    let mut populations = Vec::new();
    for (arena, sessions) in arenas.iter().zip(settings.scale) {
        eprintln!("{}: storing {sessions} sessions", backend.name());
        let mut population = Population::new(sessions, 1)?;
        for at in measured(arena) {
            race::fill(&*arena.contestants[at], &mut population).await?;
        }
        populations.push(population);
    }
    let mut results = Vec::new();
    for tasks in TASKS {
        eprintln!("{}: load in stores of two sizes, {tasks} at a time", backend.name());
        let samples = rounds(&arenas, &mut populations, tasks, settings).await?;
        results.extend(compare(backend, &arenas[0], settings, tasks, &samples)?);
    }
    for arena in arenas {
        drop(arena.contestants);
        arena.server.close().await?;
    }
    Ok(results)
}

/// The positions of the raw driver and of our store.
fn measured(arena: &Arena) -> Vec<usize> {
    let standing = |at: &usize| arena.contestants[*at].standing();
    (0..arena.contestants.len()).filter(|at| standing(at) != Standing::Beside).collect()
}

/// One contestant with one number of sessions.
struct Series {
    contestant: usize,
    arena: usize,
    samples: Vec<Sample>,
}

async fn rounds(
    arenas: &[Arena; 2],
    populations: &mut [Population],
    tasks: usize,
    settings: &Settings,
) -> Result<Vec<Series>, BoxError> {
    let pairs = measured(&arenas[0]).into_iter().flat_map(|at| [(at, 0), (at, 1)]);
    let mut all: Vec<_> = pairs
        .map(|(contestant, arena)| Series { contestant, arena, samples: Vec::new() })
        .collect();
    let Arena { contestants, server } = &arenas[0];
    let most = Plan { op: Op::Load, tasks, count: settings.scale_operations };
    let count = race::operations_per_phase(
        &*contestants[all[0].contestant],
        &mut populations[0],
        most,
        &**server,
        settings.phase,
    )
    .await?;
    for round in 0..settings.options.rounds {
        for turn in 0..all.len() {
            let at = (turn + round) % all.len();
            let Series { contestant, arena, samples } = &mut all[at];
            let Arena { contestants, server } = &arenas[*arena];
            let population = &mut populations[*arena];
            let plan = |count| Plan { op: Op::Load, tasks, count };
            let contestant = &*contestants[*contestant];
            race::phase(contestant, population, plan(count.div_ceil(4)), &**server).await?;
            let mut sample = Sample::default();
            while sample.seconds < settings.options.seconds {
                sample += race::phase(contestant, population, plan(count), &**server).await?;
            }
            samples.push(sample);
        }
    }
    Ok(all)
}

fn compare(
    backend: &dyn Backend,
    arena: &Arena,
    settings: &Settings,
    tasks: usize,
    all: &[Series],
) -> Result<Vec<Scale>, BoxError> {
    let mut results = Vec::new();
    for pair in all.chunks(2) {
        let [small, large] = pair else { return Err("a series is missing".into()) };
        let contestant = &*arena.contestants[small.contestant];
        let paired = small.samples.iter().zip(&large.samples);
        let times = paired.map(|(small, large)| small.rate() / large.rate()).collect();
        let times_as_long = Spread::of(times).ok_or("there was no round")?;
        let is_goal = contestant.standing() == Standing::Ours;
        let goal = backend.scale_goal().filter(|_| is_goal);
        results.push(Scale {
            contestant: contestant.name().into(),
            tasks,
            sessions: settings.scale,
            loads_per_second: [median(small)?, median(large)?],
            times_as_long,
            goal: goal.map(|goal| Bound::at_most(goal, times_as_long.median)),
        });
    }
    Ok(results)
}

fn median(series: &Series) -> Result<f64, BoxError> {
    let rates = series.samples.iter().map(Sample::rate).collect();
    Ok(Spread::of(rates).ok_or("there was no round")?.median)
}
