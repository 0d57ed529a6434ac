//! Chapter "Round trips": what a call costs on the common path.

use crate::cx::{Cx, Line};
use crate::net::{Call, Claim, Verb};
use crate::verdict::{Checked, ensure};

/// How often a call is made. The fewest round trips count: a script that the server forgot or a driver that
/// looks after its servers in between costs one more now and then, a detour costs it each time.
const TIMES: usize = 5;

/// Counted for reports, and no matter of this rule.
const ANY: u64 = u64::MAX;

/// The calls, their names in reports, and the most that the contract allows: of two the first writes the
/// index entry.
const CALLS: [(Verb, &str, u64); 10] = [
    (Verb::Create, "create", 1),
    (Verb::CreateFor, "create with an index entry", 2),
    (Verb::Load, "load", 1),
    (Verb::Update, "update", 1),
    (Verb::Login, "update with an index entry", 2),
    (Verb::Touch, "touch", 1),
    (Verb::Delete, "delete", 1),
    (Verb::List, "list", ANY),
    (Verb::DeleteOne, "delete_one", ANY),
    (Verb::DeleteAll, "delete_all", ANY),
];

pub(crate) async fn common_path_takes_one(cx: &Cx) -> Checked {
    let line = cx.line().await?;
    let there = Verb::of(&*line.store);
    for (verb, name, most) in CALLS.into_iter().filter(|(verb, ..)| there.contains(verb)) {
        let mut fewest = u64::MAX;
        for _ in 0..TIMES {
            fewest = fewest.min(count(cx, &line, verb).await?);
        }
        cx.note_round_trips(name, fewest);
        ensure!(fewest > 0, "{name} is answered without a round trip");
        ensure!(fewest <= most, "{name} takes {fewest} round trips, the most is {most}");
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
