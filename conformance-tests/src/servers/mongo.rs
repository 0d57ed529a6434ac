//! A MongoDB server: a replica set of one member, or one member of a larger set.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::error::{ServerError, ServerErrorKind};
use super::image::{Contents, Image};
use super::locate::Kind;
use super::location::{self, Location, percent_encoded};
use super::op_msg::{Connection, Reply};
use super::port;
use super::product::{Answer, Identity, Product, Shared};
use super::server::Server;
use super::shared::SharedServer;
use super::site::Site;
use super::tls::TlsFiles;

/// A MongoDB server of one's own: a replica set of one member.
pub type MongoServer = Server<Mongo>;

/// A MongoDB server of one's own in a container: a replica set of one member.
#[cfg(all(unix, feature = "containers"))]
pub type MongoContainer = super::container::Container<Mongo>;

/// The MongoDB server that the tests of this process share.
pub type MongoEndpoint = SharedServer<Mongo>;

/// The database of the URLs.
const DATABASE: &str = "session-tests";
/// The user of a server with a password.
const ADMINISTRATOR: &str = "admin";

/// Longer than an election takes on a busy machine.
const ELECTION_PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

const ALREADY_INITIALIZED: i64 = 23;
const NOT_YET_INITIALIZED: i64 = 94;
const UNAUTHORIZED: i64 = 13;

/// How to start a [`MongoServer`]. By default nobody has to log in.
#[derive(Clone, Default)]
pub struct MongoOptions {
    settings: Vec<(String, String)>,
    password: Option<String>,
    tls: bool,
    /// The set that somebody else will initiate, if not one of its own.
    set: Option<String>,
}

impl MongoOptions {
    /// The default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `--name value` to the command line.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets in only who logs in, and makes an administrator with this password. The server's URL then carries
    /// it.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Serves TLS as well, on the same port, with certificates made for this server. The server's URL then asks for
    /// it.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }
}

/// Shows no password and no setting, which may hold one.
impl fmt::Debug for MongoOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoOptions").field("tls", &self.tls).finish_non_exhaustive()
    }
}

impl Server<Mongo> {
    /// The certificates, if TLS was asked for.
    #[must_use]
    pub fn tls_files(&self) -> Option<&TlsFiles> {
        self.kind().tls_files.as_ref()
    }

    /// Runs one command on a new connection without a login, the name with its argument first, and answers with
    /// the reply. For driving the server into a state without a driver; a refusal is an error.
    pub fn command(&self, database: &str, command: &[(&str, Value)]) -> Result<Value, ServerError> {
        self.command_within(location::COMMAND_PATIENCE, database, command)
    }

    fn command_within(
        &self,
        patience: Duration,
        database: &str,
        command: &[(&str, Value)],
    ) -> Result<Value, ServerError> {
        let name = command.first().map_or("", |(name, _)| name);
        let doing = || format!("{}: {name}", self.label());
        match call(self.port(), patience, database, command) {
            Ok(Reply::Done(reply)) => Ok(reply),
            Ok(Reply::Error { code, text }) => Err(ServerError::new(
                ServerErrorKind::Control,
                format!("{}: {code} {text}", doing()),
            )),
            Err(error) => Err(ServerError::control(&doing(), &error)),
        }
    }

    fn is_primary(&self) -> bool {
        let hello = self.command_within(location::PATIENCE, "admin", &[("hello", json!(1))]);
        hello.is_ok_and(|hello| hello["isWritablePrimary"] == json!(true))
    }

    /// Its part in its set, in words.
    fn describe(&self) -> Result<String, ServerError> {
        let command = [("replSetGetStatus", json!(1))];
        let status = self.command_within(location::PATIENCE, "admin", &command)?;
        let mut members = status["members"].as_array().into_iter().flatten();
        let state = members.find(|member| member["self"] == json!(true));
        let state = state.and_then(|member| member["stateStr"].as_str());
        let source = status["syncSourceHost"].as_str().filter(|host| !host.is_empty());
        let optime = |name| status["optimes"][name]["ts"].as_u64().unwrap_or_default();
        Ok(format!(
            "{} is {}, copies from {}, has {:x}, knows a majority to have {:x}",
            self.label(),
            state.unwrap_or("without a state"),
            source.unwrap_or("nobody"),
            optime("appliedOpTime"),
            optime("lastCommittedOpTime"),
        ))
    }
}

/// A replica set on the loopback interface, whose members can be killed, paused and restarted.
///
/// Elections are quick: a primary that is not heard of for a second is replaced. So is the choice of another member
/// to copy from, when the one that was copied from answers no more.
#[derive(Debug)]
pub struct MongoSet {
    name: String,
    members: Vec<MongoServer>,
}

impl MongoSet {
    /// Starts a set of so many members and waits until it has a primary.
    pub fn start(members: usize) -> Result<Self, ServerError> {
        let name = set_name();
        let members = (0..members)
            .map(|_| {
                let options = MongoOptions { set: Some(name.clone()), ..MongoOptions::new() };
                let quick = QUICK_CHANGE.iter();
                MongoServer::start(
                    quick.fold(options, |it, limit| it.setting("setParameter", limit)),
                )
            })
            .collect::<Result<Vec<_>, _>>()?;
        let set = Self { name, members };
        let first = set.members.first().ok_or_else(|| set.error("it has no members"))?;
        let hosts = set.members.iter().enumerate().map(|(number, member)| {
            json!({ "_id": number, "host": format!("127.0.0.1:{}", member.port()) })
        });
        let configuration = json!({
            "_id": set.name,
            "members": hosts.collect::<Vec<_>>(),
            "settings": { "electionTimeoutMillis": 1_000, "heartbeatIntervalMillis": 200 },
        });
        first.command("admin", &[("replSetInitiate", configuration)])?;
        set.primary()?;
        Ok(set)
    }

    /// The URL for a client that finds the members by itself.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts = self.members.iter().map(|member| format!("127.0.0.1:{}", member.port()));
        let hosts = hosts.collect::<Vec<_>>().join(",");
        format!("mongodb://{hosts}/{DATABASE}?replicaSet={}", self.name)
    }

    /// The members, dead and paused ones included.
    #[must_use]
    pub fn members(&self) -> &[MongoServer] {
        &self.members
    }

    /// The member that takes writes now. Waits for an election, if there is none; do not ask while a member is
    /// paused.
    pub fn primary(&self) -> Result<&MongoServer, ServerError> {
        let deadline = Instant::now() + ELECTION_PATIENCE;
        loop {
            if let Some(primary) = self.members.iter().find(|member| member.is_primary()) {
                return Ok(primary);
            }
            if Instant::now() >= deadline {
                return Err(self.error("no member becomes the primary"));
            }
            thread::sleep(POLL);
        }
    }

    /// Lets the primary step down, so that another member is elected. Waits for one that can be.
    pub fn step_down(&self) -> Result<(), ServerError> {
        let command = [("replSetStepDown", json!(10)), ("secondaryCatchUpPeriodSecs", json!(5))];
        let deadline = Instant::now() + ELECTION_PATIENCE;
        loop {
            // Refused as long as nobody else has caught up, and by one that has just been replaced.
            match self.primary()?.command("admin", &command) {
                Err(_) if Instant::now() < deadline => thread::sleep(POLL),
                ended => return ended.map(drop),
            }
        }
    }

    /// Stops the members' copying from the primary: what is written then no majority has, while all of them still
    /// hear of each other. All members must run.
    pub fn pause_replication(&self) -> Result<(), ServerError> {
        self.stop_copying("alwaysOn")
    }

    /// Lets them copy again.
    pub fn resume_replication(&self) -> Result<(), ServerError> {
        self.stop_copying("off")
    }

    /// Sets the fail point of the server that stops its copying.
    fn stop_copying(&self, mode: &str) -> Result<(), ServerError> {
        let set = [("configureFailPoint", json!("stopReplProducer")), ("mode", json!(mode))];
        self.members.iter().try_for_each(|member| member.command("admin", &set).map(drop))
    }

    /// What each member says of itself, a line each, for a test that fails: its state, whom it copies from, and
    /// the times of the last operation that it has and of the last that it knows a majority to have.
    #[must_use]
    pub fn describe(&self) -> String {
        let said = |member: &MongoServer| member.describe().unwrap_or_else(|it| it.to_string());
        self.members.iter().map(said).collect::<Vec<_>>().join("\n")
    }

    fn error(&self, finding: &str) -> ServerError {
        let text = format!("the replica set {} of MongoDB: {finding}", self.name);
        ServerError::new(ServerErrorKind::Control, text)
    }
}

/// How long a member waits for one that it copies from and that answers no more, in seconds. By default it may be a
/// minute, in which nothing that it has to confirm is acknowledged.
const QUICK_CHANGE: &[&str] =
    &["oplogInitialFindMaxSeconds=2", "oplogNetworkTimeoutBufferSeconds=1"];

/// What is MongoDB's own about a server.
#[derive(Debug)]
pub struct Mongo {
    options: MongoOptions,
    set: String,
    tls_files: Option<TlsFiles>,
}

impl Product for Mongo {
    type Options = MongoOptions;

    const KIND: Kind = Kind {
        name: "MongoDB",
        schemes: &[("mongodb", 27017)],
        url_variable: "SESSION_TEST_MONGO_URL",
        url_example: "mongodb://127.0.0.1:27017/session-tests?directConnection=true",
        program_variable: "SESSION_TEST_MONGO_SERVER",
        programs: &["mongod"],
        folders: &["~cache/mongod-*"],
        install: &[
            "`cargo xtask test` (fetches it, on Linux)",
            "`brew install mongodb/brew/mongodb-community` (macOS)",
        ],
    };

    const IMAGE: Image = Image {
        variable: "SESSION_TEST_MONGO_IMAGE",
        public: "mongo:7.0",
        stand_in: "session-tests/mongo",
    };

    fn shared() -> &'static Shared<Self> {
        static SHARED: Shared<Mongo> = Shared::new();
        &SHARED
    }

    /// From a line such as `db version v6.0.5`.
    fn identify_program(program: &Path) -> io::Result<Identity> {
        let text = super::locate::output(Command::new(program).arg("--version"))?;
        match text.lines().find_map(|line| line.strip_prefix("db version v")) {
            Some(version) => Ok(Identity::new("MongoDB", version.trim())),
            None => Err(io::Error::other(format!(
                "{} --version does not answer like a MongoDB server",
                program.display()
            ))),
        }
    }

    /// A server that is reached by TLS is only knocked at: the standard library speaks no TLS.
    fn identify(location: &Location) -> io::Result<Identity> {
        let mut connection = Connection::new(location.connect()?);
        if location.rest.contains("tls=true") || location.rest.contains("ssl=true") {
            return Ok(Identity::without_version("MongoDB"));
        }
        match connection.call("admin", &[("buildInfo", json!(1))])? {
            Reply::Done(info) => Ok(match info["version"].as_str() {
                Some(version) => Identity::new("MongoDB", version),
                None => Identity::without_version("MongoDB"),
            }),
            // A server that does not tell who it is to strangers has still answered.
            Reply::Error { .. } => Ok(Identity::without_version("MongoDB")),
        }
    }

    fn prepare(options: MongoOptions, site: &Site) -> io::Result<Self> {
        std::fs::create_dir(site.folder().join(DATA))?;
        if options.password.is_some() {
            // Members of a set with logins log in to each other by a secret.
            let secret = format!("{:016x}{:016x}", port::random(), port::random());
            private_file(&site.folder().join(KEY_FILE), &secret)?;
        }
        let tls_files = options.tls.then(|| TlsFiles::create(site.folder())).transpose()?;
        if let Some(files) = &tls_files {
            let both = [std::fs::read(files.certificate())?, std::fs::read(files.key())?].concat();
            std::fs::write(site.folder().join(CERTIFICATE_AND_KEY), both)?;
        }
        let set = options.set.clone().unwrap_or_else(set_name);
        Ok(Self { options, set, tls_files })
    }

    fn command(&self, site: &Site) -> io::Result<Command> {
        let mut command = Command::new(site.program());
        command.arg("--dbpath").arg(site.folder().join(DATA));
        command.args(["--bind_ip", "127.0.0.1,::1", "--ipv6", "--nounixsocket"]);
        command.args(self.arguments(site.ports()[0]));
        if self.options.password.is_some() {
            command.arg("--keyFile").arg(site.folder().join(KEY_FILE));
        }
        if let Some(files) = &self.tls_files {
            // The standard library speaks no TLS, and we have to be let in too.
            command.args(["--tlsMode", "preferTLS", "--tlsAllowConnectionsWithoutCertificates"]);
            command.arg("--tlsCertificateKeyFile").arg(site.folder().join(CERTIFICATE_AND_KEY));
            command.arg("--tlsCAFile").arg(files.authority());
        }
        for (name, value) in &self.options.settings {
            command.arg(format!("--{name}")).arg(value);
        }
        Ok(command)
    }

    /// Initiates its set, waits until it is the primary, and makes the administrator.
    fn ask(&self, ports: &[u16], pid: Option<u32>) -> io::Result<Answer> {
        let port = ports[0];
        let hello = match ask(port, "admin", &[("hello", json!(1))])? {
            Reply::Done(hello) => hello,
            Reply::Error { text, .. } => return Ok(Answer::NotYet(text)),
        };
        // The name of a set is random: it tells servers apart, and nobody initiates another's.
        match hello["setName"].as_str() {
            Some(name) if name != self.set => return Ok(Answer::Stranger),
            Some(_) => {}
            None if self.options.set.is_some() => return is_process(port, pid),
            None => return self.initiate(port),
        }
        if self.options.set.is_some() {
            return Ok(Answer::Ready);
        }
        if hello["isWritablePrimary"] != json!(true) {
            return Ok(Answer::NotYet("it is not the primary yet".to_owned()));
        }
        match &self.options.password {
            Some(password) => make_administrator(port, password),
            None => Ok(Answer::Ready),
        }
    }

    fn url(&self, ports: &[u16]) -> String {
        let login = match &self.options.password {
            Some(password) => format!("{ADMINISTRATOR}:{}@", percent_encoded(password)),
            None => String::new(),
        };
        let source = if login.is_empty() { "" } else { "&authSource=admin" };
        let tls = match &self.tls_files {
            Some(files) => {
                let authority = percent_encoded(&files.authority().to_string_lossy());
                format!("&tls=true&tlsCAFile={authority}")
            }
            None => String::new(),
        };
        let port = ports[0];
        format!("mongodb://{login}127.0.0.1:{port}/{DATABASE}?directConnection=true{source}{tls}")
    }

    fn in_container() -> Self {
        Self { options: MongoOptions::new(), set: set_name(), tls_files: None }
    }

    fn contents(&self, port: u16) -> Contents {
        let open = ["mongod", "--bind_ip_all"].map(str::to_owned);
        let arguments = open.into_iter().chain(self.arguments(port)).collect();
        Contents { arguments, ..Contents::default() }
    }

    fn conceal(&self, text: String) -> String {
        match self.options.password.as_deref().filter(|password| !password.is_empty()) {
            Some(password) => text.replace(password, "(password)"),
            None => text,
        }
    }
}

const DATA: &str = "data";
const KEY_FILE: &str = "set.key";
const CERTIFICATE_AND_KEY: &str = "server.pem";

/// Removes what is over each second instead of each minute, lets tests make errors, and ends at once.
const PARAMETERS: &[&str] = &[
    "ttlMonitorSleepSecs=1",
    "enableTestCommands=1",
    "shutdownTimeoutMillisForSignaledShutdown=0",
    "diagnosticDataCollectionEnabled=false",
];

impl Mongo {
    /// What is the same natively and in a container.
    fn arguments(&self, port: u16) -> Vec<String> {
        let port = port.to_string();
        let own = ["--port", &port, "--replSet", &self.set];
        let small = ["--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25"];
        let parameters = PARAMETERS.iter().flat_map(|parameter| ["--setParameter", parameter]);
        own.into_iter().chain(small).chain(parameters).map(str::to_owned).collect()
    }

    fn initiate(&self, port: u16) -> io::Result<Answer> {
        let configuration = json!({
            "_id": self.set,
            "members": [{ "_id": 0, "host": format!("127.0.0.1:{port}") }],
        });
        Ok(match ask(port, "admin", &[("replSetInitiate", configuration)])? {
            Reply::Done(_)
            | Reply::Error { code: ALREADY_INITIALIZED | NOT_YET_INITIALIZED, .. } => {
                Answer::NotYet("its replica set begins".to_owned())
            }
            Reply::Error { code: UNAUTHORIZED, .. } => {
                Answer::NotYet("its replica set is read from the disk".to_owned())
            }
            Reply::Error { code, text } => Answer::Refused(format!("{code} {text}")),
        })
    }
}

/// Whether the server is this process, for one that has no name of a set to tell it by.
fn is_process(port: u16, pid: Option<u32>) -> io::Result<Answer> {
    Ok(match ask(port, "admin", &[("serverStatus", json!(1))])? {
        Reply::Done(status) if pid.is_none_or(|pid| status["pid"] == json!(pid)) => Answer::Ready,
        Reply::Done(_) => Answer::Stranger,
        Reply::Error { code, text } => Answer::NotYet(format!("{code} {text}")),
    })
}

/// The first user may be made by whoever is on the same machine; after that nobody is let in without a login.
fn make_administrator(port: u16, password: &str) -> io::Result<Answer> {
    let create = [
        ("createUser", json!(ADMINISTRATOR)),
        ("pwd", json!(password)),
        ("roles", json!(["root"])),
    ];
    Ok(match ask(port, "admin", &create)? {
        Reply::Done(_) | Reply::Error { code: UNAUTHORIZED, .. } => Answer::Ready,
        Reply::Error { code, text } => Answer::NotYet(format!("{code} {text}")),
    })
}

/// Runs a command that is answered at once.
fn ask(port: u16, database: &str, command: &[(&str, Value)]) -> io::Result<Reply> {
    call(port, location::PATIENCE, database, command)
}

fn call(
    port: u16,
    patience: Duration,
    database: &str,
    command: &[(&str, Value)],
) -> io::Result<Reply> {
    Connection::new(location::connect(port, patience)?).call(database, command)
}

fn set_name() -> String {
    format!("rs-{:016x}", port::random())
}

#[cfg(unix)]
fn private_file(path: &Path, content: &str) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)?.write_all(content.as_bytes())
}

#[cfg(not(unix))]
fn private_file(path: &Path, content: &str) -> io::Result<()> {
    std::fs::write(path, content)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn insert(server: &MongoServer, id: i64) -> Result<Value, ServerError> {
        let majority = json!({ "w": "majority", "j": true, "wtimeout": 30_000 });
        server.command(
            DATABASE,
            &[
                ("insert", json!("kept")),
                ("documents", json!([{ "_id": id }])),
                ("writeConcern", majority),
            ],
        )
    }

    fn count(server: &MongoServer) -> i64 {
        let counted = server.command(DATABASE, &[("count", json!("kept"))]).unwrap();
        counted["n"].as_i64().unwrap()
    }

    #[test]
    fn a_started_server_is_a_primary_and_keeps_its_data_through_a_crash() {
        let server = MongoServer::start(MongoOptions::new()).unwrap();
        assert_eq!(server.product(), "MongoDB");
        assert!(server.version().starts_with(|it: char| it.is_ascii_digit()), "{server:?}");
        assert!(server.is_primary());
        insert(&server, 1).unwrap();
        server.kill().unwrap();
        assert!(server.command("admin", &[("hello", json!(1))]).is_err());
        server.restart().unwrap();
        assert_eq!(count(&server), 1);
        server.stop().unwrap();
        assert_eq!(server.pid(), None);
    }

    #[test]
    fn a_given_server_says_what_it_is() {
        let server = MongoServer::start(MongoOptions::new()).unwrap();
        let location = Location::parse(&server.url(), &Mongo::KIND).unwrap();
        let identity = Mongo::identify(&location).unwrap();
        assert_eq!(identity.to_string(), format!("MongoDB {}", server.version()));
    }

    #[test]
    fn a_member_of_a_set_to_be_is_told_from_others_by_its_process() {
        let options = MongoOptions { set: Some(set_name()), ..MongoOptions::new() };
        let server = MongoServer::start(options).unwrap();
        let ask = |pid| server.kind().ask(server.ports(), Some(pid)).unwrap();
        let pid = server.pid().unwrap();
        assert!(matches!(ask(pid), Answer::Ready));
        assert!(matches!(ask(pid + 1), Answer::Stranger));
    }

    #[test]
    fn a_refusal_is_an_error_that_names_the_command() {
        let server = MongoServer::start(MongoOptions::new()).unwrap();
        let error = server.command("admin", &[("noSuchCommand", json!(1))]).unwrap_err();
        assert_eq!(error.kind(), ServerErrorKind::Control);
        assert!(error.to_string().contains("noSuchCommand: 59"), "{error}");
    }

    #[test]
    fn with_a_password_nobody_is_let_in_without_a_login() {
        let options = MongoOptions::new().password("pass word/1").tls();
        let server = MongoServer::start(options).unwrap();
        assert!(server.url().starts_with("mongodb://admin:pass%20word%2F1@127.0.0.1:"));
        assert!(server.url().contains("authSource=admin") && server.url().contains("tls=true"));
        assert!(server.tls_files().unwrap().authority().is_file());
        let error = insert(&server, 1).unwrap_err();
        assert!(error.to_string().contains("insert: 13 "), "{error}");
        assert!(!format!("{server:?} {server}").contains("pass word"));
        // It begins again with the administrator that it has.
        server.restart().unwrap();
        assert!(insert(&server, 1).is_err());
    }

    #[test]
    fn a_set_elects_another_primary_when_one_steps_down_or_dies() {
        let set = MongoSet::start(3).unwrap();
        assert_eq!(set.url().matches("127.0.0.1").count(), 3);
        insert(set.primary().unwrap(), 1).unwrap();
        let first = set.primary().unwrap().port();
        let described = set.describe();
        let states = ["PRIMARY", "SECONDARY"].map(|state| described.matches(state).count());
        assert_eq!(states, [1, 2], "{described}");
        set.step_down().unwrap();
        let second = set.primary().unwrap();
        assert_ne!(second.port(), first);
        insert(second, 2).unwrap();
        second.kill().unwrap();
        assert!(set.describe().contains("replSetGetStatus: Connection refused"));
        let third = set.primary().unwrap();
        assert_ne!(third.port(), second.port());
        assert_eq!(count(third), 2, "what a majority had confirmed");
        second.restart().unwrap();
        insert(set.primary().unwrap(), 3).unwrap();
    }

    #[test]
    fn a_primary_that_refuses_to_step_down_is_asked_again() {
        let set = MongoSet::start(3).unwrap();
        let first = set.primary().unwrap();
        let refusals = || {
            let status = first.command("admin", &[("serverStatus", json!(1))]).unwrap();
            status["metrics"]["commands"]["replSetStepDown"]["failed"].as_i64().unwrap()
        };
        // Nobody can follow a primary whose writes nobody has.
        set.pause_replication().unwrap();
        let documents = json!([{ "_id": 1 }]);
        first.command(DATABASE, &[("insert", json!("new")), ("documents", documents)]).unwrap();
        thread::scope(|scope| {
            let stepping_down = scope.spawn(|| set.step_down());
            while refusals() == 0 {
                thread::sleep(POLL);
            }
            set.resume_replication().unwrap();
            stepping_down.join().unwrap().unwrap();
        });
        assert_ne!(set.primary().unwrap().port(), first.port());
    }
}
