//! Chapter "Round trips": what a call costs on the common path.

use crate::cx::{Cx, Line};
use crate::net::{Call, Claim, Verb};
use crate::report::Operation;
use crate::verdict::{Checked, ensure};

/// How often a call is made. The fewest round trips count: a script that the server forgot or a driver that
/// looks after its servers in between costs one more now and then, a detour costs it each time.
const TIMES: usize = 5;

/// The calls, and the operations that stand for them in reports.
const CALLS: [(Verb, Operation); 10] = [
    (Verb::Create, Operation::new("create", Some(1))),
    (Verb::CreateFor, Operation::new("create with an index entry", Some(2))),
    (Verb::Load, Operation::new("load", Some(1))),
    (Verb::Update, Operation::new("update", Some(1))),
    (Verb::Login, Operation::new("update with an index entry", Some(2))),
    (Verb::Touch, Operation::new("touch", Some(1))),
    (Verb::Delete, Operation::new("delete", Some(1))),
    (Verb::List, Operation::new("list", None)),
    (Verb::DeleteOne, Operation::new("delete_one", None)),
    (Verb::DeleteAll, Operation::new("delete_all", None)),
];

/// The operations that are counted.
pub(crate) fn operations() -> impl Iterator<Item = Operation> {
    CALLS.into_iter().map(|(_, operation)| operation)
}

pub(crate) async fn common_path_takes_one(cx: &Cx) -> Checked {
    let line = cx.line().await?;
    let there = Verb::of(&*line.store);
    for (verb, Operation { name, most }) in CALLS {
        if !there.contains(&verb) {
            continue;
        }
        let mut fewest = u64::MAX;
        for _ in 0..TIMES {
            fewest = fewest.min(count(cx, &line, verb).await?);
        }
        cx.note_round_trips(name, fewest);
        ensure!(fewest > 0, "{name} is answered without a round trip");
        if let Some(most) = most {
            ensure!(fewest <= most, "{name} takes {fewest} round trips, the most is {most}");
        }
    }
    Ok(())
}

/// What a call takes that finds what it expects.
async fn count(cx: &Cx, line: &Line, verb: Verb) -> Checked<u64> {
    let call = Call::prepare(cx, verb, "counted").await?;
    let before = line.proxy.trips();
    let answer = call.make(&line.store).await?;
    let trips = line.proxy.trips() - before;
    ensure!(call.claim(&answer) != Claim::Wrong, "{} answers {answer:?}", verb.name());
    Ok(trips)
}
