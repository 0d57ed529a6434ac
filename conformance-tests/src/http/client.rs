//! A client that sends exactly the bytes that a rule says, and a browser on top of it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::verdict::{Checked, Stop, ensure_eq};

/// Far more than any answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The name of the default cookie.
pub(crate) const COOKIE: &str = "__Host-session";

/// One connection.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) async fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes).await
    }

    /// Whether some byte of an answer has come, after a short look.
    pub(crate) async fn has_an_answer(&mut self) -> bool {
        timeout(Duration::from_millis(100), self.0.fill_buf()).await.is_ok()
    }

    /// The next response.
    pub(crate) async fn receive(&mut self) -> io::Result<Reply> {
        timeout(PATIENCE, self.read()).await.map_err(|_| io::Error::other("no response came"))?
    }

    async fn read(&mut self) -> io::Result<Reply> {
        let status = self.line().await?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no status line"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut reply = Reply { status, headers, body: String::new() };
        let body = if reply.values("transfer-encoding") == ["chunked"] {
            self.chunks().await?
        } else if let Some(len) = reply.values("content-length").first() {
            let mut body = vec![0; len.parse().map_err(io::Error::other)?];
            self.0.read_exact(&mut body).await?;
            body
        } else {
            Vec::new()
        };
        reply.body = String::from_utf8_lossy(&body).into_owned();
        Ok(reply)
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let len = self.line().await?;
            let len = usize::from_str_radix(len.trim(), 16).map_err(io::Error::other)?;
            let mut chunk = vec![0; len + 2];
            self.0.read_exact(&mut chunk).await?;
            body.extend_from_slice(&chunk[..len]);
            if len == 0 {
                return Ok(body);
            }
        }
    }

    /// A line without its end. The end of the stream is an error.
    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).await?;
        if line.pop() != Some(b'\n') {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up"));
        }
        Ok(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
    }
}

/// A response.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let of_name = |(of, _): &&(String, String)| of == name;
        self.headers.iter().filter(of_name).map(|(_, value)| value.as_str()).collect()
    }

    /// The `Set-Cookie` of the cookie with this name. There must not be two.
    pub(crate) fn set_cookie_of(&self, name: &str) -> Checked<Option<&str>> {
        let mut values = self.values("set-cookie");
        values.retain(|value| value.split('=').next() == Some(name));
        ensure_eq!(
            values.len().min(2),
            values.len().min(1),
            "cookies of one name in one response: {values:?}"
        );
        Ok(values.first().copied())
    }

    /// The `Set-Cookie` of the session.
    pub(crate) fn session_cookie(&self) -> Checked<Option<&str>> {
        self.set_cookie_of(COOKIE)
    }

    /// The token that the response gives, which it must.
    pub(crate) fn token(&self) -> Checked<String> {
        let token = self.session_cookie()?.and_then(token_in);
        token.ok_or_else(|| Stop::failed(format!("no token came with status {}", self.status)))
    }

    /// Whether the response removes the session's cookie.
    pub(crate) fn removes_the_cookie(&self) -> Checked<bool> {
        Ok(self
            .session_cookie()?
            .is_some_and(|it| token_in(it).is_none() && it.contains("Max-Age=0")))
    }

    /// Status and body are these.
    #[track_caller]
    pub(crate) fn says(&self, status: u16, body: &str) -> Checked {
        ensure_eq!((self.status, self.body.as_str()), (status, body), "status and body");
        Ok(())
    }

    /// The response is for its client alone.
    pub(crate) fn is_private(&self) -> bool {
        let varies =
            |value: &&str| value.split(',').any(|it| it.trim().eq_ignore_ascii_case("cookie"));
        self.values("vary").iter().any(varies)
            && self.values("cache-control") == ["private, no-store"]
    }
}

/// The value of a `Set-Cookie`, unless it is empty.
fn token_in(set_cookie: &str) -> Option<String> {
    let pair = set_cookie.split(';').next()?;
    let (_, value) = pair.split_once('=')?;
    (!value.is_empty()).then(|| value.to_owned())
}

/// A request, to be sent by itself.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: &'static str,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
}

impl Ask {
    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self { method: "GET", target: target.into(), headers: Vec::new() }
    }

    pub(crate) fn post(target: impl Into<String>) -> Self {
        Self { method: "POST", ..Self::get(target) }
    }

    pub(crate) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// With the default cookie.
    pub(crate) fn token(self, token: &str) -> Self {
        self.with("Cookie", format!("{COOKIE}={token}"))
    }

    /// The bytes on the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        if !self.headers.iter().any(|(name, _)| name == "Host") {
            bytes.extend_from_slice(b"Host: shop.example\r\n");
        }
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if self.method == "POST" {
            bytes.extend_from_slice(b"Content-Length: 0\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    /// Sends it on a connection of its own.
    pub(crate) async fn send(&self, addr: SocketAddr) -> io::Result<Reply> {
        let mut connection = Connection::open(addr).await?;
        connection.send(&self.bytes()).await?;
        connection.receive().await
    }
}

/// A browser, with a jar of cookies. It goes to whatever server it is told to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Browser {
    pub(crate) jar: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn token(&self) -> Option<String> {
        self.jar.get(COOKIE).cloned()
    }

    pub(crate) async fn get(&mut self, addr: SocketAddr, target: &str) -> Checked<Reply> {
        self.send(addr, Ask::get(target)).await
    }

    pub(crate) async fn send(&mut self, addr: SocketAddr, ask: Ask) -> Checked<Reply> {
        let reply = self.dress(ask).send(addr).await?;
        self.keep(&reply);
        Ok(reply)
    }

    /// The request with this browser's cookies.
    pub(crate) fn dress(&self, ask: Ask) -> Ask {
        if self.jar.is_empty() {
            return ask;
        }
        let pairs: Vec<_> =
            self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        ask.with("Cookie", pairs.join("; "))
    }

    pub(crate) fn keep(&mut self, reply: &Reply) {
        for set_cookie in reply.values("set-cookie") {
            let name = set_cookie.split('=').next().unwrap_or_default().to_owned();
            match token_in(set_cookie) {
                Some(value) => self.jar.insert(name, value),
                None => self.jar.remove(&name),
            };
        }
    }
}
