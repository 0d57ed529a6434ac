//! What clients send that is no session, and what they get for it.

use std::time::Instant;

use conformance_tests::doubles::Op;
use session_core::{Opened, OsRandom, Realm, SessionToken};
use session_http::{Presented, read_cookie};

use crate::setup::{Head, Setup};

/// How a request ends that presents something.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    user: Option<String>,
    opened: Opened,
    calls: Vec<Op>,
    set_cookie: Option<String>,
}

impl Seen {
    fn nothing(opened: Opened) -> Self {
        Self { user: None, opened, calls: Vec::new(), set_cookie: None }
    }
}

async fn present(setup: &Setup, headers: &[&[u8]]) -> Seen {
    let head = headers.iter().fold(Head::get(), |head, header| head.with("cookie", header));
    setup.calls();
    let mut seen = None;
    let response = setup
        .request(&head, async |session| {
            let info = session.info().await.unwrap();
            seen = Some((info.user().map(str::to_owned), info.opened));
            200
        })
        .await;
    let (user, opened) = seen.unwrap();
    assert!(response.is_private());
    Seen {
        user,
        opened,
        calls: setup.calls(),
        set_cookie: response.set_cookie().map(str::to_owned),
    }
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[tokio::test]
async fn names_that_only_resemble_the_cookies_are_not_it() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    let names: &[&[u8]] = &[
        b"%5F%5FHost-session",
        b"__%48ost-session",
        b"\xe2\x80\x80__Host-session",
        b"\x85__Host-session",
        b"\xa0__Host-session",
        b"\xef\xbb\xbf__Host-session",
        b"\x0b__Host-session",
        b"\x0c__Host-session",
        b"__host-session",
        b"__HOST-SESSION",
        b"__Host-Session",
        b"=__Host-session",
        b"_.Host-session",
        b"_[Host-session",
        b"..Host-session",
        b"__Host_session",
        b"__Host-session ",
        b"__Host-session\t",
        b"__Host-session\0",
        b"x__Host-session",
        b"__Host-sessionx",
        b"\"__Host-session\"",
    ];
    for name in names {
        let header = joined(&[name, b"=", token.as_bytes()]);
        let seen = present(&setup, &[&header]).await;
        assert_eq!(seen, Seen::nothing(Opened::NoToken), "{}", name.escape_ascii());
    }
    for header in [b"__Host-session".as_slice(), b"", b";", b"; ;", b"="] {
        assert_eq!(present(&setup, &[header]).await, Seen::nothing(Opened::NoToken));
    }
}

#[tokio::test]
async fn values_that_only_resemble_a_token_are_none() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    let last = token.as_bytes()[63];
    // 48 bytes have no spare bits, so every other last character is another secret.
    let other_last = if last == b'A' { 'B' } else { 'A' };
    let swapped: String = token
        .chars()
        .map(|it| if it.is_lowercase() { it.to_ascii_uppercase() } else { it.to_ascii_lowercase() })
        .collect();
    let malformed = [
        String::new(),
        " ".into(),
        "\t".into(),
        format!("\"{token}\""),
        format!("{token} "),
        format!("{token}\t"),
        format!("{token}\0"),
        format!("{token}%00"),
        format!("{token}%0A"),
        format!(" {token}"),
        format!("{token}="),
        format!("={token}"),
        token[1..].to_owned(),
        format!("{token}A"),
        "A".repeat(1 << 20),
        "A".repeat(64),
        "+/".repeat(32),
        format!("{}\t{}", &token[..32], &token[33..]),
        "../../etc/passwd".into(),
        "..%2f".into(),
        "con".into(),
        "'; DROP TABLE s--".into(),
        "{\"$gt\":\"\"}".into(),
        "*".into(),
        "]".into(),
        "\r\nDEL x\r\n".into(),
    ];
    for value in &malformed {
        let header = format!("__Host-session={value}");
        let seen = present(&setup, &[header.as_bytes()]).await;
        let shown = &value[..value.len().min(80)];
        assert_eq!(seen, Seen::nothing(Opened::Malformed), "{shown:?}");
    }
    // Well-formed, of the right id, and wrong: one look, and no session.
    let wrong = format!("__Host-session={}{other_last}", &token[..63]);
    let seen = present(&setup, &[wrong.as_bytes()]).await;
    assert_eq!(seen, Seen { calls: vec![Op::Load], ..Seen::nothing(Opened::Unknown) });
    let swapped = format!("__Host-session={swapped}");
    let seen = present(&setup, &[swapped.as_bytes()]).await;
    assert_eq!((seen.user, seen.set_cookie), (None, None));
}

#[tokio::test]
async fn legacy_syntax_has_no_meaning() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    let quoted = format!("$Version=1; __Host-session=\"{token}\"; $Path=/");
    let seen = present(&setup, &[quoted.as_bytes()]).await;
    assert_eq!(seen, Seen::nothing(Opened::Malformed), "quotes are part of the value");
    // Quoted strings do not nest: a semicolon ends the pair.
    let nested = format!("x=\"a; __Host-session={token}\"");
    let seen = present(&setup, &[nested.as_bytes()]).await;
    assert_eq!(seen, Seen::nothing(Opened::Malformed));
    let nested = format!("x=\"a; __Host-session={token}; b\"");
    assert_eq!(present(&setup, &[nested.as_bytes()]).await.user.as_deref(), Some("alice"));
}

#[tokio::test]
async fn two_session_cookies_are_none() {
    let setup = Setup::new();
    let alice = setup.log_in("alice").await;
    let mallory = setup.log_in("mallory").await;
    let a = format!("__Host-session={alice}");
    let b = format!("__Host-session={mallory}");
    for headers in [
        vec![format!("{a}; {b}")],
        vec![format!("{b}; {a}")],
        vec![format!("{a}; {a}")],
        vec![a.clone(), b.clone()],
        vec![b.clone(), a.clone()],
        vec![a.clone(), a.clone()],
        vec![a.clone(), "__Host-session=".into()],
        vec!["__Host-session=x".into(), a.clone()],
        vec![format!("x=y; {a}"), "theme=dark".into(), format!("{b}; z=1")],
    ] {
        let headers: Vec<&[u8]> = headers.iter().map(String::as_bytes).collect();
        assert_eq!(present(&setup, &headers).await, Seen::nothing(Opened::NoToken));
    }
    let headers: [&[u8]; 2] = [b"theme=dark", a.as_bytes()];
    assert_eq!(present(&setup, &headers).await.user.as_deref(), Some("alice"));
}

#[tokio::test]
async fn other_cookies_of_any_bytes_and_number_hide_nothing() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    let own = joined(&[b"__Host-session=", token.as_bytes()]);
    let many = "a=b; ".repeat(200).into_bytes();
    let long = joined(&[b"x=", &vec![b'y'; 64 * 1024], b"; "]);
    for other in [b"x=\xc3\xa9; ".as_slice(), b"x=\xff; ", b"\xff\xfe; ", b"=; ; ;", &many, &long] {
        let header = joined(&[other, &own]);
        assert_eq!(present(&setup, &[&header]).await.user.as_deref(), Some("alice"));
    }
}

#[test]
fn reading_takes_linear_time() {
    let time = |len: usize| {
        let header = "__Host-sessio=a;".repeat(len / 16).into_bytes();
        let mut best = std::time::Duration::MAX;
        for _ in 0..5 {
            let begun = Instant::now();
            assert_eq!(read_cookie([header.as_slice()], "__Host-session"), Presented::Nothing);
            best = best.min(begun.elapsed());
        }
        best
    };
    // Sixteen times the length: quadratic work would take 256 times as long.
    let (short, long) = (time(1 << 18), time(1 << 22));
    assert!(long < short * 100, "{short:?} for a part, {long:?} for the whole");
}

#[tokio::test]
async fn unknown_tokens_are_never_adopted() {
    let setup = Setup::new();
    let token = SessionToken::random(&OsRandom).unwrap();
    let text = token.encode();
    let header = format!("__Host-session={}", text.as_str());
    let seen = present(&setup, &[header.as_bytes()]).await;
    assert_eq!(seen, Seen { calls: vec![Op::Load], ..Seen::nothing(Opened::Unknown) });
    let response = setup
        .with_token(text.as_str(), async |session| {
            session.insert("a", "b").await.unwrap();
            200
        })
        .await;
    let fresh = response.token().unwrap();
    let fresh = SessionToken::parse(fresh.as_bytes()).unwrap();
    assert_ne!(fresh.id(), token.id());
}

#[tokio::test]
async fn tokens_that_were_ended_expired_or_rotated_away_are_none_and_no_cookie_is_removed() {
    let setup = Setup::new();
    let ended = setup.log_in("alice").await;
    let response = setup
        .with_token(&ended, async |session| {
            assert!(session.logout().await.unwrap());
            200
        })
        .await;
    assert!(response.removes_the_cookie(), "only this request destroyed it");
    let expired = setup.log_in("bob").await;
    setup.advance(24 * 3600);
    let superseded = setup.log_in("carol").await;
    setup
        .with_token(&superseded, async |session| {
            let _ = session.elevate(1).await.unwrap();
            200
        })
        .await;
    for (token, opened) in
        [(&ended, Opened::Unknown), (&expired, Opened::Unknown), (&superseded, Opened::Superseded)]
    {
        let header = format!("__Host-session={token}");
        let seen = present(&setup, &[header.as_bytes()]).await;
        assert_eq!(seen, Seen { calls: vec![Op::Load], ..Seen::nothing(opened) });
    }
}

#[tokio::test]
async fn what_is_stored_opens_nothing_and_neither_does_another_realms_token() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    let parsed = SessionToken::parse(token.as_bytes()).unwrap();
    let id = parsed.id();
    let record = setup.sessions.store().load(&id, setup.sessions.now()).await.unwrap().unwrap();
    // The id and the stored hash, in the shape of a token.
    let bytes = [id.as_bytes().as_slice(), record.secret_hash().as_bytes()].concat();
    let stored = data_encoding::BASE64URL_NOPAD.encode(&bytes);
    let header = format!("__Host-session={stored}");
    assert_eq!(present(&setup, &[header.as_bytes()]).await.opened, Opened::Unknown);

    let tenant = setup.sessions.with_realm(Realm::new("tenant").unwrap());
    let mut elsewhere = tenant.open(None).await.unwrap();
    tenant.login(&mut elsewhere, tenant.subject("alice").unwrap()).await.unwrap();
    let session_core::TokenChange::Set(foreign) = elsewhere.token_change() else { panic!() };
    let header = format!("__Host-session={}", foreign.encode().as_str());
    assert_eq!(present(&setup, &[header.as_bytes()]).await.opened, Opened::Unknown);
    let other_name = format!("__Host-admin={token}");
    assert_eq!(present(&setup, &[other_name.as_bytes()]).await.opened, Opened::NoToken);
}

#[tokio::test]
async fn nothing_but_the_configured_place_is_read() {
    let setup = Setup::new();
    let token = setup.log_in("alice").await;
    let head = Head { path: format!("/?__Host-session={token}"), ..Head::get() }
        .with("authorization", format!("Bearer {token}"))
        .with("x-session-id", &token)
        .with("set-cookie", format!("__Host-session={token}"))
        .with("x-forwarded-proto", "https");
    setup.calls();
    setup
        .request(&head, async |session| {
            assert_eq!(session.info().await.unwrap().opened, Opened::NoToken);
            200
        })
        .await;
    assert!(setup.calls().is_empty());
}
