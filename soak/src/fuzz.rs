//! Mutated inputs for what must hold for any bytes, on all cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;

use session_core::fuzz::{payload, token};
use session_core::{Codec, OsRandom, PageRequest, SessionStore, SessionToken, Sessions, SystemClock, Clock};
use session_memory::MemoryStore;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::backend::seed;
use crate::meter::{LOOK_EVERY, Meter, is_stopped, sleep};

/// Inputs between two looks at the counter.
const BATCH: u64 = 1_000;

type Target = (&'static str, fn(&[u8]) -> bool, Vec<Vec<u8>>);

pub(crate) async fn run(count: u64, meter: &Meter) -> Outcome {
    let targets: Arc<[Target]> = Arc::new([
        ("token", token as fn(&[u8]) -> bool, tokens()?),
        ("payload", payload, payloads().await?),
    ]);
    let cores = available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let (seed, left) = (seed(), Arc::new(AtomicU64::new(count)));
    let mut workers = JoinSet::new();
    for core in 0..cores {
        let (targets, left) = (Arc::clone(&targets), Arc::clone(&left));
        workers.spawn_blocking(move || work(&targets, &left, seed.wrapping_add(core) | 1));
    }
    let mut accepted = [0; 2];
    while !workers.is_empty() {
        let done = count - left.load(Ordering::Relaxed).min(count);
        meter.show(done, count, "inputs");
        sleep(LOOK_EVERY).await;
        while let Some(ended) = workers.try_join_next() {
            let more = ended.map_err(|panic| format!("an input broke a promise: {panic}, seed {seed:#x}"))?;
            accepted = [accepted[0] + more[0], accepted[1] + more[1]];
        }
    }
    let done = count - left.load(Ordering::Relaxed).min(count);
    let each = done / 2;
    for ((name, ..), accepted) in targets.iter().zip(accepted) {
        // Next to nothing or next to all would make it blunt.
        let share = accepted * 1_000 / each.max(1);
        if done == count && !(1..900).contains(&share) {
            return Err(format!("{accepted} of {each} inputs of {name} were accepted").into());
        }
    }
    let [tokens, payloads] = accepted;
    Ok(format!("{done} inputs on {cores} cores, {tokens} tokens and {payloads} payloads accepted, seed {seed:#x}"))
}

/// Takes batches until none is left; answers how many inputs of each target were accepted.
fn work(targets: &[Target], left: &AtomicU64, seed: u64) -> [u64; 2] {
    let mut choices = Choices(seed);
    let mut accepted = [0; 2];
    let mut input = Vec::new();
    let less = |left: u64| (left > 0).then(|| left.saturating_sub(BATCH));
    while !is_stopped()
        && let Ok(before) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
    {
        for number in 0..before.min(BATCH) {
            let place = usize::from(number % 2 == 1);
            let (_, accepts, corpus) = &targets[place];
            input.clone_from(&corpus[choices.below(corpus.len())]);
            for _ in 0..=choices.below(3) {
                mutate(&mut input, corpus, &mut choices);
            }
            let shown = Shown(&input);
            accepted[place] += u64::from(accepts(shown.0));
        }
    }
    accepted
}

/// Shows the input of a run that panics.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was {}", self.0.escape_ascii());
        }
    }
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], choices: &mut Choices) {
    let at = choices.below(input.len() + 1);
    let end = at + choices.below((input.len() - at).min(24) + 1);
    match choices.below(7) {
        0 if at < input.len() => input[at] ^= 1 << choices.below(8),
        1 if at < input.len() => input[at] = choices.byte(),
        2 => input.insert(at, choices.byte()),
        3 => drop(input.drain(at..end)),
        4 => {
            let repeated = input[at..end].to_vec();
            input.splice(at..at, repeated);
        }
        5 => {
            let other = &corpus[choices.below(corpus.len())];
            let from = choices.below(other.len());
            let to = from + choices.below((other.len() - from).min(24) + 1);
            input.splice(at..end, other[from..to].iter().copied());
        }
        _ => {
            let other = &corpus[choices.below(corpus.len())];
            input.truncate(at);
            input.extend_from_slice(&other[choices.below(other.len())..]);
        }
    }
}

fn tokens() -> conformance_tests::Result<Vec<Vec<u8>>> {
    (0..64).map(|_| Ok(SessionToken::random(&OsRandom)?.encode().as_bytes().to_vec())).collect()
}

/// What sessions of many shapes look like in a store, with each codec.
async fn payloads() -> conformance_tests::Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for codec in [Codec::Json, Codec::MessagePack] {
        let store = Arc::new(MemoryStore::new());
        let sessions = Sessions::builder(Arc::clone(&store)).codec(codec).build()?;
        for shape in 0_u64..64 {
            let mut request = sessions.open(None).await?;
            let data = request.data_mut();
            for key in 0..shape % 7 {
                data.insert(format!("key {key}"), &(key, shape, "é\u{0}\u{1F600}", -0.5))?;
            }
            data.insert("nested", &vec![vec![Some(shape)]; 3])?;
            data.insert("big", &(u64::MAX - shape))?;
            data.insert("text", &"x".repeat(usize::try_from(shape)?))?;
            data.flash("notice", "saved")?;
            let _ = sessions.commit(&mut request).await?;
        }
        let now = SystemClock.now();
        let inspect = store.inspect().ok_or("the memory store can be inspected")?;
        for summary in inspect.scan(&PageRequest::first(100), now).await?.items {
            let record = store.load(&summary.id, now).await?.ok_or("a session is there")?;
            found.push(record.payload().to_vec());
        }
    }
    Ok(found)
}

/// A small generator (xorshift64*).
struct Choices(u64);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    #[allow(clippy::cast_possible_truncation, reason = "below `end`, which is a usize")]
    fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 33) % end.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }
}
