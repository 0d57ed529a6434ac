//! DynamoDB Local, Amazon's own stand-in for the service: one program for one machine.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::ServerError;
use super::image::{Contents, Image};
use super::locate::{self, Environment, Kind};
use super::location::{self, Location};
use super::product::{Answer, Identity, Product, Shared};
use super::server::Server;
use super::shared::SharedServer;
use super::site::Site;

/// A DynamoDB Local of one's own. It listens on every interface of the machine: there is no way to tell it
/// otherwise.
pub type DynamoServer = Server<Dynamo>;

/// A DynamoDB Local of one's own in a container. It keeps nothing.
#[cfg(all(unix, feature = "containers"))]
pub type DynamoContainer = super::container::Container<Dynamo>;

/// The DynamoDB Local that the tests of this process share.
pub type DynamoEndpoint = SharedServer<Dynamo>;

/// How to start a [`DynamoServer`]. The default keeps nothing on disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct DynamoOptions {
    on_disk: bool,
}

impl DynamoOptions {
    /// The default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the tables in the server's folder, so that they are there after a restart.
    #[must_use]
    pub fn on_disk(mut self) -> Self {
        self.on_disk = true;
        self
    }
}

/// What is DynamoDB Local's own about a server.
#[derive(Debug)]
pub struct Dynamo {
    options: DynamoOptions,
}

const JAR: &str = "DynamoDBLocal.jar";

/// It clears sixteen megabytes for each request, so the young part of the heap is large. A test run is too short
/// for the second compiler to pay.
const JAVA_OPTIONS: &[&str] =
    &["-Xmx512m", "-Xmn300m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"];

impl Product for Dynamo {
    type Options = DynamoOptions;

    const KIND: Kind = Kind {
        name: "DynamoDB-Local",
        schemes: &[("dynamodb", 8000)],
        url_variable: "SESSION_TEST_DYNAMO_URL",
        url_example: "dynamodb://127.0.0.1:8000?region=eu-west-1",
        program_variable: "SESSION_TEST_DYNAMO_SERVER",
        programs: &[JAR],
        folders: &["~cache/dynamodb-local-*"],
        install: &[
            "`cargo xtask test` (fetches it)",
            "`apt-get install default-jre-headless` (Debian, Ubuntu) for Java",
        ],
    };

    const IMAGE: Image = Image {
        variable: "SESSION_TEST_DYNAMO_IMAGE",
        public: "amazon/dynamodb-local:2.5.2",
        stand_in: "session-tests/dynamodb-local",
    };

    fn shared() -> &'static Shared<Self> {
        static SHARED: Shared<Dynamo> = Shared::new();
        &SHARED
    }

    /// The program of the environment, or the folder that it is in, else what was fetched.
    fn locate(environment: Environment<'_>) -> Result<PathBuf, ServerError> {
        let kind = Self::KIND;
        let named = environment(kind.program_variable).map(PathBuf::from);
        let (tried, places) = if let Some(named) = named {
            (kind.program_variable, vec![named.clone(), named.join(JAR)])
        } else {
            let folders = kind.folders.iter().flat_map(|it| locate::folders(it, environment));
            (kind.folders[0], folders.map(|folder| folder.join(JAR)).collect())
        };
        let found = places.into_iter().find(|place| place.is_file());
        let finding = format!("there is no {JAR} in {tried}");
        found.ok_or_else(|| locate::not_found(&kind, &finding))
    }

    fn identify_program(program: &Path) -> io::Result<Identity> {
        let notes = fs::read_to_string(program.with_file_name(NOTES)).unwrap_or_default();
        Ok(from_notes(&notes))
    }

    /// A given server tells no version. The real service is told apart by its name.
    fn identify(location: &Location) -> io::Result<Identity> {
        if location.host.ends_with(".amazonaws.com") {
            // Reached by TLS, which the standard library does not speak: only knocked at.
            location.connect()?;
            return Ok(Identity::without_version("Amazon DynamoDB"));
        }
        list_tables(location.connect()?, &location.address())?;
        Ok(Identity::without_version("DynamoDB API"))
    }

    fn prepare(options: DynamoOptions, _site: &Site) -> io::Result<Self> {
        Ok(Self { options })
    }

    fn command(&self, site: &Site) -> io::Result<Command> {
        let program = site.program();
        let mut command = Command::new("java");
        let mut libraries = std::ffi::OsString::from("-Djava.library.path=");
        libraries.push(program.with_file_name("DynamoDBLocal_lib"));
        command.args(JAVA_OPTIONS).arg(libraries).arg("-jar").arg(program);
        command.arg("-sharedDb").arg("-port").arg(site.ports()[0].to_string());
        if self.options.on_disk {
            command.arg("-dbPath").arg(site.folder());
        } else {
            command.arg("-inMemory");
        }
        Ok(command)
    }

    fn ask(&self, ports: &[u16], _pid: Option<u32>) -> io::Result<Answer> {
        let port = ports[0];
        let stream = location::connect(port, location::PATIENCE)?;
        let tables = list_tables(stream, &format!("127.0.0.1:{port}"))?;
        let is_new = tables.contains(r#""TableNames":[]"#);
        Ok(if is_new || self.options.on_disk { Answer::Ready } else { Answer::Stranger })
    }

    fn url(&self, ports: &[u16]) -> String {
        format!("dynamodb://127.0.0.1:{}?region=eu-west-1", ports[0])
    }

    fn identify_in_container(
        location: &Location,
        read: &dyn Fn(&str) -> Option<String>,
    ) -> io::Result<Identity> {
        Self::identify(location)?;
        Ok(from_notes(&read(NOTES).unwrap_or_default()))
    }

    fn in_container() -> Self {
        Self { options: DynamoOptions::new() }
    }

    /// The maker's image runs `java` in the folder of the program.
    fn contents(&self, port: u16) -> Contents {
        let library = "-Djava.library.path=DynamoDBLocal_lib";
        let own = [library, "-jar", JAR, "-sharedDb", "-inMemory", "-port", &port.to_string()];
        Contents::arguments(&[JAVA_OPTIONS, &own].concat())
    }
}

/// What it is called in reports, since it is not the service.
const NAME: &str = "DynamoDB Local";
/// Beside the program.
const NOTES: &str = "README.txt";

/// From the notes on its versions, of which the newest come first: `2020-01-16 (1.11.478)`.
fn from_notes(notes: &str) -> Identity {
    let is_version = |word: &&str| {
        let mut parts = word.split('.');
        word.matches('.').count() == 2 && parts.all(|part| part.parse::<u32>().is_ok())
    };
    match notes.split(['(', ')', ' ', '\n']).find(is_version) {
        Some(version) => Identity::new(NAME, version),
        None => Identity::without_version(NAME),
    }
}

/// Asks for the names of the tables. Whoever serves answers with them or with a complaint about the signature,
/// which is none.
fn list_tables(mut stream: TcpStream, host: &str) -> io::Result<String> {
    let authorization = "AWS4-HMAC-SHA256 Credential=local/20200101/eu-west-1/dynamodb/aws4_request, \
                         SignedHeaders=host, Signature=0";
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\n\
         X-Amz-Target: DynamoDB_20120810.ListTables\r\nContent-Type: application/x-amz-json-1.0\r\n\
         Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes())?;
    let mut reply = Vec::new();
    stream.take(1 << 16).read_to_end(&mut reply)?;
    let reply = String::from_utf8_lossy(&reply).into_owned();
    if reply.starts_with("HTTP/1.1 ") && reply.contains("application/x-amz-json") {
        Ok(reply)
    } else {
        Err(io::Error::other("the reply is not one that DynamoDB gives"))
    }
}
