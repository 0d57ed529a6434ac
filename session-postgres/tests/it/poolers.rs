//! PgBouncer in transaction mode, which gives a connection of the server to each transaction.

use std::io;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use conformance_tests::servers::{PostgresOptions, PostgresServer};
use session_core::{Count, SessionStore, StoreErrorKind, TouchOutcome, UpdateOutcome};
use session_postgres::{Pooler, PostgresStore};

use crate::support::{kind, login, minutes, now, own_server, revision, store_on};

const MISSING: &str =
    "PgBouncer is not there: `cargo xtask test` installs it, or `apt-get install pgbouncer`";

/// A PgBouncer with two connections to the server, which ends with its value.
struct PgBouncer {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl PgBouncer {
    fn start(server: &PostgresServer) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let folder = std::env::temp_dir().join(format!("session-pgbouncer-{port}"));
        std::fs::create_dir_all(&folder).unwrap();
        let users = folder.join("users");
        std::fs::write(&users, "\"postgres\" \"\"\n").unwrap();
        let settings = format!(
            "[databases]\npostgres = host=127.0.0.1 port={} dbname=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 2\n\
             max_client_conn = 200\n",
            server.port(),
            users.display(),
        );
        let file = folder.join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let process = command(&folder).arg(&file).spawn();
        let process = process.unwrap_or_else(|error| panic!("{MISSING} ({error})"));
        let bouncer = Self { process, folder, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "PgBouncer does not begin to serve");
            std::thread::sleep(Duration::from_millis(20));
        }
        bouncer
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

/// It refuses to be root.
fn command(folder: &std::path::Path) -> Command {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|it| it.stdout == b"0\n");
    let mut command = if is_root {
        let _ = Command::new("chown").args(["-R", "nobody"]).arg(folder).status();
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--clear-groups", "--pdeathsig=KILL", "pgbouncer"]);
        command
    } else {
        Command::new("pgbouncer")
    };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _: io::Result<()> = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn with_bouncer() -> (std::sync::Arc<PostgresServer>, PgBouncer, PostgresStore) {
    let server = own_server(PostgresOptions::new()).await;
    let (direct, _) = store_on(&server.url()).await;
    let behind = std::sync::Arc::clone(&server);
    let bouncer = tokio::task::spawn_blocking(move || PgBouncer::start(&behind)).await.unwrap();
    (server, bouncer, direct)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_prepared_statements_everything_works_and_nothing_is_mixed_up() {
    let (_server, bouncer, direct) = with_bouncer().await;
    let builder = PostgresStore::builder().table(direct.table()).connections(8);
    let builder = builder.pooler(Pooler::LosesPreparedStatements);
    let store = builder.connect(&bouncer.url()).await.unwrap();
    store.migrate().await.unwrap();
    let users = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..25 {
                let session = login();
                let _ = store.create(&session, now()).await.unwrap();
                let found = store.load(session.id(), now()).await.unwrap();
                assert_eq!(found.as_ref(), Some(&session));
                let change = session.change(revision()).payload(vec![0, b'\'', b'\\', 255]);
                assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
                let later = now().plus(minutes(50));
                let touched = store.touch(session.id(), later, now()).await.unwrap();
                assert_eq!(touched, TouchOutcome::Touched);
                assert!(store.delete(session.id(), now()).await.unwrap());
            }
        })
    });
    for user in users.collect::<Vec<_>>() {
        user.await.unwrap();
    }
    assert_eq!(store.inspect().unwrap().count(now()).await.unwrap(), Count::Exact(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_was_not_told_of_is_an_error_that_says_so() {
    let (_server, bouncer, direct) = with_bouncer().await;
    // Debian's PgBouncer does not know the settings that the store sends at the beginning of a connection.
    let builder = PostgresStore::builder().table(direct.table());
    let told = builder.clone().pooler(Pooler::KeepsPreparedStatements).connections(8);
    assert!(builder.connect(&bouncer.url()).await.is_err());

    // It loses prepared statements: never a wrong answer, and an error that names the setting.
    let store = told.connect(&bouncer.url()).await.unwrap();
    let mut kinds = Vec::new();
    for _ in 0..20 {
        let sessions: Vec<_> = (0..8).map(|_| login()).collect();
        let calls = sessions.iter().map(|session| store.load(session.id(), now()));
        for answer in futures_util::future::join_all(calls).await {
            match answer {
                Ok(found) => assert_eq!(found, None),
                Err(error) => kinds.push(error.kind()),
            }
        }
    }
    assert!(kinds.iter().all(|kind| *kind == StoreErrorKind::Config), "{kinds:?}");
    assert!(kind_or_none(&store).await.is_none_or(|kind| kind == StoreErrorKind::Config));
}

async fn kind_or_none(store: &PostgresStore) -> Option<StoreErrorKind> {
    let answer = store.load(login().id(), now()).await;
    answer.is_err().then(|| kind(answer))
}
