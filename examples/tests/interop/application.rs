//! The applications in `examples/interop`, as processes.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

const PATIENCE: Duration = Duration::from_secs(30);

/// A web application on a free port of the loopback interface, gone when it is dropped.
pub(crate) struct Application {
    name: &'static str,
    process: Child,
    port: u16,
}

impl Application {
    /// The Node and the Python application, on one Redis server.
    pub(crate) fn start_all(redis_url: &str) -> Result<Vec<Self>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop");
        let node = folder.join("node");
        prepared(&node.join("node_modules/redis"))?;
        let mut javascript = Command::new("node");
        javascript.arg("server.js").current_dir(node);

        let python = folder.join("python");
        let interpreter = python.join(".venv/bin/python");
        prepared(&interpreter)?;
        let mut fastapi = Command::new(interpreter);
        fastapi.args(["-B", "app.py"]).current_dir(python);

        Ok(vec![
            Self::start("node", javascript, redis_url)?,
            Self::start("python", fastapi, redis_url)?,
        ])
    }

    fn start(name: &'static str, mut command: Command, redis_url: &str) -> Result<Self> {
        let mut process = command
            .env("SESSION_REDIS_URL", redis_url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        // Node says its port on standard output, uvicorn on standard error.
        let said: Box<dyn std::io::Read + Send> = match name {
            "node" => Box::new(process.stdout.take().ok_or("standard output")?),
            _ => Box::new(process.stderr.take().ok_or("standard error")?),
        };
        let mut lines = BufReader::new(said).lines();
        let mut seen = Vec::new();
        let port = loop {
            let Some(line) = lines.next().transpose()? else {
                return Err(format!("{name} did not start:\n{}", seen.join("\n")).into());
            };
            if let Some(port) = port_in(&line) {
                break port;
            }
            seen.push(line);
        };
        // What it says later is read on, so that it never waits for a reader.
        std::thread::spawn(move || lines.map_while(std::result::Result::ok).for_each(drop));
        Ok(Self { name, process, port })
    }

    /// `GET /` with these header lines.
    pub(crate) fn get(&self, headers: &str) -> Result<Response> {
        self.request("GET", "/", headers)
    }

    /// `POST` with these header lines.
    pub(crate) fn post(&self, path: &str, headers: &str) -> Result<Response> {
        self.request("POST", path, headers)
    }

    /// The first answer that is no 503, once the store is back.
    pub(crate) fn until_available(&self, headers: &str) -> Result<Response> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let response = self.get(headers)?;
            if response.status != 503 || Instant::now() > deadline {
                return Ok(response);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn request(&self, method: &str, path: &str, headers: &str) -> Result<Response> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let separator = if headers.is_empty() { "" } else { "\r\n" };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\
             {headers}{separator}\r\n"
        )?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        Response::parse(&bytes).ok_or_else(|| format!("{} answered no HTTP", self.name).into())
    }
}

/// The port that a line like `listening on 1234` or `… running on http://127.0.0.1:1234 (…)` names.
fn port_in(line: &str) -> Option<u16> {
    let after = line
        .split_once("listening on ")
        .or_else(|| line.split_once("running on http://127.0.0.1:"))?
        .1;
    after.split(|it: char| !it.is_ascii_digit()).next()?.parse().ok()
}

fn prepared(path: &Path) -> Result {
    if path.exists() {
        return Ok(());
    }
    Err("the packages of the other languages are missing; this installs them: cargo xtask interop"
        .into())
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl fmt::Display for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// An HTTP response, read to its end.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Response {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8(bytes.to_vec()).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Some(Self { status, headers, body: body.to_owned() })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON; its chunks are joined, if it came in chunks.
    pub(crate) fn json(&self) -> serde_json::Value {
        let body = match self.header("transfer-encoding") {
            Some("chunked") => unchunked(&self.body),
            _ => self.body.clone(),
        };
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn unchunked(body: &str) -> String {
    let (mut rest, mut whole) = (body, String::new());
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        if length == 0 {
            break;
        }
        whole.push_str(&after[..length]);
        rest = after[length..].trim_start_matches("\r\n");
    }
    whole
}
