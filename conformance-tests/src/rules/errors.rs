//! Chapter "Errors".

use std::error::Error;
use std::fmt::Write as _;

use session_core::{
    CreateOutcome, Cursor, MAX_PAYLOAD_LEN, Page, PageRequest, Record, SessionStore,
    SessionSummary, StoreError, StoreErrorKind, Subject, TouchOutcome, UpdateOutcome,
};

use crate::cx::{Cx, scan_all};
use crate::sample::everything_about;
use crate::verdict::{Checked, Stop, chain, ensure, ensure_eq, ensure_error};

/// What must not be shown, in every spelling in which bytes are usually shown.
fn spellings(bytes: &[u8]) -> Vec<String> {
    let mut lower = String::new();
    let mut spaced = String::new();
    for byte in bytes {
        let _ = write!(lower, "{byte:02x}");
        let _ = write!(spaced, "{byte}, ");
    }
    let mut found = vec![lower.to_uppercase(), lower, spaced.trim_end_matches(", ").to_owned()];
    if let Ok(text) = std::str::from_utf8(bytes) {
        found.push(text.to_owned());
    }
    found
}

/// Fails when `shown` contains something of the record that it must not.
fn ensure_silent(shown: &str, secrets: &[String], what: &str) -> Checked {
    for secret in secrets {
        ensure!(
            !shown.contains(secret.as_str()),
            "{what} shows a hash, a payload or the name of a subject"
        );
    }
    Ok(())
}

pub(crate) async fn no_text_shows_a_secret(cx: &Cx) -> Checked {
    let name = format!("canary-{:016x}@example.org", cx.rng().next());
    let alice = cx.subject(&name)?;
    let canary = format!("canary-payload-{:016x}", cx.rng().next());
    let record = cx.fresh().full(&alice).payload(canary.clone()).record();
    let mut secrets = spellings(canary.as_bytes());
    secrets.extend(spellings(name.as_bytes()));
    secrets.extend(spellings(record.secret_hash().as_bytes()));
    if let Some(previous) = record.previous() {
        secrets.extend(spellings(previous.hash.as_bytes()));
    }
    if let Some(tag) = record.credential_tag() {
        secrets.extend(spellings(tag.as_bytes()));
    }
    cx.create(&record).await?;
    cx.expect(&record).await?;
    for handle in cx.both() {
        ensure_silent(&format!("{handle:?} {handle:#?}"), &secrets, "`Debug` of the store")?;
    }

    let mut errors = Vec::new();
    let mut too_large = canary.into_bytes();
    too_large.resize(MAX_PAYLOAD_LEN + 1, b'.');
    let other = cx.fresh().full(&alice).payload(too_large.clone()).record();
    errors.extend(cx.store().create(&other, cx.now()).await.err());
    let change = record.change(cx.revision()).payload(too_large);
    errors.extend(cx.store().update(&change, cx.now()).await.err());
    let foreign = PageRequest::first(10).after(cursor(name.as_bytes())?);
    if let Some(index) = cx.store().subject_index() {
        errors.extend(index.list(&alice, &foreign, cx.now()).await.err());
    }
    if let Some(inspect) = cx.store().inspect() {
        errors.extend(inspect.scan(&foreign, cx.now()).await.err());
    }
    let seen = cx.store().load(record.id(), cx.now()).await?;
    match cx.corrupt(record.id()).await {
        Err(Stop::NotApplicable(_)) => {}
        other => {
            other?;
            errors.extend(cx.store().load(record.id(), cx.now()).await.err());
            errors.extend(cx.store().update(&change, cx.now()).await.err());
        }
    }
    ensure!(errors.len() >= 2, "a payload that is too large is an error");
    for error in &errors {
        ensure_silent(&everything_about(error), &secrets, "an error")?;
    }
    ensure_silent(&format!("{seen:?} {change:?}"), &secrets, "`Debug` of a record")
}

pub(crate) async fn kinds_are_as_named(cx: &Cx) -> Checked {
    fn an_error_to_keep<E: Error + Send + Sync + 'static>(error: E) -> E {
        error
    }

    let record = cx.fresh().record();
    cx.create(&record).await?;
    let too_large = vec![0; MAX_PAYLOAD_LEN + 1];
    let created = cx.fresh().payload(too_large.clone()).record();
    let change = record.change(cx.revision()).payload(too_large);
    let answers = [
        cx.store().create(&created, cx.now()).await.map(|_| ()),
        cx.store().update(&change, cx.now()).await.map(|_| ()),
    ];
    for answer in answers {
        let error = match answer {
            Ok(()) => return Err(Stop::failed("a payload that is too large is an error")),
            Err(error) => an_error_to_keep(error),
        };
        ensure_eq!(error.kind(), StoreErrorKind::TooLarge, "the kind of error");
        ensure!(!error.is_retryable(), "the same call cannot succeed, so it is not retryable");
        ensure!(!error.is_outcome_unknown(), "the outcome is known: nothing was stored");
        ensure!(error.deleted().is_none(), "nothing was deleted");
        ensure!(!chain(&error).is_empty(), "the error says something");
    }
    // Answers are no errors, whatever the state of the session.
    let over = cx.fresh().idle(0).record();
    cx.create(&over).await?;
    for record in [&cx.fresh().record(), &over] {
        ensure!(cx.store().load(record.id(), cx.now()).await?.is_none(), "nothing is visible");
        let touch = cx.store().touch(record.id(), cx.after(1_000), cx.now()).await?;
        ensure_eq!(touch, TouchOutcome::Missing, "touching what is not live");
        let update = cx.store().update(&record.change(cx.revision()), cx.now()).await?;
        ensure_eq!(update, UpdateOutcome::Missing, "updating what is not live");
        ensure!(!cx.store().delete(record.id(), cx.now()).await?, "deleting what is not live");
    }
    cx.expect(&record).await
}

fn cursor(bytes: &[u8]) -> Checked<Cursor> {
    Cursor::from_bytes(bytes).map_err(|error| Stop::failed(error.to_string()))
}

pub(crate) async fn foreign_cursors_are_refused(cx: &Cx) -> Checked {
    let (index, inspect) = (cx.store().subject_index(), cx.store().inspect());
    if index.is_none() && inspect.is_none() {
        return Err(Stop::not_applicable("the adapter claims neither SubjectIndex nor Inspect"));
    }
    let (alice, bob) = (cx.subject("alice")?, cx.subject("bob")?);
    for subject in [&alice, &bob] {
        let records: Vec<_> = (0..6).map(|_| cx.fresh().subject(subject).record()).collect();
        cx.create_all(&records).await?;
    }
    // No store has reason to make any of these.
    let text = b"' OR 1=1; -- \0 \xff {\"_id\": {\"$gt\": null}} * ? ../../../etc/passwd";
    for bytes in [&b"\0"[..], b"x", b"\xff", text, &[0; 1_024], &[0xff; 1_024], &[b'7'; 1_023]] {
        let request = PageRequest::first(10).after(cursor(bytes)?);
        if let Some(index) = index {
            let answer = index.list(&alice, &request, cx.now()).await;
            ensure_error!(answer, StoreErrorKind::InvalidCursor, "listing after a foreign cursor");
        }
        if let Some(inspect) = inspect {
            let answer = inspect.scan(&request, cx.now()).await;
            ensure_error!(answer, StoreErrorKind::InvalidCursor, "scanning after a foreign cursor");
        }
    }
    // These may look like one of its own: refused, or understood, but never with another's data.
    let mut looks = Vec::new();
    let mut rng = cx.rng();
    if let Some(index) = index {
        let page = index.list(&bob, &PageRequest::first(2), cx.now()).await?;
        looks.extend(page.next.map(|next| next.as_bytes().to_vec()));
    }
    if let Some(inspect) = inspect {
        let page = inspect.scan(&PageRequest::first(2), cx.now()).await?;
        looks.extend(page.next.map(|next| next.as_bytes().to_vec()));
    }
    for genuine in looks.clone() {
        for _ in 0..20 {
            let mut damaged = genuine.clone();
            match rng.below(4) {
                0 => damaged.truncate(rng.below(damaged.len()).max(1)),
                1 => damaged.push(u8::try_from(rng.below(256)).unwrap_or_default()),
                _ => {
                    let at = rng.below(damaged.len());
                    damaged[at] ^= 1 << rng.below(8);
                }
            }
            looks.push(damaged);
        }
    }
    for _ in 0..20 {
        let mut random = vec![0; 1 + rng.below(64)];
        rng.fill(&mut random);
        looks.push(random);
    }
    for bytes in looks {
        let request = PageRequest::first(10).after(cursor(&bytes)?);
        if let Some(index) = index {
            let answer = index.list(&alice, &request, cx.now()).await;
            only_of(Some(&alice), answer)?;
        }
        if let Some(inspect) = inspect {
            only_of(None, inspect.scan(&request, cx.now()).await)?;
        }
    }
    Ok(())
}

/// The page is refused as `InvalidCursor`, or holds sessions of this subject only.
fn only_of(subject: Option<&Subject>, answer: Result<Page<SessionSummary>, StoreError>) -> Checked {
    match answer {
        Err(error) => {
            ensure_eq!(error.kind(), StoreErrorKind::InvalidCursor, "a cursor that is not its own");
        }
        Ok(page) => {
            let foreign =
                page.items.iter().any(|item| subject.is_some() && item.subject.as_ref() != subject);
            ensure!(!foreign, "a damaged cursor gives sessions of another subject");
        }
    }
    Ok(())
}

pub(crate) async fn corrupt_record_is_contained(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let damaged = cx.fresh().full(&alice).record();
    let healthy = cx.fresh().full(&alice).record();
    let anonymous = cx.fresh().record();
    cx.create_all(&[damaged.clone(), healthy.clone(), anonymous.clone()]).await?;
    cx.corrupt(damaged.id()).await?;

    authenticates_nobody(cx, &damaged).await?;
    for record in [&healthy, &anonymous] {
        cx.expect(record).await?;
    }
    if cx.store().subject_index().is_some() {
        let seen = cx.list(&alice).await?;
        ensure!(seen.iter().any(|seen| seen.id == *healthy.id()), "the healthy session is listed");
    }
    if cx.store().inspect().is_some() {
        for handle in cx.both() {
            let seen = scan_all(handle, 2, cx.now()).await?;
            for record in [&healthy, &anonymous] {
                ensure!(seen.iter().any(|seen| seen.id == *record.id()), "the healthy are scanned");
            }
        }
    }
    let deleted = cx.other().delete(damaged.id(), cx.now()).await?;
    ensure!(!deleted, "deleting a record that cannot be read is `false`");
    cx.expect_none(damaged.id()).await?;
    let fresh = cx.fresh().id(*damaged.id()).record();
    cx.create(&fresh).await?;
    cx.expect(&fresh).await?;

    // Logging out everywhere goes on past a damaged session. Whether it takes it along depends on whether
    // the index still knows whose it is; it authenticates nobody either way.
    if let Some(index) = cx.store().subject_index() {
        let damaged = cx.fresh().full(&alice).record();
        cx.create(&damaged).await?;
        cx.corrupt(damaged.id()).await?;
        let deleted = index.delete_all(&alice, None, cx.now()).await?;
        ensure_eq!(deleted, 1, "live sessions of the subject");
        cx.expect_none(healthy.id()).await?;
        cx.expect_list(&alice, &[]).await?;
        match cx.other().load(damaged.id(), cx.now()).await {
            Ok(None) => {}
            answer => {
                ensure_error!(
                    answer,
                    StoreErrorKind::Corrupt,
                    "a damaged record after `delete_all`"
                );
            }
        }
    }
    cx.expect(&anonymous).await
}

/// Loading is `Corrupt` on every handle, and nothing that is written to the record is accepted.
async fn authenticates_nobody(cx: &Cx, damaged: &Record) -> Checked {
    for handle in cx.both() {
        let answer = handle.load(damaged.id(), cx.now()).await;
        ensure_error!(answer, StoreErrorKind::Corrupt, "loading a record that cannot be read");
        let update = handle.update(&damaged.change(cx.revision()), cx.now()).await;
        ensure!(
            !matches!(update, Ok(UpdateOutcome::Updated)),
            "an update of a record that cannot be read was accepted"
        );
        let create = handle.create(&cx.fresh().id(*damaged.id()).record(), cx.now()).await;
        ensure!(
            !matches!(create, Ok(CreateOutcome::Created)),
            "a record that cannot be read was overwritten"
        );
        // A touch reads the times only; what counts is that it repairs nothing.
        let _ = handle.touch(damaged.id(), cx.after(3_600_000), cx.now()).await;
        let answer = handle.load(damaged.id(), cx.now()).await;
        ensure_error!(answer, StoreErrorKind::Corrupt, "loading it after refused writes");
    }
    Ok(())
}
