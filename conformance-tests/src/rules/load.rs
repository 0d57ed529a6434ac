//! Chapter "Load".

use futures_util::future::try_join_all;
use session_core::{Authentication, Count, SessionStore, Timestamp, TouchOutcome, UpdateOutcome};

use crate::cx::Cx;
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

/// Data that some backend or codec might read as something else.
const HOSTILE: [&[u8]; 12] = [
    b"",
    b"\0",
    b"\0\0\0\0",
    b"\xff\xfe\xfd",
    b"before\0after",
    b"\r\n$-1\r\n",
    br#"{"_id": 1, "$set": {"expires_at": 0}, "a.b": null}"#,
    b"'; DROP TABLE session; --",
    b"%s%n{0}${HOME}*?[]",
    "e\u{301} \u{e9} \u{1f600} \u{202e}".as_bytes(),
    b"nil",
    b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f",
];

pub(crate) async fn bytes_come_back_exactly(cx: &Cx) -> Checked {
    let alice = cx.subject("alice")?;
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let mut records: Vec<_> =
        HOSTILE.iter().map(|payload| cx.fresh().payload(*payload).record()).collect();
    records.push(cx.fresh().payload(every_byte).record());
    // Every combination of the optional fields.
    for fields in 0..16_u8 {
        let mut fresh = cx.fresh();
        if fields & 1 != 0 {
            fresh = fresh.subject(&alice);
        }
        if fields & 2 != 0 {
            fresh = fresh.previous(cx.after(30_000));
        }
        if fields & 4 != 0 {
            fresh = fresh.authentication(cx.now(), fields);
        }
        if fields & 8 != 0 {
            fresh = fresh.credential_tag(usize::from(fields));
        }
        records.push(fresh.record());
    }
    for level in [0, 1, 127, 128, u8::MAX] {
        records.push(cx.fresh().authentication(Timestamp::MAX, level).record());
    }
    for length in [1, 31, 32] {
        records.push(cx.fresh().credential_tag(length).record());
    }
    // Bytes of the fixed-length fields that are special somewhere.
    for byte in [0x00, 0x01, 0x0a, 0x22, 0x2a, 0x3a, 0x5c, 0x7b, 0x7f, 0x80, 0xff] {
        let mut parts = cx.fresh().record().into_parts();
        let mut id = [byte; 16];
        id[15] = 1;
        parts.id = session_core::SessionId::from_bytes(id)
            .map_err(|error| Stop::failed(error.to_string()))?;
        parts.revision = session_core::Revision::from_bytes([byte; 8]);
        parts.secret_hash = session_core::SecretHash::from_bytes([byte; 32]);
        parts.payload = vec![byte; 3].into();
        records.push(session_core::Record::from_parts(parts));
    }
    cx.create_all(&records).await?;
    for record in &records {
        cx.expect(record).await?;
    }
    // The same bytes by way of an update.
    let mut current = cx.fresh().record();
    cx.create(&current).await?;
    for record in &records {
        let change = current
            .change(cx.revision())
            .payload(record.payload().clone())
            .credential_tag(record.credential_tag().cloned())
            .authentication(
                record.authentication().unwrap_or(Authentication { at: Timestamp::MIN, level: 0 }),
            );
        let answer = cx.store().update(&change, cx.now()).await?;
        ensure_eq!(answer, UpdateOutcome::Updated, "updating from the stored revision");
        current = change.record().clone();
        cx.expect(&current).await?;
    }
    Ok(())
}

pub(crate) async fn unknown_id_is_none(cx: &Cx) -> Checked {
    cx.expect_none(&cx.id()).await?;
    let record = cx.fresh().record();
    cx.create(&record).await?;
    // Neighbours of a stored id, bit by bit.
    for bit in 0..128 {
        let mut bytes = *record.id().as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(neighbour) = session_core::SessionId::from_bytes(bytes) {
            let seen = cx.store().load(&neighbour, cx.now()).await?;
            ensure!(seen.is_none(), "an id that differs in bit {bit} finds a record");
        }
    }
    cx.expect(&record).await
}

pub(crate) async fn loading_changes_nothing(cx: &Cx) -> Checked {
    let record = cx.fresh().idle(10_000).record();
    cx.create(&record).await?;
    for _ in 0..20 {
        cx.advance(400);
        cx.expect(&record).await?;
    }
    let unknown: Vec<_> = (0..cx.rounds(3_000)).map(|_| cx.id()).collect();
    for batch in unknown.chunks(64) {
        let loads = batch.iter().map(|id| cx.other().load(id, cx.now()));
        let seen = try_join_all(loads).await?;
        ensure!(seen.iter().all(Option::is_none), "an unknown id finds a record");
    }
    cx.expect_rows(1).await?;
    if let Some(inspect) = cx.store().inspect()
        && let Count::Exact(count) = inspect.count(cx.now()).await?
    {
        ensure_eq!(count, 1, "live sessions after loads of unknown ids");
    }
    // Loading has not made the session live longer.
    cx.advance(2_000);
    cx.expect_none(record.id()).await
}

pub(crate) async fn every_handle_sees_a_write_at_once(cx: &Cx) -> Checked {
    let handles = cx.handles(4).await?;
    for turn in 0..cx.rounds(25) {
        let writer = &handles[turn % handles.len()];
        let record = cx.fresh().record();
        let now = cx.now();
        let answer = writer.create(&record, now).await?;
        ensure_eq!(answer, session_core::CreateOutcome::Created, "creating under a new id");
        let change = record.change(cx.revision()).payload("changed");
        for (step, expected) in [record.clone(), change.record().clone()].iter().enumerate() {
            if step == 1 {
                let answer = writer.update(&change, now).await?;
                ensure_eq!(answer, UpdateOutcome::Updated, "updating the stored revision");
            }
            for reader in &handles {
                let seen = reader.load(record.id(), now).await?;
                ensure_eq!(seen.as_ref(), Some(expected), "what another handle sees");
            }
        }
        let later = cx.after(5_000_000);
        let answer = writer.touch(record.id(), later, now).await?;
        ensure_eq!(answer, TouchOutcome::Touched, "touching a live record");
        for reader in &handles {
            let seen = reader.load(record.id(), now).await?.map(|seen| seen.expires_at());
            ensure_eq!(seen, Some(later), "the idle deadline that another handle sees");
        }
        ensure!(writer.delete(record.id(), now).await?, "deleting a live record is `true`");
        for reader in &handles {
            let seen = reader.load(record.id(), now).await?;
            ensure!(seen.is_none(), "another handle sees a deleted record");
        }
    }
    Ok(())
}
