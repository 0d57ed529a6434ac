//! What a session may hold.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use session_core::{
    CommitOutcome, DataError, LimitExceeded, MAX_DEPTH, MAX_KEY_LEN, MAX_KEYS, MAX_PAYLOAD_LEN,
    Session, SessionError,
};

use super::merging::flash_of;
use crate::cx::Cx;
use crate::people::{
    Server, Site, data_of, expect_client_told_nothing, insert_all, nothing, record_of, write,
};
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

// K11

pub(crate) async fn limits_leave_the_old_data(cx: &Cx) -> Checked {
    let site = Site::of(cx)?;
    payload_limits_are_exact(cx, &site).await?;
    counts_and_depth_are_exact(cx, &site).await?;
    values_come_back_as_they_were(&site).await?;
    hostile_keys_are_only_keys(cx, &site).await
}

async fn payload_limits_are_exact(cx: &Cx, site: &Site) -> Checked {
    // A first write that is too large stores nothing.
    let before = site.writes();
    let mut request = site.browser().visit(&site.one).await?;
    write(&mut request, json!({ "blob": "x".repeat(MAX_PAYLOAD_LEN) }))?;
    let (len, max) = too_large(site.one.commit(&mut request).await)?;
    expect_client_told_nothing(&request)?;
    ensure_eq!(site.writes() - before, 0, "writes for a session that is too large");
    ensure!(max < MAX_PAYLOAD_LEN, "anonymous sessions have a limit of their own");
    let overhead = len - MAX_PAYLOAD_LEN;

    for (browser, max) in [
        (site.visitor(json!({ "blob": "old" })).await?, max),
        (site.user("alice", json!({ "blob": "old" })).await?, MAX_PAYLOAD_LEN),
    ] {
        let blob = |len: usize| json!({ "blob": "x".repeat(len - overhead) });
        let record = record_of(cx, &browser).await?;
        let mut request = browser.visit(&site.two).await?;
        write(&mut request, blob(max + 1))?;
        let refused = too_large(site.two.commit(&mut request).await)?;
        ensure_eq!(refused, (max + 1, max), "the length and the limit in the error");
        cx.expect(&record).await?;

        write(&mut request, blob(max))?;
        ensure_eq!(site.two.commit(&mut request).await?, CommitOutcome::Saved, "at the limit");
        let stored = record_of(cx, &browser).await?;
        ensure_eq!(stored.payload().len(), max, "the length of the payload");
        let seen = site.one.open(Some(browser.text()?.as_bytes())).await?;
        ensure!(data_of(&seen)? == blob(max), "the largest session is read back unchanged");
    }
    Ok(())
}

fn too_large(answer: Result<CommitOutcome, SessionError>) -> Checked<(usize, usize)> {
    match answer {
        Err(SessionError::Limit(LimitExceeded::PayloadTooLarge { len, max })) => Ok((len, max)),
        other => Err(Stop::failed(format!("expected `PayloadTooLarge`, got {other:?}"))),
    }
}

async fn counts_and_depth_are_exact(cx: &Cx, site: &Site) -> Checked {
    let nested = |depth| (0..depth).fold(json!(1), |inside, _| json!([inside]));
    let keys = |count| (0..count).map(|n| (format!("{n:04}"), json!(n))).collect::<Value>();
    for (accepted, refused, what) in [
        (json!({ "deep": nested(MAX_DEPTH) }), json!({ "deep": nested(MAX_DEPTH + 1) }), "depth"),
        (keys(MAX_KEYS), keys(MAX_KEYS + 1), "number of keys"),
        (json!({ "k".repeat(MAX_KEY_LEN): 1 }), json!({ "k".repeat(MAX_KEY_LEN + 1): 1 }), "key"),
        (json!({ "é": 1 }), json!({ "": 1 }), "empty key"),
        (json!({ "😀".repeat(63): 1 }), json!({ "😀".repeat(64): 1 }), "key in bytes"),
    ] {
        let mut browser = site.user("alice", nothing()).await?;
        let record = record_of(cx, &browser).await?;
        let mut request = browser.visit(&site.one).await?;
        expect_limit(&site.one, &mut request, refused)
            .await
            .map_err(|stop| stop.about(&format!("{what}, one too many")))?;
        cx.expect(&record).await?;
        browser.put(&site.two, accepted.clone()).await?;
        let seen = browser.visit(&site.one).await?;
        ensure!(data_of(&seen)? == accepted, "{what}: what was accepted is read back unchanged");
    }
    flash_messages_are_counted(cx, site).await
}

/// Refused when it is inserted, or when it is committed.
async fn expect_limit(server: &Server, request: &mut Session, data: Value) -> Checked {
    if insert_all(request, data).is_ok() {
        let answer = server.commit(request).await;
        ensure!(matches!(answer, Err(SessionError::Limit(_))), "expected `Limit`, got {answer:?}");
    }
    expect_client_told_nothing(request)
}

async fn flash_messages_are_counted(cx: &Cx, site: &Site) -> Checked {
    let mut browser = site.user("alice", json!({ "seed": 0 })).await?;
    let record = record_of(cx, &browser).await?;
    for (count, accepted) in [(MAX_KEYS + 1, false), (MAX_KEYS, true)] {
        let mut request = browser.visit(&site.one).await?;
        for _ in 0..count {
            request.data_mut().flash("note", "x")?;
        }
        let answer = site.one.commit(&mut request).await;
        if accepted {
            ensure!(matches!(answer, Ok(CommitOutcome::Saved)), "as many messages as allowed");
        } else {
            ensure!(matches!(answer, Err(SessionError::Limit(_))), "one message too many");
            cx.expect(&record).await?;
        }
    }
    let mut reader = browser.visit(&site.two).await?;
    ensure_eq!(flash_of(&mut reader, "note")?.len(), MAX_KEYS, "messages that are shown");
    browser.save(&site.two, &mut reader).await
}

/// A value comes back equal, or is refused at once.
async fn values_come_back_as_they_were(site: &Site) -> Checked {
    let numbers = [
        0.0,
        -0.0,
        0.1,
        f64::MIN_POSITIVE,
        5e-324,
        f64::MAX,
        -1.5e300,
        1e21,
        0.300_000_000_000_000_04,
    ];
    let text = "\0 \u{7f} \u{2028} \u{feff} é e\u{301} 😀 \" \\ </script> \u{10ffff}";
    let by_number: BTreeMap<u64, String> = [(0, "zero".into()), (u64::MAX, "most".into())].into();
    let bytes: Vec<u8> = (0..=255).collect();
    let mut browser = site.browser();
    let mut request = browser.visit(&site.one).await?;
    let data = request.data_mut();
    data.insert("numbers", &numbers)?;
    data.insert("whole", &(u64::MAX, i64::MIN, 1_u64 << 53, (1_u64 << 53) + 1))?;
    data.insert("text", text)?;
    data.insert("by number", &by_number)?;
    data.insert("bytes", &bytes)?;
    data.insert("nothing", &(None::<u8>, (), Vec::<u8>::new(), nothing()))?;
    for refused in [
        data.insert("nan", &f64::NAN),
        data.insert("inf", &[f64::INFINITY]),
        data.insert("inf", &f32::NEG_INFINITY),
        data.insert("wide", &i128::MAX),
        data.insert("wide", &(u128::from(u64::MAX) + 1)),
    ] {
        ensure!(matches!(refused, Err(DataError::Value(_))), "what JSON changes was accepted");
    }
    browser.save(&site.one, &mut request).await?;
    for server in site.both() {
        let seen = browser.visit(server).await?;
        let data = seen.data();
        let read: Option<[f64; 9]> = data.get("numbers")?;
        let same = read.is_some_and(|read| read.map(f64::to_bits) == numbers.map(f64::to_bits));
        ensure!(same, "doubles come back to the last bit: {read:?}");
        let whole = Some((u64::MAX, i64::MIN, 1_u64 << 53, (1_u64 << 53) + 1));
        ensure_eq!(data.get("whole")?, whole, "whole numbers");
        ensure_eq!(data.get::<String>("text")?, Some(text.to_owned()), "text");
        ensure_eq!(data.get("by number")?, Some(by_number.clone()), "a map with numbers as keys");
        ensure_eq!(data.get("bytes")?, Some(bytes.clone()), "bytes");
        ensure_eq!(data.len(), 6, "keys; none of those that were refused");
    }
    Ok(())
}

async fn hostile_keys_are_only_keys(cx: &Cx, site: &Site) -> Checked {
    const KEYS: [&str; 26] = [
        "_id",
        "id",
        "ID",
        "expires",
        "expires_at",
        "deadline",
        "created_at",
        "subject",
        "revision",
        "payload",
        "ttl",
        "secret_hash",
        "a.b",
        ".",
        "$set",
        "$",
        "$where",
        "a\0b",
        "\0",
        "__proto__",
        "constructor",
        "😀",
        "é",
        "e\u{301}",
        "data",
        "flash",
    ];
    let hostile: Value = KEYS.iter().map(|key| ((*key).to_owned(), json!({ *key: 0 }))).collect();
    let mut user = site.user("alice", json!({ "seed": 0 })).await?;
    let before = record_of(cx, &user).await?;
    user.put(&site.two, hostile.clone()).await?;
    let mut all = hostile;
    all["seed"] = json!(0);
    site.expect(&user, all).await?;
    let mut after = record_of(cx, &user).await?.into_parts();
    let before = before.into_parts();
    (after.payload, after.revision) = (before.payload.clone(), before.revision);
    ensure!(after == before, "a key of the data changed a field of the record");
    for key in KEYS {
        let mut request = user.visit(&site.one).await?;
        ensure!(request.data_mut().remove(key), "the key {key:?} is there to be removed");
        user.save(&site.one, &mut request).await?;
    }
    site.expect(&user, json!({ "seed": 0 })).await?;
    Ok(())
}
