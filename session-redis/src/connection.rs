//! One connection to a server: opened here, driven by a task of its own.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::socket2::{SockRef, TcpKeepalive};
use redis::{AsyncConnectionConfig, ServerError, Value};
use session_core::{StoreError, StoreErrorKind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::address::Address;
use crate::error;
use crate::tls::Tls;

/// Requests that may wait for the driver task before a sender has to wait.
const QUEUE_LEN: usize = 256;

/// How long to wait for the task of a connection that has failed to end.
const END_PATIENCE: Duration = Duration::from_millis(100);

/// Opens connections to one server.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) address: Address,
    pub(crate) tls: Option<Tls>,
    /// Bounds name resolution, TCP, TLS and login together.
    pub(crate) connect_timeout: Duration,
    /// After which time without acknowledgement the operating system gives a connection up.
    pub(crate) user_timeout: Duration,
}

/// A connection that many calls share. Dropping the last reference ends its task.
pub(crate) struct Connection {
    multiplexed: MultiplexedConnection,
    _driver: AbortOnDrop,
    /// Its sender goes when the driver task has ended: nothing can be sent any more.
    closed: watch::Receiver<()>,
    /// How many bytes have been handed to the operating system.
    written: Arc<AtomicU64>,
    /// Set when calls shall not begin on it any more, though some may still be in flight.
    retired: AtomicBool,
    server: Server,
}

/// What a server says of itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Server {
    /// `PEXPIRE` knows `NX` and `GT` (since 7.0).
    pub(crate) conditional_expire: bool,
    is_replica: bool,
}

impl Connector {
    /// Opens a connection and logs in.
    pub(crate) async fn open(&self) -> Result<Connection, StoreError> {
        match tokio::time::timeout(self.connect_timeout, self.open_in_time()).await {
            Ok(opened) => opened,
            Err(_) => {
                Err(StoreError::new(StoreErrorKind::Unavailable, "connect: no answer in time"))
            }
        }
    }

    async fn open_in_time(&self) -> Result<Connection, StoreError> {
        let stream = self.tcp().await.map_err(unreachable)?;
        let written = Arc::default();
        match &self.tls {
            None => self.log_in(stream, written).await,
            Some(tls) => {
                self.log_in(tls.connect(stream).await.map_err(unreachable)?, written).await
            }
        }
    }

    async fn tcp(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in
            tokio::net::lookup_host((self.address.host.as_str(), self.address.port)).await?
        {
            match self.tcp_to(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn tcp_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        let probe = Duration::from_secs(10);
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(probe).with_interval(probe))?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(self.user_timeout))?;
        Ok(stream)
    }

    async fn log_in<S>(&self, stream: S, written: Arc<AtomicU64>) -> Result<Connection, StoreError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let refusal = Arc::default();
        let stream =
            Observed { stream, written: Arc::clone(&written), refusal: Some(Arc::clone(&refusal)) };
        let failed = |error| match refused(&refusal) {
            Some(reply) => error::from_server(&reply, "log in"),
            None => error::from_driver(error, StoreErrorKind::Unavailable, "log in"),
        };
        // Our own deadlines, one for the whole call, replace the driver's.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE_LEN);
        let (mut multiplexed, driver) =
            MultiplexedConnection::new_with_config(&self.address.login, stream, config)
                .await
                .map_err(failed)?;

        let (open, closed) = watch::channel(());
        let driver = tokio::spawn(async move {
            let _open = open;
            driver.await;
        });
        let driver = AbortOnDrop(driver.abort_handle());

        let reply = multiplexed.send_packed_command(&redis::cmd("HELLO")).await.map_err(failed)?;
        let server = Server::from_hello(reply)?;
        if server.is_replica {
            return Err(StoreError::new(
                StoreErrorKind::ReadOnly,
                "connect: the server is a replica",
            ));
        }
        let retired = AtomicBool::new(false);
        Ok(Connection { multiplexed, _driver: driver, closed, written, retired, server })
    }
}

fn unreachable(error: io::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "connect").with_source(error)
}

impl Connection {
    pub(crate) fn handle(&self) -> MultiplexedConnection {
        self.multiplexed.clone()
    }

    pub(crate) fn server(&self) -> Server {
        self.server
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.retired.load(Ordering::Acquire) && self.closed.has_changed().is_ok()
    }

    /// How many bytes have been sent so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Whether surely nothing was sent since there were `before` bytes, and nothing will be.
    pub(crate) async fn sent_nothing_since(&self, before: u64) -> bool {
        let mut closed = self.closed.clone();
        let ended = tokio::time::timeout(END_PATIENCE, closed.changed()).await;
        matches!(ended, Ok(Err(_))) && self.written() == before
    }

    /// From now on no call begins on this connection. Calls in flight end by their own deadlines.
    pub(crate) fn retire(&self, why: &'static str) {
        if !self.retired.swap(true, Ordering::AcqRel) {
            tracing::warn!(why, "redis connection retired");
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("usable", &self.is_usable()).finish_non_exhaustive()
    }
}

impl Server {
    /// A server, or a proxy, that does not know `HELLO` is taken for the oldest that works.
    fn from_hello(reply: Value) -> Result<Self, StoreError> {
        let items = match reply {
            Value::Array(items) => items,
            Value::Map(pairs) => pairs.into_iter().flat_map(|(key, value)| [key, value]).collect(),
            Value::ServerError(error) => {
                let error = error::from_server(&error, "log in");
                let unknown = matches!(error.kind(), StoreErrorKind::Config);
                return if unknown { Ok(Self::default()) } else { Err(error) };
            }
            _ => return Ok(Self::default()),
        };
        let field = |name: &str| {
            let is_name = |pair: &&[Value]| text(&pair[0]) == Some(name);
            items.chunks_exact(2).find(is_name).and_then(|pair| text(&pair[1]))
        };
        let major = field("version").and_then(|version| version.split('.').next()?.parse().ok());
        Ok(Self {
            conditional_expire: major.is_some_and(|major: u32| major >= 7),
            is_replica: matches!(field("role"), Some("replica" | "slave")),
        })
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// A stream that counts what is written to it, and keeps what the server said first, if that was an error.
///
/// A server that has too many clients says so and closes, asked or not.
struct Observed<S> {
    stream: S,
    written: Arc<AtomicU64>,
    refusal: Option<Arc<OnceLock<Vec<u8>>>>,
}

/// The error that the server said first.
fn refused(refusal: &OnceLock<Vec<u8>>) -> Option<ServerError> {
    match redis::parse_redis_value(refusal.get()?) {
        Ok(Value::ServerError(error)) => Some(error),
        _ => None,
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Observed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let bytes = &buffer.filled()[before..];
        if let (Some(first), Some(refusal)) =
            (bytes.first(), self.refusal.take_if(|_| !bytes.is_empty()))
            && *first == b'-'
        {
            let _ = refusal.set(bytes.to_vec());
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Observed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            self.written.fetch_add(u64::try_from(*count).unwrap_or(u64::MAX), Ordering::AcqRel);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Ends a task with its owner.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(version: &str, role: &str) -> Value {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        Value::Array(vec![
            text("server"),
            text("redis"),
            text("version"),
            text(version),
            text("proto"),
            Value::Int(2),
            text("role"),
            text(role),
            text("modules"),
            Value::Array(vec![]),
        ])
    }

    #[test]
    fn the_version_decides_what_pexpire_knows() {
        for (version, conditional) in [
            ("7.0.15", true),
            ("8.4.0", true),
            ("10.0", true),
            ("6.2.14", false),
            ("unstable", false),
        ] {
            let server = Server::from_hello(hello(version, "master")).unwrap();
            assert_eq!(server.conditional_expire, conditional, "{version}");
            assert!(!server.is_replica);
        }
        assert!(Server::from_hello(hello("7.2.1", "replica")).unwrap().is_replica);
        assert!(!Server::from_hello(Value::Nil).unwrap().conditional_expire);
    }
}
