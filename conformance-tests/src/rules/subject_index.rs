//! Chapter "Subject index".

use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Authentication, Change, PageRequest, Record, Revision, SessionStore, Subject, Timestamp,
    TouchOutcome, UpdateOutcome,
};

use crate::cx::{Cx, index_of, list_all, subject_in, walk_and_delete};
use crate::fresh::Fresh;
use crate::race::race;
use crate::rng::Rng;
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

/// The change by which `record` is logged in.
fn login(
    record: &Record,
    revision: Revision,
    subject: &Subject,
    until: Timestamp,
) -> Checked<Change> {
    let change = record.change(revision).login(subject.clone(), until);
    change.map_err(|error| Stop::failed(error.to_string()))
}

async fn updated(cx: &Cx, change: &Change) -> Checked<Record> {
    let answer = cx.store().update(change, cx.now()).await?;
    ensure_eq!(answer, UpdateOutcome::Updated, "updating from the stored revision");
    Ok(change.record().clone())
}

/// `count` stored sessions of the subject.
async fn sessions(cx: &Cx, subject: &Subject, count: usize) -> Checked<Vec<Record>> {
    let records: Vec<_> = (0..count).map(|_| cx.fresh().subject(subject).record()).collect();
    cx.create_all(&records).await?;
    Ok(records)
}

pub(crate) async fn exactly_the_live_sessions_are_listed(cx: &Cx) -> Checked {
    let (alice, bob, nobody) = (cx.subject("alice")?, cx.subject("bob")?, cx.subject("nobody")?);
    cx.create(&cx.fresh().record()).await?;
    let hers = sessions(cx, &alice, 3).await?;
    let his = sessions(cx, &bob, 2).await?;
    let short = cx.fresh().subject(&alice).idle(1_000).record();
    cx.create(&short).await?;
    cx.expect_list(&alice, &[&hers[0], &hers[1], &hers[2], &short]).await?;
    cx.expect_list(&bob, &[&his[0], &his[1]]).await?;
    cx.expect_list(&nobody, &[]).await?;
    ensure!(cx.other().delete(hers[1].id(), cx.now()).await?, "deleting a live record is `true`");
    cx.advance(1_000);
    cx.expect_list(&alice, &[&hers[0], &hers[2]]).await?;
    let answer = cx.store().touch(hers[0].id(), cx.after(7_200_000), cx.now()).await?;
    ensure_eq!(answer, TouchOutcome::Touched, "touching a live record");
    cx.advance(3_600_000);
    cx.expect_list(&alice, &[&hers[0]]).await?;
    cx.expect_list(&bob, &[]).await
}

pub(crate) async fn listed_when_the_login_has_returned(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let mut listed = Vec::new();
    for turn in 0..8 {
        let record = if turn % 2 == 0 {
            let record = cx.fresh().subject(&alice).record();
            cx.create(&record).await?;
            record
        } else {
            let anonymous = cx.fresh().record();
            cx.create(&anonymous).await?;
            updated(cx, &login(&anonymous, cx.revision(), &alice, cx.after(50_000_000))?).await?
        };
        listed.push(record);
        cx.expect_list(&alice, &listed.iter().collect::<Vec<_>>()).await?;
    }
    // A login that meets a conflict is no login.
    let anonymous = cx.fresh().record();
    cx.create(&anonymous).await?;
    let stale = login(&anonymous, cx.revision(), &alice, cx.after(50_000_000))?;
    updated(cx, &anonymous.change(cx.revision()).payload("newer")).await?;
    let answer = cx.other().update(&stale, cx.now()).await?;
    ensure_eq!(answer, UpdateOutcome::Conflict, "logging in from another revision");
    cx.expect_list(&alice, &listed.iter().collect::<Vec<_>>()).await
}

pub(crate) async fn rotation_changes_nothing_in_the_list(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let mut record = cx.fresh().subject(&alice).record();
    cx.create(&record).await?;
    for _ in 0..5 {
        record = updated(
            cx,
            &record.change(cx.revision()).rotate(cx.hash(), cx.after(30_000)).payload("rotated"),
        )
        .await?;
        for handle in cx.both() {
            let page = index_of(handle)?.list(&alice, &PageRequest::first(10), cx.now()).await?;
            ensure_eq!(page.items.len(), 1, "entries of one session after a rotation");
            ensure_eq!(page.items[0], record.summary(), "the entry");
        }
    }
    let again = login(&record, cx.revision(), &alice, record.deadline())?;
    record = updated(cx, &again.rotate(cx.hash(), cx.now())).await?;
    cx.expect_list(&alice, &[&record]).await
}

pub(crate) async fn delete_all_deletes_and_counts(cx: &Cx) -> Checked {
    let (alice, bob) = (cx.subject("alice")?, cx.subject("bob")?);
    let anonymous = cx.fresh().record();
    cx.create(&anonymous).await?;
    let hers = sessions(cx, &alice, 7).await?;
    let his = sessions(cx, &bob, 3).await?;
    // Not live ones are not counted.
    let over = cx.fresh().subject(&alice).idle(1_000).record();
    cx.create(&over).await?;
    cx.store().delete(hers[6].id(), cx.now()).await?;
    cx.advance(1_000);
    let index = index_of(cx.other())?;
    ensure_eq!(index.delete_all(&alice, None, cx.now()).await?, 6, "live sessions deleted");
    for record in hers.iter().chain([&over]) {
        cx.expect_none(record.id()).await?;
    }
    cx.expect_list(&alice, &[]).await?;
    ensure_eq!(index.delete_all(&alice, None, cx.now()).await?, 0, "live sessions the second time");
    cx.expect_list(&bob, &his.iter().collect::<Vec<_>>()).await?;
    for record in his.iter().chain([&anonymous]) {
        cx.expect(record).await?;
    }
    // The subject can log in again.
    let new = cx.fresh().subject(&alice).record();
    cx.create(&new).await?;
    cx.expect_list(&alice, &[&new]).await?;
    // More sessions than any page holds.
    let many = cx.rounds(1_100);
    sessions(cx, &alice, many).await?;
    let deleted = cx.index()?.delete_all(&alice, Some(new.id()), cx.now()).await?;
    ensure_eq!(deleted, many as u64, "live sessions deleted, more than a page of them");
    cx.expect_list(&alice, &[&new]).await
}

pub(crate) async fn delete_all_leaves_the_exception(cx: &Cx) -> Checked {
    let (alice, bob) = (cx.subject("alice")?, cx.subject("bob")?);
    let hers = sessions(cx, &alice, 4).await?;
    let his = sessions(cx, &bob, 1).await?;
    let deleted = cx.index()?.delete_all(&alice, Some(hers[2].id()), cx.now()).await?;
    ensure_eq!(deleted, 3, "live sessions deleted");
    cx.expect(&hers[2]).await?;
    cx.expect_list(&alice, &[&hers[2]]).await?;
    // An exception that is not one of the subject's spares nothing, and loses nothing.
    for stranger in [*his[0].id(), cx.id(), *hers[0].id()] {
        let more = sessions(cx, &alice, 2).await?;
        cx.index()?.delete_all(&alice, Some(&stranger), cx.now()).await?;
        for record in &more {
            cx.expect_none(record.id()).await?;
        }
        cx.expect_list(&alice, &[]).await?;
    }
    cx.expect(&his[0]).await?;
    // The exception may be rotated at the same time, and survives with its new secret.
    let handles = cx.handles(4).await?;
    for _ in 0..cx.rounds(10) {
        let current = cx.fresh().subject(&alice).record();
        cx.create(&current).await?;
        let others = sessions(cx, &alice, 3).await?;
        let now = cx.now();
        let rotation = current.change(cx.revision()).rotate(cx.hash(), now);
        let (rotating, deleting) = (Arc::clone(&handles[0]), Arc::clone(&handles[2]));
        let (change, subject, except) = (rotation.clone(), alice.clone(), *current.id());
        let answers = race([
            Box::pin(
                async move { Ok(rotating.update(&change, now).await? == UpdateOutcome::Updated) },
            ) as std::pin::Pin<Box<dyn Future<Output = Checked<bool>> + Send>>,
            Box::pin(async move {
                Ok(index_of(&deleting)?.delete_all(&subject, Some(&except), now).await? == 3)
            }),
        ])
        .await?;
        for answer in answers {
            ensure!(answer?, "the rotation is stored, and the three others are deleted");
        }
        cx.expect(rotation.record()).await?;
        for record in &others {
            cx.expect_none(record.id()).await?;
        }
        cx.store().delete(current.id(), cx.now()).await?;
    }
    Ok(())
}

pub(crate) async fn delete_one_only_for_its_subject(cx: &Cx) -> Checked {
    let (alice, bob) = (cx.subject("alice")?, cx.subject("bob")?);
    let tenant = subject_in("tenant", "alice")?;
    let hers = sessions(cx, &alice, 2).await?;
    let his = sessions(cx, &bob, 1).await?;
    let anonymous = cx.fresh().record();
    let over = cx.fresh().subject(&alice).idle(1_000).record();
    cx.create_all(&[anonymous.clone(), over.clone()]).await?;
    cx.advance(1_000);
    let index = index_of(cx.other())?;
    for (subject, id) in [
        (&alice, *his[0].id()),
        (&bob, *hers[0].id()),
        (&tenant, *hers[0].id()),
        (&alice, *anonymous.id()),
        (&alice, *over.id()),
        (&alice, cx.id()),
    ] {
        let deleted = index.delete_one(subject, &id, cx.now()).await?;
        ensure!(!deleted, "deleting what is not a live session of the subject is `false`");
    }
    for record in [&hers[0], &hers[1], &his[0], &anonymous] {
        cx.expect(record).await?;
    }
    ensure!(index.delete_one(&alice, hers[0].id(), cx.now()).await?, "her session is deleted");
    ensure!(!index.delete_one(&alice, hers[0].id(), cx.now()).await?, "and only once");
    cx.expect_none(hers[0].id()).await?;
    cx.expect_list(&alice, &[&hers[1]]).await?;
    cx.expect(&hers[1]).await?;
    // Also one whose subject came by an update.
    let logged_in = login(&anonymous, cx.revision(), &alice, cx.after(50_000_000))?;
    updated(cx, &logged_in).await?;
    ensure!(!index.delete_one(&bob, anonymous.id(), cx.now()).await?, "it is not his");
    ensure!(index.delete_one(&alice, anonymous.id(), cx.now()).await?, "it is hers now");
    cx.expect_none(anonymous.id()).await
}

pub(crate) async fn pages_are_bounded_and_complete(cx: &Cx) -> Checked {
    let (alice, bob) = (cx.subject("alice")?, cx.subject("bob")?);
    sessions(cx, &bob, 5).await?;
    let mut expected = Vec::new();
    for count in [0, 1, 6, 23] {
        let more = sessions(cx, &alice, count).await?;
        expected.extend(more.iter().map(|record| *record.id()));
        expected.sort_unstable();
        for limit in [1, 2, 7, 30, 1_000] {
            let seen = list_all(cx.other(), &alice, limit, cx.now()).await?;
            let seen: Vec<_> = seen.iter().map(|summary| summary.id).collect();
            ensure_eq!(seen, expected, "a walk in pages of {limit}");
        }
    }
    // While others come and go, those that stay are all seen.
    let handles = cx.handles(4).await?;
    let now = cx.now();
    for _ in 0..cx.rounds(6) {
        let contenders = handles.iter().enumerate().map(|(place, handle)| {
            let (handle, subject, expected) = (Arc::clone(handle), alice.clone(), expected.clone());
            let mut rng = cx.rng();
            async move {
                if place == 0 {
                    let seen = list_all(&handle, &subject, 3, now).await?;
                    for id in &expected {
                        let listed = seen.iter().any(|summary| summary.id == *id);
                        ensure!(listed, "a session that was live throughout is not listed");
                    }
                    return Ok(());
                }
                for _ in 0..10 {
                    let record = Fresh::new(rng.fork(), now).subject(&subject).record();
                    handle.create(&record, now).await?;
                    handle.delete(record.id(), now).await?;
                }
                Ok(())
            }
        });
        race(contenders).await?.into_iter().collect::<Checked>()?;
    }
    // While those that were seen go: the others are not passed over.
    let seen = walk_and_delete(cx.store(), Some(&alice), 4, cx.now()).await?;
    ensure_eq!(seen, expected, "a walk that deletes what it has seen");
    cx.expect_list(&alice, &[]).await?;
    // Many, in the largest pages.
    let count = cx.rounds(1_500);
    let many = sessions(cx, &bob, count).await?;
    for limit in [1_000, 64] {
        let seen = list_all(cx.store(), &bob, limit, cx.now()).await?;
        ensure_eq!(seen.len(), many.len() + 5, "a long walk in pages of {limit}");
    }
    Ok(())
}

pub(crate) async fn subjects_are_compared_as_bytes(cx: &Cx) -> Checked {
    let longest = "n".repeat(Subject::MAX_NAME_LEN);
    let almost = format!("{}m", "n".repeat(Subject::MAX_NAME_LEN - 1));
    let realm = "r".repeat(63);
    let names: Vec<(&str, &str)> = vec![
        ("", "alice"),
        ("", "alic"),
        ("", "alice2"),
        ("", "Alice"),
        ("", "ALICE"),
        ("", "alice "),
        ("", " alice"),
        ("", "alice\n"),
        ("", "al%"),
        ("", "al_ce"),
        ("", "alice*"),
        ("", "ali?e"),
        ("", "{alice}"),
        ("", ":alice"),
        ("", "\u{e9}"),
        ("", "e\u{301}"),
        ("", "\u{df}"),
        ("", "ss"),
        ("", "\u{131}"),
        ("", "i"),
        ("", "$where"),
        ("", "'; --"),
        ("", "0"),
        ("", "null"),
        ("", "\u{1}"),
        ("", "\u{10ffff}"),
        ("tenant", "alice"),
        ("Tenant", "alice"),
        ("tenan", "talice"),
        ("tenantalice", "x"),
        ("a:b", "c"),
        ("a", "b:c"),
        ("a", ":b:c"),
        ("", longest.as_str()),
        ("", almost.as_str()),
        (realm.as_str(), longest.as_str()),
        (realm.as_str(), almost.as_str()),
    ];
    let mut known = Vec::new();
    for (realm, name) in &names {
        let subject = subject_in(realm, name)?;
        let record = cx.fresh().subject(&subject).record();
        cx.create(&record).await?;
        known.push((subject, record));
    }
    for (subject, record) in &known {
        cx.expect(record).await?;
        cx.expect_list(subject, &[record]).await?;
        let page = cx.index()?.list(subject, &PageRequest::first(5), cx.now()).await?;
        ensure_eq!(page.items[0].subject.as_ref(), Some(subject), "the subject in the summary");
    }
    // Deleting one's sessions deletes nobody else's.
    while let Some((subject, record)) = known.pop() {
        let deleted = cx.index()?.delete_all(&subject, None, cx.now()).await?;
        ensure_eq!(deleted, 1, "live sessions of the subject");
        cx.expect_none(record.id()).await?;
        for (_, left) in &known {
            let seen = cx.other().load(left.id(), cx.now()).await?;
            ensure!(seen.is_some(), "a session of another subject was deleted");
        }
    }
    Ok(())
}

pub(crate) async fn no_earlier_login_survives_delete_all(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let handles = cx.handles(4).await?;
    for round in 0..cx.rounds(25) {
        // Logged in before: half of them by an update.
        let mut earlier = sessions(cx, &alice, 4).await?;
        for _ in 0..4 {
            let anonymous = cx.fresh().record();
            cx.create(&anonymous).await?;
            let change = login(&anonymous, cx.revision(), &alice, cx.after(50_000_000))?;
            earlier.push(updated(cx, &change).await?);
        }
        let now = cx.now();
        let contenders = handles.iter().cycle().take(16).enumerate().map(|(place, handle)| {
            let (handle, subject, mut rng) = (Arc::clone(handle), alice.clone(), cx.rng());
            let known = earlier[place % earlier.len()].clone();
            async move {
                match place {
                    0 => {
                        index_of(&handle)?.delete_all(&subject, None, now).await?;
                        Ok(None)
                    }
                    1..=4 => log_in_new(&handle, &subject, &mut rng, now).await.map(Some),
                    5..=10 => {
                        let revision = Revision::from_bytes(rng.bytes());
                        let change = login(&known, revision, &subject, known.deadline())?;
                        let later = known.expires_at().plus(Duration::from_secs(60));
                        handle.update(&change.expires_at(later).payload("late"), now).await?;
                        Ok(None)
                    }
                    _ => {
                        let later = known.expires_at().plus(Duration::from_secs(60));
                        handle.touch(known.id(), later, now).await?;
                        Ok(None)
                    }
                }
            }
        });
        let mut new = Vec::new();
        for answer in race(contenders).await? {
            new.extend(answer?);
        }
        for record in &earlier {
            let seen = cx.load(record.id()).await?;
            ensure!(seen.is_none(), "round {round}: an earlier login is alive: {seen:?}");
        }
        // A login during the call is either dead or listed.
        let mut survivors = Vec::new();
        for record in &new {
            if cx.load(record.id()).await?.is_some() {
                survivors.push(record);
            }
        }
        cx.expect_list(&alice, &survivors).await?;
        cx.index()?.delete_all(&alice, None, cx.now()).await?;
        cx.expect_list(&alice, &[]).await?;
        for record in &new {
            cx.expect_none(record.id()).await?;
        }
    }
    Ok(())
}

/// A new session of the subject: by an update half of the time.
async fn log_in_new(
    store: &Arc<dyn SessionStore>,
    subject: &Subject,
    rng: &mut Rng,
    now: Timestamp,
) -> Checked<Record> {
    let fresh = Fresh::new(rng.fork(), now);
    if rng.one_in(2) {
        let record = fresh.subject(subject).record();
        store.create(&record, now).await?;
        return Ok(record);
    }
    let record = fresh.record();
    store.create(&record, now).await?;
    let change = login(&record, Revision::from_bytes(rng.bytes()), subject, record.deadline())?;
    store.update(&change, now).await?;
    Ok(change.record().clone())
}

pub(crate) async fn concurrent_logins_are_all_listed(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let handles = cx.handles(4).await?;
    for round in 0..cx.rounds(8) {
        let now = cx.now();
        let contenders = handles.iter().cycle().take(48).map(|handle| {
            let (handle, subject, mut rng) = (Arc::clone(handle), alice.clone(), cx.rng());
            async move {
                let record = log_in_new(&handle, &subject, &mut rng, now).await?;
                // Listed from the moment that the login returned, for the one who logged in.
                let seen = list_all(&handle, &subject, 1_000, now).await?;
                let listed = seen.iter().any(|summary| summary.id == *record.id());
                ensure!(listed, "the login has returned and the session is not listed");
                Ok(record)
            }
        });
        let records = race(contenders).await?.into_iter().collect::<Checked<Vec<_>>>()?;
        cx.expect_list(&alice, &records.iter().collect::<Vec<_>>()).await?;
        let deleted = cx.index()?.delete_all(&alice, None, cx.now()).await?;
        ensure_eq!(deleted, 48, "round {round}: live sessions deleted");
    }
    Ok(())
}

/// What the store should hold, as the rule knows it.
struct Expected {
    records: Vec<Record>,
}

impl Expected {
    fn live(&self, subject: &Subject, now: Timestamp) -> Vec<&Record> {
        let hers = |record: &&Record| record.subject() == Some(subject) && record.is_live(now);
        self.records.iter().filter(hers).collect()
    }

    fn remove(&mut self, gone: impl Fn(&Record) -> bool) {
        self.records.retain(|record| !gone(record));
    }
}

pub(crate) async fn list_is_the_set_of_live_sessions(cx: &Cx) -> Checked {
    let subjects = [cx.subject("alice")?, cx.subject("bob")?];
    let mut expected = Expected { records: Vec::new() };
    let mut rng = cx.rng();
    for _ in 0..cx.rounds(250) {
        random_step(cx, &mut rng, &subjects, &mut expected).await?;
        for subject in &subjects {
            cx.expect_list(subject, &expected.live(subject, cx.now())).await?;
        }
    }
    for subject in &subjects {
        for (listed, record) in
            cx.list(subject).await?.iter().zip(sorted(expected.live(subject, cx.now())))
        {
            ensure_eq!(listed, &record.summary(), "the summary");
        }
    }
    Ok(())
}

fn sorted(mut records: Vec<&Record>) -> Vec<&Record> {
    records.sort_by_key(|record| *record.id());
    records
}

async fn random_step(
    cx: &Cx,
    rng: &mut Rng,
    subjects: &[Subject],
    expected: &mut Expected,
) -> Checked {
    let handle = cx.both()[rng.below(2)];
    let subject = rng.pick(subjects);
    let now = cx.now();
    let known = (!expected.records.is_empty()).then(|| rng.below(expected.records.len()));
    match (rng.below(10), known) {
        (0 | 1, _) | (_, None) => {
            let millis = [20_000, 60_000, 600_000][rng.below(3)];
            let fresh = cx.fresh().idle(millis);
            let record = match rng.below(3) {
                0 => fresh.record(),
                _ => fresh.subject(&subject).absolute(2 * millis).record(),
            };
            cx.create(&record).await?;
            expected.records.push(record);
        }
        (2 | 3, Some(at)) => {
            let known = expected.records[at].clone();
            let owner = known.subject().cloned().unwrap_or(subject);
            let change = login(&known, cx.revision(), &owner, cx.after(900_000))?;
            let answer = handle.update(&change, now).await?;
            if known.is_live(now) {
                ensure_eq!(answer, UpdateOutcome::Updated, "logging in a live session");
                expected.records[at] = change.record().clone();
            } else {
                ensure_eq!(answer, UpdateOutcome::Missing, "logging in a session that is over");
            }
        }
        (4, Some(at)) => {
            let change = expected.records[at].change(cx.revision());
            let change =
                change.rotate(cx.hash(), cx.after(30_000)).lower_deadline(cx.after(60_000));
            if handle.update(&change, now).await? == UpdateOutcome::Updated {
                expected.records[at] = change.record().clone();
            }
        }
        (5, Some(at)) => {
            let id = *expected.records[at].id();
            let until = cx.after(60_000);
            if handle.touch(&id, until, now).await? == TouchOutcome::Touched {
                let mut parts = expected.records[at].clone().into_parts();
                parts.expires_at = parts.expires_at.max(until);
                expected.records[at] = Record::from_parts(parts);
            }
        }
        (6, Some(at)) => {
            let id = *expected.records[at].id();
            handle.delete(&id, now).await?;
            expected.remove(|record| *record.id() == id);
        }
        (7, Some(at)) => {
            let known = expected.records[at].clone();
            let hers = known.subject() == Some(&subject) && known.is_live(now);
            let deleted = index_of(handle)?.delete_one(&subject, known.id(), now).await?;
            ensure_eq!(deleted, hers, "deleting one of the subject's sessions");
            expected
                .remove(|record| record.id() == known.id() && record.subject() == Some(&subject));
        }
        (8, Some(at)) if rng.one_in(3) => {
            let except = *expected.records[at].id();
            let live = expected.live(&subject, now);
            let gone = live.iter().filter(|record| *record.id() != except).count() as u64;
            let deleted = index_of(handle)?.delete_all(&subject, Some(&except), now).await?;
            ensure_eq!(deleted, gone, "live sessions deleted");
            expected.remove(|record| record.subject() == Some(&subject) && *record.id() != except);
        }
        _ => cx.advance([1, 999, 5_000, 19_000][rng.below(4)]),
    }
    Ok(())
}

pub(crate) async fn raised_deadline_is_listed_to_its_end(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let long = 10_000_000;
    let anonymous = cx.fresh().idle(60_000).absolute(60_000).record();
    cx.create(&anonymous).await?;
    let first = login(&anonymous, cx.revision(), &alice, cx.after(60_000))?;
    let first = updated(cx, &first).await?;
    let other = cx.fresh().subject(&alice).idle(long).absolute(60_000).record();
    cx.create(&other).await?;
    let raise = |record: &Record| -> Checked<Change> {
        let change = login(record, cx.revision(), &alice, cx.after(long))?;
        Ok(change.expires_at(cx.after(long)))
    };
    let raised = updated(cx, &raise(&first)?).await?;
    let also = updated(cx, &raise(&other)?).await?;
    cx.expect_list(&alice, &[&raised, &also]).await?;
    // Beyond the old end and every margin; each login may trim what it takes for old.
    let margin = u64::try_from(cx.store().margin().as_millis()).unwrap_or(long);
    cx.advance((60_000 + margin + 1).min(long - 10_000));
    let new = cx.fresh().subject(&alice).record();
    cx.create(&new).await?;
    let anonymous = cx.fresh().record();
    cx.create(&anonymous).await?;
    let newer = login(&anonymous, cx.revision(), &alice, cx.after(50_000_000))?;
    let newer = updated(cx, &newer).await?;
    cx.expect_list(&alice, &[&raised, &also, &new, &newer]).await?;
    ensure!(raised.ends_at() > cx.now(), "the raised session is live");
    let deleted = cx.index()?.delete_all(&alice, None, cx.now()).await?;
    ensure_eq!(deleted, 4, "live sessions deleted");
    cx.expect_none(raised.id()).await
}

pub(crate) async fn nothing_comes_back_after_delete_all(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let hers = sessions(cx, &alice, 3).await?;
    let except = cx.fresh().subject(&alice).record();
    cx.create(&except).await?;
    ensure_eq!(
        cx.index()?.delete_all(&alice, Some(except.id()), cx.now()).await?,
        3,
        "live sessions deleted"
    );
    for record in &hers {
        let late = record.change(cx.revision()).payload("late").expires_at(cx.after(7_200_000));
        let rotation = record.change(cx.revision()).rotate(cx.hash(), cx.after(30_000));
        let again = login(record, cx.revision(), &alice, cx.after(90_000_000))?;
        for handle in cx.both() {
            for change in [&late, &rotation, &again] {
                let answer = handle.update(change, cx.now()).await?;
                ensure_eq!(answer, UpdateOutcome::Missing, "updating after `delete_all`");
            }
            let answer = handle.touch(record.id(), cx.after(7_200_000), cx.now()).await?;
            ensure_eq!(answer, TouchOutcome::Missing, "touching after `delete_all`");
        }
        cx.expect_none(record.id()).await?;
    }
    cx.expect_list(&alice, &[&except]).await?;
    cx.expect(&except).await
}

pub(crate) async fn summary_carries_the_record(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let full = cx.fresh().full(&alice).record();
    let bare = cx.fresh().subject(&alice).created_at(cx.after(1)).record();
    let anonymous = cx.fresh().authentication(cx.now(), 9).record();
    cx.create_all(&[full.clone(), bare.clone(), anonymous.clone()]).await?;
    let until = cx.after(7_200_000);
    let answer = cx.other().touch(bare.id(), until, cx.now()).await?;
    ensure_eq!(answer, TouchOutcome::Touched, "touching a live record");
    let mut touched = bare.into_parts();
    touched.expires_at = until;
    let touched = Record::from_parts(touched);
    let change = login(&anonymous, cx.revision(), &alice, cx.after(80_000_000))?
        .authentication(Authentication { at: cx.after(5), level: 200 });
    let elevated = updated(cx, &change).await?;
    let listed = cx.list(&alice).await?;
    let expected: Vec<_> =
        sorted(vec![&full, &touched, &elevated]).iter().map(|record| record.summary()).collect();
    ensure_eq!(listed, expected, "the summaries");
    Ok(())
}

/// Used by the chapter on concurrency as well.
pub(crate) async fn lists(
    store: &Arc<dyn SessionStore>,
    subject: &Subject,
    record: &Record,
    now: Timestamp,
) -> Checked<bool> {
    let seen = list_all(store, subject, 100, now).await?;
    Ok(seen.iter().any(|summary| summary.id == *record.id()))
}
