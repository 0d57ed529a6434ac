//! The provisioner, tried on real servers and on made-up environments.

mod backends;

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::process::{Launch, Process, Signal};
use super::resp::{Connection, Reply};
use super::user::User;
use super::{
    DynamoOptions, DynamoServer, Readiness, RedisEndpoint, RedisOptions, RedisServer,
    ServerErrorKind, folder::Folder, locate, port,
};

const SOON: Duration = Duration::from_secs(10);
const HOLD: &str = "SESSION_TEST_HOLD_SERVER";

#[test]
fn a_started_server_answers_and_says_what_it_is() {
    let server = RedisServer::start(RedisOptions::new()).unwrap();
    assert_eq!(server.command(&["PING"]).unwrap(), "PONG");
    assert!(server.version().starts_with(|it: char| it.is_ascii_digit()), "{server:?}");
    assert!(server.to_string().contains(server.version()));
    assert_eq!(server.url(), format!("redis://127.0.0.1:{}", server.port()));
    let pid = server.pid().unwrap();
    assert!(is_alive(pid));

    if std::env::var_os(HOLD).is_some() {
        // We are the process that `nothing_is_left_after_sigkill` starts and kills.
        println!("\nheld {pid} {}", server.folder().display());
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    }
}

#[test]
fn nothing_is_left_after_sigkill() {
    let module = module_path!().split_once("::").unwrap().1;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg(format!("{module}::a_started_server_answers_and_says_what_it_is"))
        .env(HOLD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let held = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("held ").map(str::to_owned))
        .expect("the child starts a server");
    let (pid, folder) = held.split_once(' ').unwrap();
    let pid: u32 = pid.parse().unwrap();
    assert!(is_alive(pid));
    assert!(Path::new(folder).exists());

    child.kill().unwrap();
    child.wait().unwrap();

    eventually("the server ends", || !is_alive(pid));
    eventually("the folder goes", || !Path::new(folder).exists());
}

#[test]
fn a_stopped_process_is_ended_by_a_drop_too() {
    let folder = Folder::create("sleeper").unwrap();
    let mut command = Command::new("sleep");
    command.arg("1000");
    let mut process = Process::start(&Launch {
        command,
        user: None,
        log: folder.path().join("log"),
        end_signal: Signal::Terminate,
    })
    .unwrap();
    let pid = process.pid();
    process.signal(Signal::Stop).unwrap();
    assert!(is_alive(pid));
    drop(process);
    assert!(!is_alive(pid));
}

#[test]
fn what_a_server_cannot_resist_reaches_the_processes_that_it_started() {
    let folder = Folder::create("family").unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 1000 & echo $! >child; wait"]).current_dir(folder.path());
    let (log, end_signal) = (folder.path().join("log"), Signal::Kill);
    let mut process = Process::start(&Launch { command, user: None, log, end_signal }).unwrap();
    let written = || std::fs::read_to_string(folder.path().join("child")).unwrap_or_default();
    eventually("the child is there", || written().ends_with('\n'));
    let child: u32 = written().trim().parse().unwrap();

    process.signal(Signal::Stop).unwrap();
    eventually("the child stops", || state(child).starts_with('T'));
    process.signal(Signal::Continue).unwrap();
    eventually("the child goes on", || !state(child).starts_with('T'));
    process.signal(Signal::Kill).unwrap();
    eventually("the child ends", || !is_alive(child) || state(child).starts_with('Z'));
    assert!(process.wait(SOON).unwrap());
}

/// What `ps` or Linux says that a process does: `T` is stopped, `Z` has ended and is not collected.
fn state(pid: u32) -> String {
    if let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        return stat.rsplit_once(") ").unwrap().1.to_owned();
    }
    let output = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output();
    output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned()).unwrap_or_default()
}

#[test]
fn a_server_that_refuses_root_runs_as_somebody_else() {
    use std::os::unix::fs::MetadataExt;
    let folder = Folder::create("user").unwrap();
    let us = folder.path().metadata().unwrap().uid();
    assert_eq!(User::instead_of_root(folder.path(), &[]).unwrap(), None);
    let user = User::instead_of_root(folder.path(), &["no-such-user", "nobody"]).unwrap();
    assert_eq!(user.is_some(), us == 0, "only root needs another user");
    if let Some(user) = user {
        user.own(folder.path()).unwrap();
    }

    let mut command = Command::new("sh");
    command.args(["-c", "id -u >who; exec sleep 1000"]).current_dir(folder.path());
    let (log, end_signal) = (folder.path().join("log"), Signal::Kill);
    let process = Process::start(&Launch { command, user, log, end_signal }).unwrap();
    let written = || std::fs::read_to_string(folder.path().join("who")).unwrap_or_default();
    eventually("it runs and may write to its folder", || written().ends_with('\n'));
    let who: u32 = written().trim().parse().unwrap();
    assert_eq!(who, folder.path().metadata().unwrap().uid());
    assert_eq!(who == us, us != 0);
    drop(process);

    if us == 0 {
        let roots = Folder::create("user").unwrap();
        let error = User::instead_of_root(roots.path(), &["no-such-user"]).unwrap_err();
        assert!(error.to_string().contains("no-such-user"), "{error}");
    }
}

#[test]
fn of_several_folders_the_one_with_the_highest_number_wins() {
    let folder = Folder::create("folders").unwrap();
    for made in ["lib/9/bin", "lib/17/bin", "session-tests/tool-1.10"] {
        std::fs::create_dir_all(folder.path().join(made)).unwrap();
    }
    let home = folder.path().to_str().unwrap();
    let variables = [("XDG_CACHE_HOME", home)];
    let environment = with(&variables);
    let names = |pattern: &str| -> Vec<String> {
        let found = locate::folders(pattern, &environment);
        let inside = |path: &Path| path.strip_prefix(home).unwrap().to_str().unwrap().to_owned();
        found.iter().map(|path| inside(path)).collect()
    };
    let found = names(&format!("{home}/lib/*/bin"));
    assert_eq!(found, ["lib/17/bin", "lib/9/bin"]);
    assert_eq!(names("~cache/tool-*"), ["session-tests/tool-1.10"]);
    assert!(names("/no/such/*/folder").is_empty());
}

#[test]
fn a_dropped_server_leaves_no_process_and_no_folder() {
    let server = RedisServer::start(RedisOptions::new()).unwrap();
    let (pid, folder) = (server.pid().unwrap(), server.folder().to_owned());
    drop(server);
    assert!(!is_alive(pid));
    assert!(!folder.exists());
}

#[test]
fn a_paused_server_is_silent_until_it_is_resumed() {
    let server = RedisServer::start(RedisOptions::new()).unwrap();
    let stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut connection = Connection::new(stream);
    assert_eq!(connection.call(&["PING"]).unwrap(), Reply::Text("PONG".to_owned()));

    server.pause().unwrap();
    let error = connection.call(&["PING"]).unwrap_err();
    assert!(matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));

    server.resume().unwrap();
    assert_eq!(server.command(&["PING"]).unwrap(), "PONG");
}

#[test]
fn a_killed_server_comes_back_on_its_port_with_its_folder() {
    let options = RedisOptions::new().config("appendonly", "yes").config("appendfsync", "always");
    let server = RedisServer::start(options).unwrap();
    let (url, first) = (server.url(), server.pid().unwrap());
    server.command(&["SET", "kept", "yes"]).unwrap();

    server.kill().unwrap();
    assert!(!is_alive(first));
    assert_eq!(server.pid(), None);
    assert!(TcpStream::connect(("127.0.0.1", server.port())).is_err());
    assert_eq!(server.pause().unwrap_err().kind(), ServerErrorKind::Control);

    server.restart().unwrap();
    assert_eq!(server.url(), url);
    assert_ne!(server.pid().unwrap(), first);
    assert_eq!(server.command(&["GET", "kept"]).unwrap(), "yes");
}

#[test]
fn a_restart_ends_a_paused_server_first() {
    let server = RedisServer::start(RedisOptions::new()).unwrap();
    let first = server.pid().unwrap();
    server.pause().unwrap();
    server.restart().unwrap();
    assert!(!is_alive(first));
    assert_eq!(server.command(&["PING"]).unwrap(), "PONG");
}

#[test]
fn a_stopped_server_saves_first() {
    let server = RedisServer::start(RedisOptions::new().config("save", "3600 1")).unwrap();
    server.command(&["SET", "kept", "yes"]).unwrap();
    server.stop().unwrap();
    server.restart().unwrap();
    assert_eq!(server.command(&["GET", "kept"]).unwrap(), "yes");
}

#[test]
fn a_server_that_loads_or_asks_for_a_password_counts_as_answering_when_asked() {
    let options = RedisOptions::new()
        .config("save", "3600 1")
        .config("key-load-delay", "1000")
        .config("loading-process-events-interval-bytes", "1024")
        .ready_when(Readiness::Answering);
    let server = RedisServer::start(options).unwrap();
    // A millisecond per key: it loads for ten seconds, and answers about every sixty keys.
    server.command(&["EVAL", FILL, "0"]).unwrap();
    server.stop().unwrap();
    server.restart().unwrap();
    let error = server.command(&["GET", "key:1"]).unwrap_err();
    assert!(error.to_string().contains("LOADING"), "{error}");

    let locked = RedisOptions::new().config("requirepass", "hunter2");
    let error = RedisServer::start(locked.clone()).unwrap_err();
    assert!(error.to_string().contains("NOAUTH"), "{error}");
    let server = RedisServer::start(locked.ready_when(Readiness::Answering)).unwrap();
    assert!(server.command(&["PING"]).unwrap_err().to_string().contains("NOAUTH"));
}

const FILL: &str = "for i = 1, 10000 do redis.call('SET', 'key:' .. i, 'value ' .. i) end";

#[test]
fn the_password_is_in_the_url_and_nowhere_else() {
    let password = "p@ss \"w/ö:rd%";
    let server = RedisServer::start(RedisOptions::new().password(password)).unwrap();
    assert!(server.url().contains("://:p%40ss%20%22w%2F%C3%B6%3Ard%25@127.0.0.1:"));
    assert_eq!(server.command(&["PING"]).unwrap(), "PONG");
    assert!(!format!("{server:?} {server}").contains("p@ss"));

    let endpoint = RedisEndpoint::provide(&with(&[("SESSION_TEST_REDIS_URL", &server.url())]));
    let endpoint = endpoint.unwrap();
    assert_eq!(endpoint.version(), server.version());
    assert!(!format!("{endpoint:?} {endpoint}").contains("ss%20"));

    let broken = RedisOptions::new().password("hunter2").config("maxmemory", "hunter2");
    let error = RedisServer::start(broken).unwrap_err();
    assert_eq!(error.kind(), ServerErrorKind::Start);
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn tls_is_served_with_a_certificate_of_its_own_authority() {
    let server = RedisServer::start(RedisOptions::new().tls()).unwrap();
    assert!(server.url().starts_with("rediss://127.0.0.1:"), "{}", server.url());
    assert!(server.plain_url().starts_with("redis://127.0.0.1:"));
    let output = Command::new("openssl")
        .args(["s_client", "-verify_return_error", "-verify_ip", "127.0.0.1", "-CAfile"])
        .arg(server.tls_files().unwrap().authority())
        .arg("-connect")
        .arg(format!("127.0.0.1:{}", server.port()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
}

#[test]
fn a_failed_start_shows_the_log_of_the_server() {
    let error = RedisServer::start(RedisOptions::new().config("no-such", "directive")).unwrap_err();
    assert_eq!(error.kind(), ServerErrorKind::Start);
    assert!(error.to_string().contains("no-such"), "{error}");
}

#[test]
fn a_url_from_the_environment_wins_and_is_not_touched() {
    let theirs = RedisServer::start(RedisOptions::new()).unwrap();
    theirs.command(&["SET", "mine", "kept"]).unwrap();
    let url = theirs.url() + "/0";
    let variables = [("SESSION_TEST_REDIS_URL", url.as_str()), ("PATH", "/nowhere")];

    let endpoint = RedisEndpoint::provide(&with(&variables)).unwrap();
    assert_eq!(endpoint.url(), url);
    assert_eq!(endpoint.version(), theirs.version());
    assert_eq!(endpoint.product(), theirs.product());
    assert!(endpoint.server().is_none());
    assert!(endpoint.to_string().contains("SESSION_TEST_REDIS_URL"));
    drop(endpoint);

    assert_eq!(theirs.command(&["GET", "mine"]).unwrap(), "kept");
}

#[test]
fn a_url_that_leads_nowhere_is_an_error_and_never_a_start() {
    let free = port::free().unwrap();
    let url = format!("redis://user:hunter2@127.0.0.1:{free}");
    let variables = [("SESSION_TEST_REDIS_URL", url.as_str()), ("PATH", &real_path())];
    let error = RedisEndpoint::provide(&with(&variables)).unwrap_err();
    assert_eq!(error.kind(), ServerErrorKind::Unreachable);
    assert!(error.to_string().contains(&format!("127.0.0.1:{free}")), "{error}");
    assert!(!error.to_string().contains("hunter2"));

    for url in ["127.0.0.1:6379", "http://host", "redis://", "redis://host:port", "redis://%zz@h"] {
        let error = RedisEndpoint::provide(&with(&[("SESSION_TEST_REDIS_URL", url)])).unwrap_err();
        assert_eq!(error.kind(), ServerErrorKind::Unreachable, "{url}");
        assert!(error.to_string().contains("no URL like"), "{error}");
    }
}

#[test]
fn an_ipv6_url_is_understood() {
    let server = RedisServer::start(RedisOptions::new()).unwrap();
    if TcpStream::connect(("::1", server.port())).is_ok() {
        let url = format!("redis://[::1]:{}/0", server.port());
        let endpoint = RedisEndpoint::provide(&with(&[("SESSION_TEST_REDIS_URL", &url)])).unwrap();
        assert_eq!(endpoint.version(), server.version());
    } else {
        let url = format!("redis://[::1]:{}", server.port());
        let error = RedisEndpoint::provide(&with(&[("SESSION_TEST_REDIS_URL", &url)])).unwrap_err();
        assert!(error.to_string().contains(&format!("::1:{}", server.port())), "{error}");
    }
}

#[test]
fn a_missing_program_is_an_error_that_says_what_to_do() {
    let error = RedisEndpoint::provide(&with(&[("PATH", "/nowhere")])).unwrap_err();
    assert_eq!(error.kind(), ServerErrorKind::NotFound);
    let text = error.to_string();
    for hint in [
        "redis-server",
        "valkey-server",
        "apt-get install redis-server",
        "brew install redis",
        "SESSION_TEST_REDIS_SERVER=/path/to/redis-server",
        "SESSION_TEST_REDIS_URL=redis://127.0.0.1:6379",
    ] {
        assert!(text.contains(hint), "{hint} is missing in: {text}");
    }
}

#[test]
fn a_named_program_is_used_or_refused_but_not_replaced() {
    let path = real_path();
    let variables = [("SESSION_TEST_REDIS_SERVER", "/no/such/redis"), ("PATH", &path)];
    let error = RedisEndpoint::provide(&with(&variables)).unwrap_err();
    assert_eq!(error.kind(), ServerErrorKind::NotFound);
    assert!(error.to_string().contains("/no/such/redis is no program"), "{error}");

    let found = RedisEndpoint::provide(&with(&[("PATH", &path)])).unwrap();
    let program = found.server().unwrap().program().to_str().unwrap().to_owned();
    let variables = [("SESSION_TEST_REDIS_SERVER", program.as_str()), ("PATH", "/nowhere")];
    let named = RedisEndpoint::provide(&with(&variables)).unwrap();
    assert_eq!(named.server().unwrap().program(), Path::new(&program));
}

#[test]
fn the_shared_endpoint_is_one_for_all() {
    let first = RedisEndpoint::shared().unwrap();
    let second = thread::spawn(|| RedisEndpoint::shared().unwrap()).join().unwrap();
    assert!(std::ptr::eq(first, second));
}

/// An environment of exactly these variables, and of no Docker daemon unless they name one.
#[test]
fn a_dynamodb_local_answers_says_what_it_is_and_comes_back() {
    for options in [DynamoOptions::new(), DynamoOptions::new().on_disk()] {
        let server = DynamoServer::start(options).unwrap();
        assert_eq!(server.product(), "DynamoDB Local");
        assert!(server.version().starts_with(|it: char| it.is_ascii_digit()), "{server:?}");
        let url = server.url();
        assert_eq!(url, format!("dynamodb://127.0.0.1:{}?region=eu-west-1", server.port()));
        server.kill().unwrap();
        assert_eq!(server.pid(), None);
        server.restart().unwrap();
        assert_eq!(server.url(), url);
        assert!(is_alive(server.pid().unwrap()));
    }
}

/// An environment of exactly these variables.
fn with(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + use<> {
    let no_docker = [("DOCKER_HOST", "unix:///no/such/docker.sock")];
    let variables: Vec<(String, OsString)> = variables
        .iter()
        .chain(&no_docker)
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect();
    move |wanted| variables.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
}

fn real_path() -> String {
    std::env::var("PATH").unwrap()
}

fn is_alive(pid: u32) -> bool {
    Command::new("sh")
        .args(["-c", r#"kill -0 "$1""#, "is-alive", &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {SOON:?}");
        thread::sleep(Duration::from_millis(5));
    }
}
