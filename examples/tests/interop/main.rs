//! A Node and a Python application read, prolong and end the sessions that Rust wrote, on a real Redis.

#![cfg(feature = "redis")]

mod application;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use conformance_tests::servers::{RedisOptions, RedisServer};
use redis::Cmd;
use session_core::{
    Login, ManualClock, Opened, PageRequest, Realm, Session, Sessions, SystemClock, TokenChange,
};
use session_redis::RedisStore;

use application::{Application, Response};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const IDLE: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A Redis server, and the Rust application on it.
struct Rust {
    server: RedisServer,
    store: Arc<RedisStore>,
    sessions: Sessions<RedisStore>,
}

impl Rust {
    async fn start() -> Result<Self> {
        let server = RedisServer::start(RedisOptions::new())?;
        let store = Arc::new(RedisStore::connect(&server.url()).await?);
        let sessions = Sessions::builder(Arc::clone(&store)).build()?;
        Ok(Self { server, store, sessions })
    }

    /// Sessions of the same application at another time.
    fn ago(&self, time: Duration) -> Result<Sessions<RedisStore>> {
        let clock = ManualClock::at(self.sessions.now().minus(time));
        Ok(Sessions::builder(Arc::clone(&self.store)).clock(clock).build()?)
    }

    async fn command<T: redis::FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        let client = redis::Client::open(self.server.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        Ok(command.query_async(&mut connection).await?)
    }

    /// Writes bytes over a part of the stored record.
    async fn overwrite(&self, session: &Session, offset: usize, bytes: &[u8]) -> Result {
        self.command(redis::cmd("SETRANGE").arg(key(session)?).arg(offset).arg(bytes)).await
    }
}

fn key(session: &Session) -> Result<Vec<u8>> {
    let id = session.id().ok_or("the session is stored")?;
    Ok([b"session:s:", id.as_bytes().as_slice()].concat())
}

/// A logged-in session with data of every kind, and its token.
async fn alice(sessions: &Sessions<RedisStore>) -> Result<(Session, String)> {
    let mut session = sessions.open(None).await?;
    sessions.login(&mut session, Login::new(sessions.subject("alice")?).level(2)).await?;
    session.data_mut().insert("cart", &["tea", "Käse 🧀"])?;
    session.data_mut().insert("visits", &3)?;
    let _ = sessions.commit(&mut session).await?;
    let token = token(&session)?;
    Ok((session, token))
}

fn token(session: &Session) -> Result<String> {
    match session.token_change() {
        TokenChange::Set(token) => Ok(token.encode().as_str().to_owned()),
        _ => Err("the session has no new token".into()),
    }
}

fn cookie(token: &str) -> String {
    format!("Cookie: __Host-session={token}")
}

#[track_caller]
fn assert_alice(response: &Response) {
    assert_eq!(response.status, 200, "{response:?}");
    let shown = response.json();
    assert_eq!(shown["user"], "alice", "{response:?}");
    assert_eq!(shown["data"]["cart"][1], "Käse 🧀");
    assert_eq!(shown["data"]["visits"], 3);
    assert_eq!(shown["authentication"]["level"], 2);
    assert!(response.header("vary").is_some_and(|vary| vary.eq_ignore_ascii_case("cookie")));
    assert_eq!(response.header("cache-control"), Some("private, no-store"));
}

#[track_caller]
fn assert_nobody(response: &Response, why: &str) {
    assert_eq!(response.status, 200, "{why}: {response:?}");
    assert!(response.json().is_null(), "{why}: {response:?}");
    assert_eq!(response.header("set-cookie"), None, "{why}");
}

#[track_caller]
fn assert_unavailable(response: &Response, why: &str) {
    assert_eq!(response.status, 503, "{why}: {response:?}");
    assert_eq!(response.header("set-cookie"), None, "{why}: the cookie is left alone");
}

#[tokio::test]
async fn a_session_is_read_by_its_cookie_and_by_nothing_else() -> Result {
    let rust = Rust::start().await?;
    let (session, alice_token) = alice(&rust.sessions).await?;
    let tenant = rust.sessions.with_realm(Realm::new("tenant")?);
    let (_, foreign) = alice(&tenant).await?;
    let (_, over) = alice(&rust.ago(IDLE + HOUR)?).await?;
    let id = session.id().ok_or("stored")?;
    let hash: Vec<u8> =
        rust.command(redis::cmd("GETRANGE").arg(key(&session)?).arg(36).arg(67)).await?;
    let hash_as_secret = data_encoding::BASE64URL_NOPAD
        .encode(&[id.as_bytes().as_slice(), hash.as_slice()].concat());

    let last = if alice_token.ends_with('A') { 'B' } else { 'A' };
    let tampered = format!("{}{last}", &alice_token[..63]);
    let nobody = [
        ("no cookie", String::new()),
        ("a changed secret", cookie(&tampered)),
        ("a token of another realm", cookie(&foreign)),
        ("a session that is over", cookie(&over)),
        ("the stored hash", cookie(&hash_as_secret)),
        ("zeros", cookie(&"A".repeat(64))),
        ("nothing", cookie("")),
        ("padding", cookie(&format!("{alice_token}="))),
        ("a blank behind it", cookie(&format!("{alice_token} ; a=b"))),
        ("quotes", cookie(&format!("\"{alice_token}\""))),
        ("another case of the name", format!("Cookie: __host-session={alice_token}")),
        ("an encoded name", format!("Cookie: %5F%5FHost-session={alice_token}")),
        ("two of them", format!("{}; __Host-session={alice_token}", cookie(&alice_token))),
        ("two headers", format!("{}\r\n{}", cookie(&alice_token), cookie(&alice_token))),
    ];
    for application in Application::start_all(&rust.server.url())? {
        assert_alice(&application.get(&cookie(&alice_token))?);
        let among_others = format!("Cookie: a=b;__Host-session={alice_token}; c=d");
        assert_alice(&application.get(&among_others)?);
        for (why, header) in &nobody {
            assert_nobody(&application.get(header)?, &format!("{application}: {why}"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_rotated_token_is_good_for_its_grace() -> Result {
    let rust = Rust::start().await?;
    let (mut session, before) = alice(&rust.sessions).await?;
    session.rotate();
    let _ = rust.sessions.commit(&mut session).await?;
    let after = token(&session)?;

    // Without grace, as a login does it.
    let (mut other, without_grace) = alice(&rust.sessions).await?;
    let _ = rust.sessions.elevate(&mut other, 3).await?;

    for application in Application::start_all(&rust.server.url())? {
        assert_alice(&application.get(&cookie(&before))?);
        assert_alice(&application.get(&cookie(&after))?);
        assert_nobody(&application.get(&cookie(&without_grace))?, "after an elevation");
    }
    Ok(())
}

#[tokio::test]
async fn use_prolongs_a_session_and_changes_nothing_else() -> Result {
    let rust = Rust::start().await?;
    for application in Application::start_all(&rust.server.url())? {
        let (session, token) = alice(&rust.ago(IDLE / 2)?).await?;
        let revision = |record: Vec<u8>| record[4..12].to_vec();
        let stored: Vec<u8> = rust.command(redis::cmd("GET").arg(key(&session)?)).await?;
        // The first call finds no script on the server.
        rust.command::<()>(redis::cmd("SCRIPT").arg("FLUSH")).await?;
        assert_alice(&application.get(&cookie(&token))?);

        let used = rust.sessions.open(Some(token.as_bytes())).await?;
        let until = used.expires_at().ok_or("live")?;
        assert!(Some(until) > session.expires_at(), "{application} prolongs");
        assert!(
            until <= rust.sessions.now().plus(IDLE),
            "{application}: never beyond the idle time"
        );
        let step = u64::try_from(IDLE.as_millis() / 20)?;
        assert_eq!(until.as_millis() % step, 0, "{application}: a herd writes one value");
        let touched: Vec<u8> = rust.command(redis::cmd("GET").arg(key(&session)?)).await?;
        assert_eq!(revision(touched.clone()), revision(stored), "{application}: no other write");

        // No touch is due now.
        assert_alice(&application.get(&cookie(&token))?);
        let again: Vec<u8> = rust.command(redis::cmd("GET").arg(key(&session)?)).await?;
        assert_eq!(again, touched, "{application}");
        let ttl: i64 = rust.command(redis::cmd("PTTL").arg(key(&session)?)).await?;
        assert!(ttl > i64::try_from((HOUR * 23).as_millis())?, "{application}: {ttl} ms");
    }
    Ok(())
}

#[tokio::test]
async fn a_session_that_another_language_ends_is_over_everywhere() -> Result {
    let rust = Rust::start().await?;
    let alice_subject = rust.sessions.subject("alice")?;
    let index = [b"session:u:", alice_subject.as_bytes()].concat();
    let applications = Application::start_all(&rust.server.url())?;
    for application in &applications {
        let (_, token) = alice(&rust.ago(HOUR)?).await?;
        let response = application.post("/logout", &cookie(&token))?;
        assert_eq!(response.status, 204, "{application}: {response:?}");
        let removal = response.header("set-cookie").unwrap_or_default();
        assert!(removal.starts_with("__Host-session="), "{application}: {removal}");
        assert!(removal.contains("Max-Age=0") && removal.contains("Path=/"), "{removal}");
        assert!(removal.contains("Secure"), "{application}: {removal}");

        assert_eq!(rust.sessions.open(Some(token.as_bytes())).await?.opened(), Opened::Unknown);
        for other in &applications {
            assert_nobody(&other.get(&cookie(&token))?, "after the logout");
        }
        assert!(
            rust.sessions.list(&alice_subject, &PageRequest::first(10)).await?.items.is_empty()
        );
        let entries: u64 = rust.command(redis::cmd("ZCARD").arg(&index)).await?;
        assert_eq!(entries, 0, "{application} removes the settled index entry");

        // The request that ends nothing sends no removal.
        let again = application.post("/logout", &cookie(&token))?;
        assert_eq!((again.status, again.header("set-cookie")), (204, None), "{application}");
    }
    Ok(())
}

#[tokio::test]
async fn the_entry_of_a_young_session_stays_for_a_login_under_way() -> Result {
    let rust = Rust::start().await?;
    let subject = rust.sessions.subject("alice")?;
    let index = [b"session:u:", subject.as_bytes()].concat();
    for (number, application) in Application::start_all(&rust.server.url())?.iter().enumerate() {
        let (_, token) = alice(&rust.sessions).await?;
        assert_eq!(application.post("/logout", &cookie(&token))?.status, 204);
        let entries: usize = rust.command(redis::cmd("ZCARD").arg(&index)).await?;
        assert_eq!(entries, number + 1, "{application}");
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_authenticates_nobody_and_is_kept() -> Result {
    let rust = Rust::start().await?;
    let applications = Application::start_all(&rust.server.url())?;
    let (later, later_token) = alice(&rust.sessions).await?;
    rust.overwrite(&later, 3, &[2]).await?;
    let (codec, codec_token) = alice(&rust.sessions).await?;
    let header = payload_at(&rust, &codec).await?;
    rust.overwrite(&codec, header + 3, &[2]).await?;
    let (garbage, garbage_token) = alice(&rust.sessions).await?;
    rust.overwrite(&garbage, 0, b"rubbish").await?;
    let (cut, cut_token) = alice(&rust.sessions).await?;
    let whole: Vec<u8> = rust.command(redis::cmd("GET").arg(key(&cut)?)).await?;
    let (data, data_token) = alice(&rust.sessions).await?;
    let at = payload_at(&rust, &data).await?;
    rust.overwrite(&data, at + 5, b"[").await?;

    for application in &applications {
        assert_unavailable(&application.get(&cookie(&later_token))?, "a later record format");
        assert_unavailable(&application.get(&cookie(&codec_token))?, "another codec");
        assert_nobody(&application.get(&cookie(&garbage_token))?, "rubbish");
        assert_nobody(&application.get(&cookie(&data_token))?, "rubbish in the payload");
        for length in 0..whole.len() {
            let cut_off = &whole[..length];
            rust.command::<()>(redis::cmd("SET").arg(key(&cut)?).arg(cut_off).arg("KEEPTTL"))
                .await?;
            // Every tenth length, and all around the header, keeps the test short.
            if length % 10 == 0 || (60..120).contains(&length) {
                assert_nobody(&application.get(&cookie(&cut_token))?, &format!("cut at {length}"));
            }
        }
    }
    for session in [&later, &codec, &garbage, &data] {
        assert!(rust.command::<bool>(redis::cmd("EXISTS").arg(key(session)?)).await?, "kept");
    }
    Ok(())
}

/// Where the payload begins in the stored record.
async fn payload_at(rust: &Rust, session: &Session) -> Result<usize> {
    let record: Vec<u8> = rust.command(redis::cmd("GET").arg(key(session)?)).await?;
    record.windows(3).position(|bytes| bytes == [0xD5, b'S', 1]).ok_or("a payload".into())
}

#[tokio::test]
async fn a_store_that_is_down_is_never_nobody() -> Result {
    let rust = Rust::start().await?;
    let (_, token) = alice(&rust.sessions).await?;
    let applications = Application::start_all(&rust.server.url())?;
    for application in &applications {
        assert_alice(&application.get(&cookie(&token))?);
    }
    rust.server.kill()?;
    for application in &applications {
        assert_unavailable(&application.get(&cookie(&token))?, &application.to_string());
        assert_nobody(&application.get("")?, "a request without a cookie needs no store");
    }
    rust.server.restart()?;
    let sessions = Sessions::builder(Arc::new(RedisStore::connect(&rust.server.url()).await?))
        .clock(SystemClock)
        .build()?;
    let (_, token) = alice(&sessions).await?;
    for application in &applications {
        let response = application.until_available(&cookie(&token))?;
        assert_alice(&response);
    }
    Ok(())
}
