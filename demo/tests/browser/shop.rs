//! The demo as a process.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::Result;

/// The demo on a free port, gone when it is dropped.
pub(crate) struct Shop {
    process: Child,
    stdout: BufReader<ChildStdout>,
    base: String,
    port: u16,
}

impl Shop {
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_demo"))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdout = BufReader::new(process.stdout.take().ok_or("standard output")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let base = line.split_whitespace().nth(1).ok_or("the address")?.to_owned();
        let port = base.rsplit_once(':').ok_or("the port")?.1.parse()?;
        Ok(Self { process, stdout, base, port })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn cookie_name(&self) -> &'static str {
        if self.base.starts_with("https") { "__Host-session" } else { "session" }
    }

    /// Signs in without a browser, and answers the token.
    pub(crate) fn sign_in(&self, name: &str) -> Result<String> {
        let mut request = self.begin_slow_sign_in(name)?;
        let response = request.finish()?;
        let (_, rest) = response.split_once("set-cookie: session=").ok_or("a cookie")?;
        Ok(rest.split(';').next().unwrap_or_default().to_owned())
    }

    pub(crate) fn is_signed_in(&self, token: &str) -> Result<bool> {
        Ok(self.get("/account", Some(token))?.starts_with("HTTP/1.1 200"))
    }

    /// The whole response to a request over plain http.
    pub(crate) fn get(&self, path: &str, token: Option<&str>) -> Result<String> {
        let cookie = token.map(|token| format!("Cookie: session={token}\r\n")).unwrap_or_default();
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{cookie}\r\n");
        SlowRequest { stream: self.connect()?, rest: head }.finish()
    }

    /// A sign-in whose head has been sent and whose body has not.
    pub(crate) fn begin_slow_sign_in(&self, name: &str) -> Result<SlowRequest> {
        let body = format!("csrf=&redirect_to=/&name={name}");
        let mut stream = self.connect()?;
        write!(
            stream,
            "POST /login HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            body.len()
        )?;
        // The handler asks for the body: the request is in its hands.
        let mut interim = [0; 25];
        stream.read_exact(&mut interim)?;
        if !interim.starts_with(b"HTTP/1.1 100") {
            return Err("the server does not ask for the body".into());
        }
        Ok(SlowRequest { stream, rest: body })
    }

    /// Sends what Ctrl-C sends.
    #[cfg(unix)]
    pub(crate) fn interrupt(&mut self) -> Result {
        Command::new("kill").args(["-INT", &self.process.id().to_string()]).status()?;
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        if line.starts_with("Finishing") { Ok(()) } else { Err(format!("it says {line:?}").into()) }
    }

    /// What it prints until it ends by itself, without an error.
    #[cfg(unix)]
    pub(crate) fn wait(&mut self) -> Result<String> {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest)?;
        let status = self.process.wait()?;
        if status.success() { Ok(rest) } else { Err(status.to_string().into()) }
    }

    fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(stream)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A request of which a part is still to be sent.
pub(crate) struct SlowRequest {
    stream: TcpStream,
    rest: String,
}

impl SlowRequest {
    /// Sends the rest, and reads the response.
    pub(crate) fn finish(&mut self) -> Result<String> {
        self.stream.write_all(self.rest.as_bytes())?;
        let mut response = String::new();
        self.stream.read_to_string(&mut response)?;
        Ok(response)
    }
}
