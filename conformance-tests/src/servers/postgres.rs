//! A PostgreSQL server.

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::disk;
use super::image::{Contents, Image};
use super::locate::Kind;
use super::location::{self, Location, percent_encoded};
use super::process::Signal;
use super::product::{Answer, Identity, Product, Shared};
use super::server::Server;
use super::shared::SharedServer;
use super::site::Site;
use super::tls::TlsFiles;

/// A PostgreSQL server of one's own.
pub type PostgresServer = Server<Postgres>;

/// The PostgreSQL server that the tests of this process share.
pub type PostgresEndpoint = SharedServer<Postgres>;

/// The user of a server that was started here, who may do everything, and the database that it begins with.
const USER: &str = "postgres";
const DATABASE: &str = "postgres";

/// How to start a [`PostgresServer`]. The default lets everybody in on the loopback interface, has room for 500
/// connections, and does not wait for the disk: what was written survives the end of the server, not that of
/// the machine.
#[derive(Clone, Default)]
pub struct PostgresOptions {
    settings: Vec<String>,
    password: Option<String>,
    tls: bool,
    /// Bytes of a disk of its own.
    disk: Option<u64>,
}

impl PostgresOptions {
    /// The default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line to the server's configuration file, with the value spelled (and quoted) as there.
    /// It stands after our own lines, so it wins over them.
    #[must_use]
    pub fn config(mut self, setting: &str, value: &str) -> Self {
        self.settings.push(format!("{setting} = {value}"));
        self
    }

    /// Asks every user for a password, and gives this one to the first. The server's URL then carries it.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Serves TLS as well, on the same port, with certificates made for this server.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Gives the server a disk of its own with room for so many bytes, which [`fill_disk`](Server::fill_disk)
    /// fills. An empty server takes about forty million. What is on it is gone when the server ends, however it
    /// ends.
    ///
    /// On Linux only, as root or where the kernel lets users have name spaces of their own.
    #[must_use]
    pub fn disk(mut self, bytes: u64) -> Self {
        self.disk = Some(bytes);
        self
    }
}

/// Shows no password and no setting, which may hold one.
impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions").field("tls", &self.tls).finish_non_exhaustive()
    }
}

impl Server<Postgres> {
    /// The URL of another user or database of this server.
    #[must_use]
    pub fn url_of(&self, user: &str, password: &str, database: &str) -> String {
        url(user, Some(password).filter(|it| !it.is_empty()), self.port(), database)
    }

    /// The certificates, if TLS was asked for.
    #[must_use]
    pub fn tls_files(&self) -> Option<&TlsFiles> {
        self.kind().tls_files.as_ref()
    }
}

/// What is PostgreSQL's own about a server.
#[derive(Debug)]
pub struct Postgres {
    options: PostgresOptions,
    tls_files: Option<TlsFiles>,
    home: PathBuf,
}

impl Product for Postgres {
    type Options = PostgresOptions;

    const KIND: Kind = Kind {
        name: "PostgreSQL",
        schemes: &[("postgres", 5432), ("postgresql", 5432)],
        url_variable: "SESSION_TEST_POSTGRES_URL",
        url_example: "postgres://user:password@127.0.0.1:5432/database",
        program_variable: "SESSION_TEST_POSTGRES_SERVER",
        programs: &["postgres"],
        // Debian, Fedora, Homebrew.
        folders: &[
            "/usr/lib/postgresql/*/bin",
            "/usr/pgsql-*/bin",
            "/opt/homebrew/opt/postgresql@*/bin",
            "/usr/local/opt/postgresql@*/bin",
        ],
        install: &[
            "`apt-get install postgresql` (Debian, Ubuntu)",
            "`brew install postgresql` (macOS)",
        ],
    };

    const IMAGE: Image = Image {
        variable: "SESSION_TEST_POSTGRES_IMAGE",
        public: "postgres:17",
        stand_in: "session-tests/postgres",
    };
    const END: Signal = Signal::Quit;
    const STOP: Signal = Signal::Interrupt;
    const UNPRIVILEGED: &'static [&'static str] = &["postgres", "nobody"];

    /// The second one: after a crash, while a process of the server has not ended yet.
    const PASSING: &'static [&'static str] =
        &["Address already in use", "pre-existing shared memory block"];

    fn shared() -> &'static Shared<Self> {
        static SHARED: Shared<Postgres> = Shared::new();
        &SHARED
    }

    /// From a line such as `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)`.
    fn identify_program(program: &Path) -> io::Result<Identity> {
        let text = super::locate::output(Command::new(program).arg("--version"))?;
        let version =
            text.split_once("(PostgreSQL) ").and_then(|(_, it)| it.split_whitespace().next());
        version.map(|version| Identity::new("PostgreSQL", version)).ok_or_else(|| {
            let program = program.display();
            io::Error::other(format!(
                "{program} --version does not answer like a PostgreSQL server"
            ))
        })
    }

    /// Without a password the server tells its version; otherwise, and with TLS, it is only knocked at: the
    /// standard library has neither what its login needs nor TLS.
    fn identify(location: &Location) -> io::Result<Identity> {
        let place = location.rest.trim_start_matches('/').split(['?', '#']).next();
        let database = place.filter(|it| !it.is_empty()).unwrap_or(&location.user);
        match greet(location.connect()?, &location.user, database)? {
            Greeting::Welcome { version } => Ok(Identity::new("PostgreSQL", &version)),
            Greeting::Password => Ok(Identity::without_version("PostgreSQL")),
            Greeting::Refused { code, text } => Err(io::Error::other(format!("{code} {text}"))),
        }
    }

    fn prepare(options: PostgresOptions, site: &Site) -> io::Result<Self> {
        let data = site.folder().join(DATA);
        let mut arguments = vec![
            OsStr::new("--pgdata").to_owned(),
            data.into(),
            format!("--username={USER}").into(),
            "--encoding=UTF8".into(),
            "--no-locale".into(),
            "--no-sync".into(),
        ];
        if let Some(password) = &options.password {
            let file = site.folder().join("password");
            std::fs::write(&file, password)?;
            site.hand_over(&file)?;
            arguments.push("--auth=scram-sha-256".into());
            arguments.push(format!("--pwfile={}", file.display()).into());
        } else {
            arguments.push("--auth=trust".into());
        }
        site.run(&site.program().with_file_name("initdb"), arguments)?;

        let tls_files = options.tls.then(|| TlsFiles::create(site.folder())).transpose()?;
        if let Some(files) = &tls_files {
            site.hand_over(files.key())?;
        }
        let postgres = Self { options, tls_files, home: site.folder().to_owned() };
        let path = postgres.data().join("postgresql.conf");
        let standard = std::fs::read_to_string(&path)?;
        std::fs::write(path, standard + &postgres.config())?;
        Ok(postgres)
    }

    fn has_disk(&self) -> bool {
        self.options.disk.is_some()
    }

    fn command(&self, site: &Site) -> io::Result<Command> {
        let mut command = Command::new(site.program());
        let data = if self.has_disk() { self.home.join(disk::FOLDER) } else { self.data() };
        command.arg("-D").arg(data).arg("-p").arg(site.ports()[0].to_string());
        match self.options.disk {
            Some(bytes) => {
                disk::with_disk(&command, &self.home, bytes, Some(&self.data()), site.user())
            }
            None => Ok(command),
        }
    }

    /// The server writes its process id into its folder, and whether it is ready.
    fn ask(&self, ports: &[u16], pid: Option<u32>) -> io::Result<Answer> {
        if let Some(pid) = pid {
            let data = if self.has_disk() { disk::seen_by(pid, &self.home) } else { self.data() };
            let state = std::fs::read_to_string(data.join("postmaster.pid"))?;
            let mut lines = state.lines().map(str::trim);
            let is_ours = lines.next() == Some(&pid.to_string());
            let status = lines.nth(6).unwrap_or_default();
            if !is_ours || status != "ready" {
                return Ok(Answer::NotYet(format!("its status is {status}")));
            }
        }
        Ok(match greet(location::connect(ports[0], location::PATIENCE)?, USER, DATABASE)? {
            Greeting::Welcome { .. } | Greeting::Password => Answer::Ready,
            Greeting::Refused { code, text } => Answer::NotYet(format!("{code} {text}")),
        })
    }

    fn url(&self, ports: &[u16]) -> String {
        url(USER, self.options.password.as_deref(), ports[0], DATABASE)
    }

    fn in_container() -> Self {
        Self { options: PostgresOptions::default(), tls_files: None, home: PathBuf::new() }
    }

    fn contents(&self, port: u16) -> Contents {
        let port = port.to_string();
        let settings = ["-c", "max_connections=500", "-c", "fsync=off"];
        Contents::arguments(&[&["postgres", "-p", &port][..], &settings].concat())
            .with("POSTGRES_HOST_AUTH_METHOD", "trust")
    }
}

/// In the server's folder: its data, or what is copied to a disk of its own at each start.
const DATA: &str = "data";

impl Postgres {
    fn data(&self) -> PathBuf {
        self.home.join(DATA)
    }

    fn config(&self) -> String {
        let mut config = String::from(
            "\nlisten_addresses = '127.0.0.1, ::1'\nunix_socket_directories = ''\n\
             max_connections = 500\nfsync = off\n",
        );
        if let Some(files) = &self.tls_files {
            // The names are our own; writing to a string cannot fail.
            let _ = writeln!(config, "ssl = on");
            let _ = writeln!(config, "ssl_cert_file = '{}'", files.certificate().display());
            let _ = writeln!(config, "ssl_key_file = '{}'", files.key().display());
        }
        for setting in &self.options.settings {
            let _ = writeln!(config, "{setting}");
        }
        config
    }
}

fn url(user: &str, password: Option<&str>, port: u16, database: &str) -> String {
    let password = password.map(|it| format!(":{}", percent_encoded(it))).unwrap_or_default();
    format!("postgres://{}{password}@127.0.0.1:{port}/{database}", percent_encoded(user))
}

/// What a server says to who comes in.
enum Greeting {
    Welcome { version: String },
    Password,
    Refused { code: String, text: String },
}

/// Begins a session and ends it again.
fn greet(mut stream: TcpStream, user: &str, database: &str) -> io::Result<Greeting> {
    let strings = ["user", user, "database", database].map(|it| format!("{it}\0")).concat() + "\0";
    let length = u32::try_from(8 + strings.len()).map_err(io::Error::other)?;
    // Version 3.0 of the protocol.
    stream.write_all(&[&length.to_be_bytes()[..], &[0, 3, 0, 0], strings.as_bytes()].concat())?;
    let mut version = String::new();
    loop {
        let (kind, body) = message(&mut stream)?;
        match kind {
            b'R' if body.starts_with(&[0; 4]) => {}
            b'R' => return Ok(Greeting::Password),
            b'S' => {
                let mut words = body.split(|byte| *byte == 0).map(String::from_utf8_lossy);
                if words.next().as_deref() == Some("server_version") {
                    let value = words.next().unwrap_or_default();
                    value.split(' ').next().unwrap_or_default().clone_into(&mut version);
                }
            }
            b'E' => {
                let field = |name: u8| {
                    let mut fields = body.split(|byte| *byte == 0);
                    let found = fields.find_map(|field| field.strip_prefix(&[name]));
                    String::from_utf8_lossy(found.unwrap_or_default()).into_owned()
                };
                return Ok(Greeting::Refused { code: field(b'C'), text: field(b'M') });
            }
            b'Z' => {
                stream.write_all(b"X\0\0\0\x04")?;
                return Ok(Greeting::Welcome { version });
            }
            _ => {}
        }
    }
}

/// The kind of a message, and what it holds.
fn message(stream: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    /// Longer than anything that is said before a session begins.
    const MOST: usize = 1 << 16;

    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let [kind, length @ ..] = head;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    let length = length.checked_sub(4).filter(|length| *length <= MOST);
    let length = length.ok_or_else(|| io::Error::other("it does not answer like PostgreSQL"))?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((kind, body))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::servers::ServerErrorKind;
    use crate::servers::locate::Environment;

    #[test]
    fn a_started_server_comes_back_with_its_data_and_knows_itself() {
        let server = PostgresServer::start(PostgresOptions::new()).unwrap();
        assert!(server.version().starts_with(|it: char| it.is_ascii_digit()), "{server:?}");
        let url = server.url();
        let named =
            |variable: &str| (variable == Postgres::KIND.url_variable).then(|| (&url).into());
        let environment: Environment<'_> = &named;
        let given = PostgresEndpoint::provide(environment).unwrap();
        assert_eq!(given.version(), server.version());
        assert!(given.server().is_none());
        assert!(given.to_string().contains("named by SESSION_TEST_POSTGRES_URL"), "{given}");

        let system =
            || std::fs::read(server.folder().join("data/global/pg_control")).unwrap()[..8].to_vec();
        let before = system();
        for end in [PostgresServer::kill, PostgresServer::stop] {
            end(&server).unwrap();
            assert_eq!(server.pid(), None);
            let error = PostgresEndpoint::provide(environment).unwrap_err();
            assert_eq!(error.kind(), ServerErrorKind::Unreachable);
            server.restart().unwrap();
            assert_eq!(server.url(), url);
            assert_eq!(system(), before, "the same database");
        }
        server.pause().unwrap();
        server.restart().unwrap();
    }

    #[test]
    fn the_password_is_in_the_url_and_nowhere_else() {
        let options = PostgresOptions::new().password("p@ss/canary");
        let server = PostgresServer::start(options).unwrap();
        assert!(server.url().starts_with("postgres://postgres:p%40ss%2Fcanary@127.0.0.1:"));
        assert!(!format!("{server:?} {server}").contains("canary"));
        let location = Location::parse(&server.url(), &Postgres::KIND).unwrap();
        assert_eq!(Postgres::identify(&location).unwrap(), Identity::without_version("PostgreSQL"));
        assert!(matches!(
            greet(location.connect().unwrap(), USER, DATABASE).unwrap(),
            Greeting::Password
        ));
    }

    #[test]
    fn a_setting_that_is_none_shows_in_the_error() {
        let options = PostgresOptions::new().config("max_connections", "'many'");
        let error = PostgresServer::start(options).unwrap_err();
        assert_eq!(error.kind(), ServerErrorKind::Start);
        assert!(error.to_string().contains("max_connections"), "{error}");
    }
}
